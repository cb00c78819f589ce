//! Rankings between the marks of a marked stream, or on a terminal.

use pipe::mark::Partition;
use pipe::outlet::Outlet;

use crate::ranking::Ranked;
use crate::screen::Screen;
use crate::sheet::Sheet;

/// Lines of a terminal that are not for rows of a ranking: the names and the cursor.
const SPARE_LINES: usize = 2;

/// Rankings as bytes.
#[derive(Debug)]
pub struct Output {
    /// Not known before the first row.
    sheet: Option<Sheet>,
    /// The terminal that tables are drawn on in place.
    screen: Option<Screen>,
    /// Whether the names of a table are bold.
    bold: bool,
    /// Columns and rows of the terminal.
    size: Option<(usize, usize)>,
    /// Whether marks may be written.
    markable: bool,
    /// Whether a ranking was written.
    begun: bool,
    /// How many rows were written.
    rows: u64,
    /// What is written, with the marks.
    pub stream: Outlet,
}

impl Output {
    /// An output that draws on `screen`, else writes; a table has `bold` names; marks only when it
    /// is `markable`.
    #[must_use]
    pub fn new(screen: Option<Screen>, bold: bool, markable: bool) -> Output {
        Output {
            sheet: None,
            screen,
            bold,
            size: None,
            markable,
            begun: false,
            rows: 0,
            stream: Outlet::default(),
        }
    }

    /// Writes rankings on `sheet` from now on.
    pub fn begin(&mut self, mut sheet: Sheet) {
        if self.bold {
            sheet.embolden();
        }
        self.sheet = Some(sheet);
    }

    /// The terminal has this many columns and rows.
    pub fn resize(&mut self, size: Option<(usize, usize)>) {
        self.size = size;
    }

    /// How many rows of rankings were written, in all; those drawn in place each time.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether tables are drawn in place.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.screen.is_some()
    }

    /// The stream is marked: writes marks, unless the form is for people.
    pub fn write_marks(&mut self) {
        if self.markable {
            self.stream.open();
        }
    }

    /// The number by which rows say that they come from `at`.
    pub fn number_of(&mut self, at: &Partition) -> u32 {
        u32::try_from(self.stream.number_of(at)).unwrap_or(u32::MAX)
    }

    /// Writes a ranking. On a terminal it takes the place of the one before, and stays when it
    /// will not change any more.
    pub fn ranking(&mut self, ranking: &[Ranked<'_>], stays: bool) {
        if self.screen.is_some() {
            self.draw(ranking, stays);
            return;
        }
        let Some(sheet) = self.sheet.as_mut().filter(|_| !ranking.is_empty()) else { return };
        if let Some(number) = lowest(self.stream.partitions(), ranking) {
            self.stream.from(number);
        }
        match (self.begun, sheet.is_table()) {
            (true, true) => self.stream.bytes.push(b'\n'),
            (true, false) => {}
            (false, _) => sheet.header(&mut self.stream.bytes),
        }
        self.begun = true;
        self.rows += ranking.len() as u64;
        let lines = sheet.write(ranking, None, &mut self.stream.bytes);
        self.stream.count(lines as u64);
    }

    fn draw(&mut self, ranking: &[Ranked<'_>], stays: bool) {
        let (Some(sheet), Some(screen)) = (&mut self.sheet, &mut self.screen) else { return };
        // What has scrolled away cannot be drawn over.
        let most = self.size.map_or(usize::MAX, |(_, rows)| rows.saturating_sub(SPARE_LINES));
        let shown = if stays { ranking } else { &ranking[..ranking.len().min(most)] };
        self.rows += shown.len() as u64;
        // A letter in the last column would be wiped out by what clears the rest of the line.
        let width = self.size.map(|(columns, _)| columns.saturating_sub(1));
        let mut table = Vec::new();
        let lines = sheet.write(shown, width, &mut table);
        screen.draw(&table, lines, stays, &mut self.stream.bytes);
    }
}

/// The number of the lowest partition that rows of a ranking come from.
fn lowest(partitions: &[Partition], ranking: &[Ranked<'_>]) -> Option<usize> {
    let numbers = ranking.iter().filter_map(|row| row.partition.map(|number| number as usize));
    numbers.min_by_key(|&number| partitions.get(number))
}
