//! Manual pages and shell completions of both programs, generated from the command lines that the programs parse.
//!
//! | module | holds |
//! |---|---|
//! | `page` | one page, with the sections that clap does not generate |
//! | `programs` | both programs, with the facts that their command lines do not know |

mod page;
mod programs;

use clap::Command;
use clap_complete::{Shell, generate_to};
use page::page;
use programs::{PROGRAMS, Program};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why the manual could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// A directory could not be created.
    #[error("cannot create the directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// The file, or the directory of the completions.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Writes `PROGRAM/man/*.1` and `PROGRAM/completions/*` below `directory` for both programs.
///
/// `date` (`YYYY-MM-DD`) stands at the foot of each page. The same programs and date give the same bytes, so that
/// packages are reproducible.
pub fn write_manual(directory: &Path, date: &str) -> Result<(), ManualError> {
    for program in &PROGRAMS {
        let folder = directory.join(program.name);
        write_pages(program, &create_directory(folder.join("man"))?, date)?;
        write_completions(program, &create_directory(folder.join("completions"))?)?;
    }
    Ok(())
}

fn create_directory(path: PathBuf) -> Result<PathBuf, ManualError> {
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(ManualError::Directory { path, source }),
    }
}

fn write_pages(program: &Program, directory: &Path, date: &str) -> Result<(), ManualError> {
    for command in with_subcommands(command_of(program)) {
        let path = directory.join(format!("{}.1", page::name(&command)));
        fs::write(&path, page(program, command, date)).map_err(|source| ManualError::File { path, source })?;
    }
    Ok(())
}

fn write_completions(program: &Program, directory: &Path) -> Result<(), ManualError> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command_of(program), program.name, directory)
            .map_err(|source| ManualError::File { path: directory.into(), source })?;
    }
    Ok(())
}

/// Returns the program's command. Building it gives each subcommand its full name, such as `herdlinxd-key-add`.
fn command_of(program: &Program) -> Command {
    let mut command = (program.command)();
    command.build();
    command
}

/// Returns the command and its subcommands at every level.
fn with_subcommands(command: Command) -> Vec<Command> {
    let below: Vec<_> = command.get_subcommands().cloned().flat_map(with_subcommands).collect();
    std::iter::once(command).chain(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn write_all() -> tempfile::TempDir {
        let house = tempfile::tempdir().unwrap();
        write_manual(house.path(), "2026-01-31").unwrap();
        house
    }

    fn names(directory: &Path) -> BTreeSet<String> {
        let entries = directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect()
    }

    /// Fails if a command ships without a page, or a page without the sections that a reader looks for.
    #[test]
    fn each_command_has_a_page_with_every_section() {
        let house = write_all();
        for (program, commands) in [
            ("herdlinxd", &["", "-pair", "-key-add", "-show-batches", "-correct-died", "-doctor"][..]),
            ("herdlinx-mirror", &["", "-add", "-key-revoke", "-show-animals", "-resync"]),
        ] {
            let pages = house.path().join(program).join("man");
            for command in commands {
                let name = format!("{program}{command}");
                let text = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
                assert!(text.contains(&format!(".TH {name} 1 2026-01-31")), "{text}");
                for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "\"SEE ALSO\""] {
                    assert!(text.contains(&format!(".SH {section}\n")), "{name} lacks {section}");
                }
            }
            let text = fs::read_to_string(pages.join(format!("{program}.1"))).unwrap();
            for section in ["SUBCOMMANDS", "EXAMPLES", "ENVIRONMENT", "FILES"] {
                assert!(text.contains(&format!(".SH {section}\n")), "{program} lacks {section}");
            }
        }
    }

    /// Catches a synopsis that nobody could type: an option in angle brackets, or one without its value.
    #[test]
    fn the_synopsis_is_the_usage_of_the_help() {
        let house = write_all();
        let text = fs::read_to_string(house.path().join("herdlinxd/man/herdlinxd-correct-died.1")).unwrap();
        let synopsis = text.split(".SH SYNOPSIS\n").nth(1).unwrap().lines().next().unwrap();
        let plain = synopsis.replace("\\fB", "").replace("\\fR", "").replace("\\-", "-");
        assert!(plain.starts_with("herdlinxd correct --author <AUTHOR> --reason <REASON> died"), "{plain}");
        assert!(plain.contains("--animal <") && !plain.contains("<--"), "{plain}");
    }

    /// Fails if `man` cannot open a page that another page names.
    #[test]
    fn every_page_that_is_referred_to_exists() {
        let house = write_all();
        let pages: BTreeSet<_> =
            PROGRAMS.iter().flat_map(|program| names(&house.path().join(program.name).join("man"))).collect();
        for program in &PROGRAMS {
            for page in names(&house.path().join(program.name).join("man")) {
                let text = fs::read_to_string(house.path().join(program.name).join("man").join(&page)).unwrap();
                let referred = text.split_whitespace().filter_map(|word| word.split_once("(1)"));
                for (name, _) in referred {
                    let named = name.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "");
                    assert!(pages.contains(&format!("{named}.1")), "{page} refers to {named}(1)");
                }
            }
        }
    }

    /// Fails if a shell is left without completions.
    #[test]
    fn each_shell_completes_each_program() {
        let house = write_all();
        for (program, files) in [
            ("herdlinxd", ["_herdlinxd", "herdlinxd.bash", "herdlinxd.fish"]),
            ("herdlinx-mirror", ["_herdlinx-mirror", "herdlinx-mirror.bash", "herdlinx-mirror.fish"]),
        ] {
            assert_eq!(names(&house.path().join(program).join("completions")), files.map(str::to_owned).into());
        }
    }

    /// Fails if a package would differ between two builds of the same sources.
    #[test]
    fn the_same_programs_give_the_same_bytes() {
        let (one, other) = (write_all(), write_all());
        for program in &PROGRAMS {
            for part in ["man", "completions"] {
                let at = |house: &tempfile::TempDir| house.path().join(program.name).join(part);
                for file in names(&at(&one)) {
                    assert_eq!(fs::read(at(&one).join(&file)).unwrap(), fs::read(at(&other).join(&file)).unwrap());
                }
            }
        }
    }
}
