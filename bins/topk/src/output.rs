//! Rankings between the marks of a marked stream, or on a terminal.

use pipe::mark::{Mark, Partition};

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
    /// Columns and rows of the terminal.
    size: Option<(usize, usize)>,
    /// Whether marks may be written.
    markable: bool,
    marks: Option<Marks>,
    /// The partitions seen so far; rows say theirs by its place here.
    partitions: Vec<Partition>,
    /// Whether a ranking was written.
    begun: bool,
    /// Data lines written since they were counted last.
    lines: u64,
    /// The bytes that were written and not taken yet.
    bytes: Vec<u8>,
}

/// What is known of a marked stream.
#[derive(Debug, Default)]
struct Marks {
    /// The partition that rows are said to come from.
    from: Option<Partition>,
}

impl Output {
    /// An output that draws on `screen`, else writes; marks only when it is `markable`.
    #[must_use]
    pub fn new(screen: Option<Screen>, markable: bool) -> Output {
        Output {
            sheet: None,
            screen,
            size: None,
            markable,
            marks: None,
            partitions: Vec::new(),
            begun: false,
            lines: 0,
            bytes: Vec::new(),
        }
    }

    /// Writes rankings on `sheet` from now on.
    pub fn begin(&mut self, sheet: Sheet) {
        self.sheet = Some(sheet);
    }

    /// The terminal has this many columns and rows.
    pub fn resize(&mut self, size: Option<(usize, usize)>) {
        self.size = size;
    }

    /// The bytes written so far.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether tables are drawn in place.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.screen.is_some()
    }

    /// The stream is marked: writes marks, unless the form is for people.
    pub fn write_marks(&mut self) {
        if self.markable {
            self.marks = Some(Marks::default());
        }
    }

    /// Passes a mark on.
    pub fn mark(&mut self, line: &[u8]) {
        if self.marks.is_some() {
            self.bytes.extend_from_slice(line);
            self.bytes.push(b'\n');
        }
    }

    /// Writes a mark of this stage.
    pub fn own_mark(&mut self, mark: &Mark) {
        if self.marks.is_some() {
            mark.write(&mut self.bytes);
        }
    }

    /// The number by which rows say that they come from `at`.
    pub fn number_of(&mut self, at: &Partition) -> u32 {
        let known = self.partitions.iter().position(|known| known == at);
        let place = known.unwrap_or_else(|| {
            self.partitions.push(at.clone());
            self.partitions.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// The partition of a number.
    #[must_use]
    pub fn partition(&self, number: u32) -> Option<&Partition> {
        self.partitions.get(number as usize)
    }

    /// How many partitions have a number.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    /// Only `assigned` have numbers from now on, in their order. Where rows were said to come from
    /// is forgotten, as the next stage does.
    pub fn assign(&mut self, assigned: &[Partition]) {
        self.partitions = assigned.to_vec();
        self.partitions.sort_unstable();
        self.partitions.dedup();
        self.lines = 0;
        if let Some(marks) = &mut self.marks {
            marks.from = None;
        }
    }

    /// How many data lines were written since this was asked last.
    pub fn take_lines(&mut self) -> u64 {
        std::mem::take(&mut self.lines)
    }

    /// Writes a ranking. On a terminal it takes the place of the one before, and stays when it
    /// will not change any more.
    pub fn ranking(&mut self, ranking: &[Ranked<'_>], stays: bool) {
        if self.screen.is_some() {
            self.draw(ranking, stays);
            return;
        }
        let Some(sheet) = self.sheet.as_mut().filter(|_| !ranking.is_empty()) else { return };
        if let Some(marks) = &mut self.marks {
            marks.write_from(&self.partitions, ranking, &mut self.bytes);
        }
        match (self.begun, sheet.is_table()) {
            (true, true) => self.bytes.push(b'\n'),
            (true, false) => {}
            (false, _) => sheet.header(&mut self.bytes),
        }
        self.begun = true;
        self.lines += sheet.write(ranking, None, &mut self.bytes) as u64;
    }

    fn draw(&mut self, ranking: &[Ranked<'_>], stays: bool) {
        let (Some(sheet), Some(screen)) = (&mut self.sheet, &mut self.screen) else { return };
        // What has scrolled away cannot be drawn over.
        let most = self.size.map_or(usize::MAX, |(_, rows)| rows.saturating_sub(SPARE_LINES));
        let shown = if stays { ranking } else { &ranking[..ranking.len().min(most)] };
        // A letter in the last column would be wiped out by what clears the rest of the line.
        let width = self.size.map(|(columns, _)| columns.saturating_sub(1));
        let mut table = Vec::new();
        let lines = sheet.write(shown, width, &mut table);
        screen.draw(&table, lines, stays, &mut self.bytes);
    }
}

impl Marks {
    /// Says where the rows of a ranking come from, unless it was said before: the lowest of
    /// their partitions.
    fn write_from(&mut self, partitions: &[Partition], ranking: &[Ranked<'_>], out: &mut Vec<u8>) {
        let partition = |row: &Ranked<'_>| partitions.get(row.partition? as usize);
        let lowest = ranking.iter().filter_map(partition).min();
        if let Some(at) = lowest.filter(|&at| self.from.as_ref() != Some(at)) {
            Mark::From { at: at.clone(), offset: None }.write(out);
            self.from = Some(at.clone());
        }
    }
}
