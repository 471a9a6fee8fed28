//! What a model's window has room for, and how many tokens a text has about, where nobody can count them.

use twin_schemas::ChatMessage;

/// Tokens that a chat template puts around a message, about.
const TEMPLATE_TOKENS: usize = 8;

/// As many tokens as were asked for, or as a window of so many tokens leaves beside the prompt; at least one, so that a
/// prompt that has no room is refused by the model, which can say so.
pub fn within_window(asked: u32, window: usize, prompt: usize) -> u32 {
    let left = window.saturating_sub(prompt).max(1);
    asked.min(u32::try_from(left).unwrap_or(u32::MAX))
}

/// Tokens of a text, about, in a vocabulary that was made for English: a quarter of the characters of ASCII, half of those
/// of other alphabets, and one for each character of scripts that write no spaces.
pub fn estimated_tokens(text: &str) -> usize {
    let quarters: usize = text.chars().map(quarters).sum();
    quarters.div_ceil(4)
}

/// Tokens of a prompt, about.
pub(crate) fn estimated_prompt(messages: &[ChatMessage]) -> usize {
    messages.iter().map(|message| TEMPLATE_TOKENS + estimated_tokens(&message.content)).sum()
}

/// Quarters of a token.
fn quarters(character: char) -> usize {
    match character {
        '\0'..='\u{7f}' => 1,
        // Latin with marks, Greek, Cyrillic, Hebrew, Arabic.
        '\u{80}'..='\u{7ff}' => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_given_as_far_as_the_window_has_room() {
        assert_eq!(within_window(200, 8_192, 1_000), 200);
        assert_eq!(within_window(9_000, 8_192, 1_000), 7_192);
        assert_eq!(within_window(200, 8_192, 9_000), 1);
        assert_eq!(within_window(u32::MAX, usize::MAX, 0), u32::MAX);
    }

    #[test]
    fn tokens_are_estimated_by_script() {
        let english = "The hive survived the frost because I wrapped it in wool.";
        assert!((10..=18).contains(&estimated_tokens(english)), "{}", estimated_tokens(english));
        assert_eq!(estimated_tokens("\u{6771}\u{4eac}\u{90fd}"), 3);
        assert!(estimated_tokens("Улей пережил мороз") > estimated_tokens("Ulej perezhil moroz"));
        assert_eq!(estimated_tokens(""), 0);
    }
}
