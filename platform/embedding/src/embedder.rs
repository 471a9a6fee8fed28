use std::sync::Arc;

use async_trait::async_trait;

use crate::{EmbeddingModel, Error};

/// What vectors are wanted for. Some models are trained with another prefix for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A person's question, which waits for an answer: it goes before passages.
    Query,
    /// Parts of passages that a question which waits for its answer is compared with. Their vectors are those of
    /// passages; they go after questions and before passages.
    Candidate,
    /// Texts to be found.
    Passage,
}

/// Texts to embed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// What their vectors are wanted for.
    pub purpose: Purpose,
    /// The texts.
    pub texts: Vec<String>,
}

/// An embedding model that is loaded: texts to unit vectors.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The unit vector of each text, in order, `[texts][dimension]`. Waits while the engine has enough to do.
    async fn embed(&self, request: Texts) -> Result<Vec<Vec<f32>>, Error>;

    /// How many tokens the model would read of each text, in order, if its window had room for them: special tokens included,
    /// and what it puts before texts of that purpose.
    async fn count_tokens(&self, request: Texts) -> Result<Vec<usize>, Error>;

    /// Which model this is.
    fn model(&self) -> &EmbeddingModel;

    /// The window in tokens, special tokens included. A longer text is cut to it.
    fn max_tokens(&self) -> usize;

    /// Unit vectors of passages, in order.
    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        self.embed(Texts { purpose: Purpose::Passage, texts }).await
    }

    /// Unit vectors of parts of passages, for a question that waits, in order.
    async fn embed_candidates(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        self.embed(Texts { purpose: Purpose::Candidate, texts }).await
    }

    /// The unit vector of a question.
    async fn embed_query(&self, text: String) -> Result<Vec<f32>, Error> {
        let vectors = self.embed(Texts { purpose: Purpose::Query, texts: vec![text] }).await?;
        vectors.into_iter().next().ok_or(Error::Closed)
    }
}

/// Finds and loads the model that an index is of.
#[async_trait]
pub trait EmbedderLoader: Send + Sync {
    /// Loads the model with this id, wherever it is now. What is loaded is that model by its content, or it is an error
    /// that says where was looked for it.
    async fn load(&self, model: &EmbeddingModel) -> Result<Arc<dyn Embedder>, Error>;
}
