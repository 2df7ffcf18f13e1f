//! The command line.

use crate::doc_sample::{self, DocSample, DocSampleError};
use crate::manual::{ManualError, write_manual};
use crate::mutants::{MutantsArgs, MutantsError, try_mutants};
use crate::numbers::{Numbers, NumbersError};
use crate::tidy::{Report, Rule, TidyError, rules};
use crate::tree::{Tree, TreeError};
use crate::update_file::{UpdateFileArgs, UpdateFileError, UpdateKeyArgs, make_file, make_key};
use clap::{Parser, Subcommand};
use service::lifecycle::Exit;
use std::io::{self, Write};
use std::path::PathBuf;

/// Run a chore of the repository
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", version, after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  cargo xtask tidy                       check every rule
  cargo xtask tidy --list                print the rules and their reasons
  cargo xtask tidy --rule doc-openings   check one rule
  cargo xtask mutants --crate herd       plant bugs in a crate and run its tests
  cargo xtask numbers --root ../base     measure another checkout

Exit status: 0 if there is nothing to mend, 1 if a rule has findings or a mutant lives, 2 on an error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the rules of the house
    Tidy {
        /// Check this rule only; may be repeated [default: all]
        #[arg(long = "rule", value_name = "NAME", value_parser = parse_rule)]
        rules: Vec<&'static Rule>,
        /// Print the rules instead of checking them
        #[arg(long)]
        list: bool,
        #[command(flatten)]
        checkout: Checkout,
    },
    /// Write the manual pages and shell completions of both programs
    ///
    /// Writes PROGRAM/man/*.1 and PROGRAM/completions/* below the directory. `image/packages` packs them.
    Manual {
        /// Target directory; created if missing
        directory: PathBuf,
        /// Date at the foot of each page, as YYYY-MM-DD [default: none]
        #[arg(long, default_value = "", hide_default_value = true)]
        date: String,
    },
    /// Plant bugs in the crates, one at a time, and count those that the tests catch
    ///
    /// Tries a seeded sample on the last commit. A bug that no test catches needs a reason in
    /// xtask/src/mutants/survivors.toml. Takes half a minute to two minutes for each bug.
    Mutants(MutantsArgs),
    /// Print the size of crates, functions and pages, without tests
    Numbers {
        #[command(flatten)]
        checkout: Checkout,
    },
    /// Print doc comments picked at random; the same seed and sources give the same sample
    DocSample {
        /// Number of doc comments
        #[arg(long, default_value_t = 20)]
        count: usize,
        /// Seed of the random choice
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        checkout: Checkout,
    },
    /// Make the pair of keys that signs and verifies updates of a card
    UpdateKey(UpdateKeyArgs),
    /// Make a signed update file from the image of a slot; `image/update` calls this
    UpdateFile(UpdateFileArgs),
}

/// The checkout that a chore reads.
#[derive(Debug, clap::Args)]
struct Checkout {
    /// Root of the checkout to read [default: the one that this program was built from]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl Checkout {
    fn load(&self) -> Result<Tree, TreeError> {
        Tree::load(&self.root.clone().unwrap_or_else(Tree::own_root))
    }
}

/// Reason why a chore fails.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum CliError {
    /// At least one rule has a finding, which is printed.
    #[error("there is something to mend")]
    Findings,
    /// The checkout could not be read.
    Tree(#[from] TreeError),
    /// A rule could not be checked.
    Tidy(#[from] TidyError),
    /// The mutants could not be tried, or one lives without a reason.
    Mutants(#[from] MutantsError),
    /// The checkout could not be measured.
    Numbers(#[from] NumbersError),
    /// The sample could not be printed.
    DocSample(#[from] DocSampleError),
    /// The manual could not be written.
    Manual(#[from] ManualError),
    /// The update file or its key could not be made.
    UpdateFile(#[from] UpdateFileError),
    /// The output could not be written.
    Output(#[from] io::Error),
}

impl From<&CliError> for Exit {
    fn from(error: &CliError) -> Self {
        // Not the meanings that the programs give to these numbers: scripts tell findings from errors.
        match error {
            CliError::Findings | CliError::Mutants(MutantsError::Findings) => Self::Failure,
            _ => Self::Usage,
        }
    }
}

/// Runs the chore that `args` names and prints its result to `out`.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    match &args.command {
        Command::Tidy { rules, list: true, .. } => rules::write_list(&selected(rules), out)?,
        Command::Tidy { rules, checkout, .. } => return tidy(&selected(rules), checkout, out),
        Command::Manual { directory, date } => write_manual(directory, date)?,
        Command::Mutants(args) => try_mutants(args, out)?,
        Command::Numbers { checkout } => write!(out, "{}", Numbers::of(&checkout.load()?)?)?,
        Command::DocSample { count, seed, checkout } => {
            let sample = DocSample { count: *count, seed: *seed };
            doc_sample::write(&checkout.load()?, sample, out)?;
        }
        Command::UpdateKey(args) => make_key(args)?,
        Command::UpdateFile(args) => {
            let manifest = make_file(args)?;
            writeln!(out, "version {}, image of {} bytes", manifest.version, manifest.slot_bytes)?;
        }
    }
    Ok(())
}

fn tidy(rules: &[&Rule], checkout: &Checkout, out: &mut dyn Write) -> Result<(), CliError> {
    let report = Report::of(&checkout.load()?, rules)?;
    write!(out, "{report}")?;
    if report.findings() == 0 { Ok(()) } else { Err(CliError::Findings) }
}

fn selected(named: &[&'static Rule]) -> Vec<&'static Rule> {
    if named.is_empty() { rules::ALL.to_vec() } else { named.to_vec() }
}

fn parse_rule(name: &str) -> Result<&'static Rule, String> {
    rules::named(name).ok_or_else(|| "not a rule; `cargo xtask tidy --list` prints them".to_owned())
}
