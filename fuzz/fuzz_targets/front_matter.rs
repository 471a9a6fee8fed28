//! What stands before a text: whatever it is, what follows it is a part of the text.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The module is private to the crawler; here it is compiled as it is.
#[allow(dead_code)]
#[path = "../../producers/crawler/src/sources/front_matter.rs"]
mod front_matter;

fuzz_target!(|text: &str| {
    if let Ok((_, content)) = front_matter::split(text) {
        assert!(text.ends_with(content));
    }
});
