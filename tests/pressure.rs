//! Back-pressure: a full backlog holds writers up, loses nothing and is over when the shard goes on.

use crate::support::{
    Counted, Gate, Ledger, Polled, StuckShard, bounded, builder, eventually, flush, on_each_shape,
};
use cacheado::CacheHandle;
use std::hash::{Hash, Hasher};
use std::sync::mpsc;
use std::thread;

const BACKLOG: usize = 16;
/// Far more writes than any backlog may take in.
const ENOUGH: u64 = 200_000;

fn stuck(shards: usize) -> (Ledger, CacheHandle<u64, Counted>, StuckShard) {
    stuck_with(shards, BACKLOG)
}

/// A cache whose one shard, or the shard of key 0, stands in the listener.
fn stuck_with(shards: usize, backlog: usize) -> (Ledger, CacheHandle<u64, Counted>, StuckShard) {
    let ledger = Ledger::new();
    let (gate, builder) = StuckShard::prepare(builder::<u64, Counted>(shards).backlog(backlog));
    let cache = builder.max_capacity(ENOUGH * 2).build().expect("valid");
    let stuck = StuckShard::hold(&cache, gate, 0, ledger.value(0));
    (ledger, cache, stuck)
}

/// Writes distinct keys until one is refused: the keys that were accepted and the refused one.
fn fill(ledger: &Ledger, cache: &CacheHandle<u64, Counted>) -> (Vec<u64>, u64) {
    let mut accepted = Vec::new();
    for key in 1..ENOUGH {
        match cache.try_insert(key, ledger.value(key)) {
            Ok(()) => accepted.push(key),
            Err(error) => {
                assert!(error.is_full() && !error.is_closed());
                let (back, value) = error.into_inner();
                assert_eq!((back, value.id), (key, key), "both are given back");
                return (accepted, key);
            }
        }
    }
    panic!("the backlog has no bound");
}

#[test]
fn a_full_backlog_gives_the_write_back() {
    on_each_shape(|shards| {
        let (ledger, cache, stuck) = stuck(shards);
        let (accepted, refused) = fill(&ledger, &cache);
        // Of several shards only one is stuck, and the others go on.
        let most = if shards == 1 { BACKLOG } else { ENOUGH as usize };
        assert!(accepted.len() <= most, "{} are accepted", accepted.len());
        assert!(accepted.iter().all(|key| cache.get(key).map(|value| value.id) == Some(*key)));
        assert_eq!(
            cache.get(&refused).map(|value| value.id),
            None,
            "what was refused is not there"
        );
        let mut ready = Polled::new(cache.ready());
        assert!(ready.is_pending(), "there is no room");
        stuck.release();
        ready.finish().expect("shards live");
        flush(&cache);
        assert!(
            accepted.iter().all(|key| cache.get(key).map(|value| value.id) == Some(*key)),
            "nothing is lost"
        );
        assert_eq!(cache.len(), accepted.len() as u64 + 1);
        assert!(cache.try_insert(refused, ledger.value(refused)).is_ok(), "there is room again");
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
    });
}

#[test]
fn ready_is_woken_when_there_is_room() {
    on_each_shape(|shards| {
        let (ledger, cache, stuck) = stuck(shards);
        let _ = fill(&ledger, &cache);
        let mut waiting: Vec<_> = (0..10).map(|_| Polled::new(cache.ready())).collect();
        assert!(waiting.iter_mut().all(Polled::is_pending));
        waiting.truncate(9);
        stuck.release();
        eventually("all are woken", || waiting.iter().all(|ready| ready.wakes() > 0));
        for ready in waiting {
            // Not `ready` at its first poll: it may have been woken by one shard of several.
            ready.finish().expect("shards live");
        }
    });
}

#[test]
fn ready_resolves_when_there_is_room() {
    on_each_shape(|shards| {
        let cache = builder::<u64, u64>(shards).build().expect("valid");
        for key in 0..100 {
            cache.ready().wait().expect("shards live");
            assert!(cache.try_insert(key, key).is_ok());
            pollster::block_on(cache.ready()).expect("shards live");
        }
    });
}

#[test]
fn a_write_waits_for_room_and_goes_through() {
    on_each_shape(|shards| {
        let (ledger, cache, stuck) = stuck(shards);
        let (accepted, refused) = fill(&ledger, &cache);
        let (begun, done) = (Gate::new(), Gate::new());
        thread::scope(|scope| {
            for writer in 0..4 {
                let (cache, ledger, begun, done) = (&cache, &ledger, &begun, &done);
                scope.spawn(move || {
                    begun.arrive();
                    if writer == 0 {
                        cache.insert(refused, ledger.value(refused));
                    }
                    for key in 0..200 {
                        let key = ENOUGH + writer * 1_000 + key;
                        cache.insert(key, ledger.value(key));
                    }
                    done.arrive();
                });
            }
            begun.wait_for(4);
            assert!(accepted.iter().all(|key| cache.get(key).is_some()), "readers do not wait");
            stuck.release();
            done.wait_for(4);
        });
        flush(&cache);
        assert_eq!(cache.len(), accepted.len() as u64 + 1 + 1 + 800);
        for key in (0..4).flat_map(|writer| (0..200).map(move |key| ENOUGH + writer * 1_000 + key))
        {
            assert_eq!(cache.get(&key).map(|value| value.id), Some(key));
        }
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
    });
}

#[test]
fn a_hot_key_is_bounded_too_and_keeps_its_last_write() {
    on_each_shape(|shards| {
        let (ledger, cache, stuck) = stuck(shards);
        let mut last = 0;
        let mut full = false;
        for id in 1..ENOUGH {
            let accepted = cache.try_insert(0, ledger.value(id));
            full = accepted.is_err();
            if full {
                break;
            }
            last = id;
            assert_eq!(cache.get(&0).map(|value| value.id), Some(id));
        }
        assert!(full, "one key cannot fill the memory");
        assert_eq!(cache.get(&0).map(|value| value.id), Some(last));
        stuck.release();
        flush(&cache);
        assert_eq!(cache.get(&0).map(|value| value.id), Some(last));
        thread::scope(|scope| {
            for writer in 1..=4u64 {
                let (cache, ledger) = (&cache, &ledger);
                scope.spawn(move || {
                    for round in 0..3_000 {
                        cache.insert(0, ledger.value(writer * 1_000_000 + round));
                    }
                });
            }
        });
        let winner = cache.get(&0).expect("stored").id;
        assert_eq!(winner % 1_000_000, 2_999, "some writer's last write");
        flush(&cache);
        assert_eq!((cache.get(&0).expect("stored").id, cache.len()), (winner, 1));
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
    });
}

#[test]
fn a_hot_key_makes_no_long_chain_however_large_the_backlog() {
    on_each_shape(|shards| {
        let (ledger, cache, stuck) = stuck_with(shards, ENOUGH as usize);
        let accepted = (1..ENOUGH).take_while(|id| cache.try_insert(0, ledger.value(*id)).is_ok());
        let accepted = accepted.last().expect("one at least");
        assert!(accepted < 1_000, "a reader of the slot would walk {accepted} links");
        assert_eq!(cache.get(&0).map(|value| value.id), Some(accepted));
        let mut others = ENOUGH..ENOUGH + 50;
        assert!(
            others.any(|key| cache.try_insert(key, ledger.value(1)).is_ok()),
            "other slots have room"
        );
        stuck.release();
        cache.insert(0, ledger.value(accepted + 1));
        flush(&cache);
        assert_eq!(cache.get(&0).map(|value| value.id), Some(accepted + 1));
    });
}

#[test]
fn removes_and_loads_get_through_a_full_backlog() {
    on_each_shape(|shards| {
        let (ledger, cache, stuck) = stuck(shards);
        let (accepted, _) = fill(&ledger, &cache);
        thread::scope(|scope| {
            let remover =
                scope.spawn(|| accepted.iter().filter(|key| cache.remove(*key).is_some()).count());
            let loader = scope.spawn(|| {
                (0..100)
                    .filter(|key| cache.get_or_load(&(ENOUGH + key), || ledger.value(5)).id == 5)
                    .count()
            });
            stuck.release();
            assert_eq!(remover.join().expect("no panic"), accepted.len());
            assert_eq!(loader.join().expect("no panic"), 100);
        });
        flush(&cache);
        assert_eq!(cache.len(), 101, "key 0 and the loaded ones");
    });
}

/// A key that shares its hash, and so its slot, with all others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Twin(u64);

impl Hash for Twin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        0_u64.hash(state);
    }
}

/// A load that is claimed while a deep chain is folded stands alone in its slot afterwards: it must not
/// pass for deep and keep writers out until it ends.
#[test]
fn a_load_that_was_claimed_during_a_fold_keeps_no_writer_out() {
    bounded(|| {
        let gates = [Gate::new(), Gate::new()];
        let weighed = gates.clone();
        let weigher = move |_: &Twin, value: &usize| {
            weighed.get(*value).into_iter().for_each(Gate::pass);
            1
        };
        let settings = CacheHandle::<Twin, usize>::builder().shards(1).max_capacity(100);
        let cache = settings.weigher(weigher).build().expect("valid");
        // While one fold stands in the weigher the chain for the next grows as deep as it may.
        cache.insert(Twin(0), 0);
        gates[0].wait_for(1);
        let deep = (0..100).take_while(|_| cache.try_insert(Twin(1), 1).is_ok()).count();
        assert!((8..100).contains(&deep), "a chain has a limit, {deep} are accepted");
        gates[0].open();
        gates[1].wait_for(1);
        // The next fold has taken it and stands: a load is claimed above.
        let (end, ended) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let mine = cache.clone();
        let leader = thread::spawn(move || {
            mine.get_or_load(&Twin(2), || {
                tell.send(()).expect("the test waits");
                ended.recv().expect("the test ends the load")
            })
        });
        told.recv().expect("the load has begun");
        gates[1].open();
        flush(&cache);
        // Refused at most once, by what the load said before it was looked at anew.
        if cache.try_insert(Twin(3), 7).is_err() {
            cache.ready().wait().expect("the shard lives");
            cache.try_insert(Twin(3), 7).expect("there is room");
        }
        cache.insert(Twin(4), 8);
        assert_eq!((cache.get(&Twin(3)), cache.get(&Twin(4))), (Some(7), Some(8)));
        end.send(9).expect("the load waits");
        assert_eq!(leader.join().expect("no panic"), 9);
    });
}
