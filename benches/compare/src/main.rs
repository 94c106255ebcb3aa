//! The program that takes the time: throughput, latency, calls, and what a cache does when it is left alone.

use clap::Parser;
use compare::options::{Options, Table};
use compare::report::Report;
use compare::{calls, idle, latency, throughput};
use serde_json::json;
use std::error::Error;
use std::fs;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let mut report = Report::open(&options.json)?;
    introduce(&mut report)?;
    let asked = |table| options.tables.contains(&table);
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
    Ok(())
}

/// Says where and when, and how busy the machine already was.
fn introduce(report: &mut Report) -> Result<(), Box<dyn Error>> {
    let cores = thread::available_parallelism()?;
    let load = fs::read_to_string("/proc/loadavg").ok();
    let load = load.as_deref().and_then(|load| load.split_whitespace().next());
    report.say(format!("{cores} cores, load before the run {}", load.unwrap_or("unknown")));
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    report.keep(&json!({
        "table": "run",
        "began": began,
        "arguments": std::env::args().skip(1).collect::<Vec<_>>(),
        "cores": cores.get(),
        "load_before": load,
    }))?;
    Ok(())
}
