//! Progress of opening a store.

use crate::position::Sequence;
use std::fmt::{Display, Formatter, Result};

/// A step of opening a store. Both steps take time if there is much data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenProgress<'a> {
    /// Checks a file that was not closed, after a kill or a power cut.
    Checking {
        /// Name of the file.
        file: &'a str,
        /// Percentage that is done.
        percent: u8,
    },
    /// Folds the tables from the log.
    Folding {
        /// The last change in them.
        folded: Sequence,
        /// The last change in the log.
        of: Sequence,
    },
}

impl<'a> OpenProgress<'a> {
    /// Converts a share of 0.0 to 1.0, as the database reports it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 100")]
    pub(super) fn checking(file: &'a str, share: f64) -> Self {
        Self::Checking { file, percent: (share.clamp(0.0, 1.0) * 100.0) as u8 }
    }

    /// Returns the percentage of the step that is done.
    pub fn percent(&self) -> u8 {
        match *self {
            Self::Checking { percent, .. } => percent,
            Self::Folding { folded, of } => {
                let share = (u128::from(folded.0) * 100).checked_div(u128::from(of.0)).unwrap_or(100);
                u8::try_from(share.min(100)).unwrap_or(100)
            }
        }
    }
}

impl Display for OpenProgress<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Checking { file, percent } => write!(f, "checking {file}, which was not closed: {percent} %"),
            Self::Folding { folded, of } => {
                write!(f, "folding the tables: {} of {} changes", grouped(folded.0), grouped(of.0))
            }
        }
    }
}

/// Formats a number with commas between groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        let all = [0, 7, 100, 1_000, 12_345, 123_456, 1_000_000].map(grouped);
        assert_eq!(all, ["0", "7", "100", "1,000", "12,345", "123,456", "1,000,000"]);
    }

    #[test]
    fn a_share_out_of_range_is_clamped() {
        let percent = |share| OpenProgress::checking("log.redb", share).percent();
        assert_eq!([-1.0, 0.0, 0.6, 1.0, 2.0, f64::NAN].map(percent), [0, 0, 60, 100, 100, 0]);
    }

    #[test]
    fn a_fold_is_done_only_at_its_last_change() {
        let percent = |(folded, of)| OpenProgress::Folding { folded: Sequence(folded), of: Sequence(of) }.percent();
        let all = [(0, 9), (1, 3), (999_999, 1_000_000), (7, 7), (0, 0), (u64::MAX - 1, u64::MAX)].map(percent);
        assert_eq!(all, [0, 33, 99, 100, 100, 99]);
    }
}
