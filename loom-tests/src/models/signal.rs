//! Sleep and wake: no submit and no command leaves the shard asleep.

use super::rig::{Ledger, Rig, audit, search, settle};
use crate::shard::signal::{Nap, Signal};
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
        let heard = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&heard);
        let shard = rig.spawn(move |rig| {
            while !told.load(Ordering::Acquire) {
                rig.shard().signal().sleep(Nap::Light(Duration::ZERO));
                settle(&mut worker, 1);
            }
        });
        rig.shard().signal().bind(shard.thread().clone());
        let asker = rig.spawn(move |rig| {
            assert!(rig.cache.flush().wait().is_ok());
            heard.store(true, Ordering::Release);
            rig.shard().signal().wake();
        });
        asker.join().unwrap();
        shard.join().unwrap();
    });
}
