//! How long single operations take: percentiles of `get` and `insert`, alone and beside a writer.
//!
//! One thread times each of its operations; where there is a writer, a second thread inserts as fast as it
//! can. Short rounds of all caches alternate, and of each percentile the median over the rounds is given, so
//! that one round in which the machine did something else does not decide. Reading the clock costs about as
//! much as a hit: a row that times nothing says how much, and nothing is subtracted.

use crate::aims::Aim;
use crate::caches::{Cache, Life, Peer, Value, Visit};
use crate::draws::{self, CHUNK, DRAWS, Distribution, Mix, Table};
use crate::options::Options;
use crate::report::Report;
use crate::statistics::Spread;
use crate::turns::take_turns;
use hdrhistogram::Histogram;
use serde_json::{Map, Value as Json, json};
use std::error::Error;
use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ROUND: Duration = Duration::from_millis(200);
/// Who is timed unless the user chooses.
const FEW: [Peer; 3] = [Peer::Cacheado, Peer::QuickCache, Peer::Moka];
const PERCENTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];
/// The most that a histogram tells apart: longer operations count as this long.
const LONGEST: Duration = Duration::from_secs(10);

/// Times all cases and prints them.
///
/// # Errors
///
/// If results cannot be kept.
pub fn run(options: &Options, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let keys = options.keys.first().copied().unwrap_or(100_000);
    let capacity = (keys * options.capacity.first().copied().unwrap_or(120) / 100).max(1);
    let (time, rounds) = (options.round_or(ROUND), options.rounds());
    report.say(format!(
        "\nLatency in nanoseconds, {keys} keys (Zipf), capacity {capacity}, u64: median over {rounds} rounds of {} ms of each percentile",
        time.as_millis()
    ));
    let names: String = PERCENTILES.iter().map(|(name, _)| format!("{name:>10}")).collect();
    report.say(format!("{:<24}{:<12}{names}{:>22}", "what is timed", "cache", "writer's Mops/s"));
    let peers = options.peers_or(&FEW);
    let open = |&peer| (peer, open(peer, keys, capacity));
    let subjects: Vec<_> = peers.iter().map(open).collect();
    let reads = draws::tables(keys, Distribution::Zipf, Mix::Hits, 2);
    let nothing = [(None, Timed::Nothing)];
    let operations = [Timed::Get, Timed::Insert];
    for (writer, timed) in nothing
        .into_iter()
        .chain(operations.into_iter().flat_map(|timed| [(None, timed), (Some(&reads[1]), timed)]))
    {
        let shift = Shift { timed, table: &reads[0], writer, time };
        let subjects = if timed == Timed::Nothing { &subjects[..1] } else { &subjects[..] };
        let cases = measure(&shift, subjects, rounds);
        for case in &cases {
            report.say(case.line());
            report.keep(&case.json(keys, capacity))?;
        }
        if timed == Timed::Get && writer.is_some() {
            let ours = cases.iter().find(|case| case.peer == Peer::Cacheado);
            for theirs in cases.iter().filter(|case| case.peer.is_rival()) {
                let tail = |case: &Case| case.percentile(0.999).median;
                ours.iter().for_each(|ours| report.aim(Aim::Tail, tail(ours) / tail(theirs)));
            }
        }
    }
    Ok(())
}

/// Which operation is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timed {
    /// None: what the clock costs.
    Nothing,
    Get,
    Insert,
}

/// What is to be done in a round.
struct Shift<'a> {
    timed: Timed,
    table: &'a Table,
    writer: Option<&'a Table>,
    time: Duration,
}

/// What came of it.
struct Round {
    times: Histogram<u64>,
    written: f64,
}

/// A filled cache, whatever its kind.
trait Subject {
    fn work(&self, shift: &Shift, from: usize) -> Round;
}

struct Filled<C, V>(C, PhantomData<V>);

fn open(peer: Peer, keys: u64, capacity: u64) -> Box<dyn Subject> {
    struct Fill(u64);

    impl<V: Value> Visit<V> for Fill {
        type Output = Box<dyn Subject>;

        fn visit(self, cache: impl Cache<V> + 'static) -> Self::Output {
            for key in 0..self.0 {
                cache.insert(key, V::of(key));
            }
            cache.settle();
            Box::new(Filled(cache, PhantomData))
        }
    }

    let subject = peer.with::<u64, _>(capacity, Life::ForEver, Fill(keys));
    subject.expect("every cache can keep entries for ever")
}

impl<V: Value, C: Cache<V>> Subject for Filled<C, V> {
    fn work(&self, shift: &Shift, from: usize) -> Round {
        let barrier = Barrier::new(1 + usize::from(shift.writer.is_some()));
        let stop = AtomicBool::new(false);
        let round = thread::scope(|scope| {
            let writer = shift.writer.map(|table| {
                scope.spawn(|| {
                    barrier.wait();
                    // Relaxed: it only says when to stop.
                    write(&self.0, table, || !stop.load(Ordering::Relaxed))
                })
            });
            barrier.wait();
            let times = time(&self.0, shift, from);
            // Relaxed: it only says when to stop.
            stop.store(true, Ordering::Relaxed);
            let written = writer.map_or(0.0, |writer| writer.join().expect("no panic"));
            Round { times, written }
        });
        self.0.settle();
        round
    }
}

/// Writes as fast as it can; says how many million a second.
fn write<V: Value>(cache: &impl Cache<V>, table: &Table, going: impl Fn() -> bool) -> f64 {
    let began = Instant::now();
    let (mut at, mut written) = (0, 0);
    while going() {
        for draw in &table[at..at + CHUNK] {
            cache.insert(draw.key(), V::of(draw.key()));
        }
        written += CHUNK;
        at = (at + CHUNK) % DRAWS;
    }
    written as f64 / began.elapsed().as_secs_f64() / 1e6
}

fn time<V: Value>(cache: &impl Cache<V>, shift: &Shift, from: usize) -> Histogram<u64> {
    match shift.timed {
        Timed::Nothing => each(shift, from, |key| {
            black_box(key);
        }),
        Timed::Get => each(shift, from, |key| {
            black_box(cache.get(key));
        }),
        Timed::Insert => each(shift, from, |key| cache.insert(key, V::of(key))),
    }
}

fn each(shift: &Shift, from: usize, mut operation: impl FnMut(u64)) -> Histogram<u64> {
    let longest = u64::try_from(LONGEST.as_nanos()).expect("ten seconds fit");
    let mut times = Histogram::new_with_max(longest, 3).expect("valid bounds");
    let (began, mut at) = (Instant::now(), from);
    while began.elapsed() < shift.time {
        for draw in &shift.table[at..at + CHUNK] {
            let key = draw.key();
            let before = Instant::now();
            operation(key);
            let took = before.elapsed().as_nanos();
            times.saturating_record(u64::try_from(took).unwrap_or(longest));
        }
        at = (at + CHUNK) % DRAWS;
    }
    times
}

/// The rounds of one case and one cache.
struct Case {
    timed: Timed,
    beside_writer: bool,
    peer: Peer,
    rounds: Vec<Round>,
}

fn measure(shift: &Shift, subjects: &[(Peer, Box<dyn Subject>)], rounds: usize) -> Vec<Case> {
    let case = |&(peer, _): &(Peer, _)| Case {
        timed: shift.timed,
        beside_writer: shift.writer.is_some(),
        peer,
        rounds: Vec::new(),
    };
    let mut cases: Vec<_> = subjects.iter().map(case).collect();
    for round in 0..rounds {
        let from = round * DRAWS / rounds / CHUNK * CHUNK;
        take_turns(round, subjects.len(), |at| {
            cases[at].rounds.push(subjects[at].1.work(shift, from));
        });
    }
    cases
}

impl Case {
    fn percentile(&self, quantile: f64) -> Spread {
        let at = |round: &Round| round.times.value_at_quantile(quantile) as f64;
        Spread::of(self.rounds.iter().map(at))
    }

    fn written(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.written))
    }

    fn what(&self) -> &'static str {
        match self.timed {
            Timed::Nothing => "nothing",
            Timed::Get => "get",
            Timed::Insert => "insert",
        }
    }

    fn line(&self) -> String {
        let beside = if self.beside_writer { ", beside a writer" } else { "" };
        let cache = if self.timed == Timed::Nothing { "(clock)" } else { self.peer.name() };
        let times: String = PERCENTILES
            .iter()
            .map(|(_, quantile)| format!("{:>10.0}", self.percentile(*quantile).median))
            .collect();
        let written = if self.beside_writer {
            format!("{:>22.2}", self.written().median)
        } else {
            format!("{:>22}", "-")
        };
        format!("{:<24}{cache:<12}{times}{written}", format!("{}{beside}", self.what()))
    }

    fn json(&self, keys: u64, capacity: u64) -> Json {
        let times = PERCENTILES
            .iter()
            .map(|(name, quantile)| ((*name).to_owned(), self.percentile(*quantile).json()));
        json!({
            "table": "latency",
            "timed": self.what(),
            "beside_writer": self.beside_writer,
            "cache": if self.timed == Timed::Nothing { "none" } else { self.peer.name() },
            "keys": keys,
            "capacity": capacity,
            "nanoseconds": times.collect::<Map<_, _>>(),
            "writer_mops": if self.beside_writer { self.written().json() } else { Json::Null },
        })
    }
}
