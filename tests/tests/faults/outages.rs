//! The Kafka cluster goes away under two running twins, with every service each, and comes back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::json;
use twin_stack::{Kafka, KafkaOptions};
use twin_tests::{Api, TOPICS, Twins, author, eventually, fast_answers};

struct Running {
    kafka: Kafka,
    twins: Twins,
    api: Api,
    author: String,
}

/// Two twins over a broker of their own, with one document.
async fn running() -> Result<Running> {
    let kafka = Kafka::start(KafkaOptions::default())?;
    let url = format!("kafka://{}", kafka.bootstrap());
    let variables = [
        ("TWIN_LOG_URL", url.as_str()),
        ("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1"),
        ("TWIN_GATEWAY_REQUEST_TIMEOUT_MS", "8000"),
    ];
    let twins = Twins::start(fast_answers(&variables), 2)?;
    let (api, author) = (twins.api()?, author());
    api.push(&author, "first", TOPICS[0].text).await?;
    ensure!(!api.retrieve(&author, TOPICS[0].question, 5).await?.is_empty());
    Ok(Running { kafka, twins, api, author })
}

impl Running {
    /// What is pushed while the cluster is away is taken, and each twin refuses a question in time with words that say why.
    async fn works_as_far_as_it_can(&self) -> Result<()> {
        let body = json!({
            "author": self.author, "category": "article", "natural_key": "second", "markdown": TOPICS[1].text,
        });
        self.api.post("/v1/documents", &body).await?;
        let query = json!({ "author": self.author, "query": TOPICS[0].question });
        for _ in self.twins.iter() {
            let began = Instant::now();
            let answer = self.api.send(self.api.request(Method::POST, "/v1/retrieve").json(&query)).await?;
            ensure!(
                matches!(answer.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT),
                "{}: {}",
                answer.status,
                answer.json
            );
            ensure!(answer.json["detail"].is_string(), "{}", answer.json);
            ensure!(began.elapsed() < Duration::from_secs(30), "the answer took {:?}", began.elapsed());
        }
        Ok(())
    }

    async fn is_whole_again(&mut self) -> Result<()> {
        self.api.settled(&self.author).await?;
        for twin in self.twins.iter() {
            let api = Api::new(twin.base_url())?;
            for (key, topic) in ["first", "second"].into_iter().zip(TOPICS) {
                eventually(&format!("{key} is found"), async || {
                    let query = json!({ "author": self.author, "query": topic.question });
                    let answer = api.send(api.request(Method::POST, "/v1/retrieve").json(&query)).await?;
                    Ok((answer.json["hits"][0]["natural_key"] == key).then_some(()))
                })
                .await?;
            }
            let ready = api.get("/readyz").await?;
            ensure!(ready["ready"] == true, "{ready}");
        }
        ensure!(self.api.get("/v1/dlq").await?["dead_letters"] == json!([]));
        self.twins.terminate()
    }
}

#[tokio::test]
async fn a_broker_that_is_killed_and_comes_back_costs_nothing() -> Result<()> {
    let mut running = running().await?;
    running.kafka.kill()?;
    running.works_as_far_as_it_can().await?;
    running.kafka.restart()?;
    running.is_whole_again().await
}

#[tokio::test]
async fn half_a_minute_without_the_cluster_costs_nothing() -> Result<()> {
    let mut running = running().await?;
    running.kafka.stop()?;
    let stopped = Instant::now();
    running.works_as_far_as_it_can().await?;
    // The time itself is what is tried: sessions end meanwhile, and producers give up.
    tokio::time::sleep(Duration::from_secs(30).saturating_sub(stopped.elapsed())).await;
    running.kafka.restart()?;
    running.is_whole_again().await
}
