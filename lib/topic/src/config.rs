//! librdkafka's configuration from flags and a program's defaults.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use pipe::exit::{Error, Result, say};
use pipe::stdio;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaConfRes, RDKafkaErrorCode};

use crate::flags::{Broker, Property, is_secret};
use crate::java::{self, Meaning};
use crate::properties;

/// How fast a broken connection is made again. The first number also sets how long librdkafka
/// waits between its first connection and the one to the broker that it then learns of: half of
/// it, which is 50 ms of every start with its default.
const RECONNECT: [(&str, &str); 2] =
    [("reconnect.backoff.ms", "20"), ("reconnect.backoff.max.ms", "1000")];

/// A property of librdkafka that the user asked for.
#[derive(Clone)]
struct Setting {
    /// The name of librdkafka's, the one that we use of two.
    key: String,
    value: String,
    /// Where it stands, as messages name it.
    place: String,
}

/// Builds the configuration of a client of the broker in `flags`: the program's `defaults`, over
/// which win, each over those before it, the properties of the user's `kpipe.conf`, of
/// `--command-config`, of `--command-property`, of the program's options, and those set by `-X`.
///
/// A secret that is given in clear is warned about, and so is a property of a Java client that
/// means nothing here.
///
/// # Errors
/// Of the caller, when there is no such property, its value is wrong, or its file cannot be read.
pub fn client(flags: &Broker, defaults: &[(&str, &str)]) -> Result<ClientConfig> {
    let mut config = ClientConfig::new();
    // The level at which librdkafka says that a broker hung up on the first request.
    config.set_log_level(RDKafkaLogLevel::Info);
    config.set("bootstrap.servers", flags.addresses());
    for (key, value) in RECONNECT.iter().chain(defaults) {
        config.set(*key, *value);
    }
    for Setting { key, value, .. } in settings(flags)? {
        if key == "debug" {
            config.set_log_level(RDKafkaLogLevel::Debug);
        }
        config.set(key, value);
    }
    warn_of_secrets(flags);
    Ok(config)
}

/// The value of property `key` of librdkafka as the user asked for it, wherever that stands.
///
/// # Errors
/// As [`client`].
pub fn asked(flags: &Broker, key: &str) -> Result<Option<String>> {
    let asked = settings(flags)?.into_iter().rfind(|setting| setting.key == one_name(key));
    Ok(asked.map(|setting| setting.value))
}

/// Where the user asked for property `key`, as messages name it.
pub(crate) fn place(flags: &Broker, key: &str) -> Result<Option<String>> {
    let asked = settings(flags)?.into_iter().rfind(|setting| setting.key == one_name(key));
    Ok(asked.map(|setting| setting.place))
}

/// All that the user asked for; what stands later wins.
fn settings(flags: &Broker) -> Result<Vec<Setting>> {
    let (mut settings, mut notes) = (Vec::new(), Vec::new());
    for file in [own_file().as_deref(), flags.command_config()].into_iter().flatten() {
        let place = file.display().to_string();
        java(&file_properties(file)?, &place, &mut settings, &mut notes)?;
    }
    let arguments: Vec<_> =
        flags.command_properties().iter().map(|text| properties::argument(text)).collect();
    java(&arguments, "--command-property", &mut settings, &mut notes)?;
    if flags.is_named() {
        settings.retain(|setting| setting.key != "bootstrap.servers");
    }
    for (option, key, value) in flags.given() {
        let place = format!("{option} {value}");
        check(&place, key, value, false)?;
        settings.push(Setting { key: one_name(key).to_owned(), value: value.to_owned(), place });
    }
    for property in flags.properties() {
        let (key, value, place) =
            (property.key(), value(property)?, format!("-X {}", property.key()));
        check(&property.to_string(), key, &value, property.is_secret())?;
        settings.push(Setting { key: one_name(key).to_owned(), value, place });
    }
    say_once(&notes);
    Ok(settings)
}

/// The user's own file, when there is one.
fn own_file() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(config.join("kpipe.conf")).filter(|file| file.exists())
}

/// The properties in a file in Java's form.
///
/// # Errors
/// Of the caller, when it cannot be read.
pub fn file_properties(file: &Path) -> Result<Vec<(String, String)>> {
    let bytes = fs::read(file);
    let bytes = bytes.map_err(|error| Error::caller(file.display(), stdio::reason(&error)))?;
    properties::read(&bytes).map_err(|error| Error::caller(file.display(), error))
}

/// Takes properties in the names of Java's clients or of librdkafka, which stand at `place`.
fn java(
    all: &[(String, String)],
    place: &str,
    settings: &mut Vec<Setting>,
    notes: &mut Vec<String>,
) -> Result<()> {
    for (key, value) in all {
        let place = format!("{place}: {key}");
        match java::meaning(key, value, all) {
            Meaning::Refused(reason) => return Err(Error::caller(place, reason)),
            Meaning::Unused(reason) => notes.push(format!("{place}: is not used: {reason}")),
            Meaning::Set(set) => {
                for (name, value) in set {
                    if is_unknown(&name) {
                        notes.push(format!("{place}: is not used: there is no such property"));
                        continue;
                    }
                    check(&place, &name, &value, is_secret(&name))?;
                    let key = one_name(&name).to_owned();
                    settings.push(Setting { key, value, place: place.clone() });
                }
            }
        }
    }
    Ok(())
}

/// Says notes once, however many clients a program makes.
fn say_once(notes: &[String]) {
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    for note in notes {
        if !said.contains(note) {
            say(note);
            said.push(note.clone());
        }
    }
}

/// The name that we use of a property with two, which else would be set in no certain order.
fn one_name(key: &str) -> &str {
    match key {
        "metadata.broker.list" => "bootstrap.servers",
        "request.required.acks" => "acks",
        "compression.type" => "compression.codec",
        "message.timeout.ms" => "delivery.timeout.ms",
        "queue.buffering.max.ms" => "linger.ms",
        "message.send.max.retries" => "retries",
        "max.in.flight" => "max.in.flight.requests.per.connection",
        "max.partition.fetch.bytes" => "fetch.message.max.bytes",
        "sasl.mechanisms" => "sasl.mechanism",
        key => key,
    }
}

/// The property's value, read from its file when it has one.
fn value(property: &Property) -> Result<String> {
    let Some(file) = property.file() else { return Ok(property.text().to_owned()) };
    let text =
        fs::read_to_string(file).map_err(|error| Error::caller(property, stdio::reason(&error)))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Lets librdkafka judge one property by itself, so that its refusal has a name.
fn check(place: &str, key: &str, value: &str, secret: bool) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set(key, value);
    match config.create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Err(Error::caller(place, "librdkafka has no such property"))
        }
        Err(_) if secret => Err(Error::caller(place, "not a valid value")),
        Err(KafkaError::ClientConfig(_, reason, ..)) => Err(Error::caller(place, reason)),
        Err(error) => Err(Error::caller(place, error)),
    }
}

/// Whether librdkafka has no property of that name.
fn is_unknown(key: &str) -> bool {
    let mut config = ClientConfig::new();
    config.set(key, "");
    let unknown = RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
    let judged = config.create_native_config();
    matches!(judged, Err(KafkaError::ClientConfig(code, ..)) if code == unknown)
}

/// Says so once, however many clients a program makes.
fn warn_of_secrets(flags: &Broker) {
    static SAID: Once = Once::new();
    let clear = |property: &&Property| property.is_secret() && property.file().is_none();
    let key = flags.properties().iter().find(clear).map(|property| ("-X", property.key()));
    let mut arguments = flags.command_properties().iter().map(|text| text.split('=').next());
    let argument = arguments.find_map(|key| key.filter(|key| is_secret(key)));
    if let Some((option, key)) = key.or(argument.map(|key| ("--command-property", key))) {
        SAID.call_once(|| {
            let instead = format!("the process list shows it to everybody; use -X {key}=@FILE");
            say(format!("{option} {key}: {instead}"));
        });
    }
}

/// The refusal of a client whose properties do not go together.
#[must_use]
pub fn refusal(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientCreation(reason) => Error::caller("-X", reason),
        error => Error::caller("-X", error),
    }
}

/// What librdkafka says of an error code, without its `Broker: ` or `Local: `; of a permission
/// that is missing, which one it is as well.
#[must_use]
pub fn reason(code: RDKafkaErrorCode) -> String {
    let missing = match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => "READ, WRITE or CREATE for the topic",
        RDKafkaErrorCode::GroupAuthorizationFailed => "READ for the group",
        RDKafkaErrorCode::ClusterAuthorizationFailed => "WRITE for the topic",
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
            "WRITE and DESCRIBE for the transactional id"
        }
        _ => return words(code),
    };
    format!("{}: the user needs an ACL, {missing}", words(code))
}

fn words(code: RDKafkaErrorCode) -> String {
    let text = code.to_string();
    let text = text.split_once('(').map_or(text.as_str(), |(_, text)| text);
    let text = text.strip_suffix(')').unwrap_or(text);
    let text = text.strip_prefix("Broker: ").or_else(|| text.strip_prefix("Local: "));
    text.map_or_else(|| code.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;
    use crate::flags::Older;

    fn flags(args: &[&str]) -> Broker {
        let command = Broker::augment_args(clap::Command::new("test").no_binary_name(true));
        let matches = command.get_matches_from(args);
        Broker::from_arg_matches(&matches).expect("flags")
    }

    fn refused(arg: &str) -> String {
        match client(&flags(&["-X", arg]), &[]) {
            Err(Error::Failed(code, message)) => {
                assert_eq!(code, pipe::exit::Code::CALLER);
                message
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_users_property_wins() {
        let config = client(&flags(&["-X", "acks=1"]), &[("acks", "all"), ("linger.ms", "5")]);
        let config = config.expect("a configuration");
        assert_eq!((config.get("acks"), config.get("linger.ms")), (Some("1"), Some("5")));
    }

    fn asked_for(args: &[&str], key: &str) -> Option<String> {
        asked(&flags(args), key).expect("properties")
    }

    #[test]
    fn what_stands_nearer_wins() {
        let path = std::env::temp_dir().join(format!("kpipe-java-{}", std::process::id()));
        fs::write(&path, "linger.ms = 1\nbuffer.memory: 2048\nacks=1\nclient.id=a\n")
            .expect("a file");
        let file = path.display().to_string();
        let args =
            ["--command-config", &file, "--command-property", "acks=all", "-X", "linger.ms=9"];
        let config = client(&flags(&args), &[("client.id", "b")]).expect("a configuration");
        fs::remove_file(&path).expect("the file");
        let expected = [("linger.ms", "9"), ("acks", "all"), ("client.id", "a")];
        for (key, value) in expected.into_iter().chain([("queue.buffering.max.kbytes", "2")]) {
            assert_eq!(config.get(key), Some(value), "{key}");
        }
    }

    #[test]
    fn an_option_of_the_program_wins_over_a_file_and_not_over_x() {
        let mut broker =
            flags(&["--command-property", "retries=7", "--command-property", "acks=1"]);
        broker.give("--message-send-max-retries", "retries", 3);
        assert_eq!(asked(&broker, "retries"), Ok(Some("3".to_owned())));
        assert_eq!(asked(&broker, "request.required.acks"), Ok(Some("1".to_owned())));
        assert_eq!(
            asked_for(&["-X", "retries=1"], "message.send.max.retries"),
            Some("1".to_owned())
        );
        broker.give("--message-send-max-retries", "retries", "many");
        let Err(Error::Failed(_, message)) = client(&broker, &[]) else { panic!("refused") };
        assert!(message.starts_with("--message-send-max-retries many: "), "{message}");
    }

    #[test]
    fn a_file_names_the_broker_unless_the_option_does() {
        let property = ["--command-property", "bootstrap.servers=a:1"];
        let config = client(&flags(&property), &[]).expect("a configuration");
        assert_eq!(config.get("bootstrap.servers"), Some("a:1"));
        let config = client(&flags(&[&property[..], &["-b", "b:2"]].concat()), &[]);
        assert_eq!(config.expect("a configuration").get("bootstrap.servers"), Some("b:2"));
    }

    #[test]
    fn an_option_stands_in_one_spelling() {
        let config = Some(Path::new("x"));
        let older = Older {
            config_option: "producer.config",
            config,
            property_option: "producer-property",
            properties: &["acks=1".to_owned()],
        };
        let broker = flags(&[]).with_older(older).expect("one spelling");
        assert_eq!(broker.command_config(), config);
        for other in [["--command-config", "y"], ["--command-property", "acks=1"]] {
            let Err(Error::Failed(_, message)) = flags(&other).with_older(older) else {
                panic!("refused")
            };
            assert!(
                message.starts_with("Options") && message.contains("cannot be specified together.")
            );
        }
    }

    #[test]
    fn a_property_that_librdkafka_refuses_is_named() {
        assert_eq!(refused("foo=1"), "-X foo=1: librdkafka has no such property");
        assert!(refused("linger.ms=soon").starts_with("-X linger.ms=soon: Invalid value"));
        assert!(refused("sasl.password=@/nowhere/hunter2").starts_with("-X sasl.password=…: No"));
    }

    #[test]
    fn a_file_gives_the_value_without_its_last_newline() {
        let path = std::env::temp_dir().join(format!("kpipe-config-{}", std::process::id()));
        fs::write(&path, "swordfish\n").expect("a file");
        let arg = format!("sasl.password=@{}", path.display());
        let config = client(&flags(&["-X", &arg]), &[]).expect("a configuration");
        fs::remove_file(&path).expect("the file");
        assert_eq!(config.get("sasl.password"), Some("swordfish"));
    }

    #[test]
    fn a_code_is_said_in_words() {
        assert_eq!(reason(RDKafkaErrorCode::UnknownTopicOrPartition), "Unknown topic or partition");
        assert_eq!(reason(RDKafkaErrorCode::AllBrokersDown), "All broker connections are down");
        assert_eq!(
            reason(RDKafkaErrorCode::GroupAuthorizationFailed),
            "Group authorization failed: the user needs an ACL, READ for the group"
        );
    }
}
