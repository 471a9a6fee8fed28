//! A text in tokens that keep their case and their inner marks: `v1.2`, `robots.txt`, `--all`, `don't`.

/// A run of characters between white space and marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// As it stands, without marks at its ends.
    pub text: &'a str,
    /// A sentence or a line may begin here, so that a capital letter tells nothing.
    pub is_initial: bool,
    /// What comes next is another clause.
    pub ends_clause: bool,
    /// It stands between back-ticks.
    pub is_code: bool,
}

/// Abbreviations whose stop ends no sentence.
const ABBREVIATIONS: [&str; 9] = ["e.g", "i.e", "cf", "vs", "etc", "dr", "mr", "mrs", "st"];

/// The tokens of a text.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found: Vec<Token<'_>> = Vec::new();
    let mut start = None;
    let mut is_initial = true;
    let mut is_code = false;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        if !is_separator(text, at, character) {
            start.get_or_insert(at);
            continue;
        }
        if let Some(start) = start.take() {
            let whole = &text[start..at];
            let token = if is_code { trimmed(whole) } else { trimmed(whole).trim_matches('_') };
            if !token.is_empty() {
                let tail = &whole[whole.trim_end_matches(is_edge).len()..];
                let is_abbreviation = ABBREVIATIONS.contains(&token.to_lowercase().as_str());
                found.push(Token {
                    text: token,
                    is_initial,
                    ends_clause: !tail.is_empty() && !is_abbreviation,
                    is_code,
                });
                is_initial = tail.contains(['.', ':']) && !is_abbreviation;
            }
        }
        match character {
            '\n' | '!' | '?' | '…' | '。' | '！' | '？' => is_initial = true,
            '`' => is_code = !is_code,
            _ => {}
        }
        if matches!(character, ',' | ';' | '!' | '?' | '…' | '—' | '(' | ')' | '|')
            && let Some(last) = found.last_mut()
        {
            last.ends_clause = true;
        }
    }
    found
}

/// Marks at the ends of a token that are no part of it. A hyphen before it may be: `--all`.
fn trimmed(token: &str) -> &str {
    let token = token.trim_end_matches(|c| is_edge(c) || c == '-');
    let token = token.trim_start_matches(is_edge);
    if token.starts_with("--") { token } else { token.trim_start_matches('-') }
}

fn is_edge(character: char) -> bool {
    matches!(character, '.' | ',' | ':' | '\'' | '\u{2019}' | '/')
}

fn is_separator(text: &str, at: usize, character: char) -> bool {
    let between_digits = || {
        let before = text[..at].chars().next_back().is_some_and(|c| c.is_ascii_digit());
        before && text[at + character.len_utf8()..].chars().next().is_some_and(|c| c.is_ascii_digit())
    };
    match character {
        ',' => !between_digits(),
        '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' | '(' | ')' | '[' | ']' | '{' | '}' | '<'
        | '>' | '|' | '*' | '`' | ';' | '!' | '?' | '…' | '—' | '–' | '=' | '。' | '！' | '？' | '、' | '，' => {
            true
        }
        character => character.is_whitespace(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_what_belongs_to_them() {
        let texts: Vec<&str> =
            tokens("Run `make --all`, (v1.2) at 12:30: 1,000 events, don't!").iter().map(|t| t.text).collect();
        let code: Vec<bool> = tokens("Run `make --all` now").iter().map(|token| token.is_code).collect();
        assert_eq!(code, [false, true, true, false]);
        assert_eq!(texts, ["Run", "make", "--all", "v1.2", "at", "12:30", "1,000", "events", "don't"]);
    }

    #[test]
    fn a_capital_letter_may_begin_a_sentence_at_the_start_and_behind_an_end() {
        let initial: Vec<&str> = tokens("Note: Rivers rise, e.g. Elbe. So Isar! Inn")
            .iter()
            .filter(|t| t.is_initial)
            .map(|t| t.text)
            .collect();
        assert_eq!(initial, ["Note", "Rivers", "So", "Inn"]);
    }
}
