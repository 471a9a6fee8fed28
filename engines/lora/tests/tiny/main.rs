//! The training engine on tiny models with random weights.

mod checkpoints;
mod export;
mod formats;
#[cfg(feature = "cuda")]
mod gpu;
mod gradients;
mod model;
mod reference;
mod sharing;
mod stages;
mod training;
