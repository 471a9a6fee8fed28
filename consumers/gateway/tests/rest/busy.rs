//! A database that is busy, and an artifact store that is away: both pass, and the client is told so.

use chrono::Utc;
use reqwest::Response;
use serde_json::json;
use twin_gateway::PortError;

use crate::learning::{SWEEP, frozen};
use crate::support::{Node, problem};

async fn passes(route: &str, response: Response) {
    assert!(response.headers().contains_key("retry-after"), "{route} does not say when to try again");
    let problem = problem(response, 503).await;
    assert_eq!(problem["code"], "unavailable", "{route}");
}

#[tokio::test]
async fn a_busy_database_is_said_to_pass_on_every_route_that_writes() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    let other_process = node.locked();
    let (train, sweep) = (json!({"author": "ada"}), json!({"author": "ada", "sweep": SWEEP}));
    let recipe = json!({"recipe": "rank = 8", "by": "Grace"});
    let freeze = json!({"author": "ada"});
    let responses = tokio::join!(
        node.post("/v1/jobs", &train),
        node.post("/v1/sweeps", &sweep),
        node.put("/v1/authors/ada/recipe", &recipe),
        node.post("/v1/datasets", &freeze),
    );
    passes("train", responses.0).await;
    passes("sweep", responses.1).await;
    passes("recipe", responses.2).await;
    passes("freeze", responses.3).await;
    other_process.execute_batch("ROLLBACK").unwrap();
    assert_eq!(node.post("/v1/jobs", &train).await.status(), 202);
}

#[tokio::test]
async fn files_of_a_store_that_is_away_are_said_to_come_back() {
    let node = Node::start().await;
    let dataset = frozen(&node, "ada", "a", 12).await;
    node.take_artifacts_away();
    let path = format!("/v1/datasets/{}", dataset.dataset.0);
    passes("dataset", node.get(&path).send().await.unwrap()).await;
    passes("file", node.get(&format!("{path}/files/README.md")).send().await.unwrap()).await;
}

#[tokio::test]
async fn a_failure_of_a_store_keeps_saying_whether_it_passes() {
    let missing = twin_registry::Error::Missing { what: "job", id: "1".into() };
    assert!(matches!(PortError::from(missing), PortError::Missing(what) if what.contains("job 1")));
    let refused = twin_registry::Error::Refused("not now".into());
    assert!(matches!(PortError::from(refused), PortError::Refused(why) if why == "not now"));
    let node = Node::start().await;
    let away = node.artifacts.get(&format!("sha256:{}", "0".repeat(64))).await.unwrap_err();
    assert!(!PortError::from(away).is_transient(), "what is missing stays missing");
    node.take_artifacts_away();
    let away = node.artifacts.get(&format!("sha256:{}", "0".repeat(64))).await.unwrap_err();
    assert!(PortError::from(away).is_transient(), "what is away comes back");
    let other_process = node.locked();
    let busy = node.registry.set_recipe(&"ada".parse().unwrap(), "{}", "test", Utc::now()).await.unwrap_err();
    assert!(PortError::from(busy).is_transient());
    drop(other_process);
}
