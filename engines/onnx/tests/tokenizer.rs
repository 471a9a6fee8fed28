//! The real tokenizer.

mod common;

use twin_embedding::Tokenizer;
use twin_onnx::HuggingFaceTokenizer;

fn tokenizer() -> HuggingFaceTokenizer {
    HuggingFaceTokenizer::from_file(&common::cached("models/minilm/tokenizer.json")).unwrap()
}

#[test]
fn the_truncation_and_padding_of_the_published_file_are_off() {
    let tokenizer = tokenizer();
    assert_eq!(tokenizer.count("one two three").unwrap(), 3);
    assert_eq!(tokenizer.spans(&"word ".repeat(300)).unwrap().len(), 300);
    assert_eq!(tokenizer.encode("one two three", 256).unwrap().len(), 5);
}

#[test]
fn spans_are_bytes_of_the_original_text() {
    let text = "Zürich’s naïve 漢字 unbelievability";
    let spans = tokenizer().spans(text).unwrap();
    let words: Vec<&str> = spans.iter().map(|span| &text[span.start..span.end]).collect();
    assert_eq!(words[..3], ["Zürich", "’", "s"]);
    assert_eq!(words[3..6], ["naïve", "漢", "字"]);
    let parts: Vec<bool> = spans[6..].iter().map(|span| span.starts_word).collect();
    assert!(parts.len() > 1 && parts[0] && parts[1..].iter().all(|starts| !starts), "{parts:?}");
}

#[test]
fn a_long_text_has_the_same_tokens_as_its_parts() {
    let tokenizer = tokenizer();
    let part = "The quick brown fox, however, jumped over 12 lazy dogs.\n";
    let in_part = tokenizer.count(part).unwrap();
    let text = part.repeat(5_000);
    let spans = tokenizer.spans(&text).unwrap();
    assert_eq!(spans.len(), in_part * 5_000);
    assert_eq!(tokenizer.count(&text).unwrap(), spans.len());
    assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
    let last = spans.last().unwrap();
    assert_eq!(&text[last.start..last.end], ".");
}

#[test]
fn a_long_text_is_cut_to_the_window_and_keeps_its_closing_token() {
    let tokenizer = tokenizer();
    let short = tokenizer.encode("word", 256).unwrap();
    let long = tokenizer.encode(&"word ".repeat(1_000), 256).unwrap();
    assert_eq!(long.len(), 256);
    assert_eq!(long.first(), short.first());
    assert_eq!(long.last(), short.last());
}

#[test]
fn the_name_of_a_special_token_in_a_text_is_plain_text() {
    let tokenizer = tokenizer();
    let separator = *tokenizer.encode("", 256).unwrap().last().unwrap();
    let ids = tokenizer.encode("end [SEP] begin", 256).unwrap();
    assert_eq!(ids.iter().filter(|&&id| id == separator).count(), 1, "{ids:?}");
}

#[test]
fn a_missing_file_is_named() {
    let error = HuggingFaceTokenizer::from_file("/nowhere/tokenizer.json".as_ref()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/tokenizer.json") && error.contains("make models"), "{error}");
}
