//! Personal data: e-mail addresses, phone numbers, bank accounts, internet addresses.
//!
//! What passes, because it is nobody's: addresses at domains reserved for examples (RFC 2606, RFC 6761) and at hosts
//! that deliver none (`git@`, `root@`, no-reply), names of files (`icon@2x.png`); the fictional numbers 555-01xx; private, loopback, link-local and
//! documentation addresses (RFC 1918, 5737, 3849, 4193) and public resolvers; four numbers of which each is below 32,
//! or that follow a `v` or a dash, as version numbers do. National phone numbers are recognised in the North American
//! form alone: others can not be told from any number.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

/// Ends of file names that look like domains.
const FILE_ENDS: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "plist", "js", "ts", "tsx", "py", "rs", "rb", "go", "json",
    "yml", "yaml", "toml", "html", "css", "txt", "gz", "tgz", "tar", "service", "log",
];

/// Numbers of ten digits that every programmer writes about: the largest of 32 bits.
const LARGEST_INTEGERS: [&str; 3] = ["2147483647", "2147483648", "4294967295"];

/// Digits of an international number (ITU-T E.164), at least and at most.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 9..=15;

/// Resolvers that everybody writes about.
const RESOLVERS: &[[u8; 4]] = &[[8, 8, 8, 8], [8, 8, 4, 4], [1, 1, 1, 1], [1, 0, 0, 1], [9, 9, 9, 9]];

/// Length of an account number by country (ISO 13616, the registry's release 99).
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VG", 24),
    ("XK", 20),
];

fn form(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the forms are constant, and tested")
}

static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| form(r"(?i)\b([a-z0-9][a-z0-9._%+-]{0,63})@((?:[a-z0-9-]{1,63}\.)+[a-z]{2,24})\b"));
static INTERNATIONAL: LazyLock<Regex> = LazyLock::new(|| form(r"(?:^|[^\w+])(\+[1-9][\d ().\-/]{7,24}\d)"));
static AMERICAN: LazyLock<Regex> =
    LazyLock::new(|| form(r"(?:^|[^\w.+-])(\(\d{3}\) ?\d{3}-\d{4}|\d{3}[-.]\d{3}[-.]\d{4})(?:$|[^\w.-])"));
static IBAN: LazyLock<Regex> = LazyLock::new(|| form(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8}\b"));
static FOUR_NUMBERS: LazyLock<Regex> =
    LazyLock::new(|| form(r"(?:^|[^\w.-])((?:\d{1,3}\.){3}\d{1,3})(?:$|\.?(?:$|[^\w.-]))"));
static GROUPS: LazyLock<Regex> = LazyLock::new(|| form(r"(?i)\b[23][0-9a-f]{3}:[0-9a-f:]{2,34}\b"));

/// Whether a text holds data of a person.
pub(super) fn holds_personal_data(text: &str) -> bool {
    (text.contains('@') && holds_email(text))
        || (text.bytes().any(|byte| byte.is_ascii_digit())
            && (holds_phone(text) || holds_account(text) || holds_address(text)))
}

fn holds_email(text: &str) -> bool {
    EMAIL.captures_iter(text).any(|found| {
        let (name, domain) = (found[1].to_lowercase(), found[2].to_lowercase());
        let labels: Vec<&str> = domain.rsplit('.').collect();
        let is_reserved = matches!(labels[0], "example" | "test" | "invalid" | "localhost" | "local")
            || matches!(labels[..], ["com" | "org" | "net", "example", ..]);
        let is_file = FILE_ENDS.contains(&labels[0]);
        let is_nobody = matches!(name.as_str(), "git" | "root" | "password")
            || name.contains("noreply")
            || name.contains("no-reply")
            || domain.contains("noreply");
        !is_reserved && !is_nobody && !is_file
    })
}

fn holds_phone(text: &str) -> bool {
    let international = INTERNATIONAL.captures_iter(text).map(|found| digits(&found[1]));
    let american = AMERICAN.captures_iter(text).map(|found| digits(&found[1]));
    international
        .filter(|number| PHONE_DIGITS.contains(&number.len()))
        .chain(american)
        .any(|number| !is_fictional(&number))
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// 555-0100 to 555-0199, of any area; or no phone number at all.
fn is_fictional(number: &str) -> bool {
    LARGEST_INTEGERS.contains(&number) || number.len() >= 10 && number[number.len() - 7..].starts_with("55501")
}

fn holds_account(text: &str) -> bool {
    IBAN.find_iter(text).any(|found| {
        let compact: String = found.as_str().chars().filter(|c| *c != ' ').collect();
        let length = IBAN_LENGTHS.iter().find(|(country, _)| compact.starts_with(country)).map(|(_, length)| *length);
        length.and_then(|length| compact.get(..length)).is_some_and(has_check_digits)
    })
}

/// The remainder of ISO 7064 (mod 97, 10), with the first four characters put at the end, is 1.
fn has_check_digits(account: &str) -> bool {
    let (head, rest) = account.split_at(4);
    let value = |c: char| c.to_digit(36).unwrap_or(0);
    let remainder = rest.chars().chain(head.chars()).map(value).fold(0, |remainder, value| {
        let shift = if value < 10 { 10 } else { 100 };
        (remainder * shift + value) % 97
    });
    remainder == 1
}

fn holds_address(text: &str) -> bool {
    let four = FOUR_NUMBERS.captures_iter(text).filter_map(|found| found[1].parse::<Ipv4Addr>().ok());
    let groups =
        GROUPS.find_iter(text).filter_map(|found| found.as_str().trim_end_matches(':').parse::<Ipv6Addr>().ok());
    four.into_iter().any(is_somebodys) || groups.into_iter().any(|address| !is_documentation(address))
}

fn is_somebodys(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_unspecified()
        || address.is_multicast()
        || octets[0] == 0
        || octets[0] >= 240;
    let is_version = octets.iter().all(|octet| *octet < 32);
    !is_special && !is_version && !RESOLVERS.contains(&octets)
}

/// 2001:db8::/32 (RFC 3849).
fn is_documentation(address: Ipv6Addr) -> bool {
    address.segments()[..2] == [0x2001, 0xdb8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_persons_is_found() {
        for data in [
            "ada.lovelace+x@analytical.co.uk",
            "+49 30 901820-12",
            "+1 (212) 867-5309",
            "(212) 867-5309",
            "212-867-5309",
            "DE89 3704 0044 0532 0130 00",
            "GB82WEST12345698765432",
            "from 93.184.216.34.",
            "2606:4700:4700::1111",
        ] {
            assert!(holds_personal_data(&format!("Reach me: {data}")), "{data}");
        }
    }

    #[test]
    fn what_is_nobodys_passes() {
        for text in [
            "ada@example.com, ada@mail.example.org and bob@host.test",
            "git clone git@github.com:a/b.git",
            "call +1 212 555 0123, or (212) 555-0199",
            "DE89 3704 0044 0532 0130 01 has wrong check digits",
            "127.0.0.1, 192.168.1.10, 203.0.113.7 and 8.8.8.8",
            "version 1.2.3.4, v130.0.6723.58 and OID 1.3.6.1.4.1",
            "2001:db8::1 and ::1; std::fmt::Display; 12:30:45",
            "1 + 2345678901 = 2345678902; 2026-11-25; 3.141592653589793",
            "from -2147483648 to +2147483647; icon@2x.png and postgresql@11.plist; root@staging.host.com",
            "@Override\npublic void run() {}",
        ] {
            assert!(!holds_personal_data(text), "{text}");
        }
    }
}
