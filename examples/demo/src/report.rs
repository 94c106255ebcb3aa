//! The report: one live line while the demo runs, one table with every check at the end.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::proofs::{Expiry, StaleLoad, Stampede};
use crate::service::Service;
use crate::tenants;
use crate::traffic::Served;

/// One line about the running service: rewritten in place on a terminal, else one a second.
#[derive(Debug)]
pub(crate) struct LiveLine<'a> {
    service: &'a Service,
    in_place: bool,
    started: Instant,
    last: (Instant, u64),
}

impl<'a> LiveLine<'a> {
    pub(crate) fn new(service: &'a Service) -> Self {
        let started = Instant::now();
        Self { service, in_place: io::stdout().is_terminal(), started, last: (started, 0) }
    }

    /// Shows the line again and again until `duration` is over.
    pub(crate) fn refresh_for(mut self, duration: Duration) {
        let pause = if self.in_place { Duration::from_millis(200) } else { Duration::from_secs(1) };
        let end = self.started + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::sleep(pause.min(left));
            self.show();
        }
        if self.in_place {
            println!();
        }
    }

    fn show(&mut self) {
        let stats = self.service.cache.stats();
        let (now, requests) = (Instant::now(), stats.hits() + stats.misses());
        let seconds = (now - self.last.0).as_secs_f64();
        let line = format!(
            "{:5.1} s   {:>10} requests/s   hit ratio {:5.1} %   {:>9} database reads",
            (now - self.started).as_secs_f64(),
            grouped(((requests - self.last.1) as f64 / seconds) as u64),
            100.0 * stats.hit_ratio(),
            grouped(self.service.database.reads()),
        );
        self.last = (now, requests);
        if self.in_place {
            print!("\r{line}");
            // A line that cannot be shown is no reason to end the run.
            let _ = io::stdout().flush();
        } else {
            println!("{line}");
        }
    }
}

/// The table at the end of the run.
#[derive(Debug)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    value: String,
    /// What the value must be, and whether it is; a row without one is for information.
    check: Option<(String, bool)>,
}

impl Report {
    pub(crate) fn new(
        served: &Served,
        stampede: &Stampede,
        stale_loads: &[StaleLoad],
        expiry: &Expiry,
        tenants: &tenants::Served,
    ) -> Self {
        let mut report = Self { rows: Vec::new() };
        report.add_traffic(served);
        report.add_answers(served, expiry);
        report.add_accounts(served);
        report.add_stampede(stampede);
        for stale_load in stale_loads {
            report.add_stale_load(stale_load);
        }
        report.add_expiry(expiry);
        report.add_tenants(tenants);
        report.add_eviction(tenants);
        report
    }

    /// The names and values of the checks that do not hold.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failed = |row: &&Row| matches!(row.check, Some((_, false)));
        self.rows.iter().filter(failed).map(|row| format!("{}: {}", row.name, row.value)).collect()
    }

    fn add_traffic(&mut self, served: &Served) {
        let tally = &served.tally;
        let rate = tally.requests as f64 / served.took.as_secs_f64();
        let requests = format!("{} ({} /s)", grouped(tally.requests), grouped(rate as u64));
        self.show("requests", requests);
        self.show("bytes served", grouped(tally.bytes));
        self.show("updates", grouped(served.updates));
        self.show("database reads", grouped(served.database_reads));
        self.show("hit ratio", format!("{:.1} %", 100.0 * served.stats.hit_ratio()));
        self.show("entries evicted", grouped(served.stats.evictions()));
        self.show("hit, p50 / p99 / p99.9", quantiles(&tally.hits));
        self.show("miss, p50 / p99 / p99.9", quantiles(&tally.misses));
    }

    fn add_answers(&mut self, served: &Served, expiry: &Expiry) {
        let tally = &served.tally;
        self.require("wrong rows returned", tally.wrong, 0);
        self.require("stale rows returned", tally.stale, 0);
        let expired = tally.expired + expiry.found_too_late;
        self.require("expired rows returned", expired, 0);
    }

    fn add_accounts(&mut self, served: &Served) {
        let (stats, tally) = (&served.stats, &served.tally);
        let counted = stats.hits() + stats.misses();
        self.require("hits + misses the cache counted", counted, tally.requests);
        self.require("loads the cache counted", stats.loads(), served.database_reads);
        let left = stats.evictions() + stats.expirations() + stats.invalidations();
        let accounted = stats.insertions().saturating_sub(left);
        self.require("entries that came and never left", accounted, stats.len());
        let capacity = served.max_capacity;
        self.check(
            "entries after a flush",
            grouped(stats.len()),
            format!("at most {}", grouped(capacity)),
            stats.len() <= capacity,
        );
    }

    fn add_stampede(&mut self, stampede: &Stampede) {
        let callers = grouped(stampede.callers);
        let name = format!("stampede of {callers}: database reads");
        self.require(&name, stampede.database_reads, 1);
        let name = format!("stampede of {callers}: answered alike");
        self.require(&name, stampede.answered, stampede.callers);
        let name = format!("stampede of {callers}: all done in");
        self.show(&name, format!("{:.1} ms", 1e3 * stampede.took.as_secs_f64()));
    }

    fn add_stale_load(&mut self, stale_load: &StaleLoad) {
        let StaleLoad { how, loaded, updated, found } = stale_load;
        let version = |found: &Option<u32>| found.map_or("none".to_owned(), |v| format!("v{v}"));
        let found: Vec<String> = found.iter().map(version).collect();
        self.check(
            &format!("v{loaded} loading, update by {how:?}"),
            format!("found {}", found.join(", ")),
            format!("v{updated} at last, never v{loaded}"),
            stale_load.update_won(),
        );
    }

    fn add_expiry(&mut self, expiry: &Expiry) {
        self.require_some("entries expired", expiry.expirations);
        self.require_some("short-lived rows found in time", expiry.found_in_time);
        let (released, stored) = (expiry.released, expiry.stored);
        self.require("short-lived rows released unasked", released, stored);
    }

    fn add_tenants(&mut self, tenants: &tenants::Served) {
        self.show("tenants: reads of settings", grouped(tenants.reads));
        self.require("tenants: settings of somebody else", tenants.wrong, 0);
        self.require("tenants: stale settings", tenants.stale, 0);
        let [in_global, accepted] = tenants.leaks;
        self.require("tenants: settings in the global scope", in_global, 0);
        self.require("tenants: users without organization", accepted, 0);
        for (path, [counted, asked]) in &tenants.top {
            self.require(&format!("reads of {path}"), *counted, *asked);
        }
        self.require("scopes with reads miscounted", tenants.miscounted, 0);
    }

    fn add_eviction(&mut self, tenants: &tenants::Served) {
        self.require_some("evictions of one organization", tenants.evictions);
        self.require_some("its settings loaded again", tenants.reloads);
        let [removed, counted] = tenants.removed;
        self.require("entries that removed, by the replies", removed, counted);
        let longest = format!("{:.1} us", 1e6 * tenants.longest.as_secs_f64());
        self.show("longest eviction for its caller", longest);
        let [loads, settings] = tenants.others;
        self.require("loads of all other organizations", loads, settings);
        let last = &tenants.last;
        self.require("last eviction: entries removed", last.removed, last.held);
        self.require("last eviction: entries left", last.left, 0);
        self.require("last eviction: entries of others", last.others[1], last.others[0]);
    }

    fn show(&mut self, name: &str, value: String) {
        self.rows.push(Row { name: name.to_owned(), value, check: None });
    }

    fn require(&mut self, name: &str, value: u64, wanted: u64) {
        self.check(name, grouped(value), grouped(wanted), value == wanted);
    }

    fn require_some(&mut self, name: &str, value: u64) {
        self.check(name, grouped(value), "at least 1".to_owned(), value > 0);
    }

    fn check(&mut self, name: &str, value: String, wanted: String, holds: bool) {
        self.rows.push(Row { name: name.to_owned(), value, check: Some((wanted, holds)) });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Row { name, value, check } in &self.rows {
            write!(f, "\n  {name:<38} {value:>32}")?;
            if let Some((wanted, holds)) = check {
                let verdict = if *holds { "ok" } else { "FAILED" };
                write!(f, "   {verdict:<6} (must be {wanted})")?;
            }
        }
        writeln!(f)
    }
}

fn quantiles(latencies: &Histogram<u64>) -> String {
    let microseconds = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    format!("{:.1} / {:.1} / {:.1} us", microseconds(0.5), microseconds(0.99), microseconds(0.999))
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(std::str::from_utf8);
    groups.collect::<Result<Vec<_>, _>>().expect("digits").join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1 000");
        assert_eq!(grouped(12_345_678), "12 345 678");
    }

    #[test]
    fn a_check_that_does_not_hold_is_named() {
        let mut report = Report { rows: Vec::new() };
        report.show("requests", grouped(5));
        report.require("stale rows returned", 0, 0);
        assert!(report.failures().is_empty());
        report.require("expired rows returned", 3, 0);
        assert_eq!(report.failures(), ["expired rows returned: 3"]);
        assert!(report.to_string().contains("FAILED (must be 0)"));
    }
}
