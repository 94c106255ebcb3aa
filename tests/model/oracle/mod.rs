//! A slow, obvious oracle of the cache: every operation is done to both and each answer is judged.
//!
//! Driven by the property tests of [`model`](super) and by `fuzz/`.

use crate::support::{Told, eventually, flush, ms, timed};
use cacheado::testing::ManualClock;
use cacheado::{CacheHandle, RemovalCause};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

mod flights;

use flights::Flight;

/// Does all of `ops` to a cache with these settings and judges every answer, and the end.
pub(crate) fn run(settings: Settings, ops: &[Op]) {
    let mut model = Model::new(settings);
    model.steps(ops);
    model.settle();
}

/// A key. The even ones all have one hash: they share a chain and a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) u8);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(if self.0 % 2 == 0 { 0 } else { self.0 });
    }
}

/// More than there are keys.
const ROOM_FOR_ALL: u64 = 1_000;

/// A unit of model time: far longer than the resolution of the timers.
const UNIT: Duration = ms(10);

/// A life of so many units. It ends between two moments of model time, so that whatever has expired
/// did so longer ago than the timers' resolution.
fn span(units: u32) -> Duration {
    (UNIT * units).saturating_sub(UNIT / 2)
}

/// A value: a number that no other value has, and what it weighs.
type Value = (u64, u32);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Insert {
        key: Key,
        weight: u32,
    },
    TryInsert {
        key: Key,
        weight: u32,
    },
    InsertWithTtl {
        key: Key,
        units: u32,
    },
    Remove {
        key: Key,
    },
    Get {
        key: Key,
    },
    Read {
        key: Key,
    },
    Pin {
        key: Key,
    },
    Peek {
        key: Key,
    },
    Contains {
        key: Key,
    },
    Load {
        key: Key,
    },
    LoadAsync {
        key: Key,
    },
    FailToLoad {
        key: Key,
    },
    FailToLoadAsync {
        key: Key,
    },
    /// An async load whose loader waits until one of the three below ends it; or one that waits for
    /// such a load.
    Begin {
        key: Key,
    },
    Deliver {
        pick: u8,
        weight: u32,
    },
    Fail {
        pick: u8,
    },
    Cancel {
        pick: u8,
    },
    /// Polls one of the loads that were begun.
    Poll {
        pick: u8,
    },
    /// The next steps are done while a value is held by reference.
    Hold {
        key: Key,
        steps: u8,
    },
    /// Another handle takes the place of the one in use.
    Clone,
    Advance {
        units: u32,
    },
    Clear,
    Flush,
    Entries,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) shards: usize,
    pub(crate) backlog: Option<usize>,
    pub(crate) ttl: Option<u32>,
    pub(crate) tti: Option<u32>,
    /// What the weights may sum up to; without it every entry weighs one and there is room for all.
    pub(crate) capacity: Option<u64>,
    /// Whether entries weigh what their values say, if there is a capacity, or one each.
    pub(crate) weighed: bool,
}

/// What the oracle knows of a key that was written and not removed since.
#[derive(Clone, Copy, Debug)]
struct Known {
    value: Value,
    dies: u64,
    used: u64,
}

struct Model {
    settings: Settings,
    cache: CacheHandle<Key, Value>,
    clock: ManualClock,
    told: Told<Key, Value>,
    known: BTreeMap<Key, Known>,
    /// Keys whose entries may still be there, if only because nobody has noticed that they expired.
    held: BTreeSet<Key>,
    now: u64,
    written: u64,
    hits: u64,
    misses: u64,
    loads: u64,
    load_failures: u64,
    /// Loads that were begun and have not ended.
    flights: Vec<Flight>,
    begun: u64,
}

impl Model {
    fn new(settings: Settings) -> Self {
        let told = Told::new();
        let (clock, mut builder) = timed(settings.shards);
        if let Some(units) = settings.ttl {
            builder = builder.time_to_live(span(units));
        }
        if let Some(units) = settings.tti {
            builder = builder.time_to_idle(span(units));
        }
        if let Some(backlog) = settings.backlog {
            builder = builder.backlog(backlog);
        }
        builder = builder.max_capacity(settings.capacity.unwrap_or(ROOM_FOR_ALL));
        if settings.capacity.is_some() && settings.weighed {
            builder = builder.weigher(|_, value: &Value| value.1);
        }
        let cache = told.listen(builder).build().expect("valid settings");
        Self {
            settings,
            cache,
            clock,
            told,
            known: BTreeMap::new(),
            held: BTreeSet::new(),
            now: 0,
            written: 0,
            hits: 0,
            misses: 0,
            loads: 0,
            load_failures: 0,
            flights: Vec::new(),
            begun: 0,
        }
    }

    fn is_live(&self, known: &Known) -> bool {
        let idle = self.settings.tti.map_or(u64::MAX, |units| known.used + u64::from(units));
        known.dies.min(idle) > self.now
    }

    fn live(&self) -> BTreeMap<Key, Value> {
        let live = self.known.iter().filter(|(_, known)| self.is_live(known));
        live.map(|(key, known)| (*key, known.value)).collect()
    }

    fn fresh(&mut self, weight: u32) -> Value {
        self.written += 1;
        (self.written, weight)
    }

    fn store(&mut self, key: Key, value: Value, ttl: Option<u32>) {
        let dies = ttl.map_or(u64::MAX, |units| self.now + u64::from(units));
        self.known.insert(key, Known { value, dies, used: self.now });
        self.held.insert(key);
        self.override_loads(|loaded| loaded == key);
    }

    /// Judges what the cache said of a key. Where entries may be evicted "absent" is always possible,
    /// and is then true until the next write.
    fn judge(&mut self, key: Key, seen: Option<Value>) {
        let expected =
            self.known.get(&key).filter(|known| self.is_live(known)).map(|known| known.value);
        if self.may_evict() && seen.is_none() {
            self.known.remove(&key);
        } else {
            assert_eq!(seen, expected, "key {key:?}");
        }
    }

    /// The same for a verb that counts, and that keeps the entry from idling.
    fn judge_use(&mut self, key: Key, seen: Option<Value>) {
        self.judge(key, seen);
        *(if seen.is_some() { &mut self.hits } else { &mut self.misses }) += 1;
        let now = self.now;
        if let Some(known) = self.known.get_mut(&key).filter(|_| seen.is_some()) {
            known.used = now;
        }
    }

    fn failed(&mut self, key: Key, seen: Option<Value>) {
        self.loads += u64::from(seen.is_none());
        self.load_failures += u64::from(seen.is_none());
        self.judge_use(key, seen);
    }

    fn loaded(&mut self, key: Key, made: Value, got: Value) {
        if got == made {
            self.loads += 1;
            self.judge_use(key, None);
            self.store(key, made, self.settings.ttl);
        } else {
            self.judge_use(key, Some(got));
        }
    }

    fn steps(&mut self, ops: &[Op]) {
        let mut left = ops;
        while let [op, rest @ ..] = left {
            left = match *op {
                Op::Hold { key, steps } => {
                    let (held, rest) = rest.split_at(rest.len().min(steps.into()));
                    self.hold(key, held);
                    rest
                }
                op => {
                    self.step(op);
                    rest
                }
            };
        }
    }

    /// What is held by reference stays what it is, whatever happens to its entry.
    fn hold(&mut self, key: Key, ops: &[Op]) {
        let cache = self.cache.clone();
        let view = cache.pin();
        let seen = view.get(&key);
        let copy = seen.copied();
        self.judge_use(key, copy);
        self.steps(ops);
        assert_eq!(seen.copied(), copy, "key {key:?}, held by reference");
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Insert { key, weight } => {
                let value = self.fresh(weight);
                self.cache.insert(key, value);
                self.store(key, value, self.settings.ttl);
            }
            Op::TryInsert { key, weight } => {
                let value = self.fresh(weight);
                match self.cache.try_insert(key, value) {
                    Ok(()) => self.store(key, value, self.settings.ttl),
                    Err(error) => assert!(error.is_full()),
                }
            }
            Op::InsertWithTtl { key, units } => {
                let value = self.fresh(1);
                self.cache.insert_with_ttl(key, value, span(units));
                self.store(key, value, Some(units));
            }
            Op::Remove { key } => {
                let seen = self.cache.remove(&key);
                self.judge(key, seen);
                self.known.remove(&key);
                self.override_loads(|loaded| loaded == key);
            }
            Op::Get { key } => self.judge_use(key, self.cache.get(&key)),
            Op::Read { key } => self.judge_use(key, self.cache.read(&key, |value| *value)),
            Op::Pin { key } => self.judge_use(key, self.cache.pin().get(&key).copied()),
            Op::Peek { key } => self.judge(key, self.cache.peek(&key)),
            Op::Contains { key } => {
                let value = self.known.get(&key).map(|known| known.value);
                let contained = self.cache.contains_key(&key);
                assert!(!contained || value.is_some(), "key {key:?} was never written");
                self.judge(key, value.filter(|_| contained));
            }
            Op::Load { .. }
            | Op::LoadAsync { .. }
            | Op::FailToLoad { .. }
            | Op::FailToLoadAsync { .. } => self.load(op),
            Op::Advance { units } => {
                self.clock.advance(UNIT * units);
                self.now += u64::from(units);
            }
            Op::Clear => {
                let cleared = self.cache.clear().wait().expect("shards live");
                self.judge_cleared(cleared);
                self.known.clear();
                self.override_loads(|_| true);
            }
            Op::Flush => {
                flush(&self.cache);
                self.judge_len(self.cache.len());
                assert!(self.cache.weight() <= self.cache.max_capacity());
            }
            Op::Entries => self.judge_entries(),
            Op::Clone => self.cache = self.cache.clone(),
            Op::Hold { .. } => unreachable!("done with the steps that it holds for"),
            Op::Begin { .. }
            | Op::Deliver { .. }
            | Op::Fail { .. }
            | Op::Cancel { .. }
            | Op::Poll { .. } => self.fly(op),
        }
    }

    fn load(&mut self, op: Op) {
        match op {
            // Its leader is on this very thread: whoever blocks waits for ever.
            Op::Load { key }
            | Op::LoadAsync { key }
            | Op::FailToLoad { key }
            | Op::FailToLoadAsync { key }
                if self.leader_of(key).is_some() => {}
            Op::Load { key } => {
                let made = self.fresh(1);
                let got = self.cache.get_or_load(&key, || made);
                self.loaded(key, made, got);
            }
            Op::LoadAsync { key } => {
                let made = self.fresh(1);
                let got = pollster::block_on(self.cache.get_or_load_async(&key, async { made }));
                self.loaded(key, made, got);
            }
            Op::FailToLoad { key } => {
                let seen = self.cache.try_get_or_load(&key, || Err(())).ok();
                self.failed(key, seen);
            }
            Op::FailToLoadAsync { key } => {
                let load = self.cache.try_get_or_load_async(&key, async { Err(()) });
                let seen = pollster::block_on(load).ok();
                self.failed(key, seen);
            }
            _ => unreachable!("not a load: {op:?}"),
        }
    }

    /// How many entries there are once all is folded: those that live, or fewer where entries may be
    /// evicted.
    fn judge_len(&mut self, len: u64) {
        let live = self.live();
        assert!(len <= live.len() as u64, "{len} of {live:?}");
        assert!(self.may_evict() || len == live.len() as u64, "{len} of {live:?}");
        self.held = live.into_keys().collect();
    }

    /// How many entries a clear removed: those that live, and whatever of the expired was still there.
    fn judge_cleared(&mut self, cleared: u64) {
        let (live, held) = (self.live(), std::mem::take(&mut self.held));
        assert!(cleared <= held.len() as u64, "{cleared} of {held:?}");
        assert!(self.may_evict() || cleared >= live.len() as u64, "{cleared} of {live:?}");
    }

    fn may_evict(&self) -> bool {
        self.settings.capacity.is_some()
    }

    fn weighs(&self) -> bool {
        self.may_evict() && self.settings.weighed
    }

    fn judge_entries(&mut self) {
        let pairs = self.cache.entries().wait().expect("shards live");
        let (count, pairs) = (pairs.len(), pairs.into_iter().collect::<BTreeMap<_, _>>());
        assert_eq!(count, pairs.len(), "no key twice");
        let live = self.live();
        if !self.may_evict() {
            assert_eq!(pairs, live);
        } else {
            assert!(
                pairs.iter().all(|(key, value)| live.get(key) == Some(value)),
                "{pairs:?} of {live:?}"
            );
            self.known.retain(|key, _| pairs.contains_key(key));
        }
    }

    /// What must hold when everything is folded and everything due has expired.
    fn settle(mut self) {
        self.end_flights();
        flush(&self.cache);
        for key in (0..=u8::MAX).map(Key) {
            self.judge(key, self.cache.peek(&key));
        }
        let live = self.live();
        eventually("what expired leaves", || self.cache.len() == live.len() as u64);
        flush(&self.cache);
        let (stats, departed) = (self.cache.stats(), self.told.take());
        assert_eq!((stats.hits(), stats.misses()), (self.hits, self.misses), "{stats}");
        assert_eq!((stats.loads(), stats.load_failures()), (self.loads, self.load_failures));
        let weight: u64 = live.values().map(|value| u64::from(value.1)).sum();
        let weight = if self.weighs() { weight } else { live.len() as u64 };
        assert_eq!((self.cache.weight(), stats.weight()), (weight, weight));
        let numbers: BTreeSet<u64> = departed.iter().map(|(_, value, _)| value.0).collect();
        assert_eq!(numbers.len(), departed.len(), "no departure is told twice");
        assert!(
            live.values().all(|value| !numbers.contains(&value.0)),
            "what lives has not departed"
        );
        let count = |cause| departed.iter().filter(|departure| departure.2 == cause).count() as u64;
        assert_eq!(count(RemovalCause::Expired), stats.expirations(), "{stats}");
        let invalidations = count(RemovalCause::Removed) + count(RemovalCause::Scope);
        assert_eq!(invalidations, stats.invalidations(), "{stats}");
        assert_eq!(count(RemovalCause::Capacity), stats.evictions() + stats.rejected(), "{stats}");
        let stored = stats.insertions() + stats.updates() + stats.rejected();
        assert_eq!(departed.len() as u64 + self.cache.len(), stored, "{stats}");
        let left = stats.evictions() + stats.expirations() + stats.invalidations();
        assert_eq!(stats.insertions() - left, stats.len(), "{stats:?}");
        assert_eq!(stats.panics(), 0);
    }
}
