//! Numbers and units, each in one form: `1,000` is `1000`, `05` is `5`, `twelve` is `12`, `10 minutes` is `10 min`.
//!
//! Figures are read in any language, numbers as words in English, and units as words in English, but for those of time, which
//! are known in the seven languages of [`twin_text::natural::Language`].

/// A unit in its one form.
pub(super) type Unit = &'static str;

/// Units by how they are written. A unit that is left out here is a word like any other.
const UNITS: [(Unit, &[&str]); 34] = [
    ("ns", &["ns", "nanosecond", "nanoseconds"]),
    ("us", &["us", "µs", "μs", "microsecond", "microseconds"]),
    ("ms", &["ms", "millisecond", "milliseconds"]),
    (
        "s",
        &[
            "s", "sec", "secs", "second", "seconds", "sekunde", "sekunden", "seconde", "secondes", "seconden",
            "segundo", "segundos", "secondo", "secondi",
        ],
    ),
    ("min", &["min", "mins", "minute", "minutes", "minuten", "minuut", "minuto", "minutos", "minuti"]),
    (
        "h",
        &[
            "h", "hr", "hrs", "hour", "hours", "stunde", "stunden", "heure", "heures", "hora", "horas", "ore", "uur",
            "uren",
        ],
    ),
    (
        "day",
        &[
            "d", "day", "days", "tage", "tagen", "jour", "jours", "día", "días", "dia", "dias", "giorno", "giorni",
            "dagen",
        ],
    ),
    (
        "week",
        &[
            "week",
            "weeks",
            "woche",
            "wochen",
            "semaine",
            "semaines",
            "semana",
            "semanas",
            "settimana",
            "settimane",
            "weken",
        ],
    ),
    (
        "month",
        &["month", "months", "monat", "monate", "monaten", "mois", "meses", "mês", "mese", "mesi", "maand", "maanden"],
    ),
    (
        "year",
        &[
            "year", "years", "yr", "yrs", "jahr", "jahre", "jahren", "année", "années", "ans", "año", "años", "anno",
            "anni", "ano", "anos", "jaar", "jaren",
        ],
    ),
    ("%", &["%", "percent", "per\u{a0}cent", "prozent", "procent", "pourcent"]),
    ("B", &["byte", "bytes"]),
    ("kB", &["kb", "kilobyte", "kilobytes"]),
    ("MB", &["mb", "megabyte", "megabytes"]),
    ("GB", &["gb", "gigabyte", "gigabytes"]),
    ("TB", &["tb", "terabyte", "terabytes"]),
    ("KiB", &["kib"]),
    ("MiB", &["mib"]),
    ("GiB", &["gib"]),
    ("mm", &["mm", "millimetre", "millimetres", "millimeter", "millimeters"]),
    ("cm", &["cm", "centimetre", "centimetres", "centimeter", "centimeters"]),
    ("m", &["m", "metre", "metres", "meter", "meters"]),
    ("km", &["km", "kilometre", "kilometres", "kilometer", "kilometers"]),
    ("mile", &["mile", "miles"]),
    ("g", &["g", "gram", "grams"]),
    ("kg", &["kg", "kilo", "kilos", "kilogram", "kilograms"]),
    ("t", &["tonne", "tonnes", "ton", "tons"]),
    ("l", &["l", "litre", "litres", "liter", "liters"]),
    ("Hz", &["hz", "hertz"]),
    ("MHz", &["mhz"]),
    ("GHz", &["ghz"]),
    ("degree", &["°", "°c", "°f", "degree", "degrees"]),
    ("EUR", &["€", "eur", "euro", "euros"]),
    ("USD", &["$", "usd", "dollar", "dollars"]),
];

/// Numbers as words. `one`, `first` and `second` are not among them: they are more often something else.
const WORDS: [(&str, &str); 46] = [
    ("zero", "0"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("thirteen", "13"),
    ("fourteen", "14"),
    ("fifteen", "15"),
    ("sixteen", "16"),
    ("seventeen", "17"),
    ("eighteen", "18"),
    ("nineteen", "19"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("seventy", "70"),
    ("eighty", "80"),
    ("ninety", "90"),
    ("hundred", "100"),
    ("hundreds", "100"),
    ("thousand", "1000"),
    ("thousands", "1000"),
    ("million", "1000000"),
    ("millions", "1000000"),
    ("billion", "1000000000"),
    ("dozen", "12"),
    ("twice", "2"),
    ("third", "3"),
    ("fourth", "4"),
    ("fifth", "5"),
    ("sixth", "6"),
    ("seventh", "7"),
    ("eighth", "8"),
    ("ninth", "9"),
    ("tenth", "10"),
    ("half", "half"),
    ("halves", "half"),
];

/// What is a number where it stands in a passage, and may be something else in an answer.
const LOOSE_WORDS: [(&str, &str); 5] = [("one", "1"), ("first", "1"), ("once", "1"), ("second", "2"), ("both", "2")];

/// A unit that a word stands for.
pub(super) fn unit(word: &str) -> Option<Unit> {
    let word = word.to_lowercase();
    UNITS.iter().find(|(_, written)| written.contains(&word.as_str())).map(|(unit, _)| *unit)
}

/// A number that a word stands for.
pub(super) fn number_word(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    if let Some((_, value)) = WORDS.iter().find(|(written, _)| *written == word) {
        return Some(value);
    }
    None
}

/// A number that a word of a passage may stand for, beside [`number_word`].
pub(super) fn loose_number_word(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    LOOSE_WORDS.iter().find(|(written, _)| *written == word).map(|(_, value)| *value)
}

/// A number in figures with the unit that is written onto it: `300ms`, `$5`, `v1.2`, `21st`, `10k`, `12%`. None: it is no number,
/// or one that is a part of a name (`x86`).
pub(super) fn figures(token: &str) -> Option<(String, Option<Unit>)> {
    let token =
        token.strip_prefix(['v', 'V']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(token);
    let before = token.trim_start_matches(['$', '€', '£', '#', '~', '+', '≈', '≥', '≤', '±']);
    let currency = token.chars().next().filter(|c| matches!(c, '$' | '€')).and_then(|c| unit(&c.to_string()));
    if !before.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let is_digit = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | ':' | '\'' | '_');
    let end = before.find(|c| !is_digit(c)).unwrap_or(before.len());
    let number = before[..end].trim_end_matches(|c: char| !c.is_ascii_digit());
    let value = plain(number);
    let written_on = before[number.len()..].to_lowercase();
    match written_on.as_str() {
        "" | "st" | "nd" | "rd" | "th" => Some((value, currency)),
        // One that is too large, or has a fraction, stays as it is written.
        "k" => {
            let thousands = value.parse::<u64>().ok().and_then(|number| number.checked_mul(1_000));
            Some((thousands.map_or_else(|| format!("{value}k"), |number| number.to_string()), currency))
        }
        // A decade: `1990s`.
        "s" if value.len() == 4 => Some((value, None)),
        _ => match unit(&written_on) {
            Some(unit) => Some((value, Some(unit))),
            None => Some((before.to_lowercase(), None)),
        },
    }
}

/// A product of two numbers that stand one behind the other: `three hundred`.
pub(super) fn product(first: &str, second: &str) -> Option<String> {
    let (first, second) = (first.parse::<u64>().ok()?, second.parse::<u64>().ok()?);
    (first < second && second >= 100).then(|| first.checked_mul(second)).flatten().map(|product| product.to_string())
}

/// Digits without marks between thousands and without zeros before them. Zeros at the end stay: `1.10` and `1.1` are two
/// versions.
fn plain(number: &str) -> String {
    let groups: Vec<&str> = number.split([',', '\'', '_']).collect();
    let is_thousands = |group: &&str| group.split('.').next().is_some_and(|digits| digits.len() == 3);
    let is_grouped = groups.len() > 1 && (1..=3).contains(&groups[0].len()) && groups[1..].iter().all(is_thousands);
    let number = if is_grouped { groups.concat() } else { number.replace(',', ".") };
    match number.split_once('.') {
        Some((whole, rest)) => format!("{}.{rest}", without_zeros(whole)),
        None if number.contains(':') => number,
        None => without_zeros(&number).to_owned(),
    }
}

fn without_zeros(digits: &str) -> &str {
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() { "0" } else { trimmed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form_however_it_is_written() {
        for (written, value, of) in [
            ("1,000", "1000", None),
            ("1'000'000", "1000000", None),
            ("10k", "10000", None),
            ("1.50", "1.50", None),
            ("05", "5", None),
            ("0.25", "0.25", None),
            ("3,5", "3.5", None),
            ("v1.2.3", "1.2.3", None),
            ("21st", "21", None),
            ("300ms", "300", Some("ms")),
            ("12%", "12", Some("%")),
            ("$5", "5", Some("USD")),
            ("12:30", "12:30", None),
            ("1990s", "1990", None),
            ("5xx", "5xx", None),
            ("1.5k", "1.5k", None),
            ("18446744073709551615k", "18446744073709551615k", None),
            ("99999999999999999999999k", "99999999999999999999999k", None),
        ] {
            assert_eq!(figures(written), Some((value.to_owned(), of)), "{written}");
        }
        assert_eq!(figures("x86"), None);
        assert_eq!(figures("UUIDv5"), None);
    }

    #[test]
    fn words_and_units_have_one_form_too() {
        assert_eq!(
            (number_word("Twelve"), number_word("one"), loose_number_word("one")),
            (Some("12"), None, Some("1"))
        );
        assert_eq!((unit("Minutes"), unit("MB"), unit("files")), (Some("min"), Some("MB"), None));
        assert_eq!((unit("Stunden"), unit("jours"), unit("años")), (Some("h"), Some("day"), Some("year")));
        assert_eq!(unit("tag"), None, "an English word");
        assert_eq!((product("3", "100"), product("3", "5")), (Some("300".to_owned()), None));
        assert_eq!(product("1000000", "100000000000000000"), None);
    }
}
