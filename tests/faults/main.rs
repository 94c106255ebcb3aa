//! The fault campaign: what can go wrong is made to go wrong, counted, and nobody is lost.
//!
//! Each test injects one kind of fault many times, accounts for every caller and every value, and
//! prints a row of the table in `docs/reliability.md`; `make reliability` writes the table.
//! `FAULTS_TIMES` multiplies the numbers.

#[expect(
    dead_code,
    unused_imports,
    reason = "shared with the behaviour tests, which use more of it"
)]
#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod barrier;
mod cancel;
mod clock;
mod cycles;
mod ends;
mod keys;
mod loads;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod processes;
mod report;
mod user_code;

/// Counts bytes, for what a storm may hold.
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);
