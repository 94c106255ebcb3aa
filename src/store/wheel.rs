//! A hierarchical timer wheel: which entry expires next, in constant time per entry.
//!
//! After G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels: Data Structures for the
//! Efficient Implementation of a Timer Facility", SOSP 1987, scheme 7, with an occupancy bitmap per
//! level so that empty slots are skipped however long nobody asked.
//!
//! *Owns* the timer chain and the time up to which it has been asked. *Does not know*
//! a clock: time is an argument, in nanoseconds since the cache's origin.
//!
//! Eight neighbouring slots of the store, a *group*, share a timer, and what hangs in the wheel are groups.
//!
//! *Invariants:* with `elapsed` in ticks, a group whose due tick first differs from `elapsed` in
//! base-64 digit `n` hangs in level `n`, in the slot of that digit; so a slot's first tick is never
//! later than the due ticks in it, and on every level but the top one occupied slots are not behind
//! `elapsed`'s own. A group's due tick is not later than that of any resident in it, and `u64::MAX`
//! exactly if the group does not hang.

#[cfg(any(test, cache_fuzz))]
use std::collections::HashSet;

use super::column::Column;
use super::list::{Chain, Links, Lists, Nodes, PER_ROW};
use super::segments::Segment;
use super::{Resident, Slot};

/// Nanoseconds in a tick of the wheel, about a millisecond; a power of two, so that dividing is a
/// shift.
pub(crate) const TICK: u64 = 1 << 20;

const LEVELS: usize = 5;
const DIGIT_BITS: usize = PER_ROW.trailing_zeros() as usize;
const DIGIT: u64 = PER_ROW as u64 - 1;

/// How far ahead a group can hang, about 13 days: one top slot less than a full turn, lest it lands
/// in the slot that is being emptied. A later deadline is clamped and placed anew when it gets
/// there.
const HORIZON: u64 = DIGIT << (DIGIT_BITS * (LEVELS - 1));

/// Slots that share a timer, neighbours: a timer of its own would cost each entry as much memory as its place in the
/// order of eviction does. What is written at about the same time lies side by side, and expires at about the same time.
const GROUP: u32 = 1 << SHARED;
const SHARED: u32 = 3;

/// Entries by the time at which they expire.
pub(crate) struct Wheel {
    /// The groups, by the first slot of each.
    groups: Lists<LEVELS>,
    timers: Timers,
    /// The tick up to which nothing is left to do but in slots that begin at it or before.
    elapsed: u64,
    /// The ticks that were over at the latest `now`.
    asked: u64,
}

/// Beside the nodes, for without a deadline there are none.
pub(super) type Timers = Column<Timer, SHARED>;

/// The timer of a group.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Timer {
    links: Links,
    /// The tick from which the group must be looked at: none of its entries is due before.
    due: u64,
}

impl Timer {
    const UNSET: Self = Self { links: Links::DETACHED, due: u64::MAX };
}

impl Chain for Timers {
    #[cfg(any(test, cache_fuzz))]
    fn links(&self, slot: Slot) -> Links {
        self.get(slot).links
    }

    #[inline]
    fn change_links<O>(&mut self, slot: Slot, change: impl FnOnce(&mut Links) -> O) -> O {
        self.change(slot, |timer| change(&mut timer.links))
    }

    #[cfg(any(test, cache_fuzz))]
    fn linked(&self) -> usize {
        self.values().filter(|timer| timer.links != Links::DETACHED).count()
    }
}

/// A slot of the wheel that has groups, and the tick from which they must be looked at.
struct Event {
    start: u64,
    list: usize,
}

impl Wheel {
    pub(crate) const fn new() -> Self {
        Self { groups: Lists::new(), timers: Column::new(Timer::UNSET), elapsed: 0, asked: 0 }
    }

    /// Sees that a resident that is new in its slot is looked at in time, if it can expire. A timer that is not too
    /// late for it stays, and moves on when it fires: so a key that is often written costs one move per life, not per
    /// write.
    #[inline]
    pub(crate) fn schedule(&mut self, slot: Slot, deadline: u64) {
        if deadline == u64::MAX {
            return;
        }
        let due = deadline.div_ceil(TICK);
        if due < self.timers.get(slot).due {
            self.set(first_of(slot), due);
        }
    }

    /// Hangs a group where it is looked at in the tick `due`.
    fn set(&mut self, group: Slot, due: u64) {
        self.unset(group);
        self.timers.change(group, |timer| timer.due = due);
        let list = self.place(due);
        self.groups.push(&mut self.timers, list, group);
    }

    fn unset(&mut self, group: Slot) {
        self.groups.unlink(&mut self.timers, group);
        self.timers.set(group, Timer::UNSET);
    }

    /// Notes that a slot has become empty. Its group's timer stays, unless the others are empty, too.
    #[inline]
    pub(crate) fn cancel<R>(&mut self, slot: Slot, nodes: &Nodes<R>) {
        if !self.timers.is_empty() && members(slot).all(|member| nodes.get(member).is_none()) {
            self.unset(first_of(slot));
        }
    }

    /// Gives the memory back of a segment of which no slot is in use any more.
    pub(crate) fn vacate(&mut self, segment: Segment) {
        self.timers.vacate(segment);
    }

    /// A node whose deadline is not after `now`. Until it is removed it is the answer again, or one of the same
    /// group.
    ///
    /// Each node looked at costs one unit of `budget`, but one that has begun with a group ends it.
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
            let group = self.groups.first(event.list)?;
            let (mut looks, mut next) = (0, u64::MAX);
            for slot in members(group) {
                let Some(node) = nodes.get(slot) else { continue };
                looks += 1;
                let deadline = node.resident.deadline();
                // For a neighbour that cannot expire not even the end of time is late.
                if deadline <= now && deadline != u64::MAX {
                    *budget = budget.saturating_sub(looks - 1);
                    return Some(slot);
                }
                next = next.min(deadline);
            }
            *budget = budget.saturating_sub(looks.max(1) - 1);
            self.unset(group);
            self.schedule(group, next);
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
            let distance = self.groups.distance(level, (current & DIGIT) as u32)?;
            let index = current + u64::from(distance);
            Some(Event { start: index << shift, list: list_of(level, index) })
        });
        events.min_by_key(|event| event.start)
    }

    /// The list for a group that is due at tick `due`.
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
    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }
}

#[cfg(any(test, cache_fuzz))]
impl Wheel {
    /// Checks that every group hangs where it will be looked at in time, and nothing else hangs.
    pub(crate) fn validate<R: Resident>(&self, nodes: &Nodes<R>) {
        self.timers.validate(|segment| nodes.room_of(segment));
        let hanging = self.groups.validate(&self.timers);
        for &(list, group) in &hanging {
            let (level, digit) = (list / PER_ROW, list as u64 % PER_ROW as u64);
            let shift = DIGIT_BITS * level;
            let ahead = digit.wrapping_sub(self.elapsed >> shift) & DIGIT;
            let start = ((self.elapsed >> shift) + ahead) << shift;
            let due = self.timers.get(group).due.max(self.elapsed);
            assert!(start <= due, "group {group} is due at tick {due}, its list begins at {start}");
            assert_eq!(group, first_of(group), "a group hangs by its first slot");
            let is_used = members(group).any(|slot| nodes.get(slot).is_some());
            assert!(is_used, "group {group} has a timer and no entry");
        }
        let hanging: HashSet<Slot> = hanging.iter().map(|&(_, group)| group).collect();
        for (slot, node) in nodes.iter() {
            let deadline = node.resident.deadline();
            if deadline != u64::MAX {
                assert!(
                    hanging.contains(&first_of(slot)),
                    "slot {slot} can expire, its group has no timer"
                );
                let due = self.timers.get(slot).due;
                assert!(due <= deadline.div_ceil(TICK), "slot {slot}: its group is due at {due}");
            }
        }
    }
}

/// The first slot of the group of `slot`.
#[inline]
fn first_of(slot: Slot) -> Slot {
    slot & !(GROUP - 1)
}

/// The slots of the group of `slot`.
#[inline]
fn members(slot: Slot) -> impl Iterator<Item = Slot> {
    first_of(slot)..first_of(slot) + GROUP
}

/// How many ticks are over at `now`. No time lies behind the last one, but what is due in it has to leave:
/// it is over at its last moment.
fn ticks_over(now: u64) -> u64 {
    now / TICK + u64::from(now == u64::MAX)
}

fn list_of(level: usize, index: u64) -> usize {
    level * PER_ROW + (index & DIGIT) as usize
}
