//! Lists of the API, which gives them in parts: read to their end, or as far as is asked for.

use clap::Args;
use serde_json::Value;

use crate::client::Client;
use crate::error::CommandError;

/// How many rows a list shows.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Limit {
    /// At most so many; all if absent.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// A list of the API.
pub struct List<'a> {
    /// Its path below `/v1`.
    pub path: &'a [&'a str],
    /// The member of an answer that has the rows.
    pub rows: &'a str,
    /// The parameter that takes an answer's `next`: `before` or `after`.
    pub cursor: &'a str,
    /// Rows of one answer, at most.
    pub page: usize,
}

impl<'a> List<'a> {
    /// A list whose newest rows come first.
    pub fn newest_first(path: &'a [&'a str], rows: &'a str) -> Self {
        Self { path, rows, cursor: "before", page: 1_000 }
    }

    /// A list in the order of a name.
    pub fn by_name(path: &'a [&'a str], rows: &'a str) -> Self {
        Self { path, rows, cursor: "after", page: 1_000 }
    }

    /// The rows from `from` on as one document: the first answer, with the rows of all. `next` is there if the list goes on
    /// behind the limit.
    pub async fn read(
        &self,
        client: &Client,
        query: &[(&str, &str)],
        from: Option<&str>,
        Limit { limit }: Limit,
    ) -> Result<Value, CommandError> {
        let mut from = from.map(str::to_owned);
        let mut document: Option<Value> = None;
        let mut read = 0;
        loop {
            let page = limit.map_or(self.page, |limit| (limit - read).min(self.page)).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &page));
            query.extend(from.as_deref().map(|from| (self.cursor, from)));
            let mut answer = client.get(self.path, &query).await?.into_json();
            from = answer["next"].as_str().map(str::to_owned);
            let rows = match answer.get_mut(self.rows) {
                Some(Value::Array(rows)) => std::mem::take(rows),
                // Not as expected: whoever reads the document says so.
                _ => Vec::new(),
            };
            read += rows.len();
            let is_over = from.is_none() || rows.is_empty() || limit.is_some_and(|limit| read >= limit);
            let whole = document.get_or_insert(answer);
            if let Some(Value::Array(all)) = whole.get_mut(self.rows) {
                all.extend(rows);
            }
            if is_over {
                set_next(whole, from);
                return Ok(document.unwrap_or_default());
            }
        }
    }

    /// As [`Self::read`], all of it.
    pub async fn read_all(&self, client: &Client, query: &[(&str, &str)]) -> Result<Value, CommandError> {
        self.read(client, query, None, Limit::default()).await
    }
}

fn set_next(document: &mut Value, next: Option<String>) {
    let Some(members) = document.as_object_mut() else { return };
    match next {
        Some(next) => drop(members.insert("next".to_owned(), next.into())),
        None => drop(members.remove("next")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use axum::extract::Query;
    use axum::routing::get;
    use axum::{Json, Router};
    use serde_json::json;

    use super::*;
    use crate::client::testing::serve;

    /// The numbers below 25 of one author, downwards, ten at a time.
    async fn numbers(Query(query): Query<HashMap<String, String>>) -> Json<Value> {
        assert_eq!(query["author"], "ada");
        let before: u64 = query.get("before").map_or(25, |before| before.parse().unwrap());
        let limit: u64 = query["limit"].parse().unwrap();
        assert!((1..=10).contains(&limit), "{limit}");
        let end = before.saturating_sub(limit);
        let mut document = json!({ "numbers": (end..before).rev().collect::<Vec<_>>(), "whose": "ada" });
        if end > 0 {
            document["next"] = json!(end.to_string());
        }
        Json(document)
    }

    async fn read(from: Option<&str>, limit: Option<usize>) -> Value {
        let client = serve(Router::new().route("/v1/numbers", get(numbers))).await;
        let list = List { page: 10, ..List::newest_first(&["numbers"], "numbers") };
        list.read(&client, &[("author", "ada")], from, Limit { limit }).await.unwrap()
    }

    #[tokio::test]
    async fn all_parts_of_a_list_are_one_document() {
        let expected = json!({ "numbers": (0..25).rev().collect::<Vec<_>>(), "whose": "ada" });
        assert_eq!(read(None, None).await, expected);
        assert_eq!(read(None, Some(100)).await, expected);
        assert_eq!(read(None, Some(25)).await, expected);
    }

    #[tokio::test]
    async fn a_limit_ends_the_list_and_says_where_it_goes_on() {
        let twelve = json!({ "numbers": (13..25).rev().collect::<Vec<_>>(), "whose": "ada", "next": "13" });
        assert_eq!(read(None, Some(12)).await, twelve);
        let rest = json!({ "numbers": (0..13).rev().collect::<Vec<_>>(), "whose": "ada" });
        assert_eq!(read(Some("13"), None).await, rest);
    }

    #[tokio::test]
    async fn an_empty_list_is_the_document_that_came() {
        let client = serve(Router::new().route("/v1/jobs", get(async || Json(json!({ "jobs": [] }))))).await;
        let list = List::newest_first(&["jobs"], "jobs");
        assert_eq!(list.read_all(&client, &[]).await.unwrap(), json!({ "jobs": [] }));
    }
}
