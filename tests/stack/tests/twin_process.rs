//! What the helper does when the binary can not start. Its good cases are the end-to-end tests.

use std::path::PathBuf;

use twin_stack::{TwinOptions, TwinProcess};

fn failure(binary: &str) -> String {
    let options = TwinOptions { binary: Some(PathBuf::from(binary)), ..TwinOptions::default() };
    TwinProcess::start(options).expect_err("this is not a twin").to_string()
}

#[test]
fn a_missing_binary_is_an_error_that_says_how_to_build_it() {
    assert!(failure("/nonexistent/twin").contains("cargo build --release --workspace"));
}

#[test]
fn a_binary_that_ends_at_once_is_an_error_with_its_output() {
    // `ls` takes `run` for a file and `--data` for an option, and says so.
    let message = failure("/bin/ls");
    assert!(message.contains("ended while it started") && message.contains("--data"), "{message}");
}
