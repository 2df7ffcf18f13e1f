//! Doc comments picked at random, to judge how the documentation reads.

use crate::syntax::doc_comments;
use crate::tree::{Tree, TreeError};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha12Rng;
use std::io::{self, Write};

/// The choice to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocSample {
    /// Number of doc comments. All are printed if there are fewer.
    pub count: usize,
    /// Seed of the generator.
    pub seed: u64,
}

/// Why a sample could not be printed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum DocSampleError {
    /// A source could not be read.
    Tree(#[from] TreeError),
    /// The output could not be written.
    Output(#[from] io::Error),
}

/// Prints a sample of all doc comments, in the order of the sources. Every comment is as likely as any other, and the
/// same seed and sources give the same sample.
pub fn write(tree: &Tree, sample: DocSample, out: &mut dyn Write) -> Result<(), DocSampleError> {
    let mut all = Vec::new();
    for source in tree.rust() {
        all.extend(doc_comments(source)?.into_iter().map(|comment| (source.path(), comment)));
    }
    let mut generator = ChaCha12Rng::seed_from_u64(sample.seed);
    let mut picked = index::sample(&mut generator, all.len(), sample.count.min(all.len())).into_vec();
    picked.sort_unstable();
    writeln!(out, "{} of {} doc comments, seed {}", picked.len(), all.len(), sample.seed)?;
    for (path, comment) in picked.into_iter().map(|at| &all[at]) {
        writeln!(out, "\n{path}:{}", comment.line)?;
        for line in comment.text.lines() {
            writeln!(out, "{}", format!("    {line}").trim_end())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn sample(count: usize, seed: u64) -> String {
        let house = tempfile::tempdir().unwrap();
        fs::create_dir_all(house.path().join("herd/src")).unwrap();
        let items: Vec<String> =
            (0..50).map(|at| format!("/// Number {at}.\n///\n/// Second.\nstruct A{at};\n")).collect();
        fs::write(house.path().join("herd/src/lib.rs"), items.concat()).unwrap();
        let mut out = Vec::new();
        write(&Tree::load(house.path()).unwrap(), DocSample { count, seed }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Fails if two people who compare a sample could see different ones.
    #[test]
    fn a_seed_gives_the_same_sample() {
        assert_eq!(sample(5, 7), sample(5, 7));
        assert_ne!(sample(5, 7), sample(5, 8));
    }

    /// Fails if a comment is cut, or if asking for too many is an error.
    #[test]
    fn comments_are_whole_and_no_more_than_there_are() {
        let text = sample(1000, 0);
        assert!(
            text.starts_with("50 of 50 doc comments, seed 0\n\nherd/src/lib.rs:1\n    Number 0.\n\n    Second.\n"),
            "{text}"
        );
    }
}
