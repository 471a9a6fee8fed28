//! What belongs to sources and is no part of their rows that lists show: cursors in the midst of a sync, secrets, uploads.

use chrono::{DateTime, Utc};
use serde_json::json;
use twin_schemas::SourceId;

use super::{Store, ada, source};
use crate::{Error, FileStored, NewSource, Secret, Secrets, UploadedFile};

#[doc(hidden)]
pub async fn a_cursor_is_saved_in_the_midst_of_a_sync_by_whoever_has_the_claim(store: &dyn Store) {
    let warehouse = store.process().await;
    let id = warehouse.put_source(source()).await.unwrap().id;
    let claim = async |epoch| warehouse.claim_source(id, epoch, Utc::now()).await.unwrap().unwrap();
    let cursor = async || warehouse.source(id).await.unwrap().unwrap().cursor;
    let (first, _) = claim(1).await;
    assert!(warehouse.save_cursor(&first, json!({"page": 2})).await.unwrap());
    assert_eq!(cursor().await["page"], 2);
    let (second, seen) = claim(2).await;
    assert_eq!(seen.cursor["page"], 2, "whoever goes on is given it");
    assert!(!warehouse.save_cursor(&first, json!({"page": 9})).await.unwrap());
    assert!(warehouse.save_cursor(&second, json!({"page": 3})).await.unwrap());
    warehouse.begin_removal(id).await.unwrap().unwrap();
    assert!(!warehouse.save_cursor(&second, json!({"page": 4})).await.unwrap());
    assert_eq!(cursor().await["page"], 3);
}

#[doc(hidden)]
pub async fn settings_are_in_the_row_of_a_source_and_secrets_are_not(store: &dyn Store) {
    let warehouse = store.process().await;
    let new = NewSource { settings: json!({"user": "ada"}), secret_names: vec!["token".into()], ..source() };
    let id = SourceId::of(&new.author, &new.kind, &new.location);
    let secrets = |text: &str| -> Secrets { [("token", Secret::new(text))].into_iter().collect() };
    assert!(warehouse.secrets(id).await.unwrap().is_empty());
    warehouse.put_secrets(id, &secrets("s3cr3t")).await.unwrap();
    let row = warehouse.put_source(new.clone()).await.unwrap();
    assert_eq!(row.source, new);
    assert!(!format!("{row:?}").contains("s3cr3t"));
    let other = store.process().await;
    assert_eq!(other.secrets(id).await.unwrap(), secrets("s3cr3t"), "the crawler may be another process");
    warehouse.put_secrets(id, &secrets("renewed")).await.unwrap();
    assert_eq!(other.secrets(id).await.unwrap(), secrets("renewed"));
    assert_eq!(warehouse.put_source(source()).await.unwrap().source, source(), "registered again without them");
    warehouse.forget_secrets(id).await.unwrap();
    warehouse.forget_secrets(id).await.unwrap();
    assert!(other.secrets(id).await.unwrap().is_empty());
}

fn file(id: SourceId, name: &str, artifact: &str) -> UploadedFile {
    UploadedFile {
        source_id: id,
        name: name.into(),
        artifact: artifact.into(),
        bytes: 7,
        uploaded_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
    }
}

#[doc(hidden)]
pub async fn an_uploaded_file_is_replaced_under_its_name_and_all_are_listed_in_order(store: &dyn Store) {
    let warehouse = store.process().await;
    let ids = ["/a", "/b"].map(|location| SourceId::of(&ada(), &source().kind, location));
    for location in ["/a", "/b"] {
        warehouse.put_source(NewSource { location: location.into(), ..source() }).await.unwrap();
    }
    for id in ids {
        for name in ["b.md", "a.md"] {
            assert_eq!(warehouse.put_file(file(id, name, "sha256:0"), 9).await.unwrap(), FileStored::New);
        }
    }
    assert_eq!(warehouse.put_file(file(ids[0], "a.md", "sha256:1"), 9).await.unwrap(), FileStored::Replaced);
    let expected = [file(ids[0], "a.md", "sha256:1"), file(ids[0], "b.md", "sha256:0")];
    assert_eq!(warehouse.files(ids[0], None, 9).await.unwrap().items, expected);
    let first = warehouse.files(ids[0], None, 1).await.unwrap();
    assert_eq!((&first.items[..], first.next.as_deref()), (&expected[..1], Some("a.md")));
    let second = warehouse.files(ids[0], first.next.as_deref(), 1).await.unwrap();
    assert_eq!((&second.items[..], second.next), (&expected[1..], None));
    let (mut after, mut seen) = (None, Vec::new());
    while let Some(file) = warehouse.files_after(after.as_ref(), 1).await.unwrap().pop() {
        after = Some((file.source_id, file.name.clone()));
        seen.push((file.source_id.to_string(), file.name));
    }
    assert!(seen.len() == 4 && seen.is_sorted(), "{seen:?}");
    assert!(warehouse.remove_file(ids[0], "a.md").await.unwrap());
    assert!(!warehouse.remove_file(ids[0], "a.md").await.unwrap());
    assert_eq!(warehouse.files(ids[0], None, 9).await.unwrap().items, expected[1..]);
}

#[doc(hidden)]
pub async fn a_source_has_no_more_uploads_than_it_may_and_those_are_replaced_all_the_same(store: &dyn Store) {
    let warehouse = store.process().await;
    let id = warehouse.put_source(source()).await.unwrap().id;
    let other = warehouse.put_source(NewSource { location: "/other".into(), ..source() }).await.unwrap().id;
    let put = async |id, name: &str| warehouse.put_file(file(id, name, "sha256:0"), 2).await.unwrap();
    assert_eq!(put(id, "a.md").await, FileStored::New);
    assert_eq!(put(id, "b.md").await, FileStored::New);
    assert_eq!(put(id, "c.md").await, FileStored::Full);
    assert_eq!(put(id, "b.md").await, FileStored::Replaced);
    assert_eq!(put(other, "c.md").await, FileStored::New);
    assert_eq!(warehouse.files(id, None, 9).await.unwrap().items.len(), 2);
    assert!(warehouse.remove_file(id, "a.md").await.unwrap());
    assert_eq!(put(id, "c.md").await, FileStored::New);
}

#[doc(hidden)]
pub async fn a_source_takes_uploads_from_its_registration_to_the_beginning_of_its_removal(store: &dyn Store) {
    let warehouse = store.process().await;
    let new = source();
    let id = SourceId::of(&new.author, &new.kind, &new.location);
    let put = async || warehouse.put_file(file(id, "a.md", "sha256:0"), 9).await.unwrap();
    assert_eq!(put().await, FileStored::NotRegistered);
    warehouse.put_source(new.clone()).await.unwrap();
    assert_eq!(put().await, FileStored::New);
    let removal = warehouse.begin_removal(id).await.unwrap().unwrap();
    assert_eq!(put().await, FileStored::NotRegistered, "nobody would remove it any more");
    assert!(warehouse.remove_file_claimed(&removal, "a.md").await.unwrap());
    assert!(!warehouse.remove_file_claimed(&removal, "a.md").await.unwrap());
    assert!(warehouse.remove_source(&removal).await.unwrap());
    assert_eq!(put().await, FileStored::NotRegistered);
    assert!(warehouse.files(id, None, 9).await.unwrap().items.is_empty());
    warehouse.put_source(new).await.unwrap();
    assert_eq!(put().await, FileStored::New);
}

#[doc(hidden)]
pub async fn a_removal_leaves_the_uploads_and_secrets_of_a_source_that_was_registered_anew(store: &dyn Store) {
    let warehouse = store.process().await;
    let id = warehouse.put_source(source()).await.unwrap().id;
    let secrets: Secrets = [("token", Secret::new("s3cr3t"))].into_iter().collect();
    warehouse.put_secrets(id, &secrets).await.unwrap();
    warehouse.put_file(file(id, "a.md", "sha256:0"), 9).await.unwrap();
    let lost = warehouse.begin_removal(id).await.unwrap().unwrap();
    warehouse.put_source(source()).await.unwrap();
    warehouse.put_file(file(id, "b.md", "sha256:1"), 9).await.unwrap();
    for name in ["a.md", "b.md"] {
        assert!(matches!(warehouse.remove_file_claimed(&lost, name).await, Err(Error::ClaimLost)), "{name}");
    }
    assert!(matches!(warehouse.forget_secrets_claimed(&lost).await, Err(Error::ClaimLost)));
    assert_eq!(warehouse.files(id, None, 9).await.unwrap().items.len(), 2);
    assert_eq!(warehouse.secrets(id).await.unwrap(), secrets);

    let removal = warehouse.begin_removal(id).await.unwrap().unwrap();
    warehouse.forget_secrets_claimed(&removal).await.unwrap();
    warehouse.forget_secrets_claimed(&removal).await.unwrap();
    assert!(warehouse.secrets(id).await.unwrap().is_empty());
}
