//! Least recently used, at the resolution of a tick.
//!
//! A hit calls nothing here. The reader stores the current tick in the entry, and only when that
//! differs from what is there. A replacement leaves its stamp too, that of a read if what it replaced was read, and takes
//! the place of that.
//! Entries are linked in one list per *generation*, and a tick has two:
//! what was written in it, and then what was read in it. When a victim is needed, the first entry of
//! the oldest generation is looked at, and moves to the generation of its stamp if that is younger. So
//! each entry is moved at most once per tick in which it was read or replaced, an entry that was read in the
//! current tick is never evicted before one that was not (but see wrap-around), and one that is written in a new tick is
//! younger than all that were read before.
//!
//! Ages are told apart up to that of the oldest generation, in which eight times the capacity is inserted.
//! What nobody wrote or read for longer leaves in the order in which it was last linked: inserted, or
//! moved. Such there is only where most insertions evict nobody, because they fill what was removed.
//!
//! *Owns* the recency chain and the tick. *Does not know* capacity or weights: the
//! caller asks for victims until it is content.
//!
//! *Invariants:* generations are a ring, numbered so that a tick's writes are even and its reads odd;
//! the list of age `a` holds the nodes linked to the generation `a` before the current one, and the
//! oldest list holds all that are older too, in order.
//!
//! *Wrap-around:* generations are 16 bits wide and are compared by their age, never by their value. How
//! old a node's link is its list knows, so only a stamp can be mistaken for a newer one: that of an
//! entry which nobody read for 2^15 ticks, in which a thousand times the capacity was written, and which
//! is looked at within the 256 ticks after. It then leaves as if it had been read a whole turn later.

use super::super::list::{Lists, Node, Nodes, PER_ROW};
use super::super::{Resident, Segment, Slot, Tick};
use super::{Policy, tick_every};

/// Rows of generations: with one, replacements in a full store cost up to 0.3 points of hit ratio.
const ROWS: usize = 8;
const GENERATIONS: Tick = (ROWS * PER_ROW) as Tick;
const OLDEST: Tick = GENERATIONS - 1;

/// As many replacements advance the tick as one insertion does, but no more than insertions make a tick. What they
/// add up to counts when an entry comes that may evict another, inserted or heavier than what it replaces: entries are told
/// apart for evictions, and each tick costs readers a store for each entry that they read. Where none comes, a
/// replacement counts as little against an insertion as that does against a tick: in a small store as much.
pub(crate) const REPLACEMENTS: u32 = 8;

/// The age of what has just been written.
const BIRTH: Tick = 1;

/// The first generation of reads: so close to the wrap-around that it happens in every test.
const FIRST_TICK: Tick = Tick::MAX - 64;

/// The recency order of a store's entries.
pub(crate) struct Lru {
    generations: Lists<ROWS>,
    /// The generation of what is read now: odd.
    tick: Tick,
    /// Insertions in a tick; if there is no number, as many as suit the entries that there are.
    tick_every: Option<u32>,
    /// Insertions until the tick advances.
    remaining: u32,
    /// Replacements in this tick.
    replaced: u32,
}

impl Lru {
    /// An order whose tick advances every `tick_every` insertions, or as the number of entries suggests.
    pub(crate) fn new(tick_every: Option<u32>) -> Self {
        let remaining = tick_every.unwrap_or(1).max(1);
        Self { generations: Lists::new(), tick: FIRST_TICK, tick_every, remaining, replaced: 0 }
    }

    /// Has the tick advance as the number of entries suggests, from the next insertion on.
    pub(crate) fn forget_capacity(&mut self) {
        if self.tick_every.take().is_some() {
            self.remaining = 0;
        }
    }

    /// Begins the next tick if `replacements` stand for an insertion and this one has lasted as long as that makes.
    fn advance_if_due<R>(&mut self, nodes: &mut Nodes<R>, replacements: u32) {
        if self.replaced >= self.remaining.saturating_mul(replacements) {
            self.advance(nodes);
        }
    }

    /// Begins the next tick. The ring has no room for its oldest generations any more: they join the
    /// next ones.
    fn advance<R>(&mut self, nodes: &mut Nodes<R>) {
        for _ in 0..2 {
            self.generations.prepend(nodes, self.list_of(OLDEST), self.list_of(OLDEST - 1));
            self.tick = self.tick.wrapping_add(1);
        }
        self.remaining = self.every(nodes);
        self.replaced = 0;
    }

    /// How many insertions make a tick.
    fn every<R>(&self, nodes: &Nodes<R>) -> u32 {
        let suited = || tick_every(nodes.len() as u64);
        self.tick_every.unwrap_or_else(suited).max(1)
    }

    fn age(&self, tick: Tick) -> Tick {
        self.tick.wrapping_sub(tick)
    }

    fn list_of(&self, age: Tick) -> usize {
        (self.tick.wrapping_sub(age) % GENERATIONS) as usize
    }
}

impl Policy for Lru {
    fn tick(&self) -> Tick {
        self.tick
    }

    fn birth(&self) -> Tick {
        self.tick.wrapping_sub(BIRTH)
    }

    #[inline]
    fn insert<R: Resident>(&mut self, nodes: &mut Nodes<R>, resident: R) -> Slot {
        self.advance_if_due(nodes, REPLACEMENTS.min(self.every(nodes)));
        self.remaining -= 1;
        let list = self.list_of(BIRTH);
        let put = |nodes: &mut Nodes<R>, recency| nodes.insert(Node { resident, recency });
        self.generations.push_new(nodes, list, put)
    }

    fn replace<R: Resident>(&mut self, nodes: &mut Nodes<R>, is_heavier: bool) {
        let every = self.every(nodes);
        self.advance_if_due(nodes, if is_heavier { REPLACEMENTS.min(every) } else { every });
        self.replaced = self.replaced.saturating_add(1);
    }

    #[inline]
    fn remove<R: Resident>(&mut self, nodes: &mut Nodes<R>, slot: Slot) -> (R, Option<Segment>) {
        let recency = nodes[slot].recency;
        let (Node { resident, .. }, vacated) = nodes.remove(slot);
        self.generations.close(nodes, recency);
        (resident, vacated)
    }

    fn victim<R: Resident>(&mut self, nodes: &mut Nodes<R>) -> Option<Slot> {
        loop {
            let younger = self.generations.distance_in_all(self.list_of(OLDEST))?;
            let age = OLDEST - younger as Tick;
            let slot = self.generations.first(self.list_of(age))?;
            let read = self.age(nodes[slot].resident.stamp());
            if read >= age {
                return Some(slot);
            }
            self.generations.unlink(nodes, slot);
            self.generations.push(nodes, self.list_of(read), slot);
        }
    }

    #[cfg(any(test, cache_fuzz))]
    fn validate<R: Resident>(&self, nodes: &Nodes<R>) {
        let members = self.generations.validate(nodes);
        assert_eq!(members.len(), nodes.len(), "a node is in no generation");
        let most = self.tick_every.unwrap_or(u32::MAX).max(1);
        assert!(self.remaining <= most, "the tick is too long");
        assert_eq!(self.tick % 2, 1, "reads have odd generations");
    }
}
