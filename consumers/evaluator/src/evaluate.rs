//! The whole of an evaluation, from samples to report.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Instant;

use chrono::Utc;
use twin_llm::ChatModel;
use twin_schemas::{Category, ChatMessage, DatasetId, DocumentId, Role};

use crate::bootstrap::{Bootstrap, Interval, Pair, Part};
use crate::end_to_end::{self, Questions, Served, compare, facts};
use crate::folds::Folds;
use crate::judge::{Contest, Judgement, Judging};
use crate::looks::level;
use crate::measure::{Measured, Measurements, Observation, measure};
use crate::report::{Comparison, KindCounts, Names, Report, ReportedAnswer, ReportedSample, Seconds};
use crate::samples::select;
use crate::style::genres_are_apart;
use crate::subject::Loss;
use crate::{
    Counts, Error, Metric, Options, SampleKind, Subject, SubjectRole, Subjects, TestSample, Unloadable, verdict,
};

/// How far an evaluation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Whom the samples are put to now; none: the judge.
    pub role: Option<SubjectRole>,
    /// Answers and losses of this step that are done; of the judge, samples.
    pub done: usize,
    /// Those of this step in all.
    pub total: usize,
}

/// Told before each of them; breaks off the evaluation by returning [`ControlFlow::Break`].
pub(crate) type OnProgress<'a> = &'a (dyn Fn(Progress) -> ControlFlow<()> + Send + Sync);

/// One model and what it did.
pub(crate) struct Observed {
    pub role: SubjectRole,
    pub name: String,
    /// What the report is to say of it.
    pub remark: Option<String>,
    pub observations: Vec<Observation>,
    /// What came of the questions that are put from end to end.
    pub served: Vec<Served>,
}

/// What a candidate is evaluated on.
#[derive(Debug, Clone, Copy)]
pub struct Assignment<'a> {
    /// The dataset version.
    pub dataset: &'a DatasetId,
    /// Its test samples.
    pub samples: &'a [TestSample],
    /// Which evaluation against the same production it is, from 1 ([`crate::looks`]).
    pub look: u32,
    /// Texts of other authors of the twin, by author: the author is held against them.
    pub others: &'a [Vec<String>],
    /// Questions that are put from end to end; none: nobody asked for that.
    pub questions: Option<&'a Questions>,
    /// What the author's documents are, as far as that is known.
    pub categories: &'a BTreeMap<DocumentId, Category>,
    /// Who stands in for the models, so that each document is measured by somebody who has not seen it; none: nobody does.
    pub folds: Option<&'a Folds>,
}

/// Evaluates the candidate. The models are opened one after the other.
///
/// # Errors
/// If the options contradict themselves, there are no samples or unusable ones, a model can not be opened or fails, or `progress` wished
/// to stop. The judge's failures are counted in the report. A version in production that is [`Unloadable`] is left out, and the
/// report says so.
pub async fn evaluate(
    assignment: Assignment<'_>,
    subjects: &dyn Subjects,
    judge: Option<&dyn ChatModel>,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Report, Error> {
    let Assignment { dataset, samples, look, others, questions, categories, folds } = assignment;
    let used = folds.and_then(Folds::used);
    let measurable = used.zip(questions).map(|(folds, questions)| folds.measurable(questions));
    let questions = measurable.as_ref().or(questions);
    options.validate()?;
    for (index, sample) in samples.iter().enumerate() {
        if let Some(problem) = sample.problem() {
            return Err(Error::Sample { line: index + 1, problem: problem.to_owned() });
        }
    }
    let at = Utc::now();
    let samples = select(samples, options);
    if samples.is_empty() {
        return Err(Error::NoSamples);
    }
    let mut seconds = Seconds::default();
    let put = Put { samples: &samples, questions, folds: used };
    let (mut models, unloadable) = observe_all(put, subjects, &mut seconds, progress).await?;
    let unloadable = unloadable.or_else(|| used.and_then(Folds::without_production));
    let notes = models.iter().filter_map(|model| model.remark.clone()).collect();
    let began = Instant::now();
    let served = models.iter_mut().map(|model| model.served.as_mut_slice()).collect();
    let unchecked = end_to_end::check(questions, served, subjects).await;
    let run = Run {
        samples,
        models,
        look,
        others: others.to_vec(),
        categories: categories.clone(),
        options: options.clone(),
        questions: questions.cloned(),
        folds: used.cloned(),
    };
    // Metrics keep a core busy for a moment; that must not hold up whatever else this runtime does.
    let computed = tokio::task::spawn_blocking(move || {
        let measurements = run.measure();
        let mut comparisons = run.comparisons(&measurements);
        comparisons.extend(run.served_comparisons());
        let end_to_end = run.questions.as_ref().map(|questions| facts(questions, &run.options, unchecked));
        (run, measurements, comparisons, end_to_end)
    });
    let (run, measurements, comparisons, end_to_end) = computed.await?;
    seconds.metrics = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let judgement = match judge {
        Some(judge) => Some(run.judged_by(judge, progress).await?),
        None => None,
    };
    seconds.judge = judge.map_or(0.0, |_| began.elapsed().as_secs_f64());
    let (verdict, checks) = verdict::decide(&comparisons, judgement.as_ref(), &options.policy);
    let (verdict, checks) = match &unloadable {
        Some(why) => verdict::without_production(verdict, checks, why),
        None => (verdict, checks),
    };
    Ok(Report {
        verdict,
        grounded: verdict::is_grounded(verdict, &comparisons, &options.policy),
        checks,
        notes,
        models: run.names(),
        dataset: dataset.clone(),
        look,
        counts: SampleKind::ALL.map(|kind| KindCounts { kind, counts: Counts::of(&run.samples, kind) }).to_vec(),
        genres_apart: measurements.genres_apart,
        comparisons,
        folds: folds.map(Folds::reported),
        end_to_end,
        judgement,
        samples: run.shown(&measurements),
        options: run.options,
        seconds,
        at,
    })
}

/// What is put to each model, and by whose folds it is measured.
#[derive(Clone, Copy)]
struct Put<'a> {
    samples: &'a [TestSample],
    questions: Option<&'a Questions>,
    folds: Option<&'a Folds>,
}

/// Puts all samples to each model in turn. Also why the version in production is not among them, where it can not be loaded any
/// more.
async fn observe_all(
    Put { samples, questions, folds }: Put<'_>,
    subjects: &dyn Subjects,
    seconds: &mut Seconds,
    progress: OnProgress<'_>,
) -> Result<(Vec<Observed>, Option<String>), Error> {
    let (mut models, mut unloadable) = (Vec::new(), None);
    for role in SubjectRole::ALL {
        let began = Instant::now();
        let observed = match folds {
            Some(folds) => folds.observe(role, samples, questions, subjects, progress).await,
            None => observe(role, samples, questions, subjects, progress).await,
        };
        match observed {
            Err(Error::Open { role: SubjectRole::Production, cause }) if cause.is::<Unloadable>() => {
                unloadable = Some(cause.to_string());
            }
            observed => models.extend(observed?),
        }
        *seconds.of(role) = began.elapsed().as_secs_f64();
    }
    Ok((models, unloadable))
}

/// Puts all samples to one model, and drops it. None: the base model is in production.
pub(crate) async fn observe(
    role: SubjectRole,
    samples: &[TestSample],
    questions: Option<&Questions>,
    subjects: &dyn Subjects,
    progress: OnProgress<'_>,
) -> Result<Option<Observed>, Error> {
    let subject = match subjects.open(role).await {
        Ok(Some(subject)) => subject,
        Ok(None) if role == SubjectRole::Production => return Ok(None),
        Ok(None) => return Err(Error::Absent(role)),
        Err(cause) => return Err(Error::Open { role, cause }),
    };
    let name = subject.name().to_owned();
    let voice = samples.iter().enumerate().filter(|(_, sample)| sample.kind == SampleKind::Voice);
    let asked = questions.map_or(&[][..], |questions| questions.questions.as_slice());
    let answers = samples.len() + asked.len();
    let total = answers + voice.clone().count();
    let mut observations = Vec::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        tell(progress, Some(role), index, total)?;
        let failed = |cause| Error::Subject { role, name: name.clone(), sample: sample.label(index), cause };
        let answer = subject.answer(&sample.prompt).await.map_err(failed)?;
        observations.push(Observation { answer, loss: None });
    }
    let mut served = Vec::with_capacity(asked.len());
    for (done, question) in (samples.len()..).zip(asked) {
        tell(progress, Some(role), done, total)?;
        let sample = || format!("a question put from end to end (document {})", question.document_id);
        let failed = |cause| Error::Subject { role, name: name.clone(), sample: sample(), cause };
        served.push(end_to_end::answer(subject.as_ref(), question).await.map_err(failed)?);
    }
    // All losses after all answers: what answers and what scores hold the whole model each, and not at once.
    for (done, (index, sample)) in (answers..).zip(voice) {
        tell(progress, Some(role), done, total)?;
        observations[index].loss = Some(loss_on(subject.as_ref(), role, sample, index).await?);
    }
    Ok(Some(Observed { role, name, remark: subject.remark(), observations, served }))
}

async fn loss_on(subject: &dyn Subject, role: SubjectRole, sample: &TestSample, index: usize) -> Result<Loss, Error> {
    let name = || subject.name().to_owned();
    let failed = |cause| Error::Subject { role, name: name(), sample: sample.label(index), cause };
    let loss = subject.loss(&sample.prompt, &sample.reference, sample.ends).await.map_err(failed)?;
    if !loss.nll.is_finite() || loss.nll < 0.0 || loss.tokens == 0 {
        let Loss { nll, tokens } = loss;
        return Err(Error::Loss { role, name: name(), sample: sample.label(index), nll, tokens });
    }
    Ok(loss)
}

fn tell(progress: OnProgress<'_>, role: Option<SubjectRole>, done: usize, total: usize) -> Result<(), Error> {
    match progress(Progress { role, done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}

/// Everything that was observed.
struct Run {
    samples: Vec<TestSample>,
    /// Candidate, production unless the base model is, base.
    models: Vec<Observed>,
    look: u32,
    others: Vec<Vec<String>>,
    categories: BTreeMap<DocumentId, Category>,
    options: Options,
    /// Those that were put from end to end.
    questions: Option<Questions>,
    /// Who stood in for the models.
    folds: Option<Folds>,
}

impl Run {
    fn bootstrap(&self, confidence: f64) -> Bootstrap {
        let Options { resamples, seed, .. } = self.options;
        Bootstrap { resamples, confidence, seed }
    }

    /// The interval of a difference that folds have measured is wider: they have learned from mostly the same documents.
    fn widened(&self, interval: Interval) -> Interval {
        interval.widened(self.folds.as_ref().map_or(1.0, Folds::widening))
    }

    /// The place of the model that the candidate is compared with: production, or the base model in its stead.
    const PRODUCTION: usize = 1;

    fn base(&self) -> usize {
        self.models.len() - 1
    }

    fn names(&self) -> Names {
        let name = |index: usize| self.models[index].name.clone();
        let production = (self.base() != Self::PRODUCTION).then(|| name(Self::PRODUCTION));
        Names { candidate: name(0), production, base: name(self.base()) }
    }

    fn measure(&self) -> Measurements {
        let observations: Vec<&[Observation]> = self.models.iter().map(|model| model.observations.as_slice()).collect();
        let Self { samples, others, categories, options, .. } = self;
        // Asked once, of all samples: what decides is the same measure in every fold.
        let apart = genres_are_apart(samples, categories);
        match &self.folds {
            Some(folds) => folds.measure(samples, &observations, others, categories, apart, options),
            None => measure(samples, &observations, others, categories, apart, options),
        }
    }

    fn comparisons(&self, measurements: &Measurements) -> Vec<Comparison> {
        let policy = &self.options.policy;
        let counts = |metric: Metric| {
            let documents = self.documents_of(metric, measurements);
            (!documents.is_empty()).then(|| counts_of(&documents))
        };
        let primary = verdict::primary_of(policy, counts);
        let level = |metric| if metric == primary { level(policy.confidence, self.look) } else { policy.confidence };
        let metrics = Metric::ALL.into_iter().enumerate();
        let compared = metrics.filter_map(|(index, metric)| {
            self.comparison(metric, &self.bootstrap(level(metric)), index as u64, measurements)
        });
        compared.collect()
    }

    /// The metrics of what was put from end to end.
    fn served_comparisons(&self) -> Vec<Comparison> {
        let served: Vec<&[Served]> = self.models.iter().map(|model| model.served.as_slice()).collect();
        let compared = self.questions.as_ref().map(|questions| compare(questions, &served, &self.options));
        let widened = |comparison: Comparison| {
            let difference = comparison.difference.map(|difference| self.widened(difference));
            Comparison { difference, ..comparison }
        };
        compared.into_iter().flatten().map(widened).collect()
    }

    /// The documents of the samples that a metric is measured on.
    fn documents_of(&self, metric: Metric, measurements: &Measurements) -> Vec<DocumentId> {
        let measured = self.samples.iter().zip(&measurements.of_models[0]);
        let has_it = measured.filter(|(_, measured)| measured.parts.contains_key(&metric));
        has_it.map(|(sample, _)| sample.document_id).collect()
    }

    /// One metric; none if no sample is measured by it.
    fn comparison(
        &self,
        metric: Metric,
        bootstrap: &Bootstrap,
        stream: u64,
        measurements: &Measurements,
    ) -> Option<Comparison> {
        let parts = |measured: &[Measured]| -> Vec<Part> {
            measured.iter().filter_map(|measured| measured.parts.get(&metric).copied()).collect()
        };
        let of = |index: usize| parts(&measurements.of_models[index]);
        let (candidate, production) = (of(0), of(Self::PRODUCTION));
        let documents = self.documents_of(metric, measurements);
        if documents.is_empty() {
            return None;
        }
        debug_assert!(documents.len() == candidate.len() && documents.len() == production.len());
        let pairs: Vec<Pair> = documents
            .iter()
            .zip(candidate.iter().zip(&production))
            .map(|(document, (candidate, production))| Pair {
                document: *document,
                candidate: *candidate,
                production: *production,
            })
            .collect();
        let counts = counts_of(&documents);
        let (difference, incomparable) = compared(bootstrap, &pairs, counts, stream);
        let difference = difference.map(|difference| self.widened(difference));
        let author = parts(&measurements.of_author);
        Some(Comparison {
            metric,
            counts,
            candidate: Part::ratio(candidate),
            production: Part::ratio(production),
            base: Part::ratio(of(self.base())),
            author: (!author.is_empty()).then(|| Part::ratio(author)),
            difference,
            level: Some(bootstrap.confidence),
            incomparable,
        })
    }

    async fn judged_by(&self, judge: &dyn ChatModel, progress: OnProgress<'_>) -> Result<Judgement, Error> {
        let mut judging = Judging::new(judge);
        let is_contest = |(_, sample): &(usize, &TestSample)| sample.kind != SampleKind::Refusal;
        let contests: Vec<(usize, &TestSample)> =
            spread(&self.samples).filter(is_contest).take(self.options.max_judged).collect();
        for (done, (index, sample)) in contests.iter().enumerate() {
            tell(progress, None, done, contests.len())?;
            let answer = |model: usize| self.models[model].observations[*index].answer.text.clone();
            let contest = Contest {
                document: sample.document_id,
                question: question(&sample.prompt).to_owned(),
                reference: sample.reference.clone(),
                candidate: answer(0),
                production: answer(Self::PRODUCTION),
            };
            judging.judge(&contest).await;
        }
        let judgement = judging.finish(&self.bootstrap(self.options.policy.confidence));
        Ok(Judgement { win_rate: judgement.win_rate.map(|rate| self.widened(rate).as_share()), ..judgement })
    }

    /// The samples that the report shows.
    fn shown(&self, measurements: &Measurements) -> Vec<ReportedSample> {
        let shown = spread(&self.samples).take(self.options.shown_samples);
        shown.map(|(index, sample)| self.reported(index, sample, measurements)).collect()
    }

    fn reported(&self, index: usize, sample: &TestSample, measurements: &Measurements) -> ReportedSample {
        let cut = |text: &str| match text.char_indices().nth(self.options.shown_chars) {
            Some((end, _)) => format!("{}\u{2026}", &text[..end]),
            None => text.to_owned(),
        };
        let answers = self.models.iter().zip(&measurements.of_models).map(|(model, measured)| {
            let value = |metric: Metric| measured[index].parts.get(&metric).map(|part| Part::ratio([*part]));
            ReportedAnswer {
                role: model.role,
                text: cut(&model.observations[index].answer.text),
                notes: measured[index].notes.iter().map(|note| cut(note)).collect(),
                loss_per_token: value(Metric::LossPerToken),
                likeness: value(Metric::Likeness),
                authorship: value(Metric::Authorship).or_else(|| value(Metric::CodeAuthorship)),
            }
        });
        ReportedSample {
            kind: sample.kind,
            document_id: sample.document_id,
            question: cut(question(&sample.prompt)),
            reference: cut(&sample.reference),
            answers: answers.collect(),
        }
    }
}

fn counts_of(documents: &[DocumentId]) -> Counts {
    let distinct: BTreeSet<&DocumentId> = documents.iter().collect();
    Counts { samples: documents.len() as u64, documents: distinct.len() as u64 }
}

/// The difference with its interval, or why there is none.
fn compared(bootstrap: &Bootstrap, pairs: &[Pair], counts: Counts, stream: u64) -> (Option<Interval>, Option<String>) {
    if pairs.iter().any(|pair| pair.candidate.denominator != pair.production.denominator) {
        return (None, Some("the models cut text into different tokens, compare bits per byte instead".to_owned()));
    }
    if counts.documents < 2 {
        return (None, Some("all samples are of one document, which says nothing of how others differ".to_owned()));
    }
    (bootstrap.difference(pairs, stream), None)
}

/// What was asked: the last message of the user.
fn question(prompt: &[ChatMessage]) -> &str {
    prompt.iter().rev().find(|message| message.role == Role::User).map_or("", |message| message.content.as_str())
}

/// All samples with their places, kinds in turn: whoever takes the first few sees each kind.
fn spread(samples: &[TestSample]) -> impl Iterator<Item = (usize, &TestSample)> {
    let mut seen = [0; SampleKind::ALL.len()];
    let mut ranked: Vec<(usize, usize, &TestSample)> = samples
        .iter()
        .enumerate()
        .map(|(index, sample)| {
            let round = &mut seen[sample.kind as usize];
            *round += 1;
            (*round, index, sample)
        })
        .collect();
    ranked.sort_by_key(|(round, index, _)| (*round, *index));
    ranked.into_iter().map(|(_, index, sample)| (index, sample))
}
