//! Back-pressure: a full backlog holds writers up, loses nothing and is over when the shard goes on.

use crate::support::{
    Counted, Gate, Ledger, Polled, StuckShard, bounded, builder, eventually, flush, on_each_shape,
};
use cacheado::{CacheHandle, Reply};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
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

/// Whoever waits for room is told before the shard has folded all: the weigher, which a fold calls for each write,
/// sees it.
#[test]
fn ready_resolves_while_the_shard_folds() {
    const BACKLOG: usize = 256;
    type Asked = Arc<Mutex<Option<Polled<Reply<()>>>>>;
    let (asked, told) = (Asked::default(), Arc::new(Mutex::new(Vec::new())));
    let (gate, builder) = {
        let (asked, told) = (Arc::clone(&asked), Arc::clone(&told));
        StuckShard::prepare(builder::<u64, u64>(1).backlog(BACKLOG).weigher(move |_, _| {
            if let Some(ready) = asked.lock().expect("no poison").as_mut() {
                let mut told = told.lock().expect("no poison");
                // A future that is ready is not polled again.
                let is_told = told.last() == Some(&true) || !ready.is_pending();
                told.push(is_told);
            }
            1
        }))
    };
    let cache = builder.build().expect("valid");
    let stuck = StuckShard::hold(&cache, gate, 0, 0);
    let accepted = (1..).take_while(|&key| cache.try_insert(key, key).is_ok()).count();
    *asked.lock().expect("no poison") = Some(Polled::new(cache.ready()));
    stuck.release();
    flush(&cache);
    let told = std::mem::take(&mut *told.lock().expect("no poison"));
    assert_eq!(told.len(), accepted, "each is weighed once");
    let before = told.iter().filter(|is_told| !**is_told).count();
    assert!(before >= BACKLOG / 2, "told after {before}: there was little room");
    assert!(before < accepted, "told after all were folded");
}

/// What is asked for while a shard folds has its place after all that was written before, also to slots that the fold
/// has passed.
#[test]
fn what_is_asked_in_the_middle_of_a_fold_is_answered_after_it() {
    const MORE: u64 = 64;
    type Handle = Arc<Mutex<Option<CacheHandle<u64, u64>>>>;
    let (handle, asked) = (Handle::default(), Arc::new(Mutex::new(None)));
    let (gate, builder) = {
        let (handle, asked) = (Arc::clone(&handle), Arc::clone(&asked));
        let weighed = AtomicU64::new(0);
        StuckShard::prepare(builder::<u64, u64>(1).backlog(256).weigher(move |_, _| {
            let is_middle = weighed.fetch_add(1, Ordering::Relaxed) == 128;
            if let Some(cache) = handle.lock().expect("no poison").take_if(|_| is_middle) {
                (0..MORE).for_each(|key| cache.insert(u64::MAX - key, key));
                let replies = (Polled::new(cache.flush()), Polled::new(cache.clear()));
                *asked.lock().expect("no poison") = Some((replies, cache));
            } else if let Some(((flush, _), _)) = asked.lock().expect("no poison").as_mut() {
                assert!(flush.is_pending(), "there is more to be folded");
            }
            1
        }))
    };
    let cache = builder.build().expect("valid");
    let stuck = StuckShard::hold(&cache, gate, 0, 0);
    let accepted = (1..).take_while(|&key| cache.try_insert(key, key).is_ok()).count() as u64;
    *handle.lock().expect("no poison") = Some(cache.clone());
    stuck.release();
    flush(&cache);
    let ((flushed, cleared), _) = asked.lock().expect("no poison").take().expect("it was asked");
    flushed.finish().expect("shards live");
    assert_eq!(cleared.finish().expect("shards live"), 1 + accepted + MORE, "each is counted once");
    assert_eq!((cache.len(), cache.stats().panics()), (0, 0));
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
        let settings = CacheHandle::<Twin, usize>::builder().shards(1).max_capacity(10_000);
        let cache = settings.backlog(1_000).weigher(weigher).build().expect("valid");
        // While one fold stands in the weigher the chain for the next grows as deep as it may.
        cache.insert(Twin(0), 0);
        gates[0].wait_for(1);
        let deep = (0..1_000).take_while(|_| cache.try_insert(Twin(1), 1).is_ok()).count();
        assert!((200..300).contains(&deep), "a chain has a limit, {deep} are accepted");
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
