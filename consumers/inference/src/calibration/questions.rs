//! Questions that an author's texts answer, made of these by rules.
//!
//! People ask in other words than a text has: a question that repeats a sentence would be found too easily, and the
//! threshold chosen by it would refuse theirs. So a question names what a section is about, by its heading or by a few
//! words of a sentence in its midst, within words that are the asker's. It is in the text's language.

use std::collections::HashSet;

use twin_schemas::DocumentId;
use twin_text::blocks::{Kind, blocks};
use twin_text::natural::Language;
use twin_text::sentences::{leans, sentences};
use twin_text::words::words;
use twin_vectors::SampledChunk;

use crate::telling::is_telling;

/// Letters below which a language is guessed and not told.
const LEAST_LETTERS: usize = 100;

/// Of so many words of a text, one at least is a stop word of its language: far more are, but where the language is one of
/// which none are known.
const WORDS_BETWEEN: usize = 5;

/// Letters of a word that says what a sentence is about.
const LETTERS: usize = 4;

/// Words of a sentence that a question has: the longest ones, which say most of what it is about.
const WORDS: usize = 5;

/// Words that a sentence has at least that a question is made of.
const LEAST_WORDS: usize = 7;

/// Each so many questions, one is of a sentence. More of them lower the threshold: words without their sentence are at times
/// no question at all. Fewer of them raise it: headings are found more easily than what people ask.
const OF_SENTENCES: usize = 3;

/// The longest heading that a question is made of, and the longest sentence, characters.
const MOST_CHARS: usize = 200;

/// A question, and the document that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) question: String,
    pub(super) document: DocumentId,
}

/// One question of each chunk of which one can be made; none twice.
pub(super) fn questions(chunks: &[SampledChunk]) -> Vec<Made> {
    let mut asked = HashSet::new();
    let mut made = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        let Some(question) = question(chunk, number) else { continue };
        if asked.insert(question.to_lowercase()) {
            made.push(Made { question, document: chunk.document_id });
        }
    }
    made
}

/// Most questions are of a heading, the others of a sentence; where there is no such, of the other one.
fn question(chunk: &SampledChunk, number: usize) -> Option<String> {
    let language = language(&chunk.text);
    let heading = heading(chunk, language);
    if let Some(heading) = heading.as_ref().filter(|heading| heading.ends_with(['?', '？'])) {
        return Some(heading.clone());
    }
    let of_sentence = || topic(&chunk.text, language, number);
    let is_of_sentence = number % OF_SENTENCES == OF_SENTENCES - 1;
    let subject = if is_of_sentence { of_sentence().or(heading) } else { heading.or_else(of_sentence) }?;
    let forms = forms(language);
    Some(forms[number / 2 % forms.len()].replace("{}", &subject))
}

/// What asks for a subject. One form has nothing beside it: many ask in key words.
fn forms(language: Option<Language>) -> &'static [&'static str] {
    match language {
        Some(Language::German) => &["Was hast du über {} geschrieben?", "Was muss man über {} wissen?", "{}"],
        Some(Language::English) => &["What did you write about {}?", "What should I know about {}?", "{}"],
        Some(Language::French) => &["Qu'as-tu écrit sur {} ?", "Que faut-il savoir sur {} ?", "{}"],
        Some(Language::Italian) => &["Che cosa hai scritto su {}?", "Che cosa bisogna sapere su {}?", "{}"],
        Some(Language::Dutch) => &["Wat heb je over {} geschreven?", "Wat moet ik over {} weten?", "{}"],
        Some(Language::Portuguese) => &["O que escreveste sobre {}?", "O que é preciso saber sobre {}?", "{}"],
        Some(Language::Spanish) => &["¿Qué has escrito sobre {}?", "¿Qué hay que saber sobre {}?", "{}"],
        None => &["{}"],
    }
}

fn language(text: &str) -> Option<Language> {
    if text.chars().filter(|c| c.is_alphabetic()).count() < LEAST_LETTERS {
        return None;
    }
    let language = Language::told(text)?;
    let words = words(text);
    let stop_words = words.iter().filter(|word| language.is_stop_word(word)).count();
    (WORDS_BETWEEN * stop_words >= words.len()).then_some(language)
}

/// The innermost heading. One of a single word says little without the title of its document.
fn heading(chunk: &SampledChunk, language: Option<Language>) -> Option<String> {
    let clean = |text: &String| text.replace(['`', '*', '#'], "").trim().trim_end_matches('.').to_owned();
    let title = chunk.title.as_ref().map(clean).filter(|title| !title.is_empty());
    let heading = chunk.heading_path.last().map(clean).filter(|heading| !heading.is_empty());
    let subject = match (heading, title) {
        (Some(heading), Some(title)) if telling(&heading, language).len() < 2 && heading != title => {
            format!("{heading}, {title}")
        }
        (Some(heading), _) => heading,
        (None, title) => title?,
    };
    (!telling(&subject, language).is_empty() && subject.chars().count() <= MOST_CHARS).then_some(subject)
}

/// A few words of one of the sentences.
fn topic(text: &str, language: Option<Language>, number: usize) -> Option<String> {
    let prose = blocks(text).blocks.into_iter().filter(|block| block.kind == Kind::Text);
    let topics: Vec<Vec<String>> = prose
        .flat_map(|block| sentences(text, block.range))
        .map(|range| &text[range])
        .filter(|sentence| sentence.chars().count() <= MOST_CHARS && !leans(sentence))
        .map(|sentence| telling(sentence, language))
        .filter(|words| words.len() >= LEAST_WORDS)
        .collect();
    let words = topics.get(number % topics.len().max(1))?;
    let mut longest: Vec<&String> = words.iter().collect();
    // Stable: of words of one length, those that come first.
    longest.sort_by_key(|word| usize::MAX - word.chars().count());
    longest.truncate(WORDS);
    let chosen: Vec<&str> = words.iter().filter(|word| longest.contains(word)).map(String::as_str).collect();
    Some(chosen.join(" "))
}

/// The words that say what a text is about, each once.
fn telling(text: &str, language: Option<Language>) -> Vec<String> {
    let mut telling: Vec<String> = Vec::new();
    for word in words(text) {
        let is_of_letters = word.chars().count() >= LETTERS && word.chars().all(char::is_alphabetic);
        if is_of_letters && is_telling(&word, language) && !telling.contains(&word) {
            telling.push(word);
        }
    }
    telling
}

#[cfg(test)]
mod tests {
    use twin_schemas::{Category, Revision};

    use super::*;

    fn chunk(title: Option<&str>, headings: &[&str], text: &str) -> SampledChunk {
        SampledChunk {
            document_id: DocumentId("00000000-0000-0000-0000-000000000001".parse().unwrap()),
            revision: Revision(1),
            natural_key: "bees.md".to_owned(),
            category: Category::Article,
            title: title.map(str::to_owned),
            heading_path: headings.iter().map(|heading| (*heading).to_owned()).collect(),
            text: text.to_owned(),
        }
    }

    const ENGLISH: &str = "The hive survived the frost because I wrapped it in wool before the first night of winter came. \
        In February the queen had begun to lay eggs again, which nobody in the village had expected.";
    const GERMAN: &str = "Der Bienenstock hat den Frost überstanden, weil ich ihn vor der ersten Nacht des Winters in Wolle \
        gewickelt habe. Im Februar legte die Königin wieder Eier, womit niemand im Dorf gerechnet hatte.";

    #[test]
    fn a_heading_is_asked_for_in_the_language_of_its_text() {
        let asked = |title, headings: &[&str], text| question(&chunk(title, headings, text), 0);
        assert_eq!(
            asked(Some("Bees"), &["Top", "The hive in `winter`"], ENGLISH).as_deref(),
            Some("What did you write about The hive in winter?")
        );
        assert_eq!(
            asked(None, &["Der Bienenstock im Winter"], GERMAN).as_deref(),
            Some("Was hast du über Der Bienenstock im Winter geschrieben?")
        );
        assert_eq!(
            asked(Some("Keeping bees"), &["Winter"], ENGLISH).as_deref(),
            Some("What did you write about Winter, Keeping bees?"),
            "a single word is not enough"
        );
        assert_eq!(
            asked(Some("Keeping bees"), &[], "Short.").as_deref(),
            Some("Keeping bees"),
            "a language is not told"
        );
        assert_eq!(asked(None, &["How do bees winter?"], ENGLISH).as_deref(), Some("How do bees winter?"));
    }

    #[test]
    fn a_sentence_is_asked_for_by_some_of_its_words_and_not_as_it_stands() {
        let made = question(&chunk(None, &[], ENGLISH), 1).unwrap();
        assert_eq!(made, "What did you write about february queen nobody village expected?");
        let of_code = chunk(None, &[], "```\nlet answer = forty_two(because, nobody, knows, better);\n```\n");
        assert_eq!(question(&of_code, 1), None);
    }

    #[test]
    fn a_sentence_in_another_language_is_asked_for_without_the_stop_words_of_that() {
        let german = "Während des langen Winters haben die Bienen zwischen den Waben gesessen und vom Honig gelebt. \
            Niemand im Dorf hatte damit gerechnet, dass das Volk den Frost so gut übersteht.";
        assert_eq!(
            question(&chunk(None, &[], german), 0).as_deref(),
            Some("Was hast du über langen winters bienen gesessen gelebt geschrieben?")
        );
        let french = "Pendant plusieurs semaines les abeilles avaient mangé leur miel dans la vieille ruche près du moulin \
            abandonné. Personne ne pensait que la reine serait encore vivante.";
        assert_eq!(
            question(&chunk(None, &[], french), 0).as_deref(),
            Some("Qu'as-tu écrit sur semaines abeilles vieille moulin abandonné ?")
        );
        let polish = "Pszczoły siedziały na plastrach i jadły miód, a w lutym królowa zaczęła znowu składać jaja, czego nikt \
            we wsi się nie spodziewał do końca zimy.";
        assert_eq!(language(polish), None, "nothing is known of it");
    }

    #[test]
    fn a_chunk_gives_one_question_and_none_comes_twice() {
        let same = chunk(Some("Keeping bees"), &[], "Short.");
        let made = questions(&[same.clone(), chunk(None, &[], "Yes."), same]);
        assert_eq!(made.len(), 1, "{made:?}");
    }
}
