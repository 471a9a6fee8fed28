//! What serving does for a question before a model is asked, and what it quotes where none is: for whoever measures that
//! without being a client.
//!
//! Nothing is decided here. Searching, the threshold, the prompt and the quotations are those of a query (`answer`), in the
//! same order; a model and its checks are left to the caller ([`crate::check`]).

use twin_llm::{PromptOptions, grounded_prompt};
use twin_schemas::{AuthorId, ChatMessage, DocumentId, Passage, QueryFilter, Role};

use crate::answer::given;
use crate::follow_up::{Reading, read};
use crate::quotes::{Quoted, quote};
use crate::retrieve::{Error, Retrieved, Retriever};

/// Puts questions as serving would.
#[derive(Clone)]
pub struct Rehearsal {
    retriever: Retriever,
    prompt: PromptOptions,
    k: usize,
}

/// What serving would do for a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    /// The passages found, best first.
    pub passages: Vec<Passage>,
    /// How many of them, from the first on, a model is given.
    pub given: usize,
    /// What a model is asked with.
    pub prompt: Vec<ChatMessage>,
    /// A model is asked. Otherwise the twin says that it does not know.
    pub asks: bool,
    /// What is quoted where no model is asked. None: the twin says that it does not know.
    pub quoted: Option<Quoted>,
}

impl Rehearsal {
    /// Finds `k` passages with `retriever`, and prompts as `prompt` says.
    pub fn new(retriever: Retriever, prompt: PromptOptions, k: usize) -> Self {
        Self { retriever, prompt, k }
    }

    /// Passages that are found for a question.
    pub fn k(&self) -> usize {
        self.k
    }

    /// What serving would do for an author's question; `without` a document, and what others have of its texts, if one is
    /// named.
    ///
    /// # Errors
    /// The index's, the ledger's, or the embedding model's.
    pub async fn of(&self, author: &AuthorId, question: &str, without: Option<DocumentId>) -> Result<Rehearsed, Error> {
        let conversation = [ChatMessage { role: Role::User, content: question.to_owned() }];
        let searched = match read(&conversation) {
            Reading::FollowUp(question) | Reading::AsBefore(question) => question,
            Reading::StandsAlone | Reading::Courtesy(_) => question.to_owned(),
        };
        let found = self.find(author, &searched, without).await?;
        let shown = given(&found, &self.prompt);
        let prompt = grounded_prompt(author, &conversation, shown, &self.prompt);
        let asks = self.retriever.knows(author, &found, shown).await?;
        let quotes = self.retriever.knows(author, &found, &found.passages).await?;
        let given = shown.len();
        let quoted = match quotes {
            true => Some(quote(&found.searched, &found, None).await?).filter(|quoted| !quoted.quotations.is_empty()),
            false => None,
        };
        Ok(Rehearsed { passages: found.passages, given, prompt, asks, quoted })
    }

    async fn find(&self, author: &AuthorId, searched: &str, without: Option<DocumentId>) -> Result<Retrieved, Error> {
        match without {
            Some(document) => self.retriever.retrieve_without(author, searched, self.k, document).await,
            None => self.retriever.retrieve(author, searched, self.k, &QueryFilter::default()).await,
        }
    }
}
