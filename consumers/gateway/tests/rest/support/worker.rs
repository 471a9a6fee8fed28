//! A worker at the other end of the topics.

use std::sync::{Arc, Mutex};

use tokio_util::task::AbortOnDropHandle;
use twin_schemas::{
    AnswerEvent, AnswerPart, Attributes, EmbedQuery, Embedded, FailureKind, Payload, Query, QueryEvent, QueryKind,
    RequestId, StageTimings,
};
use twin_stream::{EventLog, NewEvent, StartAt, TopicPartition};

use super::eventually;
use super::parts::{delta, failed, finished, retrieved, support, written};

/// Answers queries by the text of the question and notes what it is asked.
pub struct Worker {
    seen: Arc<Mutex<Vec<QueryEvent>>>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Worker {
    pub async fn start(log: Arc<dyn EventLog>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let topic = QueryEvent::TOPIC.name();
        let mut tasks = Vec::new();
        for partition in log.watermarks(topic).await.unwrap().into_keys() {
            let partition = TopicPartition { topic: topic.into(), partition };
            let mut tail = log.tail(&partition, StartAt::Beginning).await.unwrap();
            let (log, seen) = (Arc::clone(&log), Arc::clone(&seen));
            tasks.push(AbortOnDropHandle::new(tokio::spawn(async move {
                loop {
                    for record in tail.next().await.unwrap() {
                        let attributes = Attributes::from_headers(&record.headers).unwrap();
                        let event: QueryEvent = attributes.decode(&record.value.unwrap()).unwrap();
                        seen.lock().unwrap().push(event.clone());
                        match event {
                            QueryEvent::Ask(query) => answer(log.as_ref(), &query).await,
                            QueryEvent::Embed(query) => embed(log.as_ref(), &query).await,
                            QueryEvent::Cancel { .. } => {}
                        }
                    }
                }
            })));
        }
        Self { seen, _tasks: tasks }
    }

    pub fn asked(&self) -> Vec<Query> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter_map(|event| if let QueryEvent::Ask(query) = event { Some((**query).clone()) } else { None })
            .collect()
    }

    /// The one embedding that was asked for.
    pub async fn only_embedding(&self) -> EmbedQuery {
        let embeddings = || {
            let seen = self.seen.lock().unwrap();
            let embedding =
                |event: &QueryEvent| if let QueryEvent::Embed(query) = event { Some((**query).clone()) } else { None };
            seen.iter().filter_map(embedding).collect::<Vec<_>>()
        };
        eventually("an embedding", async || !embeddings().is_empty()).await;
        let mut asked = embeddings();
        assert_eq!(asked.len(), 1);
        asked.remove(0)
    }

    pub fn is_cancelled(&self, query: &Query) -> bool {
        let cancel = QueryEvent::Cancel { request_id: query.request_id };
        self.seen.lock().unwrap().contains(&cancel)
    }

    /// The one query that was asked.
    pub async fn only_query(&self) -> Query {
        eventually("a query", async || !self.asked().is_empty()).await;
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1);
        asked.remove(0)
    }
}

async fn answer(log: &dyn EventLog, query: &Query) {
    let first = RequestId::new();
    let text = query.messages.last().unwrap().content.as_str();
    let mut parts: Vec<(RequestId, u32, AnswerPart)> = match text {
        "silence" => Vec::new(),
        "half" => vec![(first, 0, retrieved()), (first, 1, delta("Yes"))],
        "abstain" => vec![(first, 0, retrieved()), (first, 1, finished("I do not know.", true))],
        "overloaded" => vec![(first, 0, failed(FailureKind::Overloaded))],
        "expired" => vec![(first, 0, failed(FailureKind::Expired))],
        "unavailable" => vec![(first, 0, failed(FailureKind::Unavailable))],
        "invalid" => vec![(first, 0, failed(FailureKind::Invalid))],
        "checked" => vec![
            (first, 0, retrieved()),
            (first, 1, delta("Yes [1]. And")),
            (first, 2, support("Yes [1].")),
            (first, 3, delta(" no.")),
            (first, 4, finished("Yes [1]. And no.", false)),
        ],
        "late failure" => {
            vec![(first, 0, retrieved()), (first, 1, delta("Yes")), (first, 2, failed(FailureKind::Unavailable))]
        }
        "two attempts" => {
            let second = RequestId::new();
            vec![
                (first, 0, retrieved()),
                (second, 0, retrieved()),
                (first, 1, delta("first")),
                (second, 1, delta("second")),
                (second, 2, finished("second", false)),
                (first, 1, delta("first")),
                (first, 2, finished("first", false)),
            ]
        }
        _ => vec![
            (first, 0, retrieved()),
            (first, 1, delta("Yes")),
            (first, 2, delta(" [1].")),
            (first, 3, finished("Yes [1].", false)),
        ],
    };
    if query.kind == QueryKind::Retrieve {
        parts.truncate(1);
    }
    for (_, _, part) in &mut parts {
        if let AnswerPart::Finished(answered) = part
            && query.kind == QueryKind::Write
            && !answered.abstained
        {
            *part = written((**answered).clone());
        }
    }
    for (attempt, sequence, part) in parts {
        let event = AnswerEvent { request_id: query.request_id, reply_to: query.reply_to, attempt, sequence, part };
        publish(log, event).await;
    }
}

async fn publish(log: &dyn EventLog, event: AnswerEvent) {
    let attributes = Attributes::new::<AnswerEvent>("inference", event.request_id.to_string());
    let record = NewEvent::new(event.reply_to.to_string(), attributes, &event).into_record();
    log.append(vec![record]).await.unwrap();
}

/// Two numbers for each text, its place and its length, in parts of two; of a second attempt too where the first text says so.
async fn embed(log: &dyn EventLog, query: &EmbedQuery) {
    let vectors: Vec<Vec<f32>> =
        query.texts.iter().zip(0_u8..).map(|(text, place)| vec![f32::from(place), text.len() as f32]).collect();
    let mut parts: Vec<AnswerPart> = Vec::new();
    for (vectors, part) in vectors.chunks(2).zip(0..) {
        parts.push(AnswerPart::Vectors { first: 2 * part, vectors: vectors.to_vec() });
    }
    match query.texts[0].as_str() {
        "invalid" => parts = vec![failed(FailureKind::Invalid)],
        // The first attempt stops after its first part.
        "two attempts" => publish(log, embedding_part(query, RequestId::new(), 0, parts[0].clone())).await,
        "one is missing" => drop(parts.pop()),
        _ => {}
    }
    let end = Embedded { model: "tiny@0".into(), tokens: 7, timings: StageTimings::default() };
    let attempt = RequestId::new();
    for (part, sequence) in parts.into_iter().chain([AnswerPart::Embedded(end)]).zip(0..) {
        publish(log, embedding_part(query, attempt, sequence, part)).await;
    }
}

fn embedding_part(query: &EmbedQuery, attempt: RequestId, sequence: u32, part: AnswerPart) -> AnswerEvent {
    AnswerEvent { request_id: query.request_id, reply_to: query.reply_to, attempt, sequence, part }
}
