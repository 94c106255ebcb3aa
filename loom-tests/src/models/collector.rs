//! Index and graves on the real epoch collector: a reader under its pin, and the shard.
//!
//! The shard takes as many turns as the collector needs to find that everybody has gone, so what it
//! retires is freed as early as the collector lets it.

use super::rig::{Ledger, Tracked, search};
use crate::clock::Clock;
use crate::shard::bare::{Owner, Published};
use crate::sync::tally::AtomicU64;
use crate::sync::{leave_collector, reclaim};
use std::sync::Arc;

const KEY: u8 = 1;
/// A local hash: the low bits are not its own.
const HASH: u32 = 8;
/// Turns after which a batch is freed if nobody is pinned: one seals it, two move the epoch on.
const TURNS: usize = 3;

/// The number of the key's value, read in place under a pin of its own.
fn read(published: &Published<u8, Tracked>) -> Option<u32> {
    let clock = Clock::manual(Arc::new(AtomicU64::new(0)));
    reclaim::pinned(|pinned| {
        published.find(HASH, &KEY, &clock, pinned).map(|live| live.value().number())
    })
}

fn turns(owner: &mut Owner<u8, Tracked>, count: usize) {
    (0..count).for_each(|_| owner.turn());
}

/// A shard with `value` published, or nothing, does `change` while a reader reads; `may` says what the
/// reader may find. Afterwards `left` values are published, and all others have been freed.
fn against_a_reader(
    name: &'static str,
    value: Option<u32>,
    change: fn(&mut Owner<u8, Tracked>, &Ledger),
    may: fn(Option<u32>) -> bool,
    left: u32,
) {
    search(name, 3, move || {
        let ledger = Ledger::default();
        let (published, mut owner) = Owner::new();
        value.into_iter().for_each(|number| owner.publish(HASH, KEY, ledger.value(number)));
        let reader = loom::thread::spawn(move || {
            let found = read(&published);
            assert!(may(found), "the reader found {found:?}");
            leave_collector();
        });
        let books = ledger.clone();
        let shard = loom::thread::spawn(move || {
            change(&mut owner, &books);
            turns(&mut owner, TURNS);
            leave_collector();
            owner
        });
        reader.join().unwrap();
        let mut owner = shard.join().unwrap();
        turns(&mut owner, 2 * TURNS);
        assert!(owner.has_buried_all(), "nobody is pinned, and still something is not freed");
        assert_eq!(ledger.alive(), left, "what was retired was dropped once");
        owner.withdraw(HASH, &KEY);
        turns(&mut owner, 2 * TURNS);
        assert_eq!(ledger.alive(), 0, "what was retired was dropped once");
        leave_collector();
    });
}

/// Who finds a new value finds it whole.
pub fn collected_beside_a_publication() {
    against_a_reader(
        "collected_beside_a_publication",
        None,
        |owner, ledger| owner.publish(HASH, KEY, ledger.value(10)),
        |found| found.is_none_or(|number| number == 10),
        1,
    );
}

/// A value that is replaced stays whole for whoever found it, and is freed afterwards.
pub fn collected_after_a_replacement() {
    against_a_reader(
        "collected_after_a_replacement",
        Some(10),
        |owner, ledger| owner.publish(HASH, KEY, ledger.value(11)),
        |found| found.is_some_and(|number| number == 10 || number == 11),
        1,
    );
}

/// A value that is removed stays whole for whoever found it, and is freed afterwards.
pub fn collected_after_a_removal() {
    against_a_reader(
        "collected_after_a_removal",
        Some(10),
        |owner, _| owner.withdraw(HASH, &KEY),
        |found| found.is_none_or(|number| number == 10),
        0,
    );
}
