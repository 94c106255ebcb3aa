//! A hierarchical timer wheel: which entry expires next, in constant time per entry.
//!
//! After G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels: Data Structures for the
//! Efficient Implementation of a Timer Facility", SOSP 1987, scheme 7, with an occupancy bitmap per
//! level so that empty slots are skipped however long nobody asked.
//!
//! *Owns* the timer chain and the time up to which it has been asked. *Does not know*
//! a clock: time is an argument, in nanoseconds since the cache's origin.
//!
//! *Invariants:* with `elapsed` in ticks, a node whose due tick first differs from `elapsed` in
//! base-64 digit `n` hangs in level `n`, in the slot of that digit; so a slot's first tick is never
//! later than the due ticks in it, and on every level but the top one occupied slots are not behind
//! `elapsed`'s own.

#[cfg(any(test, cache_fuzz))]
use std::collections::HashSet;

use super::column::Column;
use super::list::{Links, Lists, Nodes, PER_ROW};
use super::segments::Segment;
use super::{Resident, Slot};

/// Nanoseconds in a tick of the wheel, about a millisecond; a power of two, so that dividing is a
/// shift.
pub(crate) const TICK: u64 = 1 << 20;

const LEVELS: usize = 5;
const DIGIT_BITS: usize = PER_ROW.trailing_zeros() as usize;
const DIGIT: u64 = PER_ROW as u64 - 1;

/// How far ahead a node can hang, about 13 days: one top slot less than a full turn, lest it lands
/// in the slot that is being emptied. A later deadline is clamped and placed anew when it gets
/// there.
const HORIZON: u64 = DIGIT << (DIGIT_BITS * (LEVELS - 1));

/// Entries by the time at which they expire.
pub(crate) struct Wheel {
    slots: Lists<LEVELS>,
    /// Beside the nodes, for without a deadline there are none.
    links: Column<Links>,
    /// The tick up to which nothing is left to do but in slots that begin at it or before.
    elapsed: u64,
    /// The ticks that were over at the latest `now`.
    asked: u64,
}

/// A slot of the wheel that has nodes, and the tick from which they must be looked at.
struct Event {
    start: u64,
    list: usize,
}

impl Wheel {
    pub(crate) const fn new() -> Self {
        Self { slots: Lists::new(), links: Column::new(Links::DETACHED), elapsed: 0, asked: 0 }
    }

    /// Hangs a slot that is not scheduled under its resident's deadline, if it has one.
    pub(crate) fn schedule(&mut self, slot: Slot, deadline: u64) {
        if deadline != u64::MAX {
            let list = self.place(deadline.div_ceil(TICK));
            self.slots.push(&mut self.links, list, slot);
        }
    }

    /// Sees that a node whose resident was replaced is looked at in time. A timer that is not too late for
    /// the new deadline stays, and moves on when it fires: so a key that is often written costs one move
    /// per life, not per write.
    pub(crate) fn replace(&mut self, slot: Slot, deadline: u64, was: u64) {
        if deadline < was || deadline == u64::MAX {
            self.cancel(slot);
            self.schedule(slot, deadline);
        }
    }

    /// Takes a node off the wheel, if it is scheduled.
    #[inline]
    pub(crate) fn cancel(&mut self, slot: Slot) {
        if !self.links.is_empty() {
            self.slots.unlink(&mut self.links, slot);
        }
    }

    /// Gives the memory back of a segment of which no slot is in use any more.
    pub(crate) fn vacate(&mut self, segment: Segment) {
        self.links.vacate(segment);
    }

    /// The next node whose deadline is not after `now`. It stays scheduled, and is the answer again
    /// until it is cancelled.
    ///
    /// Each node looked at costs one unit of `budget`.
    pub(crate) fn next_expired<R: Resident>(
        &mut self,
        nodes: &Nodes<R>,
        now: u64,
        budget: &mut u32,
    ) -> Option<Slot> {
        self.asked = self.asked.max(ticks_over(now));
        while let Some(event) = self.due() {
            *budget = budget.checked_sub(1)?;
            self.elapsed = self.elapsed.max(event.start);
            let slot = self.slots.first(event.list)?;
            let deadline = nodes[slot].resident.deadline();
            if deadline <= now {
                return Some(slot);
            }
            self.cancel(slot);
            self.schedule(slot, deadline);
        }
        self.elapsed = self.asked;
        None
    }

    /// Whether an exhausted budget left work that was due at the latest `now`.
    pub(crate) fn more_due(&self) -> bool {
        self.due().is_some()
    }

    /// When the wheel must be asked again: the latest moment at which nothing is late yet.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        Some(self.next_event()?.start.saturating_mul(TICK))
    }

    /// The next event, if its time has come.
    fn due(&self) -> Option<Event> {
        self.next_event().filter(|event| event.start <= self.asked)
    }

    /// The occupied slot that begins first.
    fn next_event(&self) -> Option<Event> {
        let events = (0..LEVELS).filter_map(|level| {
            let shift = DIGIT_BITS * level;
            let current = self.elapsed >> shift;
            let distance = self.slots.distance(level, (current & DIGIT) as u32)?;
            let index = current + u64::from(distance);
            Some(Event { start: index << shift, list: list_of(level, index) })
        });
        events.min_by_key(|event| event.start)
    }

    /// The list for a node that is due at tick `due`.
    fn place(&self, due: u64) -> usize {
        let due = due.clamp(self.elapsed, self.elapsed + HORIZON);
        // The lowest bit does not change which digit differs first, and a logarithm needs one bit.
        let differing = (due ^ self.elapsed) | 1;
        let level = (differing.ilog2() as usize / DIGIT_BITS).min(LEVELS - 1);
        list_of(level, due >> (DIGIT_BITS * level))
    }
}

#[cfg(test)]
impl Wheel {
    pub(crate) fn links(&self) -> &Column<Links> {
        &self.links
    }
}

#[cfg(any(test, cache_fuzz))]
impl Wheel {
    /// Checks that every node hangs where it will be looked at in time, and nothing else hangs.
    pub(crate) fn validate<R: Resident>(&self, nodes: &Nodes<R>) {
        self.links.validate(|segment| nodes.room_of(segment));
        let members = self.slots.validate(&self.links);
        for &(list, slot) in &members {
            let (level, digit) = (list / PER_ROW, list as u64 % PER_ROW as u64);
            let shift = DIGIT_BITS * level;
            let ahead = digit.wrapping_sub(self.elapsed >> shift) & DIGIT;
            let start = ((self.elapsed >> shift) + ahead) << shift;
            let due = nodes[slot].resident.deadline().div_ceil(TICK).max(self.elapsed);
            assert!(start <= due, "slot {slot} is due at tick {due}, its list begins at {start}");
        }
        let scheduled: HashSet<Slot> = members.iter().map(|&(_, slot)| slot).collect();
        for (slot, node) in nodes.iter() {
            let mortal = node.resident.deadline() != u64::MAX;
            assert!(!mortal || scheduled.contains(&slot), "slot {slot} is mortal and has no timer");
        }
    }
}

/// How many ticks are over at `now`. No time lies behind the last one, but what is due in it has to leave:
/// it is over at its last moment.
fn ticks_over(now: u64) -> u64 {
    now / TICK + u64::from(now == u64::MAX)
}

fn list_of(level: usize, index: u64) -> usize {
    level * PER_ROW + (index & DIGIT) as usize
}
