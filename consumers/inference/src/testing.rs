//! What unit tests of this crate have in common: passages, and vectors that stand in for a model's.

use std::sync::LazyLock;

use async_trait::async_trait;
use twin_embedding::{Embedder, EmbeddingModel, EmbeddingModelId, Error, Texts};
use twin_schemas::{Category, DocumentId, Passage, Revision};

use crate::quotes::dot;
use crate::quotes::terms::stems;

/// A passage of a document of its own.
pub(crate) fn passage(number: u32, title: &str, text: &str) -> Passage {
    Passage {
        document_id: DocumentId(format!("00000000-0000-0000-0000-{number:012}").parse().unwrap()),
        revision: Revision(1),
        ordinal: 0,
        natural_key: "notes/a.md".into(),
        title: Some(title.into()),
        url: None,
        category: Category::Article,
        heading_path: Vec::new(),
        text: text.into(),
        score: 0.5,
    }
}

/// A passage of each text.
pub(crate) fn passages(title: &str, texts: &[&str]) -> Vec<Passage> {
    (1..).zip(texts).map(|(number, text)| passage(number, title, text)).collect()
}

/// Texts are the nearer the more of their words they share.
pub(crate) fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0_f32; 256];
    for stem in stems(text) {
        let hash = stem.bytes().fold(7_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        vector[hash % 256] += 1.0;
    }
    let length = dot(&vector, &vector).sqrt().max(f32::MIN_POSITIVE);
    vector.iter().map(|value| value / length).collect()
}

/// The model of these vectors.
pub(crate) struct Words;

#[async_trait]
impl Embedder for Words {
    async fn embed(&self, request: Texts) -> Result<Vec<Vec<f32>>, Error> {
        Ok(request.texts.iter().map(|text| vector(text)).collect())
    }

    async fn count_tokens(&self, request: Texts) -> Result<Vec<usize>, Error> {
        Ok(request.texts.iter().map(|text| text.split_whitespace().count()).collect())
    }

    fn model(&self) -> &EmbeddingModel {
        static MODEL: LazyLock<EmbeddingModel> = LazyLock::new(|| EmbeddingModel {
            id: EmbeddingModelId::new("words", "0"),
            dimension: 256,
            settings: String::new(),
        });
        &MODEL
    }

    fn max_tokens(&self) -> usize {
        256
    }
}
