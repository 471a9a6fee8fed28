//! The commands of the learning loop: from the author's documents to the model that answers.

pub mod chart;
pub mod compare;
pub mod datasets;
pub mod deployment;
pub mod difference;
pub mod evaluate;
pub mod export;
pub mod freeze;
pub mod jobs;
pub mod models;
pub mod plan;
mod recipe;
pub mod report;
mod run;
pub mod runs;
pub mod status;
pub mod train;
pub mod views;
pub mod watch;

#[cfg(test)]
mod against_a_gateway;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod twin_under_test;

use std::time::Duration;

use clap::Args;
use serde::de::DeserializeOwned;

use super::lists::{Limit, List};
use super::views::author_query;
use super::{AuthorOption, Context};
use crate::client::parse;
use crate::error::CommandError;

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// Which rows a list shows.
#[derive(Debug, Args)]
pub struct Which {
    #[command(flatten)]
    author: AuthorOption,
    #[command(flatten)]
    limit: Limit,
}

/// Fetches the rows of a route that lists them, to be told in a table. None: that was done, as the API's document or with
/// the note for an empty list.
async fn listed<T: DeserializeOwned>(
    route: &str,
    which: &Which,
    note_if_empty: &str,
    context: &mut Context,
) -> Result<Option<Vec<T>>, CommandError> {
    let rows = route.replace('-', "_");
    let (path, query) = ([route], author_query(which.author.name()));
    let document = List::newest_first(&path, &rows).read(&context.client, &query, None, which.limit).await?;
    if context.json {
        context.out.json(&document)?;
        return Ok(None);
    }
    let rows: Vec<T> = parse(&document[rows])?;
    if rows.is_empty() {
        context.out.note(note_if_empty);
        return Ok(None);
    }
    Ok(Some(rows))
}

/// Who decides, and why.
#[derive(Debug, Args)]
pub struct Decider {
    /// Who decides.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: String,
    /// Why.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    why: String,
}

/// The beginning of an id that people read and type.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// A measured value with four significant digits.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e6).contains(&magnitude) {
        let digits = if value == 0.0 { 0 } else { 3 - magnitude.log10().floor() as i32 };
        return format!("{value:.*}", usize::try_from(digits).unwrap_or(0));
    }
    format!("{value:.3e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_four_significant_digits() {
        let expected = [
            (0.0, "0"),
            (1.23456, "1.235"),
            (-0.0123456, "-0.01235"),
            (123.456, "123.5"),
            (12_345.6, "12346"),
            (0.000_2, "2.000e-4"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in expected {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn an_id_is_shown_by_its_first_twelve_digits() {
        assert_eq!((short(&"a".repeat(64)), short("ab")), ("aaaaaaaaaaaa", "ab"));
    }
}
