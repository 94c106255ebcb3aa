//! Unit tests of the store: random operations against a slow oracle, and what the oracle cannot
//! say.

mod expiry;
mod memory;
mod order;

use proptest::prelude::*;

use super::Store;
use super::oracle::{self, Cells, Op, Probe};
use super::wheel::TICK;

/// Times around every level of the wheel and beyond its horizon.
fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        0..3 * TICK,
        0..200 * TICK,
        (0..53_u32, 0..2 * TICK).prop_map(|(bits, more)| (1 << bits) + more),
        (0..60_u64, -2..2_i64)
            .prop_map(|(slots, off)| ((slots << 26) + TICK).saturating_add_signed(off)),
    ]
}

fn ttl() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), nanos().prop_map(Some)]
}

/// Mostly one, so that some cases never see another weight and others see it late.
fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![40 => Just(1), 1 => 0..100_u32]
}

/// Operations of a case; few evictions and expirations let entries grow older than the ring of
/// generations.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    (1..8_u32, 1..4_u32).prop_flat_map(|(evict, expire)| {
        let pick = any::<usize>();
        let lag = prop_oneof![4 => Just(0), 1 => 0..100_u32];
        let late = prop_oneof![4 => Just(0), 1 => nanos()];
        let op = prop_oneof![
            8 => (weight(), ttl(), lag, late)
                .prop_map(|(weight, ttl, lag, late)| Op::Insert { weight, ttl, lag, late }),
            6 => (pick, weight(), ttl())
                .prop_map(|(pick, weight, ttl)| Op::Replace { pick, weight, ttl }),
            1 => pick.prop_map(|pick| Op::Remove { pick }),
            1 => (0..300_u32).prop_map(|insertions| Op::Age { insertions }),
            6 => pick.prop_map(|pick| Op::Read { pick }),
            1 => Just(Op::ReadAll),
            2 => (pick, nanos()).prop_map(|(pick, by)| Op::Prolong { pick, by }),
            evict => Just(Op::Evict),
            expire => (nanos(), 1..40_u32)
                .prop_map(|(after, budget)| Op::Expire { after, budget }),
        ];
        prop::collection::vec(op, 0..500)
    })
}

proptest! {
    #[test]
    fn does_what_the_oracle_does(
        tick_every in 1..21_u32,
        ops in ops(),
    ) {
        oracle::run(tick_every, &ops);
    }

    /// A sleeper that trusts `next_timer` finds an entry at most two ticks after its deadline, and
    /// wakes once a level for a deadline within the horizon.
    #[test]
    fn next_timer_wakes_in_time_and_not_in_vain(start in nanos(), ttl in 0..1_u64 << 49) {
        let [immortal, mortal] = [Cells::default(), Cells::default()];
        let mut store = Store::new(Some(1));
        prop_assert_eq!(store.next_expired(start, &mut 1), None);
        store.insert(Probe::new(&immortal, store.birth(), u64::MAX), 1);
        prop_assert_eq!(store.next_timer(), None);
        let deadline = start + ttl;
        let slot = store.insert(Probe::new(&mortal, store.tick(), deadline), 1);
        let (mut now, mut wakes) = (start, 0);
        let expired = loop {
            now = store.next_timer().expect("an entry is scheduled").max(now);
            wakes += 1;
            if let Some(expired) = store.next_expired(now, &mut 100) {
                break expired;
            }
        };
        prop_assert_eq!(expired, slot);
        prop_assert!((deadline..deadline + 2 * TICK).contains(&now));
        prop_assert!(wakes <= 5, "{} wakes", wakes);
    }
}

#[test]
fn an_expired_slot_is_named_until_it_is_removed() {
    let cells = Cells::default();
    let mut store = Store::new(Some(1));
    let slot = store.insert(Probe::new(&cells, store.tick(), 5 * TICK), 1);
    let mut budget = 2;
    assert_eq!(store.next_expired(5 * TICK - 1, &mut budget), None);
    assert_eq!(store.next_expired(5 * TICK, &mut budget), Some(slot));
    assert_eq!(store.next_expired(5 * TICK, &mut budget), Some(slot));
    assert_eq!((store.next_expired(5 * TICK, &mut budget), budget), (None, 0));
    assert!(store.more_due());
    store.remove(slot);
    assert!(!store.more_due());
}

#[test]
fn a_long_silence_costs_one_visit_per_entry() {
    const HOUR: u64 = 3_600_000_000_000;
    let cells: Vec<Cells> = (0..1000).map(|_| Cells::default()).collect();
    let mut store = Store::new(Some(1));
    for (hours, cells) in (1..).zip(&cells) {
        store.insert(Probe::new(cells, store.tick(), hours * HOUR / 10), 1);
    }
    let mut budget = 1000;
    while let Some(slot) = store.next_expired(200 * HOUR, &mut budget) {
        store.remove(slot);
    }
    assert_eq!((store.len(), budget), (0, 0));
    assert_eq!(store.next_timer(), None);
}

#[test]
fn the_last_tick_of_time_is_over_at_the_end_of_time() {
    let [first, second] = [Cells::default(), Cells::default()];
    let (mut store, mut budget) = (Store::new(Some(1)), u32::MAX);
    let slot = store.insert(Probe::new(&first, store.birth(), u64::MAX - 1), 1);
    for now in [u64::MAX - 2, u64::MAX - 1] {
        assert_eq!(store.next_expired(now, &mut budget), None);
        assert_eq!((store.more_due(), store.next_timer()), (false, Some(u64::MAX)));
    }
    budget = 1;
    assert_eq!(store.next_expired(u64::MAX, &mut budget), Some(slot));
    store.remove(slot);
    assert_eq!((store.more_due(), store.next_timer()), (false, None));
    let slot = store.insert(Probe::new(&second, store.tick(), u64::MAX - 1), 1);
    assert!(store.more_due(), "what is late for the last tick is due in it");
    budget = 1;
    assert_eq!(store.next_expired(u64::MAX, &mut budget), Some(slot));
    store.validate();
}

#[test]
fn a_store_that_forgets_its_capacity_counts_its_residents() {
    let cells: Vec<Cells> = (0..200).map(|_| Cells::default()).collect();
    let mut store = Store::new(Some(1_000_000));
    let fill = |store: &mut Store<_>, from: usize| {
        let before = store.tick();
        for cells in &cells[from..from + 100] {
            store.insert(Probe::new(cells, store.birth(), u64::MAX), 1);
        }
        store.validate();
        store.tick().wrapping_sub(before)
    };
    assert_eq!(fill(&mut store, 0), 0);
    store.forget_capacity();
    assert!(fill(&mut store, 100) > 2);
}
