//! Systems without the barrier that lets readers pass no fence, and those that take it away from a running process.
#![expect(unsafe_code, reason = "a filter of system calls is set through libc")]

use crate::processes::alone;
use crate::report::{Row, times};
use crate::support::{Counted, Ledger, bounded, eventually, flush};
use cacheado::CacheHandle;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for many grace periods.
fn work_for_a_while(cache: &Cache) {
    let until = Instant::now() + Duration::from_millis(5);
    while Instant::now() < until {
        flush(cache);
    }
}

/// Lets membarrier(2) fail in all threads of the process, from now on and for ever.
fn refuse_barriers(error: i32) {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let mut steps = [
        step(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, libc::SYS_membarrier as u32),
        step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | error as u32),
        step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: gives up privileges that nobody here uses.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
    // SAFETY: the kernel copies the filter, which lives until then.
    assert_eq!(unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const filter) }, 0);
    // SAFETY: asks which barriers there are.
    assert_eq!(unsafe { libc::syscall(libc::SYS_membarrier, 0, 0, 0) }, -1, "it is refused");
}

type Cache = CacheHandle<u64, Counted>;

fn make() -> (Cache, Ledger) {
    let cache = CacheHandle::builder().shards(2).max_capacity(1_000).build().expect("valid");
    (cache, Ledger::new())
}

#[test]
fn the_system_has_no_barrier() {
    alone("barrier::alone_the_system_has_no_barrier", None, None);
}

#[test]
#[ignore = "needs a process of its own; `the_system_has_no_barrier` starts it"]
fn alone_the_system_has_no_barrier() {
    const READERS: u64 = 4;
    bounded(|| {
        refuse_barriers(libc::ENOSYS);
        let ((cache, ledger), rounds) = (make(), times(200));
        let turn = Barrier::new(READERS as usize + 1);
        thread::scope(|scope| {
            for _ in 0..READERS {
                scope.spawn(|| {
                    for round in 0..rounds {
                        turn.wait();
                        let view = cache.pin();
                        let seen = view.get(&1).expect("it is there");
                        turn.wait();
                        turn.wait();
                        assert_eq!(seen.id, round, "what is held is not freed");
                    }
                });
            }
            for round in 0..rounds {
                cache.insert(1, ledger.value(round));
                flush(&cache);
                turn.wait();
                turn.wait();
                cache.insert(1, ledger.value(round + 1));
                work_for_a_while(&cache);
                assert!(ledger.live() >= 2, "one is held");
                turn.wait();
            }
        });
        eventually("what nobody holds is freed", || {
            flush(&cache);
            ledger.live() == 1
        });
        let hits = cache.stats().hits();
        Row {
            fault: "the system has no membarrier(2)",
            injected: rounds * READERS,
            lost: (rounds * READERS).abs_diff(hits),
            outcome: "readers pass a fence; what they hold is kept, and freed afterwards".into(),
        }
        .report(the_system_has_no_barrier);
    });
}

#[test]
fn the_system_takes_the_barrier_away() {
    alone("barrier::alone_the_system_takes_the_barrier_away", None, None);
}

#[test]
#[ignore = "needs a process of its own; `the_system_takes_the_barrier_away` starts it"]
fn alone_the_system_takes_the_barrier_away() {
    bounded(|| {
        let ((cache, ledger), writes) = (make(), times(10_000));
        cache.insert(0, ledger.value(0));
        cache.insert(0, ledger.value(1));
        eventually("what was replaced is freed", || {
            flush(&cache);
            ledger.live() == 1
        });
        refuse_barriers(libc::ENOMEM);
        for id in 0..writes {
            cache.insert(id % 100, ledger.value(id));
            let seen = cache.get(&(id % 100)).map(|value| value.id);
            assert_eq!(seen, Some(id), "reads and writes go on");
        }
        work_for_a_while(&cache);
        assert_eq!(cache.len(), 100);
        assert!(ledger.live() >= writes, "nobody knows who reads, so nothing is freed");
        drop(cache);
        eventually("the shards end, and free what there is", || ledger.live() == 0);
        Row {
            fault: "the system takes membarrier(2) away from a running process",
            injected: writes,
            lost: 0,
            outcome: "reads and writes go on; nothing is freed before the cache is dropped".into(),
        }
        .report(the_system_takes_the_barrier_away);
    });
}
