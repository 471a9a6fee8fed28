//! What trains a model and what serves it compute the same.

use std::path::{Path, PathBuf};

use candle_core::{D, Device};
use serde_json::{Value, json};
use tempfile::TempDir;
use twin_llm::{ChatModel, ChatRequest, Device as Where, PromptOptions, Reply, grounded_prompt, voice_prompt, whole};
use twin_lora::{ChatFormat, Decoder};
use twin_mistral::MistralModel;
use twin_schemas::{Category, ChatMessage, DocumentId, Passage, Revision, Role};

fn model() -> PathBuf {
    let cache = std::env::var_os("TWIN_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/llm-twin"));
    cache.join("models/smollm2-135m-instruct-f32")
}

fn prompts() -> Vec<Vec<ChatMessage>> {
    let author = "ada".parse().unwrap();
    let question = ChatMessage { role: Role::User, content: "Why do rivers bend?".into() };
    let passage = Passage {
        document_id: DocumentId("00000000-0000-0000-0000-000000000001".parse().unwrap()),
        revision: Revision(1),
        ordinal: 0,
        natural_key: "rivers.md".into(),
        title: Some("On rivers".into()),
        url: None,
        category: Category::Article,
        heading_path: vec!["Bends".into()],
        text: "A river bends since its outer bank\n\n    wears away,   and its inner bank grows: \"meanders\".".into(),
        score: 0.9,
    };
    let grounded = grounded_prompt(&author, &[question], &[passage], &PromptOptions::default());
    vec![voice_prompt(&author, "Say what a compiler is."), grounded]
}

async fn served(model: &MistralModel, prompt: &[ChatMessage]) -> (String, u32) {
    let answer = model.chat(ChatRequest::greedy(prompt.to_vec(), 40)).await.unwrap();
    let Reply { text, usage, .. } = whole(answer).await.unwrap();
    (text, usage.prompt_tokens)
}

/// The prompt has as many tokens for the trainer as for the server, and of each token that the server wrote, the
/// trainer's decoder finds none more likely.
async fn check_that_both_see_the_same(model: &Path) {
    let server = MistralModel::load(model, "served", Where::Cpu).await.unwrap();
    let decoder = Decoder::load(model, &Device::Cpu).unwrap();
    let format = ChatFormat::read(model).unwrap();
    for prompt in prompts() {
        let (text, prompt_tokens) = served(&server, &prompt).await;
        let sequence = format.sequence(&prompt, &text).unwrap();
        assert_eq!(sequence.completion, prompt_tokens as usize, "tokens of the prompt");
        let best = decoder.logits(&sequence.tokens, None).unwrap().argmax(D::Minus1).unwrap();
        let best: Vec<u32> = best.to_vec1().unwrap();
        // The last is the end token, which the server may not have come to.
        let written = sequence.completion..sequence.tokens.len() - 1;
        assert!(written.len() > 10, "{text}");
        for index in written {
            assert_eq!(best[index - 1], sequence.tokens[index], "token {index} of {text:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trainer_sees_the_prompt_and_the_next_token_as_the_server_does() {
    check_that_both_see_the_same(&model()).await;
}

/// The model in a folder of its own, with the habits of several families: no system role (Mistral v0.1), a day and a thought in
/// the template (Llama 3.2, Qwen3), and a first token that both the template and the tokenizer put there (Llama 3).
fn peculiar(folder: &Path) {
    for name in ["config.json", "generation_config.json", "model.safetensors"] {
        std::os::unix::fs::symlink(model().join(name), folder.join(name)).unwrap();
    }
    let changed = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&std::fs::read(model().join(name)).unwrap()).unwrap();
        change(&mut value);
        std::fs::write(folder.join(name), value.to_string()).unwrap();
    };
    changed("tokenizer_config.json", &|config: &mut Value| config["bos_token"] = json!("<|endoftext|>"));
    changed("tokenizer.json", &|tokenizer: &mut Value| {
        let first = json!({"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}});
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let other = json!({"Sequence": {"id": "B", "type_id": 1}});
        tokenizer["post_processor"] = json!({
            "type": "TemplateProcessing", "single": [first, text], "pair": [first, text, other],
            "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
        });
    });
    let template = "{{ bos_token }}{% for m in messages %}\
        {% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}\
        {% if loop.first %}{{ '<|im_start|>system\nToday is ' + strftime_now('%d %b %Y') + '.<|im_end|>\n' }}{% endif %}\
        {{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}\
        {% if enable_thinking %}{{ 'I think: ' }}{% endif %}{% endif %}";
    std::fs::write(folder.join("chat_template.jinja"), template).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_see_the_same_where_a_template_has_a_day_a_thought_and_no_system_and_the_tokenizer_begins_texts() {
    let folder = TempDir::new().unwrap();
    peculiar(folder.path());
    let prompt = &prompts()[0];
    let format = ChatFormat::read(folder.path()).unwrap();
    let asked = format.render(prompt, true).unwrap();
    assert!(asked.starts_with("<|endoftext|><|im_start|>system\nToday is 26 Jul 2024.") && !asked.contains("I think"));
    let sequence = format.sequence(prompt, "So.").unwrap();
    assert_eq!(sequence.tokens.iter().filter(|token| **token == 0).count(), 1, "{:?}", sequence.tokens);
    check_that_both_see_the_same(folder.path()).await;
}

/// On a GPU the server computes in half precision, where the two likeliest tokens may change places: the trainer's
/// decoder, in single precision there too, finds none of the server's tokens far from the likeliest.
#[cfg(feature = "cuda")]
#[tokio::test(flavor = "multi_thread")]
async fn on_a_gpu_the_trainer_sees_nearly_the_next_token_that_the_server_does() {
    let server = MistralModel::load(&model(), "served", Where::Auto).await.unwrap();
    let decoder = Decoder::load(&model(), &Device::new_cuda(0).expect("this test needs a GPU")).unwrap();
    let format = ChatFormat::read(&model()).unwrap();
    for prompt in prompts() {
        let (text, prompt_tokens) = served(&server, &prompt).await;
        let sequence = format.sequence(&prompt, &text).unwrap();
        assert_eq!(sequence.completion, prompt_tokens as usize, "tokens of the prompt");
        let logits = decoder.logits(&sequence.tokens, None).unwrap().to_vec2::<f32>().unwrap();
        let written = sequence.completion..sequence.tokens.len() - 1;
        assert!(written.len() > 10, "{text}");
        for index in written {
            let before = &logits[index - 1];
            let best = before.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let distance = best - before[sequence.tokens[index] as usize];
            assert!(distance < 0.5, "token {index} of {text:?} is {distance} below the likeliest");
        }
    }
}
