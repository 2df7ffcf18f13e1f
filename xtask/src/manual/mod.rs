//! What ships beside the two programs for whoever types: manual pages and completions of the shells, made of the
//! command lines that the programs themselves read.

mod page;
mod programs;

use clap::Command;
use clap_complete::{Shell, generate_to};
use page::page;
use programs::{PROGRAMS, Program};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why the manual is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// A directory could not be made.
    #[error("making the directory {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("writing {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes, for each program, `PROGRAM/man/*.1` and `PROGRAM/completions/*` below `directory`; `date` (`YYYY-MM-DD`)
/// stands at the foot of each page. The same programs and date give the same bytes.
pub fn write_manual(directory: &Path, date: &str) -> Result<(), ManualError> {
    for program in &PROGRAMS {
        let place = directory.join(program.name);
        write_pages(program, &made(place.join("man"))?, date)?;
        write_completions(program, &made(place.join("completions"))?)?;
    }
    Ok(())
}

fn made(path: PathBuf) -> Result<PathBuf, ManualError> {
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(ManualError::Directory { path, source }),
    }
}

fn write_pages(program: &Program, directory: &Path, date: &str) -> Result<(), ManualError> {
    for command in with_subcommands(built(program)) {
        let path = directory.join(format!("{}.1", page::name(&command)));
        fs::write(&path, page(program, command, date)).map_err(|source| ManualError::File { path, source })?;
    }
    Ok(())
}

fn write_completions(program: &Program, directory: &Path) -> Result<(), ManualError> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut built(program), program.name, directory)
            .map_err(|source| ManualError::File { path: directory.into(), source })?;
    }
    Ok(())
}

/// With the names that its subcommands have as programs of their own.
fn built(program: &Program) -> Command {
    let mut command = (program.described)();
    command.build();
    command
}

fn with_subcommands(command: Command) -> Vec<Command> {
    let below: Vec<_> = command.get_subcommands().cloned().flat_map(with_subcommands).collect();
    std::iter::once(command).chain(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn written() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        write_manual(place.path(), "2026-01-31").unwrap();
        place
    }

    fn names(directory: &Path) -> BTreeSet<String> {
        let entries = directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn each_command_of_both_programs_has_a_page_that_says_what_it_does_and_how_it_ends() {
        let place = written();
        for (program, commands) in [
            ("herdlinxd", &["", "-pair", "-key-add", "-show-batches", "-correct-died", "-doctor"][..]),
            ("herdlinx-mirror", &["", "-add", "-key-revoke", "-show-animals", "-resync"]),
        ] {
            let pages = place.path().join(program).join("man");
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

    #[test]
    fn a_page_refers_to_no_page_that_is_not_there() {
        let place = written();
        let pages: BTreeSet<_> =
            PROGRAMS.iter().flat_map(|program| names(&place.path().join(program.name).join("man"))).collect();
        for program in &PROGRAMS {
            for page in names(&place.path().join(program.name).join("man")) {
                let text = fs::read_to_string(place.path().join(program.name).join("man").join(&page)).unwrap();
                let referred = text.split_whitespace().filter_map(|word| word.split_once("(1)"));
                for (name, _) in referred {
                    let named = name.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "");
                    assert!(pages.contains(&format!("{named}.1")), "{page} refers to {named}(1)");
                }
            }
        }
    }

    #[test]
    fn each_shell_completes_each_program() {
        let place = written();
        for (program, files) in [
            ("herdlinxd", ["_herdlinxd", "herdlinxd.bash", "herdlinxd.fish"]),
            ("herdlinx-mirror", ["_herdlinx-mirror", "herdlinx-mirror.bash", "herdlinx-mirror.fish"]),
        ] {
            assert_eq!(names(&place.path().join(program).join("completions")), files.map(str::to_owned).into());
        }
    }

    #[test]
    fn the_same_programs_give_the_same_bytes() {
        let (one, other) = (written(), written());
        for program in &PROGRAMS {
            for part in ["man", "completions"] {
                let at = |place: &tempfile::TempDir| place.path().join(program.name).join(part);
                for file in names(&at(&one)) {
                    assert_eq!(fs::read(at(&one).join(&file)).unwrap(), fs::read(at(&other).join(&file)).unwrap());
                }
            }
        }
    }
}
