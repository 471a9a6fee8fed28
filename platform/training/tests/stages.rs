//! Recipes of two stages: what they say, what they leave open, and what is wrong with some.

use twin_training::{Method, Recipe, Shape, Stage, Target};

const STAGED: &str = "rank = 16\nlearning_rate = 0.001\nepochs = 4\npack_tokens = 1024\npatience = 3\neval_every = 25\n\
                      [[stages]]\nmethod = \"sft\"\n[[stages]]\nmethod = \"dpo\"\ndpo_beta = 0.3\nwarmup_steps = 2\n";

/// SmolLM2-135M.
const SHAPE: Shape = Shape { hidden: 576, parameters: 134_515_008, max_tokens: 8_192, token_bytes: 691_200 };

#[test]
fn a_recipe_of_two_stages_has_one_text_and_is_read_back_from_it_and_from_toml() {
    let recipe = Recipe::parse(STAGED).unwrap();
    assert_eq!(recipe.stages.len(), 2);
    assert_eq!(Recipe::from_canonical(&recipe.canonical()).unwrap(), recipe);
    assert_eq!(Recipe::from_toml(&toml::to_string(&recipe).unwrap()).unwrap(), recipe);
    let single = Recipe { stages: Vec::new(), ..recipe.clone() };
    assert_ne!(recipe.canonical(), single.canonical(), "it is other work");
}

#[test]
fn the_second_stage_has_a_rate_a_length_and_packs_of_its_own_and_takes_the_rest_from_the_recipe() {
    let recipe = Recipe::parse(STAGED).unwrap();
    let [first, second]: [Recipe; 2] = recipe.by_stage().try_into().unwrap();
    assert_eq!((first.method, first.learning_rate, first.epochs), (Method::Sft, Some(0.001), Some(4)));
    assert_eq!((first.pack_tokens, first.dpo_nll, first.dpo_ld_alpha), (Some(1024), 0.0, 1.0));
    assert_eq!((second.method, second.learning_rate, second.epochs), (Method::Dpo, None, None));
    assert_eq!((second.pack_tokens, second.dpo_nll, second.dpo_ld_alpha), (None, 0.2, 0.5));
    assert_eq!((second.dpo_beta, second.warmup_steps, second.rank, second.patience), (0.3, 2, 16, 3));
    assert!(first.stages.is_empty() && second.stages.is_empty());
    let alone = Recipe::parse("rank = 4\n").unwrap();
    assert_eq!(alone.by_stage(), std::slice::from_ref(&alone));
}

#[test]
fn with_all_filled_in_it_is_the_same_work_again() {
    let recipe = Recipe::parse(STAGED).unwrap();
    let settle = |recipe: &Recipe| {
        let [first, second]: [Recipe; 2] = recipe.by_stage().try_into().unwrap();
        let first = first.settled(&SHAPE, &[300, 900], &[]);
        let second = second.settled_after(&first, &SHAPE, &[1_500; 40], &[]);
        recipe.filled(&[first, second])
    };
    let filled = settle(&recipe);
    assert_eq!(filled.targets.as_deref(), Some(&Target::ALL[..]));
    let second = &filled.stages[1];
    assert_eq!((second.learning_rate, second.dpo_nll, second.dpo_ld_alpha), (Some(1e-4), Some(0.2), Some(0.5)));
    assert!(second.epochs.is_some() && second.pack_tokens == Some(1_536), "{second:?}");
    assert_eq!(filled.stages[0].dpo_nll, None, "it is none of its");
    filled.validate().unwrap();
    assert_eq!(settle(&filled), filled);
    let alone = Recipe::parse("rank = 4\n").unwrap();
    let settled = alone.settled(&SHAPE, &[300], &[]);
    assert_eq!(alone.filled(std::slice::from_ref(&settled)), settled.recipe);
}

#[test]
fn stages_that_can_not_be_are_refused_with_the_key() {
    let stages = |methods: &[&str]| -> String {
        methods.iter().map(|method| format!("[[stages]]\nmethod = \"{method}\"\n")).collect()
    };
    for (text, wrong) in [
        (stages(&["sft"]), "`stages`"),
        (stages(&["dpo", "sft"]), "`stages`"),
        (stages(&["sft", "dpo", "dpo"]), "`stages`"),
        (format!("method = \"dpo\"\n{}", stages(&["sft", "dpo"])), "`method`"),
        (format!("dpo_nll = 0.1\n{}", stages(&["sft", "dpo"])), "dpo_nll"),
        (format!("{}dpo_beta = 0.1\n", stages(&["sft"])) + &stages(&["dpo"]), "keys of `dpo`"),
        (format!("{}learning_rate = 0.0\n", stages(&["sft", "dpo"])), "`learning_rate`"),
        (format!("{}rank = 4\n", stages(&["sft", "dpo"])), "rank"),
    ] {
        let error = Recipe::parse(&text).unwrap_err().to_string();
        assert!(error.contains(wrong), "{text}: {error}");
    }
    let written = Recipe { stages: vec![Stage::of(Method::Sft), Stage::of(Method::Dpo)], ..Recipe::default() };
    assert_eq!(Recipe::parse(&stages(&["sft", "dpo"])).unwrap(), written);
}
