//! From which score on questions are answered, measured over the real embedding model, index and ledger.

mod common;
#[path = "quotes/questions.rs"]
mod questions;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use common::{Fixture, ada, key};
use questions::{DOCS, DOCS_UNSEEN, TOP, TOP_UNSEEN};
use twin_coordination::{Leases, Member, Options, Owner};
use twin_inference::Calibrator;
use twin_schemas::{AuthorId, Category, ContentHash, DocumentKey, MediaType, QueryFilter};
use twin_sqlite::SqliteLeases;
use twin_telemetry::MetricsRegistry;
use twin_warehouse::{Calibration, Observation, Refusals, ThresholdBasis};

/// Of the questions that people asked of the documents, the share that may be refused by a threshold that was chosen by
/// questions made of these by rules.
const MOST_LOST: f64 = 0.1;

/// The same of questions made by rules that it was not chosen by. Of those that it was, 2 % at most are; of a hundred others
/// 0 to 6 were, as the documents were edited.
const MOST_LOST_OF_MADE: f64 = 0.1;

/// Of general questions, the share that is refused.
const LEAST_REFUSED: f64 = 0.9;

async fn calibrator(fixture: &Fixture, process: &str) -> Calibrator {
    let leases = Arc::new(SqliteLeases::open(fixture.database.clone()).await.unwrap());
    let member = Member::new(leases, Owner::new(process), &Options::default());
    let (retriever, warehouse) = (fixture.retriever.clone(), fixture.warehouse.clone());
    Calibrator::new(retriever, warehouse, member, &MetricsRegistry::new()).unwrap().without_pauses()
}

async fn calibration(fixture: &Fixture) -> Option<Calibration> {
    fixture.warehouse.calibration(&ada()).await.unwrap()
}

fn rate(refusals: Refusals) -> f64 {
    refusals.rate().unwrap()
}

/// The repository's documents. Cargo runs tests in their package's folder.
async fn publish_documents(fixture: &Fixture) {
    for folder in ["../..", "../../docs"] {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
            let name = path.display().to_string();
            fixture.publish(&name, Category::Article, &std::fs::read_to_string(&path).unwrap()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_threshold_of_an_author_loses_few_questions_and_refuses_those_on_other_fields() {
    let fixture = Fixture::new(2).await;
    publish_documents(&fixture).await;
    let mut calibrator = calibrator(&fixture, "a").await;
    assert_eq!(calibrator.look().await.unwrap(), 1, "there are enough, whatever is still to come");
    let hasty = calibration(&fixture).await.unwrap();
    assert_eq!((hasty.basis, hasty.general.asked), (ThresholdBasis::Measured, 50));
    assert!(rate(hasty.answerable) <= MOST_LOST_OF_MADE && rate(hasty.general) >= LEAST_REFUSED, "{hasty:?}");
    assert_eq!(calibrator.look().await.unwrap(), 1, "as many as before: with all questions");
    let measured = calibration(&fixture).await.unwrap();
    eprintln!("{measured:?}");
    assert_eq!(measured.basis, ThresholdBasis::Measured);
    assert_eq!((measured.left_out.asked, measured.general.asked), (measured.answerable.asked, 150));
    assert!((50..=100).contains(&measured.answerable.asked), "{measured:?}");
    assert!(rate(measured.answerable) <= MOST_LOST_OF_MADE, "{measured:?}");
    assert!(rate(measured.general) >= LEAST_REFUSED, "{measured:?}");
    assert!(rate(measured.left_out) > rate(measured.answerable), "{measured:?}");
    assert_eq!(calibrator.look().await.unwrap(), 0, "it is measured once");

    let (mut asked, mut lost) = (0.0, Vec::new());
    for (question, _) in [DOCS, DOCS_UNSEEN, TOP, TOP_UNSEEN].into_iter().flatten() {
        asked += 1.0;
        let found = fixture.retriever.retrieve(&ada(), question, 5, &QueryFilter::default()).await.unwrap();
        if found.evidence.score() < measured.threshold {
            lost.push(format!("{:.2} {question}", found.evidence.score()));
        }
    }
    eprintln!("{} of {asked} questions of people are lost below {}", lost.len(), measured.threshold);
    assert!(lost.len() as f64 <= MOST_LOST * asked, "below {}:\n{}", measured.threshold, lost.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_general_question_that_an_author_has_written_down_is_on_no_other_field() {
    let fixture = Fixture::new(2).await;
    publish_documents(&fixture).await;
    let general = std::fs::read_to_string("src/calibration/general.txt").unwrap();
    let questions: Vec<&str> = general.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for (number, some) in questions[..60].chunks(10).enumerate() {
        let text = format!("# What I was asked, {number}\n\n{}\n", some.join("\n\n"));
        fixture.publish(&format!("asked-{number}.md"), Category::Article, &text).await;
    }
    let mut calibrator = calibrator(&fixture, "a").await;
    calibrator.look().await.unwrap();
    assert_eq!(calibrator.look().await.unwrap(), 1);
    let measured = calibration(&fixture).await.unwrap();
    assert_eq!(measured.general.asked, (300 - 60) / 2, "{measured:?}");
    assert!(rate(measured.general) >= LEAST_REFUSED, "{measured:?}");
}

#[tokio::test]
async fn an_author_of_few_texts_has_the_shipped_threshold_until_there_are_more() {
    let fixture = Fixture::new(1).await;
    fixture.publish("hive.md", Category::Article, "# The hive in winter\n\nI wrapped the hive in wool.\n").await;
    let mut calibrator = calibrator(&fixture, "a").await;
    calibrator.look().await.unwrap();
    assert_eq!(calibrator.look().await.unwrap(), 1);
    let measured = calibration(&fixture).await.unwrap();
    assert_eq!(measured.basis, ThresholdBasis::Shipped);
    assert_eq!((measured.answerable.asked, measured.answerable.refused, measured.general.asked), (1, 0, 0));
    assert_eq!(calibrator.look().await.unwrap(), 0);
    for number in 0..3 {
        let text = format!("# Note {number}\n\nA smoker calms the bees on day {number}.\n");
        fixture.publish(&format!("{number}.md"), Category::Article, &text).await;
    }
    let mut looks = 0;
    while calibrator.look().await.unwrap() == 0 {
        looks += 1;
        assert!(looks < 10, "there is more than twice as much");
    }
    assert!(calibration(&fixture).await.unwrap().chunks > measured.chunks);
}

#[tokio::test]
async fn an_author_who_comes_after_the_others_is_looked_at_at_once() {
    let fixture = Fixture::new(1).await;
    fixture.publish("hive.md", Category::Article, "# The hive in winter\n\nI wrapped the hive in wool.\n").await;
    let mut calibrator = calibrator(&fixture, "a").await;
    calibrator.look().await.unwrap();
    assert_eq!(calibrator.look().await.unwrap(), 1);
    assert_eq!(calibrator.look().await.unwrap(), 0, "nobody is waited for");
    let grace: AuthorId = "grace".parse().unwrap();
    fixture.publish_of(&grace, "note.md", Category::Article, "# On smokers\n\nA smoker calms the bees.\n").await;
    calibrator.look().await.unwrap();
    assert_eq!(calibrator.look().await.unwrap(), 1);
    assert!(fixture.warehouse.calibration(&grace).await.unwrap().is_some());
}

/// Right after a few texts were read, and before anything was measured of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_threshold_refuses_questions_of_other_fields_and_answers_those_of_people() {
    let fixture = Fixture::new(2).await;
    publish_documents(&fixture).await;
    let knows = async |question: &str| {
        let found = fixture.retriever.retrieve(&ada(), question, 5, &QueryFilter::default()).await.unwrap();
        fixture.retriever.knows(&ada(), &found, &found.passages).await.unwrap()
    };
    assert!(calibration(&fixture).await.is_none());
    let general = std::fs::read_to_string("src/calibration/general.txt").unwrap();
    let questions: Vec<&str> = general.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let (mut answered, mut lost) = (Vec::new(), Vec::new());
    for question in &questions {
        if knows(question).await {
            answered.push(*question);
        }
    }
    let people: Vec<&str> =
        [DOCS, DOCS_UNSEEN, TOP, TOP_UNSEEN].into_iter().flatten().map(|(question, _)| *question).collect();
    for question in &people {
        if !knows(question).await {
            lost.push(*question);
        }
    }
    eprintln!(
        "{} of {} general questions are answered, {} of {} lost",
        answered.len(),
        questions.len(),
        lost.len(),
        people.len()
    );
    assert!(answered.len() as f64 <= 0.05 * questions.len() as f64, "{answered:#?}");
    assert!(lost.len() as f64 <= 0.02 * people.len() as f64, "{lost:#?}");
}

#[tokio::test]
async fn one_of_several_workers_measures_and_the_others_have_it_from_there() {
    let fixture = Fixture::new(1).await;
    fixture.publish("hive.md", Category::Article, "# The hive in winter\n\nI wrapped the hive in wool.\n").await;
    let (mut one, mut other) = (calibrator(&fixture, "a").await, calibrator(&fixture, "b").await);
    let leases = SqliteLeases::open(fixture.database.clone()).await.unwrap();
    let held = leases.acquire("calibration", &Owner::new("c"), Duration::from_secs(60)).await.unwrap().unwrap();
    for calibrator in [&mut one, &mut other] {
        calibrator.look().await.unwrap();
        assert_eq!(calibrator.look().await.unwrap(), 0, "another one measures");
    }
    leases.release(&held).await.unwrap();
    assert_eq!((one.look().await.unwrap(), other.look().await.unwrap()), (1, 0));
    assert!(calibration(&fixture).await.is_some());
}

#[tokio::test]
async fn an_author_who_can_not_be_measured_keeps_no_other_from_it() {
    let fixture = Fixture::new(1).await;
    fixture.publish("hive.md", Category::Article, "# The hive in winter\n\nI wrapped the hive in wool.\n").await;
    // Before the other one by name. A threshold that is no number can be stored, and not be read again.
    let first: AuthorId = "aaron".parse().unwrap();
    let observation = Observation {
        key: DocumentKey { author: first.clone(), ..key("note.md") },
        claim: None,
        category: Category::Post,
        natural_key: "note.md".into(),
        title: None,
        url: None,
        published_at: None,
        media_type: MediaType::Markdown,
        content: "A note.".into(),
        content_hash: ContentHash::sha256(["A note.".as_bytes()]),
        observed_at: Utc::now(),
    };
    fixture.warehouse.record(observation).await.unwrap();
    let unreadable = Calibration { threshold: f32::NAN, ..twin_warehouse::testing::calibration(&first, 1) };
    fixture.warehouse.put_calibration(unreadable).await.unwrap();
    assert!(fixture.warehouse.calibration(&first).await.is_err());
    let mut calibrator = calibrator(&fixture, "a").await;
    for _ in 0..2 {
        assert!(calibrator.look().await.unwrap_err().to_string().contains("calibrations can not be read"));
    }
    assert!(calibration(&fixture).await.is_some());
}

#[tokio::test]
async fn markdown_of_a_repository_is_asked_about_and_its_code_is_not() {
    let fixture = Fixture::new(1).await;
    fixture.publish("README.md", Category::Code, "# The hive in winter\n\nI wrapped the hive in wool.\n").await;
    fixture.publish("src/main.rs", Category::Code, "/// Opens the hive.\nfn main() {\n    open();\n}\n").await;
    let mut calibrator = calibrator(&fixture, "a").await;
    calibrator.look().await.unwrap();
    assert_eq!(calibrator.look().await.unwrap(), 1);
    assert_eq!(calibration(&fixture).await.unwrap().answerable.asked, 1);
}
