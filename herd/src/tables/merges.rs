//! Chains of animals that were merged, one into the other.

/// Maximum length of a chain of merges that is followed.
///
/// A merged animal names its successor, which may have been merged in turn. Only operators make such chains, one merge after
/// the other. The limit keeps damaged rows from leading in a circle forever.
const MAX_MERGES: usize = 256;

/// Returns the last animal of the chain of merges that begins with this one: itself, unless it was merged. `absorbed_by`
/// returns the animal that one was merged into. Returns `None` for a chain of more than [`MAX_MERGES`].
pub(crate) fn last_successor<A: Copy, E>(
    animal: A,
    mut absorbed_by: impl FnMut(A) -> Result<Option<A>, E>,
) -> Result<Option<A>, E> {
    let mut last = animal;
    for _ in 0..=MAX_MERGES {
        match absorbed_by(last)? {
            Some(successor) => last = successor,
            None => return Ok(Some(last)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// Catches a chain that is not followed to its end, and a circle that is followed forever.
    #[test]
    fn a_chain_is_followed_to_its_end_and_a_circle_has_none() {
        let last_of = |first: usize| {
            let Ok(last) = last_successor(first, |n| Ok::<_, Infallible>((n > 0).then(|| n - 1)));
            last
        };
        assert_eq!([0, 1, MAX_MERGES, MAX_MERGES + 1].map(last_of), [Some(0), Some(0), Some(0), None]);
        assert_eq!(last_successor(0, |n| Ok::<_, Infallible>(Some(1 - n))), Ok(None));
        assert_eq!(last_successor(0, |_| Err("no disk")), Err("no disk"));
    }
}
