//! What a filled cache does when nothing is asked of it: the wake-ups and the processor time of its threads.
//!
//! The threads that appear when a cache is made are taken to be its own. Linux counts for each how often
//! it went to sleep by itself and how long it ran.

use crate::aims::Aim;
use crate::caches::{Cache, Life, Peer, Value, Visit};
use crate::options::Options;
use crate::report::Report;
use serde_json::json;
use std::any::Any;
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const TASKS: &str = "/proc/self/task";
const KEYS: u64 = 100_000;
const WATCHED: Duration = Duration::from_secs(3);

/// Fills all caches, watches them and prints what they did.
///
/// # Errors
///
/// If results cannot be kept, or the system does not say what threads do.
pub fn run(options: &Options, report: &mut Report) -> Result<(), Box<dyn Error>> {
    if !Path::new(TASKS).exists() {
        report.say("\nIdle: skipped, this system has no /proc/self/task");
        return Ok(());
    }
    let peers = options.peers_or(&Peer::ALL);
    report.say(format!(
        "\nIdle for {} s, {KEYS} entries (u64): wake-ups and processor time of the cache's own threads",
        WATCHED.as_secs()
    ));
    report.say(format!(
        "{:<12}{:<14}{:>8}{:>14}{:>16}",
        "cache", "kept", "threads", "wake-ups/s", "processor us/s"
    ));
    let cases = peers.iter().flat_map(|&peer| [(peer, Life::ForEver), (peer, Life::ToLive)]);
    let idlers = cases.filter_map(|(peer, life)| open(peer, life));
    let idlers = idlers.collect::<Result<Vec<_>, _>>()?;
    // What the filling left to do is done meanwhile.
    thread::sleep(WATCHED / 3);
    let before = idlers.iter().map(Idler::activity).collect::<Result<Vec<_>, _>>()?;
    thread::sleep(WATCHED);
    for (idler, before) in idlers.iter().zip(before) {
        let after = idler.activity()?;
        let a_second = |amount: u64| amount as f64 / WATCHED.as_secs_f64();
        let wake_ups = a_second(after.wake_ups - before.wake_ups);
        let processor = a_second(after.nanoseconds - before.nanoseconds) / 1e3;
        report.say(format!(
            "{:<12}{:<14}{:>8}{wake_ups:>14.1}{processor:>16.1}",
            idler.peer,
            idler.life.name(),
            idler.threads.len()
        ));
        if idler.peer == Peer::Cacheado {
            report.aim(Aim::Quiet, wake_ups);
        }
        report.keep(&json!({
            "table": "idle",
            "cache": idler.peer.name(),
            "kept": idler.life.name(),
            "threads": idler.threads.len(),
            "wake_ups_per_second": wake_ups,
            "processor_microseconds_per_second": processor,
        }))?;
    }
    Ok(())
}

/// A cache and the threads that came with it.
struct Idler {
    peer: Peer,
    life: Life,
    threads: Vec<PathBuf>,
    _cache: Box<dyn Any>,
}

/// What threads have done in their lives.
#[derive(Default)]
struct Activity {
    wake_ups: u64,
    nanoseconds: u64,
}

fn open(peer: Peer, life: Life) -> Option<Result<Idler, Box<dyn Error>>> {
    struct Fill;

    impl<V: Value> Visit<V> for Fill {
        type Output = Box<dyn Any>;

        fn visit(self, cache: impl Cache<V> + 'static) -> Self::Output {
            for key in 0..KEYS {
                cache.insert(key, V::of(key));
            }
            cache.settle();
            Box::new(cache)
        }
    }

    let before = match tasks() {
        Ok(tasks) => tasks,
        Err(error) => return Some(Err(error)),
    };
    let cache = peer.with::<u64, _>(KEYS, life, Fill)?;
    let idler = |after: BTreeSet<_>| {
        let threads = after.difference(&before).cloned().collect();
        Idler { peer, life, threads, _cache: cache }
    };
    Some(tasks().map(idler))
}

fn tasks() -> Result<BTreeSet<PathBuf>, Box<dyn Error>> {
    Ok(fs::read_dir(TASKS)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?)
}

impl Idler {
    fn activity(&self) -> Result<Activity, Box<dyn Error>> {
        let mut sum = Activity::default();
        for thread in &self.threads {
            let status = fs::read_to_string(thread.join("status"))?;
            let switches = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
                .ok_or("the system does not count context switches")?;
            sum.wake_ups += switches.trim().parse::<u64>()?;
            let times = fs::read_to_string(thread.join("schedstat"))?;
            let ran =
                times.split_whitespace().next().ok_or("the system does not tell run times")?;
            sum.nanoseconds += ran.parse::<u64>()?;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn wake_ups_are_counted() {
        let (call, calls) = channel();
        let (answer, answers) = channel();
        let called = thread::spawn(move || {
            for () in calls {
                // To be woken once at least for each call: a channel may spin on a machine that is busy.
                thread::sleep(Duration::from_micros(1));
                // Which thread it is: other tests have threads of their own.
                answer.send(fs::read_link("/proc/thread-self")).expect("somebody listens");
            }
        });
        let ring = || {
            call.send(()).expect("the thread runs");
            answers.recv_timeout(WATCHED).expect("an answer")
        };
        let thread = Path::new("/proc").join(ring().expect("the system names threads"));
        let idler = Idler {
            peer: Peer::Cacheado,
            life: Life::ForEver,
            threads: vec![thread],
            _cache: Box::new(()),
        };
        let wake_ups = || idler.activity().expect("the system counts").wake_ups;
        let earlier = wake_ups();
        (0..100).for_each(|_| drop(ring()));
        assert!(wake_ups() >= earlier + 100);
        drop(call);
        called.join().expect("no panic");
    }
}
