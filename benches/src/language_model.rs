//! The default language model in the running twin: its rates beside llama.cpp, where a query's time goes, and memory.

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};
use twin_tests::TOPICS;

use crate::bench::{Bench, Results};
use crate::both_logs::stage;
use crate::comparison::{Better, Comparison};
use crate::figure::Figure;
use crate::llama::{Llama, Rates};
use crate::server::{AS_WRITTEN, AUTHOR, GENERATE, Server};
use crate::target::Target;

/// Questions one after the other, and then at once.
const QUESTIONS: usize = 5;
const AT_ONCE: usize = 4;

/// The weights that the default model was made of.
const GGUF: &str = "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";

const IF_TOO_LARGE: &str = "The peak is reached while the model is loaded: its file (538 MB in F32) is mapped while \
    the numbers are copied out of it; afterwards 0.5 GB less is in use. A file in half precision, or an embedding \
    model that is loaded only then, would close the gap.";

/// Asks the twin.
pub fn measure(bench: &Bench) -> Result<Results> {
    let server = Server::start(&[GENERATE, AS_WRITTEN])?;
    bench.runtime.block_on(async {
        server.push(TOPICS.iter().map(|topic| (topic.file.to_owned(), topic.text))).await?;
        server.settled(TOPICS.len()).await
    })?;
    let mut llama = Llama::start(bench, &bench.cache.join(GGUF))?;
    // The first answer pays for the first allocations.
    bench.runtime.block_on(ask(&server, TOPICS[0].question))?;

    let other = "llama.cpp, the GGUF file of the same weights (Q4_1)";
    let against = |name: &str| Comparison::new(name, "tokens/s", Better::Higher, other);
    let mut prefill = against("language model: reading the prompt");
    let mut decode = against("language model: writing");
    let mut answers = Vec::with_capacity(QUESTIONS);
    for topic in TOPICS.iter().take(QUESTIONS) {
        let answer = bench.runtime.block_on(ask(&server, topic.question))?;
        let (prompt, completion) = (tokens(&answer, "prompt_tokens")?, tokens(&answer, "completion_tokens")?);
        let theirs = llama.run(prompt, completion)?;
        let ours = rates(&answer, prompt, completion)?;
        prefill.round(ours.prefill, theirs.prefill);
        decode.round(ours.decode, theirs.decode);
        answers.push(answer);
    }
    drop(llama);
    let at_once = TOPICS.iter().cycle().skip(QUESTIONS).take(AT_ONCE).map(|topic| ask(&server, topic.question));
    bench.runtime.block_on(try_join_all(at_once))?;
    let memory =
        Figure::once("peak memory of twin run with the default language model", "MB", server.peak_memory_mb()?)
            .wanting(Target::at_most(1_400.0).if_missed(IF_TOO_LARGE));
    let mut figures = shares(&answers)?;
    figures.push(memory);
    Ok(Results { comparisons: vec![prefill, decode], figures })
}

async fn ask(server: &Server, question: &str) -> Result<Value> {
    let answer = server.post("/v1/query", &json!({ "author": AUTHOR, "question": question })).await?;
    ensure!(answer["abstained"] == false, "a question about a document was not answered: {answer}");
    Ok(answer)
}

fn tokens(answer: &Value, name: &str) -> Result<u64> {
    answer["usage"][name].as_u64().with_context(|| format!("an answer has no {name}: {answer}"))
}

/// The first token comes when the prompt has been read; the others are written after it.
fn rates(answer: &Value, prompt: u64, completion: u64) -> Result<Rates> {
    let (first, all) = (stage(answer, "first_token")? / 1e3, stage(answer, "generate")? / 1e3);
    Ok(Rates { prefill: prompt as f64 / first, decode: completion.saturating_sub(1) as f64 / (all - first) })
}

/// Milliseconds of each part of the answers.
fn shares(answers: &[Value]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut rest = answers.iter().map(|answer| stage(answer, "total")).collect::<Result<Vec<_>>>()?;
    let whole = rest.clone();
    for (name, part) in [("the language model", "generate"), ("search", "search"), ("embedding the question", "embed")]
    {
        let times = answers.iter().map(|answer| stage(answer, part)).collect::<Result<Vec<_>>>()?;
        rest.iter_mut().zip(&times).for_each(|(rest, time)| *rest -= time);
        figures.push(Figure::new(format!("a query's time: {name}"), "ms", times));
    }
    figures.push(Figure::new("a query's time: event log, gateway and everything else", "ms", rest));
    figures.insert(0, Figure::new("a query's time: from question to the whole answer", "ms", whole));
    Ok(figures)
}
