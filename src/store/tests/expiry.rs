//! What the oracle cannot say of expiry: what shares a timer, what a look costs, and the end of time.

use std::cell::Cell;

use crate::store::oracle::{Cells, Probe};
use crate::store::wheel::TICK;
use crate::store::{Resident, Store, Tick};

#[test]
fn neighbours_share_a_timer_and_expire_each_in_its_time() {
    let cells: Vec<Cells> = (0..8).map(|_| Cells::default()).collect();
    let mut store = Store::new(Some(1));
    let ticks = [Some(9), Some(3), None, Some(3), Some(7), Some(5), Some(9), Some(1)];
    for (cells, ticks) in cells.iter().zip(ticks) {
        let deadline = ticks.map_or(u64::MAX, |ticks| ticks * TICK);
        store.insert(Probe::new(cells, store.birth(), deadline), 1);
    }
    assert_eq!(store.wheel.timers().values().count(), 1);
    let mut expired = Vec::new();
    while let Some(timer) = store.next_timer() {
        while let Some(slot) = store.next_expired(timer, &mut 100) {
            expired.push((timer / TICK, slot));
            store.remove(slot);
            store.validate();
        }
    }
    assert_eq!(expired, [(1, 7), (3, 1), (3, 3), (5, 5), (7, 4), (9, 0), (9, 6)]);
    assert_eq!(store.next_expired(u64::MAX, &mut 100), None);
    assert_eq!(store.len(), 1, "what cannot expire stays");
}

#[test]
fn at_the_end_of_time_a_neighbour_that_cannot_expire_stays() {
    let [immortal, mortal] = [Cells::default(), Cells::default()];
    let mut store = Store::new(Some(1));
    store.insert(Probe::new(&immortal, store.birth(), u64::MAX), 1);
    let slot = store.insert(Probe::new(&mortal, store.birth(), u64::MAX - 1), 1);
    assert_eq!(store.next_expired(u64::MAX, &mut 100), Some(slot));
    store.remove(slot);
    assert_eq!(store.next_expired(u64::MAX, &mut 100), None);
    assert_eq!(store.len(), 1);
}

/// A resident that counts how often its deadline was looked at.
#[derive(Clone, Copy)]
struct Watched<'a> {
    deadline: u64,
    looks: &'a Cell<u32>,
}

impl Resident for Watched<'_> {
    fn stamp(&self) -> Tick {
        0
    }

    fn deadline(&self) -> u64 {
        self.looks.set(self.looks.get() + 1);
        self.deadline
    }
}

/// However many of a group are due, and though they lie behind those that are not.
#[test]
fn every_look_costs_budget() {
    const BUDGET: u32 = 256;
    for due in 1..=8 {
        let looks = Cell::new(0);
        let mut store = Store::new(Some(1));
        for i in 0..32_000 {
            let deadline = if i % 8 >= 8 - due { TICK } else { 5_000 * TICK };
            store.insert(Watched { deadline, looks: &looks }, 1);
        }
        looks.set(0);
        let mut budget = BUDGET;
        while let Some(slot) = store.next_expired(2 * TICK, &mut budget) {
            store.remove(slot);
        }
        assert!(store.more_due(), "the budget ended it");
        let looks = looks.get();
        assert!((BUDGET..BUDGET + 8).contains(&looks), "{due} due of eight: {looks} looks");
    }
}
