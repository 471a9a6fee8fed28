//! Conversations, and what their last messages are read as.

use super::*;

fn conversation(asked: &[&str]) -> Vec<ChatMessage> {
    let turn = |role, content: &str| ChatMessage { role, content: content.to_owned() };
    let answered = |question: &&str| [turn(Role::User, question), turn(Role::Assistant, "A lease has a holder [1].")];
    let mut turns: Vec<ChatMessage> = asked.iter().flat_map(answered).collect();
    turns.pop();
    turns
}

fn read_all(asked: &[&str]) -> Reading {
    read(&conversation(asked))
}

/// Messages of a language after a question in it, by what they are read as.
struct Messages {
    question: &'static str,
    alone: &'static [&'static str],
    going_on: &'static [&'static str],
    as_before: &'static [&'static str],
    courteous: &'static [&'static str],
}

const MESSAGES: [Messages; 7] = [
    Messages {
        question: "How do leases work in Go?",
        alone: &[
            "How are documents deleted?",
            "And how are old documents deleted?",
            "What is Kafka?",
            "Is it possible to deploy with Docker?",
            "In Rust, how do lifetimes work?",
            "Which article explains backups?",
            "What is a list in Python?",
            "Kafka partitions",
            "Thanks, how do backups work?",
            "hello world in Rust",
            "Good examples of error handling",
        ],
        going_on: &[
            "And in Rust?",
            "and over Kafka",
            "What about error handling in Rust?",
            "how about Rust",
            "Why?",
            "Why is it slow?",
            "How do I test that?",
            "Does it scale?",
            "What is it called in Rust?",
            "Any examples?",
            "What's the difference?",
            "Which alternatives are there?",
            "In Rust?",
            "Without Docker?",
            "How do they expire?",
            "When?",
            "Really?",
            "Thanks! And in Rust?",
            "ok, and why?",
            "How do I deploy it with Docker?",
            "What if the holder dies?",
        ],
        as_before: &[
            "Summarise that",
            "Shorter, please",
            "Can you explain that in more detail?",
            "Tell me more",
            "Please continue.",
            "As a list",
            "Translate that to German",
            "in other words?",
            "Could you make it shorter?",
        ],
        courteous: &[
            "Thanks!",
            "thank you very much",
            "Great, thanks a lot, that helps",
            "ok",
            "Hi",
            "Hello there!",
            "Good morning",
            "Bye",
            "Perfect, that makes sense",
            "Got it",
        ],
    },
    Messages {
        question: "Wie funktionieren Leases in Go?",
        alone: &[
            "Wie funktioniert das Log?",
            "Wie werden die Dokumente gelöscht?",
            "Was denken Sie über Rust?",
            "Was ist ein Monad?",
            "Kafka Partitionen",
        ],
        going_on: &[
            "Und in Rust?",
            "Warum?",
            "Was ist mit Kafka?",
            "Wie teste ich das?",
            "Und wie ist es mit Rust?",
            "Hast du ein Beispiel?",
            "Wie schnell ist es?",
            "Was kann ich damit machen?",
            "Ohne Docker?",
            "Und bei Fehlern?",
        ],
        as_before: &[
            "Fass das zusammen",
            "Kürzer bitte",
            "Bitte genauer.",
            "Erkläre das einfacher",
            "Mehr dazu?",
            "Nochmal auf Englisch",
        ],
        courteous: &["Danke!", "Vielen Dank, das hilft mir sehr", "Hallo", "Guten Tag", "Alles klar", "Tschüss"],
    },
    Messages {
        question: "Comment fonctionnent les baux en Go ?",
        alone: &["Pourquoi le ciel est-il bleu ?", "Comment fonctionne Kafka ?"],
        going_on: &["Et en Rust ?", "Pourquoi ?", "Comment tester ça ?", "Un exemple ?"],
        as_before: &["Résume", "Plus court", "Plus de détails"],
        courteous: &["Merci beaucoup", "Bonjour"],
    },
    Messages {
        question: "¿Cómo funcionan los arrendamientos en Go?",
        alone: &["¿Cómo funciona Kafka?"],
        going_on: &["¿Y en Rust?", "¿Por qué?", "¿Cómo lo pruebo?", "¿Un ejemplo?"],
        as_before: &["Resúmelo", "Más corto"],
        courteous: &["Gracias", "Hola"],
    },
    Messages {
        question: "Come funzionano i lease in Go?",
        alone: &["Come funziona Kafka?"],
        going_on: &["E in Rust?", "Perché?", "Un esempio?"],
        as_before: &["Riassumi"],
        courteous: &["Grazie mille"],
    },
    Messages {
        question: "Como funcionam os leases em Go?",
        alone: &["Como funciona o Kafka?"],
        going_on: &["E em Rust?", "Porquê?"],
        as_before: &["Resume isso"],
        courteous: &["Obrigado"],
    },
    Messages {
        question: "Hoe werken leases in Go?",
        alone: &["Hoe werkt Kafka?"],
        going_on: &["En in Rust?", "Waarom?", "Hoe test ik dat?"],
        as_before: &["Korter graag"],
        courteous: &["Bedankt!"],
    },
];

#[test]
fn a_message_that_stands_alone_is_searched_as_it_is() {
    for Messages { question, alone, .. } in &MESSAGES {
        for message in *alone {
            assert_eq!(read_all(&[question, message]), Reading::StandsAlone, "{message}");
        }
        assert_eq!(read_all(&[question]), Reading::StandsAlone, "{question}");
    }
}

#[test]
fn a_message_that_goes_on_is_searched_with_the_question_before_it() {
    for Messages { question, going_on, .. } in &MESSAGES {
        for message in *going_on {
            assert_eq!(read_all(&[question, message]), Reading::FollowUp(format!("{question} {message}")), "{message}");
        }
    }
}

#[test]
fn a_message_about_the_answer_is_the_question_of_that_again() {
    for Messages { question, as_before, .. } in &MESSAGES {
        for message in *as_before {
            assert_eq!(read_all(&[question, message]), Reading::AsBefore((*question).to_owned()), "{message}");
        }
    }
}

#[test]
fn a_message_of_courtesy_is_replied_to_in_its_language_and_searched_for_nothing() {
    for Messages { question, courteous, .. } in &MESSAGES {
        for message in *courteous {
            assert!(matches!(read_all(&[question, message]), Reading::Courtesy(_)), "{message}");
            assert!(matches!(read_all(&[message]), Reading::Courtesy(_)), "{message} without a question before it");
        }
    }
    for (message, reply) in [
        ("Thanks!", "You're welcome."),
        ("Vielen Dank", "Gern geschehen."),
        ("Merci beaucoup", "Je vous en prie."),
        ("Bye", "Goodbye!"),
        ("Hi", "Hello! Ask me about something that I have written on."),
        ("Ok, thanks, bye", "You're welcome."),
    ] {
        assert_eq!(read_all(&[message]), Reading::Courtesy(reply), "{message}");
    }
}

#[test]
fn a_first_message_stands_alone_whatever_it_leans_on() {
    for message in ["Why?", "And in Rust?", "Shorter, please", "How do I test that?", "Warum?", ""] {
        assert_eq!(read_all(&[message]), Reading::StandsAlone, "{message}");
    }
    assert_eq!(read(&[]), Reading::StandsAlone);
    // Nor do thanks give anything to go on from.
    assert_eq!(read_all(&["Hi", "Why?"]), Reading::StandsAlone);
}

#[test]
fn questions_that_go_on_from_each_other_are_searched_together_the_first_and_the_last_ones() {
    let followed = |asked: &[&str], searched: &str| assert_eq!(read_all(asked), Reading::FollowUp(searched.to_owned()));
    followed(&["How do leases work?", "And in Rust?", "Thanks", "Why?"], "How do leases work? And in Rust? Why?");
    followed(
        &["How do leases work?", "And in Rust?", "And in Go?", "And in Java?"],
        "How do leases work? And in Go? And in Java?",
    );
    followed(&["How do leases work?", "How are backups made?", "Why?"], "How are backups made? Why?");
    let shorter = read_all(&["How do leases work?", "And in Rust?", "Shorter, please"]);
    assert_eq!(shorter, Reading::AsBefore("How do leases work? And in Rust?".to_owned()));
}

#[test]
fn of_a_long_message_its_last_question_is_gone_on_from() {
    let told = "I have a service that renews its leases on a thread of its own, every third of their time to live. ";
    let long = format!("{told}{told}{told}\nHow do I notice that a lease is lost? Thank you in advance.");
    let searched = "How do I notice that a lease is lost? And in Go?";
    assert_eq!(read_all(&[&long, "And in Go?"]), Reading::FollowUp(searched.to_owned()));
    assert_eq!(read_all(&["How do leases work?", &long]), Reading::StandsAlone);
    let endless = "lease ".repeat(100);
    match read_all(&[&endless, "Why?"]) {
        Reading::FollowUp(searched) => assert!(searched.chars().count() <= MOST_CHARS + " Why?".len(), "{searched}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn instructions_and_answers_are_no_questions() {
    let turn = |role, content: &str| ChatMessage { role, content: content.to_owned() };
    let turns = [turn(Role::System, "How do backups work?"), turn(Role::Assistant, "Hello."), turn(Role::User, "Why?")];
    assert_eq!(read(&turns), Reading::StandsAlone);
}

#[test]
fn of_a_long_message_the_beginning_and_the_end_are_read() {
    let pasted = "The lease is h\u{e9}ld. ".repeat(4_000);
    // Wherever a character of two bytes stands.
    for before in 0..20 {
        let message = format!("{}{pasted}", "x".repeat(before));
        let read = ends(&message);
        let (beginning, end) = read.split_once('\n').unwrap();
        assert!(message.starts_with(beginning) && message.ends_with(end), "{read}");
        assert!([beginning, end].iter().all(|part| (READ - 3..=READ).contains(&part.len())), "{read}");
    }
    for asked in [format!("How do leases work in Go? {pasted}"), format!("{pasted} How do leases work in Go?")] {
        let reading = read_all(&[asked.as_str(), "And in Rust?"]);
        assert_eq!(reading, Reading::FollowUp("How do leases work in Go? And in Rust?".to_owned()));
    }
    assert_eq!(ends("How do leases work?"), "How do leases work?");
}
