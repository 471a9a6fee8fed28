//! What holds for any input.

mod support;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use support::raw;
use twin_cleaner::{Options, clean};
use twin_schemas::{Category, MediaType};

/// Text in which tags, entities, Markdown and invisible characters are frequent.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "<p>",
            "</p>",
            "<div>",
            "</div>",
            "<ul>",
            "<li>",
            "</ul>",
            "<ol start=7>",
            "</ol>",
            "<blockquote>",
            "</blockquote>",
            "<pre>",
            "</pre>",
            "<code>",
            "</code>",
            "<br>",
            "<hr>",
            "<table>",
            "<tr>",
            "<td>",
            "<th>",
            "</table>",
            "<h1>",
            "</h1>",
            "<h3>",
            "<b>",
            "</b>",
            "<a href=x>",
            "</a>",
            "<img alt='a ![b](c)'>",
            "<!--",
            "-->",
            "<script>",
            "</script>",
            "<style>",
            "</style>",
            "<svg>",
            "</svg>",
            "<math>",
            "<html>",
            "<body>",
            "<title>",
            "</title>",
            "<textarea>",
            "</textarea>",
            "<span style='display:none'>",
            "</span>",
            "<select>",
            "<p hidden>",
            "<form>",
            "<nav>",
            "<article>",
            "<noscript>",
            "<template>",
            "<dl><dt>",
            "<dd>",
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "&lt;b&gt;",
            "&lt;!--",
            "--&gt;",
            "&#8203;",
            "&#13;",
            "&amp;lt;",
            "&nbsp;",
            "&lt;pre&gt;",
            "&lt;script&gt;",
            "```",
            "~~~",
            "`",
            "``",
            "\\",
            "#",
            "# ",
            "![",
            "](",
            ")",
            "[",
            "]",
            "> ",
            "- ",
            "1. ",
            "    ",
            "\t",
            "\n",
            "\n\n",
            "\r\n",
            " ",
            "|",
            "===",
            "---",
            "\u{200b}",
            "\u{feff}",
            "\u{202e}",
            "\u{e0041}",
            "\u{200d}",
            "\u{200c}",
            "👩",
            "م",
            "e\u{301}",
            "\u{2028}",
            "\u{a0}",
            "\u{ad}",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,8}",
        any::<char>().prop_map(String::from),
    ];
    // Without the tags around them, the share of unreadable characters might be too high.
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().replace(['\u{fffd}', '\0'], ""))
}

fn text_of(media_type: MediaType, content: &str) -> Option<String> {
    clean(&raw(Category::Post, media_type, "n", content), &Options::default()).ok().map(|cleaned| cleaned.text)
}

fn is_zero_width(character: char) -> bool {
    matches!(character, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[test]
fn an_invisible_character_does_not_make_a_fence_of_text() {
    for content in ["\t\u{feff}```\u{200b}a", "\u{200b}# a\u{200b}", "\u{200b}~~~\u{feff}a"] {
        let text = text_of(MediaType::Html, content).unwrap();
        assert!(!text.contains(is_zero_width), "{text:?}");
        assert_eq!(text_of(MediaType::Markdown, &text), Some(text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_from_html_is_clean_and_stays_as_it_is(content in soup()) {
        if let Some(text) = text_of(MediaType::Html, &content) {
            prop_assert!(!text.contains(is_zero_width), "{text:?}");
            prop_assert!(!text.contains(['\r', '\0']) && !text.ends_with('\n') && !text.starts_with('\n'), "{text:?}");
            prop_assert_eq!(text_of(MediaType::Markdown, &text), Some(text));
        }
    }

    #[test]
    fn markdown_cleaned_twice_is_as_cleaned_once(content in soup()) {
        if let Some(text) = text_of(MediaType::Markdown, &content) {
            prop_assert_eq!(text_of(MediaType::Markdown, &text), Some(text));
        }
    }

    #[test]
    fn plain_text_never_holds_invisible_characters(content in soup()) {
        if let Some(text) = text_of(MediaType::Text, &content) {
            prop_assert!(!text.contains(is_zero_width), "{text:?}");
            prop_assert!(text.lines().all(|line| line.trim_end() == line), "{text:?}");
            prop_assert_eq!(text_of(MediaType::Text, &text), Some(text));
        }
    }

    #[test]
    fn arbitrary_strings_do_no_harm(content in any::<String>()) {
        for media_type in [MediaType::Html, MediaType::Markdown, MediaType::Text] {
            if let Some(text) = text_of(media_type, &content) {
                prop_assert!(!text.is_empty());
            }
        }
    }

    #[test]
    fn code_passes_byte_for_byte(content in any::<String>(), more in soup()) {
        let content = content + &more;
        let cleaned = clean(&raw(Category::Code, MediaType::Text, "a.rs", &content), &Options::default()).unwrap();
        prop_assert_eq!(cleaned.text, content.strip_prefix('\u{feff}').unwrap_or(&content));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// What takes quadratic time shows when it is repeated: a quarter of a megabyte would then take minutes.
    #[test]
    fn whatever_is_repeated_it_takes_little_time(piece in soup()) {
        prop_assume!(!piece.is_empty());
        let content = piece.repeat((256 << 10) / piece.len() + 1);
        let options = Options { max_tags: 1 << 20, deadline_ms: 5_000, ..Options::default() };
        for media_type in [MediaType::Html, MediaType::Markdown, MediaType::Text] {
            let started = Instant::now();
            let _ = clean(&raw(Category::Post, media_type, "n", &content), &options);
            prop_assert!(started.elapsed() < Duration::from_secs(60), "{media_type:?}: {:?}", started.elapsed());
        }
    }
}
