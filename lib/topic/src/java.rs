//! The properties of Java's clients as librdkafka has them.

use crate::jaas::Login;

/// What becomes of a property of a Java client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It is these properties of librdkafka; one that librdkafka does not know is unknown to Java
    /// as well.
    Set(Vec<(String, String)>),
    /// It changes nothing here, which is to be said; why.
    Unused(&'static str),
    /// It asks for something that cannot be had here; why.
    Refused(String),
}

/// Names that librdkafka has otherwise; the values are the same.
const RENAMED: &[(&str, &str)] = &[
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("max.request.size", "message.max.bytes"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("ssl.keystore.key", "ssl.key.pem"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
];

/// Names of sizes and times in which Java's -1 is librdkafka's 0.
const DEFAULT_IS_ZERO: &[(&str, &str)] = &[
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("connections.max.idle.ms", "connections.max.idle.ms"),
];

/// Settings of the Java client's own workings.
const OF_JAVA: &[&str] = &[
    "auto.include.jmx.reporter",
    "default.api.timeout.ms",
    "exclude.internal.topics",
    "max.poll.records",
    "metadata.max.idle.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "security.providers",
    "socket.connection.setup.timeout.max.ms",
    "ssl.keymanager.algorithm",
    "ssl.protocol",
    "ssl.enabled.protocols",
    "ssl.provider",
    "ssl.secure.random.implementation",
    "ssl.trustmanager.algorithm",
    "sasl.login.connect.timeout.ms",
    "sasl.login.read.timeout.ms",
];

/// The same, by what their names begin with.
const OF_JAVA_FAMILIES: &[&str] = &[
    "internal.",
    "metadata.recovery.",
    "metric.",
    "metrics.",
    "sasl.login.refresh.",
    "sasl.login.retry.",
];

/// Classes that a user of the Java client brings along.
const CLASSES: &[&str] = &[
    "config.providers",
    "interceptor.classes",
    "sasl.client.callback.handler.class",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "ssl.engine.factory.class",
];

/// The meaning of property `key` with `value`, among `all` properties that are given together.
#[must_use]
pub(crate) fn meaning(key: &str, value: &str, all: &[(String, String)]) -> Meaning {
    let set = |name: &str, value: &str| Meaning::Set(vec![(name.to_owned(), value.to_owned())]);
    if let Some((_, name)) = RENAMED.iter().find(|(java, _)| *java == key) {
        return set(name, value);
    }
    if let Some((_, name)) = DEFAULT_IS_ZERO.iter().find(|(java, _)| *java == key) {
        return set(name, if value.trim() == "-1" { "0" } else { value });
    }
    if CLASSES.contains(&key) {
        if value.trim().is_empty() {
            return Meaning::Set(Vec::new());
        }
        return Meaning::Refused("a Java class cannot be used here".to_owned());
    }
    if OF_JAVA.contains(&key) || OF_JAVA_FAMILIES.iter().any(|family| key.starts_with(family)) {
        return Meaning::Unused("is of the Java client alone");
    }
    match key {
        "buffer.memory" => kbytes(value),
        "batch.size" if value.trim() == "0" => set(key, "1"),
        "compression.type" => set("compression.codec", value),
        "security.protocol" => set(key, &value.to_lowercase()),
        "ssl.endpoint.identification.algorithm" if value.trim().is_empty() => set(key, "none"),
        "key.serializer" | "value.serializer" | "key.deserializer" | "value.deserializer" => {
            Meaning::Unused("bytes are written and read as they are")
        }
        "max.block.ms" => Meaning::Unused("kprod --max-block-ms is there for it"),
        "partitioner.class" => partitioner(value),
        "partitioner.ignore.keys" if value.trim() == "true" => set("partitioner", "random"),
        "partitioner.ignore.keys" => Meaning::Set(Vec::new()),
        "partition.assignment.strategy" => assignors(value),
        "auto.offset.reset" => match value.trim() {
            "none" => set(key, "error"),
            other if other.starts_with("by_duration") => {
                Meaning::Refused("no such value here; kcons -o s@-1h is one".to_owned())
            }
            other => set(key, other),
        },
        "sasl.jaas.config" => jaas(value),
        _ if key.starts_with("ssl.truststore.") => truststore(key, value, all),
        _ if key.starts_with("ssl.keystore.") => keystore(key, value, all),
        _ => set(key, value),
    }
}

fn kbytes(value: &str) -> Meaning {
    match value.trim().parse::<u64>() {
        Ok(bytes) => {
            let kbytes = bytes.div_ceil(1024).clamp(1, 2_147_483_647);
            let name = "queue.buffering.max.kbytes".to_owned();
            Meaning::Set(vec![(name, kbytes.to_string())])
        }
        Err(_) => Meaning::Refused("not a number of bytes".to_owned()),
    }
}

/// Java's own partitioners. The default one is chosen by kprod without being asked.
fn partitioner(class: &str) -> Meaning {
    let one = |name: &str| Meaning::Set(vec![("partitioner".to_owned(), name.to_owned())]);
    match class.trim().rsplit('.').next().unwrap_or_default() {
        "" | "DefaultPartitioner" | "UniformStickyPartitioner" | "BuiltInPartitioner" => {
            one("murmur2_random")
        }
        // That is a name of librdkafka's, which has no class.
        name if !class.contains('.') => one(name),
        _ => Meaning::Refused("a Java class cannot be used here".to_owned()),
    }
}

fn assignors(classes: &str) -> Meaning {
    let mut names = Vec::new();
    for class in classes.split(',').map(str::trim) {
        names.push(match class.rsplit('.').next().unwrap_or_default() {
            "RangeAssignor" => "range",
            "RoundRobinAssignor" => "roundrobin",
            "CooperativeStickyAssignor" => "cooperative-sticky",
            _ if !class.contains('.') => class,
            name => return Meaning::Refused(format!("there is no {name} here")),
        });
    }
    // The two protocols cannot be mixed, and Java's default is to prefer the older one.
    if names.contains(&"cooperative-sticky") && names.len() > 1 {
        names.retain(|name| *name != "cooperative-sticky");
    }
    Meaning::Set(vec![("partition.assignment.strategy".to_owned(), names.join(","))])
}

fn other<'a>(all: &'a [(String, String)], key: &str) -> Option<&'a str> {
    all.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.trim())
}

/// Whether the store of that kind (`truststore`, `keystore`) is PEM, by its type or its name.
fn is_pem(all: &[(String, String)], store: &str) -> bool {
    if let Some(kind) = other(all, &format!("ssl.{store}.type")) {
        return kind.eq_ignore_ascii_case("PEM");
    }
    let path = other(all, &format!("ssl.{store}.location")).unwrap_or_default().to_lowercase();
    [".pem", ".crt", ".cer"].iter().any(|end| path.ends_with(end))
}

fn truststore(key: &str, value: &str, all: &[(String, String)]) -> Meaning {
    match key {
        "ssl.truststore.location" if is_pem(all, "truststore") => {
            Meaning::Set(vec![("ssl.ca.location".to_owned(), value.to_owned())])
        }
        "ssl.truststore.location" => Meaning::Refused(
            "only PEM can be read here: export the certificates (keytool -exportcert -rfc) and set \
             ssl.truststore.type=PEM"
                .to_owned(),
        ),
        // Certificates are no secret: without the store, its type and password say nothing.
        "ssl.truststore.type" | "ssl.truststore.password" => Meaning::Set(Vec::new()),
        _ => Meaning::Set(vec![(key.to_owned(), value.to_owned())]),
    }
}

fn keystore(key: &str, value: &str, all: &[(String, String)]) -> Meaning {
    let set = |name: &str| (name.to_owned(), value.to_owned());
    let kind = other(all, "ssl.keystore.type").unwrap_or_default();
    match key {
        // Java keeps key and certificates in one file; librdkafka reads each where it is told.
        "ssl.keystore.location" if is_pem(all, "keystore") => {
            Meaning::Set(vec![set("ssl.certificate.location"), set("ssl.key.location")])
        }
        "ssl.keystore.location" if kind.eq_ignore_ascii_case("JKS") => Meaning::Refused(
            "a JKS store cannot be read here: convert it (keytool -importkeystore -deststoretype \
             PKCS12)"
                .to_owned(),
        ),
        "ssl.keystore.type" => Meaning::Set(Vec::new()),
        _ => Meaning::Set(vec![set(key)]),
    }
}

fn jaas(text: &str) -> Meaning {
    let login = match Login::read(text) {
        Ok(login) => login,
        Err(reason) => return Meaning::Refused(reason.to_owned()),
    };
    let options = |names: &[(&str, &str)]| {
        let option = |(java, ours): &(&str, &str)| {
            login.option(java).map(|value| ((*ours).to_owned(), value.to_owned()))
        };
        names.iter().filter_map(option).collect::<Vec<_>>()
    };
    match login.module.as_str() {
        "PlainLoginModule" | "ScramLoginModule" => {
            Meaning::Set(options(&[("username", "sasl.username"), ("password", "sasl.password")]))
        }
        "OAuthBearerLoginModule" => {
            if let Some(principal) = login.option("unsecuredLoginStringClaim_sub") {
                return Meaning::Set(vec![
                    ("enable.sasl.oauthbearer.unsecure.jwt".to_owned(), "true".to_owned()),
                    ("sasl.oauthbearer.config".to_owned(), format!("principal={principal}")),
                ]);
            }
            let mut set = options(&[
                ("clientId", "sasl.oauthbearer.client.id"),
                ("clientSecret", "sasl.oauthbearer.client.secret"),
                ("scope", "sasl.oauthbearer.scope"),
            ]);
            set.push(("sasl.oauthbearer.method".to_owned(), "oidc".to_owned()));
            Meaning::Set(set)
        }
        module => Meaning::Refused(format!("there is no {module} here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Meaning {
        Meaning::Set(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
    }

    fn alone(key: &str, value: &str) -> Meaning {
        meaning(key, value, &[(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_both_know_is_passed_on() {
        for key in ["acks", "linger.ms", "retries", "group.id", "sasl.mechanism", "client.id"] {
            assert_eq!(alone(key, "7"), set(&[(key, "7")]));
        }
    }

    #[test]
    fn names_and_units_are_translated() {
        assert_eq!(
            alone("buffer.memory", "33554433"),
            set(&[("queue.buffering.max.kbytes", "32769")])
        );
        assert_eq!(alone("send.buffer.bytes", "-1"), set(&[("socket.send.buffer.bytes", "0")]));
        assert_eq!(alone("max.request.size", "9"), set(&[("message.max.bytes", "9")]));
        assert_eq!(
            alone("security.protocol", "SASL_SSL"),
            set(&[("security.protocol", "sasl_ssl")])
        );
        assert_eq!(alone("auto.offset.reset", "none"), set(&[("auto.offset.reset", "error")]));
        let java = "org.apache.kafka.clients.consumer.RangeAssignor, \
                    org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        let strategy = "partition.assignment.strategy";
        assert_eq!(alone(strategy, java), set(&[(strategy, "range")]));
    }

    #[test]
    fn what_only_java_knows_is_told_from_what_cannot_be_had() {
        for key in ["metric.reporters", "metrics.num.samples", "max.poll.records", "ssl.protocol"] {
            assert!(matches!(alone(key, "x"), Meaning::Unused(_)), "{key}");
        }
        for key in ["interceptor.classes", "partitioner.class", "sasl.login.class"] {
            assert!(matches!(alone(key, "com.example.X"), Meaning::Refused(_)), "{key}");
        }
        assert_eq!(alone("interceptor.classes", ""), set(&[]));
    }

    #[test]
    fn a_store_is_pem_or_refused() {
        let path = ("ssl.truststore.location".to_owned(), "/etc/ca".to_owned());
        let kind = |kind: &str| ("ssl.truststore.type".to_owned(), kind.to_owned());
        let meant = |all: &[(String, String)]| meaning(&path.0, &path.1, all);
        assert_eq!(meant(&[path.clone(), kind("pem")]), set(&[("ssl.ca.location", "/etc/ca")]));
        assert!(matches!(meant(&[path.clone(), kind("JKS")]), Meaning::Refused(_)));
        assert!(matches!(meant(std::slice::from_ref(&path)), Meaning::Refused(_)));
        assert_eq!(
            alone("ssl.keystore.location", "me.pem"),
            set(&[("ssl.certificate.location", "me.pem"), ("ssl.key.location", "me.pem")])
        );
        assert_eq!(
            alone("ssl.keystore.location", "me.p12"),
            set(&[("ssl.keystore.location", "me.p12")])
        );
    }

    #[test]
    fn a_login_module_is_a_name_and_a_password() {
        let module = "org.apache.kafka.common.security.scram.ScramLoginModule required \
                      username=\"ann\" password=\"s p\";";
        assert_eq!(
            alone("sasl.jaas.config", module),
            set(&[("sasl.username", "ann"), ("sasl.password", "s p")])
        );
        let kerberos = "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true;";
        assert!(matches!(alone("sasl.jaas.config", kerberos), Meaning::Refused(_)));
    }
}
