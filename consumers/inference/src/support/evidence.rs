//! Passages, as sentences of an answer are compared with them.

use std::collections::{HashMap, HashSet};

use twin_schemas::{Category, Passage};
use twin_text::language::language_of_path;
use twin_text::words::words;

use super::claims::{is_content, reading};
use super::facts::{Known, capitals};
use super::numbers::{number_word, unit};
use super::pieces::{Form, Piece, pieces};
use super::polarity::Polarity;
use crate::quotes::lines::lines;
use crate::quotes::terms::stem;

/// Of the words within sentences, the share from which on capital letters tell no names: German begins nouns with them.
const CAPITALS: f32 = 0.2;

/// Fewer words tell nothing of that.
const CAPITALS_OF: usize = 20;

/// All that passages say.
pub(super) struct Evidence {
    pieces: Vec<Part>,
    /// Every piece, and every two neighbours.
    views: Vec<View>,
    /// What each passage says, with its title and headings.
    passages: Vec<Known>,
    /// What they say together.
    all: Known,
    /// The names in them, as words are compared.
    names: HashSet<String>,
    /// In how many pieces each word is.
    frequencies: HashMap<String, usize>,
    /// The lines of each passage without white space.
    lines: Vec<HashSet<String>>,
    /// Within a sentence a capital letter begins a name.
    pub capitals_tell: bool,
}

/// A sentence, a row or a line of code of a passage.
struct Part {
    /// The passage's index.
    passage: usize,
    form: Form,
    reading: String,
    known: Known,
    /// What the headings, the title and the names of columns say.
    context: Known,
    polarity: Polarity,
}

/// One piece, or two that stand one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// The first piece's index.
    pub first: usize,
    /// The last one's: the same or the next.
    pub last: usize,
}

/// A window as a claim is compared with it.
pub(super) struct View {
    pub window: Window,
    /// The marker of its passage.
    pub marker: u32,
    /// What it says by itself.
    pub said: Known,
    /// That, and what it stands under.
    pub known: Known,
    /// What it denies.
    pub polarity: Polarity,
}

impl Evidence {
    pub(super) fn new(passages: &[Passage]) -> Self {
        let mut parts = Vec::new();
        for (index, passage) in passages.iter().enumerate() {
            parts.extend(parts_of(index, passage));
        }
        let mut frequencies: HashMap<String, usize> = HashMap::new();
        for part in &parts {
            for stem in part.known.stems() {
                *frequencies.entry(stem.clone()).or_default() += 1;
            }
        }
        let of_passage = |passage: &Passage| Known::new(&passage.text).and(&Known::new(&title(passage)));
        let known: Vec<Known> = passages.iter().map(of_passage).collect();
        let all = known.iter().fold(Known::default(), |all, one| all.and(one));
        let counted = parts.iter().filter(|part| part.form == Form::Sentence).map(|part| capitals(&part.reading));
        let (capital, words) = counted.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        let capitals_tell = words < CAPITALS_OF || (capital as f32) < CAPITALS * words as f32;
        let lines = passages.iter().map(|passage| passage.text.lines().map(without_space).collect()).collect();
        let (views, names) = (views(&parts), all.names().map(stem).collect());
        Self { pieces: parts, views, passages: known, all, names, frequencies, lines, capitals_tell }
    }

    /// What all passages say together.
    pub(super) fn all(&self) -> &Known {
        &self.all
    }

    /// Whether a part of a passage has a name that these words have not.
    pub(super) fn has_name_beside(&self, said: &Known, words: &HashSet<String>) -> bool {
        said.stems().iter().any(|stem| self.names.contains(stem) && !words.contains(stem))
    }

    /// What each passage says, by markers from 1.
    pub(super) fn passages(&self) -> impl Iterator<Item = (u32, &Known)> {
        (1..).zip(&self.passages)
    }

    /// What a piece says, for whoever embeds it.
    pub(super) fn reading(&self, piece: usize) -> &str {
        &self.pieces[piece].reading
    }

    /// Every piece, and every two neighbours, in order.
    pub(super) fn views(&self) -> &[View] {
        &self.views
    }

    /// What each of the pieces of a window denies.
    pub(super) fn polarities(&self, window: Window) -> impl Iterator<Item = &Polarity> {
        self.pieces[window.first..=window.last].iter().map(|part| &part.polarity)
    }

    /// The words of each piece in their order, as they are compared.
    pub(super) fn orders(&self) -> impl Iterator<Item = &[String]> {
        self.pieces.iter().map(|part| part.polarity.order())
    }

    /// Whether a word, as it is compared, is a name in one of the passages.
    pub(super) fn is_name(&self, word: &str) -> bool {
        self.names.contains(word)
    }

    /// Pieces of a passage, by its marker.
    pub(super) fn pieces_of(&self, marker: u32) -> impl Iterator<Item = (usize, &Known, &Polarity)> {
        let is_of = move |(_, part): &(usize, &Part)| part.passage as u32 + 1 == marker;
        self.pieces.iter().enumerate().filter(is_of).map(|(index, part)| (index, &part.known, &part.polarity))
    }

    /// The words of a claim, as they are compared, each with what it tells: the fewer of the pieces have it, the more. It is
    /// the smoothed inverse document frequency, `1 + ln((1 + n) / (1 + df))`, so that a word that all of them have still tells
    /// something. Numbers and units are not among them, which count by themselves and in any form.
    pub(super) fn weighted(&self, claim: &str) -> Vec<(String, f32)> {
        let mut weighted: Vec<(String, f32)> = Vec::new();
        let count = self.pieces.len() as f32;
        let is_compared = |word: &&String| is_content(word) && !is_measure(word);
        for word in words(claim).iter().filter(is_compared).map(|word| stem(word)) {
            if !weighted.iter().any(|(known, _)| *known == word) {
                let having = self.frequencies.get(&word).copied().unwrap_or(0) as f32;
                weighted.push((word, 1.0 + ((1.0 + count) / (1.0 + having)).ln()));
            }
        }
        weighted
    }

    /// The marker of the passage that has the most of these lines, white space left out, and how many that is.
    pub(super) fn lines_in(&self, wanted: &[String]) -> (u32, usize) {
        let found = (1..)
            .zip(&self.lines)
            .map(|(marker, lines)| (marker, wanted.iter().filter(|line| lines.contains(*line)).count()));
        found.fold((0, 0), |best, one| if one.1 > best.1 { one } else { best })
    }
}

/// Every piece, and every two of a passage that stand one behind the other. Rows of a table say what they say alone.
fn views(parts: &[Part]) -> Vec<View> {
    let joins =
        |one: &Part, other: &Part| one.passage == other.passage && one.form != Form::Row && other.form != Form::Row;
    let mut views = Vec::with_capacity(2 * parts.len());
    for (index, part) in parts.iter().enumerate() {
        let Part { known, context, polarity, .. } = part;
        let marker = part.passage as u32 + 1;
        let window = Window { first: index, last: index };
        let alone = View { window, marker, said: known.clone(), known: known.and(context), polarity: polarity.clone() };
        let next = parts.get(index + 1).filter(|next| joins(part, next));
        let both = next.map(|next| View {
            window: Window { first: index, last: index + 1 },
            marker,
            said: known.and(&next.known),
            known: alone.known.and(&next.known).and(&next.context),
            polarity: polarity.and(&next.polarity),
        });
        views.push(alone);
        views.extend(both);
    }
    views
}

/// Whether a word, in lower case, is a number or a unit.
fn is_measure(word: &str) -> bool {
    number_word(word).is_some() || unit(word).is_some() || word.starts_with(|c: char| c.is_ascii_digit())
}

/// A line as code is compared.
pub(super) fn without_space(line: &str) -> String {
    line.split_whitespace().collect()
}

/// What a passage is called and where it stands.
fn title(passage: &Passage) -> String {
    let names = [passage.title.as_deref(), passage.url.as_deref(), Some(passage.natural_key.as_str())];
    let headings = passage.heading_path.iter().map(String::as_str);
    names.into_iter().flatten().chain(headings).collect::<Vec<_>>().join("\n")
}

fn parts_of(index: usize, passage: &Passage) -> Vec<Part> {
    let title = Known::new(&title(passage));
    let part = |text: &str, form: Form, heading: &str| {
        let reading = reading(text, form);
        let (known, polarity) = (Known::new(&reading), Polarity::new(&reading));
        Part { passage: index, form, reading, known, context: title.and(&Known::new(heading)), polarity }
    };
    let text = passage.text.as_str();
    let code = |range: std::ops::Range<usize>| {
        let said = lines(text, range).map(|line| &text[line]).filter(|line| !words(line).is_empty());
        said.map(|line| part(line, Form::Code, "")).collect::<Vec<_>>()
    };
    // A Markdown file of a repository is code by its category and prose by what it is.
    if passage.category == Category::Code && language_of_path(&passage.natural_key) != Some("markdown") {
        return code(0..text.len());
    }
    let cut = pieces(text).into_iter();
    cut.flat_map(|Piece { range, form, heading }| match form {
        Form::Code => code(range),
        form => vec![part(&text[range], form, &heading)],
    })
    .collect()
}
