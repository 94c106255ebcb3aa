//! The demo: one [`cacheado::CacheHandle`] in front of an SQLite database, served by OS threads
//! and tokio tasks at the same time, with every answer checked.
//!
//! Start reading at [`service`]: its three verbs are what a program that uses the cache looks
//! like. [`tenants`] is the same for a service with organizations and users, each in a scope of its own. The
//! other modules generate requests ([`workload`], [`traffic`]), judge the answers ([`judge`]), stage the hard
//! cases on purpose ([`proofs`]) and print ([`report`]).

#![expect(clippy::print_stdout, reason = "printing is what a command is for")]

mod database;
mod judge;
mod options;
mod proofs;
mod report;
mod service;
mod tenants;
mod traffic;
mod workload;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use crate::options::Options;
use crate::report::Report;
use crate::service::Service;
use crate::workload::Workload;

fn main() -> ExitCode {
    match prepare() {
        Ok((options, workload)) => run(&options, workload),
        Err(refusal) => {
            eprintln!("demo: {refusal}");
            ExitCode::from(2)
        }
    }
}

/// Everything the user can get wrong is found out here, before a database is created.
fn prepare() -> Result<(Options, Workload), Box<dyn Error>> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    let workload = match &options.trace {
        Some(path) => Workload::replay(trace::read(path)?),
        None => Workload::zipf(),
    };
    Ok((options, workload))
}

fn run(options: &Options, workload: Workload) -> ExitCode {
    let report = match serve_and_prove(options, workload) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{report}");
    let failures = report.failures();
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("demo: failed: {}", failures.join("; "));
    ExitCode::FAILURE
}

fn serve_and_prove(options: &Options, workload: Workload) -> Result<Report, Box<dyn Error>> {
    println!(
        "{}: {} rows in SQLite, {} of them fit in the cache, each for {:?}",
        workload.name(),
        report::grouped(u64::from(workload.rows())),
        report::grouped(workload.cache_capacity()),
        options.time_to_live(),
    );
    let service = Arc::new(Service::start(workload, options.time_to_live())?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_time()
        .build()?;

    let served = traffic::serve(&service, &runtime, options.traffic())?;
    let stampede = proofs::stampede(&service, &runtime)?;
    let stale_loads = proofs::stale_loads(&service)?;
    let expiry = proofs::expiry(&service)?;
    let tenants = tenants::serve(&service.database, &runtime, options.tenants());
    let tenants = tenants.map_err(|error| -> Box<dyn Error> { error })?;
    Ok(Report::new(&served, &stampede, &stale_loads, &expiry, &tenants))
}
