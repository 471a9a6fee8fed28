//! Vectors of texts, as OpenAI clients ask for them.

use serde_json::{Value, json};
use twin_schemas::EmbeddingInput;

use crate::support::{Node, body, problem};

fn texts(input: Value) -> Value {
    json!({"model": "twin/ada", "input": input})
}

#[tokio::test]
async fn an_openai_client_gets_a_vector_for_each_text_in_order() {
    let node = Node::start().await;
    let list = body(node.post("/v1/embeddings", &texts(json!(["a", "bb", "ccc"]))).await, 200).await;
    let data =
        |index: usize| json!({"object": "embedding", "index": index, "embedding": [index as f64, index as f64 + 1.0]});
    let expected = json!({
        "object": "list", "model": "tiny@0", "usage": {"prompt_tokens": 7, "total_tokens": 7},
        "data": [data(0), data(1), data(2)],
    });
    assert_eq!(list, expected);
    let asked = node.worker.only_embedding().await;
    assert_eq!((asked.texts.len(), asked.input, asked.model), (3, EmbeddingInput::Passage, None));
}

#[tokio::test]
async fn vectors_come_as_bytes_where_a_client_wants_them_so() {
    let node = Node::start().await;
    let mut asked = texts(json!("four"));
    asked["encoding_format"] = json!("base64");
    asked["input_type"] = json!("query");
    asked["dimensions"] = json!(2);
    let list = body(node.post("/v1/embeddings", &asked).await, 200).await;
    assert_eq!(list["data"][0]["embedding"], "AAAAAAAAgEA=", "0 and 4, the lowest byte first");
    let asked = node.worker.only_embedding().await;
    assert_eq!((asked.input, asked.dimensions), (EmbeddingInput::Query, Some(2)));
}

#[tokio::test]
async fn a_model_that_is_not_there_is_refused_and_an_author_who_has_nothing_is_not_found() {
    let node = Node::start().await;
    let unknown = json!({"model": "twin/bob", "input": "hi"});
    assert_eq!(problem(node.post("/v1/embeddings", &unknown).await, 404).await["error"]["code"], "not_found");
    let other = json!({"model": "text-embedding-3-small", "input": "invalid"});
    let refused = problem(node.post("/v1/embeddings", &other).await, 400).await;
    assert_eq!(
        (&refused["code"], &refused["error"]["message"]),
        (&json!("invalid_query"), &json!("as the script says"))
    );
    let asked = node.worker.only_embedding().await;
    assert_eq!(asked.model.as_deref(), Some("text-embedding-3-small"), "the worker knows which model there is");
}

#[tokio::test]
async fn an_embedding_that_was_begun_twice_has_each_vector_once_and_one_with_a_hole_is_none() {
    let node = Node::start().await;
    let list = body(node.post("/v1/embeddings", &texts(json!(["two attempts", "b", "c", "d", "e"]))).await, 200).await;
    let indexes: Vec<f64> =
        list["data"].as_array().unwrap().iter().map(|one| one["embedding"][0].as_f64().unwrap()).collect();
    assert_eq!(indexes, [0.0, 1.0, 2.0, 3.0, 4.0]);
    problem(node.post("/v1/embeddings", &texts(json!(["one is missing", "b", "c"]))).await, 500).await;
    let metrics = node.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"twin_gateway_queries_total{kind="embed",outcome="embedded"} 1"#), "{metrics}");
}
