//! Sweeps: what is wrong with them, and which recipes they try.

use twin_training::Sweep;

#[test]
fn a_sweep_says_what_is_wrong_with_it_and_draws_the_same_recipes_each_time() {
    for (text, wrong) in [
        ("search = \"grid\"\ntrials = 0\n[values]\nrank = [2]\n", "`trials`"),
        ("search = \"grid\"\ntrials = 2\n[values]\nrnk = [2]\n", "rnk"),
        ("search = \"grid\"\ntrials = 2\n[values]\nrank = [0]\n", "rank"),
        ("search = \"best\"\ntrials = 2\n[values]\nrank = [2]\n", "best"),
        ("search = \"grid\"\ntrials = 2\n[values]\n", "`values`"),
    ] {
        let error = Sweep::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
    for (key, values) in [
        ("method", "[\"sft\", \"dpo\"]"),
        ("stages", "[[]]"),
        ("dpo_beta", "[0.1, 0.5]"),
        ("dpo_nll", "[0.0, 0.2]"),
        ("dpo_ld_alpha", "[0.5, 1.0]"),
        ("eval_samples", "[8, 64]"),
    ] {
        let text = format!("search = \"grid\"\ntrials = 2\n[values]\nrank = [2, 4]\n{key} = {values}\n");
        let error = Sweep::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(&format!("`{key}`")) && error.contains("can not be compared"), "{error}");
    }
    let random = "search = \"random\"\ntrials = 5\nseed = 3\n[values]\nrank = [2, 4, 8]\nalpha = [8.0, 16.0, 32.0]\n";
    let draw = || Sweep::from_toml(random).unwrap().recipes().unwrap();
    let drawn = draw();
    assert_eq!((drawn.len(), &drawn), (5, &draw()));
    assert!(drawn.iter().enumerate().all(|(index, recipe)| !drawn[..index].contains(recipe)));
}
