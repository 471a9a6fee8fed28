//! Long work outside of this process: training, evaluations.
//!
//! [`Runner`] is the port to where jobs run; [`LocalRunner`] runs them as child processes of this program.
//! [`Supervisor`] takes jobs from their [`Queue`] to their end: it starts them, follows them, starts them again and
//! hands over what they made, for every kind of job alike.
//!
//! Promises: a job is named by its id, and submitting it twice starts it once; of several supervisors one follows a
//! job, the one that holds its lease; what is asked for an attempt that is not the newest, by one that stood still past
//! its lease, ends and wipes nothing; a job whose process died is started again, as often as is allowed; one whose
//! process gave way because something it needs is away is waited for, however long, and that counts as no attempt.
//!
//! Deliberately not here: what the work is, and what becomes of its product.

mod backoff;
mod local;
mod runner;
mod supervisor;
pub mod testing;

pub use backoff::Pauses;
pub use local::{Error, LocalRunner, Outcome, Worker};
pub use runner::{Kind, Resources, Runner, Status};
pub use supervisor::{Ending, Job, Options, Queue, Stage, Supervisor};
