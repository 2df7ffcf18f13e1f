//! Mistakes in the file, each with its line and its mend.

use std::fmt;

/// A mistake in a file on the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardMistake {
    /// Line, counted from 1; `None` if the whole file is meant.
    pub line: Option<usize>,
    /// The mistake and its mend.
    pub error: CardError,
}

impl CardMistake {
    /// Names a mistake in a line.
    pub fn at(line: usize, error: CardError) -> Self {
        Self { line: Some(line), error }
    }

    /// Names a mistake of the whole file.
    pub fn of_file(error: CardError) -> Self {
        Self { line: None, error }
    }
}

impl fmt::Display for CardMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.error),
            None => self.error.fmt(f),
        }
    }
}

/// Kind of a mistake. Each message ends with the mend, and none contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The file is larger than any that a person writes.
    #[error("the file has more than {max_kib} KiB: write a new one as plain text")]
    TooLarge {
        /// Maximum size in KiB.
        max_kib: usize,
    },
    /// The bytes are no text.
    #[error("this is not plain text: save the file as plain text in UTF-8 (Notepad: Save as, encoding UTF-8)")]
    NotText,
    /// Nothing is set.
    #[error("no key is set, so nothing was changed: remove the `#` in front of a key and write its value")]
    Empty,
    /// A character that word processors put in place of a quote.
    #[error("curly quotes ({0}): replace them with straight ones (\") and edit the file in a plain text editor")]
    CurlyQuote(char),
    /// A space that cannot be told from an ordinary one.
    #[error("there is an invisible character outside the quotes: type the line again instead of pasting it")]
    InvisibleCharacter,
    /// A value without quotes.
    #[error("the value of `{key}` needs straight quotes around it: {key} = \"...\"")]
    Unquoted {
        /// The key.
        key: String,
    },
    /// A text whose end is missing.
    #[error("the closing quote (\") of the value is missing: add it at the end of the value")]
    OpenQuote,
    /// A backslash in double quotes.
    #[error("a backslash in double quotes has a meaning of its own: write it twice (\\\\), or use single quotes (')")]
    Backslash,
    /// A key without `=`.
    #[error("the line has no `=`: write `key = \"value\"`, or a `#` in front if it is a comment")]
    NoEquals,
    /// A key or section that is there twice.
    #[error("`{name}` is set twice: remove one of the two lines")]
    Duplicate {
        /// The key or section.
        name: String,
    },
    /// Any other error of the parser.
    #[error("this line cannot be read ({parser}): a line is `key = \"value\"`, a `[section]` or a comment after `#`")]
    Syntax {
        /// Message of the parser.
        parser: String,
    },
    /// An unknown section.
    #[error("there is no section [{section}]: {}", did_you_mean(*.closest))]
    UnknownSection {
        /// The section.
        section: String,
        /// The known section that is spelled most alike.
        closest: Option<&'static str>,
    },
    /// An unknown key.
    #[error("there is no key `{key}` {}{}", place(.section), mend_unknown(*.closest))]
    UnknownKey {
        /// The key.
        key: String,
        /// The section that it stands in; empty above the first.
        section: &'static str,
        /// The known key that is spelled most alike.
        closest: Option<&'static str>,
    },
    /// A known key in another section than its own.
    #[error("`{key}` is {} but belongs {}: move the line there", place(.section), place(.home))]
    Misplacement {
        /// The key.
        key: String,
        /// The section that it stands in.
        section: &'static str,
        /// The section that it belongs to.
        home: &'static str,
    },
    /// A section in double brackets, as the daemon's own settings have them.
    #[error("write [{section}] in single brackets, and only once")]
    DoubleBrackets {
        /// The section.
        section: &'static str,
    },
    /// A section that is used as a key, or a key that is used as a section.
    #[error("`{name}` is a {is}, not a {other}: write {}", if *.is == "section" { "[section] alone on its line, and its keys below" } else { "`key = \"value\"`" })]
    Form {
        /// The name.
        name: &'static str,
        /// Its form.
        is: &'static str,
        /// The form in the file.
        other: &'static str,
    },
    /// A value that is no text.
    #[error("the value of `{key}` must be a text in straight quotes: {key} = \"...\"")]
    NotString {
        /// The key.
        key: &'static str,
    },
    /// A value that is no number.
    #[error("the value of `{key}` must be a whole number without quotes: {key} = 1")]
    NotNumber {
        /// The key.
        key: &'static str,
    },
    /// A key without which its section has no meaning.
    #[error("[{section}] needs `{key}`: add the line {key} = \"{example}\"{why}")]
    Missing {
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// A possible value.
        example: &'static str,
        /// The reason, with its punctuation; may be empty.
        why: &'static str,
    },
    /// A secret is blank, and there is none from before.
    #[error("`{key}` is empty, and there is no earlier one to keep: write it again{hint}")]
    NothingToKeep {
        /// The key.
        key: &'static str,
        /// Another way out, with its punctuation; may be empty.
        hint: &'static str,
    },
    /// Both ways to let the office in.
    #[error("[office] has both an `api_key` and a `pairing_code`: remove one of them")]
    BothAccess,
    /// A value that is not allowed.
    #[error("the value of `{key}` {reason}")]
    Value {
        /// The key.
        key: String,
        /// The rule that it breaks, as a phrase that follows the key, and the mend.
        reason: String,
    },
}

impl CardError {
    /// Names a value that is not allowed; `reason` follows the key in the message.
    pub fn value(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value { key: key.into(), reason: reason.into() }
    }
}

fn place(section: &str) -> String {
    if section.is_empty() { "above the first section".to_owned() } else { format!("in [{section}]") }
}

fn did_you_mean(closest: Option<&'static str>) -> String {
    match closest {
        Some(name) => format!("did you mean [{name}]?"),
        None => "the sections are [wifi], [ssh], [radio], [backup] and [office]".to_owned(),
    }
}

fn mend_unknown(closest: Option<&'static str>) -> String {
    match closest {
        Some(name) => format!(": did you mean `{name}`?"),
        None => ": remove the line, or put a `#` in front of it".to_owned(),
    }
}
