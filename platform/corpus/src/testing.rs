//! What [`Corpus`](crate::Corpus) promises, for every implementation: [`corpus_contract`](crate::corpus_contract) makes
//! the tests.

use twin_schemas::{AuthorId, Category, ContentHash, DocumentId, DocumentKey, Revision, SourceKind};

use crate::{AuthorState, Corpus, CorpusDocument, Reply, ReplyKey};

/// The tests of a backend. `$open` is an async function that makes an empty corpus, kept in something that derefs to
/// `dyn Corpus` through `corpus()`.
#[macro_export]
macro_rules! corpus_contract {
    ($open:path) => {
        $crate::corpus_contract!(@ $open:
            a_lower_or_equal_revision_changes_nothing,
            a_deleted_document_does_not_come_back_with_an_older_revision,
            every_order_of_the_same_events_ends_alike,
            an_authors_state_grows_with_every_change,
            what_a_version_holds_is_new_no_more_until_it_changes,
            documents_come_in_pages_by_id_and_without_the_deleted,
            authors_come_in_pages_by_name,
            of_several_replies_under_one_key_the_first_is_kept,
            the_replies_of_the_newest_versions_are_kept_and_of_one_author_alone,
            a_deleted_document_takes_what_was_said_of_it_along
        );
    };
    (@ $open:path: $($name:ident),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let place = $open().await;
                $crate::testing::$name(place.corpus()).await;
            }
        )+
    };
}

fn author(name: &str) -> AuthorId {
    name.parse().expect("a name")
}

fn id(name: &str) -> DocumentId {
    let (source_kind, scope, identity) = (SourceKind::push(), String::new(), name.to_owned());
    DocumentKey { source_kind, author: author("ada"), scope, identity }.id()
}

fn document(of: &str, name: &str, revision: u64) -> CorpusDocument {
    let text = format!("{name} in its {revision}. revision");
    CorpusDocument {
        document_id: id(name),
        revision: Revision(revision),
        author: author(of),
        category: Category::Article,
        language: Some("eng".to_owned()),
        code_language: None,
        title: Some(name.to_owned()),
        natural_key: format!("{name}.md"),
        url: None,
        content_hash: ContentHash::sha256([text.as_bytes()]),
        text,
    }
}

async fn put(corpus: &dyn Corpus, name: &str, revision: u64, samples: u64) -> bool {
    corpus.put(document("ada", name, revision), samples).await.unwrap()
}

async fn state(corpus: &dyn Corpus) -> AuthorState {
    corpus.author_state(&author("ada")).await.unwrap()
}

async fn all(corpus: &dyn Corpus) -> Vec<CorpusDocument> {
    corpus.documents(&author("ada"), None, 100).await.unwrap()
}

#[doc(hidden)]
pub async fn a_lower_or_equal_revision_changes_nothing(corpus: &dyn Corpus) {
    assert!(put(corpus, "rivers", 2, 3).await);
    let before = (state(corpus).await, all(corpus).await);
    assert!(!put(corpus, "rivers", 1, 9).await);
    assert!(!put(corpus, "rivers", 2, 9).await);
    assert!(!corpus.delete(id("rivers"), Revision(2)).await.unwrap());
    assert_eq!((state(corpus).await, all(corpus).await), before);
    assert_eq!(before.1, [document("ada", "rivers", 2)]);
    assert_eq!(corpus.revision(id("rivers")).await.unwrap(), Some(Revision(2)));
    assert_eq!(corpus.revision(id("lakes")).await.unwrap(), None);
}

#[doc(hidden)]
pub async fn a_deleted_document_does_not_come_back_with_an_older_revision(corpus: &dyn Corpus) {
    assert!(corpus.delete(id("rivers"), Revision(3)).await.unwrap(), "not known yet, and noted");
    assert!(!put(corpus, "rivers", 2, 3).await);
    assert_eq!((state(corpus).await.documents, all(corpus).await.len()), (0, 0));
    assert!(put(corpus, "rivers", 4, 3).await, "a higher one does");
    assert_eq!((state(corpus).await.documents, all(corpus).await.len()), (1, 1));
}

#[doc(hidden)]
pub async fn every_order_of_the_same_events_ends_alike(corpus: &dyn Corpus) {
    let orders = [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3], [3, 1, 4, 2], [4, 4, 1, 3]];
    for (number, order) in orders.into_iter().enumerate() {
        let name = format!("document-{number}");
        for revision in order {
            match revision {
                3 => drop(corpus.delete(id(&name), Revision(3)).await.unwrap()),
                revision => drop(put(corpus, &name, revision, revision).await),
            }
        }
        assert_eq!(corpus.revision(id(&name)).await.unwrap(), Some(Revision(4)), "{order:?}");
    }
    let ended = AuthorState { documents: 5, samples: 20, new_samples: 20, changed: 20 };
    assert_eq!(state(corpus).await, ended);
}

#[doc(hidden)]
pub async fn an_authors_state_grows_with_every_change(corpus: &dyn Corpus) {
    let mut last = state(corpus).await.changed;
    for step in 0..5 {
        match step {
            0 => drop(put(corpus, "rivers", 1, 1).await),
            1 => drop(put(corpus, "lakes", 1, 1).await),
            2 => drop(put(corpus, "rivers", 2, 1).await),
            3 => drop(corpus.delete(id("lakes"), Revision(2)).await.unwrap()),
            _ => drop(put(corpus, "lakes", 3, 1).await),
        }
        let now = state(corpus).await.changed;
        assert!(now > last, "step {step}: {now} after {last}");
        last = now;
    }
    corpus.put(document("grace", "seas", 1), 1).await.unwrap();
    assert_eq!(state(corpus).await.changed, last, "another author's change is another's");
}

#[doc(hidden)]
pub async fn what_a_version_holds_is_new_no_more_until_it_changes(corpus: &dyn Corpus) {
    put(corpus, "rivers", 1, 5).await;
    put(corpus, "lakes", 1, 7).await;
    assert_eq!(state(corpus).await.new_samples, 12);
    let held = [(id("rivers"), Revision(1)), (id("lakes"), Revision(1)), (id("seas"), Revision(1))];
    corpus.mark_frozen(&held).await.unwrap();
    corpus.mark_frozen(&held).await.unwrap();
    let frozen = state(corpus).await;
    assert_eq!((frozen.samples, frozen.new_samples), (12, 0));
    put(corpus, "rivers", 3, 6).await;
    assert_eq!(state(corpus).await.new_samples, 6);
    corpus.mark_frozen(&[(id("rivers"), Revision(2))]).await.unwrap();
    assert_eq!(state(corpus).await.new_samples, 6, "a version holds an older revision");
    corpus.mark_frozen(&[(id("rivers"), Revision(3))]).await.unwrap();
    corpus.mark_frozen(&held).await.unwrap();
    assert_eq!(state(corpus).await.new_samples, 0, "what comes late takes nothing back");
}

#[doc(hidden)]
pub async fn documents_come_in_pages_by_id_and_without_the_deleted(corpus: &dyn Corpus) {
    let mut wanted = Vec::new();
    for number in 0..25 {
        let name = format!("document-{number}");
        put(corpus, &name, 1, 1).await;
        if number % 5 == 0 {
            corpus.delete(id(&name), Revision(2)).await.unwrap();
        } else {
            wanted.push(document("ada", &name, 1));
        }
    }
    corpus.put(document("grace", "seas", 1), 1).await.unwrap();
    wanted.sort_by_key(|document| document.document_id.to_string());
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|document: &CorpusDocument| document.document_id);
        let page = corpus.documents(&author("ada"), after, 7).await.unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, wanted);
}

#[doc(hidden)]
pub async fn authors_come_in_pages_by_name(corpus: &dyn Corpus) {
    assert_eq!(corpus.authors(None, 10).await.unwrap(), []);
    for (number, name) in ["grace", "ada", "edsger"].into_iter().enumerate() {
        corpus.put(document(name, &format!("document-{number}"), 1), 1).await.unwrap();
    }
    corpus.delete(id("document-1"), Revision(2)).await.unwrap();
    corpus.delete(id("nobody's"), Revision(2)).await.unwrap();
    let first = corpus.authors(None, 2).await.unwrap();
    assert_eq!(first, [author("ada"), author("edsger")], "who had documents too");
    assert_eq!(corpus.authors(first.last(), 2).await.unwrap(), [author("grace")]);
}

fn key(name: &str) -> ReplyKey {
    ReplyKey(name.to_owned())
}

/// What a model has said of a document.
fn reply(of: &str, name: &str, document: &str, version: u32, text: &str) -> Reply {
    Reply { author: author(of), key: key(name), document_id: id(document), version, text: text.to_owned() }
}

async fn said(corpus: &dyn Corpus, name: &str) -> Option<String> {
    corpus.reply(&author("ada"), &key(name)).await.unwrap()
}

#[doc(hidden)]
pub async fn of_several_replies_under_one_key_the_first_is_kept(corpus: &dyn Corpus) {
    assert_eq!(said(corpus, "a").await, None);
    assert_eq!(corpus.keep_reply(reply("ada", "a", "rivers", 1, "first")).await.unwrap(), "first");
    assert_eq!(corpus.keep_reply(reply("ada", "a", "rivers", 2, "second")).await.unwrap(), "first");
    assert_eq!(said(corpus, "a").await.as_deref(), Some("first"));
    assert_eq!(corpus.keep_reply(reply("grace", "a", "lakes", 1, "hers")).await.unwrap(), "hers");
    assert_eq!(said(corpus, "a").await.as_deref(), Some("first"), "another author's is another");
    assert_eq!(said(corpus, "b").await, None);
}

#[doc(hidden)]
pub async fn the_replies_of_the_newest_versions_are_kept_and_of_one_author_alone(corpus: &dyn Corpus) {
    let ada = author("ada");
    for (name, version) in [("a", 1), ("b", 1), ("c", 2), ("d", 2)] {
        corpus.keep_reply(reply("ada", name, "rivers", version, name)).await.unwrap();
    }
    corpus.keep_reply(reply("grace", "a", "lakes", 1, "hers")).await.unwrap();
    // What is noted late, or of nothing, changes nothing.
    corpus.mark_used(&ada, &[key("a"), key("unknown")], 3).await.unwrap();
    corpus.mark_used(&ada, &[key("a"), key("d")], 1).await.unwrap();
    assert_eq!(corpus.forget_unused(&ada, 9).await.unwrap(), 0);
    assert_eq!(corpus.forget_unused(&ada, 3).await.unwrap(), 1);
    assert_eq!(said(corpus, "b").await, None);
    for name in ["a", "c", "d"] {
        assert_eq!(said(corpus, name).await.as_deref(), Some(name));
    }
    assert_eq!(corpus.forget_unused(&ada, 1).await.unwrap(), 2);
    assert_eq!(said(corpus, "a").await.as_deref(), Some("a"), "it was used last");
    assert_eq!(corpus.forget_unused(&ada, 0).await.unwrap(), 1);
    assert_eq!(corpus.reply(&author("grace"), &key("a")).await.unwrap().as_deref(), Some("hers"));
    // What was forgotten is asked for anew.
    assert_eq!(corpus.keep_reply(reply("ada", "a", "rivers", 4, "again")).await.unwrap(), "again");
}

#[doc(hidden)]
pub async fn a_deleted_document_takes_what_was_said_of_it_along(corpus: &dyn Corpus) {
    put(corpus, "rivers", 1, 3).await;
    put(corpus, "lakes", 1, 3).await;
    for (name, document) in [("a", "rivers"), ("b", "rivers"), ("c", "lakes")] {
        corpus.keep_reply(reply("ada", name, document, 1, name)).await.unwrap();
    }
    assert!(corpus.delete(id("rivers"), Revision(2)).await.unwrap());
    assert_eq!((said(corpus, "a").await, said(corpus, "b").await), (None, None));
    assert_eq!(said(corpus, "c").await.as_deref(), Some("c"));
    // A build that was under way may still have written one.
    corpus.keep_reply(reply("ada", "a", "rivers", 1, "late")).await.unwrap();
    assert!(!corpus.delete(id("rivers"), Revision(2)).await.unwrap());
    assert_eq!(said(corpus, "a").await, None);
    // A deletion that is out of date is none.
    assert!(!corpus.delete(id("lakes"), Revision(1)).await.unwrap());
    assert_eq!(said(corpus, "c").await.as_deref(), Some("c"));
}
