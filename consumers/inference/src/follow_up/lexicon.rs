//! What the commonest words of a language tell of a message.

use std::collections::HashMap;

/// What a word is in a language; one word may be several.
type Traits = u16;

/// Words without content: articles, prepositions, pronouns, auxiliaries, words of politeness.
const FUNCTION: Traits = 1;
/// Words that ask.
pub(super) const ASKING: Traits = 1 << 1;
/// What stands before what is said and says nothing.
const INTERJECTION: Traits = 1 << 2;
/// Words that refer to what was said: to several things, or to all of it.
pub(super) const REFERRING: Traits = 1 << 3;
/// Words that refer to one thing, and are often there without referring to anything.
const PRONOUN: Traits = 1 << 4;
/// The same where no word with content follows: else they are articles.
const ARTICLE: Traits = 1 << 5;
/// Prepositions that a question can begin with that says no more than a place or a means.
pub(super) const PREPOSITION: Traits = 1 << 6;
/// Words that need something that they are of: an example, a reason.
pub(super) const RELATIONAL: Traits = 1 << 7;
/// Words that ask for the answer before in another form.
const AGAIN: Traits = 1 << 8;
/// How a message begins that goes on from another.
const CONNECTIVE: Traits = 1 << 9;
/// What stands beside words of courtesy.
const BESIDE: Traits = 1 << 10;
/// Words of courtesy, of which one makes a message one of courtesy.
const THANKS: Traits = 1 << 11;
const FAREWELL: Traits = 1 << 12;
const GREETING: Traits = 1 << 13;
const AGREEMENT: Traits = 1 << 14;

/// Of a word that has no content.
const SMALL: Traits = FUNCTION | ASKING | INTERJECTION | REFERRING | PRONOUN | ARTICLE | PREPOSITION | CONNECTIVE;
const COURTEOUS: Traits = THANKS | FAREWELL | GREETING | AGREEMENT;

/// Words of a message that is nothing but courtesy, at most.
const COURTEOUS_WORDS: usize = 8;

/// The words of a language as they are written down: in lower case, with spaces between them.
pub(super) struct Lists {
    pub(super) function: &'static str,
    pub(super) asking: &'static str,
    pub(super) interjections: &'static str,
    /// Phrases, too.
    pub(super) connectives: &'static [&'static str],
    pub(super) referring: &'static str,
    pub(super) pronouns: &'static str,
    pub(super) articles: &'static str,
    pub(super) prepositions: &'static str,
    pub(super) relational: &'static str,
    pub(super) again: &'static str,
    pub(super) thanks: Courtesy,
    pub(super) farewell: Courtesy,
    pub(super) greeting: Courtesy,
    /// That the answer is good.
    pub(super) agreement: Courtesy,
    /// What stands beside words of courtesy.
    pub(super) beside: &'static str,
}

/// Words that are said out of courtesy, and the reply, which says nothing of the author's.
pub(super) struct Courtesy {
    pub(super) said: &'static str,
    pub(super) reply: &'static str,
}

/// The words of a language as they are looked up.
pub(super) struct Lexicon {
    traits: HashMap<&'static str, Traits>,
    connectives: &'static [&'static str],
    /// The first one that a message has a word of is replied to.
    replies: [(Traits, &'static str); 4],
}

impl Lexicon {
    pub(super) fn new(lists: &Lists) -> Self {
        let mut traits: HashMap<&'static str, Traits> = HashMap::new();
        for (list, of_list) in [
            (lists.function, FUNCTION),
            (lists.asking, ASKING),
            (lists.interjections, INTERJECTION),
            (lists.referring, REFERRING),
            (lists.pronouns, PRONOUN),
            (lists.articles, ARTICLE),
            (lists.prepositions, PREPOSITION),
            (lists.relational, RELATIONAL),
            (lists.again, AGAIN),
            (lists.beside, BESIDE),
            (lists.thanks.said, THANKS),
            (lists.farewell.said, FAREWELL),
            (lists.greeting.said, GREETING),
            (lists.agreement.said, AGREEMENT),
        ] {
            for word in list.split_whitespace() {
                *traits.entry(word).or_default() |= of_list;
            }
        }
        for phrase in lists.connectives.iter().filter(|phrase| !phrase.contains(' ')) {
            *traits.entry(phrase).or_default() |= CONNECTIVE;
        }
        let replies = [
            (THANKS, lists.thanks.reply),
            (FAREWELL, lists.farewell.reply),
            (GREETING, lists.greeting.reply),
            (AGREEMENT, lists.agreement.reply),
        ];
        Self { traits, connectives: lists.connectives, replies }
    }

    /// Whether a word is any of these.
    pub(super) fn is(&self, word: &str, traits: Traits) -> bool {
        self.traits.get(word).is_some_and(|of_word| of_word & traits != 0)
    }

    /// Whether any of the words is any of these.
    pub(super) fn has_any(&self, said: &[String], traits: Traits) -> bool {
        said.iter().any(|word| self.is(word, traits))
    }

    /// How much of what is said is of this language.
    pub(super) fn count(&self, said: &[String]) -> usize {
        let of_word =
            |word: &String| usize::from(self.is(word, SMALL | AGAIN)) + usize::from(self.is(word, COURTEOUS | BESIDE));
        said.iter().map(of_word).sum()
    }

    /// The words with content.
    pub(super) fn content<'a>(&self, said: &'a [String]) -> Vec<&'a String> {
        said.iter().filter(|word| !self.is(word, SMALL)).collect()
    }

    /// What is said behind interjections and words of courtesy.
    pub(super) fn without_interjections<'a>(&self, said: &'a [String]) -> &'a [String] {
        let from = said.iter().position(|word| !self.is(word, INTERJECTION | COURTEOUS)).unwrap_or(0);
        &said[from..]
    }

    /// What is said behind each connective that it begins with.
    pub(super) fn behind_connectives<'a>(&self, said: &'a [String]) -> impl Iterator<Item = &'a [String]> {
        self.connectives.iter().filter_map(|phrase| behind(said, phrase))
    }

    /// Whether the answer before is wanted in another form, and nothing else is asked.
    pub(super) fn is_about_the_answer(&self, said: &[String]) -> bool {
        self.has_any(said, AGAIN) && said.iter().all(|word| self.is(word, AGAIN | SMALL)) && !self.has_any(said, ASKING)
    }

    /// Whether a word stands for one thing that was named before.
    pub(super) fn has_pronoun(&self, said: &[String]) -> bool {
        let stands_alone = |at: usize| said.get(at + 1).is_none_or(|next| self.is(next, SMALL));
        let refers =
            |(at, word): (usize, &String)| self.is(word, PRONOUN) || self.is(word, ARTICLE) && stands_alone(at);
        said.iter().enumerate().any(refers)
    }

    /// The reply to a message that is nothing but courtesy.
    pub(super) fn courtesy(&self, message: &str, said: &[String]) -> Option<&'static str> {
        let asks = message.contains(['?', '？']) || self.has_any(said, ASKING);
        let is_courtesy = said.iter().all(|word| self.is(word, COURTEOUS | BESIDE | FUNCTION | PRONOUN));
        if asks || said.len() > COURTEOUS_WORDS || !is_courtesy {
            return None;
        }
        let (_, reply) = self.replies.iter().find(|(of, _)| self.has_any(said, *of))?;
        Some(reply)
    }
}

/// The words behind a phrase that they begin with.
fn behind<'a>(said: &'a [String], phrase: &str) -> Option<&'a [String]> {
    let mut rest = said;
    for word in phrase.split(' ') {
        let (first, behind) = rest.split_first()?;
        if first != word {
            return None;
        }
        rest = behind;
    }
    Some(rest)
}
