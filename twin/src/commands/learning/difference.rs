//! `twin datasets diff`: what changed between two versions.

use twin_api::{CountChangeView, DatasetDiff};
use uuid::Uuid;

use super::super::Context;
use super::super::text::{Align, Table, count};
use super::short;
use crate::error::CommandError;

/// Documents that are named, of each kind of change.
const NAMED: usize = 20;

/// Runs the command.
pub async fn run(a: &str, b: &str, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["datasets", a, "diff", b], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    context.out.line(&description(&reply.parse()?))
}

fn description(difference: &DatasetDiff) -> String {
    let mut blocks = Vec::new();
    if !difference.counts.is_empty() {
        blocks.push(counts(&difference.counts).render());
    }
    let documents = [
        ("added", &difference.added),
        ("removed", &difference.removed),
        ("with other content", &difference.changed),
        ("in another split", &difference.moved),
    ];
    blocks.extend(documents.into_iter().filter(|(_, ids)| !ids.is_empty()).map(|(what, ids)| listed(what, ids)));
    let causes = [
        (difference.options_changed, "the options of the two differ"),
        (difference.build_changed, "they were made by different versions of the code"),
    ];
    blocks.extend(causes.into_iter().filter(|(holds, _)| *holds).map(|(_, cause)| cause.to_owned()));
    let heading = format!("{} -> {}", short(&difference.from), short(&difference.to));
    if blocks.is_empty() {
        return format!("{heading}: no difference");
    }
    format!("{heading}\n\n{}", blocks.join("\n\n"))
}

fn counts(changes: &[CountChangeView]) -> Table {
    use Align::{Left, Right};
    let mut table =
        Table::new(&[("SPLIT", Left), ("SAMPLES", Left), ("BEFORE", Right), ("AFTER", Right), ("CHANGE", Right)]);
    for CountChangeView { split, kind, before, after } in changes {
        let change = i128::from(*after) - i128::from(*before);
        table.row(vec![split.clone(), kind.clone(), before.to_string(), after.to_string(), format!("{change:+}")]);
    }
    table
}

fn listed(what: &str, ids: &[Uuid]) -> String {
    let mut text = format!("{} {what}", count(ids.len() as u64, "document"));
    for id in ids.iter().take(NAMED) {
        text += &format!("\n  {id}");
    }
    if ids.len() > NAMED {
        text += &format!("\n  and {} more", ids.len() - NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_names_documents_and_counts_and_says_if_there_is_none() {
        let document = |number: u128| Uuid::from_u128(number).to_string();
        let many: Vec<String> = (0..25).map(document).collect();
        let difference = json!({
            "from": "a".repeat(64), "to": "b".repeat(64), "added": many, "removed": [document(99)], "changed": [], "moved": [],
            "counts": [{"split": "train", "kind": "voice", "before": 12, "after": 9}],
            "options_changed": true, "build_changed": false,
        });
        let text = description(&serde_json::from_value(difference).unwrap());
        assert!(text.starts_with("aaaaaaaaaaaa -> bbbbbbbbbbbb\n\nSPLIT"), "{text}");
        assert!(text.contains("train  voice        12      9      -3"), "{text}");
        assert!(
            text.contains(&format!("25 documents added\n  {}", document(0))) && text.contains("and 5 more"),
            "{text}"
        );
        assert!(text.contains(&format!("1 document removed\n  {}", document(99))), "{text}");
        assert!(text.ends_with("the options of the two differ"), "{text}");
        let same = serde_json::from_value(json!({"from": "a", "to": "a"})).unwrap();
        assert_eq!(description(&same), "a -> a: no difference");
    }
}
