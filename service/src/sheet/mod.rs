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
use std::borrow::Cow;
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

    fn add_to(self, to: &mut String, form: Form) {
        // Writing to a `String` does not fail.
        let _ = match self {
            Self::Empty => Ok(()),
            Self::Number(number) => write!(to, "{number}"),
            Self::Weight(weight) => write!(to, "{weight}"),
            Self::Decimal(text) => to.write_str(text),
            Self::Id(text) | Self::Text(text) if form == Form::Plain => to.write_str(&quoted(text)),
            Self::Id(id) => to.write_str(&quoted(&format!("=\"{}\"", id.replace('"', "\"\"")))),
            Self::Text(text) => to.write_str(&quoted(&without_formula(text))),
        };
    }
}

/// End of a line, as RFC 4180 has it.
const END_OF_LINE: &str = "\r\n";

/// First characters of a formula, also in the width of Chinese and Japanese characters.
const FORMULA_STARTS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Puts a `'` in front of each part that would start a formula. A `;` separates parts.
fn without_formula(text: &str) -> Cow<'_, str> {
    let is_formula = |part: &str| part.starts_with(FORMULA_STARTS) || part.trim_start().starts_with(FORMULA_STARTS);
    if !text.split(';').any(is_formula) {
        return text.into();
    }
    let parts = text.split(';').map(|part| if is_formula(part) { format!("'{part}") } else { part.to_owned() });
    parts.collect::<Vec<_>>().join(";").into()
}

/// Puts the text in quotes if it contains a quote or a separator.
fn quoted(text: &str) -> Cow<'_, str> {
    let text = if text.contains(is_hidden) { text.replace(is_hidden, "\u{fffd}").into() } else { Cow::from(text) };
    if text.contains(['"', ',', ';']) { format!("\"{}\"", text.replace('"', "\"\"")).into() } else { text }
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
    let names: Vec<_> = T::COLUMNS.iter().map(|column| column.name).collect();
    text.push_str(&names.join(","));
    text.push_str(END_OF_LINE);
    text
}

/// Adds the line of a row.
pub fn add_line<T: Row>(to: &mut String, row: &T, form: Form) {
    for (index, column) in T::COLUMNS.iter().enumerate() {
        to.push_str(if index == 0 { "" } else { "," });
        (column.cell)(row).add_to(to, form);
    }
    to.push_str(END_OF_LINE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(cell: Cell<'_>, form: Form) -> String {
        let mut to = String::new();
        cell.add_to(&mut to, form);
        to
    }

    /// Catches a tag that a spreadsheet rounds, and a payload that runs as a formula.
    #[test]
    fn ids_stay_text_and_no_text_becomes_a_formula() {
        assert_eq!(csv(Cell::Id("124000224161433"), Form::Spreadsheet), "\"=\"\"124000224161433\"\"\"");
        assert_eq!(csv(Cell::Id("a\"b"), Form::Spreadsheet), "\"=\"\"a\"\"\"\"b\"\"\"");
        assert_eq!(csv(Cell::Text("=1+1"), Form::Spreadsheet), "'=1+1");
        assert_eq!(csv(Cell::Text("@x,y"), Form::Spreadsheet), "\"'@x,y\"");
        assert_eq!(csv(Cell::Text("\t=1"), Form::Spreadsheet), "'\u{fffd}=1");
        assert_eq!(csv(Cell::Text("a;=1+1;b"), Form::Spreadsheet), "\"a;'=1+1;b\"");
        assert_eq!(csv(Cell::Text("\u{ff1d}1+1"), Form::Spreadsheet), "'\u{ff1d}1+1");
        assert_eq!(csv(Cell::Text("  +1"), Form::Spreadsheet), "'  +1");
        assert_eq!(csv(Cell::Text("a\u{202e}b"), Form::Spreadsheet), "a\u{fffd}b");
        assert_eq!(csv(Cell::Text("plain"), Form::Spreadsheet), "plain");
        assert_eq!(csv(Cell::Number(7), Form::Spreadsheet), "7");
        assert_eq!(csv(Cell::Empty, Form::Spreadsheet), "");
    }

    /// Catches a program that gets ids in a notation of spreadsheets, or a text that breaks its line.
    #[test]
    fn the_plain_form_has_ids_and_texts_as_they_are() {
        assert_eq!(csv(Cell::Id("124000224161433"), Form::Plain), "124000224161433");
        assert_eq!(csv(Cell::Text("=1+1"), Form::Plain), "=1+1");
        assert_eq!(csv(Cell::Text("a;\"b\"\n"), Form::Plain), "\"a;\"\"b\"\"\u{fffd}\"");
    }

    /// Catches a payload that forges a row or sends escape sequences to a terminal.
    #[test]
    fn no_text_breaks_its_line_or_reaches_a_terminal_as_a_command() {
        assert_eq!(csv(Cell::Text("a\r\nb\u{1b}[2J"), Form::Spreadsheet), "a\u{fffd}\u{fffd}b\u{fffd}[2J");
        assert_eq!(csv(Cell::Id("a\nb"), Form::Spreadsheet), "\"=\"\"a\u{fffd}b\"\"\"");
    }
}
