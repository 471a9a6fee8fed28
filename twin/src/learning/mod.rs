//! The learning loop, wired: what one stage of it offers in the shape that another wants, and the work of its child
//! processes.

mod desk;
mod files;
mod subjects;
mod work;

pub use desk::Desk;
pub use files::Files;
pub use work::{Job, run};
