//! More than can be served: what can not be answered in time is refused early, what is admitted is answered, and
//! nothing is left behind. By one twin over the embedded log, and over Kafka by two that share the work.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use futures::future::{join_all, try_join_all};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use twin_stack::{Kafka, KafkaOptions};
use twin_tests::{
    Api, Llm, Load, Script, TOPICS, Told, Topic, Twins, Usage, author, eventually, fast_answers, note, p99, report,
};

const TOPIC: Topic = TOPICS[0];
/// Memory that may come to a process with a load and stay: buffers, connections, arenas.
const MEMORY_MARGIN_MB: u64 = 128;

/// One test at a time: they measure.
static ALONE: Mutex<()> = Mutex::const_new(());

/// How long too much is asked. `make test-long` sets it higher.
fn overload() -> Result<Duration> {
    let seconds = match std::env::var("TEST_LOAD_S") {
        Ok(number) => number.parse().context("TEST_LOAD_S is a number")?,
        Err(_) => 10,
    };
    Ok(Duration::from_secs(seconds))
}

/// So many twins that know one document.
struct Asked {
    twins: Twins,
    api: Api,
    author: String,
    _kafka: Option<Kafka>,
}

impl Asked {
    async fn start(count: usize, variables: &[(&str, &str)]) -> Result<Self> {
        let mut options = fast_answers(variables);
        let kafka = if count > 1 { Some(Kafka::start(KafkaOptions::default())?) } else { None };
        if let Some(kafka) = &kafka {
            options.environment.push(("TWIN_LOG_URL".to_owned(), format!("kafka://{}", kafka.bootstrap())));
        }
        let twins = Twins::start(options, count)?;
        twins.share().await?;
        let (api, author) = (twins.api()?, author());
        api.push(&author, TOPIC.file, TOPIC.text).await?;
        Ok(Self { twins, api, author, _kafka: kafka })
    }

    fn usage(&self) -> Result<Usage> {
        Usage::of_all(&self.twins)
    }

    fn report(&self, what: &str, numbers: &str) -> Result<()> {
        report(&format!("load-{what}-{}.txt", self.twins.len()), numbers)
    }
}

fn answered(told: &[Told]) -> Vec<&Told> {
    told.iter().filter(|told| told.status == StatusCode::OK).collect()
}

/// Asks for ten times of what can be served.
async fn too_much(asked: &Asked, load: &Load, clients: usize, timeout: Duration) -> Result<String> {
    let count = asked.twins.len();
    load.once().await?;
    let measured = Duration::from_secs(3);
    let served = load.sustained(clients * count, measured).await?;
    ensure!(served.len() == answered(&served).len(), "refused without need: {served:?}");
    let per_second = served.len() as f64 / measured.as_secs_f64();
    let (before, time) = (asked.usage()?, overload()?);
    let told = load.offered(10.0 * per_second, time).await?;
    let ended = Instant::now();

    let answers = answered(&told);
    let refused: Vec<&Told> = told.iter().filter(|told| told.status != StatusCode::OK).collect();
    for told in &refused {
        let is_refusal = matches!(told.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        ensure!(is_refusal && told.has_retry_after, "{told:?}");
    }
    let (answer, refusal) = (p99(answers.iter().copied())?, p99(refused.iter().copied())?);
    while load.once().await?.status != StatusCode::OK {}
    let recovery = ended.elapsed();
    let after = asked.usage()?;
    let numbers = format!(
        "{per_second:.0}/s sustained; of {} in {time:?} {} answered, p99 {answer:?}; {} refused, p99 {refusal:?}; \
         answering again after {recovery:?}; {before:?}, then {after:?}",
        told.len(),
        answers.len(),
        refused.len()
    );
    ensure!(refused.len() > told.len() / 2, "too few refused: {numbers}");
    ensure!(answers.len() as f64 > 0.4 * per_second * time.as_secs_f64(), "too few answered: {numbers}");
    ensure!(answer < timeout / 2 && refusal < timeout / 4, "too late: {numbers}");
    ensure!(recovery < timeout / 2, "too long until it answers again: {numbers}");
    ensure!(after.memory_mb < before.memory_mb + MEMORY_MARGIN_MB * count as u64, "memory grew: {numbers}");
    Ok(numbers)
}

async fn ten_times_the_questions(count: usize) -> Result<()> {
    let _alone = ALONE.lock().await;
    let llm = Llm::start(Script::words(5, Duration::from_millis(20))).await?;
    let timeout = [("TWIN_LLM_ENDPOINT", llm.endpoint()), ("TWIN_GATEWAY_REQUEST_TIMEOUT_MS", "20000")];
    let asked = Asked::start(count, &timeout).await?;
    let load = Load::new(&asked.api, "/v1/query", json!({ "author": asked.author, "question": TOPIC.question }))?;
    let numbers = too_much(&asked, &load, 2, Duration::from_secs(20)).await?;
    asked.report("answers", &numbers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_questions_that_can_be_answered() -> Result<()> {
    ten_times_the_questions(1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_questions_that_can_be_answered_by_every_service_twice() -> Result<()> {
    ten_times_the_questions(2).await
}

async fn ten_times_the_searches(count: usize) -> Result<()> {
    let _alone = ALONE.lock().await;
    let settings = [("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1"), ("TWIN_GATEWAY_REQUEST_TIMEOUT_MS", "20000")];
    let asked = Asked::start(count, &settings).await?;
    let load = Load::new(&asked.api, "/v1/retrieve", json!({ "author": asked.author, "query": TOPIC.question }))?;
    let numbers = too_much(&asked, &load, 8, Duration::from_secs(20)).await?;
    asked.report("searches", &numbers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_searches_that_can_be_served() -> Result<()> {
    ten_times_the_searches(1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_searches_that_can_be_served_by_every_service_twice() -> Result<()> {
    ten_times_the_searches(2).await
}

async fn too_late_is_refused_at_once(count: usize) -> Result<()> {
    let _alone = ALONE.lock().await;
    let llm = Llm::start(Script::words(10, Duration::from_millis(100))).await?;
    let settings = [
        ("TWIN_LLM_ENDPOINT", llm.endpoint()),
        ("TWIN_LLM_CONCURRENCY", "1"),
        ("TWIN_GATEWAY_REQUEST_TIMEOUT_MS", "6000"),
    ];
    let asked = Asked::start(count, &settings).await?;
    for stream in [false, true] {
        let question = json!({ "author": asked.author, "question": TOPIC.question, "stream": stream });
        let load = Load::new(&asked.api, "/v1/query", question)?;
        for twin in asked.twins.iter() {
            let api = Api::new(twin.base_url())?;
            eventually("from its first answer each worker learns how long one takes", async || {
                let written = api.metrics().await?.sum("twin_inference_queries_total", &["outcome=\"answered\""]);
                if written == 0.0 {
                    load.once().await?;
                }
                Ok((written > 0.0).then_some(()))
            })
            .await?;
        }
        let told = try_join_all((0..15 * count).map(|_| load.once())).await?;
        let answers = answered(&told).len();
        // A busy machine writes fewer, and never more.
        assert!((2..=6 * count).contains(&answers), "{answers} answers of a second each in six seconds: {told:?}");
        for told in told.iter().filter(|told| told.status != StatusCode::OK) {
            assert!(told.status == StatusCode::SERVICE_UNAVAILABLE && told.has_retry_after, "{told:?}");
            assert!(told.taken < Duration::from_secs(3), "{told:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_could_not_be_answered_in_time_is_refused_at_once() -> Result<()> {
    too_late_is_refused_at_once(1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_every_service_twice_could_not_answer_in_time_is_refused_at_once() -> Result<()> {
    too_late_is_refused_at_once(2).await
}

/// Hangs up when the text begins.
async fn hang_up(api: &Api, question: &Value) -> Result<()> {
    let response = api.request(Method::POST, "/v1/query").json(question).send().await?.error_for_status()?;
    let mut body = response.bytes_stream();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("event: delta") {
        text.extend_from_slice(&body.next().await.context("the stream ends before its text")??);
    }
    Ok(())
}

/// Fifty clients that read to the end, fifty that hang up, and nothing left of them.
async fn hundred_clients(asked: &Asked, llm: &Llm, question: &Value, words: usize) -> Result<Usage> {
    let api = &asked.api;
    let before = api.metrics().await?;
    let staying = join_all((0..50).map(|_| api.events("/v1/query", question)));
    let leaving = join_all((0..50).map(|_| hang_up(api, question)));
    let (staying, leaving) = tokio::join!(staying, leaving);
    leaving.into_iter().collect::<Result<()>>()?;
    for events in staying {
        let last = events?.pop().context("an answer has events")?;
        ensure!(last.name == "done", "{last:?}");
        ensure!(last.json()?["answer"] == Script::words_of(words).collect::<String>(), "{last:?}");
    }
    eventually("all of it has ended", async || {
        let now = api.metrics().await?;
        let ended = |outcome| {
            let count = |metrics: &twin_tests::Exposition| metrics.sum("twin_inference_queries_total", &[outcome]);
            count(&now) - count(&before)
        };
        let under_way = now.sum("twin_gateway_queries_in_flight", &[]) + now.sum("twin_inference_generating", &[]);
        let all_told = ended("outcome=\"cancelled\"") == 50.0 && ended("outcome=\"answered\"") == 50.0;
        Ok((all_told && under_way == 0.0 && llm.writing() == 0).then_some(()))
    })
    .await?;
    asked.usage()
}

async fn half_hang_up(count: usize) -> Result<()> {
    const WORDS: usize = 40;
    let _alone = ALONE.lock().await;
    let llm = Llm::start(Script::words(WORDS, Duration::from_millis(50))).await?;
    let settings =
        [("TWIN_LLM_ENDPOINT", llm.endpoint()), ("TWIN_LLM_CONCURRENCY", "100"), ("TWIN_GATEWAY_MAX_IN_FLIGHT", "100")];
    let asked = Asked::start(count, &settings).await?;
    let question = json!({ "author": asked.author, "question": TOPIC.question, "stream": true });
    // The first time makes connections and threads that are kept for the next.
    let first = hundred_clients(&asked, &llm, &question, WORDS).await?;
    let mut last = hundred_clients(&asked, &llm, &question, WORDS).await?;
    let settled = eventually("files and threads are as before", async || {
        last = asked.usage()?;
        Ok((last.files <= first.files + 10 && last.threads <= first.threads + 10).then_some(()))
    });
    settled.await.with_context(|| format!("{first:?}, then {last:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_a_hundred_streaming_clients_hang_up() -> Result<()> {
    half_hang_up(1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_a_hundred_streaming_clients_of_every_service_twice_hang_up() -> Result<()> {
    half_hang_up(2).await
}

async fn searches_go_on(count: usize) -> Result<()> {
    const DOCUMENTS: usize = 300;
    let _alone = ALONE.lock().await;
    let asked = Asked::start(count, &[("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1")]).await?;
    let (api, author) = (&asked.api, &asked.author);
    let lines: Vec<String> = (0..DOCUMENTS)
        .map(|number| {
            let text = note(&format!("workshop {number}")).repeat(3);
            let key = format!("notes/{number}.md");
            json!({ "author": author, "category": "post", "natural_key": key, "markdown": text }).to_string()
        })
        .collect();
    let upload = api.request(Method::POST, "/v1/documents").header("content-type", "application/x-ndjson");
    let pushed = async {
        let answer = api.send(upload.body(lines.join("\n"))).await?;
        ensure!(answer.json["accepted"] == DOCUMENTS, "{}", answer.json);
        api.settled(author).await
    };
    let load = Load::new(api, "/v1/retrieve", json!({ "author": author, "query": TOPIC.question }))?;
    let mut told = Vec::new();
    let searches = async {
        loop {
            told.push(load.once().await?);
        }
    };
    let status = tokio::select! {
        status = pushed => status?,
        failed = searches => return failed,
    };
    assert_eq!(status["totals"]["searchable"], DOCUMENTS + 1, "{status}");
    assert_eq!(status["totals"]["dead"], 0, "{status}");
    ensure!(told.len() > 10 && told.len() == answered(&told).len(), "{told:?}");
    let slowest = p99(&told)?;
    assert!(slowest < Duration::from_secs(5), "a search took {slowest:?}");
    asked.report("ingestion", &format!("{} searches meanwhile, p99 {slowest:?}", told.len()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_go_on_while_hundreds_of_documents_come_in() -> Result<()> {
    searches_go_on(1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_by_every_service_twice_go_on_while_hundreds_of_documents_come_in() -> Result<()> {
    searches_go_on(2).await
}
