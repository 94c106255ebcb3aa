//! A fold wants to keep, reject or replace a value, and a remover takes it first.

use super::{Cache, HELD, Key, ROLE, Role, Stops, remover};
use crate::support::{Counted, Gate, Ledger, Told, bounded, builder, eventually, flush, ms, timed};
use cacheado::testing::ManualClock;
use cacheado::{CacheHandle, RemovalCause};

/// A removal that comes between what a fold knows of an entry and its attempt to take it.
struct Removal {
    name: &'static str,
    /// What of the removed value the fold thinks when it goes on.
    id: u64,
    expires: bool,
}

const HEAVY: u64 = 21;

const REMOVALS: [Removal; 3] = [
    Removal { name: "an entry that is to be kept", id: HELD, expires: false },
    Removal { name: "an entry that is too heavy", id: HEAVY, expires: false },
    Removal { name: "an entry that has expired", id: HELD, expires: true },
];

/// One shard whose weigher stops at held values, and who was told what.
fn weighing() -> (ManualClock, Gate, Told<u64, u64>, CacheHandle<u64, u64>) {
    let (told, gate) = (Told::new(), Gate::new());
    let (clock, builder) = timed(1);
    let stop = gate.clone();
    let weigher = move |_: &u64, id: &u64| {
        if [HELD, HEAVY].contains(id) {
            stop.pass();
        }
        if *id == HEAVY { u32::MAX } else { 1 }
    };
    let cache = told.listen(builder).weigher(weigher).build().expect("valid");
    (clock, gate, told, cache)
}

#[test]
fn an_entry_that_is_removed_while_it_is_weighed_departs_once_as_removed() {
    bounded(|| {
        for removal in REMOVALS {
            eprintln!("{}", removal.name);
            let (clock, gate, told, cache) = weighing();
            cache.insert_with_ttl(1, removal.id, ms(10));
            let folded = cache.flush();
            gate.wait_for(1);
            let removed = cache.remove(&1);
            if removal.expires {
                clock.advance(ms(20));
            }
            gate.open();
            folded.wait().expect("shards live");
            flush(&cache);
            assert_eq!((removed, cache.get(&1), cache.len()), (Some(removal.id), None, 0));
            assert_eq!(told.take(), vec![(1, removal.id, RemovalCause::Removed)]);
            let stats = cache.stats();
            assert_eq!((stats.insertions(), stats.invalidations()), (1, 1), "{stats}");
            assert_eq!((stats.rejected(), stats.expirations()), (0, 0), "{stats}");
        }
    });
}

/// The older value of a key is removed while the shard is about to take it for a newer one's sake.
#[test]
fn an_older_value_that_is_removed_first_is_not_replaced() {
    bounded(|| {
        for is_resident in [false, true] {
            ROLE.set(Role::Test);
            let (stops, hold, ledger) = (Stops::default(), Gate::new(), Ledger::new());
            let hold_on = hold.clone();
            let weigher = move |_: &Key, value: &Counted| {
                if value.id == HELD {
                    hold_on.pass();
                }
                1
            };
            let cache: Cache = builder(1).weigher(weigher).build().expect("valid");
            let key = Key(1, stops.clone());
            if !is_resident {
                // So that it takes both values in one fold.
                cache.insert(Key(2, stops.clone()), ledger.value(HELD));
                drop(cache.flush());
                hold.wait_for(1);
            }
            cache.insert(key.clone(), ledger.value(1));
            if is_resident {
                flush(&cache);
            }
            let remover = remover(&cache, key.clone());
            stops.remover.wait_for(1);
            cache.insert(key.clone(), ledger.value(2));
            hold.open();
            let folded = cache.flush();
            stops.shard.wait_for(1);
            stops.remover.open();
            let removed = remover.join().expect("no panic");
            stops.open();
            folded.wait().expect("shards live");
            flush(&cache);
            assert_eq!(removed, Some(1), "resident: {is_resident}");
            assert_eq!(cache.read(&key, |value| value.id), Some(2));
            let (stats, others) = (cache.stats(), u64::from(!is_resident));
            assert_eq!((stats.insertions(), stats.updates()), (2 + others, 0), "{stats}");
            assert_eq!((stats.invalidations(), stats.len()), (1, 1 + others), "{stats}");
            eventually("no value is lost", || {
                flush(&cache);
                ledger.live() == stats.len()
            });
        }
    });
}
