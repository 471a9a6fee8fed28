//! Whether a question is answered in the author's own words or in those of a model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How questions are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By whichever of the other two gives better answers with the models that there are.
    #[default]
    Auto,
    /// With sentences of the passages that were found.
    Quote,
    /// With what a language model writes from them.
    Generate,
}

/// Which model could write an answer for an author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// None is loaded.
    Nobody,
    /// The small model that every installation has, as it is or as a version that was trained on the author.
    Default {
        /// It is a version, and has passed its evaluation for grounded answers.
        grounded: bool,
    },
    /// A model or an endpoint that somebody has chosen, or a version where somebody has.
    Chosen,
}

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// In the author's own words.
    Quote,
    /// In those of the author's model.
    Generate,
    /// Not at all: it is to be JSON, which cannot be quoted, and there is no model.
    Refuse,
}

/// The way of a question whose answer is text, or else JSON.
pub(crate) fn way(mode: Mode, writer: Writer, is_text: bool) -> Way {
    match (mode, writer, is_text) {
        (_, Writer::Nobody, false) => Way::Refuse,
        (_, _, false) => Way::Generate,
        (Mode::Quote, _, true) | (_, Writer::Nobody, true) => Way::Quote,
        (Mode::Generate, _, true) => Way::Generate,
        (Mode::Auto, Writer::Default { grounded: false }, true) => Way::Quote,
        (Mode::Auto, Writer::Default { grounded: true } | Writer::Chosen, true) => Way::Generate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITERS: [Writer; 4] =
        [Writer::Nobody, Writer::Default { grounded: false }, Writer::Default { grounded: true }, Writer::Chosen];

    /// The ways of all writers, in the order above.
    fn ways(mode: Mode, is_text: bool) -> [Way; 4] {
        WRITERS.map(|writer| way(mode, writer, is_text))
    }

    #[test]
    fn the_default_model_is_not_left_to_write_until_a_version_of_it_is_shown_to_answer_from_passages() {
        assert_eq!(ways(Mode::Auto, true), [Way::Quote, Way::Quote, Way::Generate, Way::Generate]);
    }

    #[test]
    fn whoever_says_how_is_answered_has_it_so() {
        assert_eq!(ways(Mode::Quote, true), [Way::Quote; 4]);
        assert_eq!(ways(Mode::Generate, true)[1..], [Way::Generate; 3]);
        assert_eq!(ways(Mode::Generate, true)[0], Way::Quote, "there is nothing to generate with");
    }

    #[test]
    fn json_can_not_be_quoted() {
        for mode in [Mode::Auto, Mode::Quote, Mode::Generate] {
            assert_eq!(ways(mode, false), [Way::Refuse, Way::Generate, Way::Generate, Way::Generate], "{mode:?}");
        }
    }
}
