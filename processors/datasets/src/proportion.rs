//! How much of a version is code.
//!
//! Of a repository most passages are code, and a model that learns from all of them takes on the voice of its comments. So
//! where an author has written prose, code is left out until prose has its share: from each split alike, by a hash.

use twin_schemas::{Refusal, Refusals, Split};

use crate::compose::key;
use crate::scratch::Scratch;
use crate::words::choice;
use crate::{Error, Options};

/// Passages that an author of little prose keeps at least, code among them.
const LEAST_PASSAGES: u64 = 200;

/// Leaves out code beyond its share.
pub(crate) fn keep(scratch: &Scratch, options: &Options, refusals: &mut Refusals) -> Result<(), Error> {
    let mut of_splits = Vec::new();
    for split in Split::ALL {
        let (all, code) = scratch.kept(split)?;
        of_splits.push((split, all - code, code));
    }
    let prose: u64 = of_splits.iter().map(|(_, prose, _)| prose).sum();
    let code: u64 = of_splits.iter().map(|(_, _, code)| code).sum();
    let allowed = allowed_code(prose, options.prose_share);
    if allowed >= code {
        return Ok(());
    }
    for (split, _, of_split) in of_splits {
        // Never more than it has: allowed is less than all of it.
        let kept = (of_split as f64 * allowed as f64 / code as f64).round() as u64;
        thin_out(scratch, split, kept, options, refusals)?;
    }
    Ok(())
}

/// Passages of code beside so many of prose.
fn allowed_code(prose: u64, share: f64) -> u64 {
    if prose == 0 || share <= 0.0 {
        return u64::MAX;
    }
    let beside = prose as f64 * (1.0 - share) / share;
    (beside.round() as u64).max(LEAST_PASSAGES.saturating_sub(prose))
}

/// Keeps so many of a split's passages of code, those that a hash picks.
fn thin_out(
    scratch: &Scratch,
    split: Split,
    kept: u64,
    options: &Options,
    refusals: &mut Refusals,
) -> Result<(), Error> {
    let mut ranked = Vec::new();
    let mut after = 0;
    while let Some(known) = scratch.next(split, after, true)? {
        after = known.id;
        if !known.is_prose() {
            ranked.push((choice(options.seed, &["proportion", &key(&known)]), known.id));
        }
    }
    ranked.sort_unstable();
    for (_, id) in ranked.into_iter().skip(kept as usize) {
        scratch.leave_out(id)?;
        refusals.add(Refusal::TooMuchCode);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_a_fifth_beside_prose_and_all_there_is_without() {
        assert_eq!(allowed_code(800, 0.8), 200);
        assert_eq!(allowed_code(0, 0.8), u64::MAX);
        assert_eq!(allowed_code(800, 0.0), u64::MAX);
        assert_eq!((allowed_code(20, 0.8), allowed_code(180, 0.8)), (180, 45), "an author of little prose");
        assert_eq!(allowed_code(500, 1.0), 0);
    }
}
