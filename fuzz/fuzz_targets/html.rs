//! Cleaning of HTML: what comes out is not empty and stays as it is when it is cleaned again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twin_schemas::MediaType;

#[path = "../src/document.rs"]
mod document;

fuzz_target!(|content: &str| {
    document::is_clean_after_cleaning(MediaType::Html, content);
});
