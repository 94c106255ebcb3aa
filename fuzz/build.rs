//! Compiles the oracle and the checks of the mounted store, without flags on the command line.

fn main() {
    println!("cargo::rustc-cfg=cache_fuzz");
    println!("cargo::rerun-if-changed=build.rs");
}
