//! A search: many schedules of one mix, the history of each checked.
//!
//! `SCHEDULES` is how many there are in all searches of a run together, `SEED` what they are drawn from,
//! `REPLAY` a schedule that a failed search has printed, to be run alone.

use crate::checker::{Violation, check};
use crate::history::{Call, Event};
use crate::scenario::{Mix, play};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};
use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How schedules are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// Each step by lot.
    Random,
    /// By priorities that change a few times (probabilistic concurrency testing, depth 6).
    Priorities,
}

/// What a search has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Schedules.
    pub schedules: usize,
    /// Calls of clients.
    pub calls: usize,
    /// Calls that overlapped another one on their key.
    pub overlapping: usize,
    /// Loads that were answered by another caller's load.
    pub joined: usize,
    /// Loads that overlapped a write, a removal or a clear of their key.
    pub contended: usize,
    /// Schedules whose history no order explains, and the first of these histories.
    pub violations: usize,
    /// The first of them.
    pub first: Option<Box<Violation>>,
}

/// Steps after which an execution counts as one that never ends.
const MAX_STEPS: usize = 100_000;
/// The library's frames are small, but debug builds are not.
const STACK: usize = 256 * 1024;
const PCT_DEPTH: usize = 6;
/// A search fails if it takes longer for a schedule, on average, and a minute.
const PATIENCE: Duration = Duration::from_millis(20);

/// The schedules of one of `searches`, of which `all` are to be run unless `SCHEDULES` says how many.
#[must_use]
pub fn share(all: usize, searches: usize) -> usize {
    number("SCHEDULES").map_or(all, |n| n as usize).div_ceil(searches)
}

/// Runs `schedules` schedules of a mix, and demands that each history is explained.
///
/// # Panics
///
/// If one is not; prints the schedule, which `REPLAY` takes.
#[must_use]
pub fn search(mix: &'static Mix, draw: Draw, schedules: usize) -> Seen {
    run(mix, draw, schedules, true)
}

/// As [`search`], but counts the violations.
#[must_use]
pub fn count(mix: &'static Mix, draw: Draw, schedules: usize) -> Seen {
    run(mix, draw, schedules, false)
}

fn run(mix: &'static Mix, draw: Draw, schedules: usize, strict: bool) -> Seen {
    let seed = number("SEED").unwrap_or(1);
    let start = Instant::now();
    let (done, end) = channel();
    // On a thread of its own: an execution that runs on between two steps is stopped by nobody.
    let searcher = std::thread::spawn(move || {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let seen_by = Arc::clone(&seen);
        let execution = move || {
            let events = play(mix);
            let verdict = check(&events);
            if let (true, Err(violation)) = (strict, &verdict) {
                panic!("{violation}");
            }
            seen_by.lock().unwrap_or_else(PoisonError::into_inner).add(&events, verdict);
        };
        match std::env::var("REPLAY") {
            Ok(schedule) if strict => {
                drive(ReplayScheduler::new_from_encoded(schedule.trim()), execution);
            }
            _ if draw == Draw::Random => {
                drive(RandomScheduler::new_from_seed(seed, schedules), execution);
            }
            _ => drive(PctScheduler::new_from_seed(seed, PCT_DEPTH, schedules), execution),
        }
        // A search that failed has dropped its end of the channel instead.
        let _ = done.send(());
        std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
    });
    let limit = Duration::from_secs(60) + PATIENCE * u32::try_from(schedules).unwrap_or(u32::MAX);
    let timed_out = end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
    assert!(!timed_out, "the search of {} with seed {seed} does not end", mix.name);
    let seen = searcher.join().unwrap_or_else(|panic| {
        eprintln!("{} by {draw:?} with seed {seed} fails", mix.name);
        std::panic::resume_unwind(panic)
    });
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("searched {} by {draw:?} seed {seed} {seen} seconds {seconds:.1}", mix.name);
    seen
}

fn drive(scheduler: impl Scheduler + 'static, execution: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    // Of the orderings: loom looks at those.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(execution);
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.trim().parse().unwrap_or_else(|_| panic!("{name} is {text}, not a number")))
}

impl Seen {
    fn add(&mut self, events: &[Event], verdict: Result<(), Box<Violation>>) {
        self.schedules += 1;
        // Client 0 sets the scene and reads what is left, alone.
        for event in events.iter().filter(|event| event.client > 0) {
            self.calls += 1;
            let mut others = events
                .iter()
                .filter(|other| other.key == event.key && *other != event && other.overlaps(event));
            self.overlapping += usize::from(others.clone().next().is_some());
            match event.call {
                Call::Follow(given) => {
                    self.joined += usize::from(others.any(|o| o.call == Call::Lead(given)));
                }
                Call::Lead(_) => {
                    let overrides =
                        |call| matches!(call, Call::Insert(_) | Call::Remove(_) | Call::Clear);
                    self.contended += usize::from(others.any(|o| overrides(o.call)));
                }
                _ => {}
            }
        }
        if let Err(violation) = verdict {
            self.violations += 1;
            self.first.get_or_insert(violation);
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedules, calls, overlapping, joined, contended, violations, .. } = self;
        write!(
            f,
            "schedules {schedules} calls {calls} overlapping {overlapping} joined {joined} \
             contended {contended} violations {violations}"
        )
    }
}
