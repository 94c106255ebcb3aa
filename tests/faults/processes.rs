//! What the operating system refuses or takes away: threads, memory, and all threads but one in a
//! forked child. Each test runs an ignored one of this binary in a process of its own.
#![expect(unsafe_code, reason = "a process is forked through libc")]

use crate::report::{Row, times};
use crate::support::{Polled, bounded, eventually, flush};
use cacheado::{CacheHandle, Error, Namespace, Reply, ScopeFigure, ScopedHandle, SharedCache};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A stack so large that few of them fit into what a process may address.
const STACK: u64 = 256 << 20;

/// Runs an ignored test alone, with at most so much address space, and passes its row on.
pub(crate) fn alone(test: &str, kilobytes: Option<u64>, stack: Option<u64>) {
    let binary = std::env::current_exe().expect("this binary");
    let limit = kilobytes.map_or("unlimited".to_string(), |kilobytes| kilobytes.to_string());
    let script =
        r#"ulimit -v "$1" && exec "$2" "$3" --exact --ignored --nocapture --test-threads=1"#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", &limit]).arg(binary).arg(test).env("MALLOC_ARENA_MAX", "1");
    if let Some(stack) = stack {
        shell.env("RUST_MIN_STACK", stack.to_string());
    }
    let output = shell.output().expect("started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{said}");
    said.lines().filter(|line| line.starts_with('|')).for_each(|row| eprintln!("{row}"));
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("procfs").count()
}

#[test]
fn a_thread_cannot_be_started() {
    let space = (STACK >> 10) * 16;
    alone("processes::alone_a_thread_cannot_be_started", Some(space), Some(STACK));
}

/// Threads that do nothing but take up address space.
struct Ballast(Vec<(thread::JoinHandle<()>, std::sync::mpsc::Sender<()>)>);

impl Ballast {
    /// As many as there is room for.
    fn full() -> Self {
        let mut all = Self(Vec::new());
        while let Some(one) = Self::one() {
            all.0.push(one);
        }
        all
    }

    fn one() -> Option<(thread::JoinHandle<()>, std::sync::mpsc::Sender<()>)> {
        let (leave, left) = std::sync::mpsc::channel();
        let wait = move || assert!(left.recv().is_err());
        thread::Builder::new().spawn(wait).ok().map(|thread| (thread, leave))
    }

    fn release(&mut self) {
        let (thread, leave) = self.0.pop().expect("there is ballast left");
        drop(leave);
        thread.join().expect("no panic");
    }
}

#[test]
#[ignore = "needs a process of its own; `a_thread_cannot_be_started` starts it"]
fn alone_a_thread_cannot_be_started() {
    const SHARDS: usize = 8;
    let own = threads();
    let (mut refused, mut leaked, mut which) = (0, 0, BTreeSet::new());
    for _ in 0..times(10) {
        let mut ballast = Ballast::full();
        assert!(ballast.0.len() > SHARDS, "{} threads fit", ballast.0.len());
        let cache = loop {
            match CacheHandle::<u64, u64>::builder().shards(SHARDS).max_capacity(5_000).build() {
                Ok(cache) => break cache,
                Err(error) => {
                    assert!(error.is_thread_start(), "{error}");
                    let text = error.to_string();
                    let number = text.split_once("cacheado-").and_then(|(_, rest)| {
                        rest.split_whitespace().next().and_then(|number| number.parse().ok())
                    });
                    which.insert(number.unwrap_or(usize::MAX));
                    refused += 1;
                    // A joined thread leaves the process a moment after its join.
                    let limit = Instant::now() + Duration::from_secs(10);
                    while threads() > own + ballast.0.len() && Instant::now() < limit {
                        thread::yield_now();
                    }
                    leaked += threads().saturating_sub(own + ballast.0.len()) as u64;
                }
            }
            ballast.release();
        };
        cache.insert(1, 1);
        cache.flush().wait().expect("shards live");
        assert_eq!((cache.get(&1), cache.len()), (Some(1), 1));
        drop(cache);
        while !ballast.0.is_empty() {
            ballast.release();
        }
    }
    assert_eq!(which, (0..SHARDS).collect(), "each thread was refused once");
    Row {
        fault: "the k-th of 8 threads cannot be started, for every k",
        injected: refused,
        lost: leaked,
        outcome: "`build` returns an error that names it; no thread is left behind".into(),
    }
    .report(a_thread_cannot_be_started);
}

#[test]
fn there_is_no_memory_for_the_index() {
    alone("processes::alone_there_is_no_memory_for_the_index", Some(200 << 10), None);
}

#[test]
#[ignore = "needs a process of its own; `there_is_no_memory_for_the_index` starts it"]
fn alone_there_is_no_memory_for_the_index() {
    let (before, rounds, mut refused) = (threads(), times(100), 0);
    for round in 0..rounds {
        let shards = 1 + (round % 4) as usize;
        let huge = CacheHandle::<u64, u64>::builder().shards(shards).max_capacity(1 << 24).build();
        let error = huge.expect_err("refused");
        refused += u64::from(error.is_out_of_memory());
        assert!(error.to_string().contains("16777216"), "{error}");
    }
    assert_eq!(threads(), before, "nothing was started");
    let cache =
        CacheHandle::builder().max_capacity(10_000).build().expect("there is room for this");
    cache.insert(1, 1);
    assert_eq!(cache.get(&1), Some(1));
    Row {
        fault: "there is no memory for a presized index",
        injected: rounds,
        lost: rounds - refused,
        outcome: "`build` returns an error; nothing is started".into(),
    }
    .report(there_is_no_memory_for_the_index);
}

#[test]
fn the_process_is_forked() {
    alone("processes::alone_the_process_is_forked", None, None);
}

#[test]
fn a_stream_is_inherited() {
    alone("processes::alone_a_stream_is_inherited", None, None);
}

#[test]
#[ignore = "needs a process of its own; `a_stream_is_inherited` starts it"]
fn alone_a_stream_is_inherited() {
    bounded(|| {
        let cache = SharedCache::new();
        let space: Namespace<u64, u64> = cache.namespace("space").expect("new");
        let events = space.events();
        space.insert(1, 10);
        space.remove(&1);
        eventually("told", || events.len() == 1);
        cache.flush().wait().expect("alive");
        let ended = fork(|| {
            let first = events.recv().is_ok_and(|left| *left.value() == 10);
            let patience = Duration::from_secs(600);
            let ended = events.recv().is_err() && events.recv_timeout(patience).is_err();
            let fresh = space.events();
            i32::from(!(first && ended && events.into_iter().next().is_none()))
                + i32::from(fresh.recv().is_err() && fresh.iter().next().is_none()) * 2
        });
        assert_eq!(ended, Some(2), "what was in it is there, and then it ends");
    });
}

type Cache = CacheHandle<u64, u64>;

/// Forks; in the child runs `body` and ends with its status. Says how the child ended: nothing if it
/// had to be killed.
fn fork(body: impl FnOnce() -> i32) -> Option<i32> {
    // SAFETY: the child calls the cache, the allocator, which glibc makes usable after a fork, and
    // `_exit`; nothing else that another thread may have held in the moment of the fork.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "forked");
    if child == 0 {
        let status = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
        // SAFETY: ends the process at once; no destructor of the parent's copy runs.
        unsafe { libc::_exit(status) }
    }
    let limit = Instant::now() + Duration::from_secs(20);
    let mut status = 0;
    // SAFETY: the child is ours and the status lives on this stack.
    while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
        if Instant::now() > limit {
            // SAFETY: the child is ours and has not been waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
            // SAFETY: as above.
            unsafe { libc::waitpid(child, &mut status, 0) };
            return None;
        }
        thread::park_timeout(Duration::from_micros(200));
    }
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
}

/// What a forked child inherits.
struct Inherited<'a, F> {
    /// A cache that threads of the parent use.
    busy: &'a Cache,
    /// A cache in which threads of the parent make scopes and leave them.
    tenants: &'a Cache,
    /// A scope of that, with one entry.
    scope: &'a ScopedHandle<u64, u64>,
    /// A cache of which a thread of the parent loads key 3.
    loading: &'a Cache,
    /// A cache with one handle.
    own: Cache,
    asked: Reply<()>,
    waiting: Polled<F>,
}

const FORKED: fn(Error) -> bool = |error| error.is_forked();

/// Every verb in a child. Gives the number of the first step that is not as promised, 0 if there is none.
fn live_as_a_child(inherited: Inherited<'_, impl Future<Output = u64>>) -> i32 {
    let Inherited { busy, tenants, scope, loading, own, asked, mut waiting } = inherited;
    let mut steps = 0;
    let mut check = |right: bool| {
        steps += 1;
        if right { Ok(()) } else { Err(steps) }
    };
    let live = || {
        // Everything but the writes of the parent's threads is known.
        check(own.get(&1) == Some(10) && own.peek(&2) == Some(20) && own.contains_key(&1))?;
        check(own.pin().get(&1) == Some(&10))?;
        check(asked.wait().err().is_none_or(FORKED))?;
        check(own.flush().wait().is_err_and(FORKED) && busy.flush().wait().is_err_and(FORKED))?;
        check(own.ready().wait().is_err_and(FORKED) && own.entries().wait().is_err_and(FORKED))?;
        check(pollster::block_on(busy.flush()).is_err_and(FORKED))?;
        check(own.events().recv().is_err())?;
        // A load that a thread of the parent leads, joined before the fork and after it.
        check(waiting.ready() == 6)?;
        check(loading.get_or_load(&3, || 7) == 7 && own.get_or_load(&4, || 8) == 8)?;
        for key in 0..1_000 {
            own.insert(key, key + 100);
            check(own.get(&key).is_none_or(|value| value == key + 100))?;
            busy.insert(key, key + 100);
            check(busy.get(&key).is_none_or(|value| value == key + 100))?;
        }
        let refused = (0..100).filter_map(|key| own.try_insert(key, 1).err());
        check(refused.into_iter().any(|error| error.is_forked()))?;
        check((9_000..9_100).all(|key| own.get_or_load(&key, || key) == key))?;
        check((0..1_000).all(|key| {
            own.remove(&key);
            busy.remove(&key);
            !own.contains_key(&key) && !busy.contains_key(&key)
        }))?;
        check(own.clear().wait().is_err_and(FORKED) && own.get(&9_000).is_none())?;
        // The scope's entry, and no walk over scopes that the parent's threads may have been at.
        check(scope.get(&1) == Some(1) && scope.len() == 1 && scope.weight() == 1)?;
        check(scope.stats().own().len() == 1 && scope.stats().subtree().len() == 1)?;
        check(
            scope.scopes().wait().is_err_and(FORKED) && tenants.scopes().wait().is_err_and(FORKED),
        )?;
        check(tenants.top_scopes(1, ScopeFigure::Len).wait().is_err_and(FORKED))?;
        check(scope.top_scopes(1, ScopeFigure::Len).wait().is_err_and(FORKED))?;
        let unused = tenants.evict_scope([("organization", "unused")]).map_err(|_| -2)?;
        check(unused.wait().is_err_and(FORKED))?;
        check(scope.evict().wait().is_err_and(FORKED) && scope.get(&1).is_none())?;
        check(scope.events().recv().is_err())?;
        check(tenants.scope([("organization", "globex")]).is_ok_and(|it| it.get(&1).is_none()))?;
        check(tenants.scope([("organization", "fresh")]).is_err_and(FORKED))?;
        let fresh: Cache =
            CacheHandle::builder().shards(2).max_capacity(5_000).build().map_err(|_| -1)?;
        fresh.insert(1, 1);
        check(fresh.flush().wait().is_ok() && fresh.get(&1) == Some(1) && fresh.len() == 1)?;
        drop(fresh);
        drop(own);
        check(true)
    };
    live().err().unwrap_or(0)
}

#[test]
#[ignore = "needs a process of its own; `the_process_is_forked` starts it"]
fn alone_the_process_is_forked() {
    bounded(|| {
        let make = || -> Cache {
            let builder = CacheHandle::builder().shards(2).max_capacity(5_000);
            builder.backlog(100).build().expect("valid")
        };
        let (busy, tenants) = (make(), make());
        let (done, rounds) = (AtomicBool::new(false), times(100));
        let (mut failed, mut hung, mut worst) = (0, 0, 0);
        // The standard library holds a lock while a thread starts or ends. A child that inherits it can
        // start no thread, so here all threads have started and none ends as the process is forked.
        let started = Barrier::new(3);
        thread::scope(|scope| {
            for me in 0..2 {
                let (busy, tenants, done, started) = (&busy, &tenants, &done, &started);
                scope.spawn(move || {
                    started.wait();
                    for round in (me..).step_by(2) {
                        busy.insert(round % 7_000, round);
                        busy.get(&(round % 5_000));
                        for id in 0..3 {
                            let path = [
                                ("organization", "acme".to_string()),
                                ("user", (round + id).to_string()),
                            ];
                            tenants.scope(path).expect("a right path").get(&1);
                        }
                        if round % 64 == me {
                            busy.flush().wait().expect("shards live");
                        }
                        if done.load(Ordering::SeqCst) {
                            return;
                        }
                    }
                });
            }
            started.wait();
            let globex = tenants.scope([("organization", "globex")]).expect("a right path");
            globex.insert(1, 1);
            flush(&tenants);
            flush(&busy);
            for _ in 0..rounds {
                let (loading, both) = (make(), Barrier::new(2));
                thread::scope(|scope| {
                    let leader = scope.spawn(|| {
                        loading.get_or_load(&3, || {
                            both.wait();
                            both.wait();
                            5
                        })
                    });
                    both.wait();
                    let waits = loading.clone();
                    let waiting = async move { waits.get_or_load_async(&3, async { 6 }).await };
                    let mut waiting = Polled::new(waiting);
                    assert!(waiting.is_pending(), "joins the thread's load");
                    let own = make();
                    own.insert(1, 10);
                    own.insert(2, 20);
                    flush(&own);
                    flush(&loading);
                    let asked = loading.flush();
                    let (busy, tenants, scope, loading) = (&busy, &tenants, &globex, &loading);
                    let child = Inherited { busy, tenants, scope, loading, own, asked, waiting };
                    match fork(|| live_as_a_child(child)) {
                        Some(0) => {}
                        Some(step) => (failed, worst) = (failed + 1, step),
                        None => hung += 1,
                    }
                    both.wait();
                    assert_eq!(leader.join().expect("no panic"), 5, "the parent goes on");
                });
            }
            done.store(true, Ordering::SeqCst);
        });
        drop((busy, tenants));
        eventually("the parent goes on and ends", || threads() <= 3);
        assert_eq!((failed, hung), (0, 0), "step {worst} is not as promised");
        Row {
            fault: "the process is forked while it works, and the child calls every verb",
            injected: rounds,
            lost: failed + hung,
            outcome: "reads go on; what would wait says `is_forked`; nothing hangs".into(),
        }
        .report(the_process_is_forked);
    });
}
