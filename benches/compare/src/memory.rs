//! What an entry costs beside its key and value.
//!
//! Each cache is measured in a process of its own: what its allocator has handed out after filling, less
//! what it had handed out before the cache was made, by the entries that a look finds in it. The allocator
//! counts what was asked for; the resident size that the system gives is printed beside, because allocators
//! round up, and tables that are not touched are not resident.

use crate::aims::Aim;
use crate::caches::{Cache, Life, Peer, Value, Visit};
use crate::options::{JSON, Kind, parse_count};
use crate::report::Report;
use clap::Parser;
use serde_json::{Value as Json, json};
use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

const PAGE: u64 = 4096;

/// Compare what entries cost in memory beside key and value.
#[derive(Debug, Parser)]
#[command(about, long_about = None)]
pub struct MemoryOptions {
    /// How many entries there are, and may be.
    #[arg(long, default_value = "1m", value_parser = parse_count)]
    entries: u64,
    /// Who is compared [default: all].
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// What is cached.
    #[arg(long, value_delimiter = ',', default_values = ["u64", "arc"])]
    value: Vec<Kind>,
    /// Where to append the results as lines of JSON.
    #[arg(long, default_value = JSON)]
    json: PathBuf,
    /// Measure one cache in this process and print what came of it.
    #[arg(long, hide = true)]
    alone: bool,
    /// How entries are kept.
    #[arg(long, value_delimiter = ',', default_values = ["for_ever", "to_live", "to_live_in_a_scope", "to_live_and_idle"])]
    kept: Vec<Life>,
}

/// Measures all, or the one that was asked for. `allocated` says how many bytes are allocated now.
///
/// # Errors
///
/// If a process cannot be started or results cannot be kept.
pub fn run(options: &MemoryOptions, allocated: fn() -> usize) -> Result<(), Box<dyn Error>> {
    if options.alone {
        return alone(options, allocated);
    }
    let mut report = Report::open(&options.json)?;
    report.say(format!(
        "\nMemory: bytes an entry beside key and value, {} entries in a cache for as many; allocated (resident)",
        options.entries
    ));
    let peers = if options.peers.is_empty() { &Peer::ALL[..] } else { &options.peers };
    let names: String = peers.iter().map(|peer| format!("{peer:>16}")).collect();
    report.say(format!("{:<7}{:<20}{names}", "value", "kept"));
    for &kind in &options.value {
        for &kept in &options.kept {
            let mut line = format!("{:<7}{:<20}", kind.name(), kept.name());
            for &peer in peers {
                let found = in_a_child(options, peer, kind, kept)?;
                let bytes = |name: &str| found[name].as_f64();
                line += &match (bytes("allocated"), bytes("resident")) {
                    (Some(allocated), Some(resident)) => {
                        format!("{:>16}", format!("{allocated:.1} ({resident:.1})"))
                    }
                    (Some(allocated), None) => format!("{:>16}", format!("{allocated:.1}")),
                    _ => format!("{:>16}", "-"),
                };
                // A time to idle beside the time to live is no part of the aim.
                let aimed = peer == Peer::Cacheado && kept != Life::ToLiveAndIdle;
                if let Some(allocated) = bytes("allocated").filter(|_| aimed) {
                    report.aim(Aim::Memory, allocated);
                }
                report.keep(&json!({
                    "table": "memory",
                    "cache": peer.name(),
                    "value": kind.name(),
                    "kept": kept.name(),
                    "entries": options.entries,
                    "found": found,
                }))?;
            }
            report.say(line);
        }
    }
    report.conclude()?;
    Ok(())
}

fn in_a_child(
    options: &MemoryOptions,
    peer: Peer,
    kind: Kind,
    kept: Life,
) -> Result<Json, Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--alone", "--peers", peer.name(), "--value", kind.name()]);
    command.args(["--entries", &options.entries.to_string()]);
    command.args(["--kept", kept.name()]);
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("measuring {peer} failed: {said}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn alone(options: &MemoryOptions, allocated: fn() -> usize) -> Result<(), Box<dyn Error>> {
    let (&[peer], &[kind], &[kept]) = (&options.peers[..], &options.value[..], &options.kept[..])
    else {
        return Err("--alone needs one peer, one value and one way to keep entries".into());
    };
    let measure = Weigh {
        entries: options.entries,
        allocated,
        before: allocated(),
        resident_before: resident(),
    };
    let found = match kind {
        Kind::U64 => peer.with::<u64, _>(options.entries, kept, measure),
        Kind::Arc => peer.with::<Arc<[u8; 64]>, _>(options.entries, kept, measure),
    };
    println!("{}", found.unwrap_or(Json::Null));
    Ok(())
}

/// Fills a cache and weighs it.
struct Weigh {
    entries: u64,
    allocated: fn() -> usize,
    before: usize,
    resident_before: Option<u64>,
}

impl<V: Value> Visit<V> for Weigh {
    type Output = Json;

    fn visit(self, cache: impl Cache<V> + 'static) -> Json {
        for key in 0..self.entries {
            cache.insert(key, V::of(key));
        }
        cache.settle();
        let allocated = (self.allocated)().saturating_sub(self.before) as f64;
        let resident = resident().zip(self.resident_before);
        let found = (0..self.entries).filter(|&key| cache.get(key).is_some()).count() as f64;
        let own = (size_of::<(u64, V)>() + V::ALLOCATED) as f64;
        let beside = |bytes: f64| bytes / found - own;
        json!({
            "entries": found,
            "allocated": beside(allocated),
            "resident": resident.map(|(after, before)| beside(after.saturating_sub(before) as f64)),
        })
    }
}

/// How many bytes of the process are in memory.
fn resident() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split_whitespace().nth(1)?.parse::<u64>().ok()? * PAGE)
}
