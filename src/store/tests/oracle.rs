//! The slow oracle of the store: a list that is searched from end to end for everything, and compared
//! with the store after each step.
//!
//! Driven by the property test beside it and by `fuzz/`.

use std::cell::Cell;

use super::policy::REPLACEMENTS;
use super::wheel::TICK;
use super::{Resident, Slot, Store, Tick};

/// Generations the policy keeps apart.
pub(super) const GENERATIONS: u64 = 512;

/// Does all of `ops` to a store whose tick advances every `tick_every` insertions, validates it and
/// compares it with the oracle after each, and empties it at the end.
pub(crate) fn run(tick_every: u32, ops: &[Op]) {
    let cells: Vec<Cells> = ops.iter().map(|_| Cells::default()).collect();
    let mut pair = Pair::new(tick_every);
    for (op, cells) in ops.iter().zip(&cells) {
        pair.apply(op, cells);
        pair.check();
    }
    while !pair.records.is_empty() {
        pair.evict();
    }
    assert_eq!(pair.store.victim(), None);
    assert_eq!(pair.store.next_timer(), None);
    assert_eq!(pair.store.weight(), 0);
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Written `lag` ticks and `late` nanoseconds before the store hears of it.
    Insert {
        weight: u32,
        ttl: Option<u64>,
        lag: u32,
        late: u64,
    },
    Replace {
        pick: usize,
        weight: u32,
        ttl: Option<u64>,
    },
    Remove {
        pick: usize,
    },
    /// As many insertions of what is removed at once.
    Age {
        insertions: u32,
    },
    Read {
        pick: usize,
    },
    ReadAll,
    Prolong {
        pick: usize,
        by: u64,
    },
    Evict,
    Expire {
        after: u64,
        budget: u32,
    },
}

#[derive(Default)]
pub(super) struct Cells {
    pub(super) stamp: Cell<Tick>,
    deadline: Cell<u64>,
}

#[derive(Clone, Copy)]
pub(super) struct Probe<'a>(&'a Cells);

impl<'a> Probe<'a> {
    pub(super) fn new(cells: &'a Cells, stamp: Tick, deadline: u64) -> Self {
        cells.stamp.set(stamp);
        cells.deadline.set(deadline);
        Self(cells)
    }

    fn is(self, other: Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Resident for Probe<'_> {
    fn stamp(&self) -> Tick {
        self.0.stamp.get()
    }

    fn deadline(&self) -> u64 {
        self.0.deadline.get()
    }
}

/// What the store should know of an entry; ticks are counted without wrap-around.
struct Record<'a> {
    slot: Slot,
    probe: Probe<'a>,
    weight: u32,
    stamp: u64,
    /// The generation to which it was last linked and its turn among all that were.
    place: (u64, u64),
}

/// The store and its oracle: a list of records that is searched from end to end for everything.
struct Pair<'a> {
    store: Store<Probe<'a>>,
    records: Vec<Record<'a>>,
    tick: u64,
    tick_every: u32,
    /// In this tick.
    inserted: u32,
    replaced: u32,
    turn: u64,
    now: u64,
    /// The most records that there were at once.
    most: Slot,
}

impl<'a> Pair<'a> {
    fn new(tick_every: u32) -> Self {
        let store = Store::new(Some(tick_every));
        // Far from zero, so that a lagging stamp is a number too, and congruent to the store's
        // ticks.
        let tick = (1 << 40) + u64::from(store.tick());
        let records = Vec::new();
        Self {
            store,
            records,
            tick,
            tick_every,
            inserted: 0,
            replaced: 0,
            turn: 0,
            now: 0,
            most: 0,
        }
    }

    fn apply(&mut self, op: &Op, cells: &'a Cells) {
        match *op {
            Op::Insert { weight, ttl, lag, late } => {
                let deadline = ttl.map_or(u64::MAX, |ttl| (self.now + ttl).saturating_sub(late));
                self.insert(cells, weight, deadline, u64::from(lag));
            }
            Op::Replace { pick, weight, ttl } => self.replace(pick, cells, weight, ttl),
            Op::Remove { pick } => {
                if let Some(at) = self.at(pick) {
                    self.remove(at);
                }
            }
            Op::Age { insertions } => {
                for _ in 0..insertions {
                    self.insert(cells, 1, u64::MAX, 0);
                    self.remove(self.records.len() - 1);
                }
            }
            Op::Read { pick } => {
                if let Some(at) = self.at(pick) {
                    self.read(at);
                }
            }
            Op::ReadAll => (0..self.records.len()).for_each(|at| self.read(at)),
            Op::Prolong { pick, by } => {
                if let Some(at) = self.at(pick) {
                    let deadline = &self.records[at].probe.0.deadline;
                    deadline.set(deadline.get().saturating_add(by));
                }
            }
            Op::Evict => self.evict(),
            Op::Expire { after, budget } => self.expire(after, budget),
        }
    }

    fn at(&self, pick: usize) -> Option<usize> {
        pick.checked_rem(self.records.len())
    }

    fn deadline(&self, ttl: Option<u64>) -> u64 {
        ttl.map_or(u64::MAX, |ttl| self.now.saturating_add(ttl))
    }

    fn insert(&mut self, cells: &'a Cells, weight: u32, deadline: u64, lag: u64) {
        let stamp = self.tick - lag;
        let probe = Probe::new(cells, stamp as Tick, deadline);
        let slot = self.store.insert(probe, weight);
        self.admit(slot, probe, weight, stamp);
    }

    fn replace(&mut self, pick: usize, cells: &'a Cells, weight: u32, ttl: Option<u64>) {
        let Some(at) = self.at(pick) else { return };
        let is_heavier = weight > self.records[at].weight;
        self.end_tick_after(if is_heavier { self.stand_for_one() } else { self.tick_every });
        self.replaced += 1;
        let probe = Probe::new(cells, 0, self.deadline(ttl));
        let (slot, stamp) = (self.records[at].slot, self.tick - 1);
        assert!(self.store.replace(slot, probe, weight).is(self.records[at].probe));
        cells.stamp.set(self.store.birth());
        let place = self.records[at].place;
        self.records[at] = Record { slot, probe, weight, stamp, place };
    }

    /// How many replacements stand for an insertion.
    fn stand_for_one(&self) -> u32 {
        REPLACEMENTS.min(self.tick_every)
    }

    /// Begins the next tick if this one has had its insertions, of which as many `replacements` make one.
    fn end_tick_after(&mut self, replacements: u32) {
        if self.inserted * replacements + self.replaced >= self.tick_every * replacements {
            self.tick += 2;
            (self.inserted, self.replaced) = (0, 0);
        }
    }

    fn admit(&mut self, slot: Slot, probe: Probe<'a>, weight: u32, stamp: u64) {
        self.end_tick_after(self.stand_for_one());
        self.inserted += 1;
        let place = (self.tick - 1, self.turn);
        self.records.push(Record { slot, probe, weight, stamp, place });
        self.turn += 1;
        self.most = self.most.max(self.records.len() as Slot);
    }

    fn remove(&mut self, at: usize) {
        let record = self.records.swap_remove(at);
        assert_eq!(self.store.weight_of(record.slot), record.weight);
        assert!(self.store.remove(record.slot).is(record.probe));
    }

    fn read(&mut self, at: usize) {
        self.records[at].stamp = self.tick;
        self.records[at].probe.0.stamp.set(self.store.tick());
    }

    /// Evicts whom the store names, who must be the very one the oracle finds: the first by its place
    /// that was not read in a later generation than it stands in, where all that are older than the
    /// window stand in its first one.
    fn evict(&mut self) {
        let window = self.tick - (GENERATIONS - 1);
        let expected = loop {
            let by_place = (0..self.records.len()).min_by_key(|&at| self.records[at].place);
            let Some(at) = by_place else { break None };
            let record = &mut self.records[at];
            if record.stamp <= record.place.0.max(window) {
                break Some(at);
            }
            record.place = (record.stamp, self.turn);
            self.turn += 1;
        };
        let victim = self.store.victim();
        assert_eq!(victim, expected.map(|at| self.records[at].slot), "the wrong victim");
        let Some(at) = expected else { return };
        let use_of = |record: &Record<'_>| record.stamp.max(record.place.0).max(window);
        let latest_use = use_of(&self.records[at]);
        let longer_unused = self.records.iter().any(|record| use_of(record) < latest_use);
        assert!(!longer_unused, "the victim was used after another entry");
        self.remove(at);
    }

    /// Lets time pass and removes what has expired, in slices of `budget`.
    fn expire(&mut self, after: u64, budget: u32) {
        self.now = self.now.saturating_add(after);
        // A visit frees an entry, moves it on or takes it a level down.
        let mut slices = 6 * self.records.len() + 1;
        loop {
            let mut left = budget;
            while let Some(slot) = self.store.next_expired(self.now, &mut left) {
                let at = self.records.iter().position(|r| r.slot == slot).expect("a live slot");
                assert!(self.records[at].probe.deadline() <= self.now, "expired too early");
                self.remove(at);
            }
            assert_eq!(
                self.store.more_due(),
                self.store.next_timer().is_some_and(|t| t <= self.now)
            );
            if !self.store.more_due() {
                break;
            }
            assert_eq!(left, 0, "gave up before the budget was spent");
            slices -= 1;
            assert!(slices > 0, "the wheel makes no progress");
        }
        for record in &self.records {
            let due = record.probe.deadline().div_ceil(TICK);
            assert!(due > self.now / TICK, "slot {} is overdue", record.slot);
        }
    }

    fn check(&self) {
        self.store.validate();
        assert_eq!(self.store.tick(), self.tick as Tick);
        assert_eq!(self.store.len(), self.records.len() as u64);
        let weight: u64 = self.records.iter().map(|r| u64::from(r.weight)).sum();
        assert_eq!(self.store.weight(), weight);
        assert_eq!(self.store.iter().count(), self.records.len());
        let most = self.most;
        assert!(self.store.slots() <= most + (most / 8).max(16), "much more room than entries");
        let occupied = (0..self.store.slots()).filter(|&slot| self.store.at(slot).is_some());
        assert_eq!(occupied.count(), self.records.len());
        for record in &self.records {
            assert!(self.store.at(record.slot).is_some_and(|probe| probe.is(record.probe)));
            assert_eq!(self.store.weight_of(record.slot), record.weight);
        }
        let deadlines = self.records.iter().map(|r| r.probe.deadline());
        if let Some(first) = deadlines.filter(|&deadline| deadline != u64::MAX).min() {
            let timer = self.store.next_timer().expect("something can expire");
            let in_time = first.div_ceil(TICK).saturating_mul(TICK).max(self.now);
            assert!(timer <= in_time, "would wake at {timer}, after {in_time}");
        }
    }
}
