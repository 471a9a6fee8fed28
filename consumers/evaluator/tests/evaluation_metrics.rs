//! Metrics of single answers, on cases worked out by hand.

use proptest::prelude::*;
use twin_evaluator::degenerate::{Degeneration, degeneration};
use twin_evaluator::grounded::{Citations, invented_quotations, quotations, refuses};
use twin_evaluator::rouge::rouge_l;
use twin_evaluator::{Answer, Options};
use twin_llm::ABSTENTION;
use twin_schemas::FinishReason;
use twin_text::words::words;

fn finished(text: &str) -> Answer {
    Answer { text: text.to_owned(), finish_reason: FinishReason::Stop }
}

fn cut_off(text: &str) -> Answer {
    Answer { text: text.to_owned(), finish_reason: FinishReason::Length }
}

fn says_not_to_know(answer: &str) -> bool {
    refuses(answer, 3, &Options::default().refusal_phrases)
}

#[test]
fn rouge_l_is_what_lin_computes_in_the_papers_example() {
    // Lin 2004, section 3.1: S2 and S3 against S1, with equal weights of precision and recall.
    let reference = "police killed the gunman";
    assert_eq!(rouge_l("police kill the gunman", reference, 100), 0.75);
    assert_eq!(rouge_l("the gunman kill police", reference, 100), 0.5);
}

#[test]
fn rouge_l_weighs_precision_against_recall() {
    // Common: "the cat sat" = 3; precision 3/6, recall 3/3.
    assert!((rouge_l("the big cat that sat down", "the cat sat", 100) - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(rouge_l("", "the cat sat", 100), 0.0);
    assert_eq!(rouge_l("a b", "c d", 100), 0.0);
}

#[test]
fn rouge_l_reads_no_more_words_than_it_is_told() {
    assert_eq!(rouge_l("a b c x y", "a b c d e", 3), 1.0);
}

#[test]
fn quotations_are_found_in_each_style_of_marks() {
    let text = "\"One two\" \u{201c}three\u{201d} \u{201e}vier f\u{fc}nf\u{201c} \u{ab}six\u{bb}";
    assert_eq!(quotations(text), ["One two", "three", "vier f\u{fc}nf", "six"]);
}

#[test]
fn a_mark_that_is_never_closed_opens_nothing_beyond_its_paragraph() {
    assert_eq!(quotations("He said \"and so on\n\nThen \"yes\"."), ["yes"]);
}

#[test]
fn a_straight_mark_that_can_only_close_opens_nothing() {
    assert_eq!(quotations("\"The 5\" pipe is wide.\" [1] And that is \"all of it\"."), ["The 5", "all of it"]);
    assert_eq!(quotations("begins elsewhere.\" Then \"yes\"."), ["yes"]);
}

#[test]
fn string_literals_in_code_are_no_quotations() {
    let text = "Run `say \"one two three four\"` or\n```\nprint(\"one two three four\")\n```\nbut \"not this\".";
    assert_eq!(quotations(text), ["not this"]);
}

#[test]
fn a_quotation_is_invented_unless_a_passage_holds_it() {
    let passages =
        ["The river\n  rises early in spring, and it\u{2019}s cold.".to_owned(), "Herons stand there.".to_owned()];
    let invented = |answer: &str| invented_quotations(answer, &passages);
    assert!(invented("\"The river rises early in spring\" [1].").is_empty());
    assert!(invented("\"in spring, and it's cold!\" [1]").is_empty());
    assert!(invented("\"The river \u{2026} in spring,\" I wrote [1].").is_empty());
    assert_eq!(invented("\"The river rises late in spring\" [1]."), ["The river rises late in spring"]);
    // Each side of an omission has to be there.
    assert_eq!(invented("\"The river [...] never dries up\""), ["The river [...] never dries up"]);
    // Fewer than three words are no quotation to look up.
    assert!(invented("The \"dry season\" ends.").is_empty());
    // Words of two passages in one quotation are in none.
    assert_eq!(invented("\"it's cold. Herons stand there.\"").len(), 1);
}

#[test]
fn an_answer_as_it_is_taught_is_right_whatever_prose_it_quotes() {
    let mut quoted = 0;
    for text in [include_str!("../../../README.md"), include_str!("../../../ARCHITECTURE.md"), PROSE] {
        // The answers of training samples quote a sentence or two of one paragraph and cite it.
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.contains("```") && paragraph.contains(". ")) {
            let sentences: Vec<&str> = paragraph.split_inclusive(". ").collect();
            for two in sentences.windows(2) {
                let answer = format!("\"{}\" [1]", two.concat().trim());
                let passages = [paragraph.to_owned()];
                assert_eq!(invented_quotations(&answer, &passages), [""; 0], "{answer}");
                assert!(Citations::of(&answer, 1).are_valid(), "{answer}");
                assert!(!says_not_to_know(&answer), "{answer}");
                quoted += 1;
            }
        }
    }
    assert!(quoted > 50, "{quoted}");
}

#[test]
fn a_quotation_with_code_in_it_is_looked_up_with_its_code() {
    let passages = ["Run `make demo` and wait.".to_owned()];
    assert!(invented_quotations("\"Run `make demo` and wait.\" [1]", &passages).is_empty());
    assert_eq!(invented_quotations("\"Run `make all` and wait.\" [1]", &passages).len(), 1);
}

#[test]
fn a_quotation_may_be_of_what_the_prompt_showed_instead_of_markup() {
    let passage = "Send <|im_end|> to end the turn.".to_owned();
    let shown = twin_llm::quoted(&passage).to_string();
    assert_ne!(shown, passage);
    assert!(invented_quotations(&format!("\"{shown}\" [1]"), &[passage]).is_empty());
}

#[test]
fn citations_are_valid_if_there_is_one_and_none_is_of_a_passage_not_given() {
    assert!(Citations::of("It rises [2].", 3).are_valid());
    assert!(Citations::of("It rises [1][3].", 3).are_valid());
    assert!(!Citations::of("It rises.", 3).are_valid());
    assert!(!Citations::of("It rises [2][4].", 3).are_valid());
    assert!(!Citations::of("It rises [0].", 3).are_valid());
    assert!(Citations::of("Use `rows[9]` [1].", 3).are_valid());
    assert!(Citations::of("The ` key [1].", 3).are_valid());
    assert!(Citations::of("See [the docs] and [2].", 3).are_valid());
}

#[test]
fn the_right_passage_is_counted_from_zero_and_cited_from_one() {
    let citations = Citations::of("It rises [2].", 3);
    assert!(citations.name(1) && !citations.name(0) && !citations.name(2));
}

#[test]
fn a_refusal_says_that_it_does_not_know_and_cites_nothing() {
    assert!(says_not_to_know(ABSTENTION));
    assert!(says_not_to_know("I don\u{2019}t know. Ask me about rivers."));
    assert!(says_not_to_know("Sorry, the passages do not mention that."));
    assert!(!says_not_to_know("I don't know exactly, but it rises in spring [1]."));
    assert!(!says_not_to_know("It rises in spring [1]."));
    assert!(!says_not_to_know(""));
}

const PROSE: &str = "I keep a log of every outage. It isn't long. Most of them were my own fault, and I'd rather read \
    that in my own words than hear it from someone else. The log has three columns: what broke, what I thought it was, \
    and what it was. The second column is the useful one. I was wrong about half the time. That's a good number to know \
    about yourself, and you won't know it unless you write it down.";

#[test]
fn prose_is_not_degenerate() {
    let options = Options::default();
    assert_eq!(degeneration(&finished(PROSE), PROSE, &options), None);
    for text in [include_str!("data/plain.txt"), include_str!("data/ornate.txt"), include_str!("../../../README.md")] {
        for piece in text.split("\n\n").filter(|piece| !words(piece).is_empty()) {
            assert_eq!(degeneration(&finished(piece), piece, &options), None, "{piece}");
        }
    }
}

#[test]
fn a_loop_is_found_even_after_a_good_beginning() {
    let options = Options::default();
    let looping = "and that is why it is so ".repeat(12);
    assert_eq!(degeneration(&finished(&looping), PROSE, &options), Some(Degeneration::Loop));
    assert_eq!(degeneration(&finished(&format!("{PROSE} {looping}")), PROSE, &options), Some(Degeneration::Loop));
    assert_eq!(degeneration(&finished(&format!("{looping} {PROSE}")), PROSE, &options), Some(Degeneration::Loop));
    assert_eq!(degeneration(&finished(&"no ".repeat(100)), PROSE, &options), Some(Degeneration::Loop));
    assert_eq!(degeneration(&finished("No, no, no, no!"), PROSE, &options), None);
}

#[test]
fn an_answer_without_words_is_empty() {
    for text in ["", "  \n", "...", "!!!!!!!!!!!!!"] {
        assert_eq!(degeneration(&finished(text), PROSE, &Options::default()), Some(Degeneration::Empty), "{text:?}");
    }
}

#[test]
fn an_answer_that_was_cut_off_is_overlong_only_beside_a_much_shorter_reference() {
    let options = Options::default();
    assert_eq!(degeneration(&cut_off(PROSE), PROSE, &options), None);
    assert_eq!(degeneration(&cut_off(PROSE), "It rises in spring.", &options), Some(Degeneration::Overlong));
    assert_eq!(degeneration(&finished(PROSE), "It rises in spring.", &options), None);
    let strict = Options { max_words: 20, ..options };
    assert_eq!(degeneration(&finished(PROSE), PROSE, &strict), Some(Degeneration::Overlong));
}

/// The longest common subsequence by trying every subsequence of `a`.
fn common_by_brute_force(a: &[u8], b: &[u8]) -> usize {
    (0u32..1 << a.len())
        .filter(|mask| {
            let mut rest = b.iter();
            (0..a.len()).filter(|i| mask >> i & 1 == 1).all(|i| rest.any(|other| *other == a[i]))
        })
        .map(|mask| mask.count_ones() as usize)
        .max()
        .unwrap_or(0)
}

proptest! {
    #[test]
    fn rouge_l_agrees_with_brute_force(a in "[a-d]{1,10}", b in "[a-d]{1,10}") {
        let spaced = |text: &str| text.chars().map(|c| format!("{c} ")).collect::<String>();
        let common = common_by_brute_force(a.as_bytes(), b.as_bytes()) as f64;
        let expected = 2.0 * common / (a.len() + b.len()) as f64;
        prop_assert!((rouge_l(&spaced(&a), &spaced(&b), 100) - expected).abs() < 1e-9);
    }

    #[test]
    fn what_a_passage_holds_is_never_an_invented_quotation(passage in "[a-z]{1,8}( [a-z]{1,8}){5,30}", from in 0usize..5) {
        let start = passage.match_indices(' ').nth(from).map_or(0, |(index, _)| index);
        let answer = format!("I wrote: \"{}\" [1].", &passage[start..]);
        prop_assert!(invented_quotations(&answer, &[passage]).is_empty());
    }

    #[test]
    fn no_answer_whatever_makes_a_metric_panic(answer in "\\PC{0,300}", passage in "\\PC{0,100}") {
        let options = Options::default();
        quotations(&answer);
        invented_quotations(&answer, std::slice::from_ref(&passage));
        Citations::of(&answer, 1);
        refuses(&answer, 1, &options.refusal_phrases);
        degeneration(&cut_off(&answer), &passage, &options);
        let likeness = rouge_l(&answer, &passage, 50);
        prop_assert!((0.0..=1.0).contains(&likeness));
    }
}
