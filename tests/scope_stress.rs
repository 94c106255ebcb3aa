//! Storms of evictions at all levels while others read, write and load: no value of another scope, none
//! older than an eviction that had returned before the read began, and no entry counted twice.

use crate::support::{builder, eventually, flush, on_each_shape};
use cacheado::{CacheHandle, ScopedHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const ORGANIZATIONS: u64 = 2;
const USERS: u64 = 3;
const KEYS: u64 = 6;

/// Says whose it is, and a time on the one clock of all threads by which it had been issued: that is known once
/// its write has returned, or within its loader.
#[derive(Clone, Debug)]
struct Value {
    organization: u64,
    user: u64,
    key: u64,
    issued: Arc<AtomicU64>,
}

const NOT_YET: u64 = u64::MAX;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// For each organization, and each user of it, the time at which it was last evicted: taken before the
/// eviction began, known to others after it has returned.
struct Evicted {
    time: AtomicU64,
    all: AtomicU64,
    organizations: [AtomicU64; ORGANIZATIONS as usize],
    users: [[AtomicU64; USERS as usize]; ORGANIZATIONS as usize],
}

impl Evicted {
    fn now(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    fn floor(&self, organization: u64, user: u64) -> u64 {
        let organization = organization as usize;
        let user = &self.users[organization][user as usize];
        let cells = [&self.all, &self.organizations[organization], user];
        cells.map(|cell| cell.load(Ordering::SeqCst)).into_iter().max().unwrap_or(0)
    }
}

fn scope(
    cache: &CacheHandle<u64, Value>,
    organization: u64,
    user: u64,
) -> ScopedHandle<u64, Value> {
    cache.scope([("organization", organization), ("user", user)]).expect("a right path")
}

fn storm(cache: &CacheHandle<u64, Value>, evicted: &Evicted, seed: u64, rounds: u64) -> u64 {
    let mut dice = Dice(seed);
    let mut counted = 0;
    for _ in 0..rounds {
        let (organization, user, key) =
            (dice.roll(ORGANIZATIONS), dice.roll(USERS), dice.roll(KEYS));
        let own = scope(cache, organization, user);
        let floor = evicted.floor(organization, user);
        let value = |issued| {
            let issued = Arc::new(AtomicU64::new(issued));
            Value { organization, user, key, issued }
        };
        let check = |seen: Option<Value>| {
            let Some(seen) = seen else { return };
            assert_eq!((seen.organization, seen.user, seen.key), (organization, user, key));
            let issued = seen.issued.load(Ordering::SeqCst);
            assert!(issued >= floor, "{seen:?} was evicted at {floor}");
        };
        match dice.roll(400) {
            0 => {
                let time = evicted.now();
                let reply = own.evict();
                let cell = &evicted.users[organization as usize][user as usize];
                cell.fetch_max(time, Ordering::SeqCst);
                counted += reply.wait().expect("shards live");
            }
            1 => {
                let time = evicted.now();
                let path = [("organization", organization)];
                let reply = cache.evict_scope(path).expect("a right path");
                evicted.organizations[organization as usize].fetch_max(time, Ordering::SeqCst);
                counted += reply.wait().expect("shards live");
            }
            2 => {
                let time = evicted.now();
                let reply = cache.clear();
                evicted.all.fetch_max(time, Ordering::SeqCst);
                counted += reply.wait().expect("shards live");
            }
            3..60 => {
                let value = value(NOT_YET);
                let issued = Arc::clone(&value.issued);
                own.insert(key, value);
                issued.store(evicted.now(), Ordering::SeqCst);
            }
            60..80 => check(own.remove(&key)),
            80..120 => check(Some(own.get_or_load(&key, || value(evicted.now())))),
            120..140 => check(own.pin().get(&key).cloned()),
            _ => check(own.get(&key)),
        }
    }
    counted
}

#[test]
fn nothing_evicted_is_seen_and_nothing_of_another_scope() {
    on_each_shape(|shards| {
        let cache: CacheHandle<u64, Value> = builder(shards).backlog(256).build().expect("valid");
        let evicted = Evicted {
            time: AtomicU64::new(1),
            all: AtomicU64::new(0),
            organizations: Default::default(),
            users: Default::default(),
        };
        let counted: u64 = thread::scope(|threads| {
            let seeds = [0x9E37_79B9, 0x7F4A_7C15, 0x85EB_CA6B, 0xC2B2_AE35];
            let (cache, evicted) = (&cache, &evicted);
            let run = |seed| threads.spawn(move || storm(cache, evicted, seed, 60_000));
            let storms: Vec<_> = seeds.map(run).into();
            storms.into_iter().map(|storm| storm.join().expect("no panic")).sum()
        });
        flush(&cache);
        let stats = cache.stats();
        let left = stats.evictions() + stats.expirations() + stats.invalidations();
        assert_eq!(stats.insertions() - left, stats.len(), "{stats:?}");
        assert!(counted > 0 && counted <= stats.invalidations(), "{counted} of {stats:?}");
        let rest = cache.clear().wait().expect("shards live");
        assert_eq!(rest, stats.len(), "what is there is what is counted");
        eventually("no scope is left", || {
            cache.scopes().wait().expect("at once").reports().len() == 1
        });
    });
}
