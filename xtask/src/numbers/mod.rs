//! The size of a checkout, without tests.
//!
//! | module | holds |
//! |---|---|
//! | `functions` | lengths of functions |
//! | `lines` | lines of a file outside tests |

mod functions;
mod lines;

use crate::syntax::shipped_sources;
use crate::tree::{Source, Tree, TreeError};
use functions::{Function, functions};
use lines::shipped_lines;
use std::fmt;

/// Pages whose words are counted.
const PAGES: [&str; 2] = ["README.md", "ARCHITECTURE.md"];

/// The size of a checkout. Its text is a table with a row for each crate, then the pages.
#[derive(Debug)]
pub struct Numbers {
    crates: Vec<CrateSize>,
    total: CrateSize,
    /// Pages with their words, as `wc -w` counts them.
    pages: Vec<(&'static str, usize)>,
}

/// The size of a crate's `src/`.
#[derive(Clone, Debug, Default)]
struct CrateSize {
    name: String,
    files: usize,
    /// Lines outside tests, comments and blank lines included.
    lines: usize,
    /// Functions with a body, sorted by length.
    functions: Vec<Function>,
}

/// Why a checkout could not be measured.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NumbersError(#[from] TreeError);

impl Numbers {
    /// Measures a checkout.
    pub fn of(tree: &Tree) -> Result<Self, NumbersError> {
        let mut total = CrateSize { name: "total".to_owned(), ..CrateSize::default() };
        let mut crates = Vec::new();
        for name in tree.crates() {
            let size = CrateSize::of(tree, name)?;
            total.add(&size);
            crates.push(size);
        }
        let words = |page| Some((page, tree.source(page)?.text().split_whitespace().count()));
        Ok(Self { crates, total, pages: PAGES.into_iter().filter_map(words).collect() })
    }
}

impl CrateSize {
    fn of(tree: &Tree, name: &str) -> Result<Self, TreeError> {
        let mut size = Self { name: name.to_owned(), ..Self::default() };
        for source in shipped_sources(tree, name)? {
            size.add_file(source)?;
        }
        size.functions.sort();
        Ok(size)
    }

    fn add_file(&mut self, source: &Source) -> Result<(), TreeError> {
        let syntax = source.syntax()?;
        self.files += 1;
        self.lines += shipped_lines(source.text(), syntax);
        self.functions.extend(functions(source.path(), syntax));
        Ok(())
    }

    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.functions.extend(other.functions.iter().cloned());
        self.functions.sort();
    }

    /// Returns the length that `percent` of the functions do not exceed (nearest rank).
    fn percentile(&self, percent: usize) -> usize {
        let rank = (self.functions.len() * percent).div_ceil(100).max(1);
        self.functions.get(rank - 1).map_or(0, |function| function.lines)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Without tests: files and lines below src/, and lengths of functions in lines.\n")?;
        writeln!(
            f,
            "{:<8} {:>5} {:>6} {:>9} {:>6} {:>4}  longest",
            "crate", "files", "lines", "functions", "median", "p90"
        )?;
        self.crates.iter().chain([&self.total]).try_for_each(|size| writeln!(f, "{size}"))?;
        writeln!(f)?;
        self.pages.iter().try_for_each(|(page, words)| writeln!(f, "{page}: {words} words"))
    }
}

impl fmt::Display for CrateSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, files, lines, functions } = self;
        let (median, p90) = (self.percentile(50), self.percentile(90));
        write!(f, "{name:<8} {files:>5} {lines:>6} {:>9} {median:>6} {p90:>4}", functions.len())?;
        functions.last().map_or(Ok(()), |longest| write!(f, "  {longest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const LIBRARY: &str = "\
fn one() {} #[cfg(test)] mod emulated;
impl A {
    /// Comments do not count as part of a function.
    #[inline]
    fn three(
    ) {
    }
}
#[cfg(test)]
mod tests {
    fn long() {




    }
}
";

    /// Fails if tests count, or if a length includes the comment above a function.
    #[test]
    fn tests_are_left_out() {
        let house = tempfile::tempdir().unwrap();
        fs::create_dir_all(house.path().join("herd/src")).unwrap();
        fs::write(house.path().join("herd/Cargo.toml"), "[package]\n").unwrap();
        fs::write(house.path().join("herd/src/lib.rs"), LIBRARY).unwrap();
        fs::write(house.path().join("herd/src/tests.rs"), "fn test() {}\n").unwrap();
        fs::write(house.path().join("herd/src/emulated.rs"), "fn only_for_tests() {}\n").unwrap();
        fs::write(house.path().join("README.md"), "# One two\n").unwrap();
        let numbers = Numbers::of(&Tree::load(house.path()).unwrap()).unwrap();
        assert_eq!((numbers.total.files, numbers.total.lines), (1, 8));
        assert_eq!((numbers.total.percentile(50), numbers.total.percentile(90)), (1, 3));
        assert_eq!(numbers.total.functions.last().unwrap().to_string(), "3 herd/src/lib.rs:5 three");
        assert_eq!(numbers.pages, [("README.md", 3)]);
    }
}
