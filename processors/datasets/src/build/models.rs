//! What a build asks of models: instructions, and the worse answers of preferences.

use std::collections::BTreeSet;

use tracing::warn;
use twin_llm::voice_prompt;
use twin_schemas::{AuthorId, PreferenceSample, SampleKind, Split};

use super::{Builder, Draft, preference_file};
use crate::compose::{Counts, assistant, key};
use crate::quality::{Judged, refused};
use crate::replies::{Replies, Said, reply_key};
use crate::scratch::{Known, Scratch};
use crate::words::{choice, combined, common, leak_sequences, word_hashes};
use crate::work::blocking;
use crate::{Error, Options};

impl Builder {
    /// Replaces instructions by a model's, for the author's version of that number. Returns the model's name if it wrote any.
    pub(super) async fn instruct(
        &self,
        author: &AuthorId,
        number: u32,
        draft: Draft,
    ) -> Result<(Draft, Option<String>), Error> {
        let most = self.options.model_instructions;
        let Some(instructor) = self.instructor.as_ref().filter(|_| most > 0) else { return Ok((draft, None)) };
        let mut written = 0_u64;
        let (mut draft, picked) = self.picked(draft, "instruct", most, Known::is_prose).await?;
        let (identity, mut replies) = (instructor.identity(), Replies::new(&*self.corpus, author, number));
        for known in picked {
            let (document_id, text, title) = (known.passage.document_id, &known.passage.text, &known.passage.title);
            let of = document_id.to_string();
            let key = reply_key(&["instruction", &of, &identity, text, title.as_deref().unwrap_or("")]);
            let asked = replies.said(document_id, key, instructor.instruction_for(text, title.as_deref())).await?;
            let usable = match asked {
                Said::Text(text) if is_usable(&text, &known, &self.options) => {
                    is_free(&text, &known, &draft.scratch)?.then_some(text)
                }
                Said::Text(_) => None,
                other => {
                    warn!(%document_id, said = ?other, "no instruction by the model");
                    None
                }
            };
            let Some(instruction) = usable else {
                draft.report.instruction_fallbacks += 1;
                continue;
            };
            draft.scratch.instruct(known.id, &instruction)?;
            written += 1;
        }
        replies.settle(&self.options).await?;
        Ok((draft, (written > 0).then(|| instructor.name().to_owned())))
    }

    /// Writes preferences against what the model says that answers for the author, for their version of that number.
    /// Returns the model's name if there are any.
    pub(super) async fn prefer(
        &self,
        author: &AuthorId,
        number: u32,
        draft: Draft,
        counts: &mut Counts,
    ) -> Result<(Draft, Option<String>), Error> {
        let most = self.options.preferences;
        let Some(respondents) = self.respondents.as_ref().filter(|_| most > 0) else { return Ok((draft, None)) };
        let answers = respondents.respondent(author).await?;
        let mut made = 0_u64;
        // A part of a text that goes on is no whole answer.
        let (mut draft, picked) = self.picked(draft, "prefer", most, |known| known.ends).await?;
        let (identity, mut replies) = (answers.identity(), Replies::new(&*self.corpus, author, number));
        for known in picked {
            let Some(split) = known.split else { continue };
            let (document_id, prompt) = (known.passage.document_id, voice_prompt(author, &known.instruction));
            let of = document_id.to_string();
            let key = reply_key(&["answer", &of, &identity, &serde_json::to_string(&prompt)?]);
            let answer = match replies.said(document_id, key, answers.answer(&prompt)).await? {
                Said::Text(answer) => answer,
                Said::Cut => {
                    draft.report.cut_answers += 1;
                    continue;
                }
                Said::Unusable(problem) => {
                    warn!(%document_id, problem, "no answer to prefer the author's to");
                    draft.report.answer_failures += 1;
                    continue;
                }
            };
            let rejected = answer.trim().to_owned();
            let chosen = known.passage.text;
            if rejected.is_empty() || combined(&word_hashes(&rejected)) == combined(&word_hashes(&chosen)) {
                draft.report.answer_failures += 1;
                continue;
            }
            let [chosen, rejected] = [chosen, rejected].map(|content| vec![assistant(content)]);
            draft.files.append(&preference_file(split), &PreferenceSample { prompt, chosen, rejected })?;
            *counts.entry(split).or_default().entry(SampleKind::Preference).or_insert(0) += 1;
            made += 1;
        }
        replies.settle(&self.options).await?;
        Ok((draft, (made > 0).then(|| answers.name().to_owned())))
    }

    async fn picked(
        &self,
        draft: Draft,
        what: &'static str,
        most: u32,
        is_wanted: fn(&Known) -> bool,
    ) -> Result<(Draft, Vec<Known>), Error> {
        let options = self.options.clone();
        blocking(move || {
            let picked = picked(&draft.scratch, what, most, &options, is_wanted)?;
            Ok((draft, picked))
        })
        .await
    }
}

/// So many kept passages, picked by a hash, in the order of documents. Memory grows with `most` and nothing else.
fn picked(
    scratch: &Scratch,
    what: &str,
    most: u32,
    options: &Options,
    is_wanted: impl Fn(&Known) -> bool,
) -> Result<Vec<Known>, Error> {
    let mut least: BTreeSet<(u64, i64)> = BTreeSet::new();
    for split in Split::ALL {
        let mut after = 0;
        while let Some(known) = scratch.next(split, after, true)? {
            after = known.id;
            if is_wanted(&known) {
                least.insert((choice(options.seed, &[what, &key(&known)]), known.id));
            }
            if least.len() > most as usize {
                least.pop_last();
            }
        }
    }
    let ids: BTreeSet<i64> = least.into_iter().map(|(_, id)| id).collect();
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(scratch.passage(id)?);
    }
    Ok(found)
}

/// Whether an instruction stands in no other split than the passage's. If so, it is that split's.
fn is_free(instruction: &str, known: &Known, scratch: &Scratch) -> Result<bool, Error> {
    let Some(split) = known.split else { return Ok(false) };
    scratch.claim_prompt(combined(&word_hashes(instruction)), split)
}

/// Whether a model's instruction gives nothing away that it should not.
fn is_usable(instruction: &str, known: &Known, options: &Options) -> bool {
    let leaks = common(&leak_sequences(instruction), &leak_sequences(&known.passage.text)) > 0;
    let judged =
        Judged { text: &known.passage.text, beside: &[instruction], is_prose: known.is_prose(), language: None };
    let unfiltered = Options { languages: Vec::new(), ..options.clone() };
    !leaks && refused(&judged, &unfiltered).is_none()
}
