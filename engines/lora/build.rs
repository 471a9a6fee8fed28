//! Compiles the GPU's kernels, in a build with the cargo feature `cuda`.

use std::path::PathBuf;
use std::process::Command;

/// Compute capability 8.0 (Ampere), the first with bfloat16. The driver compiles it for what the machine has.
const ARCHITECTURE: &str = "-arch=compute_80";

fn main() {
    const SOURCE: &str = "src/kernels/kernels.cu";
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    let home = std::env::var_os("CUDA_HOME").map(|home| PathBuf::from(home).join("bin/nvcc"));
    let compiler = home.unwrap_or_else(|| PathBuf::from("nvcc"));
    let target = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names a folder")).join("kernels.ptx");
    let mut command = Command::new(&compiler);
    command.args(["--ptx", "-O3", "-std=c++17", ARCHITECTURE, "-o"]).arg(target).arg(SOURCE);
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{} can not compile {SOURCE}: {status}", compiler.display()),
        Err(error) => panic!("{}: {error}; install the CUDA toolkit, or set CUDA_HOME to it", compiler.display()),
    }
}
