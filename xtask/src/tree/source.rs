//! One file of a checkout.

use super::TreeError;
use super::code::code_of;
use proc_macro2::{LexError, TokenStream};
use std::cell::OnceCell;
use std::fs;
use std::path::Path;

/// A file, with the forms in which rules read it. Each form is made once, when it is first asked for.
pub struct Source {
    path: String,
    text: String,
    code: OnceCell<String>,
    syntax: OnceCell<syn::File>,
}

impl Source {
    /// Reads the file at `path` from `root`. Bytes that are not UTF-8 become replacement characters.
    pub(super) fn load(root: &Path, path: String) -> Result<Self, TreeError> {
        let place = root.join(&path);
        let bytes = fs::read(&place).map_err(|source| TreeError::Read { path: place, source })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self { path, text, code: OnceCell::new(), syntax: OnceCell::new() })
    }

    /// Returns the path from the root, with slashes.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the name of the file without its directories.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Returns whether the file name ends in this extension.
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|end| end == extension)
    }

    /// Returns whether the file holds tests only.
    pub fn is_of_tests(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }

    /// Returns whether a program starts in this file.
    pub fn is_main(&self) -> bool {
        self.path.ends_with("/main.rs") || self.path.contains("/src/bin/")
    }

    /// Returns the text with comments, strings and characters blanked, and with every line in its place.
    pub fn code(&self) -> &str {
        self.code.get_or_init(|| code_of(&self.text))
    }

    /// Returns [`code`](Self::code) up to an inline module of tests at the end of the file.
    pub fn shipped_code(&self) -> &str {
        let code = self.code();
        match code.rfind("#[cfg(test)]\nmod ") {
            Some(at) if code[at..].lines().nth(1).is_some_and(|line| line.ends_with('{')) => &code[..at],
            _ => code,
        }
    }

    /// Returns the parsed file.
    pub fn syntax(&self) -> Result<&syn::File, TreeError> {
        if let Some(syntax) = self.syntax.get() {
            return Ok(syntax);
        }
        let parsed = syn::parse_file(&self.text).map_err(|source| self.syntax_error(source))?;
        Ok(self.syntax.get_or_init(|| parsed))
    }

    /// Returns the tokens of the file. Doc comments are `#[doc]` attributes in them.
    pub fn tokens(&self) -> Result<TokenStream, TreeError> {
        self.text.parse().map_err(|error: LexError| self.syntax_error(error.into()))
    }

    fn syntax_error(&self, source: syn::Error) -> TreeError {
        TreeError::Syntax { path: self.path.clone(), line: source.span().start().line, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        let house = tempfile::tempdir().unwrap();
        fs::write(house.path().join("x.rs"), text).unwrap();
        Source::load(house.path(), "x.rs".to_owned()).unwrap()
    }

    /// Fails if a rule about code would find a word in a comment or a string.
    #[test]
    fn code_has_neither_comments_nor_texts() {
        let text = "a // redb\n/* redb /* redb */ */ b \"redb \\\" redb\" r#\"redb \" redb\"# '\"' c 'x redb::d";
        let source = source(text);
        let words: Vec<&str> = source.code().split_whitespace().collect();
        assert_eq!(words, ["a", "b", "r#", "c", "'x", "redb::d"]);
        assert_eq!(source.code().lines().nth(1).map(|line| line.contains("redb::d")), Some(true));
    }

    /// Fails if a rule about what ships would read the tests.
    #[test]
    fn shipped_code_ends_before_the_tests() {
        let source = source("use a;\n#[cfg(test)]\nmod tests {\n    use redb;\n}\n");
        assert!(source.code().contains("redb"));
        assert!(!source.shipped_code().contains("redb"));
    }
}
