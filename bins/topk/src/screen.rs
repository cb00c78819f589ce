//! A table that is drawn again and again in the same place of a terminal.

/// Where the cursor stands; at first nothing was drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Screen {
    /// Lines of the last table, above the cursor; 0 when it is to stay.
    lines: usize,
}

impl Screen {
    /// Appends what draws `table`, of `lines` lines, in the place of the last one. With `stays`
    /// the next one goes below it.
    pub fn draw(&mut self, table: &[u8], lines: usize, stays: bool, out: &mut Vec<u8>) {
        out.push(b'\r');
        if self.lines > 0 {
            out.extend_from_slice(format!("\x1b[{}A", self.lines).as_bytes());
        }
        for line in table.split_inclusive(|&byte| byte == b'\n') {
            out.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
            // Clearing what is left of a line, and not the screen first, does not flicker.
            out.extend_from_slice(b"\x1b[K\n");
        }
        out.extend_from_slice(b"\x1b[J");
        self.lines = if stays { 0 } else { lines };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(screen: &mut Screen, table: &str, stays: bool) -> String {
        let mut out = Vec::new();
        screen.draw(table.as_bytes(), table.lines().count(), stays, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_table_takes_the_place_of_the_last_one_unless_that_stays() {
        let mut screen = Screen::default();
        assert_eq!(drawn(&mut screen, "a\nb\n", false), "\ra\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(drawn(&mut screen, "c\n", true), "\r\x1b[2Ac\x1b[K\n\x1b[J");
        assert_eq!(drawn(&mut screen, "d\n", false), "\rd\x1b[K\n\x1b[J");
    }
}
