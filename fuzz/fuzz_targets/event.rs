//! Events as they come from a log that others can write to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twin_schemas::{AnswerEvent, Attributes, ChunkedDocument, CleanedDocument, Payload, QueryEvent, RawDocument};

fn decode<P: Payload>(headers: &[(String, Vec<u8>)], value: &[u8]) {
    if let Ok(attributes) = Attributes::from_headers(headers) {
        let _ = attributes.document();
        let _ = attributes.decode::<P>(value);
    }
    // With good headers, so that the value is looked at.
    let attributes = Attributes::new::<P>("fuzz", "subject");
    if let Ok(payload) = attributes.decode::<P>(value) {
        let written = serde_json::to_vec(&payload).expect("what was read can be written");
        attributes.decode::<P>(&written).expect("what was written can be read");
    }
}

fuzz_target!(|input: (Vec<(String, Vec<u8>)>, u8, &[u8])| {
    let (headers, kind, value) = input;
    match kind % 5 {
        0 => decode::<RawDocument>(&headers, value),
        1 => decode::<CleanedDocument>(&headers, value),
        2 => decode::<ChunkedDocument>(&headers, value),
        3 => decode::<QueryEvent>(&headers, value),
        _ => decode::<AnswerEvent>(&headers, value),
    }
});
