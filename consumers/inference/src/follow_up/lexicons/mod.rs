//! The commonest words of some languages, as far as they tell what a message asks for.

mod germanic;
mod romance;

use std::sync::LazyLock;

use super::lexicon::Lexicon;
use germanic::{DUTCH, ENGLISH, GERMAN};
use romance::{FRENCH, ITALIAN, PORTUGUESE, SPANISH};

/// All of them. Where a message is as much of one as of another, the first one counts.
pub(super) static LEXICONS: LazyLock<[Lexicon; 7]> =
    LazyLock::new(|| [ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE, DUTCH].each_ref().map(Lexicon::new));
