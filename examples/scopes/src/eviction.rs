//! The eviction of a million entries: what the caller waits, what others notice, what memory comes back.

use crate::{mebibytes, median, quantile, say, session, settled};
use cacheado::{CacheHandle, Error, ScopedHandle};
use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const EVICTED: u64 = 1_000_000;
const OTHERS: u64 = 100_000;
const ROUNDS: usize = 7;
/// About as long as a reclamation takes.
const QUIET: Duration = Duration::from_millis(400);
/// Reads to one write.
const READS: u32 = 19;
const SAMPLE: u64 = 1_000;

type Cache = CacheHandle<u64, u64>;
type Scope = ScopedHandle<u64, u64>;

/// What one round found; times in nanoseconds.
struct Round {
    caller: f64,
    /// What the caller waits where there is nothing to evict: at first, after a rest, and usually.
    nothing: [f64; 2],
    reply: f64,
    /// p99.9 of get and insert, quiet and during the reclamation.
    quiet: [f64; 2],
    during: [f64; 2],
    memory: [usize; 3],
}

pub(crate) fn run() -> Result<(), Error> {
    say(&format!(
        "\nEviction of {EVICTED} entries, beside a thread that reads and writes (95/5) {OTHERS} others; median of {ROUNDS} rounds"
    ));
    say(
        "in scopes   caller us (max)  of nothing: first  usually  reply ms   get p99.9 ns: quiet  during  ratio   insert p99.9 ns: quiet  during  ratio   MiB before, full, after",
    );
    for scopes in [1, 1_000] {
        let rounds = (0..ROUNDS).map(|_| round(scopes)).collect::<Result<Vec<_>, _>>()?;
        let all = |figure: &dyn Fn(&Round) -> f64| rounds.iter().map(figure).collect::<Vec<_>>();
        let middle = |figure: &dyn Fn(&Round) -> f64| median(&all(figure));
        let memory = |at: usize| middle(&|round| mebibytes(round.memory[at]));
        let ratio = |at: usize| middle(&|round| round.during[at] / round.quiet[at]);
        say(&format!(
            "{scopes:<11} {:<16} {:>17.2} {:>8.2} {:>9.0} {:>19.0} {:>7.0} {:>6.2} {:>24.0} {:>7.0} {:>6.2}   {:.2}, {:.2}, {:.2}",
            format!(
                "{:.2} ({:.2})",
                middle(&|round| round.caller) / 1e3,
                quantile(&all(&|round| round.caller), 4) / 1e3
            ),
            middle(&|round| round.nothing[0]) / 1e3,
            middle(&|round| round.nothing[1]) / 1e3,
            middle(&|round| round.reply) / 1e6,
            middle(&|round| round.quiet[0]),
            middle(&|round| round.during[0]),
            ratio(0),
            middle(&|round| round.quiet[1]),
            middle(&|round| round.during[1]),
            ratio(1),
            memory(0),
            memory(1),
            memory(2),
        ));
    }
    Ok(())
}

fn round(scopes: u64) -> Result<Round, Error> {
    let cache = CacheHandle::builder().max_capacity(2 * EVICTED).build()?;
    let other = session(&cache, "globex", 1, 1)?;
    for key in 0..OTHERS {
        other.insert(key, key);
    }
    let organization = cache.scope([("organization", "acme")])?;
    let before = settled(&cache)?;
    let mut sessions = Vec::new();
    for user in 0..scopes {
        let session = session(&cache, "acme", user, 0)?;
        for key in user * (EVICTED / scopes)..(user + 1) * (EVICTED / scopes) {
            session.insert(key, key);
        }
        sessions.push(session);
    }
    let full = settled(&cache)?;
    let quiet = beside(&other, || {
        thread::sleep(QUIET);
        Ok(())
    })?;
    let (mut times, mut nothing) = ([0.0; 2], [0.0; 2]);
    let during = beside(&other, || {
        nothing = evict_nothing(&cache)?;
        times = evict(&cache, &organization, &sessions)?;
        Ok(())
    })?;
    drop(sessions);
    let after = settled(&cache)?;
    let [caller, reply] = times;
    Ok(Round { caller, nothing, reply, quiet, during, memory: [before, full, after] })
}

/// What it takes to evict a scope that is in use and has no entries: the first time, and the median.
fn evict_nothing(cache: &Cache) -> Result<[f64; 2], Error> {
    const TIMES: usize = 25;
    let empty = session(cache, "initech", 1, 1)?;
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let began = Instant::now();
        let reply = empty.evict();
        times.push(began.elapsed().as_nanos() as f64);
        assert_eq!(reply.wait()?, 0, "there was nothing");
    }
    Ok([times[0], median(&times)])
}

/// Evicts, holds that all is gone at once and counted, and says what the caller and the reply took.
fn evict(cache: &Cache, organization: &Scope, sessions: &[Scope]) -> Result<[f64; 2], Error> {
    let began = Instant::now();
    let reply = organization.evict();
    let caller = began.elapsed();
    let step = EVICTED / SAMPLE;
    let each = EVICTED / sessions.len() as u64;
    let is_found = |key: &u64| sessions[(key / each) as usize].contains_key(key);
    let found = (0..SAMPLE).map(|i| i * step).filter(is_found).count();
    assert_eq!(found, 0, "an evicted entry was found");
    let count = reply.wait()?;
    let answered = began.elapsed();
    assert_eq!(count, EVICTED, "the reply counts every entry once");
    cache.flush().wait()?;
    assert_eq!(cache.len(), OTHERS, "the others are there");
    Ok([caller, answered].map(|time| time.as_nanos() as f64))
}

/// The p99.9 of get and insert in `scope`, by a thread of its own while `work` is done.
fn beside(scope: &Scope, work: impl FnOnce() -> Result<(), Error>) -> Result<[f64; 2], Error> {
    let (start, stop) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|threads| {
        let timed = threads.spawn(|| {
            start.wait();
            // Relaxed: it only says when to stop.
            time(scope, || !stop.load(Ordering::Relaxed))
        });
        start.wait();
        let done = work();
        // Relaxed: it only says when to stop.
        stop.store(true, Ordering::Relaxed);
        let times = timed.join().expect("reading and writing do not panic");
        done.map(|()| times)
    })
}

fn time(scope: &Scope, going: impl Fn() -> bool) -> [f64; 2] {
    const LONGEST: u64 = Duration::from_secs(10).as_nanos() as u64;
    let mut random = SmallRng::seed_from_u64(1);
    let new = || Histogram::<u64>::new_with_max(LONGEST, 3).expect("a range that is accepted");
    let (mut gets, mut inserts) = (new(), new());
    while going() {
        for _ in 0..READS {
            let key = random.random_range(0..OTHERS);
            let before = Instant::now();
            black_box(scope.get(&key));
            gets.saturating_record(before.elapsed().as_nanos() as u64);
        }
        let key = random.random_range(0..OTHERS);
        let before = Instant::now();
        scope.insert(key, key);
        inserts.saturating_record(before.elapsed().as_nanos() as u64);
    }
    [gets, inserts].map(|times| times.value_at_quantile(0.999) as f64)
}
