//! One dead letter.

use async_trait::async_trait;
use serde_json::json;
use twin_api::DeadLetterView;
use twin_gateway::{DeadLetterAccess, PortError};
use twin_schemas::Topic;
use twin_stream::DeadLetterCursor;

/// Has the dead letter `raw:1`.
pub struct OneLetter;

fn letter() -> DeadLetterView {
    DeadLetterView {
        id: "raw:1".into(),
        topic: Topic::DocumentsRaw.name().into(),
        stage: "cleaner".into(),
        class: "decode".into(),
        message: "payload: no JSON".into(),
        attempts: 1,
        first_seen: None,
        dead_at: chrono::Utc::now(),
        original_position: "raw[0]@5".into(),
        key: "k".into(),
        event_type: None,
        subject: None,
        revision: None,
        headers: Default::default(),
        value: Some(json!({"a": 1})),
        replayed: false,
    }
}

#[async_trait]
impl DeadLetterAccess for OneLetter {
    async fn list(
        &self,
        topic: Option<&str>,
        before: Option<&DeadLetterCursor>,
        _limit: usize,
    ) -> Result<(Vec<DeadLetterView>, Option<DeadLetterCursor>), PortError> {
        let letters = [letter()].into_iter().filter(|letter| topic.is_none_or(|topic| topic == letter.topic));
        if before.is_some() {
            return Ok((Vec::new(), None));
        }
        let next = "twin.documents.raw.v1:1".parse().ok();
        Ok((letters.map(|letter| DeadLetterView { value: None, ..letter }).collect(), next))
    }

    async fn show(&self, id: &str) -> Result<Option<DeadLetterView>, PortError> {
        Ok((id == "raw:1").then(letter))
    }

    async fn replay(&self, id: &str) -> Result<Option<String>, PortError> {
        Ok((id == "raw:1").then(|| "raw[0]@9".to_owned()))
    }
}
