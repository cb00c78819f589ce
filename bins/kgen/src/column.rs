//! The columns of the profile `rows`, as options give them: `user=zipf(1000000,1.1)`.

use std::str::FromStr;

use rand::Rng;
use rand_distr::{Distribution, Normal};

use crate::date::{Dates, Style};
use crate::draw::{Draws, Fraction, whole};
use crate::keys::Spread;
use crate::words::WORDS;

/// What kinds are called, with what they are given.
pub const KINDS: [&str; 10] = [
    "zipf(n,s)",
    "normal(mean,deviation)",
    "uniform(a,b)",
    "seq",
    "choice(a,b,…)",
    "const(x)",
    "words(n)",
    "uuid",
    "time",
    "hex(n)",
];

/// The most words or digits of a value.
const LENGTH_MAX: usize = 1_000;
/// Numbers with decimals are held as whole numbers of their last one, below this.
const GRID_MAX: f64 = 1e15;
/// The first column's stream of draws; those before it are used elsewhere.
const COLUMNS_STREAM: u64 = 16;

/// A column as it was asked for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name: letters, digits and `_`.
    pub name: String,
    /// Whether its value hangs on the row's key, and so is the same for all rows of a key.
    pub by_key: bool,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Number(Spread),
    Normal { normal: Normal<f64>, decimals: u32 },
    Uniform { least: i64, count: u64, decimals: u32 },
    Seq,
    Choice(Vec<String>),
    Words(usize),
    Uuid,
    Time,
    Hex(usize),
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Spec, String> {
        let (name, kind) =
            text.split_once('=').ok_or("a name and a kind, as user=zipf(1000,1.1)")?;
        let (name, by_key) = name.strip_suffix("@key").map_or((name, false), |name| (name, true));
        let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !starts || !name.chars().all(|x| x.is_ascii_alphanumeric() || x == '_') {
            return Err("a name is of letters, digits and _, and no digit is first".to_owned());
        }
        let kind: Kind = kind.parse()?;
        if by_key && matches!(kind, Kind::Seq | Kind::Time) {
            return Err("seq and time are the row's own, and no key's".to_owned());
        }
        Ok(Spec { name: name.to_owned(), by_key, kind })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let (name, given) = match text.split_once('(') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or("a ) is missing")?)),
            None => (text, None),
        };
        let needs = || {
            let known = KINDS.iter().find(|known| known.split('(').next() == Some(name));
            format!("write it as {}", known.unwrap_or(&""))
        };
        let two = || given.and_then(|given| given.split_once(',')).ok_or_else(needs);
        let length = || match given.and_then(|given| given.parse().ok()) {
            Some(length @ 1..=LENGTH_MAX) => Ok(length),
            _ => Err(format!("{}, from 1 to {LENGTH_MAX}", needs())),
        };
        let bare = |kind| if given.is_none() { Ok(kind) } else { Err(needs()) };
        match name {
            "zipf" => {
                let (count, exponent) = two()?;
                let (count, exponent) = (count.trim().parse(), exponent.trim().parse());
                let (Ok(count), Ok(exponent)) = (count, exponent) else { return Err(needs()) };
                Spread::new(count, Some(exponent)).map(Kind::Number)
            }
            "normal" => two().and_then(|(mean, deviation)| normal(mean.trim(), deviation.trim())),
            "uniform" => two().and_then(|(from, to)| uniform(from.trim(), to.trim())),
            "seq" => bare(Kind::Seq),
            "choice" => {
                let values =
                    given.ok_or_else(needs)?.split(',').map(|value| value.trim().to_owned());
                Ok(Kind::Choice(values.collect()))
            }
            "const" => Ok(Kind::Choice(vec![given.ok_or_else(needs)?.to_owned()])),
            "words" => length().map(Kind::Words),
            "uuid" => bare(Kind::Uuid),
            "time" => bare(Kind::Time),
            "hex" => length().map(Kind::Hex),
            _ => Err(unknown(name)),
        }
    }
}

/// Says that there is no such kind, with the nearest one, if any is near.
fn unknown(name: &str) -> String {
    let names = KINDS.map(|kind| kind.split('(').next().unwrap_or(kind));
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    let near = names.into_iter().min_by_key(distance).filter(|known| distance(known) <= 2);
    let near = near.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
    format!("no kind {name}{near}; known are {}", names.join(", "))
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.abs() < GRID_MAX);
    number.ok_or_else(|| format!("{text} is not a number below 10^15"))
}

/// How many decimals a number of this size needs to have so many digits, at most 9.
fn decimals(size: f64, digits: u32) -> u32 {
    let grid = |decimals: &u32| {
        size * 10f64.powi(decimals.cast_signed()) >= 10f64.powi(digits.cast_signed() - 1)
    };
    (0..9).find(grid).unwrap_or(9)
}

fn normal(mean: &str, deviation: &str) -> Result<Kind, String> {
    let (mean, deviation) = (number(mean)?, number(deviation)?);
    let decimals = decimals(deviation, 4);
    let grid = 10f64.powi(decimals.cast_signed());
    match Normal::new(mean * grid, deviation * grid) {
        Ok(normal) if deviation >= 0.0 && mean.abs() * grid < GRID_MAX => {
            Ok(Kind::Normal { normal, decimals })
        }
        _ => Err("a deviation is not negative, nor tiny beside its mean".to_owned()),
    }
}

fn uniform(from: &str, to: &str) -> Result<Kind, String> {
    let reason = || "the numbers of uniform(a,b) go from a less one to a greater one".to_owned();
    if let (Ok(least), Ok(most)) = (from.parse::<i64>(), to.parse::<i64>()) {
        let more = most.checked_sub(least).filter(|more| *more >= 0).ok_or_else(reason)?;
        return Ok(Kind::Uniform { least, count: more.unsigned_abs() + 1, decimals: 0 });
    }
    let (from, to) = (number(from)?, number(to)?);
    let decimals = decimals(to - from, 7);
    let grid = 10f64.powi(decimals.cast_signed());
    let count = whole((to - from) * grid);
    if count <= 0 || from.abs().max(to.abs()) * grid >= GRID_MAX {
        return Err(reason());
    }
    Ok(Kind::Uniform { least: whole(from * grid), count: count.unsigned_abs(), decimals })
}

impl Spec {
    /// Whether JSON writes its values in quotes.
    #[must_use]
    pub fn quoted(&self) -> bool {
        match &self.kind {
            Kind::Number(_) | Kind::Normal { .. } | Kind::Uniform { .. } | Kind::Seq => false,
            Kind::Choice(values) => !values.iter().all(|value| is_json_number(value)),
            Kind::Words(_) | Kind::Uuid | Kind::Time | Kind::Hex(_) => true,
        }
    }

    /// Whether it shows the time of the row.
    #[must_use]
    pub fn is_time(&self) -> bool {
        matches!(self.kind, Kind::Time)
    }

    /// The texts that it chooses from, which may need an escape; those of other kinds do not.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        match &self.kind {
            Kind::Choice(values) => values,
            _ => &[],
        }
    }
}

fn is_json_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}

/// The values of a column.
#[derive(Debug)]
pub struct Values {
    kind: Kind,
    draws: Draws<2>,
    dates: Dates,
    /// Which text was chosen last.
    chosen: usize,
}

impl Values {
    /// The values of the column `at`, from 0, for a seed; `texts` instead of its own ones, as the
    /// form shows them.
    #[must_use]
    pub fn new(seed: u64, at: u64, spec: &Spec, texts: Vec<String>) -> Values {
        let kind = match &spec.kind {
            Kind::Choice(_) => Kind::Choice(texts),
            kind => kind.clone(),
        };
        let draws = Draws::new(seed, COLUMNS_STREAM + at);
        Values { kind, draws, dates: Dates::new(Style::Rfc3339), chosen: 0 }
    }

    /// Which of its texts was chosen for the value that was written last.
    #[must_use]
    pub fn chosen(&self) -> usize {
        self.chosen
    }

    /// Appends the value of `row`, which has the time `ms`, as drawn for `number`: that of the row
    /// or of its key.
    #[inline]
    pub fn write(&mut self, row: u64, number: u64, ms: i64, out: &mut Vec<u8>) {
        let [mut draw, second] = match &self.kind {
            Kind::Seq | Kind::Time => [Fraction::default(); 2],
            _ => self.draws.of_row(number),
        };
        match &self.kind {
            Kind::Number(spread) => write_whole(spread.draw(draw), out),
            Kind::Normal { normal, decimals } => {
                write_decimal(whole(normal.sample(&mut draw.rng())), *decimals, out);
            }
            Kind::Uniform { least, count, decimals } => {
                write_decimal(least.wrapping_add_unsigned(draw.below(*count)), *decimals, out);
            }
            Kind::Seq => write_whole(row, out),
            Kind::Choice(texts) => {
                self.chosen = draw.index(texts.len());
                out.extend_from_slice(texts[self.chosen].as_bytes());
            }
            Kind::Words(count) => write_words(*count, draw, out),
            Kind::Uuid => write_uuid(draw, second, out),
            Kind::Time => self.dates.write(ms, out),
            Kind::Hex(count) => write_hex(*count, draw, second, out),
        }
    }
}

fn write_whole(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number of which `grid` is the whole number of its last decimals.
fn write_decimal(grid: i64, decimals: u32, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    if decimals == 0 {
        out.extend_from_slice(buffer.format(grid).as_bytes());
        return;
    }
    if grid < 0 {
        out.push(b'-');
    }
    let one = 10_u64.pow(decimals);
    let grid = grid.unsigned_abs();
    out.extend_from_slice(buffer.format(grid / one).as_bytes());
    out.push(b'.');
    // A one in front keeps the zeros behind it.
    out.extend_from_slice(&buffer.format(one + grid % one).as_bytes()[1..]);
}

fn write_words(count: usize, draw: Fraction, out: &mut Vec<u8>) {
    let mut rng = draw.rng();
    for at in 0..count {
        if at > 0 {
            out.push(b' ');
        }
        let [word, ..] = rng.next_u64().to_le_bytes();
        out.extend_from_slice(WORDS[usize::from(word) % WORDS.len()].as_bytes());
    }
}

/// Appends a random UUID (RFC 9562, version 4).
fn write_uuid(first: Fraction, second: Fraction, out: &mut Vec<u8>) {
    let high = first.bits() & !0xf000 | 0x4000;
    let low = second.bits() & !(0b11 << 62) | (0b10 << 62);
    let mut digits = [0; 32];
    digits[..16].copy_from_slice(&hex(high));
    digits[16..].copy_from_slice(&hex(low));
    let mut rest = &digits[..];
    for (at, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if at > 0 {
            out.push(b'-');
        }
        let (group, behind) = rest.split_at(length);
        out.extend_from_slice(group);
        rest = behind;
    }
}

fn write_hex(count: usize, first: Fraction, second: Fraction, out: &mut Vec<u8>) {
    let end = out.len() + count;
    out.extend_from_slice(&hex(first.bits()));
    if count > 16 {
        out.extend_from_slice(&hex(second.bits()));
        let mut rng = first.rng();
        while out.len() < end {
            out.extend_from_slice(&hex(rng.next_u64()));
        }
    }
    out.truncate(end);
}

/// The digits of a number, the highest first.
fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    digits
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chi_square::{assert_shares, assert_uniform};
    use crate::keys::tests::zipf_shares;

    const ROWS: u64 = 100_000;

    fn spec(kind: &str) -> Spec {
        format!("x={kind}").parse().expect("a column")
    }

    fn values(kind: &str) -> Vec<String> {
        let spec = spec(kind);
        let mut values = Values::new(5, 0, &spec, spec.texts().to_vec());
        let value = |row| {
            let mut out = Vec::new();
            values.write(row, row, 1_735_689_600_000, &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        (0..ROWS).map(value).collect()
    }

    fn counts(values: &[String], count: usize, class: impl Fn(&str) -> usize) -> Vec<u32> {
        let mut counts = vec![0; count];
        for value in values {
            counts[class(value)] += 1;
        }
        counts
    }

    fn number(text: &str) -> usize {
        text.parse().expect("a number")
    }

    #[test]
    fn whole_numbers_and_decimals_are_uniform() {
        let dice = values("uniform(1,6)");
        assert_uniform("dice", &counts(&dice, 6, |value| number(value) - 1));
        let below_zero = values("uniform(-3,3)");
        let class = |value: &str| usize::try_from(value.parse::<i64>().expect("whole") + 3);
        assert_uniform("around zero", &counts(&below_zero, 7, |value| class(value).expect("few")));
        let decimals = values("uniform(-0.5,0.5)");
        let class = |value: &str| {
            (0..100)
                .rev()
                .find(|at| value.parse::<f64>().expect("a number") >= f64::from(*at) / 100.0 - 0.5)
        };
        let class = |value: &str| usize::try_from(class(value).expect("in range")).expect("few");
        assert_uniform("decimals", &counts(&decimals, 100, class));
        assert!(decimals.iter().all(|value| value.split_once('.').expect("one").1.len() == 6));
    }

    #[test]
    fn ranks_of_zipf_come_as_often_as_its_law_says() {
        let ranks = counts(&values("zipf(50,1.1)"), 50, |value| number(value) - 1);
        assert_shares("ranks", &ranks, &zipf_shares(50, 1.1));
    }

    /// The share of a normal distribution below `x` deviations, by Simpson's rule from -8 on.
    fn below(x: f64) -> f64 {
        let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
        let width = (x + 8.0) / 2_000.0;
        let at = |step: i32| density(-8.0 + width * f64::from(step));
        let sum: f64 = (0..1_000).map(|k| at(2 * k) + 4.0 * at(2 * k + 1) + at(2 * k + 2)).sum();
        sum * width / 3.0
    }

    #[test]
    fn a_normal_column_is_close_to_its_law() {
        let mut numbers: Vec<f64> =
            values("normal(100,15)").iter().map(|value| value.parse().expect("a number")).collect();
        numbers.sort_by(f64::total_cmp);
        let count = f64::from(u32::try_from(ROWS).expect("few"));
        let off = |(at, number): (u32, &f64)| {
            let share = below((number - 100.0) / 15.0);
            (share - f64::from(at) / count).abs().max((share - f64::from(at + 1) / count).abs())
        };
        let most = (0..).zip(&numbers).map(off).fold(0.0, f64::max);
        // Kolmogorov and Smirnov: by chance it is more in one of 10^5 samples. The grid of a
        // hundredth adds less than 0.0002.
        assert!(most < 2.47 / count.sqrt() + 0.0002, "off by {most}");
    }

    #[test]
    fn normal_numbers_have_the_decimals_that_their_deviation_needs() {
        let decimals = |kind: &str| values(kind)[0].split_once('.').map_or(0, |(_, x)| x.len());
        assert_eq!(decimals("normal(100,15)"), 2);
        assert_eq!(decimals("normal(0,0.001)"), 6);
        assert_eq!(decimals("normal(1e6,12345)"), 0);
        assert!(values("normal(5,0)").iter().all(|value| value.parse() == Ok(5.0)));
    }

    #[test]
    fn choices_words_and_digits_are_uniform() {
        let letters = ["a", "b", "c"];
        let place = |value: &str| letters.iter().position(|letter| *letter == value);
        let choices = values("choice(a, b,c)");
        assert_uniform("choice", &counts(&choices, 3, |value| place(value).expect("known")));
        let word = |value: &str| WORDS.iter().position(|word| *word == value).expect("known");
        for at in 0..2 {
            let nth = |value: &str| word(value.split(' ').nth(at).expect("two words"));
            assert_uniform("words", &counts(&values("words(2)"), WORDS.len(), nth));
        }
        for (at, kind) in [(0, "hex(1)"), (15, "hex(16)"), (16, "hex(40)"), (39, "hex(40)")] {
            let digit = |value: &str| usize::from_str_radix(&value[at..=at], 16).expect("a digit");
            assert_uniform(kind, &counts(&values(kind), 16, digit));
        }
        assert!(values("hex(7)").iter().all(|value| value.len() == 7));
    }

    #[test]
    fn uuids_are_random_and_say_so() {
        let uuids = values("uuid");
        let different: std::collections::HashSet<_> = uuids.iter().collect();
        assert_eq!(different.len(), uuids.len());
        for uuid in &uuids {
            let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert!(&uuid[14..15] == "4" && "89ab".contains(&uuid[19..20]), "{uuid}");
        }
        for at in [0, 13, 15, 35] {
            if at != 13 {
                let digit = |value: &str| usize::from_str_radix(&value[at..=at], 16).expect("hex");
                assert_uniform("digits", &counts(&uuids, 16, digit));
            }
        }
    }

    #[test]
    fn what_is_the_rows_own_is_not_drawn() {
        assert_eq!(values("seq")[7], "7");
        assert_eq!(values("time")[7], "2025-01-01T00:00:00.000Z");
        assert_eq!(values("const(a, b)")[7], "a, b");
    }

    #[test]
    fn what_is_no_column_is_refused_with_what_is_meant() {
        let refused = |text: &str| text.parse::<Spec>().expect_err("refused");
        assert!(refused("x=zip(5,1)").starts_with("no kind zip, did you mean zipf?; known are"));
        assert!(refused("x=quux").starts_with("no kind quux; known are"));
        assert_eq!(refused("x=zipf(5)"), "write it as zipf(n,s)");
        assert_eq!(refused("x=seq(5)"), "write it as seq");
        assert_eq!(refused("x=hex(0)"), "write it as hex(n), from 1 to 1000");
        assert_eq!(refused("x=words"), "write it as words(n), from 1 to 1000");
        assert_eq!(refused("x=normal(1,2"), "a ) is missing");
        let more = ["x", "=seq", "1x=seq", "a b=seq", "x@key=time", "x=uniform(5,1)"];
        let more = more.iter().chain(&["x=uniform(a,b)", "x=normal(0,-1)", "x=zipf(0,1)"]);
        more.for_each(|text| drop(refused(text)));
    }
}
