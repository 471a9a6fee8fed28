//! Rules over texts made for them. What a real embedding model tells is in `tests/support.rs`.

use proptest::prelude::*;
use twin_schemas::SupportReason;

use super::judging::{EMBEDDED, EMBEDDED_CHARS};
use super::*;
use crate::testing::{self, vector};

pub(super) const HIVE: &str = "# The hive\n\nThe hive survived the frost because I wrapped it in wool. In February the queen had begun to lay \
    eggs again.\n\nI left the colony twelve kilos of honey. I do not feed sugar.\n\n| hive | honey, kg |\n|---|---|\n| east | 12 |\n\
    | west | 7 |\n\n```\nmake honey\nmake wax\n```\n";

fn passages(texts: &[&str]) -> Vec<Passage> {
    testing::passages("Notes of Ada", texts)
}

/// An answer as it was read, with what is embedded of it.
fn read(answer: &str, passages: &[Passage]) -> Judging {
    let mut judging = Judging::new(passages);
    judging.complete(claims(answer));
    judging
}

fn checked(answer: &str, texts: &[&str]) -> AnswerCheck {
    let passages = passages(texts);
    let mut judging = read(answer, &passages);
    judging.learn(judging.texts().iter().map(|text| vector(text)).collect());
    judging.check(invented_quotations(answer, &passages))
}

/// Why the only sentence of an answer counts as supported or not, and what is unknown in it.
fn of(answer: &str, texts: &[&str]) -> (SupportReason, Option<String>) {
    let [sentence] = checked(answer, texts).support.try_into().unwrap_or_else(|all| panic!("{answer}: {all:?}"));
    assert_eq!(sentence.supported, sentence.reason == SupportReason::Supported);
    assert_eq!(sentence.supported, sentence.marker.is_some());
    (sentence.reason, sentence.unknown)
}

fn unknown(word: &str) -> Option<String> {
    Some(word.to_owned())
}

#[test]
fn what_a_passage_says_is_supported_by_it_in_other_words_too() {
    for answer in [
        "The hive survived the frost because I wrapped it in wool [2].",
        "I wrapped my hive in wool, so it survived the frost.",
        "- **The colony** was left 12 kg of honey by me.",
        "By February, the queen had begun to lay eggs.",
        "| east | 12 |",
        "```\nmake  honey\n```",
    ] {
        assert_eq!(of(answer, &["Rivers rise in spring.", HIVE]).0, SupportReason::Supported, "{answer}");
    }
    let cited_wrongly = checked("I wrapped the hive in wool [1].", &["Rivers rise.", HIVE]);
    assert_eq!(cited_wrongly.support[0].marker, Some(2), "the passage that says so, whichever is cited");
}

#[test]
fn a_number_a_name_or_a_unit_that_no_passage_has_is_never_supported() {
    for (answer, reason, what) in [
        ("I left the colony thirteen kilos of honey.", SupportReason::Number, "thirteen"),
        ("I left the colony 120 kilos of honey.", SupportReason::Number, "120"),
        ("I left the colony twelve tons of honey.", SupportReason::Number, "twelve"),
        ("In March the queen had begun to lay eggs again.", SupportReason::Name, "March"),
        ("The hive survived the frost because Grace wrapped it in wool.", SupportReason::Name, "Grace"),
        ("The hive survived the frost because I wrapped it in `felt`.", SupportReason::Name, "felt"),
        ("| east | 13 |", SupportReason::Number, "13"),
    ] {
        assert_eq!(of(answer, &[HIVE]), (reason, unknown(what)), "{answer}");
    }
    assert_eq!(of("```\nmake honey\nmake mead\n```", &[HIVE]).0, SupportReason::Code);
    assert_eq!(
        of("Notes of Ada: the queen had begun to lay eggs again.", &[HIVE]).0,
        SupportReason::Supported,
        "the title"
    );
}

#[test]
fn a_number_that_stands_elsewhere_in_the_passage_does_not_support_it() {
    assert_eq!(of("I left the colony seven kilos of honey.", &[HIVE]), (SupportReason::Number, unknown("seven")));
}

#[test]
fn a_time_in_another_unit_is_not_supported_in_other_languages_either() {
    for (text, same, other) in [
        (
            "It waits for 5 s before the write.",
            "It waits for 5 seconds before the write.",
            "It waits for 5 ms before the write.",
        ),
        ("Der Dienst wartet vor dem Schreiben 5 Sekunden.", "Der Dienst wartet 5 s.", "Der Dienst wartet 5 Minuten."),
        ("Le service attend 5 jours avant de finir.", "Le service attend 5 jours.", "Le service attend 5 semaines."),
    ] {
        assert_eq!(of(same, &[text]).0, SupportReason::Supported, "{same}");
        assert_eq!(of(other, &[text]), (SupportReason::Number, unknown("5")), "{other}");
    }
}

#[test]
fn a_sentence_in_which_two_names_have_changed_places_is_not_supported() {
    let text =
        "In the embedded mode SQLite replaces Kafka for all topics. A twin of Ada asks the twin of Grace in Vienna.";
    let (reason, unknown) = of("In the embedded mode Kafka replaces SQLite for all topics.", &[text]);
    assert_eq!((reason, unknown.as_deref()), (SupportReason::Name, Some("Kafka")));
    assert_eq!(of("As I wrote, a twin of Grace asks the twin of Ada in Vienna.", &[text]).0, SupportReason::Name);
    let both = "A twin of Grace asks the twin of Ada in Vienna.";
    for said in [both, "As I wrote, a twin of Grace asks the twin of Ada in Vienna."] {
        assert_eq!(of(said, &[text, both]).0, SupportReason::Supported, "a passage has it so: {said}");
    }
}

#[test]
fn an_item_that_is_invented_is_told_though_all_others_are_there() {
    let text = "A hive needs a dry place, wool, honey and a roof that the wind does not take away in winter.";
    let of = |answer: &str| of(answer, &[text]).0;
    assert_eq!(of("A hive needs a dry place, wool and honey in winter."), SupportReason::Supported);
    assert_eq!(of("A hive needs a dry place, wool, lanterns and honey, and a roof in winter."), SupportReason::Unlike);
}

#[test]
fn a_denial_that_is_put_into_a_passages_words_is_told_whatever_else_is_denied_there() {
    let text = "No stage can decode that, so the event is dead-lettered. The gateway has no authentication and no TLS. The log of \
        the gateway is read by one process, and it can be read again.";
    for denied in [
        "No stage can not decode that, so the event is dead-lettered.",
        "The gateway has some authentication and no TLS.",
        "The log of the gateway is not read by one process, and it can be read again.",
    ] {
        assert_eq!(of(denied, &[text]).0, SupportReason::Negation, "{denied}");
    }
    for said in ["The gateway has no authentication or TLS.", "No stage can decode that."] {
        assert_eq!(of(said, &[text]).0, SupportReason::Supported, "{said}");
    }
}

#[test]
fn a_denial_is_supported_by_the_same_denial_alone() {
    assert_eq!(of("I feed sugar.", &[HIVE]).0, SupportReason::Negation);
    assert_eq!(of("I never feed sugar.", &[HIVE]).0, SupportReason::Supported);
    assert_eq!(of("The hive did not survive the frost.", &[HIVE]).0, SupportReason::Negation);
}

#[test]
fn what_is_about_something_else_is_not_supported() {
    assert_eq!(of("Sourdough bread needs a hot oven with steam.", &[HIVE]).0, SupportReason::Unlike);
}

#[test]
fn a_name_that_takes_the_place_of_another_at_the_beginning_is_not_supported() {
    let text = "Kafka keeps the offsets of a group. A broker of Kafka may die.";
    assert_eq!(of("Kafka keeps the offsets of a group.", &[text]).0, SupportReason::Supported);
    assert_eq!(of("Pulsar keeps the offsets of a group.", &[text]), (SupportReason::Name, unknown("Pulsar")));
}

#[test]
fn what_claims_nothing_is_not_counted() {
    let answer = "# The hive\n\nHello! I hope this helps. Let me know if you keep bees. Do you?\n\nHere are the steps:\n\n\
        I don't know.\n\nYes.";
    let nothing = checked(answer, &[HIVE]);
    assert_eq!((nothing.support, nothing.grounded_share), (Vec::new(), None));
    for (language, abstention) in twin_llm::ABSTENTIONS {
        let nothing = checked(abstention, &[HIVE]);
        assert_eq!((nothing.support, nothing.grounded_share), (Vec::new(), None), "{language}");
    }
}

#[test]
fn that_the_twin_does_not_know_something_claims_nothing_whatever_that_is_called() {
    for said in [
        "I don't know whether Zookeeper expires leases.",
        "I\u{2019}m not sure if Ada paid 90 euros for it.",
        "The passages do not say when Zookeeper 3.9 expires leases, sessions or locks.",
        "Ich weiß nicht, ob ZooKeeper die Leases nach 5 Sekunden beendet.",
        "Je ne sais pas si ZooKeeper termine les baux.",
        "No sé si ZooKeeper termina los arrendamientos.",
        "Non so se ZooKeeper termina le sessioni.",
        "Não sei se o ZooKeeper termina as sessões.",
        "Ik weet niet of ZooKeeper de sessies beëindigt.",
    ] {
        let nothing = checked(said, &[HIVE]);
        assert_eq!((nothing.support, nothing.grounded_share), (Vec::new(), None), "{said}");
    }
    for said in [
        "I don't know why, but Zookeeper expires leases after 5 seconds.",
        "I don't know: Zookeeper expires leases.",
        "I don't know whether Zookeeper expires leases [1].",
        "Non sono mai stato a Vienna con le mie api.",
        "Ich weiß nicht warum, aber ZooKeeper beendet die Leases.",
    ] {
        assert_eq!(checked(said, &[HIVE]).grounded_share, Some(0.0), "{said}");
    }
}

#[test]
fn a_name_that_begins_with_a_dot_is_no_part_of_the_word_before_it() {
    let passage = "Add the folder to .gitignore first. My settings are in .vimrc and in .config for years. The service runs on \
        .NET since then.";
    for sentence in [
        "Add the folder to .gitignore first.",
        "Add the folder to .gitignore first [1].",
        "My settings are in .vimrc and in .config for years.",
        "The service runs on .NET since then [1] .",
    ] {
        assert_eq!(of(sentence, &[passage]), (SupportReason::Supported, None), "{sentence}");
    }
    assert_eq!(of("The service runs on .JVM since then.", &[passage]), (SupportReason::Name, unknown("JVM")));
}

#[test]
fn the_share_is_of_the_sentences_that_claim_something() {
    let answer = "Hello there! I wrapped the hive in wool [1]. In February the queen had begun to lay eggs. I sold it for 90 euros \
        [1]. Why?";
    let checked = checked(answer, &[HIVE]);
    let supported: Vec<bool> = checked.support.iter().map(|sentence| sentence.supported).collect();
    assert_eq!(supported, [true, true, false]);
    assert!(checked.grounded_share.is_some_and(|share| (share - 2.0 / 3.0).abs() < 1e-6));
    assert_eq!(checked.support[2].text, "I sold it for 90 euros [1].");
}

#[test]
fn a_quotation_that_no_passage_has_is_told() {
    let invented = |answer: &str| checked(answer, &[HIVE]).invented_quotations;
    assert!(invented("I wrote: “I wrapped it in\nwool”, and \"do not feed sugar.\"").is_empty());
    assert!(invented("> I left the colony twelve kilos\n> of honey. [1]").is_empty());
    assert_eq!(invented("I wrote: \"I wrapped it in wet paper\"."), ["I wrapped it in wet paper"]);
    assert_eq!(invented("> Feed them sugar in autumn. [1]"), ["Feed them sugar in autumn."]);
    assert!(invented("The so-called \"winter of wool\" came.").is_empty(), "three words may be a title");
}

#[test]
fn where_nouns_begin_with_capital_letters_they_are_no_names() {
    let german = "Der Imker packt den Stock im Winter in Wolle, damit das Volk den Frost übersteht. Im Februar legt die Königin \
        wieder Eier, und im April fliegt das Volk zu den Weiden am Bach. Im Mai steht der Honig in den Waben der Beute.";
    let (reason, _) =
        of("Im Winter packt der Imker den Stock in Wolle gegen Kälte, damit das Volk den Frost übersteht.", &[german]);
    assert_eq!(reason, SupportReason::Supported);
}

#[test]
fn however_long_an_answer_is_no_more_than_so_much_is_embedded() {
    let answer: String = (0..300).map(|n| format!("The hive survived a frost of kind {n} in cold wool. ")).collect();
    let text: String = (0..300).map(|n| format!("The hive survived the frost of kind {n} wrapped in wool. ")).collect();
    let texts = read(&answer, &passages(&[&text])).texts();
    assert!(texts.len() <= EMBEDDED && texts.concat().chars().count() <= EMBEDDED_CHARS, "{}", texts.len());
}

/// Pieces of an answer, and of what is none.
pub(super) fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "# Heading\n",
        "A river rises in 1950. ",
        "e.g. `so`? No. ",
        "- item [1]\n",
        "12) twelfth\r\n",
        "| a | b |\n",
        "|---|:-:|\n",
        "> said so\n",
        "“All of it is mine.” ",
        "```rust\n",
        "```\n",
        "fn a() {}\n",
        "\n\n",
        "川は短い。",
        "[2]",
        "[1",
        "]",
        "`",
        "--x ",
        "2021-03-04 ",
        "three hundred ",
        "don\u{2019}t ",
        "—",
        "_a_ ",
        "v1.2 ",
        "x_y/z.w ",
        "$5k ",
        "é😀 ",
        "İ ",
        "'s ",
        ".",
        ": ",
    ])
}

proptest! {
    #[test]
    fn any_answer_to_any_passage_is_checked_the_same_way_each_time(
        answer in prop::collection::vec(fragment(), 0..30),
        passage in prop::collection::vec(fragment(), 0..30),
    ) {
        let (answer, passage) = (answer.concat(), passage.concat());
        let first = checked(&answer, &[&passage]);
        for sentence in &first.support {
            prop_assert!(answer.contains(&sentence.text) && (0.0..=1.0).contains(&sentence.score), "{sentence:?}");
        }
        prop_assert_eq!(first, checked(&answer, &[&passage]));
    }
}
