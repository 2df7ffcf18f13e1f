//! Chores of the repository, run with `cargo xtask`: tidy rules, planted bugs, manual pages, figures, and samples of the
//! documentation.
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`tidy`] | the rules of the house, each with its reason and a way to mend |
//! | [`mutants`] | planted bugs, and the share of them that the tests catch |
//! | [`numbers`] | the size of the crates, the functions and the pages |
//! | [`doc_sample`] | doc comments picked at random, to judge how the documentation reads |
//! | [`manual`] | manual pages and shell completions of both programs |
//! | [`update_file`] | signed updates of a card, and the key that signs them |
//! | [`tree`] | the files that the other modules read |
//! | [`syntax`] | what they look for in parsed Rust: items, functions, doc comments |
//! | [`modules`] | the modules of a crate, and which of them use each other |
//!
//! The rules look at the working tree alone. The same files give the same findings, whatever Git says of them.
//!
//! ```
//! use xtask::tidy::{Report, rules};
//! use xtask::tree::Tree;
//!
//! let house = tempfile::tempdir()?;
//! std::fs::create_dir_all(house.path().join("herd/src"))?;
//! std::fs::write(house.path().join("herd/src/lib.rs"), "//! What the barn keeps.\n")?;
//! let tree = Tree::load(house.path())?;
//! let rule = rules::named("doc-openings").expect("the rule exists");
//! let report = Report::of(&tree, &[rule])?;
//! assert_eq!(report.findings(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cli;
pub mod doc_sample;
pub mod manual;
pub mod modules;
pub mod mutants;
pub mod numbers;
pub mod syntax;
pub mod tidy;
pub mod tree;
pub mod update_file;
