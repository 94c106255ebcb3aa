//! The program that takes the time: throughput, latency, calls, and what a cache does when it is left alone.

use clap::Parser;
use compare::options::{Options, Table};
use compare::report::Report;
use compare::{calls, idle, latency, throughput};
use serde_json::json;
use std::error::Error;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whose versions are told.
const PEERS: [&str; 7] =
    ["quick_cache", "moka", "mini-moka", "foyer-memory", "TinyUFO", "papaya", "cached"];

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let mut report = Report::open(&options.json)?;
    introduce(&mut report)?;
    let asked = |table| options.tables().contains(&table);
    // Idle first: its caches share the process with no others then.
    if asked(Table::Idle) {
        idle::run(&options, &mut report)?;
    }
    if asked(Table::Latency) {
        latency::run(&options, &mut report)?;
    }
    if asked(Table::Calls) {
        calls::run(&options, &mut report)?;
    }
    if asked(Table::Throughput) {
        throughput::run(&options, &mut report)?;
    }
    report.conclude()?;
    Ok(())
}

/// Says what is compared, where and when, and how busy the machine already was.
fn introduce(report: &mut Report) -> Result<(), Box<dyn Error>> {
    let cores = thread::available_parallelism()?;
    let (commit, processor, versions) = (commit(), processor(), versions());
    report.say(format!("cacheado at {commit}, {versions}"));
    report.say(&processor);
    let load = fs::read_to_string("/proc/loadavg").ok();
    let load = load.as_deref().and_then(|load| load.split_whitespace().next());
    report.say(format!("{cores} cores, load before the run {}", load.unwrap_or("unknown")));
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    report.keep(&json!({
        "table": "run",
        "began": began,
        "arguments": std::env::args().skip(1).collect::<Vec<_>>(),
        "commit": commit,
        "versions": versions,
        "processor": processor,
        "cores": cores.get(),
        "load_before": load,
    }))?;
    Ok(())
}

/// Which commit of ours this is, if that can be told.
fn commit() -> String {
    let asked = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let told = asked.ok().filter(|output| output.status.success());
    let commit = told.and_then(|output| String::from_utf8(output.stdout).ok());
    commit.map_or("an unknown commit".to_owned(), |commit| commit.trim().to_owned())
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|model| model.trim_start_matches([' ', '\t', ':']));
    model.unwrap_or("an unknown processor").to_owned()
}

/// The peers' versions, from the lock file.
fn versions() -> String {
    let packages: Vec<_> = include_str!("../Cargo.lock").split("[[package]]").collect();
    let version = |name: &&str| {
        let named = format!("\nname = \"{name}\"\nversion = \"");
        let package = packages.iter().find_map(|package| package.strip_prefix(&*named));
        let version = package.and_then(|rest| rest.split('"').next());
        format!("{name} {}", version.expect("every peer is locked"))
    };
    PEERS.iter().map(version).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_peer_has_a_version() {
        let versions = super::versions();
        for peer in super::PEERS {
            let version = versions.split_once(&format!("{peer} ")).map(|(_, rest)| rest);
            assert!(
                version.is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit())),
                "{versions}"
            );
        }
    }
}
