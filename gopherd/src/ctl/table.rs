//! Tables of aligned columns. Where the line ends, the last column is cut, or goes on below itself.

use super::clean;
use super::look::{Look, Tone};
use comfy_table::{Attribute, CellAlignment, ColumnConstraint, ContentArrangement, Row, presets};

/// The last column is not made narrower than this before the others are.
const LEAST_LAST: u16 = 12;

/// Blanks between two columns.
const GAP: u16 = 2;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// Text, from the left.
    Text(&'static str),
    /// Numbers, to the right.
    Number(&'static str),
}

/// What is in one place of a table; made harmless for a terminal.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self::toned(Tone::Plain, text)
    }

    pub(super) fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: clean::inline(text.as_ref()).into_owned(), tone }
    }
}

/// The table, one line a row.
pub(super) fn table(look: &Look, columns: &[Column], rows: Vec<Vec<Cell>>) -> String {
    arranged(look, columns, rows, one_line)
}

/// The table with nothing cut: what does not fit goes on in the next line of its column.
pub(super) fn whole(look: &Look, columns: &[Column], rows: Vec<Vec<Cell>>) -> String {
    arranged(look, columns, rows, Row::from)
}

fn arranged(
    look: &Look,
    columns: &[Column],
    rows: Vec<Vec<Cell>>,
    line: fn(Vec<comfy_table::Cell>) -> Row,
) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING).force_no_tty().set_truncation_indicator("…");
    table.style_text_only();
    if look.colour {
        table.enforce_styling();
    }
    let titles = columns.iter().map(|column| match column {
        Column::Text(title) | Column::Number(title) => {
            comfy_table::Cell::new(title).add_attribute(Attribute::Bold)
        }
    });
    table.set_header(line(titles.collect()));
    for row in rows {
        let cells = row.into_iter().map(|Cell { text, tone }| {
            let cell = comfy_table::Cell::new_owned(text);
            match tone.colour() {
                Some(colour) => cell.fg(colour),
                None if tone == Tone::Head => cell.add_attribute(Attribute::Bold),
                None => cell,
            }
        });
        table.add_row(line(cells.collect()));
    }
    let widths = table.column_max_content_widths();
    let last = columns.len().saturating_sub(1);
    let fixed: u16 = widths.iter().take(last).fold(0, |sum, width| sum.saturating_add(width + GAP));
    // On a very narrow terminal every column gives way.
    let room = look.width.filter(|width| *width >= fixed.saturating_add(LEAST_LAST));
    for (at, (column, shape)) in table.column_iter_mut().zip(columns).enumerate() {
        column.set_padding((0, if at == last { 0 } else { GAP }));
        if matches!(shape, Column::Number(_)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if room.is_some() && at != last {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(width) = look.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.trim_fmt() + "\n"
}

fn one_line(cells: Vec<comfy_table::Cell>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(look: &Look) -> String {
        let columns = [Column::Text("NAME"), Column::Number("COUNT"), Column::Text("WHAT")];
        let row =
            |name: &str, count: &str, what: &str| vec![Cell::new(name), Cell::new(count), Cell::new(what)];
        table(
            look,
            &columns,
            vec![
                row("a", "1", "Something that is told in more words than fit."),
                row("longer", "1234", "evil \x1b[2J"),
            ],
        )
    }

    #[test]
    fn columns_are_aligned_and_nothing_is_cut_where_lines_may_be_long() {
        let expected = "\
NAME    COUNT  WHAT
a           1  Something that is told in more words than fit.
longer   1234  evil \\u001b[2J
";
        assert_eq!(sample(&Look::default()), expected);
    }

    #[test]
    fn the_last_column_is_cut_where_the_line_ends() {
        for width in [20, 30, 40, 80] {
            let text = sample(&Look { width: Some(width), ..Look::default() });
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}:\n{text}");
        }
        let text = sample(&Look { width: Some(30), ..Look::default() });
        assert_eq!(text.lines().nth(1), Some("a           1  Something that…"));
    }

    #[test]
    fn a_whole_table_goes_on_below() {
        let look = Look { width: Some(30), ..Look::default() };
        let rows = vec![vec![Cell::new("a"), Cell::new("one two three four five six seven")]];
        let text = whole(&look, &[Column::Text("NAME"), Column::Text("WHAT")], rows);
        assert_eq!(text, "NAME  WHAT\na     one two three four five\n      six seven\n");
    }

    #[test]
    fn colour_does_not_move_columns() {
        let look = Look { colour: true, ..Look::default() };
        let columns = [Column::Text("STATE"), Column::Text("X")];
        let rows = vec![vec![Cell::toned(Tone::Bad, "failed"), Cell::new("y")]];
        crossterm::style::force_color_output(true);
        let text = table(&look, &columns, rows);
        assert!(text.contains("\x1b[38;5;9mfailed\x1b[39m  y"), "{text:?}");
    }
}
