//! Sleep and wake: no submit and no command leaves the shard asleep.

use super::rig::{Ledger, Rig, audit, hasher, search, settings, settle};
use crate::Reply;
use crate::clock::Clock;
use crate::scope::tree::ScopeTree;
use crate::scope::trie::Trie;
use crate::shard::Shard;
use crate::shard::budget::Capacity;
use crate::shard::command::Command;
use crate::shard::docket::Eviction;
use crate::shard::pending::DEPTH_LIMIT;
use crate::shard::rouse;
use crate::shard::signal::{Nap, Signal};
use crate::shard::worker::{Next, Worker};
use crate::sync::tally;
use loom::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// A deep sleeper is woken by whoever submits, and finds the work of all whom it counts: their flags
/// are relaxed, so only the signal's edges show them.
pub fn a_submit_wakes_a_deep_sleeper() {
    search("a_submit_wakes_a_deep_sleeper", 4, || {
        let signal = Arc::new(Signal::new(8));
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let shard = {
            let (signal, flags) = (Arc::clone(&signal), Arc::clone(&flags));
            loom::thread::spawn(move || {
                let mut open = vec![0, 1];
                while !open.is_empty() {
                    signal.sleep(Nap::Deep(None));
                    let before = open.len();
                    open.retain(|number: &usize| !flags[*number].load(Ordering::Relaxed));
                    signal.folded((before - open.len()) as u64);
                }
            })
        };
        signal.bind(shard.thread().clone());
        let submitters = [0, 1].map(|number: usize| {
            let (signal, flags) = (Arc::clone(&signal), Arc::clone(&flags));
            loom::thread::spawn(move || {
                flags[number].store(true, Ordering::Relaxed);
                signal.submitted();
            })
        });
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        shard.join().unwrap();
        assert_eq!(signal.backlog(), 0);
    });
}

/// A real shard that sleeps deeply whenever it may gets a write folded.
pub fn a_write_reaches_a_sleeping_shard() {
    search("a_write_reaches_a_sleeping_shard", 3, || {
        let (rig, mut worker) = Rig::new(100);
        let ledger = Ledger::default();
        let shard = rig.spawn(move |rig| {
            while rig.cache.is_empty() {
                rig.shard().signal().sleep(Nap::Deep(None));
                settle(&mut worker, 1);
            }
            worker
        });
        rig.shard().signal().bind(shard.thread().clone());
        let books = ledger.clone();
        let writer = rig.spawn(move |rig| rig.cache.insert(1, books.value(10)));
        writer.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
    });
}

/// A command wakes a light sleeper too. Loom's naps never time out, so a forgotten wake-up would last.
pub fn a_command_wakes_a_light_sleeper() {
    search("a_command_wakes_a_light_sleeper", 3, || {
        let (rig, mut worker) = Rig::<u32>::new(100);
        let visited = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let visits = Arc::clone(&visited);
        let shard = rig.spawn(move |rig| {
            while visits.load(tally::Ordering::Relaxed) == 0 {
                rig.shard().signal().sleep(Nap::Light(Duration::ZERO));
                settle(&mut worker, 1);
            }
        });
        rig.shard().signal().bind(shard.thread().clone());
        let asker = rig.spawn(move |rig| {
            let visit = move |_: &mut dyn Iterator<Item = (&u8, &u32)>| {
                visited.fetch_add(1, tally::Ordering::Relaxed);
            };
            rig.shard().send(Command::Visit(rig.root(), Box::new(visit)));
        });
        asker.join().unwrap();
        shard.join().unwrap();
    });
}

/// A shard that is left a message is woken by the shard before it, and finds the message, though that one may
/// take its own before anybody wakes it.
pub fn shards_wake_each_other() {
    search("shards_wake_each_other", 3, || {
        let shard = || Shard::<u8, u32>::new(None, 8).expect("little memory");
        let shards: Arc<[_]> = Arc::new([shard(), shard()]);
        let workers = [0, 1].map(|number: usize| {
            let shards = Arc::clone(&shards);
            let worker = loom::thread::spawn(move || {
                let shard = &shards[number];
                // One is woken for something else.
                shards[..number].iter().for_each(|other| other.signal().wake());
                while shard.receive().map(drop).is_none() {
                    shard.signal().sleep(Nap::Deep(None));
                }
                shard.signal().folded(1);
            });
            worker
        });
        for (shard, worker) in shards.iter().zip(&workers) {
            shard.signal().bind(worker.thread().clone());
        }
        rouse::leave_with_all(&shards, [0, 1].map(|_| Command::Relieve(None)), || false);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert!(shards.iter().all(|shard| shard.signal().backlog() == 0));
    });
}

/// A shard that is woken early, and takes the command of an eviction before that begins, is woken when it has begun.
pub fn who_heard_early_is_woken() {
    search("who_heard_early_is_woken", 3, || {
        let shard = || Shard::<u8, u32>::new(None, 8).expect("little memory");
        let shards: Arc<[_]> = Arc::new([shard(), shard()]);
        let trie = Arc::new(Trie::new(ScopeTree::default(), hasher()));
        let clock = Clock::manual(Arc::default());
        let told = settings(Capacity::new(8, 2), clock, None);
        let mut worker = Worker::new(Arc::clone(&shards), 1, Arc::clone(&trie), told);
        let all = Arc::clone(&shards);
        let first = loom::thread::spawn(move || {
            while all[0].receive().map(drop).is_none() {
                all[0].signal().sleep(Nap::Deep(None));
            }
        });
        let all = Arc::clone(&shards);
        let second = loom::thread::spawn(move || {
            // The first is woken for something else, and wakes this one.
            all[0].signal().wake();
            loop {
                match worker.turn() {
                    Next::Again => {}
                    Next::Idle(timer) => worker.sleep(timer),
                    Next::End => return,
                }
            }
        });
        for (shard, thread) in shards.iter().zip([&first, &second]) {
            shard.signal().bind(thread.thread().clone());
        }
        let eviction = Arc::new(Eviction::new(trie.root()));
        let mut commands = Vec::new();
        let reply = Reply::sum_of(
            1,
            |a: u64, b| a + b,
            |_, answer| {
                commands.push(Command::Evict(Arc::clone(&eviction), answer));
            },
        );
        commands.push(Command::Relieve(None));
        rouse::leave_with_all(&shards, commands, || eviction.begin(&trie));
        assert_eq!(reply.wait().ok(), Some(0), "there is nothing");
        shards[1].send(Command::Stop);
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// A shard that has folded an operation before it was counted counts one too few; a command that comes
/// then is heard all the same.
pub fn a_late_count_hides_no_command() {
    search("a_late_count_hides_no_command", 4, || {
        let signal = Arc::new(Signal::new(8));
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let contend = |contender: fn(&Signal, &AtomicBool, &AtomicBool)| {
            let (signal, flags) = (Arc::clone(&signal), Arc::clone(&flags));
            loom::thread::spawn(move || contender(&signal, &flags[0], &flags[1]))
        };
        let shard = contend(|signal, write, command| {
            let mut folded = false;
            while !command.load(Ordering::Relaxed) {
                if !folded && write.load(Ordering::Relaxed) {
                    folded = true;
                    signal.folded(1);
                }
                signal.sleep(Nap::Light(Duration::ZERO));
            }
        });
        signal.bind(shard.thread().clone());
        let writer = contend(|signal, write, _| {
            write.store(true, Ordering::Relaxed);
            signal.submitted();
        });
        let asker = contend(|signal, _, command| {
            command.store(true, Ordering::Relaxed);
            signal.submitted();
            signal.wake();
        });
        [shard, writer, asker].into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A writer that finds its chain too deep waits for the shard, which is asleep, and goes on.
pub fn a_deep_chain_waits_for_the_shard() {
    search("a_deep_chain_waits_for_the_shard", 3, || {
        const WRITES: u8 = DEPTH_LIMIT + 1;
        let (rig, mut worker) = Rig::new(100);
        let ledger = Ledger::default();
        for key in 1..WRITES {
            rig.cache.insert(key, ledger.value(key.into()));
        }
        let shard = rig.spawn(move |rig| {
            loop {
                settle(&mut worker, 1);
                if rig.cache.len() == u64::from(WRITES) {
                    return worker;
                }
                rig.shard().signal().sleep(Nap::Light(Duration::ZERO));
            }
        });
        rig.shard().signal().bind(shard.thread().clone());
        let books = ledger.clone();
        let writer = rig.spawn(move |rig| {
            rig.cache.insert(WRITES, books.value(WRITES.into()));
            rig.shard().signal().wake();
        });
        writer.join().unwrap();
        audit(&rig, &mut shard.join().unwrap(), &ledger);
    });
}
