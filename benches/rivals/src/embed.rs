//! The crate fastembed, as its guide has it: batches of 32 texts.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use anyhow::Result;
use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use ort::environment::Environment;

const BATCH: usize = 32;

/// The same model on one thread.
pub struct FastEmbed(TextEmbedding);

impl FastEmbed {
    /// Loads the model of a folder with `model.onnx` and `tokenizer.json`.
    pub fn load(environment: &Environment, folder: &Path, window: usize) -> Result<Self> {
        let files = TokenizerFiles {
            tokenizer_file: fs::read(folder.join("tokenizer.json"))?,
            config_file: br#"{"pad_token_id":0,"max_position_embeddings":512}"#.to_vec(),
            tokenizer_config_file: format!(r#"{{"model_max_length":{window},"pad_token":"[PAD]"}}"#).into_bytes(),
            special_tokens_map_file: br#"{"cls_token":"[CLS]","sep_token":"[SEP]","pad_token":"[PAD]",
                "unk_token":"[UNK]","mask_token":"[MASK]"}"#
                .to_vec(),
        };
        let model = UserDefinedEmbeddingModel::new(fs::read(folder.join("model.onnx"))?, files);
        let options = InitOptionsUserDefined::new()
            .with_max_length(window)
            .with_intra_threads(1)
            .with_environment(environment.clone());
        Ok(Self(TextEmbedding::try_new_from_user_defined(model.with_pooling(Pooling::Mean), options)?))
    }

    /// Embeds the texts in the order in which they are.
    pub fn embed(&mut self, texts: &[String]) -> Result<usize> {
        Ok(black_box(self.0.embed(texts, Some(BATCH))?).len())
    }
}
