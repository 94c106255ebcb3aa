//! The store's nodes and the doubly linked lists of slots.
//!
//! *Owns* the ends of every list, and the links of the chain that is in the nodes. *Does not know* what
//! an order means: [`policy`](super::policy) orders slots by recency, [`wheel`](super::wheel) by time.
//!
//! A slot takes part in two lists at once, one per [`Chain`]: every node is in the order of eviction, so
//! those links are in the nodes; timers are for few or none, so theirs are beside them, and a slot stands there for all that share one. A list is
//! circular through its end, and an end is a link like any other: its number lies above all slots. So a
//! slot is unlinked without knowing which list holds it, and two lists are joined in constant time
//! without visiting what they hold.
//!
//! *Invariants:* a bit of `occupied` is set exactly when its list holds a slot; a slot is in at most
//! one list of each chain.

use std::num::NonZeroU32;

use super::Slot;
use super::segments::Segments;

/// Lists in a row, one for each bit of its occupancy word.
pub(crate) const PER_ROW: usize = 64;

/// All nodes of a store.
pub(crate) type Nodes<R> = Segments<Node<R>>;

/// What the store keeps for every resident: a resident that is a pointer, and as much again.
pub(crate) struct Node<R> {
    pub(crate) resident: R,
    /// In the order of eviction.
    pub(crate) recency: Links,
}

/// Where the links of the slots are kept for some lists.
pub(crate) trait Chain {
    #[cfg(any(test, cache_fuzz))]
    fn links(&self, slot: Slot) -> Links;

    fn change_links<O>(&mut self, slot: Slot, change: impl FnOnce(&mut Links) -> O) -> O;

    /// How many slots are in a list.
    #[cfg(any(test, cache_fuzz))]
    fn linked(&self) -> usize;
}

/// The chain the eviction policy orders.
impl<R> Chain for Nodes<R> {
    #[cfg(any(test, cache_fuzz))]
    fn links(&self, slot: Slot) -> Links {
        self[slot].recency
    }

    #[inline]
    fn change_links<O>(&mut self, slot: Slot, change: impl FnOnce(&mut Links) -> O) -> O {
        change(&mut self[slot].recency)
    }

    #[cfg(any(test, cache_fuzz))]
    fn linked(&self) -> usize {
        self.iter().filter(|(_, node)| node.recency != Links::DETACHED).count()
    }
}

/// `ROWS` times 64 lists of one chain, with a bitmap of those that are not empty.
pub(crate) struct Lists<const ROWS: usize> {
    /// `next` is the first slot of a list, `prev` its last. Allocated by the first `push`.
    ends: Vec<Links>,
    occupied: [u64; ROWS],
}

impl<const ROWS: usize> Lists<ROWS> {
    pub(crate) const fn new() -> Self {
        Self { ends: Vec::new(), occupied: [0; ROWS] }
    }

    /// The slot at the front of `list`.
    pub(crate) fn first(&self, list: usize) -> Option<Slot> {
        match self.ends.get(list)?.next.target() {
            Target::Slot(slot) => Some(slot),
            Target::End(_) => None,
        }
    }

    /// Links a slot that is in no list of this chain at the back of `list`.
    pub(crate) fn push(&mut self, chain: &mut impl Chain, list: usize, slot: Slot) {
        self.push_new(chain, list, |chain, links| {
            chain.change_links(slot, |own| *own = links);
            slot
        });
    }

    /// Links at the back of `list` what `put` puts into a slot of the chain with these links.
    #[inline]
    pub(crate) fn push_new<C: Chain>(
        &mut self,
        chain: &mut C,
        list: usize,
        put: impl FnOnce(&mut C, Links) -> Slot,
    ) -> Slot {
        if self.ends.is_empty() {
            self.ends = (0..ROWS * PER_ROW).map(Links::empty).collect();
        }
        let last = self.ends[list].prev;
        let slot = put(chain, Links { prev: last, next: Link::end(list) });
        self.set_next(chain, last, Link::slot(slot));
        self.ends[list].prev = Link::slot(slot);
        self.occupied[list / PER_ROW] |= bit(list);
        slot
    }

    /// Takes a slot out of whichever list of this chain holds it, if any does.
    pub(crate) fn unlink(&mut self, chain: &mut impl Chain, slot: Slot) {
        let detach = |links: &mut Links| std::mem::replace(links, Links::DETACHED);
        let links = chain.change_links(slot, detach);
        self.close(chain, links);
    }

    /// Closes the gap in a list that a slot with these links has left.
    #[inline]
    pub(crate) fn close(&mut self, chain: &mut impl Chain, links: Links) {
        if links == Links::DETACHED {
            return;
        }
        let Links { prev, next } = links;
        self.set_next(chain, prev, next);
        self.set_prev(chain, next, prev);
        if prev == next {
            // Only the end can be on both sides of a slot, so it was the list's last.
            if let Target::End(list) = prev.target() {
                self.occupied[list / PER_ROW] &= !bit(list);
            }
        }
    }

    /// Moves all slots of `from` to the front of `onto`, in their order.
    pub(crate) fn prepend(&mut self, chain: &mut impl Chain, from: usize, onto: usize) {
        if self.first(from).is_none() {
            return;
        }
        let Links { prev: last, next: first } =
            std::mem::replace(&mut self.ends[from], Links::empty(from));
        let follower = self.ends[onto].next;
        self.set_next(chain, last, follower);
        self.set_prev(chain, follower, last);
        self.set_prev(chain, first, Link::end(onto));
        self.ends[onto].next = first;
        self.occupied[from / PER_ROW] &= !bit(from);
        self.occupied[onto / PER_ROW] |= bit(onto);
    }

    /// How many lists after `from`, going round the row, the first one that is not empty is.
    pub(crate) fn distance(&self, row: usize, from: u32) -> Option<u32> {
        let ahead = self.occupied[row].rotate_right(from);
        (ahead != 0).then(|| ahead.trailing_zeros())
    }

    /// How many lists after `from`, going round all rows, the first one that is not empty is.
    pub(crate) fn distance_in_all(&self, from: usize) -> Option<usize> {
        let (row, within) = (from / PER_ROW, from % PER_ROW);
        let ahead = |rows: usize| match rows {
            0 => self.occupied[row] >> within << within,
            // The first row again: what it has from `from` on was asked for at first.
            rows => self.occupied[(row + rows) % ROWS],
        };
        let rows = (0..=ROWS).find(|&rows| ahead(rows) != 0)?;
        Some(rows * PER_ROW + ahead(rows).trailing_zeros() as usize - within)
    }

    fn set_next(&mut self, chain: &mut impl Chain, of: Link, to: Link) {
        match of.target() {
            Target::Slot(slot) => chain.change_links(slot, |links| links.next = to),
            Target::End(list) => self.ends[list].next = to,
        }
    }

    fn set_prev(&mut self, chain: &mut impl Chain, of: Link, to: Link) {
        match of.target() {
            Target::Slot(slot) => chain.change_links(slot, |links| links.prev = to),
            Target::End(list) => self.ends[list].prev = to,
        }
    }
}

#[cfg(any(test, cache_fuzz))]
impl<const ROWS: usize> Lists<ROWS> {
    /// Walks every list both ways, checks its links and its bit, and returns each slot with its
    /// list, front to back.
    pub(crate) fn validate(&self, chain: &impl Chain) -> Vec<(usize, Slot)> {
        let linked = chain.linked();
        let mut members = Vec::new();
        for list in 0..self.ends.len() {
            let before = members.len();
            let mut previous = Link::end(list);
            for slot in self.walk(chain, list) {
                let links = chain.links(slot);
                assert!(
                    links.prev == previous,
                    "slot {slot}: the link back is wrong in list {list}"
                );
                assert!(members.len() < linked, "list {list} runs in a circle");
                previous = Link::slot(slot);
                members.push((list, slot));
            }
            assert!(self.ends[list].prev == previous, "list {list}: the last slot is wrong");
            let marked = self.occupied[list / PER_ROW] & bit(list) != 0;
            assert_eq!(marked, members.len() > before, "list {list}: the occupancy bit is wrong");
        }
        assert_eq!(linked, members.len(), "a slot is linked and in no list");
        members
    }

    fn walk(&self, chain: &impl Chain, list: usize) -> impl Iterator<Item = Slot> {
        std::iter::successors(self.first(list), move |&slot| {
            match chain.links(slot).next.target() {
                Target::Slot(next) => Some(next),
                Target::End(end) => {
                    assert_eq!(end, list, "slot {slot} ends a list that does not hold it");
                    None
                }
            }
        })
    }
}

/// The neighbours of a slot in its list, or of an end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Links {
    prev: Link,
    next: Link,
}

impl Links {
    /// Those of a slot in no list.
    pub(crate) const DETACHED: Self = Self { prev: Link::NOWHERE, next: Link::NOWHERE };

    fn empty(list: usize) -> Self {
        Self { prev: Link::end(list), next: Link::end(list) }
    }
}

/// A slot, the end of a list, or nowhere. Never zero: the niche holds the slab's mark of a vacant
/// slot.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(NonZeroU32);

enum Target {
    Slot(Slot),
    End(usize),
}

/// Slots are below, ends of lists from here on.
const FIRST_END: u32 = u32::MAX - 1024;

impl Link {
    const NOWHERE: Self = Self(NonZeroU32::MAX);

    fn slot(slot: Slot) -> Self {
        Self(NonZeroU32::MIN.saturating_add(slot))
    }

    fn end(list: usize) -> Self {
        Self::slot(FIRST_END + list as u32)
    }

    fn target(self) -> Target {
        match self.0.get() - 1 {
            slot if slot < FIRST_END => Target::Slot(slot),
            end => Target::End((end - FIRST_END) as usize),
        }
    }
}

/// The slot of a key.
///
/// # Panics
///
/// When the store holds more entries than links can name, about four billion.
pub(crate) fn slot_of(key: usize) -> Slot {
    assert!(key < FIRST_END as usize, "a shard holds at most {FIRST_END} entries");
    key as Slot
}

fn bit(list: usize) -> u64 {
    1 << (list % PER_ROW)
}
