//! The cache against a slow, obvious oracle: random histories of all verbs, under a clock moved by hand.

mod oracle;

use crate::support::{bounded, builder, flush};
use oracle::{Key, Op, Settings};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn ops(keys: u8) -> impl Strategy<Value = Vec<Op>> {
    let (key, weight) = (|| (0..keys).prop_map(Key), || 1..12u32);
    let pick = any::<u8>;
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
        6 => key().prop_map(|key| Op::Begin { key }),
        4 => (pick(), weight()).prop_map(|(pick, weight)| Op::Deliver { pick, weight }),
        1 => pick().prop_map(|pick| Op::Fail { pick }),
        1 => pick().prop_map(|pick| Op::Cancel { pick }),
        4 => pick().prop_map(|pick| Op::Poll { pick }),
        1 => (key(), 0..30u8).prop_map(|(key, steps)| Op::Hold { key, steps }),
        1 => Just(Op::Clone),
    ];
    vec(op, 1..150)
}

fn settings(capacity: impl Strategy<Value = Option<u64>>) -> impl Strategy<Value = Settings> {
    let shape = (1..=4usize, prop::option::of(1..40usize), any::<bool>());
    let spans = (prop::option::of(4..9u32), prop::option::of(1..4u32));
    (shape, spans, capacity).prop_map(|((shards, backlog, weighed), (ttl, tti), capacity)| {
        Settings { shards, backlog, ttl, tti, capacity, weighed }
    })
}

fn run(settings: Settings, ops: Vec<Op>) {
    bounded(move || oracle::run(settings, &ops));
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
