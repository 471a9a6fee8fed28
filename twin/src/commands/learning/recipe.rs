//! Recipes as people read them: a line for each parameter. The API has them as JSON on one line, or as TOML.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The parameters of a recipe by name, those of a table as `table.name` and of a list of tables as `table.1.name`. None: it is neither JSON nor TOML.
pub fn parameters(text: &str) -> Option<BTreeMap<String, String>> {
    let json = serde_json::from_str::<Map<String, Value>>(text).ok();
    let recipe = json.or_else(|| toml::from_str::<Map<String, Value>>(text).ok())?;
    let mut parameters = BTreeMap::new();
    for (name, value) in &recipe {
        flatten(name, value, &mut parameters);
    }
    Some(parameters)
}

fn flatten(name: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                flatten(&format!("{name}.{key}"), value, into);
            }
        }
        Value::Array(tables) if !tables.is_empty() && tables.iter().all(Value::is_object) => {
            for (place, table) in tables.iter().enumerate() {
                flatten(&format!("{name}.{}", place + 1), table, into);
            }
        }
        Value::String(text) => drop(into.insert(name.to_owned(), text.clone())),
        value => drop(into.insert(name.to_owned(), value.to_string())),
    }
}

/// The recipe, a parameter a line; as it is where it can not be read.
pub fn lines(text: &str) -> String {
    let lines: Vec<String> = match parameters(text) {
        Some(parameters) => parameters.into_iter().map(|(name, value)| format!("  {name} = {value}")).collect(),
        None => text.trim_end().lines().map(|line| format!("  {line}")).collect(),
    };
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_in_json_or_toml_is_a_line_for_each_parameter() {
        let json = r#"{"rank":8,"method":"sft","targets":["q_proj","v_proj"],"schedule":{"warmup_steps":10}}"#;
        let toml = "method = \"sft\"\nrank = 8\ntargets = [\"q_proj\", \"v_proj\"]\n[schedule]\nwarmup_steps = 10\n";
        let expected = "  method = sft\n  rank = 8\n  schedule.warmup_steps = 10\n  targets = [\"q_proj\",\"v_proj\"]";
        assert_eq!((lines(json).as_str(), lines(toml).as_str()), (expected, expected));
        let staged = r#"{"rank":8,"stages":[{"method":"sft"},{"epochs":2,"method":"dpo"}]}"#;
        let expected = "  rank = 8\n  stages.1.method = sft\n  stages.2.epochs = 2\n  stages.2.method = dpo";
        assert_eq!(lines(staged), expected);
        assert_eq!((parameters("rank = ["), lines("rank = [\n").as_str()), (None, "  rank = ["));
    }
}
