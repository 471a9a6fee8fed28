//! Puts the layers on top of each other and remembers which one each value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use strsim::levenshtein;
use toml::{Table, Value};

use super::keys::{self, Key};
use super::{Config, TOKENIZER};

/// Variables that are not keys: where the service is, the author meant, where downloads are, which file to read.
const OTHER_VARIABLES: [&str; 5] = ["TWIN_URL", "TWIN_AUTHOR", "TWIN_CACHE", "TWIN_CONFIG", "TWIN_BIN"];

/// The file read when none is named.
const DEFAULT_FILE: &str = "twin.toml";

/// A configuration that can not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", self.place())]
pub struct ConfigError {
    /// Where the value stands.
    pub origin: Origin,
    /// The key.
    pub key: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl ConfigError {
    fn place(&self) -> String {
        match &self.origin {
            Origin::Variable(name) if *name == self.key => name.clone(),
            origin => format!("{origin}: {}", self.key),
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing set it.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable.
    Variable(String),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// What the command line says of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--log`.
    pub log: Option<String>,
}

/// The effective configuration and where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration, with `~` resolved.
    pub config: Config,
    /// Key, value as TOML, origin; by key.
    pub values: Vec<(String, Value, Origin)>,
}

type Values = BTreeMap<String, (Value, Origin)>;

/// Loads and validates the configuration. `environment` and `home` are the process's.
pub fn load(flags: &Flags, environment: &[(String, String)], home: Option<&Path>) -> Result<Loaded, ConfigError> {
    let keys = keys::all();
    let mut values = Values::new();
    add_defaults(&mut values, &keys, environment)?;
    add_file(&mut values, &keys, flags, environment)?;
    add_variables(&mut values, &keys, environment)?;
    add_flags(&mut values, flags);
    let config = build(&values)?;
    if let Some((key, problem)) = config.problem() {
        // A problem of a whole table is most likely that of the value that somebody set in it.
        let set = values.iter().find(|(known, (_, origin))| known.starts_with(key) && *origin != Origin::Default);
        let origin = set.map_or(Origin::Default, |(_, (_, origin))| origin.clone());
        return Err(ConfigError { origin, key: key.to_owned(), problem });
    }
    let config = with_home(config, home)?;
    let values = values.into_iter().map(|(key, (value, origin))| (key, value, origin)).collect();
    Ok(Loaded { config, values })
}

/// `TWIN_CACHE` moves what `make models` fetches, so it moves the defaults that name it.
fn add_defaults(values: &mut Values, keys: &[Key], environment: &[(String, String)]) -> Result<(), ConfigError> {
    let table = Table::try_from(Config::default()).map_err(|error| ConfigError {
        origin: Origin::Default,
        key: "(all)".to_owned(),
        problem: error.to_string(),
    })?;
    flatten(keys, "", &table, &mut |key, value| {
        values.insert(key, (value.clone(), Origin::Default));
    });
    if let Some(cache) = variable(environment, "TWIN_CACHE") {
        for (value, origin) in values.values_mut() {
            if let Some(rest) = value.as_str().and_then(|text| text.strip_prefix("~/.cache/llm-twin")) {
                *value = Value::String(format!("{}{rest}", cache.trim_end_matches('/')));
                *origin = Origin::Variable("TWIN_CACHE".to_owned());
            }
        }
    }
    Ok(())
}

fn variable<'a>(environment: &'a [(String, String)], name: &str) -> Option<&'a str> {
    environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Hands over each key with its value. A table whose keys the user makes up is one value.
fn flatten(keys: &[Key], prefix: &str, table: &Table, take: &mut dyn FnMut(String, &Value)) {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) if !keys.iter().any(|key| key.path == path && key.is_table()) => {
                flatten(keys, &path, inner, take);
            }
            value => take(path, value),
        }
    }
}

fn add_file(
    values: &mut Values,
    keys: &[Key],
    flags: &Flags,
    environment: &[(String, String)],
) -> Result<(), ConfigError> {
    let named = flags.file.clone().or_else(|| variable(environment, "TWIN_CONFIG").map(PathBuf::from));
    let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    if named.is_none() && !path.exists() {
        return Ok(());
    }
    let origin = Origin::File(path.clone());
    let failed = |problem: String| ConfigError { origin: origin.clone(), key: "(file)".to_owned(), problem };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(format!("can not be read: {error}")))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| failed(error.to_string()))?;
    let mut unknown = None;
    flatten(keys, "", &table, &mut |key, value| {
        if keys.iter().any(|known| known.path == key) {
            values.insert(key, (value.clone(), origin.clone()));
        } else {
            unknown.get_or_insert(key);
        }
    });
    unknown.map_or(Ok(()), |key| {
        let problem = format!("there is no such key{}; `twin config` lists them", suggestion(keys, &key));
        Err(ConfigError { origin: origin.clone(), key, problem })
    })
}

/// The key that was perhaps meant: the one with the same last part, or the nearest spelling.
fn suggestion(keys: &[Key], key: &str) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let same_name = keys.iter().find(|known| last(&known.path) == last(key));
    let distance = |known: &&Key| levenshtein(&known.path, key);
    let nearest = || keys.iter().filter(|known| distance(known) <= 3).min_by_key(distance);
    same_name.or_else(nearest).map(|known| format!(" (did you mean {}?)", known.path)).unwrap_or_default()
}

fn add_variables(values: &mut Values, keys: &[Key], environment: &[(String, String)]) -> Result<(), ConfigError> {
    for (name, text) in environment {
        if !name.starts_with("TWIN_") || OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        let origin = Origin::Variable(name.clone());
        let Some(key) = keys.iter().find(|key| key.variable() == *name) else {
            let distance = |variable: &String| levenshtein(variable, name);
            let variables = keys.iter().map(Key::variable);
            let nearest = variables.filter(|variable| distance(variable) <= 3).min_by_key(distance);
            let meant = nearest.map(|variable| format!(" (did you mean {variable}?)")).unwrap_or_default();
            let problem = format!("no key has this variable{meant}; `twin config --reference` lists them");
            return Err(ConfigError { origin, key: name.clone(), problem });
        };
        let value = if key.is_text() { Value::String(text.clone()) } else { parse(key, text, &origin)? };
        values.insert(key.path.clone(), (value, origin));
    }
    Ok(())
}

/// A value that is no text is written as in TOML.
fn parse(key: &Key, text: &str, origin: &Origin) -> Result<Value, ConfigError> {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.ok_or_else(|| ConfigError {
        origin: origin.clone(),
        key: key.path.clone(),
        problem: format!("{text:?} is not {}, written as in TOML", key.kind),
    })
}

fn add_flags(values: &mut Values, flags: &Flags) {
    let mut set = |key: &str, flag, value: Option<String>| {
        if let Some(value) = value {
            values.insert(key.to_owned(), (Value::String(value), Origin::Flag(flag)));
        }
    };
    set("data", "--data", flags.data.as_ref().map(|path| path.to_string_lossy().into_owned()));
    set("listen", "--listen", flags.listen.map(|address| address.to_string()));
    set("log.url", "--log", flags.log.clone());
}

fn build(values: &Values) -> Result<Config, ConfigError> {
    let mut root = Table::new();
    for (key, (value, _)) in values {
        insert(&mut root, key, value.clone());
    }
    serde_path_to_error::deserialize(root).map_err(|error| {
        let key = error.path().to_string();
        // The path may end above the value (a table) or within it (an item of a list).
        let origin = values.iter().find(|(known, _)| key.starts_with(known.as_str()) || known.starts_with(&key));
        ConfigError {
            origin: origin.map_or(Origin::Default, |(_, (_, origin))| origin.clone()),
            problem: error.into_inner().to_string().trim().to_owned(),
            key,
        }
    })
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// Puts the home folder for `~` in paths, and fills in paths that follow from others.
fn with_home(mut config: Config, home: Option<&Path>) -> Result<Config, ConfigError> {
    let paths = [
        ("data", &mut config.data),
        ("chunker.tokenizer", &mut config.chunker.tokenizer),
        ("embedder.model_dir", &mut config.embedder.model_dir),
        ("embedder.runtime_library", &mut config.embedder.runtime_library),
        ("llm.model", &mut config.llm.model),
        ("crawler.git.work_dir", &mut config.crawler.git.work_dir),
    ];
    for (key, path) in paths {
        let Ok(rest) = path.strip_prefix("~") else { continue };
        let home = home.ok_or_else(|| ConfigError {
            origin: Origin::Default,
            key: key.to_owned(),
            problem: "HOME is not set: give a path without ~".to_owned(),
        })?;
        *path = home.join(rest);
    }
    if config.crawler.git.work_dir.as_os_str().is_empty() {
        config.crawler.git.work_dir = config.data.join("git");
    }
    if config.chunker.tokenizer.as_os_str().is_empty() {
        config.chunker.tokenizer = config.embedder.model_dir.join(TOKENIZER);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(file: &str, environment: &[(&str, &str)], flags: Flags) -> Result<Loaded, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("twin.toml");
        std::fs::write(&path, file).unwrap();
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Flags { file: Some(path), ..flags }, &environment, Some(Path::new("/home/ada")))
    }

    fn origin(loaded: &Loaded, key: &str) -> Origin {
        loaded.values.iter().find(|(known, _, _)| known == key).unwrap().2.clone()
    }

    #[test]
    fn each_layer_covers_the_one_below_and_is_remembered() {
        let file = "[llm]\nmax_tokens = 7\ntemperature = 0.5\n[log]\npartitions = 2\n";
        let flags = Flags { log: Some("kafka://broker:9092".into()), ..Flags::default() };
        let environment = [("TWIN_LLM_MAX_TOKENS", "9"), ("TWIN_DATA", "/srv/twin"), ("TWIN_LOG_URL", "sqlite:")];
        let loaded = load_with(file, &environment, flags).unwrap();
        assert_eq!(loaded.config.llm.max_tokens, 9);
        assert!((loaded.config.llm.temperature - 0.5).abs() < f64::EPSILON);
        assert_eq!(loaded.config.log.partitions, 2);
        assert_eq!(loaded.config.data, Path::new("/srv/twin"));
        assert!(
            matches!(loaded.config.log_kind(), Ok(super::super::LogKind::Kafka(options)) if options.brokers == "broker:9092")
        );
        assert_eq!(origin(&loaded, "llm.max_tokens"), Origin::Variable("TWIN_LLM_MAX_TOKENS".into()));
        assert!(matches!(origin(&loaded, "llm.temperature"), Origin::File(_)));
        assert_eq!(origin(&loaded, "log.url"), Origin::Flag("--log"));
        assert_eq!(origin(&loaded, "llm.concurrency"), Origin::Default);
        assert_eq!(loaded.config.llm.model, Path::new("/home/ada/.cache/llm-twin/models/smollm2-135m-instruct-f32"));
    }

    #[test]
    fn the_default_model_is_that_of_the_cache_wherever_that_is_and_any_other_was_chosen() {
        let is_default = |file: &str, environment: &[(&str, &str)]| {
            load_with(file, environment, Flags::default()).unwrap().config.has_default_model()
        };
        assert!(is_default("", &[]) && is_default("", &[("TWIN_CACHE", "/var/cache/twin/")]));
        assert!(!is_default("[llm]\nmodel = \"/models/mine\"\n", &[]));
        assert!(!is_default("[llm]\nendpoint = \"http://127.0.0.1:9/v1\"\n", &[]));
    }

    #[test]
    fn chunks_are_measured_with_the_embedding_models_tokenizer_unless_another_is_named() {
        let tokenizer = |file: &str| load_with(file, &[], Flags::default()).unwrap().config.chunker.tokenizer;
        assert_eq!(tokenizer("[embedder]\nmodel_dir = \"~/e5\"\n"), Path::new("/home/ada/e5/tokenizer.json"));
        let named = "[embedder]\nmodel_dir = \"/e5\"\n[chunker]\ntokenizer = \"~/t.json\"\n";
        assert_eq!(tokenizer(named), Path::new("/home/ada/t.json"));
    }

    #[test]
    fn an_unknown_key_or_variable_names_itself_and_what_was_perhaps_meant() {
        let error = load_with("[llm]\nmax_token = 7\n", &[], Flags::default()).unwrap_err();
        assert_eq!(error.key, "llm.max_token");
        assert!(error.problem.contains("llm.max_tokens"), "{error}");
        let error = load_with("", &[("TWIN_LLM_MAX_TOKEN", "1")], Flags::default()).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("TWIN_LLM_MAX_TOKEN") && told.contains("mean TWIN_LLM_MAX_TOKENS"), "{told}");
    }

    #[test]
    fn a_bad_value_names_its_key_and_where_it_stands() {
        let error = load_with("[llm]\nmax_tokens = \"many\"\n", &[], Flags::default()).unwrap_err();
        assert_eq!(error.key, "llm.max_tokens");
        assert!(matches!(error.origin, Origin::File(_)), "{error}");
        let error = load_with("", &[("TWIN_LLM_MAX_TOKENS", "many")], Flags::default()).unwrap_err();
        assert!(error.to_string().contains("TWIN_LLM_MAX_TOKENS"), "{error}");
        let error = load_with("[log]\nurl = \"redis://x\"\n", &[], Flags::default()).unwrap_err();
        assert_eq!(error.key, "log.url");
        let error = load_with("[retrieval]\nmin_score = 7.0\n", &[], Flags::default()).unwrap_err();
        assert_eq!(error.key, "retrieval.min_score");
        let error = load_with("[trainer]\nfolds_below = 41\n", &[], Flags::default()).unwrap_err();
        assert!(error.key == "trainer.folds_below" && error.problem.contains("at most 40"), "{error}");
        assert!(load_with("[trainer]\nfolds_below = 40\n", &[], Flags::default()).is_ok());
        let error = load_with("not toml", &[], Flags::default()).unwrap_err();
        assert_eq!(error.key, "(file)");
    }

    #[test]
    fn keys_that_a_library_defines_pass_through() {
        let file = "[log.kafka.properties]\n\"security.protocol\" = \"SSL\"\n";
        let loaded = load_with(file, &[], Flags::default());
        // A dotted property is one key of the table, not a path.
        assert_eq!(loaded.unwrap().config.log.kafka.properties["security.protocol"], "SSL");
    }

    #[test]
    fn no_two_keys_have_the_same_variable() {
        let mut variables: Vec<_> = keys::all().iter().map(Key::variable).collect();
        let count = variables.len();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), count);
        assert!(count > 40, "the schema was not walked: {count} keys");
    }
}
