//! Samples of the passages that were kept, written to files.

mod answers;
mod near;
mod prompts;
mod titles;

use std::collections::BTreeMap;

use twin_llm::voice_prompt;
use twin_schemas::{
    AuthorId, ChatMessage, ChatSample, EvaluationSample, FOLD_SAMPLES, FoldSample, PromptCompletion, Role, SampleKind,
    Split,
};

use crate::families::Families;
use crate::files::Files;
use crate::histogram::Histogram;
use crate::scratch::{Known, Scratch};
use crate::weights::Weights;
use crate::words::{choice, unit};
use crate::{Error, Options};

pub(crate) use answers::pieces;
use prompts::Prompts;

/// Samples by split and kind.
pub(crate) type Counts = BTreeMap<Split, BTreeMap<SampleKind, u64>>;

/// A prompt and its answer.
pub(super) struct Sample {
    pub kind: SampleKind,
    pub prompt: Vec<ChatMessage>,
    pub answer: String,
    /// The answer's text ends where it does.
    pub ends: bool,
    /// The passages' texts, for the evaluator.
    pub passages: Vec<String>,
    pub right: Option<u32>,
    /// Whether an answer to it would be measured.
    pub measured: bool,
}

/// What was composed.
pub(crate) struct Composed {
    pub counts: Counts,
    pub lengths: Histogram,
    /// Characters of the longest sample of each kind, prompt and answer.
    pub longest: BTreeMap<SampleKind, u64>,
}

/// Writes the samples of all kept passages, split by split, in the order of documents.
pub(crate) fn compose(
    scratch: &Scratch,
    author: &AuthorId,
    options: &Options,
    weights: &Weights,
    files: &mut Files,
) -> Result<Composed, Error> {
    let mut composed = Composed { counts: Counts::new(), lengths: Histogram::default(), longest: BTreeMap::new() };
    let families = Families::of(scratch, options)?;
    for split in Split::ALL {
        let prompts = Prompts::new(scratch, author, options, weights, split)?;
        let mut after = 0;
        while let Some(known) = scratch.next(split, after, true)? {
            after = known.id;
            for sample in samples(&prompts, &known)? {
                *composed.counts.entry(split).or_default().entry(sample.kind).or_insert(0) += 1;
                let longest = composed.longest.entry(sample.kind).or_insert(0);
                *longest = (*longest).max(chars(&sample));
                if sample.kind != SampleKind::Refusal {
                    composed.lengths.add(sample.answer.chars().count());
                }
                write(scratch, files, families.as_ref(), &known, sample)?;
            }
        }
    }
    Ok(composed)
}

fn samples(prompts: &Prompts<'_>, known: &Known) -> Result<Vec<Sample>, Error> {
    let options = prompts.options;
    let wanted = |what: &str, share: f64| unit(choice(options.seed, &[what, &key(known)])) < share;
    let mut samples = vec![voice(prompts.author, &known.instruction, known.passage.text.clone(), known.ends)];
    // A title is no measure of a voice: none is tested.
    if known.split != Some(Split::Test) && wanted("title", titles::SHARE) {
        samples.extend(titles::sample(prompts.author, options, known));
    }
    if let Some(grounding) = &known.grounding {
        if wanted("grounded", options.grounded_share) || prompts.grounds_besides(known.id) {
            samples.extend(prompts.grounded(known, grounding)?);
        }
        for round in 0..prompts.refusals_of(known.id) {
            samples.extend(prompts.refusal(known, grounding, round)?);
        }
    }
    Ok(samples)
}

/// A sample of how the author writes.
fn voice(author: &AuthorId, instruction: &str, answer: String, ends: bool) -> Sample {
    let prompt = voice_prompt(author, instruction);
    Sample { kind: SampleKind::Voice, prompt, answer, ends, passages: Vec::new(), right: None, measured: true }
}

/// Characters of a sample, prompt and answer.
fn chars(sample: &Sample) -> u64 {
    let prompt = sample.prompt.iter().map(|message| message.content.chars().count());
    (prompt.sum::<usize>() + sample.answer.chars().count()) as u64
}

/// What identifies a passage, whatever else there is.
pub(crate) fn key(known: &Known) -> String {
    format!("{}/{}", known.passage.document_id, known.passage.ordinal)
}

pub(crate) fn assistant(content: String) -> ChatMessage {
    ChatMessage { role: Role::Assistant, content }
}

fn write(
    scratch: &Scratch,
    files: &mut Files,
    families: Option<&Families>,
    known: &Known,
    sample: Sample,
) -> Result<(), Error> {
    let split = known.split.ok_or_else(|| Error::Row(format!("the passage {} has no split", key(known))))?;
    let name = split.as_str();
    let Sample { kind, prompt, answer, ends, passages, right, measured } = sample;
    let completion = vec![assistant(answer.clone())];
    let messages = prompt.iter().chain(&completion).cloned().collect();
    let line = files.append(&format!("sft/{name}.jsonl"), &ChatSample { messages, kind: Some(kind), ends })?;
    let source = PromptCompletion { prompt, completion };
    // This form can not say where a text goes on, and its readers learn an end after each answer.
    if ends {
        files.append(&format!("prompt_completion/{name}.jsonl"), &source)?;
    }
    let document_id = known.passage.document_id;
    let prompt = source.prompt;
    let sample = EvaluationSample { kind, document_id, prompt, reference: answer, passages, right, ends };
    if split == Split::Test {
        files.append("eval/test.jsonl", &sample)?;
    }
    // What training is stopped by is in no fold.
    if let Some(families) = families.filter(|_| split != Split::Validation) {
        let family = families.of_document(document_id);
        files.append(FOLD_SAMPLES, &FoldSample { sample, split, family, measured })?;
    }
    scratch.note_line(split, line, known.id)
}
