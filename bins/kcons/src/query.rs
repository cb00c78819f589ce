//! The questions of kcat's `-Q`: which offset has which time.

use topic::consumer::Partition;
use topic::flags::topic_name;

use crate::start::Moment;

/// A question `TOPIC:PARTITION:TIME`; -1 asks for the end and -2 for the beginning. It is asked
/// with the time in milliseconds, when it is `now`.
///
/// # Errors
/// When it is none.
pub(crate) fn read(text: &str, now: i64) -> Result<(Partition, i64), String> {
    let mut parts = text.splitn(3, ':');
    let (Some(topic), Some(number), Some(time)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("with -Q, a topic is TOPIC:PARTITION:TIME".to_owned());
    };
    let topic = topic_name(topic)?;
    let number = number.parse().ok().filter(|&number: &i32| number >= 0);
    let number = number.ok_or("a partition is a number")?;
    let ms = match time {
        "-1" | "-2" => time.parse().map_err(|_| "a time is missing")?,
        time => time.parse::<Moment>()?.ms(now),
    };
    Ok((Partition { topic, number }, ms))
}

/// The answer as kcat writes it; without a record of that time or later, it is the end, -1.
pub(crate) fn answer(partition: &Partition, offset: Option<i64>) -> String {
    format!("{partition} offset {}\n", offset.unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_topic_a_partition_and_a_time() {
        let partition = Partition { topic: "t".to_owned(), number: 3 };
        assert_eq!(read("t:3:-1", 0), Ok((partition.clone(), -1)));
        assert_eq!(read("t:3:1970-01-01T00:00:01Z", 0), Ok((partition.clone(), 1_000)));
        assert_eq!(read("t:3:-2h", 7_200_005), Ok((partition.clone(), 5)));
        for bad in ["t", "t:3", "t:x:1", "t:-1:1", ":0:1", "t:3:soon", "t:3:-3"] {
            assert!(read(bad, 0).is_err(), "{bad}");
        }
        assert_eq!(answer(&partition, Some(7)), "t [3] offset 7\n");
        assert_eq!(answer(&partition, None), "t [3] offset -1\n");
    }
}
