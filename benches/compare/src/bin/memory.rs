//! The program that counts bytes: its allocator does, which would cost the other one time.

use cap::Cap;
use clap::Parser;
use compare::memory::{self, MemoryOptions};
use std::alloc::System;
use std::error::Error;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> Result<(), Box<dyn Error>> {
    memory::run(&MemoryOptions::parse(), || ALLOCATOR.allocated())
}
