//! What the store has of memory for its entries, and what it keeps of those that left.

use std::panic::catch_unwind;
use std::ptr::NonNull;

use super::{Cells, Probe};
use crate::store::Store;
use crate::store::list::{Node, Nodes, slot_of};
use crate::store::wheel::TICK;

#[test]
fn the_nodes_grow_by_an_eighth_and_when_they_are_full() {
    let cells = Cells::default();
    let mut store = Store::new(Some(1));
    for full in 0..5000 {
        let room = store.slots();
        store.insert(Probe::new(&cells, store.birth(), u64::MAX), 1);
        let more = if full == room { (full / 8).max(16) } else { 0 };
        assert_eq!(store.slots(), room + more, "{full} nodes had room for {room}");
    }
}

#[test]
fn a_node_takes_16_bytes_of_the_slab() {
    fn apart<R: Copy>(resident: R) -> usize {
        let nodes: Nodes<R> = (0..2).map(|key| (key, Node::new(resident))).collect();
        std::ptr::from_ref(&nodes[1]).addr() - std::ptr::from_ref(&nodes[0]).addr()
    }
    assert_eq!([size_of::<Node<u64>>(), apart(0_u64)], [16, 16]);
    let pointer = NonNull::<u64>::dangling();
    assert_eq!([size_of::<Node<NonNull<u64>>>(), apart(pointer)], [16, 16]);
}

#[test]
fn what_no_entry_needs_has_no_memory() {
    let cells: Vec<Cells> = (0..9).map(|_| Cells::default()).collect();
    let mut store = Store::new(Some(1));
    let columns = |store: &Store<Probe<'_>>| {
        [store.weights.values().len(), store.wheel.links().values().len()]
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
    assert_eq!(columns(&store), [5, 6]);
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
