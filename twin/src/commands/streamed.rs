//! An answer that is written as it comes.

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use super::text::count;
use crate::client::unexpected;
use crate::error::CommandError;

#[derive(Deserialize)]
struct Retrieved {
    passages: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Delta {
    text: String,
}

/// What is asked for, and how its answer is read.
pub struct Streamed<'a, A> {
    /// Of `POST /v1/<path>`.
    pub path: &'a str,
    /// What goes on once passages were found: `answering`.
    pub doing: &'a str,
    /// What is written behind the parts of the text that came, if any did.
    pub ending: fn(&A, bool) -> String,
}

impl<A: DeserializeOwned> Streamed<'_, A> {
    /// Writes the answer as it comes. None: nobody reads it any more.
    pub async fn tell(&self, body: &impl Serialize, context: &mut Context) -> Result<Option<A>, CommandError> {
        let mut text_came = false;
        let told = self.tell_stream(body, context, &mut text_came).await;
        if text_came && told.is_err() {
            // What came of the answer stands alone; the error begins on a line of its own.
            context.out.line("")?;
        }
        told
    }

    /// The same, to the end of its last line.
    async fn tell_stream(
        &self,
        body: &impl Serialize,
        context: &mut Context,
        text_came: &mut bool,
    ) -> Result<Option<A>, CommandError> {
        let Context { client, out, .. } = context;
        let path = [self.path];
        let mut events = client.events(&path, body).await?;
        while let Some(event) = events.next().await? {
            match event.name.as_str() {
                "retrieved" => {
                    let found = read::<Retrieved>(&event.data)?.passages.len() as u64;
                    out.progress(&format!("{} found, {}…", count(found, "passage"), self.doing));
                }
                "delta" => {
                    *text_came = true;
                    out.text(&read::<Delta>(&event.data)?.text)?;
                }
                "done" => {
                    let answer: A = read(&event.data)?;
                    out.line(&(self.ending)(&answer, *text_came))?;
                    return Ok(Some(answer));
                }
                "error" => return Err(CommandError::of_problem(500, event.data.as_bytes(), None)),
                // What a later version may send beside these.
                _ => {}
            }
            if out.is_closed() {
                return Ok(None);
            }
        }
        Err(CommandError::Failed("the answer was cut off: the connection ended before it was complete".to_owned()))
    }
}

fn read<T: DeserializeOwned>(data: &str) -> Result<T, CommandError> {
    serde_json::from_str(data).map_err(unexpected)
}
