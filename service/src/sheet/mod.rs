//! Lists as CSV (RFC 4180) that spreadsheets open correctly, for the office's pages and for `show --csv`.
//!
//! Spreadsheets read `124000224161433` as a number and round it, `1-2` as a date, and `=...` as a formula. An id is
//! therefore written as `="124000224161433"`, which shows the text unchanged. Other text that would start a formula gets
//! a `'` in front, also behind a `;`: where that separates the cells, it begins one. Control characters and marks that
//! change the direction of text become U+FFFD, because sheets are also printed to terminals.
//!
//! A program that reads a sheet wants neither: the *plain* form has ids and texts as they are, but for characters that are
//! hidden.
//!
//! Sheets are made from the typed views, for pages and commands alike. Columns over the JSON of a response would drift
//! from it unnoticed. A change has no sheet, because it is not a row of a list.

mod columns;
mod visible;

use herd::payload::Grams;
use std::fmt::Write as _;
pub use visible::{is_hidden, visible, visible_json};

/// Form of a sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// For spreadsheets: ids stay text, and no text becomes a formula.
    #[default]
    Spreadsheet,
    /// For programs.
    Plain,
}

/// A row of a sheet.
pub trait Row: Sized + 'static {
    /// The columns, from left to right.
    const COLUMNS: &'static [Column<Self>];
}

/// A column: its name, and the function that returns its cell in a row.
#[derive(Debug)]
pub struct Column<T> {
    name: &'static str,
    cell: for<'a> fn(&'a T) -> Cell<'a>,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// No value.
    Empty,
    /// A tag, a lid or a batch number: stays text whatever it looks like.
    Id(&'a str),
    /// Any other text.
    Text(&'a str),
    /// A whole number.
    Number(u64),
    /// A weight, in kilograms.
    Weight(Grams),
    /// Any other number, in decimal digits with a `-` in front if it is negative.
    Decimal(&'a str),
}

impl<T> Column<T> {
    /// Makes a column.
    pub const fn new(name: &'static str, cell: for<'a> fn(&'a T) -> Cell<'a>) -> Self {
        Self { name, cell }
    }
}

impl<'a> Cell<'a> {
    /// Returns the cell of an id, empty for none.
    pub fn id(text: Option<&'a str>) -> Self {
        text.map_or(Self::Empty, Self::Id)
    }

    /// Returns the cell of a text, empty for none.
    pub fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Empty, Self::Text)
    }

    /// Returns the cell of a number, empty for none.
    pub fn number(number: Option<u64>) -> Self {
        number.map_or(Self::Empty, Self::Number)
    }

    /// Returns the cell of a weight, empty for none.
    pub fn weight(weight: Option<Grams>) -> Self {
        weight.map_or(Self::Empty, Self::Weight)
    }

    fn to_csv(self, form: Form) -> String {
        match self {
            Self::Id(text) | Self::Text(text) if form == Form::Plain => quoted(text),
            Self::Empty => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Weight(weight) => weight.to_string(),
            Self::Decimal(text) => text.to_owned(),
            Self::Id(id) => quoted(&format!("=\"{}\"", id.replace('"', "\"\""))),
            Self::Text(text) => quoted(&without_formula(text)),
        }
    }
}

/// First characters of a formula, also in the width of Chinese and Japanese characters.
const FORMULA_STARTS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Puts a `'` in front of each part that would start a formula. A `;` separates parts.
fn without_formula(text: &str) -> String {
    let parts = text.split(';').map(|part| {
        let is_formula = part.starts_with(FORMULA_STARTS) || part.trim_start().starts_with(FORMULA_STARTS);
        if is_formula { format!("'{part}") } else { part.to_owned() }
    });
    parts.collect::<Vec<_>>().join(";")
}

/// Puts the text in quotes if it contains a quote or a separator.
fn quoted(text: &str) -> String {
    let text = text.replace(is_hidden, "\u{fffd}");
    if text.contains(['"', ',', ';']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Returns the rows as a sheet in UTF-8; the first line has the names of the columns.
pub fn sheet<T: Row>(rows: &[T]) -> String {
    let mut text = first_line::<T>(Form::Spreadsheet);
    for row in rows {
        add_line(&mut text, row, Form::Spreadsheet);
    }
    text
}

/// Returns the first line of a sheet, which has the names of the columns.
pub fn first_line<T: Row>(form: Form) -> String {
    // Spreadsheets recognize UTF-8 by this mark. Programs take it for a part of the first name.
    let mut text = if form == Form::Spreadsheet { "\u{feff}".to_owned() } else { String::new() };
    write_line(&mut text, T::COLUMNS.iter().map(|column| column.name.to_owned()));
    text
}

/// Adds the line of a row.
pub fn add_line<T: Row>(to: &mut String, row: &T, form: Form) {
    write_line(to, T::COLUMNS.iter().map(|column| (column.cell)(row).to_csv(form)));
}

fn write_line(to: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        // Writing to a `String` does not fail.
        let _ = write!(to, "{}{cell}", if index == 0 { "" } else { "," });
    }
    to.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a tag that a spreadsheet rounds, and a payload that runs as a formula.
    #[test]
    fn ids_stay_text_and_no_text_becomes_a_formula() {
        assert_eq!(Cell::Id("124000224161433").to_csv(Form::Spreadsheet), "\"=\"\"124000224161433\"\"\"");
        assert_eq!(Cell::Id("a\"b").to_csv(Form::Spreadsheet), "\"=\"\"a\"\"\"\"b\"\"\"");
        assert_eq!(Cell::Text("=1+1").to_csv(Form::Spreadsheet), "'=1+1");
        assert_eq!(Cell::Text("@x,y").to_csv(Form::Spreadsheet), "\"'@x,y\"");
        assert_eq!(Cell::Text("\t=1").to_csv(Form::Spreadsheet), "'\u{fffd}=1");
        assert_eq!(Cell::Text("a;=1+1;b").to_csv(Form::Spreadsheet), "\"a;'=1+1;b\"");
        assert_eq!(Cell::Text("\u{ff1d}1+1").to_csv(Form::Spreadsheet), "'\u{ff1d}1+1");
        assert_eq!(Cell::Text("  +1").to_csv(Form::Spreadsheet), "'  +1");
        assert_eq!(Cell::Text("a\u{202e}b").to_csv(Form::Spreadsheet), "a\u{fffd}b");
        assert_eq!(Cell::Text("plain").to_csv(Form::Spreadsheet), "plain");
        assert_eq!(Cell::Number(7).to_csv(Form::Spreadsheet), "7");
        assert_eq!(Cell::Empty.to_csv(Form::Spreadsheet), "");
    }

    /// Catches a program that gets ids in a notation of spreadsheets, or a text that breaks its line.
    #[test]
    fn the_plain_form_has_ids_and_texts_as_they_are() {
        assert_eq!(Cell::Id("124000224161433").to_csv(Form::Plain), "124000224161433");
        assert_eq!(Cell::Text("=1+1").to_csv(Form::Plain), "=1+1");
        assert_eq!(Cell::Text("a;\"b\"\n").to_csv(Form::Plain), "\"a;\"\"b\"\"\u{fffd}\"");
    }

    /// Catches a payload that forges a row or sends escape sequences to a terminal.
    #[test]
    fn no_text_breaks_its_line_or_reaches_a_terminal_as_a_command() {
        assert_eq!(Cell::Text("a\r\nb\u{1b}[2J").to_csv(Form::Spreadsheet), "a\u{fffd}\u{fffd}b\u{fffd}[2J");
        assert_eq!(Cell::Id("a\nb").to_csv(Form::Spreadsheet), "\"=\"\"a\u{fffd}b\"\"\"");
    }
}
