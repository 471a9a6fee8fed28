//! What a passage could have been the answer to, told from its document's structure.
//!
//! The wording varies, by a hash of the document and the passage's place, so that a model learns the voice and not one
//! sentence of ours. Nothing of the passage but a heading, a title or a few single words is in an instruction.

use twin_schemas::Category;

use crate::topic::topic;
use crate::words::{choice, common, leak_sequences};

/// Characters of a title in an instruction.
const TITLE_CHARS: usize = 200;

/// Headings that say what a part does and not what it is about.
const GENERIC: &[&str] = &[
    "introduction",
    "intro",
    "overview",
    "summary",
    "conclusion",
    "conclusions",
    "background",
    "motivation",
    "notes",
    "example",
    "examples",
    "usage",
    "discussion",
    "results",
    "closing thoughts",
    "final thoughts",
    "wrapping up",
    "tl;dr",
    "tldr",
    "abstract",
    "preface",
    "about",
    "getting started",
    "faq",
    "details",
    "more",
    "misc",
];

/// First words of a question that lacks its mark.
const INTERROGATIVES: &[&str] = &["how", "what", "why", "when", "where", "who", "whom", "whose", "which"];

const ABOUT_HEADING: &[&str] = &[
    "Write about {subject}.",
    "Explain {subject}.",
    "Tell me about {subject}.",
    "What do you say about {subject}?",
    "Write the part on {subject}.",
    "I would like to read you on {subject}.",
];

const ABOUT_HEADING_IN_TITLE: &[&str] = &[
    "Write about {subject}, as part of \"{title}\".",
    "In \"{title}\", what do you say about {subject}?",
    "Write the section \"{subject}\" of \"{title}\".",
    "Explain {subject} for readers of \"{title}\".",
    "Write on {subject}, in the context of \"{title}\".",
];

const GENERIC_PART: &[&str] = &[
    "Write the part \"{subject}\" of \"{title}\".",
    "How does the part \"{subject}\" of \"{title}\" read?",
    "Write \"{subject}\" for your text \"{title}\".",
];

const ABOUT_TITLE: &[&str] = &[
    "Write the beginning of \"{title}\".",
    "How do you begin \"{title}\"?",
    "Open a text with the title \"{title}\".",
];

const WHOLE: &[&str] = &[
    "Write \"{title}\".",
    "Write a text with the title \"{title}\".",
    "Write up \"{title}\" for your readers.",
    "How would you write \"{title}\"?",
    "I would like to read \"{title}\".",
];

const POST_OF_TITLE: &[&str] =
    &["Write a short post: \"{title}\".", "Post something under the title \"{title}\".", "Write the post \"{title}\"."];

const ABOUT_WORDS: &[&str] = &[
    "Write about {words}.",
    "What do you think about {words}?",
    "Say something on {words}.",
    "Write a few lines on {words}.",
    "Share a thought on {words}.",
];

const ABOUT_WORDS_IN: &[&str] = &[
    "Write more on {subject}: {words}.",
    "Go on about {subject}, with a view to {words}.",
    "On {subject}: what about {words}?",
    "Continue on {subject}, and come to {words}.",
];

const QUESTIONS: &[&str] = &[
    "What have you written about {subject}?",
    "What do you say about {subject}?",
    "What is your view on {subject}?",
    "Can you tell me about {subject}?",
    "What should I know about {subject}?",
    "{subject}?",
    "{subject}: what do you know of it?",
    "I have a question on {subject}. What do you say?",
];

/// What is known of a passage besides its text.
pub(crate) struct Place<'a> {
    /// Decides the wording, with the document.
    pub seed: u64,
    /// The document's id.
    pub document: &'a str,
    /// The passage's place in it.
    pub ordinal: u32,
    /// What the document is.
    pub category: Category,
    /// Its title.
    pub title: Option<&'a str>,
    /// Headings above the passage, outermost first.
    pub heading_path: &'a [String],
    /// Its place among the passages under these headings.
    pub part: usize,
    /// It is most of the document.
    pub is_whole: bool,
}

impl Place<'_> {
    /// The instruction that a passage answers. None if the text has nothing to make one of.
    pub(crate) fn instruction(&self, passage: &str) -> Option<String> {
        let leak = leak_sequences(passage);
        let keeps_the_answer = |instruction: &String| common(&leak_sequences(instruction), &leak) == 0;
        self.structural(passage).filter(keeps_the_answer).or_else(|| {
            let words = topic(passage)?;
            Some(self.pick(ABOUT_WORDS, "instruction").replace("{words}", &words)).filter(keeps_the_answer)
        })
    }

    /// The question that a person would ask for a passage, and what it asks for.
    pub(crate) fn question(&self, passage: &str) -> Option<(String, String)> {
        let subject = match (self.heading(), self.title()) {
            (Some(heading), _) if self.part == 0 && is_question(heading) => {
                return Some((heading.to_owned(), heading.to_owned()));
            }
            (Some(heading), _) if !is_generic(heading) && !is_question(heading) => self.with_words(heading, passage),
            (None, Some(title)) if self.part == 0 && is_question(&title) => return Some((title.clone(), title)),
            (None, Some(title)) if !is_question(&title) => self.with_words(&title, passage),
            _ => topic(passage)?,
        };
        let question = self.pick(QUESTIONS, "question").replace("{subject}", &subject);
        let leaks = common(&leak_sequences(&question), &leak_sequences(passage)) > 0;
        (!leaks).then_some((question, subject))
    }

    /// A later part of a section is asked for by its own words too: its heading alone would not tell it from the first.
    fn with_words(&self, subject: &str, passage: &str) -> String {
        match topic(passage).filter(|_| self.part > 0) {
            Some(words) => format!("{subject}, in particular {words}"),
            None => subject.to_owned(),
        }
    }

    fn structural(&self, passage: &str) -> Option<String> {
        let fill = |templates: &[&str], subject: &str, title: &str| {
            Some(self.pick(templates, "instruction").replace("{title}", title).replace("{subject}", subject))
        };
        let more = |subject: &str| {
            let words = topic(passage)?;
            fill(ABOUT_WORDS_IN, subject, "").map(|text| text.replace("{words}", &words))
        };
        match (self.heading(), self.title()) {
            (Some(heading), _) if self.part > 0 => more(heading),
            (Some(heading), _) if is_question(heading) => Some(heading.to_owned()),
            (Some(heading), Some(title)) if is_generic(heading) => fill(GENERIC_PART, heading, &title),
            (Some(heading), None) if is_generic(heading) => None,
            // Half of them without the title: a model must answer those who do not know it, too.
            (Some(heading), Some(title)) if self.chosen("title").is_multiple_of(2) => {
                fill(ABOUT_HEADING_IN_TITLE, heading, &title)
            }
            (Some(heading), _) => fill(ABOUT_HEADING, heading, ""),
            (None, Some(title)) if self.part > 0 => more(&title),
            (None, Some(title)) if is_question(&title) => Some(title),
            (None, Some(title)) if self.category == Category::Post => fill(POST_OF_TITLE, "", &title),
            (None, Some(title)) if self.is_whole => fill(WHOLE, "", &title),
            (None, Some(title)) => fill(ABOUT_TITLE, "", &title),
            (None, None) => None,
        }
    }

    fn title(&self) -> Option<String> {
        let title: String = self.title?.chars().take(TITLE_CHARS).collect();
        (!title.trim().is_empty()).then_some(title)
    }

    /// The innermost heading, unless it only repeats the title.
    fn heading(&self) -> Option<&str> {
        let heading = self.heading_path.last()?.as_str();
        (self.title.map(str::trim) != Some(heading.trim())).then_some(heading)
    }

    fn pick<'t>(&self, templates: &[&'t str], purpose: &str) -> &'t str {
        templates[(self.chosen(purpose) % templates.len() as u64) as usize]
    }

    fn chosen(&self, purpose: &str) -> u64 {
        choice(self.seed, &[purpose, self.document, &self.ordinal.to_string()])
    }
}

/// Whether a heading asks something.
pub(crate) fn is_question(heading: &str) -> bool {
    let heading = heading.trim();
    let first = heading.split(|c: char| !c.is_alphabetic()).next().unwrap_or("").to_lowercase();
    heading.ends_with(['?', '？']) || (INTERROGATIVES.contains(&first.as_str()) && heading.contains(' '))
}

fn is_generic(heading: &str) -> bool {
    GENERIC.contains(&heading.trim().trim_end_matches([':', '.']).to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(title: Option<&'a str>, heading_path: &'a [String], part: usize) -> Place<'a> {
        Place {
            seed: 0,
            document: "d",
            ordinal: 3,
            category: Category::Article,
            title,
            heading_path,
            part,
            is_whole: false,
        }
    }

    #[test]
    fn a_heading_that_asks_is_used_as_it_is() {
        for heading in ["Why do rivers bend?", "How to read a river"] {
            let path = ["Rivers".to_owned(), heading.to_owned()];
            let place = place(Some("Rivers"), &path, 0);
            assert_eq!(place.instruction("Because water is heavy.").unwrap(), heading);
            assert_eq!(place.question("Because water is heavy.").unwrap().0, heading);
        }
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
}
