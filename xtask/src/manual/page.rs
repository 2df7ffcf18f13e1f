//! One manual page: the sections that clap generates, and those that it does not.

use super::programs::{EXITS, Program};
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io;

/// Section of the manual: user commands.
const SECTION: &str = "1";

/// Returns the name of the page: the words of the command, joined by dashes.
pub(super) fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// Renders the page as roff.
pub(super) fn page(program: &Program, command: Command, date: &str) -> Vec<u8> {
    let mut page = Vec::new();
    render(program, command, date, &mut page).expect("writing to memory does not fail");
    page
}

fn render(program: &Program, command: Command, date: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let name = name(&command);
    let is_program = name == program.name;
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_subcommands = command.has_subcommands();
    let usage = usage(&command);
    let man = Man::new(command.override_usage(usage))
        .title(&name)
        .section(SECTION)
        .date(date)
        .source(format!("HerdLinx {}", env!("CARGO_PKG_VERSION")))
        .manual("HerdLinx");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if has_subcommands {
        man.render_subcommands_section(page)?;
    }
    let mut rest = Roff::new();
    examples(&mut rest, &help);
    if is_program {
        list(&mut rest, "ENVIRONMENT", program.environment.iter().copied());
        list(&mut rest, "FILES", program.files.iter().copied());
    } else {
        notes(&mut rest, &help);
    }
    let exits = EXITS.map(|(exit, meaning)| ((exit as u8).to_string(), meaning));
    list(&mut rest, "EXIT STATUS", exits.iter().map(|(number, meaning)| (number.as_str(), *meaning)));
    see_also(&mut rest, program, is_program);
    rest.to_writer(page)
}

/// Returns the command's usage as its help prints it.
///
/// clap's own synopsis puts required options into angle brackets and leaves out their values: `<--author>`.
fn usage(command: &Command) -> String {
    let text = command.clone().render_usage().to_string();
    text.strip_prefix("Usage:").unwrap_or(&text).trim().to_owned()
}

/// Adds the paragraphs of the text after the help that show commands.
fn examples(roff: &mut Roff, help: &str) {
    let examples: Vec<_> = help.split("\n\n").filter(|paragraph| paragraph.contains("\n  ")).collect();
    if examples.is_empty() {
        return;
    }
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in examples.join("\n\n").lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

/// Adds the other paragraphs of that text. The page of the program itself has sections for them instead.
fn notes(roff: &mut Roff, help: &str) {
    let notes: Vec<_> =
        help.split("\n\n").filter(|paragraph| !paragraph.is_empty() && !paragraph.contains("\n  ")).collect();
    if notes.is_empty() {
        return;
    }
    roff.control("SH", ["NOTES"]);
    for paragraph in notes {
        roff.control("PP", []);
        roff.text([roman(paragraph.replace('\n', " "))]);
    }
}

/// Adds a section with one entry for each name.
fn list<'a>(roff: &mut Roff, title: &str, entries: impl Iterator<Item = (&'a str, &'a str)>) {
    roff.control("SH", [title]);
    for (name, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(meaning)]);
    }
}

fn see_also(roff: &mut Roff, program: &Program, is_program: bool) {
    let pages: &[&str] = if is_program { &[program.other] } else { &[program.name, program.other] };
    roff.control("SH", ["SEE ALSO"]);
    let separated = pages.iter().enumerate().flat_map(|(at, page)| {
        let before = if at == 0 { "" } else { ", " };
        [roman(before), bold(*page), roman(format!("({SECTION})"))]
    });
    roff.text(separated.collect::<Vec<_>>());
}
