//! RSS, Atom and JSON feeds: every item that is told has an identity.
#![no_main]

use libfuzzer_sys::fuzz_target;
use url::Url;

// The modules are private to the crawler; here they are compiled as they are.
#[allow(dead_code)]
#[path = "../../producers/crawler/src/charset.rs"]
mod charset;

#[path = "../../producers/crawler/src/sources/feed"]
mod feed {
    #[allow(dead_code)]
    mod address;
    mod parse;

    pub fn check(bytes: &[u8], content_type: Option<&str>, url: &url::Url) {
        for item in parse::parse(bytes, content_type, url, url.as_str()).into_iter().flatten().flatten() {
            assert!(!item.identity.is_empty());
        }
    }
}

fuzz_target!(|input: (bool, &[u8])| {
    let (says_charset, bytes) = input;
    let url = Url::parse("https://ada.example/feed").expect("it is an address");
    feed::check(bytes, says_charset.then_some("text/xml; charset=utf-16"), &url);
});
