//! Scopes: made and ended under users, evicted under writers, readers and loads.

use super::rig::{Ledger, Rig, Tracked, audit, begun, later, poll, search, settle, turns};
use crate::scope::counts::BUSY;
use crate::scope::place::Inner;
use crate::{Reply, ScopedHandle};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

const CAPACITY: u64 = 8;

type Scope = ScopedHandle<u8, Tracked>;

fn organization(rig: &Rig<Tracked>) -> Scope {
    rig.cache.scope([("organization", "a")]).expect("a right path")
}

fn user(rig: &Rig<Tracked>) -> Scope {
    rig.cache.scope([("organization", "a"), ("user", "u")]).expect("a right path")
}

fn get(scope: &Scope, key: u8) -> Option<u32> {
    scope.read(&key, Tracked::number)
}

/// A write that bears its stamp, and is still to be submitted.
fn issued(scope: &Scope, key: u8, value: Tracked) -> impl FnOnce() {
    let (hash, shard, draft) = scope.front().draft(Inner(scope.node()), key, value, None);
    move || assert!(shard.offer(hash, draft).is_ok(), "there is room")
}

fn in_use(rig: &Rig<Tracked>) -> usize {
    rig.cache.scopes().wait().expect("at once").reports().len() - 1
}

/// The last user of a scope goes while another comes and writes: what that one has written stays, and the
/// scope with it.
pub fn a_scope_ends_under_no_user() {
    search("a_scope_ends_under_no_user", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let first = organization(&rig);
        let leaver = rig.spawn(move |_| drop(first));
        let books = ledger.clone();
        let comer = rig.spawn(move |rig| {
            let scope = organization(rig);
            scope.insert(1, books.value(10));
            assert_eq!(get(&scope, 1), Some(10), "its own write");
            drop(scope);
            assert_eq!(get(&organization(rig), 1), Some(10), "it is in the scope of that path");
        });
        let shard = turns(worker, 1);
        leaver.join().unwrap();
        comer.join().unwrap();
        let mut worker = shard.join().unwrap();
        settle(&mut worker, 2);
        assert_eq!(get(&organization(&rig), 1), Some(10), "nobody evicted it");
        audit(&rig, &mut worker, &ledger);
        assert_eq!((in_use(&rig), rig.cache.len()), (1, 1));
        drop(rig.cache.clear());
        settle(&mut worker, 4);
        assert_eq!(in_use(&rig), 0, "nothing is left of it");
        audit(&rig, &mut worker, &ledger);
    });
}

/// Two make the same scope at once, and its parent: they find each other's writes.
pub fn a_path_is_one_scope() {
    search("a_path_is_one_scope", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let makers = [1, 2].map(|key| {
            let books = ledger.clone();
            rig.spawn(move |rig| {
                let scope = user(rig);
                scope.insert(key, books.value(key.into()));
                scope
            })
        });
        let scopes = makers.map(|maker| maker.join().unwrap());
        for scope in &scopes {
            assert_eq!((get(scope, 1), get(scope, 2)), (Some(1), Some(2)));
        }
        assert_eq!(in_use(&rig), 2, "the scope and the one above it");
        drop(scopes);
        audit(&rig, &mut worker, &ledger);
        assert_eq!(in_use(&rig), 2, "they have entries");
    });
}

/// An eviction of a scope above, while its writer writes and the shard folds: who evicted sees nothing
/// older, whoever else sees nothing come back, and the count is that of what was there.
pub fn an_eviction_ends_what_was_issued_before() {
    search("an_eviction_ends_what_was_issued_before", 4, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let scope = user(&rig);
        scope.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        let (books, own) = (ledger.clone(), scope.clone());
        let writer = rig.spawn(move |_| own.insert(2, books.value(20)));
        let own = scope.clone();
        let evicter = rig.spawn(move |rig| {
            let reply = organization(rig).evict();
            assert_eq!(get(&own, 1), None, "it was there before");
            reply
        });
        let shard = turns(worker, 1);
        writer.join().unwrap();
        let reply = evicter.join().unwrap();
        let mut worker = shard.join().unwrap();
        settle(&mut worker, 3);
        let left = get(&scope, 2);
        assert_eq!(get(&scope, 1), None);
        let count = reply.wait().expect("the shard lives");
        assert!(matches!((count, left), (1, None | Some(20)) | (2, None)), "{count} {left:?}");
        audit(&rig, &mut worker, &ledger);
        assert_eq!(scope.len(), u64::from(left.is_some()));
    });
}

/// Who evicts what he has read gets it counted, though its writer may not have told the shard of it yet.
pub fn an_eviction_counts_what_was_read() {
    search("an_eviction_counts_what_was_read", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let scope = user(&rig);
        let (books, own) = (ledger.clone(), scope.clone());
        let writer = rig.spawn(move |_| own.insert(1, books.value(10)));
        let own = scope.clone();
        let evicter = rig.spawn(move |rig| (get(&own, 1), organization(rig).evict()));
        let shard = turns(worker, 1);
        writer.join().unwrap();
        let (read, reply) = evicter.join().unwrap();
        let mut worker = shard.join().unwrap();
        settle(&mut worker, 3);
        let count = reply.wait().expect("the shard lives");
        let left = get(&scope, 1);
        match read {
            Some(_) => assert_eq!((count, left), (1, None), "it was there"),
            None => assert!(count == 0 || left.is_none(), "{count} {left:?}"),
        }
        audit(&rig, &mut worker, &ledger);
    });
}

/// Of two evictions whose calls overlap, the second called after an entry of after the first was written, each counts the
/// entry that it ended, whichever of their commands came first.
pub fn each_eviction_counts_its_own() {
    search("each_eviction_counts_its_own", 2, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let scope = user(&rig);
        for key in [1, 2] {
            scope.insert(key, ledger.value(10));
        }
        settle(&mut worker, 1);
        let above = organization(&rig);
        let first = rig.spawn(move |_| above.evict());
        let second = get(&scope, 1).is_none().then(|| {
            scope.insert(1, ledger.value(11));
            scope.evict()
        });
        settle(&mut worker, 3);
        let first = first.join().unwrap();
        settle(&mut worker, 3);
        assert_eq!(first.wait().ok(), Some(2));
        if let Some(second) = second {
            assert_eq!(second.wait().ok(), Some(1));
        }
        audit(&rig, &mut worker, &ledger);
    });
}

/// A write that was issued between two evictions which overlap, and comes when the second is answered: the first, which
/// is not, does not count it either.
pub fn what_comes_late_is_not_counted() {
    search("what_comes_late_is_not_counted", 2, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let scope = user(&rig);
        let above = organization(&rig);
        let first = rig.spawn(move |_| above.evict());
        let submit = issued(&scope, 1, ledger.value(10));
        let mut second = Box::pin(scope.evict());
        settle(&mut worker, 1);
        let answer = second.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        submit();
        let first = first.join().unwrap();
        settle(&mut worker, 3);
        let is_late = answer.is_ready();
        let second = match answer {
            Poll::Ready(count) => count,
            Poll::Pending => Pin::into_inner(second).wait(),
        };
        let counts = [first.wait(), second].map(|count| count.expect("the shard lives"));
        assert_eq!(get(&scope, 1), None, "it was issued before");
        assert!(counts[0] + counts[1] <= u64::from(!is_late), "{counts:?} {is_late}");
        audit(&rig, &mut worker, &ledger);
    });
}

/// A key's value was replaced by one from after an eviction, that was removed and folded, and then comes what was
/// written before the eviction: the key is counted once.
pub fn a_key_is_counted_once() {
    search("a_key_is_counted_once", 2, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let scope = user(&rig);
        scope.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        let submit = issued(&scope, 1, ledger.value(12));
        let above = organization(&rig);
        let evicter = rig.spawn(move |_| above.evict());
        if get(&scope, 1).is_none() {
            scope.insert(1, ledger.value(11));
            settle(&mut worker, 1);
            drop(scope.remove(&1));
            settle(&mut worker, 1);
        }
        submit();
        settle(&mut worker, 1);
        let reply = evicter.join().unwrap();
        settle(&mut worker, 3);
        assert_eq!(reply.wait().ok(), Some(1), "the key had a value");
        audit(&rig, &mut worker, &ledger);
    });
}

/// The cache is full when a scope is evicted, and what was written to that before comes late: of the key that was there
/// at most one entry is counted.
pub fn a_full_cache_counts_an_eviction_once() {
    search("a_full_cache_counts_an_eviction_once", 2, || {
        let (rig, mut worker) = Rig::new(1);
        let ledger = Ledger::default();
        let scope = organization(&rig);
        scope.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        let submit = issued(&scope, 1, ledger.value(12));
        let own = scope.clone();
        let evicter = rig.spawn(move |_| own.evict());
        rig.cache.insert(2, ledger.value(20));
        settle(&mut worker, 1);
        assert!(rig.cache.len() <= 1, "it is no fuller than it may be");
        submit();
        settle(&mut worker, 1);
        let reply = evicter.join().unwrap();
        settle(&mut worker, 3);
        let count = reply.wait().expect("the shard lives");
        assert!(count <= 1, "{count} entries of one key");
        audit(&rig, &mut worker, &ledger);
    });
}

/// A reader that has the older view of a scope may see what was evicted, but not after it saw it gone.
pub fn an_evicted_entry_does_not_come_back() {
    search("an_evicted_entry_does_not_come_back", 4, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let scope = user(&rig);
        scope.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        let own = scope.clone();
        let reader = rig.spawn(move |_| {
            let seen = [get(&own, 1), get(&own, 1)];
            let order = |number| [Some(10), None, Some(11)].iter().position(|&n| n == number);
            assert!(order(seen[0]) <= order(seen[1]), "{seen:?}");
        });
        let (books, own) = (ledger.clone(), scope.clone());
        let evicter = rig.spawn(move |rig| {
            let reply = organization(rig).evict();
            own.insert(1, books.value(11));
            reply
        });
        let shard = turns(worker, 1);
        reader.join().unwrap();
        let reply = evicter.join().unwrap();
        let mut worker = shard.join().unwrap();
        settle(&mut worker, 3);
        assert_eq!((get(&scope, 1), reply.wait().ok()), (Some(11), Some(1)));
        audit(&rig, &mut worker, &ledger);
    });
}

/// A busy scope whose kept sum does not count the eviction of another: its entries are found all the same, and not
/// after its own eviction.
pub fn a_doubt_hides_nothing() {
    search("a_doubt_hides_nothing", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let scope = user(&rig);
        scope.insert(1, ledger.value(10));
        settle(&mut worker, 1);
        for _ in 0..=BUSY {
            assert_eq!(get(&scope, 1), Some(10));
        }
        settle(&mut worker, 1);
        let own = scope.clone();
        let reader = rig.spawn(move |rig| {
            assert_eq!([get(&own, 1), get(&own, 1)], [Some(10); 2], "nobody evicted it yet");
            let reply = organization(rig).evict();
            assert_eq!(get(&own, 1), None, "it is evicted");
            reply
        });
        let evicter = rig
            .spawn(|rig| rig.cache.scope([("organization", "b")]).expect("a right path").evict());
        let replies = [reader.join().unwrap(), evicter.join().unwrap()];
        settle(&mut worker, 3);
        assert_eq!(replies.map(|reply| reply.wait().ok()), [Some(1), Some(0)]);
        audit(&rig, &mut worker, &ledger);
    });
}

/// A load that begins after an eviction does not join one that began before, and that one's value is not
/// stored.
pub fn no_load_is_joined_across_an_eviction() {
    search("no_load_is_joined_across_an_eviction", 3, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let scope = user(&rig);
        let (books, own) = (ledger.clone(), scope.clone());
        let early = rig.spawn(move |_| own.get_or_load(&1, || books.value(10)).number());
        let (books, own) = (ledger.clone(), scope.clone());
        let evicter = rig.spawn(move |rig| evict_and_load(rig, &own, &books));
        assert!(matches!(early.join().unwrap(), 10 | 11));
        let (number, _) = evicter.join().unwrap();
        assert_eq!(get(&scope, 1), Some(number), "nothing evicts it again");
        audit(&rig, &mut worker, &ledger);
        assert_eq!(get(&scope, 1), Some(number), "nor does the shard");
    });
}

/// A load that is in flight when its scope is evicted, while the shard folds: its value is not stored, whenever it
/// ends, and a load that begins after the eviction does not join it.
pub fn no_load_outlives_an_eviction() {
    search("no_load_outlives_an_eviction", 4, || {
        let (rig, worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        let scope = user(&rig);
        let (books, own) = (ledger.clone(), scope.clone());
        let mut early = begun(async move {
            own.get_or_load_async(&1, later(move || books.value(10))).await.number()
        });
        let early = rig.spawn(move |_| assert_eq!(poll(&mut early), Poll::Ready(10)));
        let (books, own) = (ledger.clone(), scope.clone());
        let evicter = rig.spawn(move |rig| evict_and_load(rig, &own, &books));
        let shard = turns(worker, 1);
        early.join().unwrap();
        let (number, reply) = evicter.join().unwrap();
        assert_eq!(number, 11, "the other began before");
        assert_eq!(get(&scope, 1), Some(11), "nothing evicts it again");
        audit(&rig, &mut shard.join().unwrap(), &ledger);
        assert_eq!(get(&scope, 1), Some(11), "nor does the shard");
        let count = reply.wait().expect("the shard lives");
        assert_eq!(
            count,
            rig.cache.stats().invalidations(),
            "one that ends too late is not booked"
        );
    });
}

/// Evicts the organization, then loads 11, unless another has loaded since; says what, and what is to be counted.
fn evict_and_load(rig: &Rig<Tracked>, scope: &Scope, books: &Ledger) -> (u32, Reply<u64>) {
    let reply = organization(rig).evict();
    let loaded = Cell::new(false);
    let value = scope.get_or_load(&1, || {
        loaded.set(true);
        books.value(11)
    });
    assert_eq!(value.number() == 11, loaded.get());
    (value.number(), reply)
}

/// Two make scopes of different paths while a third one ends: no two of them have the same number, which
/// would let one see what is the other's.
pub fn a_number_has_one_owner() {
    search("a_number_has_one_owner", 4, || {
        let (rig, mut worker) = Rig::new(CAPACITY);
        let ledger = Ledger::default();
        drop(organization(&rig));
        let makers = [1, 2].map(|id: u8| {
            let books = ledger.clone();
            rig.spawn(move |rig| {
                let scope = rig.cache.scope([("organization", id)]).expect("a right path");
                scope.insert(0, books.value(id.into()));
                scope
            })
        });
        let shard = rig.spawn(move |_| {
            settle(&mut worker, 1);
            worker
        });
        let scopes = makers.map(|maker| maker.join().unwrap());
        let mut worker = shard.join().unwrap();
        for (scope, id) in scopes.iter().zip([1, 2]) {
            assert_eq!(get(scope, 0), Some(id));
        }
        settle(&mut worker, 1);
        for (scope, id) in scopes.iter().zip([1, 2]) {
            assert_eq!((get(scope, 0), scope.len()), (Some(id), 1));
        }
        drop(scopes);
        audit(&rig, &mut worker, &ledger);
    });
}
