//! Keys, tokens and passwords.
//!
//! Known forms are matched by their prefixes, as in the rule sets of gitleaks and detect-secrets. What is assigned to
//! a name like `api_key` counts if it is as random as a key: words and placeholders pass.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// Bits of entropy in each character of a value from which on it is random. English words have about 3, hexadecimal
/// digits at most 4.
const RANDOM_BITS: f64 = 3.4;

/// Forms that stand for themselves.
const FORMS: &[&str] = &[
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36,}",
    r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bglpat-[A-Za-z0-9_-]{20,}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]+",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bnpm_[A-Za-z0-9]{36}",
    r"\bpypi-[A-Za-z0-9_-]{50,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
];

/// Passwords in addresses that are meant to be replaced.
const PLACEHOLDERS: &[&str] = &["password", "pass", "passwd", "secret", "pw", "example", "changeme", "xxx", "token"];

static KNOWN: LazyLock<RegexSet> = LazyLock::new(|| RegexSet::new(FORMS).expect("the forms are constant, and tested"));

static IN_ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]{3,})@").expect("the form is constant, and tested")
});

static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    let name = r"(?i)(?:api[_-]?key|access[_-]?key|secret|token|passwo?r?d|passphrase|credential|authorization|bearer)";
    let form = format!(r#"{name}[\w.-]*["']?\s*(?:=|:|=>|:=|,|\s)\s*(?:bearer\s+)?["'`]?([A-Za-z0-9+/=_.-]{{16,}})"#);
    Regex::new(&form).expect("the form is constant, and tested")
});

/// Whether a text holds something that opens something.
pub(super) fn holds_secret(text: &str) -> bool {
    KNOWN.is_match(text)
        || IN_ADDRESS.captures_iter(text).any(|found| !is_placeholder(&found[1]))
        || ASSIGNED.captures_iter(text).any(|found| is_random(&found[1]))
}

fn is_placeholder(password: &str) -> bool {
    let lower = password.to_lowercase();
    PLACEHOLDERS.contains(&lower.as_str()) || lower.starts_with(['<', '{', '$', '*', '%'])
}

/// Whether a value is no word, path or name: digits and letters in a random order.
fn is_random(value: &str) -> bool {
    let has = |is: fn(&char) -> bool| value.chars().any(|c| is(&c));
    has(char::is_ascii_digit) && has(char::is_ascii_alphabetic) && entropy(value) >= RANDOM_BITS
}

/// Bits of each byte (Shannon 1948).
fn entropy(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    value.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let all = value.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / all);
    shares.map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_found() {
        // Put together, so that no scanner takes this file for a leak.
        for secret in [
            format!("AKIA{}", "IOSFODNN7EXAMPLE"),
            format!("ghp_{}", "a1B2".repeat(9)),
            format!("github_pat_{}", "a1B2c3".repeat(5)),
            format!("xoxb-{}", "123456789012-abc"),
            format!("-----BEGIN RSA {} KEY-----", "PRIVATE"),
            format!("eyJhbGciOiJI.{}.{}", "eyJzdWIiOiIx", "SflKxwRJSMeK"),
            format!("api_key = \"{}\"", "9f8a7b6c5d4e3f2a1b0c"),
            format!("\"client_secret\": \"{}\"", "Zx81-kQ7v_pL0mN3bT6y"),
            format!("Authorization: Bearer {}", "q8Wn3ZxT7yLk5VbM2cRs"),
            format!("postgres://ada:{}@db.host/x", "h4rd2guess"),
            format!("sk-{}", "proj-abcdefghij0123456789"),
        ] {
            assert!(holds_secret(&format!("before {secret} after")), "{secret}");
        }
    }

    #[test]
    fn talk_of_secrets_is_none() {
        for text in [
            "The token is passed as a header; keep the secret_key_of_the_deployment in a file.",
            "let token = tokens.next_token_of_the_stream();",
            "api_key: ${API_KEY}",
            "postgres://user:password@localhost/db",
            "password = os.environ[\"TWIN_DATABASE_PASSWORD\"]",
            "a hash such as e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert!(!holds_secret(text), "{text}");
        }
    }
}
