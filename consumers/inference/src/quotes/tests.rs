//! Quotations of texts made for it. What a real model chooses is in `tests/quotes.rs`.

use std::collections::BTreeSet;

use proptest::prelude::*;
use twin_schemas::Category;

use super::select::Selection;
use super::spans::Form;
use super::*;
use crate::testing::{self, vector};

fn passage(number: u32, text: &str) -> Passage {
    testing::passage(number, "Rivers", text)
}

fn passages(texts: &[&str]) -> Vec<Passage> {
    testing::passages("Rivers", texts)
}

fn quoted_within(question: &str, passages: Vec<Passage>, max_tokens: Option<u32>) -> Quoted {
    let reading = Reading::new(question, passages);
    let vectors: Vec<Vec<f32>> = reading.texts().iter().map(|text| vector(text)).collect();
    reading.quoted(&vector(question), &vectors, max_tokens)
}

fn quoted(question: &str, texts: &[&str]) -> String {
    quoted_within(question, passages(texts), None).text()
}

/// The texts of all spans.
fn spans_of(passages: &[Passage]) -> Vec<(Form, &str)> {
    let text = |span: &Span| (span.form, &passages[span.passage].text[span.range.clone()]);
    spans(passages).iter().map(text).collect()
}

/// What is written where these spans of the passages are quoted.
fn rendered(passages: &[Passage], chosen: impl Fn(usize) -> bool) -> Vec<Quotation> {
    let spans = spans(passages);
    let spanned = Spanned { passages, spans: &spans };
    let chosen = (0..spans.len()).filter(|span| chosen(*span)).collect();
    render(&spanned, &Selection { spans: chosen, ..Selection::default() })
}

/// Each line of a quotation, but for its marker and the fences of code, is a part of a line of its passage.
fn assert_verbatim(passages: &[Passage], quotations: &[Quotation]) {
    for Quotation { marker, text } in quotations {
        let lines: Vec<&str> = passages[*marker as usize - 1].text.lines().collect();
        let said = text.strip_suffix(&format!("[{marker}]")).expect("a quotation ends with its marker");
        for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let is_fence = line.starts_with("```");
            assert!(is_fence || lines.iter().any(|whole| whole.contains(line)), "{line:?} of {text:?}");
        }
    }
}

/// What is written, and which spans that is, where the units of these passages have these scores and none is like another.
fn chosen(passages: &[Passage], scores: &[f32], most_chars: usize) -> (Vec<String>, BTreeSet<usize>) {
    let spans = spans(passages);
    let spanned = Spanned { passages, spans: &spans };
    let units = units(&spanned);
    assert_eq!(units.len(), scores.len());
    let vectors: Vec<Vec<f32>> =
        (0..scores.len()).map(|unit| (0..scores.len()).map(|at| f32::from(at == unit)).collect()).collect();
    let stems: Vec<HashSet<String>> = (0..scores.len()).map(|unit| [unit.to_string()].into()).collect();
    let candidate =
        |at: usize| Candidate { unit: &units[at], score: scores[at], vector: &vectors[at], stems: &stems[at] };
    let candidates: Vec<Candidate<'_>> = (0..scores.len()).map(candidate).collect();
    let selection = select(&spanned, &candidates, most_chars);
    let texts = render(&spanned, &selection).into_iter().map(|quotation| quotation.text).collect();
    (texts, selection.spans)
}

const EVERYTHING: &str = "# Rivers\r\n\r\nRivers rise in spring. This is the melt.\r\nThey fall again in the dry \
    months.\r\n\r\nWhat I take along:\r\n\r\n- a map of the valley\r\n- boots, and a dry pair of socks\r\n\r\n\
    | river | length |\r\n|---|---:|\r\n| Isar | 295 km |\r\n| Elbe | 1 094 km |\r\n\r\n> A river is never the same.\r\n\
    \r\n日本の川は短い。流れは速い、と彼は言った。\r\n\r\n```sh\r\nflow --river isar\r\n\r\nflow --all\r\n```\r\n";

#[test]
fn sentences_items_rows_quotations_and_code_are_spans_and_headings_are_none() {
    let passages = passages(&[EVERYTHING]);
    let expected = [
        (Form::Sentence, "Rivers rise in spring."),
        (Form::Sentence, "This is the melt."),
        (Form::Sentence, "They fall again in the dry months."),
        (Form::Sentence, "What I take along:"),
        (Form::Item, "- a map of the valley"),
        (Form::Item, "- boots, and a dry pair of socks"),
        (Form::Row, "| Isar | 295 km |"),
        (Form::Row, "| Elbe | 1 094 km |"),
        (Form::Quotation, "> A river is never the same."),
        (Form::Sentence, "日本の川は短い。"),
        (Form::Sentence, "流れは速い、と彼は言った。"),
        (Form::Code, "flow --river isar\r\n\r\nflow --all"),
    ];
    assert_eq!(spans_of(&passages), expected);
}

#[test]
fn whatever_is_quoted_stands_in_its_passage() {
    let unclosed = "Run it like this:\n\n```rust,no_run\nfn main() {\n    // ```` in a comment\n}\n";
    let code =
        Passage { category: Category::Code, natural_key: "src/lib.rs".into(), ..passage(3, "mod a;\n\nfn b() {}\n") };
    let mut passages = passages(&[EVERYTHING, unclosed]);
    passages.push(code);
    let all = rendered(&passages, |_| true);
    assert_verbatim(&passages, &all);
    let text: String = all.iter().map(|quotation| quotation.text.as_str()).collect();
    assert!(text.contains("| river | length |\r\n|---|---:|\n| Isar | 295 km |\r\n| Elbe"), "{text}");
    assert!(
        text.contains("Run it like this:\n\n`````rust\nfn main() {\n    // ```` in a comment\n}\n`````\n\n[2]"),
        "{text}"
    );
    assert!(text.contains("```rust\nmod a;\n\nfn b() {}\n```\n\n[3]"), "{text}");
    assert!(text.contains("They fall again in the dry months.\r\n\r\nWhat I take along:\r\n\r\n- a map"), "{text}");
}

#[test]
fn links_badges_and_markers_of_passages_are_not_quoted() {
    let text = "[![build](https://x/badge.svg)](https://x)\n\n<p align=\"center\"><img src=\"logo.png\"></p>\n\n\
        - [The guide](docs/guide.md)\n- [docs/api.md](docs/api.md): every route of the API\n\nSee https://example.org/a\n\n\
        As Eve wrote [1], rivers flow upwards. A list `[7]` is no citation here.\n\nYes. Rivers flow downwards.\n";
    let passages = passages(&[text, "Other."]);
    let found: Vec<&str> = spans_of(&passages).into_iter().map(|(_, text)| text).collect();
    let expected = [
        "- [docs/api.md](docs/api.md): every route of the API",
        "A list `[7]` is no citation here.",
        "Yes. Rivers flow downwards.",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_long_item_is_quoted_by_its_sentences_and_a_list_may_stand_below_a_paragraph() {
    let long = "it carries gravel and sand down the valley, ".repeat(8);
    let text =
        format!("Rivers work\nwithout rest:\n1. First, {long}and leaves it. Then it rests.\n2. Second, it floods.\n");
    let passages = passages(&[&text]);
    let found = spans_of(&passages);
    assert_eq!(found[0], (Form::Sentence, "Rivers work\nwithout rest:"));
    assert!(found[1].1.starts_with("1. First, it") && found[1].0 == Form::Sentence, "{found:?}");
    assert_eq!(found[2..], [(Form::Sentence, "Then it rests."), (Form::Item, "2. Second, it floods.")]);
}

#[test]
fn code_of_a_repository_is_quoted_as_code_and_its_markdown_as_prose() {
    let code = |key: &str, text: &str| {
        let passage = Passage { category: Category::Code, natural_key: key.into(), ..passage(1, text) };
        rendered(&[passage], |_| true).remove(0).text
    };
    assert_eq!(code("src/flow.py", "def flow():\n    return 1\n"), "```python\ndef flow():\n    return 1\n```\n\n[1]");
    assert_eq!(code("NOTICE", "All rivers flow."), "```\nAll rivers flow.\n```\n\n[1]");
    assert_eq!(code("README.md", "# Flow\n\nAll rivers flow down.\n"), "All rivers flow down. [1]");
}

#[test]
fn long_code_is_cut_at_its_blank_lines() {
    let function = |name: &str| format!("fn {name}() {{\n{}}}\n", "    step();\n".repeat(40));
    let text = format!("{}\n{}", function("one"), function("two"));
    let passage = Passage { category: Category::Code, natural_key: "a.rs".into(), ..passage(1, &text) };
    let found = spans_of(std::slice::from_ref(&passage));
    assert_eq!(found.len(), 2);
    assert!(
        found[0].1.starts_with("fn one") && found[0].1.ends_with('}') && found[1].1.starts_with("fn two"),
        "{found:?}"
    );
    let both = rendered(std::slice::from_ref(&passage), |_| true);
    assert_eq!(both[0].text.matches("```").count(), 2, "neighbours are in one fence");
}

#[test]
fn a_sentence_that_leans_on_the_one_before_has_that_with_it() {
    let text = "The old mill burned down. This was in 1950. It froze that winter.\n\nIt was rebuilt by my father.";
    assert_eq!(quoted("What froze?", &[text]), "The old mill burned down. This was in 1950. It froze that winter. [1]");
    let answer = quoted("Who was the mill rebuilt by, my father?", &[text]);
    assert!(answer.starts_with("It was rebuilt by my father. [1]"), "not over the end of a paragraph: {answer}");
}

#[test]
fn what_is_introduced_comes_with_its_introduction_and_the_other_way_round() {
    let steps = "Some other sentence stands here.\n\nMake a backup of the database:\n\n```\nsqlite3 twin.db .dump\n```\n\n\
        Unrelated things follow after that.";
    let whole = "Make a backup of the database:\n\n```\nsqlite3 twin.db .dump\n```\n\n[1]";
    assert_eq!(quoted("How do I make a backup of the database?", &[steps]), whole);
    assert_eq!(quoted("sqlite3 dump?", &[steps]), whole);
    let list = "Pack this for the mountains:\n- a rope\n- a lamp\n- warm socks\n";
    assert_eq!(
        quoted("What about warm socks?", &[list]),
        "Pack this for the mountains:\n- a rope\n- a lamp\n- warm socks [1]"
    );
}

#[test]
fn rows_of_one_table_stand_together_below_its_header_and_items_of_one_list_together() {
    let table = "| river | length |\n|---|---|\n| Isar | 295 km |\n| Elbe | 1094 km |\n| Inn | 518 km |\n";
    let passages = passages(&[table, "- a map\n- a lamp\n- a rope\n"]);
    let ends = |span: usize| span != 1 && span != 4;
    let texts: Vec<String> = rendered(&passages, ends).into_iter().map(|quotation| quotation.text).collect();
    assert_eq!(texts[0], "| river | length |\n|---|---|\n| Isar | 295 km |\n| Inn | 518 km |\n\n[1]");
    assert_eq!(texts[1], "\n\n- a map\n- a rope [2]");
}

#[test]
fn what_was_said_already_is_not_said_again() {
    let same = "The Isar rises in the Karwendel mountains.";
    let answer = quoted("Where does the Isar rise?", &[same, "The Isar rises in the high Karwendel mountains."]);
    assert_eq!(answer, format!("{same} [1]"));
}

#[test]
fn documents_come_by_their_best_quotation_and_their_passages_in_the_order_of_the_text() {
    let mut passages = passages(&["Of the first document.", "The end of the second.", "The beginning of the second."]);
    (passages[1].ordinal, passages[2].document_id) = (1, passages[1].document_id);
    let texts: Vec<String> = chosen(&passages, &[0.6, 0.7, 0.5], ANSWER_CHARS).0;
    let expected =
        ["The beginning of the second. [3]", "\n\nThe end of the second. [2]", "\n\nOf the first document. [1]"];
    assert_eq!(texts, expected);
}

#[test]
fn of_equals_the_first_is_taken_and_what_lies_far_below_the_best_is_not() {
    let passages = passages(&["One text of three.", "Another text of three.", "The third text of three."]);
    assert_eq!(chosen(&passages, &[0.5, 0.5, 0.5], 20).0, ["One text of three. [1]"]);
    assert_eq!(chosen(&passages, &[0.2, 0.5, 0.24], ANSWER_CHARS).0, ["Another text of three. [2]"]);
}

#[test]
fn an_answer_is_bounded_in_characters_and_quotations_and_has_the_best_in_any_case() {
    let texts: Vec<String> = (0..9).map(|number| format!("The text of number {number} is this.")).collect();
    let passages = passages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let (quotations, spans) = chosen(&passages, &[0.5; 9], ANSWER_CHARS);
    assert_eq!((quotations.len(), spans), (5, [0, 1, 2, 3, 4].into()));
    assert_eq!(chosen(&passages, &[0.5; 9], 60).1, [0, 1].into());
    let scores = [0.4, 0.4, 0.4, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4];
    assert_eq!(chosen(&passages, &scores, 1).1, [3].into(), "longer than there is room for");
}

#[test]
fn where_there_is_room_the_best_goes_on_and_a_gap_is_filled() {
    let text = "First of all it rains. Second, it snows. Third, it hails. Fourth, it thaws. Fifth, it is dry.";
    let passages = passages(&[text]);
    assert_eq!(chosen(&passages, &[0.5, 0.0, 0.0, 0.0, 0.0], ANSWER_CHARS).1, [0, 1].into());
    assert_eq!(chosen(&passages, &[0.0, 0.4, 0.0, 0.5, 0.0], ANSWER_CHARS).1, [1, 2, 3, 4].into());
    assert_eq!(chosen(&passages, &[0.0, 0.4, 0.0, 0.5, 0.0], 40).1, [1, 3].into());
}

#[test]
fn a_limit_of_tokens_that_leaves_something_out_is_told() {
    let ask = |limit| quoted_within("rivers", passages(&["Rivers rise in spring.", "Rivers fall in summer."]), limit);
    let (whole, cut) = (ask(None), ask(Some(5)));
    assert!(whole.quotations.len() == 2 && !whole.is_cut, "{whole:?}");
    assert!(cut.quotations.len() == 1 && cut.is_cut, "{cut:?}");
    assert_eq!(ask(Some(100_000)), whole);
}

#[test]
fn a_stop_text_ends_the_answer_before_it() {
    let whole = quoted_within("rivers", passages(&["Rivers rise in spring.", "Rivers fall in summer."]), None);
    assert_eq!((whole.quotations.len(), whole.cited()), (2, vec![1, 2]));
    let stopped = |stop: &str| whole.clone().until(&[stop.to_owned(), "never said".to_owned()]);
    assert_eq!((stopped("\n").text(), stopped("\n").cited()), ("Rivers rise in spring. [1]".to_owned(), vec![1]));
    assert_eq!((stopped("spring").text(), stopped("spring").cited()), ("Rivers rise in ".to_owned(), vec![]));
    assert_eq!(whole.clone().until(&[]), whole);
}

#[test]
fn where_nothing_can_be_quoted_nothing_is() {
    for text in ["# Only a heading", "", "```\n```", "[a](b)", "| |\n|-|\n"] {
        assert_eq!(quoted("rivers", &[text]), "", "{text:?}");
    }
    assert!(quoted_within("rivers", Vec::new(), None).quotations.is_empty());
}

#[test]
fn however_much_was_found_no_more_than_so_much_is_embedded() {
    let texts: Vec<String> =
        (0..50).map(|n| format!("River {n} flows from the mountains to the sea. ").repeat(30)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embedded = Reading::new("Where does river 7 flow?", passages(&texts)).texts();
    assert!(embedded.len() <= CANDIDATES && embedded.concat().chars().count() < CANDIDATE_CHARS + 3 * CANDIDATES);
    assert!(embedded[0].contains("River 7 "), "{embedded:?}");
}

/// Pieces of Markdown, and of what is none.
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "# Heading\n",
        "Title\n===\n",
        "A river rises. It falls again. ",
        "e.g. so? Yes.\n",
        "- item one\n",
        "  * nested: so\n",
        "1. first\n",
        "12) twelfth\r\n",
        "| a | b |\n",
        "|---|:-:|\n",
        "| 日本 | 川 |\r\n",
        "> said so\n",
        "lazily\n",
        "“All of it.”\n",
        "```rust\n",
        "```\n",
        "~~~~\n",
        "fn a() {}\n",
        "    indented\n",
        "\n",
        "\r\n",
        "\n\n",
        "川は短い。",
        "[a](b)",
        "[1]",
        "![x](y",
        "<b",
        "https://x.y ",
        "in short:\n",
        "This leans. ",
        "\t",
        "`` ` ``",
        "---\n",
        "é😀 ",
    ])
}

proptest! {
    #[test]
    fn any_text_is_quoted_verbatim_and_the_same_way_each_time(
        texts in prop::collection::vec(prop::collection::vec(fragment(), 0..40), 1..4),
        chosen in any::<u64>(),
        is_code in any::<bool>(),
    ) {
        let texts: Vec<String> = texts.iter().map(|parts| parts.concat()).collect();
        let mut passages = passages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        if is_code {
            (passages[0].category, passages[0].natural_key) = (Category::Code, "a.rs".into());
        }
        let spans = spans(&passages);
        for pair in spans.windows(2).filter(|pair| pair[0].passage == pair[1].passage) {
            prop_assert!(pair[0].extent.end <= pair[1].extent.start, "{pair:?} overlap");
        }
        assert_verbatim(&passages, &rendered(&passages, |span| chosen >> (span % 64) & 1 == 1));
        let ask = || quoted_within("Why does a river rise, and what leans?", passages.clone(), None);
        assert_verbatim(&passages, &ask().quotations);
        prop_assert_eq!(ask(), ask());
    }
}
