//! The tokens that a model is trained on, held against those that transformers gives: of each family, by its tokenizer, which
//! `scripts/tokenizers` (a part of `make test`) puts into the cache. `scripts/golden-tokens` writes the golden tokens anew.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use twin_llm::{PromptOptions, grounded_prompt};
use twin_lora::ChatFormat;
use twin_schemas::{AuthorId, Category, ChatMessage, DocumentId, Passage, Revision, Role};

/// What is asked, and what is answered.
#[derive(Deserialize)]
struct Conversation {
    name: String,
    prompt: Vec<ChatMessage>,
    answer: String,
}

/// What transformers made of it.
#[derive(Deserialize)]
struct Golden {
    name: String,
    /// The first token of the answer.
    completion: usize,
    /// Whether prompt and answer are tokenised as one text.
    joint: bool,
    /// All tokens, up to the one that ends the answer.
    tokens: Vec<u32>,
}

#[derive(Deserialize)]
struct Family {
    sequences: Vec<Golden>,
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

fn cache() -> PathBuf {
    let cache = std::env::var_os("TWIN_CACHE").map(PathBuf::from);
    cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/llm-twin"))
}

/// Holds a family's tokens against the golden ones; gives the text of the first prompt.
fn check(family: &str, model: &str) -> String {
    let folder = cache().join(model);
    assert!(folder.is_dir(), "{} is not there: run `make models` and `scripts/tokenizers`", folder.display());
    let format = ChatFormat::read(&folder).unwrap();
    let conversations: Vec<Conversation> = read("conversations.json");
    let Family { sequences } = read(&format!("{family}.json"));
    assert_eq!(sequences.len(), conversations.len(), "run scripts/golden-tokens");
    for (conversation, golden) in conversations.iter().zip(&sequences) {
        assert_eq!(conversation.name, golden.name, "run scripts/golden-tokens");
        let found = format.sequence(&conversation.prompt, &conversation.answer).unwrap();
        let place = found.tokens.iter().zip(&golden.tokens).position(|(ours, theirs)| ours != theirs);
        assert!(place.is_none(), "{family}, {}: other tokens from {place:?} on", golden.name);
        assert_eq!(found.tokens.len(), golden.tokens.len(), "{family}, {}", golden.name);
        assert_eq!(found.completion, golden.completion, "{family}, {}: where the answer begins", golden.name);
        // What is asked in production, before there is an answer.
        let asked = format.render(&conversation.prompt, true).unwrap();
        let asked = format.tokens(&asked).unwrap();
        assert_eq!(asked, golden.tokens[..golden.completion], "{family}, {}: the prompt alone", golden.name);
        assert!(golden.joint || golden.name == "a leading line break", "{family}, {}", golden.name);
    }
    format.render(&conversations[0].prompt, true).unwrap()
}

#[test]
fn smollm2_is_trained_on_the_tokens_that_transformers_gives() {
    check("smollm2", "models/smollm2-135m-instruct-f32");
}

#[test]
fn llama_2_is_trained_on_the_tokens_that_transformers_gives() {
    let asked = check("llama-2", "tokenizers/llama-2");
    assert!(asked.starts_with("<s>[INST] <<SYS>>\n"), "{asked}");
}

#[test]
fn llama_3_is_trained_on_the_tokens_that_transformers_gives_and_begins_a_text_once() {
    let asked = check("llama-3", "tokenizers/llama-3");
    // The tokenizer, asked to begin the text, would put a second one there.
    let Family { sequences } = read("llama-3.json");
    let begins = |tokens: &[u32]| tokens.iter().filter(|token| **token == 128_000).count();
    assert!(asked.starts_with("<|begin_of_text|>") && sequences.iter().all(|golden| begins(&golden.tokens) == 1));
}

#[test]
fn llama_3_2_is_trained_on_the_tokens_that_transformers_gives_and_told_one_day() {
    let asked = check("llama-3.2", "tokenizers/llama-3.2");
    assert!(asked.contains("Today Date: 26 Jul 2024\n"), "{asked}");
}

#[test]
fn mistral_v0_1_is_trained_on_the_tokens_that_transformers_gives_without_a_system_role() {
    let asked = check("mistral-v0.1", "tokenizers/mistral-v0.1");
    assert!(asked.starts_with("<s>[INST] You are the writing twin of me."), "{asked}");
}

#[test]
fn mistral_v0_3_is_trained_on_the_tokens_that_transformers_gives_with_the_systems_words_in_the_last_turn() {
    let asked = check("mistral-v0.3", "tokenizers/mistral-v0.3");
    assert!(asked.ends_with("in the author's voice.\n\nWrite about tide pools.[/INST]"), "{asked}");
}

#[test]
fn qwen2_5_is_trained_on_the_tokens_that_transformers_gives() {
    check("qwen2.5", "tokenizers/qwen2.5");
}

#[test]
fn qwen3_is_trained_on_the_tokens_that_transformers_gives_without_thinking() {
    let asked = check("qwen3", "tokenizers/qwen3");
    assert!(asked.ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n"), "{asked}");
}

#[test]
fn one_of_the_conversations_is_asked_as_serving_asks_it() {
    let passage = |title: &str, heading: &str, text: &str| Passage {
        document_id: DocumentId("00000000-0000-0000-0000-000000000001".parse().unwrap()),
        revision: Revision(1),
        ordinal: 0,
        score: 1.0,
        text: text.to_owned(),
        title: Some(title.to_owned()),
        heading_path: vec![heading.to_owned()],
        natural_key: "logs.md".to_owned(),
        category: Category::Article,
        url: None,
    };
    let committed = "A consumer commits its offset only after the effects of the event are durable.\n\n\
                     - At least once, never at most once.\n- A restart reads the last events again.";
    let measured = "One partition took 12,500 events a second (p99 = 3.5 ms) in 2024.";
    let passages = [passage("Notes on logs", "Offsets", committed), passage("Notes on logs", "Numbers", measured)];
    let question = [ChatMessage { role: Role::User, content: "When is an offset committed?".to_owned() }];
    let prompt = grounded_prompt(&author(), &question, &passages, &PromptOptions::default());
    let conversations: Vec<Conversation> = read("conversations.json");
    let grounded = conversations.iter().find(|conversation| conversation.name == "a grounded question").unwrap();
    assert_eq!(grounded.prompt, prompt);
}

fn author() -> AuthorId {
    "me".parse().unwrap()
}
