//! Passages of prose: byte ranges of a text that can stand alone as an answer.
//!
//! A passage holds whole blocks of one section, or whole sentences of a block that is too long. It never crosses a
//! heading or a quotation. Some sections are taken whole, as far as a longer bound allows, and some texts are, with their
//! headings.

use std::collections::BTreeMap;
use std::ops::Range;

use twin_schemas::{Refusal, Refusals};
use twin_text::blocks::{Block, Kind, blocks};
use twin_text::sentences::sentences;

/// A passage of prose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProsePassage {
    /// Where it stands.
    pub range: Range<usize>,
    /// The headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// Its place among the passages under these headings, from 0.
    pub part: usize,
    /// Nothing of its section follows it.
    pub ends: bool,
    /// The passage of its section that it follows, where nothing is between them.
    pub before: Option<Range<usize>>,
    /// The quotation of somebody else that it follows.
    pub answers: Option<Range<usize>>,
}

/// How long a passage may be, in characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    /// At least.
    pub least: usize,
    /// At most.
    pub most: usize,
    /// At most, where a section or a text is taken whole.
    pub longest: usize,
}

/// All of a text as one passage, headings and all, under the headings that all of it stands under. None where it is one
/// section anyway, where it is too short or too long, and where not all of it is the author's.
pub(crate) fn whole(text: &str, lengths: Lengths) -> Option<ProsePassage> {
    let read = blocks(text);
    let last = read.blocks.last()?;
    let range = text.len() - text.trim_start().len()..last.range.end;
    let is_fit = (lengths.least..=lengths.longest).contains(&text[range.clone()].chars().count());
    let has_sections = read.blocks.iter().any(|block| block.section != last.section);
    let has_text = read.blocks.iter().any(|block| block.kind == Kind::Text);
    // Of a file that was not read as Markdown, what is said of it in its first lines is no text.
    let has_front_matter = text[range.clone()].starts_with("---\n");
    if !is_fit || !has_sections || !has_text || has_front_matter || !read.blocks.iter().all(is_own) {
        return None;
    }
    let mut heading_path = read.heading_path(last.section);
    for block in &read.blocks {
        let path = read.heading_path(block.section);
        let shared = heading_path.iter().zip(&path).take_while(|(one, other)| one == other).count();
        heading_path.truncate(shared);
    }
    Some(ProsePassage { range, heading_path, part: 0, ends: true, before: None, answers: None })
}

/// The passages of a text, in order. `is_whole` says of which sections, by their index, a passage may be as long as the
/// longest.
pub(crate) fn passages(
    text: &str,
    lengths: Lengths,
    is_whole: impl Fn(usize) -> bool,
    refusals: &mut Refusals,
) -> Vec<ProsePassage> {
    let read = blocks(text);
    let ends: BTreeMap<usize, usize> = read.blocks.iter().map(|block| (block.section, block.range.end)).collect();
    let mut found: Vec<ProsePassage> = Vec::new();
    let mut section_before = usize::MAX;
    let mut part = 0;
    let mut quoted: Option<Range<usize>> = None;
    for run in read.blocks.chunk_by(|a, b| a.section == b.section && is_own(a) && is_own(b)) {
        let [first, ..] = run else { continue };
        if first.section != section_before {
            part = 0;
            section_before = first.section;
            quoted = None;
        }
        if !is_own(first) {
            refusals.add(Refusal::Quotation);
            quoted = Some(first.range.clone());
            continue;
        }
        let most = if is_whole(first.section) { lengths.longest } else { lengths.most };
        let mut before: Option<Range<usize>> = None;
        for range in Packer::new(text, lengths.least, most, refusals).pack(run) {
            let follows = before.take().filter(|before| text[before.end..range.start].trim().is_empty());
            before = Some(range.clone());
            found.push(ProsePassage {
                heading_path: read.heading_path(first.section),
                part,
                ends: ends.get(&first.section) == Some(&range.end),
                before: follows,
                answers: quoted.take().filter(|_| range.start == first.range.start),
                range,
            });
            part += 1;
        }
    }
    found
}

fn is_own(block: &Block) -> bool {
    block.kind != Kind::Quotation
}

/// Puts blocks together until they are long enough.
struct Packer<'a> {
    text: &'a str,
    least: usize,
    most: usize,
    refusals: &'a mut Refusals,
    ready: Vec<Range<usize>>,
    open: Option<Piece>,
}

struct Piece {
    range: Range<usize>,
    chars: usize,
    /// A paragraph or a list is in it.
    has_text: bool,
}

impl<'a> Packer<'a> {
    fn new(text: &'a str, least: usize, most: usize, refusals: &'a mut Refusals) -> Self {
        Self { text, least, most, refusals, ready: Vec::new(), open: None }
    }

    fn pack(mut self, run: &[Block]) -> Vec<Range<usize>> {
        for block in run {
            let chars = self.text[block.range.clone()].chars().count();
            if chars <= self.most {
                self.add(block.range.clone(), chars, block.kind == Kind::Text);
            } else if block.kind == Kind::Text {
                // What is left of the block before does not begin a block that has to be cut.
                self.flush();
                self.add_sentences(block);
            } else {
                self.refusals.add(Refusal::TooLong);
                self.flush();
            }
        }
        self.flush();
        self.ready
    }

    fn add_sentences(&mut self, block: &Block) {
        for sentence in sentences(self.text, block.range.clone()) {
            let chars = self.text[sentence.clone()].chars().count();
            if chars <= self.most {
                self.add(sentence, chars, true);
            } else {
                self.refusals.add(Refusal::TooLong);
                self.flush();
            }
        }
        self.flush();
    }

    fn add(&mut self, range: Range<usize>, chars: usize, has_text: bool) {
        if let Some(open) = self.open.as_mut() {
            let between = self.text[open.range.end..range.start].chars().count();
            if open.chars + between + chars <= self.most {
                open.range.end = range.end;
                open.chars += between + chars;
                open.has_text |= has_text;
                return;
            }
            self.flush();
        }
        self.open = Some(Piece { range, chars, has_text });
    }

    fn flush(&mut self) {
        let Some(piece) = self.open.take() else { return };
        if piece.chars < self.least {
            self.refusals.add(Refusal::TooShort);
        } else if !piece.has_text {
            self.refusals.add(Refusal::Symbols);
        } else {
            self.ready.push(piece.range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, least: usize, most: usize) -> (Vec<&str>, Refusals) {
        let mut refusals = Refusals::default();
        let found = passages(text, Lengths { least, most, longest: most }, |_| false, &mut refusals);
        (found.into_iter().map(|passage| &text[passage.range]).collect(), refusals)
    }

    #[test]
    fn whole_blocks_come_together_and_a_long_one_is_cut_between_sentences() {
        let text = "# A\n\none two\n\nthree\n\n# B\n\nFirst sentence here. Second one. Third is the last of them.\n";
        let (found, _) = cut(text, 5, 40);
        assert_eq!(found, ["one two\n\nthree", "First sentence here. Second one.", "Third is the last of them."]);
    }

    #[test]
    fn quotations_and_what_is_too_long_or_too_short_are_left_out_and_counted() {
        let text = format!("own words\n\n> theirs\n\n```\n{}\n```\n\nhm\n", "x".repeat(100));
        let (found, refusals) = cut(&text, 5, 40);
        assert_eq!(found, ["own words"]);
        for reason in [Refusal::Quotation, Refusal::TooLong, Refusal::TooShort] {
            assert_eq!(refusals.count(reason), 1, "{reason:?}");
        }
    }

    #[test]
    fn a_table_or_code_alone_is_no_passage_of_prose() {
        let (found, refusals) =
            cut("# A\n\n| a | b |\n|---|---|\n\n```\ncode only\n```\n\n# B\n\nwords\n\n```\ncode\n```", 5, 40);
        assert_eq!(found, ["words\n\n```\ncode\n```"]);
        assert_eq!(refusals.count(Refusal::Symbols), 1);
    }

    #[test]
    fn the_parts_of_a_section_are_numbered() {
        let text = "# A\n\none one one.\n\ntwo two two.\n\n## B\n\nthree three.";
        let lengths = Lengths { least: 5, most: 15, longest: 15 };
        let found = passages(text, lengths, |_| false, &mut Refusals::default());
        let parts: Vec<_> = found.iter().map(|passage| (passage.heading_path.len(), passage.part)).collect();
        assert_eq!(parts, [(1, 0), (1, 1), (2, 0)]);
    }

    #[test]
    fn a_section_is_taken_whole_where_it_may_be_and_its_end_is_the_end_of_the_last_passage_alone() {
        let text = "# A\n\none one one.\n\ntwo two two.\n\n# B\n\nthree three.\n\nfour four four.\n\n> theirs";
        let lengths = Lengths { least: 5, most: 15, longest: 100 };
        let found = passages(text, lengths, |section| section == 1, &mut Refusals::default());
        let told: Vec<(&str, bool, bool)> = found
            .iter()
            .map(|passage| (&text[passage.range.clone()], passage.ends, passage.before.is_some()))
            .collect();
        let (three, four) = (("three three.", false, false), ("four four four.", false, true));
        assert_eq!(told, [("one one one.\n\ntwo two two.", true, false), three, four]);
    }

    #[test]
    fn a_text_of_sections_is_taken_whole_with_its_headings_and_one_with_a_quotation_or_of_one_section_is_not() {
        let lengths = Lengths { least: 5, most: 15, longest: 60 };
        let taken = |text: &str| {
            let whole = whole(text, lengths)?;
            assert!(whole.ends && whole.part == 0 && whole.before.is_none() && whole.answers.is_none());
            Some((text[whole.range].to_owned(), whole.heading_path))
        };
        let text = "\n# A\n\none one one.\n\n## B\n\ntwo two two.\n\n## C\n\nthree.\n";
        assert_eq!(taken(text), Some((text.trim().to_owned(), vec!["A".to_owned()])));
        assert_eq!(taken("one.\n\n# B\n\ntwo.").unwrap().1, Vec::<String>::new());
        for other in [
            "# A\n\none one one.\n\ntwo two two.",
            "# A\n\none one one.\n\n## B\n\n> theirs\n\ntwo two two.",
            "---\ntitle: x\ntags: y\n---\n\n# A\n\none.\n\n## B\n\ntwo.",
            "# A\n\n| a | b |\n\n# B\n\n| c | d |",
            "# A\n\none one one.\n\n## B\n\ntwo two two.\n\n## C\n\nthree three three three three.",
            "",
        ] {
            assert_eq!(taken(other), None, "{other}");
        }
    }

    #[test]
    fn what_follows_a_quotation_answers_it() {
        let text = "before it.\n\n> What do they want?\n\nThey want rest.\n\nAnd more of it.";
        let lengths = Lengths { least: 5, most: 18, longest: 18 };
        let found = passages(text, lengths, |_| false, &mut Refusals::default());
        let answered: Vec<Option<&str>> =
            found.iter().map(|passage| passage.answers.clone().map(|range| &text[range])).collect();
        assert_eq!(answered, [None, Some("> What do they want?"), None]);
    }
}
