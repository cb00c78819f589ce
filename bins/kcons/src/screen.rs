//! What a terminal gets to see: no control bytes of the data, which could move its cursor, set
//! its title or type into it.

/// Replaces the control bytes of `out` from `start` on by `\xNN`, but for newlines and tabs.
pub(crate) fn escape(out: &mut Vec<u8>, start: usize) {
    if !controls(&out[start..]) {
        return;
    }
    let raw = out.split_off(start);
    let mut rest = raw.as_slice();
    while let [byte, after @ ..] = rest {
        match (byte, after.first()) {
            (b'\n' | b'\t', _) => out.push(*byte),
            (0..=0x1f | 0x7f, _) => hex(*byte, out),
            // The controls of ISO 8859-1 in UTF-8, which some terminals obey too.
            (0xc2, Some(0x80..=0x9f)) => {
                hex(0xc2, out);
                hex(after[0], out);
                rest = &after[1..];
                continue;
            }
            _ => out.push(*byte),
        }
        rest = after;
    }
}

fn controls(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, 0..=0x08 | 0x0b..=0x1f | 0x7f | 0xc2))
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\x");
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_spelt_out_and_text_stays() {
        let mut out = b"\x1b[before".to_vec();
        out.extend_from_slice("\x1b]0;x\x07é\t\u{9b}°\r\n".as_bytes());
        escape(&mut out, 8);
        let wanted = "\x1b[before\\x1b]0;x\\x07é\t\\xc2\\x9b°\\x0d\n";
        assert_eq!(String::from_utf8(out), Ok(wanted.to_owned()));
    }
}
