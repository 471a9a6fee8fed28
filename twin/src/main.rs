//! `twin`: the one binary of LLM Twin. Its services, its command line, its configuration.

mod cli;
mod client;
mod commands;
mod config;
mod cpu;
mod error;
mod folder;
mod gc;
mod learning;
mod reindex;
mod run;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(feature) = cpu::missing_feature() {
        eprintln!(
            "twin: this processor has no {feature}; the program needs x86-64-v3 (see .cargo/config.toml to build for another)"
        );
        return ExitCode::FAILURE;
    }
    cli::main()
}
