//! Whole evaluations over scripted models.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use twin_evaluator::{
    Answer, Comparison, Error, Loss, Metric, Options, Progress, Report, SampleKind, Subject, SubjectError, SubjectRole,
    Subjects, TestSample, evaluate, html, read_samples, select,
};
use twin_llm::{ABSTENTION, ChatChunk, ChatModel, ChatRequest, ChatStream};
use twin_schemas::{ChatMessage, DatasetId, DocumentId, FinishReason, Role, Usage, Verdict};

const PLAIN: &str = include_str!("data/plain.txt");
const ORNATE: &str = include_str!("data/ornate.txt");

/// How a scripted model behaves.
#[derive(Clone, Copy)]
struct Script {
    name: &'static str,
    /// Nats per token on the author's text.
    loss: f64,
    /// Whose paragraphs it writes; empty: it repeats the author's own on the same topic, and goes on and on.
    voice: &'static str,
    /// Whether it quotes, cites and refuses as it should.
    keeps_to_passages: bool,
    /// The call that fails, if any.
    fails_at: Option<usize>,
    /// Tokens for each word of the author's.
    tokens_per_word: u64,
}

const TUNED: Script =
    Script { name: "ada-v2", loss: 2.0, voice: PLAIN, keeps_to_passages: true, fails_at: None, tokens_per_word: 1 };
const BASE: Script = Script {
    name: "small-base",
    loss: 3.0,
    voice: ORNATE,
    keeps_to_passages: false,
    fails_at: None,
    tokens_per_word: 1,
};

struct Scripted {
    script: Script,
    samples: Vec<TestSample>,
    calls: AtomicUsize,
    open: std::sync::Arc<AtomicUsize>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Subject for Scripted {
    fn name(&self) -> &str {
        self.script.name
    }

    async fn answer(&self, prompt: &[ChatMessage]) -> Result<Answer, SubjectError> {
        if self.script.fails_at == Some(self.calls.fetch_add(1, Ordering::SeqCst)) {
            return Err("out of memory".into());
        }
        let sample = self.samples.iter().find(|sample| sample.prompt == prompt).ok_or("an unknown prompt")?;
        let number = sample.document_id.0.as_u128() as usize;
        let text = match sample.kind {
            SampleKind::Voice if self.script.voice.is_empty() => {
                format!("{} {}", sample.reference, "More of all of this there was, and much of it. ".repeat(3))
            }
            // The other half of the next paragraph: a text that no reference holds.
            SampleKind::Voice => halves(&paragraphs(self.script.voice)[(number + 1) % 12]).1,
            SampleKind::Grounded | SampleKind::Refusal if self.script.keeps_to_passages => sample.reference.clone(),
            SampleKind::Grounded | SampleKind::Refusal => "I said: \"all of this is quite well known\" [7].".to_owned(),
        };
        Ok(Answer { text, finish_reason: FinishReason::Stop })
    }

    async fn loss(&self, _: &[ChatMessage], completion: &str) -> Result<Loss, SubjectError> {
        let tokens = self.script.tokens_per_word * completion.split_whitespace().count() as u64;
        // Long passages are a little easier, so that samples differ.
        Ok(Loss { nll: self.script.loss * tokens as f64 - (tokens % 7) as f64, tokens })
    }
}

/// Opens scripted models, and notices when two are open together.
struct Stage {
    candidate: Script,
    production: Option<Script>,
    base: Script,
    samples: Vec<TestSample>,
    open: std::sync::Arc<AtomicUsize>,
    opened: Mutex<Vec<SubjectRole>>,
}

impl Stage {
    fn new(candidate: Script, production: Option<Script>, samples: &[TestSample]) -> Self {
        let samples = samples.to_vec();
        Self { candidate, production, base: BASE, samples, open: Default::default(), opened: Mutex::default() }
    }
}

#[async_trait]
impl Subjects for Stage {
    async fn open(&self, role: SubjectRole) -> Result<Option<Box<dyn Subject>>, SubjectError> {
        self.opened.lock().unwrap().push(role);
        let script = match role {
            SubjectRole::Candidate => Some(self.candidate),
            SubjectRole::Production => self.production,
            SubjectRole::Base => Some(self.base),
        };
        let Some(script) = script else { return Ok(None) };
        if self.open.fetch_add(1, Ordering::SeqCst) > 0 {
            return Err("another model is still in memory".into());
        }
        let (samples, open) = (self.samples.clone(), self.open.clone());
        Ok(Some(Box::new(Scripted { script, samples, calls: AtomicUsize::new(0), open })))
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    text.split("\n\n").map(|paragraph| paragraph.trim().to_owned()).collect()
}

/// A paragraph cut in two in the middle of its words.
fn halves(paragraph: &str) -> (String, String) {
    let words: Vec<&str> = paragraph.split(' ').collect();
    let (first, second) = words.split_at(words.len() / 2);
    (first.join(" "), second.join(" "))
}

fn document(number: usize) -> DocumentId {
    format!("{number:032x}").parse().unwrap()
}

fn user(content: String) -> Vec<ChatMessage> {
    vec![ChatMessage { role: Role::User, content }]
}

/// Twelve samples of each kind, each of a document of its own.
fn samples() -> Vec<TestSample> {
    let paragraphs = paragraphs(PLAIN);
    let mut samples = Vec::new();
    for (number, paragraph) in paragraphs.iter().enumerate() {
        samples.push(TestSample {
            kind: SampleKind::Voice,
            document_id: document(number),
            prompt: user(format!("Write about topic {number}.")),
            reference: halves(paragraph).0,
            passages: vec![],
            right: None,
        });
    }
    for (number, paragraph) in paragraphs.iter().enumerate() {
        let sentence = paragraph.split(". ").next().unwrap();
        samples.push(TestSample {
            kind: SampleKind::Grounded,
            document_id: document(number),
            prompt: user(format!("Passages.\n\nQuestion: what of topic {number}?")),
            reference: format!("\"{sentence}.\" [2]"),
            passages: vec![paragraphs[(number + 1) % 12].clone(), paragraph.clone()],
            right: Some(1),
        });
        samples.push(TestSample {
            kind: SampleKind::Refusal,
            document_id: document(number),
            prompt: user(format!("Passages.\n\nQuestion: what of the unknown {number}?")),
            reference: ABSTENTION.to_owned(),
            passages: vec![paragraphs[(number + 1) % 12].clone()],
            right: None,
        });
    }
    samples
}

fn dataset() -> DatasetId {
    DatasetId("0123456789abcdef".repeat(4))
}

fn options() -> Options {
    Options { resamples: 1_000, ..Options::default() }
}

async fn run(stage: &Stage, options: &Options) -> Result<Report, Error> {
    evaluate(&dataset(), &stage.samples, stage, None, options, &|_| ControlFlow::Continue(())).await
}

fn of(report: &Report, metric: Metric) -> &Comparison {
    report.comparisons.iter().find(|comparison| comparison.metric == metric).unwrap()
}

#[tokio::test]
async fn a_better_candidate_passes_against_the_base_model() {
    let stage = Stage::new(TUNED, None, &samples());
    let report = run(&stage, &options()).await.unwrap();
    assert_eq!(report.verdict, Verdict::Passed, "{:#?}", report.checks);
    assert_eq!((report.models.production.as_deref(), report.models.base.as_str()), (None, "small-base"));
    let loss = of(&report, Metric::LossPerToken);
    assert!((loss.difference.unwrap().mean + 1.0).abs() < 1e-9, "{loss:?}");
    assert_eq!(loss.production, loss.base);
    for (metric, candidate, production) in [
        (Metric::CitationsValid, 1.0, 0.0),
        (Metric::RightPassage, 1.0, 0.0),
        (Metric::InventedQuotes, 0.0, 1.0),
        (Metric::RougeL, 1.0, of(&report, Metric::RougeL).production),
        (Metric::RefusalsRight, 1.0, 0.0),
        (Metric::FalseRefusals, 0.0, 0.0),
        (Metric::Degenerate, 0.0, 0.0),
    ] {
        let comparison = of(&report, metric);
        assert_eq!((comparison.candidate, comparison.production), (candidate, production), "{metric:?}");
    }
    // It writes like the author, on other topics; the base model does not.
    let (likeness, delta) = (of(&report, Metric::Likeness), of(&report, Metric::Delta));
    assert!(likeness.difference.unwrap().low > 0.0, "{likeness:?}");
    assert!(delta.candidate < 1.0 && delta.base > 1.0 && delta.author.unwrap() < 1.0, "{delta:?}");
    assert!(likeness.author.is_some() && of(&report, Metric::RougeL).author.is_none());
}

#[tokio::test]
async fn repeating_the_authors_own_text_reads_like_the_author_and_no_more_than_that() {
    let stage = Stage::new(Script { voice: "", ..TUNED }, None, &samples());
    let report = run(&stage, &options()).await.unwrap();
    for metric in [Metric::Likeness, Metric::Delta] {
        let comparison = of(&report, metric);
        assert!((comparison.candidate - comparison.author.unwrap()).abs() < 1e-12, "{comparison:?}");
    }
}

#[tokio::test]
async fn the_base_model_does_not_pass_against_a_tuned_one() {
    let stage = Stage::new(Script { name: "ada-v3", ..BASE }, Some(TUNED), &samples());
    let report = run(&stage, &options()).await.unwrap();
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(report.models.production.as_deref(), Some("ada-v2"));
    let failed = report.checks.iter().filter(|check| check.outcome == twin_evaluator::Outcome::Failed);
    let failed: Vec<Metric> = failed.filter_map(|check| check.metric).collect();
    assert!(failed.contains(&Metric::LossPerToken) && failed.contains(&Metric::RefusalsRight), "{failed:?}");
}

#[tokio::test]
async fn models_are_opened_one_at_a_time_the_candidate_first() {
    let stage = Stage::new(TUNED, Some(BASE), &samples());
    run(&stage, &options()).await.unwrap();
    assert_eq!(*stage.opened.lock().unwrap(), SubjectRole::ALL);
    assert_eq!(stage.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_second_evaluation_finds_the_same() {
    let stage = Stage::new(TUNED, Some(BASE), &samples());
    let (first, mut second) = (run(&stage, &options()).await.unwrap(), run(&stage, &options()).await.unwrap());
    second.at = first.at;
    second.seconds = first.seconds;
    assert_eq!(serde_json::to_string(&first).unwrap(), serde_json::to_string(&second).unwrap());
}

#[tokio::test]
async fn the_order_of_samples_in_the_file_does_not_matter() {
    let mut shuffled = samples();
    shuffled.rotate_left(7);
    let first = run(&Stage::new(TUNED, Some(BASE), &samples()), &options()).await.unwrap();
    let second = run(&Stage::new(TUNED, Some(BASE), &shuffled), &options()).await.unwrap();
    assert_eq!(first.comparisons.len(), Metric::ALL.len());
    for (one, other) in first.comparisons.iter().zip(&second.comparisons) {
        assert_eq!(one, other);
    }
}

#[tokio::test]
async fn a_report_survives_its_json() {
    let report = run(&Stage::new(TUNED, Some(BASE), &samples()), &options()).await.unwrap();
    let json = serde_json::to_string(&report).unwrap();
    let read: Report = serde_json::from_str(&json).unwrap();
    // Numbers are read to within their last digit; everything else is the same.
    let close = |a: &Comparison, b: &Comparison| (a.candidate - b.candidate).abs() < 1e-12;
    assert!(read.comparisons.iter().zip(&report.comparisons).all(|(a, b)| a.metric == b.metric && close(a, b)));
    let texts = |report: &Report| report.samples.iter().map(|one| one.reference.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&read), texts(&report));
    let facts =
        |report: Report| (report.verdict, report.checks, report.models, report.counts, report.options, report.at);
    assert_eq!(facts(read), facts(report));
}

#[tokio::test]
async fn a_model_that_fails_midway_ends_the_evaluation_and_is_named_with_the_sample() {
    let broken = Script { name: "ada-v3", fails_at: Some(5), ..TUNED };
    let error = run(&Stage::new(TUNED, Some(broken), &samples()), &options()).await.unwrap_err();
    let expected = format!("the production ada-v3 failed on sample 6 (voice, document {}): out of memory", document(5));
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_loss_that_is_no_number_is_an_error_and_no_metric() {
    let broken = Script { loss: f64::NAN, ..TUNED };
    let error = run(&Stage::new(broken, None, &samples()), &options()).await.unwrap_err();
    assert!(matches!(error, Error::Loss { role: SubjectRole::Candidate, .. }), "{error}");
}

#[tokio::test]
async fn models_with_different_tokens_are_compared_by_bytes_alone() {
    let other = Script { tokens_per_word: 2, loss: 1.0, ..TUNED };
    let report = run(&Stage::new(other, None, &samples()), &options()).await.unwrap();
    assert!(of(&report, Metric::LossPerToken).difference.is_none());
    assert!(of(&report, Metric::BitsPerByte).difference.is_some());
    assert_eq!(report.verdict, Verdict::Inconclusive);
}

#[tokio::test]
async fn progress_is_told_and_can_stop_the_evaluation() {
    let stage = Stage::new(TUNED, None, &samples());
    let seen = Mutex::new(BTreeMap::<Option<SubjectRole>, usize>::new());
    let count = |progress: Progress| {
        *seen.lock().unwrap().entry(progress.role).or_default() += 1;
        assert!(progress.done < progress.total);
        ControlFlow::Continue(())
    };
    evaluate(&dataset(), &stage.samples, &stage, None, &options(), &count).await.unwrap();
    let expected = [(Some(SubjectRole::Candidate), 36), (Some(SubjectRole::Base), 36)];
    assert_eq!(*seen.lock().unwrap(), BTreeMap::from(expected));
    let stop = |progress: Progress| if progress.done == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let error = evaluate(&dataset(), &stage.samples, &stage, None, &options(), &stop).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled));
    assert_eq!(stage.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn without_samples_there_is_nothing_to_evaluate() {
    let error = run(&Stage::new(TUNED, None, &[]), &options()).await.unwrap_err();
    assert!(matches!(error, Error::NoSamples));
}

#[tokio::test]
async fn options_that_contradict_themselves_are_named() {
    let mut options = options();
    options.policy.guards[0].margin = -0.1;
    let error = run(&Stage::new(TUNED, None, &samples()), &options).await.unwrap_err();
    assert_eq!(error.to_string(), "evaluation option policy.guards.degenerate: its margin must be zero or more");
}

#[test]
fn samples_are_read_line_by_line_and_a_bad_one_is_named() {
    let good = serde_json::to_string(&samples()[0]).unwrap();
    let more = good.replacen('{', "{\"added_later\": 1, ", 1);
    assert_eq!(read_samples(format!("{good}\n\n{more}\n").as_bytes()).unwrap(), [&samples()[0]; 2].map(Clone::clone));
    let error = read_samples(format!("{good}\nnonsense\n").as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with("line 2 of the test samples can not be used"), "{error}");
    let mut ungrounded = samples().into_iter().find(|sample| sample.kind == SampleKind::Grounded).unwrap();
    ungrounded.right = Some(2);
    let error = read_samples(serde_json::to_string(&ungrounded).unwrap().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("`right` names none of its passages"), "{error}");
}

#[test]
fn samples_are_taken_from_as_many_documents_as_possible() {
    let mut many = Vec::new();
    for number in [3, 1, 2] {
        many.extend((0..5).map(|copy| TestSample {
            document_id: document(number),
            prompt: user(format!("{number}.{copy}")),
            ..samples()[0].clone()
        }));
    }
    let options = Options { max_voice: 5, ..Options::default() };
    let selected: Vec<String> = select(&many, &options).iter().map(|one| one.prompt[0].content.clone()).collect();
    assert_eq!(selected, ["1.0", "2.0", "3.0", "1.1", "2.1"]);
}

/// A judge that prefers the answer with a word in it, and sometimes misbehaves.
struct ScriptedJudge {
    reply: fn(prompt: &str, call: usize) -> Result<String, twin_llm::Error>,
    calls: AtomicUsize,
}

#[async_trait]
impl ChatModel for ScriptedJudge {
    fn name(&self) -> &str {
        "a judge"
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        let prompt = &request.messages.last().unwrap().content;
        let text = (self.reply)(prompt, self.calls.fetch_add(1, Ordering::SeqCst))?;
        let end = ChatChunk::End { finish_reason: FinishReason::Stop, usage: Usage::default() };
        Ok(Box::pin(futures::stream::iter([Ok(ChatChunk::Text(text)), Ok(end)])))
    }
}

async fn judged(reply: fn(&str, usize) -> Result<String, twin_llm::Error>) -> twin_evaluator::judge::Judgement {
    let stage = Stage::new(TUNED, None, &samples());
    let judge = ScriptedJudge { reply, calls: AtomicUsize::new(0) };
    let go_on = |_| ControlFlow::Continue(());
    let report = evaluate(&dataset(), &stage.samples, &stage, Some(&judge), &options(), &go_on).await.unwrap();
    assert_eq!(report.verdict, Verdict::Passed);
    assert!(html(&report).unwrap().contains("Judge: a judge"));
    report.judgement.unwrap()
}

#[tokio::test]
async fn a_judge_that_prefers_the_candidate_in_both_orders_is_believed() {
    let judgement = judged(|prompt, _| {
        let answer =
            |tag: &str| prompt.split(&format!("id=\"{tag}\">")).nth(1).unwrap().split("</").next().unwrap().to_owned();
        // The base model's stock phrase, or else its long words.
        let weight = |text: &str| {
            if text.contains("quite well known") { 99_000 } else { 1_000 * text.len() / text.split(' ').count() }
        };
        let winner = if weight(&answer("answer A")) < weight(&answer("answer B")) { "A" } else { "B" };
        Ok(format!("{{\"winner\": \"{winner}\", \"reason\": \"tone\"}}"))
    })
    .await;
    assert_eq!((judgement.wins, judgement.losses, judgement.contradictory), (24, 0, 0), "{judgement:?}");
    assert!(judgement.win_rate.unwrap().low > 0.5);
}

#[tokio::test]
async fn a_judge_that_prefers_what_stands_first_decides_nothing() {
    let judgement = judged(|_, _| Ok("{\"winner\": \"A\"}".to_owned())).await;
    assert_eq!((judgement.wins, judgement.ties, judgement.losses, judgement.contradictory), (0, 24, 0, 24));
    assert_eq!(judgement.win_rate.unwrap().mean, 0.5);
}

#[tokio::test]
async fn malformed_replies_and_failures_of_a_judge_are_counted_and_end_nothing() {
    let judgement = judged(|_, call| match call {
        0 => Ok("A is better, I think.".to_owned()),
        1 => Err(twin_llm::Error::Generation("it broke".to_owned())),
        2 => Ok("{\"winner\": \"A\", \"confidence\": 1}".to_owned()),
        _ => Ok("{\"winner\": \"tie\", \"reason\": \"\"}".to_owned()),
    })
    .await;
    assert_eq!((judgement.malformed, judgement.unanswered, judgement.ties), (2, 1, 21));
}

#[tokio::test]
async fn a_judge_that_never_makes_sense_leaves_no_win_rate() {
    let judgement = judged(|_, _| Ok("?".to_owned())).await;
    assert_eq!((judgement.malformed, judgement.win_rate), (24, None));
}

#[tokio::test]
async fn hostile_answers_are_shown_as_text() {
    let mut hostile = samples();
    let script = "</div><script>alert(1)</script><img src=x onerror='alert(2)'>\"{{ 7 * 7 }}";
    for sample in &mut hostile {
        sample.reference = format!("{script} {}", sample.reference);
        sample.prompt = user(format!("{} {script}", sample.prompt[0].content));
    }
    let name = Script { name: "<b>ada</b>", ..TUNED };
    let report = run(&Stage::new(name, None, &hostile), &options()).await.unwrap();
    let page = html(&report).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)"));
    for forbidden in ["<script", "<img", "<b>ada", "http://", "https://"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("{{ 7 * 7 }}"));
}

#[tokio::test]
async fn the_page_says_the_verdict_the_metrics_and_the_answers() {
    let report = run(&Stage::new(TUNED, None, &samples()), &options()).await.unwrap();
    let page = html(&report).unwrap();
    assert!(page.contains("<h1>ada-v2 may follow small-base</h1>"));
    for comparison in &report.comparisons {
        assert!(page.contains(comparison.metric.title()), "{:?}", comparison.metric);
    }
    assert_eq!(page.matches("<svg").count(), report.comparisons.len());
    assert_eq!(page.matches("<article").count(), 12);
    assert!(page.contains("answers what the passages do not say"));
}

#[tokio::test]
async fn a_judge_is_shown_answers_that_can_not_pose_as_something_else() {
    let judgement = judged(|prompt, _| {
        assert_eq!((prompt.matches("<passage").count(), prompt.matches("</passage>").count()), (4, 4), "{prompt}");
        Ok("{\"winner\": \"tie\"}".to_owned())
    })
    .await;
    assert_eq!(judgement.ties, 24);
}

#[test]
fn options_are_read_with_defaults_and_refuse_what_they_do_not_know() {
    let options: Options = serde_json::from_str(r#"{"max_voice": 5, "policy": {"primary": "rouge_l"}}"#).unwrap();
    assert_eq!((options.max_voice, options.max_grounded, options.policy.primary), (5, 40, Metric::RougeL));
    assert!(serde_json::from_str::<Options>(r#"{"max_voices": 5}"#).is_err());
    let guard = r#"{"policy": {"guards": [{"metric": "likeness", "margin": 0.1}]}}"#;
    let options: Options = serde_json::from_str(guard).unwrap();
    assert_eq!((options.policy.guards.len(), options.policy.guards[0].margin), (1, 0.1));
    options.validate().unwrap();
    Options::default().validate().unwrap();
}
