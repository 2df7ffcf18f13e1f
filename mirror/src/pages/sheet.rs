//! Lists as CSV (RFC 4180) that a spreadsheet opens right.
//!
//! Spreadsheets read `124000224161433` as a number and round it, `1-2` as a date, and `=...` as a formula. Ids are
//! therefore written as `="124000224161433"`, which shows the text as it is, and other text that would begin a formula
//! has a `'` before it.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// A spreadsheet while it is filled.
pub(super) struct Sheet(String);

/// One cell.
pub(super) enum Cell<'a> {
    /// Nothing known.
    Empty,
    /// A tag, a lid, the number of a batch: text, whatever it looks like.
    Id(&'a str),
    /// Any other text.
    Text(&'a str),
    /// A whole number.
    Number(u64),
}

impl<'a> Cell<'a> {
    pub(super) fn id(text: Option<&'a str>) -> Self {
        text.map_or(Self::Empty, Self::Id)
    }

    pub(super) fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Empty, Self::Text)
    }

    fn written(&self) -> String {
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
    if text.contains(['"', ',', '\r', '\n', ';']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

impl Sheet {
    /// With the names of its columns.
    pub(super) fn new(columns: &[&str]) -> Self {
        // The mark by which spreadsheets know UTF-8.
        let mut sheet = Self("\u{feff}".to_owned());
        sheet.row(&columns.iter().map(|column| Cell::Text(column)).collect::<Vec<_>>());
        sheet
    }

    pub(super) fn row(&mut self, cells: &[Cell<'_>]) {
        let cells: Vec<_> = cells.iter().map(Cell::written).collect();
        self.0.push_str(&cells.join(","));
        self.0.push_str("\r\n");
    }

    /// As a file to keep; where the list goes on stands in `Link` (RFC 8288).
    pub(super) fn answer(self, file: &'static str, next: Option<String>) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
            (header::CONTENT_DISPOSITION, file),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let mut response = (headers, self.0).into_response();
        let link = next.and_then(|path| HeaderValue::try_from(format!("<{path}>; rel=\"next\"")).ok());
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
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
        assert_eq!(Cell::Text("plain").written(), "plain");
        assert_eq!(Cell::Number(7).written(), "7");
        assert_eq!(Cell::Empty.written(), "");
    }
}
