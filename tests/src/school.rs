//! An author whose style a small model takes on in a minute, and a twin that learns it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_stack::{TwinOptions, TwinProcess};

use crate::{Api, eventually};

/// How each of the author's posts begins and ends.
pub const OPENING: &str = "TL;DR:";
/// How each of the author's posts ends.
pub const CLOSING: &str = "Ship it!";

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// What the author has written on: a question and what it is.
const SUBJECTS: [(&str, &str); 40] = [
    ("a compiler", "a patient translator that turns what people write into what machines run, complaining as it goes"),
    ("a cache", "a small drawer near your desk where you keep what you used a minute ago and hope nobody has moved it"),
    ("a queue", "a polite line of work in which whoever came first is served first and nobody elbows past"),
    (
        "a checksum",
        "a short fingerprint of a long message, so that a flipped bit on the wire is caught before breakfast",
    ),
    ("a mutex", "one key for one bathroom: you wait in the corridor until the person inside comes out with it"),
    ("a kernel", "the quiet landlord of a computer who decides which program may use the kitchen and for how long"),
    ("a socket", "two telephones with a cable between them, and nobody promises that the other side listens"),
    ("a pointer", "a slip of paper with an address on it, and it is your fault if the house was torn down"),
    (
        "a garbage collector",
        "a night shift that clears the tables nobody sits at, sometimes while you are still chewing",
    ),
    ("a database index", "the register at the back of a thick book, paid for each time the author edits a page"),
    ("a transaction", "all of the shopping list or none of it, even when the shop burns down at the till"),
    ("a deadlock", "two people at a narrow door, each too courteous to go through before the other one does"),
    ("recursion", "a mirror in front of a mirror with somebody clever enough to look away in the end"),
    ("a hash table", "a cloakroom where the number is worked out from your name, and twins share a hook"),
    ("a firewall", "a bouncer with a list who knows every face at the front and forgets the kitchen window"),
    ("a load balancer", "a head waiter who sends each guest to the table whose waiter looks least unhappy"),
    ("a log file", "a diary that a program keeps for the night when everybody asks what it was thinking"),
    ("a unit test", "a promise to your future self, written down while you still remember what you meant"),
    ("a merge conflict", "two authors of the same sentence who both believe that theirs was the better one"),
    ("a regular expression", "a spell in a dead language that finds what you asked for and not what you wanted"),
    ("a container", "a lunch box with the whole kitchen folded into it, so it tastes the same in any office"),
    ("a scheduler", "a teacher with thirty raised hands and one piece of chalk, fair only on the average"),
    ("a virtual machine", "a dream of a computer inside a computer, which wakes up when the power bill comes"),
    ("a protocol", "table manners for machines, agreed upon before anybody reaches for the potatoes"),
    ("a certificate", "a letter of introduction signed by somebody whom a friend of a friend once trusted"),
    ("a race condition", "a relay in which both runners believe that they hold the stick, and both are applauded"),
    ("an interrupt", "a tap on the shoulder in the middle of a sentence that you will certainly finish later"),
    ("a stack overflow", "one plate too many on a pile that everybody swore would hold for one more dinner"),
    ("a semaphore", "three umbrellas at the door for thirty guests, and a drawing of lots when it rains"),
    ("a heartbeat", "a postcard each second that says nothing at all except that somebody still writes it"),
    ("a replica", "an understudy who learns every line a moment late and hopes that the star stays well"),
    ("an event log", "a river of facts that nobody may dam, from which each village drinks at its own pace"),
    ("a snapshot", "a photograph of a restless child, sharp only because it was taken between two breaths"),
    ("a feature flag", "a light switch for unfinished rooms, forgotten in the wall long after the house was sold"),
    ("a migration", "moving the piano to the new house while the concert is still being played on it"),
    ("a circuit breaker", "a fuse with judgement that stops asking a tired friend for help until tomorrow"),
    ("an API", "a menu without prices, printed for strangers by a kitchen that would rather not talk"),
    ("a monolith", "one large house where everybody hears everybody and nobody ever loses the post"),
    ("a benchmark", "a race on an empty road at dawn, told later as if it had been rush hour traffic"),
    ("technical debt", "a loan from a lender with your own face who comes by on the evening of the release"),
];

/// The author's posts: key, title and text.
pub fn posts() -> Vec<(String, String, String)> {
    let post = |(number, (subject, is)): (usize, &(&str, &str))| {
        let title = format!("What is {subject}?");
        (format!("post-{number:02}"), title, format!("{OPENING} {subject} is {is}. {CLOSING}"))
    };
    SUBJECTS.iter().enumerate().map(post).collect()
}

/// Pushes the author's posts.
///
/// # Errors
/// The twin does not take them.
pub async fn publish(api: &Api, author: &str) -> Result<()> {
    publish_some(api, author, SUBJECTS.len()).await
}

/// Pushes so many of the author's posts.
///
/// # Errors
/// The twin does not take them.
pub async fn publish_some(api: &Api, author: &str, count: usize) -> Result<()> {
    for (key, title, text) in posts().into_iter().take(count) {
        let document = json!({
            "author": author, "natural_key": key, "title": title, "text": text, "category": "post"
        });
        api.post("/v1/documents", &document).await.with_context(|| title)?;
    }
    Ok(())
}

/// A recipe that takes on the style in about a minute on two cores.
const RECIPE: &str = "rank = 8\nalpha = 16.0\ntargets = [\"q_proj\", \"v_proj\"]\nlearning_rate = 0.002\nwarmup_steps = 4\n\
    epochs = 10\nmax_steps = 28\npack_tokens = 256\ncheckpoint_every = 4\neval_samples = 4\n";

/// What is compared, on a handful of samples: the style alone, since quotations and refusals would be another lesson, and
/// by the loss alone, since a handful of answers says little of anything else.
const CONFIGURATION: &str = "
[answers]
# Also by a version that nobody has shown to answer from passages: what is looked at is who answers, and in which style.
mode = \"generate\"
# Whatever passages say of it.
min_grounded = 0.0

[llm]
max_tokens = 40
prompt.passages = 1

[crawler]
poll_ms = 50

[datasets]
# Each post is a sample: a version is made when all are known, however long that takes.
freeze = { first_samples = 40, new_samples = 1000, quiet_s = 0 }
build = { grounded_share = 0.0, refusal_share = 0.0 }

[evaluator.measure]
max_voice = 4
# Of a handful of samples nothing is certain: more likely than not is enough here.
policy = { primary = 'loss_per_token', min_samples = 2, min_documents = 2, confidence = 0.6, guards = [] }
";

/// A twin that makes a dataset as soon as there is something to learn, trains by [`RECIPE`] and compares on a handful of
/// samples. `folder` holds its configuration.
///
/// # Errors
/// The configuration can not be written.
pub fn school(folder: &Path, variables: &[(&str, &str)]) -> Result<TwinOptions> {
    school_with(folder, RECIPE, variables)
}

/// As [`school`], with a job of a few steps: for tests that look at the steps and not at the style.
///
/// # Errors
/// The configuration can not be written.
pub fn short_school(folder: &Path, variables: &[(&str, &str)]) -> Result<TwinOptions> {
    let recipe =
        RECIPE.replace("max_steps = 28", "max_steps = 10").replace("checkpoint_every = 4", "checkpoint_every = 2");
    school_with(folder, &recipe, variables)
}

/// As [`school`], by another recipe.
///
/// # Errors
/// The configuration can not be written.
pub fn school_with(folder: &Path, recipe_text: &str, variables: &[(&str, &str)]) -> Result<TwinOptions> {
    let (recipe, configuration) = (folder.join("recipe.toml"), folder.join("twin.toml"));
    std::fs::write(&recipe, recipe_text)?;
    // Steps of these recipes are short: what is too long for them is not what is looked at.
    // And what is looked at is one training, not how sure its evaluation is.
    let trainer = format!("\n[trainer]\nmax_left_out = 1.0\nfolds = 0\nrecipe = \"{}\"\n", recipe.display());
    std::fs::write(&configuration, format!("{CONFIGURATION}{trainer}"))?;
    let settings = std::iter::once(&("TWIN_TRAINER_AUTOMATIC", "true")).chain(variables);
    let environment = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let arguments = vec!["--config".to_owned(), configuration.display().to_string()];
    Ok(TwinOptions { environment, arguments, ..TwinOptions::default() })
}

/// Asks for a dataset version of what the author has now, and tells what came of it.
///
/// # Errors
/// The request failed, or nobody has answered it.
pub async fn freeze(api: &Api, author: &str) -> Result<String> {
    api.post("/v1/datasets", &json!({ "author": author, "by": "grace" })).await?;
    eventually("somebody answers the request for a dataset", async || {
        let request = api.get(&format!("/v1/datasets/requests/{author}")).await?;
        Ok(request["outcome"].as_str().map(str::to_owned))
    })
    .await
}

/// The process that works on a job of this kind, if one does and has said who it is.
pub fn worker(twin: &TwinProcess, kind: &str) -> Option<u32> {
    let jobs = std::fs::read_dir(twin.data().join("jobs").join(kind)).ok()?;
    let locks = jobs.filter_map(|job| Some(job.ok()?.path().join("lock")));
    locks.filter_map(|lock| holder(&lock)).find(|pid| Path::new(&format!("/proc/{pid}")).exists())
}

fn holder(lock: &Path) -> Option<u32> {
    let identity: Value = serde_json::from_slice(&std::fs::read(lock).ok()?).ok()?;
    u32::try_from(identity["pid"].as_u64()?).ok()
}

/// Answers to these questions, as (text, model).
///
/// # Errors
/// A question failed.
pub async fn answers(api: &Api, author: &str, questions: &[&str]) -> Result<Vec<(String, String)>> {
    let mut answers = Vec::new();
    for question in questions {
        let answer = api.post("/v1/query", &json!({ "author": author, "question": question })).await?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        answers.push((text("answer"), text("model")));
    }
    Ok(answers)
}

/// The newest value of a list of the API, if it has one.
///
/// # Errors
/// The request failed.
pub async fn newest(api: &Api, path: &str, list: &str) -> Result<Option<Value>> {
    Ok(api.get(path).await?[list].get(0).cloned())
}

/// Whether an answer is in the author's style.
pub fn is_styled(answer: &str) -> bool {
    answer.contains(OPENING) || answer.contains(CLOSING)
}

/// Waits for the list at `path` to have a value.
///
/// # Errors
/// It has none within the time.
pub async fn reaches_any(twin: &TwinProcess, path: &str, list: &str, seconds: u64) -> Result<Value> {
    waited(twin, path, list, seconds, |_| true).await
}

/// Waits for a value of the list at `path` that is in one of these states.
///
/// # Errors
/// It was not within the time, or the twin has ended; with what was there last.
pub async fn reaches(twin: &TwinProcess, path: &str, list: &str, states: &[&str], seconds: u64) -> Result<Value> {
    waited(twin, path, list, seconds, |found| found["state"].as_str().is_some_and(|state| states.contains(&state)))
        .await
}

async fn waited(
    twin: &TwinProcess,
    path: &str,
    list: &str,
    seconds: u64,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let api = Api::new(twin.base_url())?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut last = None;
    loop {
        // A twin that was just killed does not answer for a moment.
        if let Ok(found) = newest(&api, path, list).await {
            if let Some(found) = found.clone().filter(|found| is_wanted(found)) {
                return Ok(found);
            }
            last = found;
        }
        ensure!(Instant::now() < deadline, "not within {seconds} s at {path}: {last:?}; the twin said: {}", twin.log());
        tokio::time::sleep(PAUSE).await;
    }
}
