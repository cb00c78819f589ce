//! The messages of logs: fixed words with random numbers between them.

use crate::draw::Fraction;

/// A message of an application: who says it, and what.
///
/// A name in braces is a number: `{id}` 1000 to 9999, `{ms}` 20 to 4999, `{n}` 1 to 99, `{ip}` 1
/// to 254. Neither quotes nor commas occur, so that no form has to escape anything.
pub struct Message {
    /// The service.
    pub service: &'static str,
    /// The text with its numbers in braces.
    pub text: &'static str,
}

const fn message(service: &'static str, text: &'static str) -> Message {
    Message { service, text }
}

/// How bad a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may fail.
    Warn,
    /// All is well.
    Info,
}

impl Level {
    /// All levels.
    pub const ALL: [Level; 3] = [Level::Error, Level::Warn, Level::Info];

    /// The level as logs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
        }
    }

    /// What the services of a shop say at this level.
    #[must_use]
    pub const fn messages(self) -> &'static [Message] {
        match self {
            Level::Error => &ERRORS,
            Level::Warn => &WARNINGS,
            Level::Info => &INFOS,
        }
    }

    /// What a web server says at this level, by any of its modules.
    #[must_use]
    pub const fn apache_texts(self) -> &'static [&'static str] {
        match self {
            Level::Error => &APACHE_ERRORS,
            Level::Warn => &APACHE_WARNINGS,
            Level::Info => &APACHE_INFOS,
        }
    }
}

const ERRORS: [Message; 9] = [
    message("payment", "order {id} timed out"),
    message("payment", "card of order {id} declined by bank {n}"),
    message("inventory", "no stock of item {id} in warehouse {n}"),
    message("shipping", "label for order {id} failed after {n} tries"),
    message("auth", "token of user {id} has a bad signature"),
    message("gateway", "upstream cart refused the connection after {ms} ms"),
    message("database", "deadlock on table orders between sessions {id} and {id}"),
    message("search", "shard {n} is not reachable"),
    message("mail", "receipt of order {id} bounced"),
];

const WARNINGS: [Message; 9] = [
    message("payment", "order {id} retried after {ms} ms"),
    message("inventory", "only {n} left of item {id}"),
    message("shipping", "carrier answered in {ms} ms"),
    message("auth", "user {id} failed to log in {n} times"),
    message("gateway", "rate limit of client {id} reached"),
    message("database", "slow query took {ms} ms"),
    message("search", "index is {n} s behind"),
    message("cache", "{n} % of memory used"),
    message("cart", "session {id} was restored from a backup"),
];

const INFOS: [Message; 14] = [
    message("payment", "order {id} paid in {ms} ms"),
    message("payment", "refund for order {id} sent"),
    message("inventory", "item {id} restocked by {n}"),
    message("shipping", "order {id} handed to carrier {n}"),
    message("auth", "user {id} logged in"),
    message("auth", "user {id} logged out"),
    message("gateway", "GET /items/{id} 200 in {ms} ms"),
    message("gateway", "POST /orders 201 in {ms} ms"),
    message("database", "checkpoint of {n} pages took {ms} ms"),
    message("search", "{n} hits for query {id} in {ms} ms"),
    message("cache", "evicted {n} entries"),
    message("cart", "user {id} put {n} of item {id} into the cart"),
    message("cart", "user {id} emptied the cart"),
    message("mail", "receipt of order {id} sent"),
];

const APACHE_ERRORS: [&str; 6] = [
    "File does not exist: /var/www/html/img/{id}.png",
    "Directory index forbidden by rule: /var/www/html/img{n}/",
    "script not found or unable to stat: /var/www/cgi-bin/form{n}",
    "user u{id} not found: /admin",
    "Invalid method in request {id}",
    "mod_jk child workerEnv in error state {n}",
];

const APACHE_WARNINGS: [&str; 4] = [
    "request took {ms} ms: /search/{id}",
    "child process {id} still did not exit and gets a SIGTERM",
    "{n} idle children and spawning more",
    "mod_jk worker{n} is busy for {ms} ms",
];

const APACHE_INFOS: [&str; 5] = [
    "jk2_init() Found child {id} in scoreboard slot {n}",
    "workerEnv.init() ok /etc/httpd/conf/workers{n}.properties",
    "Connection to child {n} established",
    "GET /items/{id} took {ms} ms",
    "Digest: generated secret {id} for user u{id}",
];

/// A random number in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    least: u64,
    count: u64,
}

impl Slot {
    fn named(name: &str) -> Option<Slot> {
        let (least, count) = match name {
            "id" => (1_000, 9_000),
            "ms" => (20, 4_980),
            "n" => (1, 99),
            "ip" => (1, 254),
            _ => return None,
        };
        Some(Slot { least, count })
    }
}

/// A message cut at its numbers.
#[derive(Clone, Debug)]
pub struct Template {
    head: String,
    /// Each number, and the text behind it.
    rest: Vec<(Slot, String)>,
}

impl Template {
    /// The template of `text` between `before` and `after`, in which braces mean nothing.
    #[must_use]
    pub fn new(before: &str, text: &str, after: &str) -> Template {
        let mut template = Template { head: before.to_owned(), rest: Vec::new() };
        let mut tail = text;
        while let Some((words, slot, behind)) = next_slot(tail) {
            template.last_text().push_str(words);
            template.rest.push((slot, String::new()));
            tail = behind;
        }
        template.last_text().push_str(tail);
        template.last_text().push_str(after);
        template
    }

    fn last_text(&mut self) -> &mut String {
        self.rest.last_mut().map_or(&mut self.head, |(_, text)| text)
    }

    /// Appends the message with numbers from `draw`.
    #[inline]
    pub fn write(&self, mut draw: Fraction, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_bytes());
        for (slot, text) in &self.rest {
            let number = slot.least + draw.below(slot.count);
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// What stands before the next name in braces, its slot, and what stands behind.
fn next_slot(text: &str) -> Option<(&str, Slot, &str)> {
    let (words, rest) = text.split_once('{')?;
    let (name, behind) = rest.split_once('}')?;
    Some((words, Slot::named(name)?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draws;

    fn all_texts() -> impl Iterator<Item = &'static str> {
        let shop = Level::ALL.into_iter().flat_map(Level::messages).map(|message| message.text);
        shop.chain(Level::ALL.into_iter().flat_map(Level::apache_texts).copied())
    }

    #[test]
    fn no_text_needs_an_escape_and_every_slot_is_known() {
        for text in all_texts() {
            assert!(!text.contains(['"', ',', '\\', '\n']), "{text}");
            let mut out = Vec::new();
            let [draw] = Draws::new(1, 0).of_row(0);
            Template::new("", text, "").write(draw, &mut out);
            assert!(!out.contains(&b'{') && !out.contains(&b'}'), "{text}");
        }
    }

    #[test]
    fn numbers_stay_in_their_range_between_the_words() {
        let template = Template::new("{\"m\":\"", "a {id} b {n}", "\"}\n");
        for row in 0..100_000 {
            let [draw] = Draws::new(1, 0).of_row(row);
            let mut out = Vec::new();
            template.write(draw, &mut out);
            let text = String::from_utf8(out).expect("ASCII");
            let inner = text.strip_prefix("{\"m\":\"a ").and_then(|t| t.strip_suffix("\"}\n"));
            let (id, n) = inner.and_then(|inner| inner.split_once(" b ")).expect("the words");
            assert!((1_000..10_000).contains(&id.parse().expect("a number")), "{text}");
            assert!((1..100).contains(&n.parse().expect("a number")), "{text}");
        }
    }
}
