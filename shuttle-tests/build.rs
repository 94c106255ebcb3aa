//! Compiles the mounted sources of the library against shuttle, without flags on the command line.

fn main() {
    println!("cargo::rustc-cfg=cache_shuttle");
    println!("cargo::rerun-if-changed=build.rs");
}
