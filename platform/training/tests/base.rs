//! Base models and recipes, as everybody who names them knows them.

use std::path::Path;

use twin_training::{Base, Recipe, Shape, Target};

/// A configuration, and a safetensors file with that header.
fn model(folder: &Path, config: &str, header: &str) {
    model_of(folder, config, header, b"weights");
}

/// A configuration, and a safetensors file with that header and these bytes behind it.
fn model_of(folder: &Path, config: &str, header: &str, weights: &[u8]) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.json"), config).unwrap();
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(folder.join("model.safetensors"), [&length[..], header.as_bytes(), weights].concat()).unwrap();
}

/// The header of a file with one tensor of that many single bytes.
fn one_tensor(bytes: usize) -> String {
    format!(r#"{{"weight": {{"dtype": "U8", "shape": [{bytes}], "data_offsets": [0, {bytes}]}}}}"#)
}

#[test]
fn a_model_whose_weights_were_trained_is_another_base_though_every_header_is_the_same() {
    let home = tempfile::tempdir().unwrap();
    for bytes in [1, 7, 64, 1000, 1_000_000] {
        let [base, merged] = ["base", "merged"].map(|name| home.path().join(name));
        model_of(&base, "{}", &one_tensor(bytes), &vec![1; bytes]);
        model_of(&merged, "{}", &one_tensor(bytes), &vec![2; bytes]);
        let [base, merged] = [base, merged].map(|path| Base::open(&path).unwrap());
        assert_ne!(base.fingerprint, merged.fingerprint, "{bytes} bytes");
        assert!(base.require(&merged.fingerprint).is_err(), "{bytes} bytes");
    }
}

#[test]
fn the_first_and_the_last_bytes_of_a_tensor_count() {
    let home = tempfile::tempdir().unwrap();
    let fingerprint_of = |weights: &[u8]| {
        model_of(home.path(), "{}", &one_tensor(weights.len()), weights);
        Base::open(home.path()).unwrap().fingerprint
    };
    let weights = [1_u8; 5000];
    for place in [0, weights.len() - 1] {
        let mut changed = weights;
        changed[place] = 2;
        assert_ne!(fingerprint_of(&weights), fingerprint_of(&changed), "byte {place}");
    }
}

#[test]
fn another_tokenizer_is_another_base() {
    let home = tempfile::tempdir().unwrap();
    model(home.path(), "{}", "{}");
    let bare = Base::open(home.path()).unwrap();
    std::fs::write(home.path().join("tokenizer.json"), "{}").unwrap();
    assert_ne!(Base::open(home.path()).unwrap().fingerprint, bare.fingerprint);
}

#[test]
fn a_job_of_before_weights_were_looked_at_finds_its_base_model() {
    let home = tempfile::tempdir().unwrap();
    model(home.path(), "{}", "{}");
    // Configuration, the file's name, its length, its header.
    let named = "1d33fe220d77d0fe5a6d50136a324e33f1307e09647f57de716bac1be49357fe".to_owned();
    let base = Base::open(home.path()).unwrap();
    assert!(base.require(&named).is_ok() && base.is(&named) && base.is(&base.fingerprint) && !base.is("another"));
    assert_eq!(base.fingerprints(), [base.fingerprint.as_str(), named.as_str()]);
}

#[test]
fn a_weight_file_that_ends_before_its_tensors_do_is_refused() {
    let home = tempfile::tempdir().unwrap();
    model_of(home.path(), "{}", &one_tensor(100), &[1; 99]);
    let cut = Base::open(home.path()).unwrap_err();
    assert!(cut.to_string().contains("is no safetensors file"), "{cut}");
}

#[test]
fn a_base_model_is_the_same_wherever_it_lies_and_another_is_refused_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let [here, there, other, renamed] = ["here", "there", "other", "renamed"].map(|name| home.path().join(name));
    model(&here, "{}", "{}");
    model(&there, "{}", "{}");
    model(&other, "{}", "{ }");
    model(&renamed, "{}", "{}");
    std::fs::rename(renamed.join("model.safetensors"), renamed.join("model-2.safetensors")).unwrap();
    let base = Base::open(&here).unwrap();
    assert_eq!((base.name().as_str(), base.path.as_path()), ("here", here.as_path()));
    assert_eq!(Base::open(&there).unwrap().fingerprint, base.fingerprint);
    assert!(base.require(&base.fingerprint).is_ok());
    for another in [&other, &renamed] {
        let refused = base.require(&Base::open(another).unwrap().fingerprint).unwrap_err();
        assert!(refused.to_string().contains("set trainer.base") && !refused.is_transient(), "{refused}");
    }
}

#[test]
fn a_folder_that_is_no_base_model_is_refused_with_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let absent = Base::open(&home.path().join("absent")).unwrap_err();
    assert!(absent.to_string().contains("is no directory") && !absent.is_transient(), "{absent}");
    let empty = Base::open(home.path()).unwrap_err();
    assert!(empty.to_string().contains("config.json") && !empty.is_transient(), "{empty}");
    std::fs::write(home.path().join("config.json"), "{}").unwrap();
    let bare = Base::open(home.path()).unwrap_err();
    assert!(bare.to_string().contains("has no safetensors file"), "{bare}");
    std::fs::write(home.path().join("model.safetensors"), u64::MAX.to_le_bytes()).unwrap();
    let damaged = Base::open(home.path()).unwrap_err();
    assert!(damaged.to_string().contains("is no safetensors file"), "{damaged}");
}

#[test]
fn a_recipe_has_one_text_however_it_was_written_and_that_can_be_given_back() {
    let recipe = Recipe::parse("rank = 4\ntargets = [\"v_proj\", \"q_proj\"]\n").unwrap();
    let same = Recipe::parse("targets = [\"q_proj\", \"v_proj\"]\nrank = 4\n").unwrap();
    assert_eq!(recipe.canonical(), same.canonical());
    assert_eq!(Recipe::parse(&recipe.canonical()).unwrap().canonical(), recipe.canonical());
    for (text, wrong) in [("rank = 0", "rank"), ("{\"rank\": 0}", "rank"), ("{\"rnk\": 1}", "rnk"), ("rnk = 1", "rnk")]
    {
        let error = Recipe::parse(text).unwrap_err();
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

#[test]
fn a_recipe_of_an_earlier_version_keeps_its_text_and_leaves_nothing_open() {
    let text = "{\"method\":\"sft\",\"rank\":8,\"alpha\":16.0,\"dropout\":0.0,\"targets\":[\"q_proj\",\"v_proj\"],\
                \"learning_rate\":0.001,\"schedule\":\"linear\",\"warmup_steps\":4,\"epochs\":2,\"max_steps\":200,\
                \"pack_tokens\":256,\"accumulation\":1,\"clip\":1.0,\"weight_decay\":0.0,\"eval_every\":20,\
                \"eval_samples\":64,\"patience\":3,\"checkpoint_every\":20,\"seed\":0,\"dpo_beta\":0.1}";
    let recipe = Recipe::from_canonical(text).unwrap();
    assert_eq!(recipe.canonical(), text);
    let shape = Shape { hidden: 576, parameters: 135_000_000, max_tokens: 8_192, token_bytes: 691_200 };
    assert_eq!(recipe.settled(&shape, &[1_380], &[]).recipe.canonical(), text);
    let open = Recipe::parse("rank = 4\n").unwrap().canonical();
    assert!(!open.contains("pack_tokens") && !open.contains("learning_rate") && !open.contains("epochs"), "{open}");
}

#[test]
fn the_scale_of_an_adapter_falls_with_its_rank_or_with_the_root_of_that() {
    let recipe = Recipe { rank: 16, alpha: 32.0, ..Recipe::default() };
    assert!((recipe.scale() - 2.0).abs() < 1e-12);
    let stable = Recipe { rslora: true, ..recipe.clone() };
    assert!((stable.scale() - 8.0).abs() < 1e-12);
    assert!(!recipe.canonical().contains("rslora"), "recipes of before keep their text");
    assert_eq!(Recipe::parse("rslora = true\n").unwrap(), Recipe { rslora: true, ..Recipe::default() });
}

#[test]
fn the_rates_and_terms_of_a_loss_that_are_not_named_leave_a_recipe_its_text() {
    for key in ["attention_rate", "mlp_rate", "dpo_nll", "dpo_ld_alpha", "stages"] {
        assert!(!Recipe::default().canonical().contains(key), "{key}");
    }
    let named = Recipe::parse("method = \"dpo\"\nmlp_rate = 0.5\ndpo_nll = 0.2\ndpo_ld_alpha = 0.5\n").unwrap();
    assert_eq!(Recipe::parse(&named.canonical()).unwrap(), named);
    assert_eq!((named.rate_of(Target::UpProj), named.rate_of(Target::QProj)), (0.5, 1.0));
    for (text, wrong) in [
        ("mlp_rate = 0.0", "`mlp_rate`"),
        ("attention_rate = -1.0", "`attention_rate`"),
        ("mlp_rate = 2.0\ntargets = [\"q_proj\"]", "`mlp_rate`"),
        ("dpo_nll = -0.1", "`dpo_nll`"),
        ("dpo_ld_alpha = 0.0", "`dpo_ld_alpha`"),
        ("dpo_ld_alpha = 1.5", "`dpo_ld_alpha`"),
    ] {
        let error = Recipe::parse(text).unwrap_err().to_string();
        assert!(error.contains(wrong), "{text}: {error}");
    }
}
