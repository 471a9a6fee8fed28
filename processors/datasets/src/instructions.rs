//! What a passage could have been the answer to, told from its document's structure.
//!
//! The wording is of the document's language and varies, by a hash of the document and the passage's place, so that a
//! model learns the voice and not one sentence of ours: to write, to explain, to go on, to answer, to write out notes.
//! Nothing of the passage but a heading, a title or a few single words is in an instruction.

mod forms;
mod tasks;
mod wording;

use std::ops::Range;

use twin_schemas::Category;
use twin_text::natural::Language;

use crate::styled::shown;
use crate::topic::{Speech, topic};
use crate::weights::Weights;
use crate::words::{choice, common, leak_sequences, unit};

pub(crate) use wording::{Wording, wording};

/// Characters of a title in an instruction.
const TITLE_CHARS: usize = 200;

/// How often a passage is asked for by a text that its document has, where it has one: to go on from it, to answer it; and
/// how often by notes made of it.
const CONTINUED: f64 = 0.35;
const ANSWERED: f64 = 0.7;
const FROM_NOTES: f64 = 0.12;

/// How often a question has the passage's telling words and not its heading, and how often a heading that names a task is
/// asked for as one: people do not know the headings, and a model that has learned to compare a question with headings
/// refuses all others.
const ASKED_BY_WORDS: f64 = 0.3;
const ASKED_HOW: f64 = 0.6;

/// What is known of a passage besides its text.
pub(crate) struct Place<'a> {
    /// Decides the wording, with the document.
    pub seed: u64,
    /// The document's id.
    pub document: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The passage's place in it.
    pub ordinal: u32,
    /// What the document is.
    pub category: Category,
    /// The language that it is written in, if there are words for it.
    pub language: Option<Language>,
    /// How telling words are.
    pub weights: &'a Weights,
    /// Its title.
    pub title: Option<&'a str>,
    /// Headings above the passage, outermost first.
    pub heading_path: &'a [String],
    /// Its place among the passages under these headings.
    pub part: usize,
    /// It is most of the document.
    pub is_whole: bool,
    /// The passage that it follows.
    pub before: Option<Range<usize>>,
    /// The quotation that it follows.
    pub answers: Option<Range<usize>>,
}

impl Place<'_> {
    /// The instruction that a passage answers. None if the text has nothing to make one of.
    pub(crate) fn instruction(&self, passage: &str) -> Option<String> {
        let leak = leak_sequences(passage);
        let keeps_the_answer = |instruction: &String| common(&leak_sequences(instruction), &leak) == 0;
        let of_text = || self.with_text(passage).filter(keeps_the_answer);
        let structural = || self.structural(passage).filter(keeps_the_answer);
        of_text().or_else(structural).or_else(|| self.by_words(passage))
    }

    /// The instruction by the passage's own words, for when the other one stands elsewhere already.
    pub(crate) fn by_words(&self, passage: &str) -> Option<String> {
        let words = self.topic(passage)?;
        let instruction = self.pick(self.wording().about_words, "instruction").replace("{words}", &words);
        (common(&leak_sequences(&instruction), &leak_sequences(passage)) == 0).then_some(instruction)
    }

    /// The questions that a person would ask for a passage, the more general first, and what they ask for.
    pub(crate) fn questions(&self, passage: &str) -> Vec<(String, String)> {
        let particular = |subject: &str| self.in_particular(subject, passage);
        let mut subjects = match (self.heading(), self.title()) {
            (Some(heading), _) if self.part == 0 && self.is_question(&heading) => {
                return self.kept(passage, vec![(heading.clone(), heading)]);
            }
            (Some(heading), _) if !self.is_generic(&heading) && !self.is_question(&heading) => {
                vec![Some(heading.clone()), particular(&heading)]
            }
            (None, Some(title)) if self.part == 0 && self.is_question(&title) => {
                return self.kept(passage, vec![(title.clone(), title)]);
            }
            (None, Some(title)) if !self.is_question(&title) => vec![Some(title.clone()), particular(&title)],
            _ => vec![self.topic(passage)],
        };
        // A later part of a section is asked for by its own words too: its heading alone would not tell it from the first.
        if self.part > 0 && subjects.get(1).is_some_and(Option::is_some) {
            subjects.remove(0);
        }
        if unit(self.chosen("asked")) < ASKED_BY_WORDS {
            subjects.insert(0, self.topic(passage));
        }
        let mut asked: Vec<String> = subjects.into_iter().flatten().collect();
        asked.dedup();
        self.kept(passage, asked.into_iter().map(|subject| (self.question(&subject), subject)).collect())
    }

    fn question(&self, subject: &str) -> String {
        let is_heading = [self.heading(), self.title()].iter().flatten().any(|heading| heading == subject);
        let is_asked_how = is_heading && unit(self.chosen("how")) < ASKED_HOW;
        match tasks::task(subject, self.wording()).filter(|_| is_asked_how) {
            Some(task) => self.pick(self.wording().how, "question").replace("{subject}", &task),
            None => self.pick(self.wording().questions, "question").replace("{subject}", subject),
        }
    }

    /// Those that do not give the answer away.
    fn kept(&self, passage: &str, mut questions: Vec<(String, String)>) -> Vec<(String, String)> {
        let leak = leak_sequences(passage);
        questions.retain(|(question, _)| common(&leak_sequences(question), &leak) == 0);
        questions
    }

    fn in_particular(&self, subject: &str, passage: &str) -> Option<String> {
        let words = self.topic(passage)?;
        Some(self.wording().in_particular.replace("{subject}", subject).replace("{words}", &words))
    }

    /// By a text that is given with it, now and then.
    fn with_text(&self, passage: &str) -> Option<String> {
        let chance = unit(self.chosen("form"));
        let wording = self.wording();
        let (templates, given) = if let Some(quotation) = self.answers.clone().filter(|_| chance < ANSWERED) {
            (wording.replying, forms::said_by_another(&self.text[quotation])?)
        } else if let Some(before) = self.before.clone().filter(|_| chance < CONTINUED) {
            (wording.continuing, forms::where_it_stopped(self.text, before)?.to_owned())
        } else if chance >= 1.0 - FROM_NOTES {
            (wording.from_notes, forms::notes(passage, self.language)?)
        } else {
            return None;
        };
        Some(self.pick(templates, "instruction").replace("{text}", &given))
    }

    fn structural(&self, passage: &str) -> Option<String> {
        let wording = self.wording();
        let fill = |templates: &[&str], subject: &str, title: &str| {
            Some(self.pick(templates, "instruction").replace("{title}", title).replace("{subject}", subject))
        };
        let more = |subject: &str| {
            let words = self.topic(passage)?;
            fill(wording.about_words_in, subject, "").map(|text| text.replace("{words}", &words))
        };
        match (self.heading(), self.title()) {
            (Some(heading), _) if self.part > 0 => more(&heading),
            (Some(heading), _) if self.is_question(&heading) => Some(heading),
            (Some(heading), Some(title)) if self.is_generic(&heading) => fill(wording.generic_part, &heading, &title),
            (Some(heading), None) if self.is_generic(&heading) => None,
            // Half of them without the title: a model must answer those who do not know it, too.
            (Some(heading), Some(title)) if self.chosen("title").is_multiple_of(2) => {
                fill(wording.about_heading_in_title, &heading, &title)
            }
            (Some(heading), _) => fill(wording.about_heading, &heading, ""),
            (None, Some(title)) if self.part > 0 => more(&title),
            (None, Some(title)) if self.is_question(&title) => Some(title),
            (None, Some(title)) if self.category == Category::Post => fill(wording.post_of_title, "", &title),
            (None, Some(title)) if self.is_whole => fill(wording.whole, "", &title),
            (None, Some(title)) => fill(wording.about_title, "", &title),
            (None, None) => None,
        }
    }

    fn wording(&self) -> &'static Wording {
        wording(self.language)
    }

    fn topic(&self, passage: &str) -> Option<String> {
        topic(passage, Speech { language: self.language, weights: self.weights, and: self.wording().and })
    }

    fn title(&self) -> Option<String> {
        let title: String = shown(self.title?).chars().take(TITLE_CHARS).collect();
        (!title.trim().is_empty()).then_some(title)
    }

    /// The innermost heading, unless it only repeats the title.
    fn heading(&self) -> Option<String> {
        let heading = self.heading_path.last()?.as_str();
        (self.title.map(str::trim) != Some(heading.trim())).then(|| shown(heading).into_owned())
    }

    /// Whether a heading asks something.
    fn is_question(&self, heading: &str) -> bool {
        let heading = heading.trim();
        let first = heading.split(|c: char| !c.is_alphabetic()).find(|word| !word.is_empty());
        let first = first.unwrap_or("").to_lowercase();
        let asks = self.wording().interrogatives.contains(&first.as_str());
        heading.ends_with(['?', '？']) || (asks && heading.contains(' '))
    }

    fn is_generic(&self, heading: &str) -> bool {
        let heading = heading.trim().trim_end_matches([':', '.']).to_lowercase();
        self.wording().generic.contains(&heading.as_str())
    }

    fn pick<'t>(&self, templates: &[&'t str], purpose: &str) -> &'t str {
        templates[(self.chosen(purpose) % templates.len() as u64) as usize]
    }

    fn chosen(&self, purpose: &str) -> u64 {
        choice(self.seed, &[purpose, self.document, &self.ordinal.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PLAIN: std::sync::LazyLock<Weights> = std::sync::LazyLock::new(Weights::default);

    fn place<'a>(title: Option<&'a str>, heading_path: &'a [String], part: usize) -> Place<'a> {
        Place {
            seed: 0,
            document: "d",
            text: "",
            ordinal: 3,
            category: Category::Article,
            language: Some(Language::English),
            weights: &PLAIN,
            title,
            heading_path,
            part,
            is_whole: false,
            before: None,
            answers: None,
        }
    }

    #[test]
    fn a_heading_that_asks_is_used_as_it_is() {
        for heading in ["Why do rivers bend?", "How to read a river"] {
            let path = ["Rivers".to_owned(), heading.to_owned()];
            let place = place(Some("Rivers"), &path, 0);
            assert_eq!(place.instruction("Because water is heavy.").unwrap(), heading);
            assert_eq!(place.questions("Because water is heavy.")[0].0, heading);
        }
    }

    #[test]
    fn questions_are_by_headings_by_words_and_by_what_is_to_be_done() {
        let path = ["Rename A Branch".to_owned()];
        let ask = |ordinal| Place { ordinal, ..place(Some("Git"), &path, 0) }.questions("The flag moves branches.");
        let firsts: Vec<String> = (0..200).map(|ordinal| ask(ordinal)[0].0.clone()).collect();
        let count = |holds: &dyn Fn(&str) -> bool| firsts.iter().filter(|question| holds(question)).count();
        let by_words = count(&|question| !question.to_lowercase().contains("rename"));
        let as_task = count(&|question| question.contains("rename a branch"));
        let by_heading = count(&|question| question.contains("Rename A Branch"));
        assert_eq!(by_words + as_task + by_heading, 200, "{firsts:?}");
        assert!(by_words > 30 && as_task > 50 && by_heading > 30, "{by_words} {as_task} {by_heading}");
    }

    #[test]
    fn an_instruction_does_not_give_the_answer_away() {
        let passage = "The river that bends is the river that lives, and nothing else about it matters to me.";
        let path = [passage.to_owned()];
        let instruction = place(None, &path, 0).instruction(passage).unwrap();
        assert_eq!(common(&leak_sequences(&instruction), &leak_sequences(passage)), 0, "{instruction}");
        assert!(instruction.contains("river"), "{instruction}");
    }

    #[test]
    fn the_wording_varies_and_is_the_same_each_time() {
        let path = ["Meanders".to_owned()];
        let at = |ordinal| Place { ordinal, ..place(Some("Rivers"), &path, 0) }.instruction("Water digs.").unwrap();
        let wordings: std::collections::BTreeSet<String> = (0..50).map(at).collect();
        assert!(wordings.len() >= 5, "{wordings:?}");
        assert!(wordings.iter().all(|wording| wording.contains("Meanders")), "{wordings:?}");
        assert_eq!(at(7), at(7));
    }

    #[test]
    fn a_text_without_title_and_heading_is_asked_for_by_its_words() {
        let instruction = place(None, &[], 0).instruction("Compilers forgive nothing. Compilers teach.").unwrap();
        assert!(instruction.contains("compilers"), "{instruction}");
        assert_eq!(place(None, &[], 0).instruction("12. 34!"), None);
    }

    #[test]
    fn a_text_is_asked_for_in_its_own_language_and_without_words_where_none_are_known() {
        let path = ["Die Schnittstelle".to_owned()];
        let asked = |language, ordinal| {
            let place = Place { language, ordinal, ..place(Some("Grenzen"), &path, 0) };
            let questions = place.questions("Hier endet ein Modul.").into_iter().map(|(question, _)| question);
            (place.instruction("Hier endet ein Modul.").unwrap(), questions.collect::<Vec<String>>())
        };
        let english = ["Write", "What", "Tell", "Explain", "would", "about"];
        for ordinal in 0..40 {
            let (instruction, questions) = asked(Some(Language::German), ordinal);
            let texts = || std::iter::once(&instruction).chain(&questions);
            assert!(!english.iter().any(|word| texts().any(|text| text.contains(word))), "{instruction} {questions:?}");
            let (plain, questions) = asked(None, ordinal);
            assert!(plain == "Die Schnittstelle" || plain == "Grenzen: Die Schnittstelle", "{plain}");
            // By its words first, now and then; by its heading in any case.
            assert!(questions.iter().any(|question| question == "Die Schnittstelle?"), "{questions:?}");
        }
    }

    #[test]
    fn instructions_are_of_many_kinds() {
        let text = "> Why do you write about rivers, and nothing but rivers, year after year?\n\n\
                    The first part of it says how the water comes to the valley, and why it stays for a while.\n\n\
                    Rivers bend where the banks are soft. They carry sediment down to the valley, all year.";
        let (quotation, first) = (0..text.find("\n\n").unwrap(), text.find("The first").unwrap());
        let second = text.find("Rivers bend").unwrap();
        let path = ["Meanders".to_owned()];
        let mut kinds = std::collections::BTreeSet::new();
        for ordinal in 0..60 {
            let answers = (ordinal % 2 == 0).then(|| quotation.clone());
            let before = (ordinal % 2 == 1).then(|| first..second - 2);
            let place = Place { text, ordinal, answers, before, ..place(Some("Rivers"), &path, 0) };
            let instruction = place.instruction(&text[second..]).unwrap();
            let w = wording(Some(Language::English));
            let is_of = |templates: &[&str]| {
                templates.iter().any(|template| {
                    template.split("{text}").all(|piece| instruction.contains(piece)) && template.contains("{text}")
                })
            };
            for (name, templates) in [("continue", w.continuing), ("reply", w.replying), ("notes", w.from_notes)] {
                if is_of(templates) {
                    kinds.insert(name);
                }
            }
            if instruction.contains("Meanders") {
                kinds.insert("write");
            }
        }
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["continue", "notes", "reply", "write"]);
    }
}
