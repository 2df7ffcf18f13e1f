//! A small YAML document as a tree with line numbers.
//!
//! The parser gives events, and the limits apply before anything is built from them. Aliases are refused: a few lines
//! of them can stand for gigabytes, and Raspberry Pi Imager writes none.

use saphyr_parser::{Event, Parser};

/// Maximum number of events. The files of Raspberry Pi Imager have about a hundred.
const MAX_EVENTS: usize = 4096;
/// Maximum depth. The files of Raspberry Pi Imager have seven levels.
const MAX_DEPTH: usize = 16;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Scalar { text: String, line: usize },
    List(Vec<Self>),
    Map(Vec<(String, usize, Self)>),
}

/// Reason why a document was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum YamlError {
    #[error("line {line}: {message}")]
    Syntax { line: usize, message: String },
    #[error("it has more than {MAX_EVENTS} values, or more than {MAX_DEPTH} levels")]
    TooLarge,
    #[error("line {line}: aliases (*name) are not supported: write the value itself")]
    Alias { line: usize },
}

/// A list or map that is being read; a map may wait for the value of a key.
enum Open {
    List(Vec<Node>),
    Map { entries: Vec<(String, usize, Node)>, key: Option<(String, usize)> },
}

impl Node {
    /// Reads the first document of a text; an empty list if there is none.
    pub(super) fn read(text: &str) -> Result<Self, YamlError> {
        let mut open: Vec<Open> = Vec::new();
        for (count, event) in Parser::new_from_str(text).enumerate() {
            let (event, span) = event
                .map_err(|error| YamlError::Syntax { line: error.marker().line(), message: error.info().to_owned() })?;
            let line = span.start.line();
            if count >= MAX_EVENTS || open.len() > MAX_DEPTH {
                return Err(YamlError::TooLarge);
            }
            let whole = match event {
                Event::Alias(_) => return Err(YamlError::Alias { line }),
                Event::SequenceStart(..) => {
                    open.push(Open::List(Vec::new()));
                    continue;
                }
                Event::MappingStart(..) => {
                    open.push(Open::Map { entries: Vec::new(), key: None });
                    continue;
                }
                Event::Scalar(text, ..) => Self::Scalar { text: text.into_owned(), line },
                Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                    Some(Open::List(list)) => Self::List(list),
                    Some(Open::Map { entries, .. }) => Self::Map(entries),
                    None => continue,
                },
                Event::DocumentEnd => break,
                _ => continue,
            };
            match open.last_mut() {
                None => return Ok(whole),
                Some(Open::List(list)) => list.push(whole),
                Some(Open::Map { entries, key }) => match (key.take(), whole) {
                    (None, Self::Scalar { text, line }) => *key = Some((text, line)),
                    // A list or map as a key is no key that anybody asks for.
                    (None, _) => *key = Some((String::new(), line)),
                    (Some((name, line)), value) => entries.push((name, line, value)),
                },
            }
        }
        Ok(Self::List(Vec::new()))
    }

    /// Returns the value of a key of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, ..)| name == key).map(|(.., value)| value),
            _ => None,
        }
    }

    /// Returns the text of a scalar that is neither empty nor null, and its line.
    pub(super) fn text(&self) -> Option<(&str, usize)> {
        match self {
            Self::Scalar { text, line } if !["", "~", "null"].contains(&text.as_str()) => Some((text, *line)),
            _ => None,
        }
    }

    /// Returns the elements of a list; a single value is a list of one.
    pub(super) fn elements(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            single => std::slice::from_ref(single),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Catches a document that fills the memory.
    #[test]
    fn large_deep_and_aliased_documents_are_refused() {
        assert_eq!(Node::read("a: &x [1]\nb: *x\n"), Err(YamlError::Alias { line: 2 }));
        assert_eq!(Node::read(&"- a\n".repeat(MAX_EVENTS)), Err(YamlError::TooLarge));
        assert_eq!(Node::read(&"[".repeat(MAX_DEPTH + 2)), Err(YamlError::TooLarge));
        assert!(matches!(Node::read("a: \"open\n"), Err(YamlError::Syntax { .. })));
    }

    /// Catches a limit that refuses its own value. Four events are not values: three starts and the end of the list.
    #[test]
    fn documents_at_the_limits_are_read() {
        let list = |values: usize| Node::read(&"- a\n".repeat(values));
        assert_eq!(list(MAX_EVENTS - 4).unwrap().elements().len(), MAX_EVENTS - 4);
        assert_eq!(list(MAX_EVENTS - 3), Err(YamlError::TooLarge));
        let nested = |levels: usize| Node::read(&format!("{}a{}", "[".repeat(levels), "]".repeat(levels)));
        assert!(nested(MAX_DEPTH).is_ok());
        assert_eq!(nested(MAX_DEPTH + 1), Err(YamlError::TooLarge));
    }

    #[test]
    fn values_are_found_by_their_keys() {
        let node = Node::read("#cloud-config\na:\n  - b: \"x y\"\n  - ~\nc: null\n").unwrap();
        let list = node.get("a").unwrap().elements();
        assert_eq!(list[0].get("b").unwrap().text(), Some(("x y", 3)));
        assert_eq!((list[1].text(), node.get("c").unwrap().text(), node.get("d")), (None, None, None));
        assert_eq!(Node::read("# only a comment\n").unwrap(), Node::List(Vec::new()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Catches a panic of the parser or of the tree.
        #[test]
        fn no_text_makes_the_reading_panic(
            text in prop_oneof!["\\PC{0,80}", "(a|b|:|-|\\[|\\]|\\{|\\}|,|\"|'|\\||>|&x|\\*x|!|%|\\?|#|\n|  | |\t){0,60}"],
        ) {
            let _ = Node::read(&text);
        }
    }
}
