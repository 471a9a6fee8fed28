//! Retrieval over the real embedding model, index and ledger.

mod common;

use chrono::Utc;
use common::{Fixture, key};
use twin_schemas::Passage;

async fn found(fixture: &Fixture) -> Vec<Passage> {
    fixture.found("How is bread baked?", 5).await.passages
}

#[tokio::test]
async fn only_the_revision_that_the_ledger_holds_is_served() {
    let fixture = Fixture::new(1).await;
    let first = fixture.index("bread", "Bread is baked in a hot oven.").await;
    assert_eq!(found(&fixture).await.len(), 0, "an indexed revision is not live before the ledger has it");
    fixture.ledger("bread", first, 1).await;
    assert_eq!(found(&fixture).await[0].revision, first);
    // Between the ledger's step and the removal of what is old, both are in the index.
    let second = fixture.index("bread", "Bread is baked under a lid.").await;
    fixture.ledger("bread", second, 1).await;
    let found = found(&fixture).await;
    assert_eq!(found.iter().map(|passage| passage.revision).collect::<Vec<_>>(), [second]);
}

#[tokio::test]
async fn nothing_of_a_deleted_document_is_served_even_while_it_is_in_the_index() {
    let fixture = Fixture::new(1).await;
    let revision = fixture.index("bread", "Bread is baked in a hot oven.").await;
    fixture.ledger("bread", revision, 1).await;
    fixture.warehouse.retract(key("bread").id(), Utc::now()).await.unwrap();
    assert_eq!(found(&fixture).await, []);
}

#[tokio::test]
async fn a_text_that_two_documents_share_comes_once() {
    let fixture = Fixture::new(1).await;
    for (name, text) in [("bread", "Bread is baked in a hot oven."), ("copy", "Bread is baked in a hot oven.")] {
        let revision = fixture.index(name, text).await;
        fixture.ledger(name, revision, 1).await;
    }
    let other = fixture.index("rye", "Rye bread is baked longer.").await;
    fixture.ledger("rye", other, 1).await;
    let found = found(&fixture).await;
    let mut texts: Vec<&str> = found.iter().map(|passage| passage.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["Bread is baked in a hot oven.", "Rye bread is baked longer."]);
}
