//! Parser for one line of an OpenMetrics page.

use super::Sample;

#[derive(Clone, Copy)]
pub(super) enum Line<'a> {
    Meta { name: &'a str, field: &'a str, text: &'a str },
    Sample(&'a str),
}

impl<'a> Line<'a> {
    pub(super) fn parse(line: &'a str) -> Result<Self, String> {
        let Some(meta) = line.strip_prefix("# ") else { return Ok(Self::Sample(line)) };
        let mut parts = meta.splitn(3, ' ');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(field @ ("HELP" | "TYPE" | "UNIT")), Some(name), Some(text)) if is_name(name) && !text.is_empty() => {
                Ok(Self::Meta { name, field, text })
            }
            _ => Err("not a HELP, TYPE or UNIT with a name and a text".to_owned()),
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    first && chars.all(|next| next.is_ascii_alphanumeric() || next == '_')
}

/// Parses `name{label="value",..} number`. Timestamps and exemplars are errors, because our pages have none.
pub(super) fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) {
        return Err("the name is invalid".to_owned());
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let plain = value.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let value = value.parse().ok().filter(|_| plain).ok_or("the value is not a number")?;
    Ok(Sample { name: name.to_owned(), labels, value })
}

type Labels = Vec<(String, String)>;

/// Parses the labels after an opening brace. Returns them and the text after the closing brace.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        let (key, value) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(key) || labels.iter().any(|(known, _)| known == key) {
            return Err(format!("the label {key:?} is not a valid name, or occurs twice"));
        }
        let (value, after) = quoted(value)?;
        labels.push((key.to_owned(), value));
        rest = match after.split_at_checked(1) {
            Some((",", after)) => after,
            Some(("}", after)) => return Ok((labels, after)),
            _ => return Err("neither a comma nor a brace after a label".to_owned()),
        };
    }
}

/// Parses a text up to its closing quote. Returns it unescaped, and the text after the quote.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('"' | '\\'))) => escaped,
                _ => return Err("an unknown escape".to_owned()),
            }),
            other => value.push(other),
        }
    }
    Err("no closing quote".to_owned())
}
