//! Cleaning of HTML: what comes out is not empty and stays as it is when it is cleaned again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twin_schemas::MediaType;

#[path = "../src/document.rs"]
mod document;

fuzz_target!(|content: &str| {
    let Some(text) = document::cleaned(MediaType::Html, content) else { return };
    assert!(!text.is_empty());
    // Without the line ends that went, the share of control characters in a code block may have become too high.
    if let Some(again) = document::cleaned(MediaType::Markdown, &text) {
        assert_eq!(again, text);
    }
});
