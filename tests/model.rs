//! The cache against a slow, obvious oracle: random histories of all verbs, under a clock moved by hand.

use crate::support::{Told, bounded, builder, eventually, flush, ms, timed};
use cacheado::testing::ManualClock;
use cacheado::{CacheHandle, RemovalCause};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
enum Op {
    Insert { key: u8, weight: u32 },
    TryInsert { key: u8, weight: u32 },
    InsertWithTtl { key: u8, units: u32 },
    Remove { key: u8 },
    Get { key: u8 },
    Read { key: u8 },
    Pin { key: u8 },
    Peek { key: u8 },
    Contains { key: u8 },
    Load { key: u8 },
    LoadAsync { key: u8 },
    FailToLoad { key: u8 },
    FailToLoadAsync { key: u8 },
    Advance { units: u32 },
    Clear,
    Flush,
    Entries,
}

fn ops(keys: u8) -> impl Strategy<Value = Vec<Op>> {
    let (key, weight) = (|| 0..keys, || 1..12u32);
    let op = prop_oneof![
        8 => (key(), weight()).prop_map(|(key, weight)| Op::Insert { key, weight }),
        2 => (key(), weight()).prop_map(|(key, weight)| Op::TryInsert { key, weight }),
        4 => (key(), 0..8u32).prop_map(|(key, units)| Op::InsertWithTtl { key, units }),
        4 => key().prop_map(|key| Op::Remove { key }),
        5 => key().prop_map(|key| Op::Get { key }),
        2 => key().prop_map(|key| Op::Read { key }),
        2 => key().prop_map(|key| Op::Pin { key }),
        2 => key().prop_map(|key| Op::Peek { key }),
        2 => key().prop_map(|key| Op::Contains { key }),
        3 => key().prop_map(|key| Op::Load { key }),
        2 => key().prop_map(|key| Op::LoadAsync { key }),
        1 => key().prop_map(|key| Op::FailToLoad { key }),
        1 => key().prop_map(|key| Op::FailToLoadAsync { key }),
        4 => (1..4u32).prop_map(|units| Op::Advance { units }),
        1 => Just(Op::Clear),
        3 => Just(Op::Flush),
        1 => Just(Op::Entries),
    ];
    vec(op, 1..150)
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    shards: usize,
    ttl: Option<u32>,
    tti: Option<u32>,
    /// What the weights may sum up to; without it every entry weighs one and there is room for all.
    capacity: Option<u64>,
}

fn settings(capacity: impl Strategy<Value = Option<u64>>) -> impl Strategy<Value = Settings> {
    let shards = prop_oneof![Just(1), Just(4)];
    let spans = (prop::option::of(4..9u32), prop::option::of(1..4u32));
    (shards, spans, capacity).prop_map(|(shards, (ttl, tti), capacity)| Settings {
        shards,
        ttl,
        tti,
        capacity,
    })
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
    cache: CacheHandle<u8, Value>,
    clock: ManualClock,
    told: Told<u8, Value>,
    known: BTreeMap<u8, Known>,
    /// Keys whose entries may still be there, if only because nobody has noticed that they expired.
    held: BTreeSet<u8>,
    now: u64,
    written: u64,
    hits: u64,
    misses: u64,
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
        if let Some(capacity) = settings.capacity {
            builder = builder.max_capacity(capacity).weigher(|_, value: &Value| value.1);
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
        }
    }

    fn is_live(&self, known: &Known) -> bool {
        let idle = self.settings.tti.map_or(u64::MAX, |units| known.used + u64::from(units));
        known.dies.min(idle) > self.now
    }

    fn live(&self) -> BTreeMap<u8, Value> {
        let live = self.known.iter().filter(|(_, known)| self.is_live(known));
        live.map(|(key, known)| (*key, known.value)).collect()
    }

    fn fresh(&mut self, weight: u32) -> Value {
        self.written += 1;
        (self.written, weight)
    }

    fn store(&mut self, key: u8, value: Value, ttl: Option<u32>) {
        let dies = ttl.map_or(u64::MAX, |units| self.now + u64::from(units));
        self.known.insert(key, Known { value, dies, used: self.now });
        self.held.insert(key);
    }

    /// Judges what the cache said of a key. Where entries may be evicted "absent" is always possible,
    /// and is then true until the next write.
    fn judge(&mut self, key: u8, seen: Option<Value>) {
        let expected =
            self.known.get(&key).filter(|known| self.is_live(known)).map(|known| known.value);
        if self.may_evict() && seen.is_none() {
            self.known.remove(&key);
        } else {
            assert_eq!(seen, expected, "key {key}");
        }
    }

    /// The same for a verb that counts, and that keeps the entry from idling.
    fn judge_use(&mut self, key: u8, seen: Option<Value>) {
        self.judge(key, seen);
        *(if seen.is_some() { &mut self.hits } else { &mut self.misses }) += 1;
        let now = self.now;
        if let Some(known) = self.known.get_mut(&key).filter(|_| seen.is_some()) {
            known.used = now;
        }
    }

    fn loaded(&mut self, key: u8, made: Value, got: Value) {
        if got == made {
            self.judge_use(key, None);
            self.store(key, made, self.settings.ttl);
        } else {
            self.judge_use(key, Some(got));
        }
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
            }
            Op::Get { key } => self.judge_use(key, self.cache.get(&key)),
            Op::Read { key } => self.judge_use(key, self.cache.read(&key, |value| *value)),
            Op::Pin { key } => self.judge_use(key, self.cache.pin().get(&key).copied()),
            Op::Peek { key } => self.judge(key, self.cache.peek(&key)),
            Op::Contains { key } => {
                let value = self.known.get(&key).map(|known| known.value);
                let contained = self.cache.contains_key(&key);
                assert!(!contained || value.is_some(), "key {key} was never written");
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
            }
            Op::Flush => {
                flush(&self.cache);
                self.judge_len(self.cache.len());
                assert!(self.cache.weight() <= self.cache.max_capacity());
            }
            Op::Entries => self.judge_entries(),
        }
    }

    fn load(&mut self, op: Op) {
        match op {
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
                self.judge_use(key, self.cache.try_get_or_load(&key, || Err(())).ok())
            }
            Op::FailToLoadAsync { key } => {
                let load = self.cache.try_get_or_load_async(&key, async { Err(()) });
                self.judge_use(key, pollster::block_on(load).ok());
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
        flush(&self.cache);
        for key in 0..=u8::MAX {
            self.judge(key, self.cache.peek(&key));
        }
        let live = self.live();
        eventually("what expired leaves", || self.cache.len() == live.len() as u64);
        flush(&self.cache);
        let (stats, departed) = (self.cache.stats(), self.told.take());
        assert_eq!((stats.hits(), stats.misses()), (self.hits, self.misses), "{stats}");
        let weight: u64 = live.values().map(|value| u64::from(value.1)).sum();
        let weight = if self.may_evict() { weight } else { live.len() as u64 };
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
    }
}

fn run(settings: Settings, ops: Vec<Op>) {
    bounded(move || {
        let mut model = Model::new(settings);
        ops.into_iter().for_each(|op| model.step(op));
        model.settle();
    });
}

#[derive(Clone, Copy, Debug)]
enum Use {
    Insert { key: u8 },
    Get { key: u8 },
    Peek { key: u8 },
    Remove { key: u8 },
}

fn uses() -> impl Strategy<Value = Vec<Use>> {
    let key = || 0..24u8;
    let one = prop_oneof![
        5 => key().prop_map(|key| Use::Insert { key }),
        5 => key().prop_map(|key| Use::Get { key }),
        1 => key().prop_map(|key| Use::Peek { key }),
        1 => key().prop_map(|key| Use::Remove { key }),
    ];
    vec(one, 1..200)
}

/// Ticks for which the order of uses is kept; what is older is old.
const REMEMBERED: u64 = 30;

/// One shard, folded after each step: a victim's latest use may be at most one tick, that is one
/// insertion, more recent than the oldest latest use that is remembered.
fn run_lru(capacity: u64, uses: Vec<Use>) {
    let cache = builder::<u8, u64>(1).max_capacity(capacity).build().expect("valid settings");
    let mut used: BTreeMap<u8, u64> = BTreeMap::new();
    let mut writes = 0;
    for (at, one) in uses.into_iter().enumerate() {
        match one {
            Use::Insert { key } => {
                writes += 1;
                cache.insert(key, writes);
                used.insert(key, writes);
            }
            Use::Get { key } => {
                assert_eq!(cache.get(&key).is_some(), used.contains_key(&key), "step {at}");
                used.entry(key).and_modify(|tick| *tick = writes);
            }
            Use::Peek { key } => {
                assert_eq!(cache.peek(&key).is_some(), used.contains_key(&key), "step {at}")
            }
            Use::Remove { key } => {
                assert_eq!(cache.remove(&key).is_some(), used.remove(&key).is_some(), "step {at}")
            }
        }
        flush(&cache);
        let evicted: Vec<u8> =
            used.keys().copied().filter(|key| !cache.contains_key(key)).collect();
        let surplus = (used.len() as u64).saturating_sub(capacity);
        assert_eq!(evicted.len() as u64, surplus, "step {at}: nobody leaves without need");
        let oldest = used.values().copied().min();
        for key in evicted {
            let tick = used.remove(&key);
            let old = oldest.map(|oldest| (oldest + 1).max(writes.saturating_sub(REMEMBERED)));
            assert!(tick <= old, "step {at}: {key} of {tick:?} left before {oldest:?}");
        }
    }
}

fn config() -> ProptestConfig {
    // A case that hangs takes the watchdog's time, so the search for a smaller one must end.
    ProptestConfig {
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn with_room_for_all_it_is_a_map_with_deadlines(settings in settings(Just(None)), ops in ops(6)) {
        run(settings, ops);
    }

    #[test]
    fn under_pressure_it_answers_the_last_write_or_nothing(
        settings in settings((1..60u64).prop_map(Some)),
        ops in ops(20),
    ) {
        run(settings, ops);
    }

    #[test]
    fn the_least_recently_used_leave_first(capacity in 1..16u64, uses in uses()) {
        bounded(move || run_lru(capacity, uses));
    }
}
