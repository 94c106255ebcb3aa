//! What scopes cost: a hit beside a global one, finding a scope, the eviction of a million entries, a million sessions
//! that come and go.
//!
//! Without arguments all tables; their names choose.

mod enter;
mod eviction;
mod hits;
mod sessions;

use cacheado::{CacheHandle, Error, ScopeId, ScopedHandle};
use cap::Cap;
use std::alloc::System;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// It counts bytes, which costs every allocation the same.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

type Table = fn() -> Result<(), Error>;

const TABLES: [(&str, Table); 4] = [
    ("hits", hits::run),
    ("enter", enter::run),
    ("eviction", eviction::run),
    ("sessions", sessions::run),
];

fn main() -> ExitCode {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = chosen.iter().find(|name| TABLES.iter().all(|(table, _)| table != name))
    {
        let there = TABLES.map(|(name, _)| name).join(", ");
        eprintln!("scopes: there is no table {unknown:?}; there are {there}");
        return ExitCode::from(2);
    }
    for (name, table) in TABLES {
        if !chosen.is_empty() && !chosen.iter().any(|wanted| wanted == name) {
            continue;
        }
        if let Err(error) = table() {
            eprintln!("scopes: {name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The scope of a session, three levels down.
fn session(
    cache: &CacheHandle<u64, u64>,
    organization: &str,
    user: u64,
    session: u64,
) -> Result<ScopedHandle<u64, u64>, Error> {
    cache.scope([
        ("organization", ScopeId::from(organization)),
        ("user", ScopeId::from(user)),
        ("session", ScopeId::from(session)),
    ])
}

/// The bytes that are allocated when what the cache still had to do is done: entries are freed some turns
/// of a shard after they left.
fn settled(cache: &CacheHandle<u64, u64>) -> Result<usize, Error> {
    const CALM: u32 = 50;
    // A shard that rests and wakes gives back and takes a little.
    const LITTLE: usize = 1024;
    let give_up = Instant::now() + Duration::from_secs(20);
    let (mut last, mut unchanged) = (ALLOCATOR.allocated(), 0);
    while unchanged < CALM && Instant::now() < give_up {
        cache.flush().wait()?;
        thread::sleep(Duration::from_millis(1));
        let now = ALLOCATOR.allocated();
        if now.abs_diff(last) <= LITTLE {
            unchanged += 1;
        } else {
            (last, unchanged) = (now, 0);
        }
    }
    Ok(last)
}

/// The value that so many quarters of all are not above; there is at least one.
fn quantile(values: &[f64], quarters: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) * quarters / 4]
}

fn median(values: &[f64]) -> f64 {
    quantile(values, 2)
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn say(line: &str) {
    println!("{line}");
}
