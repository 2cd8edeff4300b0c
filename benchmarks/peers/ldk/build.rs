//! Records what is measured: the lightning crate's version, the compiler's and the target CPU.

use std::process::Command;

fn main() {
    let lock = std::fs::read_to_string("Cargo.lock").expect("Cargo.lock");
    let version = lock
        .split("[[package]]")
        .find(|entry| entry.contains("name = \"lightning\"\n"))
        .and_then(|entry| entry.lines().find_map(|line| line.strip_prefix("version = ")))
        .expect("lightning in Cargo.lock")
        .trim_matches('"')
        .to_owned();
    let rustc =
        Command::new(std::env::var("RUSTC").expect("RUSTC")).arg("--version").output().expect("rustc --version");
    let rustc = String::from_utf8(rustc.stdout).expect("UTF-8");
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let cpu = if flags.contains("target-cpu=native") { "target-cpu=native" } else { "baseline CPU" };
    println!("cargo:rustc-env=LIGHTNING_VERSION={version}");
    println!("cargo:rustc-env=RUSTC_VERSION={}", rustc.split(" (").next().unwrap_or_default());
    println!("cargo:rustc-env=TARGET_CPU={cpu}");
    println!("cargo:rerun-if-changed=Cargo.lock");
}
