//! From a conversation to the one text that a model in this process reads, by the model's own chat template.
//!
//! What a model is trained on and what it is asked with is rendered here and nowhere else: a model that is asked with other
//! tokens than it was trained on forgets what it has learned. It is what Hugging Face's transformers renders
//! (`apply_chat_template`, with thinking off), and the same on any day.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use chrono::NaiveDate;
use minijinja::{Environment, ErrorKind, Value, context};
use serde::Deserialize;
use twin_schemas::{ChatMessage, Role};

use crate::error::Error;

/// The day that templates are told, as year, month and day: what Llama 3.1's and 3.2's take where nobody tells them one. Were
/// it the day that it is, no answer would be asked for as it was trained.
const TODAY: (i32, u32, u32) = (2024, 7, 26);

/// An answer in which a template sees nothing but text.
const PLAIN_ANSWER: &str = "A plain answer.";

/// A model's chat template.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    tokens: SpecialTokens,
    system: System,
}

/// The text of tokens that stand for no text.
#[derive(Debug, Clone, Default)]
pub struct SpecialTokens {
    /// Begins a text.
    pub beginning: Option<String>,
    /// Ends an answer.
    pub end: Option<String>,
    /// Stands for what no token is for.
    pub unknown: Option<String>,
}

/// Where what the system says is in a rendered conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    /// Where the template has it.
    Own,
    /// In the user's first words: the template knows no system.
    FirstTurn,
    /// In the user's last words. The template has it there as long as they are not answered, and leaves it out then (Mistral
    /// v0.3's), so that an answer would be learned after another prompt than it is asked for with.
    LastTurn,
}

#[derive(Deserialize)]
struct TokenizerConfig {
    chat_template: Option<Templates>,
    bos_token: Option<SpecialToken>,
    eos_token: Option<SpecialToken>,
    unk_token: Option<SpecialToken>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<BTreeMap<String, String>>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SpecialToken {
    Text(String),
    Token { content: String },
}

impl ChatTemplate {
    /// Reads `tokenizer_config.json` and, where there is one, `chat_template.jinja` of a model's folder.
    ///
    /// # Errors
    /// A file that is missing or malformed, and a model without a chat template.
    pub fn read(model: &Path) -> Result<Self, Error> {
        let path = model.join("tokenizer_config.json");
        let bytes = std::fs::read(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        let config: TokenizerConfig =
            serde_json::from_slice(&bytes).map_err(|error| Error::Malformed { path, problem: error.to_string() })?;
        let path = model.join("chat_template.jinja");
        let source = match std::fs::read_to_string(&path) {
            Ok(source) => source,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => default_template(config.chat_template)?,
            Err(source) => return Err(Error::File { path, source }),
        };
        let text = |token: Option<SpecialToken>| match token? {
            SpecialToken::Text(content) | SpecialToken::Token { content } => Some(content),
        };
        let (beginning, end, unknown) = (text(config.bos_token), text(config.eos_token), text(config.unk_token));
        Ok(Self::new(&source, SpecialTokens { beginning, end, unknown }))
    }

    /// A template, as a model's files have it.
    pub fn new(source: &str, tokens: SpecialTokens) -> Self {
        // What Python's templates may say and minijinja's may not, as in mistral.rs.
        let source = source.replace("[::-1]", "|reverse");
        let source = source.replace("{% generation %}", "").replace("{% endgeneration %}", "");
        let mut template = Self { source, tokens, system: System::Own };
        template.system = template.place_of_system();
        template
    }

    /// The text of a conversation; with `answer_follows` it ends where the assistant begins to write.
    ///
    /// A template that has no place for what the system says has it before what the user says, with an empty line between.
    ///
    /// # Errors
    /// The template's.
    pub fn render(&self, messages: &[ChatMessage], answer_follows: bool) -> Result<String, Error> {
        self.rendered(&self.placed(messages), answer_follows)
    }

    /// The text of a prompt, and what follows it once it is answered: the answer, and what the template has after one.
    ///
    /// # Errors
    /// The template's, and where it does not tell the prompt from the answer.
    pub fn answered(&self, prompt: &[ChatMessage], answer: &str) -> Result<(String, String), Error> {
        let prompt = self.placed(prompt);
        let asked = self.rendered(&prompt, true)?;
        let with = |answer: &str| {
            let answer = ChatMessage { role: Role::Assistant, content: answer.to_owned() };
            self.rendered(&[prompt.as_slice(), &[answer]].concat(), false)
        };
        if let Some(rest) = with(answer)?.strip_prefix(&asked) {
            return Ok((asked, rest.to_owned()));
        }
        // Qwen3's looks for a thought in the answer, and moves what it takes for one: the answer stands where a plain one would.
        let plain = with(PLAIN_ANSWER)?;
        match plain.strip_prefix(&asked).and_then(|rest| rest.split_once(PLAIN_ANSWER)) {
            Some((before, after)) => {
                let rest = format!("{before}{answer}{after}");
                Ok((asked, rest))
            }
            None => {
                let problem =
                    "a conversation does not begin with its prompt, so that the answer can not be told from it";
                Err(Error::Template(problem.to_owned()))
            }
        }
    }

    /// Whether a rendered text begins with the token that begins a text: the tokenizer must not put another one before it.
    pub fn has_beginning(&self, text: &str) -> bool {
        self.tokens.beginning.as_deref().is_some_and(|token| text.starts_with(token))
    }

    /// The text of the token that ends an answer.
    pub fn end(&self) -> Option<&str> {
        self.tokens.end.as_deref()
    }

    /// Whether the model writes into channels (gpt-oss's form, Gemma 4's), whose text is not the answer's.
    pub fn has_channels(&self) -> bool {
        self.source.contains("<|channel")
    }

    /// Whether the model is one that thinks before it answers, if it is not told to let it be.
    pub fn thinks(&self) -> bool {
        self.source.contains("<think>")
    }

    /// Found out by trying.
    fn place_of_system(&self) -> System {
        const TOLD: &str = "What the system says.";
        let message = |role, content: &str| ChatMessage { role, content: content.to_owned() };
        let asked = [message(Role::System, TOLD), message(Role::User, "Why?")];
        let answered = [asked.as_slice(), &[message(Role::Assistant, PLAIN_ANSWER)]].concat();
        let is_there = |messages: &[ChatMessage], answer_follows| {
            self.rendered(messages, answer_follows).is_ok_and(|text| text.contains(TOLD))
        };
        match (is_there(&asked, true), is_there(&answered, false)) {
            (true, true) => System::Own,
            (true, false) => System::LastTurn,
            (false, _) if self.rendered(&asked[1..], true).is_ok() => System::FirstTurn,
            // It renders nothing at all, and says why when it is asked to.
            (false, _) => System::Own,
        }
    }

    /// The messages with what the system says where the template has a place for it.
    fn placed(&self, messages: &[ChatMessage]) -> Vec<ChatMessage> {
        match self.system {
            System::Own => messages.to_vec(),
            System::FirstTurn => told_first(messages),
            System::LastTurn => told_last(messages),
        }
    }

    /// The text of messages as the template has it.
    fn rendered(&self, messages: &[ChatMessage], answer_follows: bool) -> Result<String, Error> {
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_lstrip_blocks(true);
        environment.set_trim_blocks(true);
        environment.add_function("raise_exception", |problem: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, problem))
        });
        environment.add_function("strftime_now", day);
        environment.add_filter("tojson", |value: Value| {
            serde_json::to_string(&value)
                .map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))
        });
        let rendered = environment.template_from_str(&self.source).and_then(|template| {
            template.render(context! {
                messages => messages,
                add_generation_prompt => answer_follows,
                bos_token => self.tokens.beginning,
                eos_token => self.tokens.end,
                unk_token => self.tokens.unknown,
                tools => Value::from(()),
                documents => Value::from(()),
                enable_thinking => false,
            })
        });
        rendered.map_err(|error| Error::Template(error.to_string()))
    }
}

/// The one day that there is, in the form that a template asks for (`strftime`).
fn day(form: String) -> Result<String, minijinja::Error> {
    let invalid = |problem: &str| minijinja::Error::new(ErrorKind::InvalidOperation, format!("{problem}: {form:?}"));
    let (year, month, day) = TODAY;
    let date = NaiveDate::from_ymd_opt(year, month, day).and_then(|date| date.and_hms_opt(0, 0, 0));
    let date = date.ok_or_else(|| invalid("no day"))?;
    let mut text = String::new();
    // A form that chrono does not know is an error of formatting.
    write!(text, "{}", date.format(&form)).map_err(|_| invalid("an unknown form of a date"))?;
    Ok(text)
}

/// The messages with what the system says before the user's first words.
fn told_first(messages: &[ChatMessage]) -> Vec<ChatMessage> {
    let (system, mut turns): (Vec<_>, Vec<_>) = messages.iter().cloned().partition(is_system);
    let told: Vec<&str> = system.iter().map(|told| told.content.as_str()).filter(|told| !told.is_empty()).collect();
    if told.is_empty() {
        return turns;
    }
    let told = told.join("\n\n");
    match turns.iter_mut().find(|turn| turn.role == Role::User) {
        Some(first) => first.content = format!("{told}\n\n{}", first.content),
        None => turns.insert(0, ChatMessage { role: Role::User, content: told }),
    }
    turns
}

/// The messages with what the system says before the user's last words.
fn told_last(messages: &[ChatMessage]) -> Vec<ChatMessage> {
    let (system, mut turns): (Vec<_>, Vec<_>) = messages.iter().cloned().partition(is_system);
    for told in system.into_iter().rev() {
        match turns.iter_mut().rfind(|turn| turn.role == Role::User) {
            Some(last) => last.content = format!("{}\n\n{}", told.content, last.content),
            None => turns.insert(0, ChatMessage { role: Role::User, content: told.content }),
        }
    }
    turns
}

fn is_system(message: &ChatMessage) -> bool {
    message.role == Role::System
}

fn default_template(templates: Option<Templates>) -> Result<String, Error> {
    let missing = || Error::Template("the model has none: choose an instruction-tuned one".to_owned());
    match templates.ok_or_else(missing)? {
        Templates::One(template) => Ok(template),
        Templates::Named(named) => {
            let default = named.into_iter().find(|entry| entry.get("name").is_some_and(|name| name == "default"));
            default.and_then(|mut entry| entry.remove("template")).ok_or_else(missing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, content: &str) -> ChatMessage {
        ChatMessage { role, content: content.to_owned() }
    }

    fn after(first: ChatMessage, others: &[ChatMessage]) -> Vec<ChatMessage> {
        std::iter::once(first).chain(others.iter().cloned()).collect()
    }

    fn template(source: &str) -> ChatTemplate {
        let token = |text: &str| Some(text.to_owned());
        ChatTemplate::new(source, SpecialTokens { beginning: token("<s>"), end: token("</s>"), unknown: None })
    }

    /// Turns of a user and an assistant; the system's words are refused.
    const NO_SYSTEM: &str = "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}\
        {{ raise_exception('no system role') }}{% elif m.role == 'user' %}[{{ m.content }}]\
        {% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}";

    #[test]
    fn what_the_system_says_stands_in_the_first_turn_where_a_template_knows_no_system() {
        let template = template(NO_SYSTEM);
        let turns = [message(Role::User, "why?"), message(Role::Assistant, "so."), message(Role::User, "and?")];
        let told = after(message(Role::System, "Be brief."), &turns);
        assert_eq!(template.render(&told, true).unwrap(), "<s>[Be brief.\n\nwhy?]so.</s>[and?]");
        // Nothing is said: no empty lines.
        let nothing = after(message(Role::System, ""), &turns);
        assert_eq!(template.render(&nothing, true).unwrap(), template.render(&turns, true).unwrap());
        assert_eq!(template.render(&told[..1], true).unwrap(), "<s>[Be brief.]");
    }

    #[test]
    fn a_template_that_drops_the_system_once_it_is_answered_is_answered_after_the_same_prompt() {
        let source = "{% set told = messages[0].content if messages[0].role == 'system' else none %}\
            {% for m in messages %}{% if m.role == 'user' %}[{% if loop.last and told is not none %}{{ told }}\n\n\
            {% endif %}{{ m.content }}]{% elif m.role == 'assistant' %}{{ m.content + eos_token }}{% endif %}{% endfor %}";
        let template = template(source);
        let prompt = [
            message(Role::System, "Be brief."),
            message(Role::User, "why?"),
            message(Role::Assistant, "so."),
            message(Role::User, "and?"),
        ];
        let asked = "[why?]so.</s>[Be brief.\n\nand?]";
        assert_eq!(template.rendered(&prompt, true).unwrap(), asked);
        assert_eq!(template.render(&prompt, true).unwrap(), asked);
        assert_eq!(template.answered(&prompt, "or.").unwrap(), (asked.to_owned(), "or.</s>".to_owned()));
    }

    #[test]
    fn a_system_has_its_place_where_the_template_has_one() {
        let source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
        let told = [message(Role::System, ""), message(Role::User, "why?")];
        assert_eq!(template(source).render(&told, true).unwrap(), "<system><user>why?");
    }

    #[test]
    fn thinking_is_off_no_tool_is_there_and_the_day_is_always_the_same() {
        let source = "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}\
            {% if tools is none %}no tools, {% endif %}{{ strftime_now('%d %b %Y') }}\
            {% if date_string is defined %}, or another day{% endif %}";
        let found = template(source).render(&[message(Role::User, "why?")], true).unwrap();
        assert_eq!(found, "<think></think>no tools, 26 Jul 2024");
        let unknown = template("{{ strftime_now('%Q') }}").render(&[], true);
        assert!(unknown.unwrap_err().to_string().contains("form of a date"));
    }

    #[test]
    fn an_answer_that_a_template_takes_apart_stands_where_a_plain_one_would() {
        let source = "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% else %}\
            <think>{{ m.content.split('</think>')[0] if '</think>' in m.content else '' }}</think>\
            {{- m.content.split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}\
            {% if add_generation_prompt %}<think></think>{% endif %}";
        let (asked, rest) = template(source).answered(&[message(Role::User, "why?")], "so</think> it is").unwrap();
        assert_eq!((asked.as_str(), rest.as_str()), ("[why?]<think></think>", "so</think> it is</s>"));
    }

    #[test]
    fn a_text_that_begins_with_its_token_needs_no_other() {
        let template = template(NO_SYSTEM);
        assert!(template.has_beginning("<s>[why?]"));
        assert!(!template.has_beginning("[why?]"));
        assert!(!ChatTemplate::new(NO_SYSTEM, SpecialTokens::default()).has_beginning("[why?]"));
    }

    #[test]
    fn a_template_says_itself_why_it_renders_nothing() {
        let template = template("{{ raise_exception('nothing is right') }}");
        let told = template.render(&[message(Role::User, "why?")], true).unwrap_err().to_string();
        assert!(told.contains("nothing is right"), "{told}");
    }
}
