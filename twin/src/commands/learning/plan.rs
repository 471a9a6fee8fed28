//! What a run is, as people read it: how much is trained, and which samples it leaves out.

use std::collections::BTreeMap;

use twin_api::{PlanView, SampleFit, StagePlanView};

/// Its lines, for a job and for a model.
pub fn fields(plan: &PlanView) -> Vec<(&'static str, String)> {
    let gigabytes = plan.memory_bytes as f64 / 1e9;
    let mut fields = vec![
        ("steps", format!("{} at most", plan.steps)),
        ("tokens", format!("{} trained on, {} to evaluate", plan.tokens, plan.evaluation_tokens)),
        ("memory", format!("about {gigabytes:.1} GB")),
        ("samples", samples(&plan.samples)),
    ];
    fields.extend(plan.stages.iter().map(|stage| ("stage", of_stage(stage))));
    fields.push(("left out", left_out(plan)));
    fields.extend(unseen(plan).map(|unseen| ("not seen", unseen)));
    fields
}

/// `dpo: 30 steps at most, 90000 tokens trained on, 9000 to evaluate`.
fn of_stage(stage: &StagePlanView) -> String {
    let StagePlanView { method, steps, tokens, evaluation_tokens, .. } = stage;
    format!("{method}: {steps} steps at most, {tokens} tokens trained on, {evaluation_tokens} to evaluate")
}

fn samples(samples: &BTreeMap<String, SampleFit>) -> String {
    let kinds: Vec<String> = samples.iter().map(|(kind, fit)| format!("{} {kind}", fit.read)).collect();
    kinds.join(", ")
}

/// Which samples a run leaves out. Each stage has lengths of its own.
pub fn left_out(plan: &PlanView) -> String {
    if plan.stages.is_empty() {
        return longer_than(&plan.samples, plan.longest, plan.limit);
    }
    let stage = |stage: &StagePlanView| {
        format!("{}: {}", stage.method, longer_than(&stage.samples, stage.longest, stage.limit))
    };
    plan.stages.iter().map(stage).collect::<Vec<_>>().join("; ")
}

fn longer_than(samples: &BTreeMap<String, SampleFit>, longest: u64, limit: u64) -> String {
    let left = samples.iter().filter(|(_, fit)| fit.too_long > 0);
    let kinds: Vec<String> = left.map(|(kind, fit)| format!("{} of {} {kind}", fit.too_long, fit.read)).collect();
    match kinds.is_empty() {
        true => format!("none: the longest has {longest} tokens"),
        false => format!("{}: longer than {limit} tokens (the longest has {longest})", kinds.join(", ")),
    }
}

/// Which samples no step of a run sees, though they fit; none if there is no such sample.
pub fn unseen(plan: &PlanView) -> Option<String> {
    let unseen = plan.samples.iter().filter(|(_, fit)| fit.unseen > 0);
    let kinds: Vec<String> = unseen.map(|(kind, fit)| format!("{} {kind}", fit.unseen)).collect();
    let why = "training ends before their turn (`epochs` or `max_steps` of the recipe)";
    (!kinds.is_empty()).then(|| format!("{}: {why}", kinds.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_by_kind_with_the_lengths() {
        let fit = |read, too_long| SampleFit { read, too_long, unseen: 0 };
        let mut plan = PlanView {
            recipe: "{}".to_owned(),
            samples: BTreeMap::from([("grounded".to_owned(), fit(30, 30)), ("voice".to_owned(), fit(90, 0))]),
            longest: 1_380,
            limit: 256,
            steps: 150,
            tokens: 210_000,
            evaluation_tokens: 17_000,
            memory_bytes: 2_640_000_000,
            stages: Vec::new(),
        };
        assert_eq!(left_out(&plan), "30 of 30 grounded: longer than 256 tokens (the longest has 1380)");
        let text: Vec<String> = fields(&plan).into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(text[2..4], ["memory about 2.6 GB", "samples 30 grounded, 90 voice"]);
        assert_eq!((unseen(&plan), text.len()), (None, 5));
        if let Some(voice) = plan.samples.get_mut("voice") {
            voice.unseen = 40;
        }
        let (name, told) = fields(&plan).pop().unwrap();
        assert!(name == "not seen" && told.starts_with("40 voice: training ends before their turn"), "{told}");
        plan.samples.clear();
        assert_eq!(left_out(&plan), "none: the longest has 1380 tokens");
    }

    #[test]
    fn a_run_in_stages_tells_of_each() {
        let fit = |read, too_long| SampleFit { read, too_long, unseen: 0 };
        let stage = |method: &str, kind: &str, fit, longest, steps| StagePlanView {
            method: method.to_owned(),
            samples: BTreeMap::from([(kind.to_owned(), fit)]),
            longest,
            limit: 1_408,
            steps,
            tokens: 1_000 * steps,
            evaluation_tokens: 9_000,
        };
        let plan = PlanView {
            recipe: "{}".to_owned(),
            samples: BTreeMap::from([("preference".to_owned(), fit(40, 3)), ("voice".to_owned(), fit(90, 0))]),
            longest: 1_380,
            limit: 1_408,
            steps: 180,
            tokens: 180_000,
            evaluation_tokens: 18_000,
            memory_bytes: 2_640_000_000,
            stages: vec![
                stage("sft", "voice", fit(90, 0), 1_380, 150),
                stage("dpo", "preference", fit(40, 3), 2_100, 30),
            ],
        };
        let text: Vec<String> = fields(&plan).into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(text[4], "stage sft: 150 steps at most, 150000 tokens trained on, 9000 to evaluate");
        assert!(text[5].starts_with("stage dpo: 30 steps"), "{text:?}");
        let left_out = "left out sft: none: the longest has 1380 tokens; dpo: 3 of 40 preference: longer than 1408 tokens \
                        (the longest has 2100)";
        assert_eq!(text[6], left_out);
    }
}
