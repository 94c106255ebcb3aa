//! Whom the store evicts first, where the oracle does not get: a full turn of the stamps, and single
//! reads of what is very old.

use super::super::oracle::{Cells, GENERATIONS, Probe};
use crate::store::{Slot, Store, Tick};

/// Ticks after which a stamp comes again.
const TURN: u64 = 1 << 15;

#[test]
fn an_entry_read_in_this_tick_outlives_all_that_were_not() {
    let cells: Vec<Cells> = (0..100).map(|_| Cells::default()).collect();
    let mut store = Store::new(Some(10));
    let slots: Vec<Slot> =
        cells.iter().map(|c| store.insert(Probe::new(c, store.birth(), u64::MAX), 1)).collect();
    for read in cells.iter().step_by(3) {
        read.stamp.set(store.tick());
    }
    let (read, unread): (Vec<Slot>, Vec<Slot>) = slots.iter().partition(|&&slot| slot % 3 == 0);
    assert_eq!(eviction_order(store), [unread, read].concat());
}

/// A store with a tick per insertion, in which the last entry was inserted `ticks` ticks after the
/// others; and its slots.
fn aged(cells: &[Cells], ticks: u64) -> (Store<Probe<'_>>, Vec<Slot>) {
    let mut store = Store::new(Some(1));
    let insert = |store: &mut Store<_>, at: usize| {
        store.insert(Probe::new(&cells[at], store.birth(), u64::MAX), 1)
    };
    let slots: Vec<Slot> = (0..cells.len()).map(|at| insert(&mut store, at)).collect();
    for _ in 0..ticks {
        store.remove(slots[cells.len() - 1]);
        insert(&mut store, cells.len() - 1);
    }
    (store, slots)
}

fn eviction_order(mut store: Store<Probe<'_>>) -> Vec<Slot> {
    std::iter::from_fn(|| {
        let victim = store.victim()?;
        store.remove(victim);
        store.validate();
        Some(victim)
    })
    .collect()
}

#[test]
fn a_read_counts_however_long_ago_its_entry_was_written() {
    for ticks in [GENERATIONS, TURN - 9, TURN + GENERATIONS, 2 * TURN + GENERATIONS] {
        let cells: Vec<Cells> = (0..3).map(|_| Cells::default()).collect();
        let (store, slots) = aged(&cells, ticks);
        cells[0].stamp.set(store.tick().wrapping_sub(3));
        assert_eq!(eviction_order(store), [slots[1], slots[0], slots[2]], "after {ticks} ticks");
    }
}

#[test]
fn what_is_older_than_all_generations_leaves_in_the_order_of_its_links() {
    let cells: Vec<Cells> = (0..4).map(|_| Cells::default()).collect();
    let (store, slots) = aged(&cells, 2 * GENERATIONS);
    let oldest = store.tick().wrapping_sub(GENERATIONS as Tick - 1);
    cells[0].stamp.set(oldest);
    cells[1].stamp.set(oldest.wrapping_add(1));
    assert_eq!(eviction_order(store), [slots[0], slots[2], slots[1], slots[3]]);
}

#[test]
fn a_stamp_of_a_whole_turn_ago_counts_as_new_and_no_longer_than_a_new_one() {
    let cells: Vec<Cells> = (0..4).map(|_| Cells::default()).collect();
    let (store, slots) = aged(&cells, TURN + 8);
    let age = |cells: &Cells| store.tick().wrapping_sub(cells.stamp.get());
    assert!((10..30).contains(&age(&cells[0])), "no turn ago but {}", age(&cells[0]));
    cells[1].stamp.set(store.tick().wrapping_sub(40));
    cells[2].stamp.set(store.tick().wrapping_sub(4));
    assert_eq!(eviction_order(store), [slots[1], slots[0], slots[2], slots[3]]);
}

/// So that the tests of the store see what becomes of stamps there.
#[test]
fn stamps_wrap_around_within_forty_ticks() {
    let cells = [Cells::default()];
    let (aged, _) = aged(&cells, 40);
    assert!(aged.tick() < Store::<Probe<'_>>::new(Some(1)).tick());
}

/// How many replacements advance the tick, by entries of `weight` where one has a weight of one.
fn replacements_in_a_tick(tick_every: u32, weight: impl Fn(u32) -> u32) -> u32 {
    let cells = Cells::default();
    let mut store = Store::new(Some(tick_every));
    let probe = || Probe::new(&cells, 0, u64::MAX);
    let slot = store.insert(probe(), weight(0));
    let replace_until = |store: &mut Store<_>, tick: Tick, from: u32| {
        (from..)
            .find(|&at| {
                store.replace(slot, probe(), weight(at));
                store.tick() != tick
            })
            .expect("the tick advances some time")
    };
    let tick = store.tick();
    let first = replace_until(&mut store, tick, 1);
    let tick = store.tick();
    replace_until(&mut store, tick, first + 1) - first
}

#[test]
fn a_tick_has_many_replacements_unless_the_store_is_small_or_they_are_heavier() {
    for (tick_every, alike, heavier) in [(1, 1, 1), (4, 16, 16), (8, 64, 64), (300, 90_000, 2_400)]
    {
        assert_eq!(replacements_in_a_tick(tick_every, |_| 1), alike);
        let lighter = |at| u32::MAX - at;
        assert_eq!(replacements_in_a_tick(tick_every, lighter), alike);
        assert_eq!(replacements_in_a_tick(tick_every, |at| at), heavier);
    }
}
