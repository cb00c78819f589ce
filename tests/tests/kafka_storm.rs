//! Exactly once, whatever dies: pipes on a real Kafka whose programs and brokers are killed and
//! stopped at random, and whose results are then those of a calm day.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use kpipe_tests::kafka::Kafka;
use kpipe_tests::live::Live;
use kpipe_tests::run::Run;
use kpipe_tests::wait;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use rustix::process::{Signal, kill_process};

#[path = "storm/copy.rs"]
mod copy;
#[path = "storm/lines.rs"]
mod lines;
#[path = "storm/outcome.rs"]
mod outcome;
#[path = "storm/variant.rs"]
mod variant;
#[path = "storm/weather.rs"]
mod weather;

use copy::Copy;
use lines::Line;
use variant::Variant;
use weather::{Dice, Event, Gap};

/// Where `make storm` may say another seed, and which pipes.
const SEED_VARIABLE: &str = "KPIPE_STORM_SEED";
const PIPES_VARIABLE: &str = "KPIPE_STORM_PIPES";

/// Set, what came out is kept as if something were wrong.
const KEEP_VARIABLE: &str = "KPIPE_STORM_KEEP";

/// Kills that a round has at least; some hit a pipe that is between two starts, and nobody.
const KILLS_MIN: usize = 10;

/// How often the group is asked for its offsets, and how long an answer may take.
const LOOK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(5);

/// Records of the topic `in` that are committed, and those that are not.
#[derive(Clone, Copy)]
struct Progress {
    done: i64,
    left: i64,
}

/// How bad it gets.
struct Severity {
    brokers: u32,
    lines: u64,
    keys: u64,
    /// Lines a second.
    rate: u64,
    /// Rounds of events for each pipe.
    rounds: usize,
    /// How often a broker is killed.
    outages: u64,
    /// The pipes; all, when there are none.
    pipes: &'static [&'static str],
}

/// What happened to a pipe.
#[derive(Debug, Default)]
struct Damage {
    kills: usize,
    stops: usize,
    guests: usize,
}

/// A pipe in a storm.
struct Scene<'a> {
    kafka: &'a Kafka,
    variant: &'a Variant,
    log: PathBuf,
    damage: Mutex<Damage>,
}

impl<'a> Scene<'a> {
    fn new(kafka: &'a Kafka, variant: &'a Variant, folder: &Path) -> Scene<'a> {
        Scene { kafka, variant, log: folder.join(variant.name), damage: Mutex::default() }
    }

    /// The pipe, whose kcons has `args`, as a copy of this name.
    fn pipe(&self, instance: &str, args: &str) -> String {
        let Variant { name, middle, by, columns, letters, .. } = self.variant;
        let form = if columns.is_empty() {
            format!("--names {} --key-field key", lines::NAMES)
        } else {
            format!("--key-field {by}")
        };
        let letters =
            if *letters { format!("--dead-letter topic:dead-{name}") } else { String::new() };
        format!(
            "kcons -t in -g {name} --instance {instance} --epoch 200ms -o beginning -q {args} | \
             {middle} | ksink -t out-{name} -q {form} {letters}"
        )
    }

    fn copy(&self, instance: &str) -> Copy {
        Copy::start(&self.pipe(instance, ""), self.kafka.address(), &self.log)
    }

    /// Goes through all of `events` with a copy, and with a second one when there is one.
    fn endure(&self, events: &[(Gap, Event)]) -> Copy {
        let host = self.copy("a");
        let mut guest = None;
        for (gap, event) in events {
            self.pass(*gap, &host);
            let hit = guest.as_ref().filter(|_| gap.time.subsec_millis() % 2 == 0);
            let hit = hit.unwrap_or(&host);
            self.note(event);
            match event {
                Event::Kill(place) => self.kill(hit, Some(*place)),
                Event::KillAll => self.kill(hit, None),
                Event::Stop(place, time) => self.stop(hit, *place, *time),
                Event::Come => {
                    self.damage.lock().expect("a count").guests += 1;
                    guest = Some(self.copy("b"));
                }
                Event::Go => self.see_off(guest.take()),
                Event::Perish => drop(guest.take()),
            }
            for copy in [Some(&host), guest.as_ref()].into_iter().flatten() {
                assert!(copy.goes_on(), "{}: {}", self.variant.name, copy::said(&self.log));
            }
        }
        host
    }

    /// Asks a guest to end. Its last lines may be uncommitted, when a broker is away or a program
    /// was killed just now.
    fn see_off(&self, guest: Option<Copy>) {
        let code = guest.and_then(Copy::end);
        assert!(matches!(code, None | Some(0 | 75 | 137)), "{code:?}: {}", copy::said(&self.log));
    }

    /// Puts what happens into the log of the copies.
    fn note(&self, event: &Event) {
        let file = fs::File::options().create(true).append(true).open(&self.log);
        let time = wait::now_ms();
        file.and_then(|mut file| writeln!(file, "storm: {time}: {event:?}")).expect("a log");
    }

    fn kill(&self, copy: &Copy, place: Option<usize>) {
        let programs = copy.programs();
        let at = place.map(|place| place.min(programs.len().saturating_sub(1)));
        let hit =
            programs.iter().enumerate().filter(|(number, _)| at.is_none_or(|at| at == *number));
        for (_, (id, _)) in hit {
            if kill_process(*id, Signal::KILL).is_ok() {
                self.damage.lock().expect("a count").kills += 1;
            }
        }
    }

    fn stop(&self, copy: &Copy, place: usize, time: Duration) {
        let programs = copy.programs();
        let Some((id, _)) = programs.get(place.min(programs.len().saturating_sub(1))) else {
            return;
        };
        if kill_process(*id, Signal::STOP).is_ok() {
            self.damage.lock().expect("a count").stops += 1;
            wait::pass(time);
            let _ = kill_process(*id, Signal::CONT);
        }
    }

    /// Lets `gap` pass.
    fn pass(&self, gap: Gap, host: &Copy) {
        let before = if gap.commit { self.progress() } else { None };
        wait::pass(gap.time);
        if let Some(before) = before {
            let more = |now: Progress| now.left == 0 || now.done > before.done;
            self.until("something is committed", host, more);
        }
    }

    /// Waits until all that is in the topic is committed.
    fn until_quiet(&self, host: &Copy) {
        self.until("all is committed", host, |now| now.left == 0);
    }

    /// Waits until the group has come so far that it `suits`, as long as `host` goes on.
    fn until(&self, what: &str, host: &Copy, suits: impl Fn(Progress) -> bool) {
        let deadline = Instant::now() + 2 * wait::LONG;
        while !self.progress().is_some_and(&suits) {
            let hopeful = host.goes_on() && Instant::now() < deadline;
            let said = copy::said(&self.log);
            assert!(hopeful, "{}: in vain: {what}: {said}", self.variant.name);
            wait::pass(LOOK);
        }
    }

    /// How far the group has come; none, when no broker says it.
    fn progress(&self) -> Option<Progress> {
        let consumer = self.consumer();
        let mut list = TopicPartitionList::new();
        list.add_partition_range("in", 0, 2);
        let stored = consumer.committed_offsets(list, PATIENCE).ok()?;
        let mut progress = Progress { done: 0, left: 0 };
        for one in stored.elements() {
            let (_, end) = consumer.fetch_watermarks("in", one.partition(), PATIENCE).ok()?;
            let offset = one.offset().to_raw().map_or(0, |offset| offset.max(0));
            progress.done += offset;
            progress.left += end - offset;
        }
        Some(progress)
    }

    fn consumer(&self) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka.address()).set("group.id", self.variant.name);
        config.create().expect("a consumer")
    }

    /// Waits until the group has no member: a static one stays until its session ends.
    fn until_empty(&self) {
        let consumer = self.consumer();
        wait::until("the group is empty", || {
            let groups = consumer.fetch_group_list(Some(self.variant.name), wait::LONG);
            groups.is_ok_and(|all| all.groups().iter().all(|one| one.members().is_empty()))
        });
    }

    /// Ends `host` in the quiet, and has what it left open written by a last run.
    fn end(&self, host: Copy) {
        self.until_quiet(&host);
        assert_eq!(host.end(), Some(0), "{}: {}", self.variant.name, copy::said(&self.log));
        self.until_empty();
        let run = Run::shell(&self.pipe("a", "-e")).env("KPIPE_BROKERS", self.kafka.address());
        let ended = run.end();
        assert_eq!(ended.code(), Some(0), "{}: {}", self.variant.name, ended.stderr);
    }

    /// What a topic has, read with `args`.
    fn topic(&self, name: &str, args: &[&str]) -> String {
        let run = Run::of("kcons").args(["-b", self.kafka.address(), "-t", name, "-e", "-q"]);
        run.args(["--from-beginning"]).args(args).end().done().text().to_owned()
    }

    /// What is wrong with what came out.
    fn faults(&self, truth: &[Line]) -> Vec<String> {
        let variant = self.variant;
        let rows = self.topic(&format!("out-{}", variant.name), &[]);
        let mut faults = outcome::faults(variant, &rows, &(variant.truth)(truth));
        if variant.letters {
            let letters = self.topic(&format!("dead-{}", variant.name), &[]);
            let mut letters: Vec<_> = letters.lines().map(ToOwned::to_owned).collect();
            letters.sort();
            let want = lines::letters(truth);
            if letters != want {
                let (got, want) = (letters.len(), want.len());
                faults.push(format!("{}: {got} dead letters and not {want}", variant.name));
            }
        }
        faults
    }

    /// Puts what came out into a file, each row behind its time and partition.
    fn keep(&self) {
        let rows = self.topic(&format!("out-{}", self.variant.name), &["-f", "%T %p %s\n"]);
        fs::write(self.log.with_extension("rows"), rows).expect("a file");
        let name = format!("{}-kpipe-state", self.variant.name);
        let state = self.topic(&name, &["-f", "%T %p %k %s\n"]);
        fs::write(self.log.with_extension("state"), state).expect("a file");
    }

    /// What happened, for people.
    fn report(&self) -> String {
        let out = format!("out-{}", self.variant.name);
        let rows = self.topic(&out, &[]).lines().count();
        let all = self.topic(&out, &["--isolation-level", "read_uncommitted"]).lines().count();
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let starts = said.lines().filter(|line| line.contains("starting again")).count();
        let Damage { kills, stops, guests } = &*self.damage.lock().expect("a count");
        format!(
            "{:8} {kills} kills, {stops} stops, {guests} guests, {starts} new starts, {rows} rows, \
             {} undone",
            self.variant.name,
            all - rows
        )
    }
}

/// Kills brokers and starts them again, while lines come for about `time`.
fn outages(kafka: &Kafka, severity: &Severity, time: Duration, mut dice: Dice) {
    for _ in 0..severity.outages {
        wait::pass(time / u32::try_from(severity.outages + 1).expect("a few"));
        let number = u32::try_from(dice.below(severity.brokers.into())).expect("a few");
        kafka.kill(number);
        kafka.start_again(number);
        if severity.brokers > 1 {
            let mut election = kafka.tool("LeaderElectionCommand");
            election.args(["--election-type", "preferred", "--all-topic-partitions"]);
            assert!(election.output().is_ok_and(|output| output.status.success()), "election");
        }
    }
}

/// The seed: the one that is given, or the time.
fn seed() -> u64 {
    let given = env::var(SEED_VARIABLE).map(|seed| seed.parse().expect("a seed is a number"));
    given.unwrap_or_else(|_| wait::now_ms())
}

fn chosen(severity: &Severity) -> Vec<Variant> {
    let given = env::var(PIPES_VARIABLE).unwrap_or_default();
    let given: Vec<_> = given.split(',').filter(|name| !name.is_empty()).collect();
    let named = |name| {
        if given.is_empty() { severity.pipes.contains(&name) } else { given.contains(&name) }
    };
    let mut all = variant::all();
    all.retain(|one| named(one.name) || (given.is_empty() && severity.pipes.is_empty()));
    all
}

/// Feeds the topic `in` with the lines.
fn feed(kafka: &Kafka, file: &Path, lines: &[Line], rate: u64) -> Live {
    let text: String = lines.iter().map(|line| line.text() + "\n").collect();
    fs::write(file, text).expect("a file");
    let mut command = Command::new(kpipe_tests::bin("kprod"));
    command.args(["-b", kafka.address(), "-t", "in", "-q", "--names", lines::NAMES]);
    command.args(["--key-field", "key", "--rate", &rate.to_string()]).arg(file);
    Live::command(command)
}

/// Waits until every line is acknowledged.
fn fed(source: Live) {
    assert!(source.ends_within(3 * wait::LONG), "kprod goes on");
    let _ = source.end().done();
}

/// The topics of these pipes.
fn start(severity: &Severity, variants: &[Variant]) -> Option<Kafka> {
    let topics = |one: &Variant| [format!("out-{}:3", one.name), format!("dead-{}", one.name)];
    let mut topics: Vec<String> = variants.iter().flat_map(topics).collect();
    topics.push("in:3".to_owned());
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    Kafka::cluster(severity.brokers, &topics)
}

fn storm(severity: &Severity) {
    let variants = chosen(severity);
    let Some(kafka) = start(severity, &variants) else { return };
    let seed = seed();
    let mut dice = Dice::new(seed);
    println!("storm: {SEED_VARIABLE}={seed}");
    let lines = lines::lines(severity.lines, severity.keys, &mut dice);
    let folder = tempfile::tempdir().expect("a folder");
    let scenes: Vec<_> =
        variants.iter().map(|variant| Scene::new(&kafka, variant, folder.path())).collect();
    rage(severity, &scenes, &lines, &folder.path().join("lines"), &mut dice);
    let faults: Vec<_> = scenes.iter().flat_map(|scene| scene.faults(&lines)).collect();
    for scene in &scenes {
        println!("{}", scene.report());
        let kills = scene.damage.lock().expect("a count").kills;
        assert!(kills >= KILLS_MIN * severity.rounds, "{kills} kills are no storm");
    }
    if !faults.is_empty() || env::var_os(KEEP_VARIABLE).is_some() {
        scenes.iter().for_each(Scene::keep);
        let folder = folder.keep();
        println!("what came out is in {}", folder.display());
    }
    assert!(faults.is_empty(), "{SEED_VARIABLE}={seed}\n{}", faults.join("\n"));
}

/// Has the storm pass over all pipes, until everything is written.
fn rage(severity: &Severity, scenes: &[Scene<'_>], lines: &[Line], file: &Path, dice: &mut Dice) {
    let kafka = scenes[0].kafka;
    let (lines, late) = lines.split_at(usize::try_from(severity.lines).expect("it fits memory"));
    let time = Duration::from_secs(severity.lines / severity.rate);
    thread::scope(|scope| {
        let source = feed(kafka, file, lines, severity.rate);
        let outage = Dice::new(dice.below(u64::MAX));
        let broker = scope.spawn(move || outages(kafka, severity, time, outage));
        let mut hosts = Vec::new();
        for scene in scenes {
            let events = weather::forecast(severity.rounds, scene.variant.guests, dice);
            hosts.push(scope.spawn(move || scene.endure(&events)));
        }
        let hosts: Vec<_> = hosts.into_iter().map(|host| host.join().expect("it holds")).collect();
        broker.join().expect("brokers come back");
        fed(source);
        scenes.iter().zip(&hosts).for_each(|(scene, host)| scene.until_quiet(host));
        // Now nobody can find a late line in time.
        let source = feed(kafka, file, late, severity.rate);
        for (scene, host) in scenes.iter().zip(&hosts) {
            scene.kill(host, None);
        }
        fed(source);
        for (scene, host) in scenes.iter().zip(hosts) {
            scope.spawn(move || scene.end(host));
        }
    });
}

#[test]
fn a_short_storm_loses_and_doubles_nothing() {
    storm(&Severity {
        brokers: 1,
        lines: 60_000,
        keys: 100,
        rate: 1_200,
        rounds: 1,
        outages: 1,
        pipes: &["running", "tumble", "ranked", "foreign"],
    });
}

/// A long storm over these pipes, as many as two cores bear.
fn long_storm(pipes: &'static [&'static str]) {
    storm(&Severity {
        brokers: 1,
        lines: 300_000,
        keys: 1_000,
        rate: 1_500,
        rounds: 4,
        outages: 3,
        pipes,
    });
}

#[test]
#[ignore = "minutes: make storm"]
fn a_long_storm_loses_and_doubles_nothing_of_totals_and_lines() {
    long_storm(&["running", "each", "totals", "foreign"]);
}

#[test]
#[ignore = "minutes: make storm"]
fn a_long_storm_loses_and_doubles_nothing_of_windows_and_rankings() {
    long_storm(&["tumble", "ranked", "leaders", "twice"]);
}

#[test]
#[ignore = "minutes: make storm"]
fn a_storm_over_three_brokers_loses_and_doubles_nothing() {
    storm(&Severity {
        brokers: 3,
        lines: 150_000,
        keys: 1_000,
        rate: 1_500,
        rounds: 2,
        outages: 4,
        pipes: &["running", "each", "tumble"],
    });
}
