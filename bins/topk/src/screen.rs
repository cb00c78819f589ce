//! A table that is drawn again and again in the same place of a terminal.

/// Where the cursor stands, and how the table looks.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Whether the names are bold.
    bold: bool,
    /// Lines of the last table, above the cursor; 0 when it is to stay.
    lines: usize,
}

impl Screen {
    /// A screen on which nothing was drawn.
    #[must_use]
    pub fn new(bold: bool) -> Screen {
        Screen { bold, lines: 0 }
    }

    /// Appends what draws `table`, of `lines` lines, in the place of the last one. With `stays`
    /// the next one goes below it.
    pub fn draw(&mut self, table: &[u8], lines: usize, stays: bool, out: &mut Vec<u8>) {
        out.push(b'\r');
        if self.lines > 0 {
            out.extend_from_slice(format!("\x1b[{}A", self.lines).as_bytes());
        }
        for (at, line) in table.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let bold = self.bold && at == 0;
            out.extend_from_slice(if bold { b"\x1b[1m" } else { b"" });
            out.extend_from_slice(text);
            out.extend_from_slice(if bold { b"\x1b[0m" } else { b"" });
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
        let mut screen = Screen::new(false);
        assert_eq!(drawn(&mut screen, "a\nb\n", false), "\ra\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(drawn(&mut screen, "c\n", true), "\r\x1b[2Ac\x1b[K\n\x1b[J");
        assert_eq!(drawn(&mut screen, "d\n", false), "\rd\x1b[K\n\x1b[J");
    }

    #[test]
    fn the_names_may_be_bold() {
        let bold = drawn(&mut Screen::new(true), "a\nb\n", false);
        assert_eq!(bold, "\r\x1b[1ma\x1b[0m\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
