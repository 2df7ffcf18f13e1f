//! Lists as CSV (RFC 4180) that a spreadsheet opens right: the same for the office's pages and for `show --csv`.
//!
//! Spreadsheets read `124000224161433` as a number and round it, `1-2` as a date, and `=...` as a formula. Ids are
//! therefore written as `="124000224161433"`, which shows the text as it is, and other text that would begin a formula
//! has a `'` before it. Control characters are shown as U+FFFD: a sheet also goes to terminals.

mod columns;

use std::fmt::Write as _;

/// What can be a row of a sheet.
pub trait Row: Sized + 'static {
    /// Its columns, from the left.
    const COLUMNS: &'static [Column<Self>];
}

/// A column: its name, and what stands in it of each row.
#[derive(Debug)]
pub struct Column<T> {
    name: &'static str,
    cell: for<'a> fn(&'a T) -> Cell<'a>,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Nothing known.
    Empty,
    /// A tag, a lid, the number of a batch: text, whatever it looks like.
    Id(&'a str),
    /// Any other text.
    Text(&'a str),
    /// A whole number.
    Number(u64),
}

impl<T> Column<T> {
    const fn new(name: &'static str, cell: for<'a> fn(&'a T) -> Cell<'a>) -> Self {
        Self { name, cell }
    }
}

impl<'a> Cell<'a> {
    fn id(text: Option<&'a str>) -> Self {
        text.map_or(Self::Empty, Self::Id)
    }

    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Empty, Self::Text)
    }

    fn number(number: Option<u64>) -> Self {
        number.map_or(Self::Empty, Self::Number)
    }

    fn written(self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Id(id) => quoted(&format!("=\"{}\"", id.replace('"', "\"\""))),
            Self::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => quoted(&format!("'{text}")),
            Self::Text(text) => quoted(text),
        }
    }
}

/// In quotes, where a reader would otherwise take it apart.
fn quoted(text: &str) -> String {
    let text = text.replace(char::is_control, "\u{fffd}");
    if text.contains(['"', ',', ';']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// A sheet of these rows, in UTF-8, its first line the names of the columns.
pub fn sheet<T: Row>(rows: &[T]) -> String {
    // The mark by which spreadsheets know UTF-8.
    let mut text = "\u{feff}".to_owned();
    line(&mut text, T::COLUMNS.iter().map(|column| column.name.to_owned()));
    for row in rows {
        line(&mut text, T::COLUMNS.iter().map(|column| (column.cell)(row).written()));
    }
    text
}

fn line(to: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        // Writing to a string does not fail.
        let _ = write!(to, "{}{cell}", if index == 0 { "" } else { "," });
    }
    to.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_text_and_no_text_becomes_a_formula() {
        assert_eq!(Cell::Id("124000224161433").written(), "\"=\"\"124000224161433\"\"\"");
        assert_eq!(Cell::Id("a\"b").written(), "\"=\"\"a\"\"\"\"b\"\"\"");
        assert_eq!(Cell::Text("=1+1").written(), "'=1+1");
        assert_eq!(Cell::Text("@x,y").written(), "\"'@x,y\"");
        assert_eq!(Cell::Text("\t=1").written(), "'\u{fffd}=1");
        assert_eq!(Cell::Text("plain").written(), "plain");
        assert_eq!(Cell::Number(7).written(), "7");
        assert_eq!(Cell::Empty.written(), "");
    }

    #[test]
    fn no_text_breaks_its_line_or_reaches_a_terminal_as_a_command() {
        assert_eq!(Cell::Text("a\r\nb\u{1b}[2J").written(), "a\u{fffd}\u{fffd}b\u{fffd}[2J");
        assert_eq!(Cell::Id("a\nb").written(), "\"=\"\"a\u{fffd}b\"\"\"");
    }
}
