//! What the store has of memory for its entries, and what it keeps of those that left.

use std::panic::catch_unwind;
use std::ptr::NonNull;

use super::{Cells, Probe};
use crate::store::Store;
use crate::store::list::{Node, slot_of};
use crate::store::segments::SLOTS;
use crate::store::wheel::TICK;

#[test]
fn the_nodes_grow_by_an_eighth_and_when_they_are_full_up_to_a_segment() {
    let cells = Cells::default();
    let mut store = Store::new(Some(1));
    for full in 0..5000 {
        let room = store.nodes.room();
        let slot = store.insert(Probe::new(&cells, store.birth(), u64::MAX), 1);
        let most = SLOTS - full % SLOTS;
        let more = if full == room { (full / 8).max(16).min(most) } else { 0 };
        assert_eq!(store.nodes.room(), room + more, "{full} nodes had room for {room}");
        assert_eq!(slot as usize, full, "no place is left out");
        assert_eq!(store.slots() as usize, room + more);
    }
}

#[test]
fn a_node_takes_16_bytes_of_a_segment() {
    assert_eq!([size_of::<Node<u64>>(), size_of::<Option<Node<u64>>>()], [16, 16]);
    // How a slab keeps a vacant place.
    enum Place<T> {
        #[expect(dead_code, reason = "only its size is asked for")]
        Vacant(usize),
        #[expect(dead_code, reason = "only its size is asked for")]
        Occupied(T),
    }
    assert_eq!(size_of::<Place<Node<u64>>>(), 16);
    assert_eq!(size_of::<Place<Node<NonNull<u64>>>>(), 16);
}

#[test]
fn what_no_entry_needs_has_no_memory() {
    let cells: Vec<Cells> = (0..9).map(|_| Cells::default()).collect();
    let mut store = Store::new(Some(1));
    let columns = |store: &Store<Probe<'_>>| {
        [store.weights.values().count(), store.wheel.timers().values().count()]
    };
    for cells in &cells[..4] {
        store.insert(Probe::new(cells, store.birth(), u64::MAX), 1);
    }
    assert_eq!(columns(&store), [0, 0]);
    let heavy = store.insert(Probe::new(&cells[4], store.birth(), u64::MAX), 7);
    let mortal = store.insert(Probe::new(&cells[5], store.birth(), TICK), 1);
    for cells in &cells[6..] {
        store.insert(Probe::new(cells, store.birth(), u64::MAX), 1);
    }
    assert_eq!([heavy, mortal], [4, 5]);
    assert_eq!(columns(&store), [5, 1]);
    store.validate();
}

#[test]
fn a_slot_that_is_used_again_keeps_nothing_of_its_last_entry() {
    let [first, second] = [Cells::default(), Cells::default()];
    let mut store = Store::new(Some(1));
    let slot = store.insert(Probe::new(&first, store.birth(), TICK), 7);
    store.remove(slot);
    assert_eq!(store.insert(Probe::new(&second, store.birth(), u64::MAX), 1), slot);
    assert_eq!((store.weight_of(slot), store.weight(), store.next_timer()), (1, 1, None));
    store.validate();
}

#[test]
fn a_slot_is_the_key_of_a_node_up_to_four_billion() {
    assert_eq!([0, 1, 4_294_000_000].map(slot_of), [0, 1, 4_294_000_000]);
    let first_end = u32::MAX as usize - 1024;
    assert!(catch_unwind(|| slot_of(first_end)).is_err(), "that is the end of a list");
}

/// A store of `most` entries that can expire and weigh something, of which all but every `kept`th have left.
fn left_by_most(cells: &[Cells], kept: usize) -> Store<Probe<'_>> {
    let mut store = Store::new(Some(1));
    let slots: Vec<_> =
        cells.iter().map(|cells| store.insert(Probe::new(cells, store.birth(), TICK), 7)).collect();
    for slot in slots.iter().enumerate().filter(|(at, _)| at % kept != 0).map(|(_, slot)| *slot) {
        store.remove(slot);
    }
    store.validate();
    store
}

/// Slots that the nodes, the weights and the timers have memory for.
fn rooms(store: &Store<Probe<'_>>) -> [usize; 3] {
    [store.nodes.room(), store.weights.room(), store.wheel.timers().room()]
}

#[test]
fn what_left_gives_its_memory_back() {
    let cells: Vec<Cells> = (0..100 * SLOTS).map(|_| Cells::default()).collect();
    let full = left_by_most(&cells, 1);
    assert_eq!((rooms(&full), full.len()), ([100 * SLOTS; 3], 100 * SLOTS as u64));
    let one_of_ten_segments = left_by_most(&cells, 10 * SLOTS);
    assert_eq!(rooms(&one_of_ten_segments), [11 * SLOTS; 3], "those in use, and a spare one");
    assert_eq!(one_of_ten_segments.slots() as usize, 91 * SLOTS);
    let none = {
        let mut store = left_by_most(&cells, usize::MAX);
        store.remove(0);
        store
    };
    none.validate();
    assert_eq!((rooms(&none), none.slots() as usize), ([SLOTS; 3], SLOTS), "the spare one");
}

#[test]
fn what_comes_goes_where_others_are() {
    let cells: Vec<Cells> = (0..100 * SLOTS).map(|_| Cells::default()).collect();
    let mut store = left_by_most(&cells, 10 * SLOTS);
    let high = |store: &Store<Probe<'_>>| {
        store.iter().filter(|(slot, _)| *slot as usize >= 20 * SLOTS).count()
    };
    assert_eq!(high(&store), 8, "one in each tenth segment");
    for _ in 0..19 * SLOTS {
        store.insert(Probe::new(&cells[0], store.birth(), u64::MAX), 1);
        store.validate();
    }
    assert_eq!(high(&store), 8, "all others found room below");
    let low = (0..20 * SLOTS).filter(|slot| store.at(*slot as u32).is_some());
    assert_eq!(low.count(), 19 * SLOTS + 2);
}

#[test]
fn a_segment_that_is_emptied_and_filled_by_turns_is_kept() {
    let cells: Vec<Cells> = (0..=3 * SLOTS).map(|_| Cells::default()).collect();
    let mut store = left_by_most(&cells, 1);
    let last = 3 * SLOTS as u32;
    let held = rooms(&store);
    for _ in 0..10 {
        store.remove(last);
        store.validate();
        assert_eq!((rooms(&store), store.vacated()), (held, None));
        assert_eq!(store.insert(Probe::new(&cells[0], store.birth(), TICK), 7), last);
    }
}
