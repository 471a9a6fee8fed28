//! What is read and written while a twin runs goes by an index: no statement looks at a whole table.

use std::fmt::Debug;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use twin_coordination::{Leases, Owner};
use twin_corpus::{Corpus, CorpusDocument, Replies, Reply, ReplyKey};
use twin_registry::rules::Step;
use twin_registry::{JobProgress, Kind, Member, Metric, MetricPosition, NewStep, Row, RowQuery, SortOrder, Store};
use twin_schemas::{Category, ContentHash, DatasetId, JobId, Revision, Topic};
use twin_sqlite::testing::{Statements, plan};
use twin_sqlite::{
    Database, Error, SqliteCorpus, SqliteLeases, SqliteLog, SqliteRegistry, SqliteVectors, SqliteWarehouse,
};
use twin_stream::{EventLog, NewRecord, StartAt, TopicPartition, TopicSpec, partition_for};
use twin_vectors::VectorStore;
use twin_vectors::testing::fixtures::{at, document, model, point};
use twin_warehouse::testing::{ada, calibration, entry, observation, source};
use twin_warehouse::{
    Authors, Calibrations, DocumentFilter, Documents, LastSync, Ledger, Observation, Progress, ProgressNotes,
    ProgressState, Secrets, Sources, StageName, SyncOutcome, Unpublished, UploadedFile,
};

/// Looks at the statements of one call after the other.
struct Plans {
    database: Database,
    statements: Statements,
    complaints: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Plans {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let statements = Statements::of(&database).await.unwrap();
        Self { database, statements, complaints: Vec::new(), _folder: folder }
    }

    /// Makes the call, and notes which of its statements look at a whole table.
    async fn of<T, E: Debug>(&mut self, call: &str, result: impl Future<Output = Result<T, E>>) -> T {
        self.look(call, result, |step, _| is_scan(step)).await
    }

    /// As [`Self::of`] for a list, of which no more is read than is given: its rows come in the order of an index. One
    /// that has the rows of the list and no others may be read from its beginning.
    async fn of_list<T, E: Debug>(&mut self, call: &str, result: impl Future<Output = Result<T, E>>) -> T {
        let is_sorted = |step: &str| step.contains("TEMP B-TREE");
        let is_of = |step: &str, index: &String| step.ends_with(&format!(" USING INDEX {index}"));
        let is_wrong = |step: &str, partial: &[String]| {
            is_sorted(step) || is_scan(step) && !partial.iter().any(|index| is_of(step, index))
        };
        self.look(call, result, is_wrong).await
    }

    async fn look<T, E: Debug>(
        &mut self,
        call: &str,
        result: impl Future<Output = Result<T, E>>,
        is_wrong: impl Fn(&str, &[String]) -> bool,
    ) -> T {
        self.statements.take();
        let result = result.await.unwrap();
        let is_of_rows =
            |sql: &String| ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| sql.starts_with(verb));
        let statements: Vec<String> = self.statements.take().into_iter().filter(is_of_rows).collect();
        assert!(!statements.is_empty(), "{call}: no statement was seen");
        let partial = self.database.read_blocking(partial_indexes).unwrap();
        for sql in statements {
            let steps = self.database.read_blocking(|connection| plan(connection, &sql)).unwrap();
            assert!(!steps.is_empty() || sql.starts_with("INSERT"), "{call}: no plan of {sql}");
            let wrong = steps.iter().filter(|step| is_wrong(step, &partial));
            self.complaints.extend(wrong.map(|step| format!("{call}: {step} in {sql}")));
        }
        result
    }

    /// The one that may: it counts everything.
    fn may_scan(&mut self, call: &str) {
        self.complaints.retain(|complaint| !complaint.starts_with(call));
    }

    fn finish(self) {
        assert!(self.complaints.is_empty(), "{}", self.complaints.join("\n"));
    }
}

fn is_scan(step: &str) -> bool {
    step.starts_with("SCAN") && step != "SCAN CONSTANT ROW"
}

/// The indexes that hold a part of their tables.
fn partial_indexes(connection: &Connection) -> Result<Vec<String>, Error> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '% WHERE %'";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

#[tokio::test]
async fn a_scan_is_seen() {
    let mut plans = Plans::new().await;
    let database = plans.database.clone();
    let read = database.read(|c| -> Result<i64, Error> {
        Ok(c.query_row("SELECT count(*) FROM schema_versions WHERE version = 7", [], |row| row.get(0))?)
    });
    let tables = database.write(|tx| twin_sqlite::migrate(tx, "test", &[]));
    tables.await.unwrap();
    plans.of("count", read).await;
    assert!(plans.complaints.len() == 1 && plans.complaints[0].starts_with("count: SCAN schema_versions"));
}

fn finished() -> LastSync {
    LastSync {
        started_at: Utc::now(),
        finished_at: Utc::now(),
        outcome: SyncOutcome::Completed,
        seen: 1,
        new: 1,
        changed: 0,
        deleted: 0,
        failed: Vec::new(),
        failed_total: 0,
        waited_ms: 0,
    }
}

#[tokio::test]
async fn of_the_sources() {
    let mut plans = Plans::new().await;
    let warehouse = SqliteWarehouse::open(plans.database.clone()).await.unwrap();
    let row = plans.of("put_source", warehouse.put_source(source())).await;
    let id = row.id;
    plans.of_list("sources", warehouse.sources(None, None, 9)).await;
    plans.of_list("sources after", warehouse.sources(None, Some(&row.position()), 9)).await;
    plans.of_list("sources of an author", warehouse.sources(Some(&ada()), None, 9)).await;
    plans.of_list("sources of an author after", warehouse.sources(Some(&ada()), Some(&row.position()), 9)).await;
    plans.of("source", warehouse.source(id)).await;
    plans.of("due_sources", warehouse.due_sources(Utc::now(), 9)).await;
    let (claim, _) = plans.of("claim_source", warehouse.claim_source(id, 1, Utc::now())).await.unwrap();
    plans.of("is_claimed", warehouse.is_claimed(&claim)).await;
    plans.of("finish_sync", warehouse.finish_sync(&claim, finished(), serde_json::json!({}), Utc::now())).await;
    plans.of("save_cursor", warehouse.save_cursor(&claim, serde_json::json!({}))).await;
    plans.of("request_sync", warehouse.request_sync(id, true)).await;
    plans.of("put_secrets", warehouse.put_secrets(id, &Secrets::default())).await;
    plans.of("secrets", warehouse.secrets(id)).await;
    plans.of("forget_secrets", warehouse.forget_secrets(id)).await;
    let (name, artifact) = ("a.md".to_owned(), "sha256:0".to_owned());
    let file = UploadedFile { source_id: id, name: name.clone(), artifact, bytes: 1, uploaded_at: Utc::now() };
    plans.of("put_file", warehouse.put_file(file, 9)).await;
    plans.of_list("files", warehouse.files(id, None, 9)).await;
    plans.of_list("files after", warehouse.files(id, Some("a.md"), 9)).await;
    plans.of_list("files_after", warehouse.files_after(None, 9)).await;
    plans.of_list("files_after a file", warehouse.files_after(Some(&(id, name)), 9)).await;
    plans.of("remove_file", warehouse.remove_file(id, "a.md")).await;
    let removal = plans.of("begin_removal", warehouse.begin_removal(id)).await.unwrap();
    plans.of("remove_file_claimed", warehouse.remove_file_claimed(&removal, "a.md")).await;
    plans.of("forget_secrets_claimed", warehouse.forget_secrets_claimed(&removal)).await;
    plans.of("remove_source", warehouse.remove_source(&removal)).await;
    plans.of_list("authors", warehouse.authors(None, 9)).await;
    plans.of_list("authors after", warehouse.authors(Some(&ada()), 9)).await;
    plans.of("author", warehouse.author(&ada())).await;
    plans.of("put_calibration", warehouse.put_calibration(calibration(&ada(), 1))).await;
    plans.of("calibration", warehouse.calibration(&ada())).await;
    plans.of_list("calibrations", warehouse.calibrations(None, 9)).await;
    plans.finish();
}

#[tokio::test]
async fn of_the_documents_and_their_progress() {
    let mut plans = Plans::new().await;
    let warehouse = SqliteWarehouse::open(plans.database.clone()).await.unwrap();
    let source = warehouse.put_source(source()).await.unwrap().id;
    let (claim, _) = warehouse.claim_source(source, 1, Utc::now()).await.unwrap().unwrap();
    let of_source = |name: &str| Observation { claim: Some(claim), ..observation(name, name) };
    let id = observation("a", "a").key.id();
    plans.of("record", warehouse.record(of_source("a"))).await;
    plans.of("record again", warehouse.record(of_source("a"))).await;
    warehouse.record(of_source("b")).await.unwrap();

    let of_author = DocumentFilter { author: Some(ada()), ..Default::default() };
    let by_url = DocumentFilter { url: Some("https://example.org/a".into()), ..Default::default() };
    let both = DocumentFilter { author: Some(ada()), ..by_url.clone() };
    let first = warehouse.documents(&of_author, None, 1).await.unwrap().next;
    for (call, filter) in
        [("all", DocumentFilter::default()), ("of an author", of_author), ("with a URL", by_url), ("with both", both)]
    {
        plans.of_list(&format!("documents, {call}"), warehouse.documents(&filter, None, 9)).await;
        plans.of_list(&format!("documents, {call}, before"), warehouse.documents(&filter, first.as_ref(), 9)).await;
    }
    plans.of_list("known", warehouse.known(source, None, 9)).await;
    plans.of_list("known after", warehouse.known(source, Some(id), 9)).await;
    plans.of("document", warehouse.document(id)).await;
    plans.of("summaries", warehouse.summaries(&[id])).await;
    plans.of("live_count", warehouse.live_count(&ada())).await;
    plans.of_list("unpublished", warehouse.unpublished(9)).await;
    plans.of("mark_published", warehouse.mark_published(&[(id, Revision(1))])).await;
    plans.of("mark_indexed", warehouse.mark_indexed(vec![entry(id, 1)])).await;
    plans.of("ledger", warehouse.ledger(&[id])).await;
    plans.of("live_revisions", warehouse.live_revisions(&[id])).await;
    let (stage, state) = (StageName::Cleaned, ProgressState::Done);
    let note = Progress { document_id: id, revision: Revision(1), stage, state, at: Utc::now() };
    plans.of("note_progress", warehouse.note_progress(vec![note])).await;
    plans.of("progress", warehouse.progress(id)).await;
    plans.of("totals of an author", warehouse.totals(Some(&ada()))).await;
    plans.of("totals of all", warehouse.totals(None)).await;
    plans.may_scan("totals of all");
    plans.of("retract", warehouse.retract(id, Utc::now())).await;
    let other = observation("b", "b").key.id();
    plans.of("retract_claimed", warehouse.retract_claimed(&claim, other, Utc::now())).await;
    plans.finish();
}

#[tokio::test]
async fn of_the_learning_loop() {
    let mut plans = Plans::new().await;
    let store = SqliteRegistry::open(plans.database.clone()).await.unwrap();
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let (dataset, job) = (DatasetId("a".repeat(64)), JobId("b".repeat(64)));
    let document = observation("a", "a").key.id();
    let row = Row {
        kind: Kind::Job,
        id: job.0.clone(),
        author: ada(),
        state: "queued".into(),
        at,
        step: 1,
        body: serde_json::json!({}),
    };
    let step = Step::RecipeSet { recipe: "{}".into(), origin: "test".into(), at };
    let new = NewStep { author: ada(), number: 1, step, event: None };
    plans.of("append", store.append(new, vec![row.clone()])).await;
    plans.of("steps", store.steps(&ada(), 0, 9)).await;
    plans.of("put_rows", store.put_rows(vec![row.clone()])).await;
    plans.of_list("unsettled", store.unsettled(9)).await;
    plans.of("settle", store.settle(&[(ada(), 1)])).await;
    let all = RowQuery {
        kind: Kind::Job,
        author: None,
        states: Vec::new(),
        order: SortOrder::NewestFirst,
        after: None,
        limit: 9,
    };
    let of_author = RowQuery { author: Some(ada()), ..all.clone() };
    let in_state = RowQuery { states: vec!["queued".into()], ..all.clone() };
    let both = RowQuery { author: Some(ada()), ..in_state.clone() };
    for (call, query) in [("all", all), ("of an author", of_author), ("in a state", in_state), ("both", both)] {
        for order in [SortOrder::NewestFirst, SortOrder::OldestFirst] {
            let query = RowQuery { order, ..query.clone() };
            let later = RowQuery { after: Some(row.position()), ..query.clone() };
            plans.of_list(&format!("rows, {call}"), store.rows(query)).await;
            plans.of_list(&format!("rows, {call}, after"), store.rows(later)).await;
        }
    }
    plans.of_list("rows_like", store.rows_like(Kind::Job, "bb")).await;
    let member = Member { document_id: document, revision: Revision(1), passages: 1, placement: None };
    plans.of("put_members", store.put_members(&dataset, &[member])).await;
    plans.of("mark_deleted", store.mark_deleted(document, at)).await;
    plans.of_list("members", store.members(&dataset, None, 10)).await;
    plans.of_list("members, after", store.members(&dataset, Some(document), 10)).await;
    plans.of("deleted_members", store.deleted_members(std::slice::from_ref(&dataset))).await;
    plans.of("datasets_with", store.datasets_with(document)).await;
    plans.of("put_progress", store.put_progress(&job, 1, &JobProgress::default())).await;
    plans.of("progress", store.progress(std::slice::from_ref(&job))).await;
    let metric = Metric { name: "loss".into(), step: 1, value: 1.0 };
    plans.of("put_metrics", store.put_metrics(&job, &[metric])).await;
    let after = MetricPosition { name: "loss".into(), step: 1 };
    plans.of_list("metrics", store.metrics(&job, None, 9)).await;
    plans.of_list("metrics after", store.metrics(&job, Some(&after), 9)).await;
    plans.finish();
}

#[tokio::test]
async fn of_the_corpus() {
    let mut plans = Plans::new().await;
    let corpus = SqliteCorpus::open(plans.database.clone()).await.unwrap();
    let document = CorpusDocument {
        document_id: observation("a", "a").key.id(),
        revision: Revision(1),
        author: ada(),
        category: Category::Article,
        language: None,
        code_language: None,
        title: None,
        natural_key: "a".into(),
        url: None,
        content_hash: ContentHash::sha256([b"a".as_slice()]),
        text: "a".into(),
    };
    let id = document.document_id;
    plans.of("put", corpus.put(document, 1)).await;
    plans.of("revision", corpus.revision(id)).await;
    plans.of_list("documents", corpus.documents(&ada(), None, 9)).await;
    plans.of_list("documents after", corpus.documents(&ada(), Some(id), 9)).await;
    plans.of("mark_frozen", corpus.mark_frozen(&[(id, Revision(1))])).await;
    let key = ReplyKey("0".repeat(64));
    let reply = Reply { author: ada(), key: key.clone(), document_id: id, version: 1, text: "said".into() };
    plans.of("keep_reply", corpus.keep_reply(reply)).await;
    plans.of("reply", corpus.reply(&ada(), &key)).await;
    plans.of("mark_used", corpus.mark_used(&ada(), &[key], 2)).await;
    plans.of_list("forget_unused", corpus.forget_unused(&ada(), 0)).await;
    plans.of("delete", corpus.delete(id, Revision(2))).await;
    plans.finish();
}

#[tokio::test]
async fn of_the_leases() {
    let mut plans = Plans::new().await;
    let leases = SqliteLeases::open(plans.database.clone()).await.unwrap();
    let (owner, ttl) = (Owner::new("a"), Duration::from_secs(60));
    let lease = plans.of("acquire", leases.acquire("source/1", &owner, ttl)).await.unwrap();
    plans.of("acquire again", leases.acquire("source/1", &owner, ttl)).await;
    plans.of("renew", leases.renew(&lease, ttl)).await;
    plans.of_list("holders", leases.holders("source/")).await;
    plans.of("release", leases.release(&lease)).await;
    plans.finish();
}

#[tokio::test]
async fn of_the_log() {
    let mut plans = Plans::new().await;
    let log = SqliteLog::open(plans.database.clone(), 100_000).await.unwrap();
    log.ensure_topics(&TopicSpec::all(2)).await.unwrap();
    let topic = Topic::DocumentsRaw.name();
    let record = NewRecord { topic: topic.into(), key: b"k".to_vec(), value: None, headers: Vec::new() };
    plans.of("append", log.append(vec![record])).await;
    plans.of("watermarks", log.watermarks(topic)).await;
    plans.of("committed", log.committed("group", topic)).await;
    let partition = TopicPartition { topic: topic.into(), partition: partition_for(b"k", 2) };
    let mut tail = log.tail(&partition, StartAt::Beginning).await.unwrap();
    plans.of_list("fetch", tail.next()).await;
    plans.finish();
}

#[tokio::test]
async fn of_the_vector_index_while_another_generation_is_built() {
    let mut plans = Plans::new().await;
    // How a virtual table is searched, and the tables that it is made of, is up to its module. A subquery has what it found.
    let is_fine = ["VIRTUAL TABLE", "chunk_vectors", "chunk_words", "(subquery"];
    let scans = |step: &str, _: &[String]| step.starts_with("SCAN") && !is_fine.iter().any(|name| step.contains(name));
    let store = SqliteVectors::open(plans.database.clone()).await.unwrap();
    let index = plans.look("open", store.open(&model("first", 3)), scans).await;
    let points = || (0..3).map(|ordinal| point("ada", 1, 1, ordinal, "text", at(10.0))).collect();
    plans.look("upsert", index.upsert(points()), scans).await;
    let building = plans.look("prepare", store.prepare(&model("second", 3)), scans).await.unwrap();
    plans.look("upsert again", index.upsert(points()), scans).await;
    let sorts_or_scans = |step: &str, partial: &[String]| scans(step, partial) || step.contains("TEMP B-TREE");
    let pending = plans.look("pending", store.pending(&building, None, 2), sorts_or_scans).await;
    let last = Some(pending[1].key);
    assert_eq!(plans.look("pending behind", store.pending(&building, last, 9), sorts_or_scans).await.len(), 1);
    let vectors = pending.into_iter().map(|chunk| (chunk, at(20.0))).collect();
    plans.look("fill", store.fill(&building, vectors), scans).await;
    plans.look("vectors_of", index.vectors_of(&[document(1)]), scans).await;
    plans.look("lowest_revisions", index.lowest_revisions(Some(document(0)), 9), sorts_or_scans).await;
    plans.look("frequencies", index.frequencies(&ada(), &["text".to_owned()]), scans).await;
    plans.look("sample", index.sample(&ada(), &[Category::Article], 2), sorts_or_scans).await;
    plans.look("delete_below", index.delete_below(&[(document(1), Revision(2))]), scans).await;
    plans.look("switch", store.switch(&building), |_, _| false).await;
    plans.look("drain", store.drain(), scans).await;
    plans.finish();
}
