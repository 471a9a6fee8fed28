//! A running gateway, and a worker that answers by the text of the question.

mod dead_letters;
mod node;
mod parts;
mod planner;
mod responses;
mod sources;
mod worker;

use std::time::Duration;

pub use node::Node;
pub use planner::{planned, rank};
pub use responses::{body, eventually, problem};

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);
