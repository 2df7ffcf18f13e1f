//! Runs `give-back`.

use super::CliError;
use crate::control::{OfficeRequest, OfficeResponse};
use crate::give_back::{GiveBackProgress, UnreadableCopy};
use crate::settings::Settings;
use herd::position::Sequence;
use service::control::{CommandError, ask};
use service::lifecycle::print_notice;
use service::process::StateDir;
use std::io::Write;
use std::time::{Duration, Instant};

/// Interval of the progress lines.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Has the running mirror give back what only it holds, page by page.
pub(super) fn give_back(
    settings: &Settings,
    site: &str,
    author: &str,
    reason: &str,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let socket = StateDir::new(&settings.state_dir).socket();
    let (mut total, mut cursor, mut shown_at) = (GiveBackProgress::default(), None, Instant::now());
    loop {
        let (author, reason) = (author.to_owned(), reason.to_owned());
        let request = OfficeRequest::GiveBack { site: site.to_owned(), author, reason, cursor };
        let OfficeResponse::GivenBack(step) = ask(&socket, &request).map_err(CommandError::Ask)? else {
            return Err(CommandError::UnexpectedResponse.into());
        };
        cursor = step.next;
        total.add(step);
        if cursor.is_none() {
            break;
        }
        if shown_at.elapsed() >= PROGRESS_INTERVAL {
            shown_at = Instant::now();
            print_notice(format_args!("{} payloads given back so far", total.kept + total.duplicates));
        }
    }
    print_given_back(site, &total, out)
}

fn print_given_back(site: &str, total: &GiveBackProgress, out: &mut dyn Write) -> Result<(), CliError> {
    let GiveBackProgress { kept, duplicates, not_repeated, not_repeated_count, mended, unmended, unreadable, .. } =
        total;
    for row in mended {
        writeln!(out, "{row}: the log of `{site}` was damaged there, and has them again.")?;
    }
    for row in unmended {
        writeln!(out, "{row}: the log of `{site}` is damaged there, and this office did not return what was there.")?;
    }
    if !unmended.is_empty() {
        writeln!(
            out,
            "Run `herdlinxd verify` at the barn. It names what is still damaged, and `herdlinxd recover --from FILE` \
             takes that from a backup of this office."
        )?;
    }
    for UnreadableCopy { copy, why } in unreadable {
        writeln!(out, "{copy} cannot be read, and its reads may be only here: {why}.")?;
    }
    if !unreadable.is_empty() {
        writeln!(out, "Carry its log.redb to the barn: `herdlinxd recover --from FILE` takes what is whole in it.")?;
    }
    let rest = if unreadable.is_empty() { "Nothing else" } else { "Nothing else that can be read" };
    writeln!(out, "`{site}` took {kept} payloads back, and held {duplicates} already. {rest} is only here.")?;
    if *not_repeated_count > 0 {
        let named: Vec<_> = not_repeated.iter().map(Sequence::to_string).collect();
        let more = if (named.len() as u64) < *not_repeated_count { ", and more" } else { "" };
        let named = named.join(", ");
        writeln!(out, "{not_repeated_count} corrections are not repeated; make them again: {named}{more}.")?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::store::DamagedRow;

    /// Catches decisions that nobody makes again because they are not named, rows that are told as mended and are not, and a copy
    /// that is taken for given back because it cannot be read.
    #[test]
    fn the_result_names_what_is_left_to_do() {
        let printed = |total: &GiveBackProgress| {
            let mut out = Vec::new();
            print_given_back("north", total, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let done = GiveBackProgress { kept: 5, duplicates: 7, ..GiveBackProgress::default() };
        let end = "`north` took 5 payloads back, and held 7 already. Nothing else is only here.\n";
        assert_eq!(printed(&done), end);
        let row = |n| DamagedRow { first: Sequence(n), last: Sequence(n + 9) };
        let some = GiveBackProgress { mended: vec![row(11)], unmended: vec![row(31)], ..done.clone() };
        let [mended, unmended] = [row(11), row(31)].map(|row| row.to_string());
        let rows = format!(
            "{mended}: the log of `north` was damaged there, and has them again.\n\
             {unmended}: the log of `north` is damaged there, and this office did not return what was there.\n\
             Run `herdlinxd verify` at the barn. It names what is still damaged, and `herdlinxd recover --from FILE` takes that \
             from a backup of this office.\n"
        );
        assert_eq!(printed(&some), format!("{rows}{end}"));
        let copy = serde_json::from_str("2").unwrap();
        let unreadable = vec![UnreadableCopy { copy, why: "the disk has failed".into() }];
        let some = GiveBackProgress { unreadable, ..done.clone() };
        let told = "copy-2 cannot be read, and its reads may be only here: the disk has failed.\n\
                    Carry its log.redb to the barn: `herdlinxd recover --from FILE` takes what is whole in it.\n";
        let end_of_rest = end.replace("Nothing else is", "Nothing else that can be read is");
        assert_eq!(printed(&some), format!("{told}{end_of_rest}"));
        for (count, more) in [(2, ""), (3, ", and more")] {
            let not_repeated = vec![Sequence(8), Sequence(9)];
            let some = GiveBackProgress { not_repeated, not_repeated_count: count, ..done.clone() };
            let told = format!("{count} corrections are not repeated; make them again: 8, 9{more}.\n");
            assert_eq!(printed(&some), format!("{end}{told}"));
        }
    }
}
