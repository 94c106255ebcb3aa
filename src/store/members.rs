//! Lists of slots that belong together, apart from the orders of eviction and expiry.
//!
//! *Owns* the links between the slots of each list. *Does not know* what a list is for: whoever has a
//! [`Roll`] has the list, says which slots come and go, and must say so before a slot is used again.
//!
//! *Invariant:* a slot is on one roll at most.

use super::Slot;
use super::column::Column;
use super::segments::Segment;

/// The links of all rolls; no memory until the first slot is on one.
pub(crate) struct Members {
    links: Column<Links>,
}

/// The slots before and after one on its roll.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Links {
    prev: Slot,
    next: Slot,
}

/// No slot: there are fewer, see `list::slot_of`.
const NONE: Slot = Slot::MAX;

/// The ends of one list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Roll {
    first: Slot,
    last: Slot,
}

impl Roll {
    pub(crate) const EMPTY: Self = Self { first: NONE, last: NONE };

    /// The slot at its front.
    pub(crate) fn first(&self) -> Option<Slot> {
        (self.first != NONE).then_some(self.first)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first == NONE
    }
}

impl Members {
    pub(crate) const fn new() -> Self {
        Self { links: Column::new(Links { prev: NONE, next: NONE }) }
    }

    /// Puts a slot that is on no roll on one: behind all but those at its end that are to follow.
    pub(crate) fn join(&mut self, roll: &mut Roll, slot: Slot, follows: impl Fn(Slot) -> bool) {
        let (mut prev, mut next) = (roll.last, NONE);
        while prev != NONE && follows(prev) {
            (prev, next) = (self.links.get(prev).prev, prev);
        }
        self.links.set(slot, Links { prev, next });
        self.set_next(roll, prev, slot);
        self.set_prev(roll, next, slot);
    }

    /// Takes a slot off the roll that it is on.
    pub(crate) fn leave(&mut self, roll: &mut Roll, slot: Slot) {
        let alone = Links { prev: NONE, next: NONE };
        let take = |links: &mut Links| std::mem::replace(links, alone);
        let Links { prev, next } = self.links.change(slot, take);
        self.set_next(roll, prev, next);
        self.set_prev(roll, next, prev);
    }

    /// Gives the memory back of a segment of which no slot is in use any more.
    pub(crate) fn vacate(&mut self, segment: Segment) {
        self.links.vacate(segment);
    }

    fn set_next(&mut self, roll: &mut Roll, of: Slot, next: Slot) {
        if of == NONE {
            roll.first = next;
        } else {
            self.links.change(of, |links| links.next = next);
        }
    }

    fn set_prev(&mut self, roll: &mut Roll, of: Slot, prev: Slot) {
        if of == NONE {
            roll.last = prev;
        } else {
            self.links.change(of, |links| links.prev = prev);
        }
    }

    /// The slots of a roll, in order.
    pub(crate) fn iter(&self, roll: Roll) -> impl Iterator<Item = Slot> {
        std::iter::successors(roll.first(), |&slot| {
            let next = self.links.get(slot).next;
            (next != NONE).then_some(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Members, Roll};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const ROLLS: usize = 3;

    proptest! {
        /// Against lists that are searched. Slots of a roll are in the order of their tens, and then of
        /// their coming.
        #[test]
        fn rolls_keep_their_slots_in_order(steps in proptest::collection::vec((0..32u32, 0..ROLLS), 1..200)) {
            let (mut members, mut rolls) = (Members::new(), [Roll::EMPTY; ROLLS]);
            let mut oracle: [Vec<u32>; ROLLS] = Default::default();
            let mut on: BTreeMap<u32, usize> = BTreeMap::new();
            for (slot, roll) in steps {
                if let Some(roll) = on.remove(&slot) {
                    members.leave(&mut rolls[roll], slot);
                    oracle[roll].retain(|&other: &u32| other != slot);
                } else {
                    members.join(&mut rolls[roll], slot, |other| other / 10 > slot / 10);
                    oracle[roll].push(slot);
                    oracle[roll].sort_by_key(|slot| slot / 10);
                    on.insert(slot, roll);
                }
                for (roll, expected) in rolls.iter().zip(&oracle) {
                    prop_assert_eq!(&members.iter(*roll).collect::<Vec<_>>(), expected);
                    prop_assert_eq!(roll.first(), expected.first().copied());
                    prop_assert_eq!(roll.is_empty(), expected.is_empty());
                }
            }
        }
    }
}
