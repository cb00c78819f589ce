//! A record as the output forms see it.

/// A record with everything that may be printed of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct View<'a> {
    /// The topic's name.
    pub(crate) topic: &'a str,
    /// The partition's number.
    pub(crate) partition: i32,
    /// The offset in the partition.
    pub(crate) offset: i64,
    /// Milliseconds since the epoch, and whether the broker set them.
    pub(crate) timestamp: Option<(i64, bool)>,
    /// The key, `None` for null.
    pub(crate) key: Option<&'a [u8]>,
    /// The value, `None` for null.
    pub(crate) value: Option<&'a [u8]>,
    /// Names, and values that may be null.
    pub(crate) headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
    /// The epoch of the partition's leader, where it is known.
    pub(crate) leader_epoch: Option<i32>,
}

/// Appends a number in decimal.
pub(crate) fn number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
