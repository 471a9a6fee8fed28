//! The vector index: what it promises, and going over to another model.

mod contract;
mod rebuild;
mod support;
