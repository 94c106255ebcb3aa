//! The store's nodes and the doubly linked lists threaded through them.
//!
//! *Owns* the links of every node and the ends of every list. *Does not know* what an order means:
//! [`policy`](super::policy) orders nodes by recency, [`wheel`](super::wheel) by time.
//!
//! A node takes part in two lists at once, one per chain. A list is circular through its end, and
//! an end is a link like any other: its number lies above all slots. So a node is unlinked without
//! knowing which list holds it, and two lists are joined in constant time without visiting their
//! nodes.
//!
//! *Invariants:* a bit of `occupied` is set exactly when its list has a node; a node is in at most
//! one list of each chain.

use std::num::NonZeroU32;

use slab::Slab;

use super::{Slot, Tick};

/// The chain the eviction policy orders.
pub(crate) const RECENCY: usize = 0;

/// The chain the timer wheel orders.
pub(crate) const TIMER: usize = 1;

/// Lists in a row, one for each bit of its occupancy word.
pub(crate) const PER_ROW: usize = 64;

/// All nodes of a store.
pub(crate) type Nodes<R> = Slab<Node<R>>;

/// What the store keeps for one resident: 32 bytes when the resident is a pointer.
pub(crate) struct Node<R> {
    pub(crate) resident: R,
    pub(crate) weight: u32,
    /// The recency tick under which the policy last linked this node.
    pub(crate) linked: Tick,
    chains: [Links; 2],
}

impl<R> Node<R> {
    /// A node in no list.
    pub(crate) fn new(resident: R, weight: u32) -> Self {
        Self { resident, weight, linked: 0, chains: [Links::DETACHED; 2] }
    }
}

/// `ROWS` times 64 lists of one chain, with a bitmap of those that are not empty.
pub(crate) struct Lists<const CHAIN: usize, const ROWS: usize> {
    /// `next` is the first node of a list, `prev` its last. Allocated by the first `push`.
    ends: Vec<Links>,
    occupied: [u64; ROWS],
}

impl<const CHAIN: usize, const ROWS: usize> Lists<CHAIN, ROWS> {
    pub(crate) const fn new() -> Self {
        Self { ends: Vec::new(), occupied: [0; ROWS] }
    }

    /// The node at the front of `list`.
    pub(crate) fn first(&self, list: usize) -> Option<Slot> {
        match self.ends.get(list)?.next.target() {
            Target::Node(slot) => Some(slot),
            Target::End(_) => None,
        }
    }

    /// Links a node that is in no list of this chain at the back of `list`.
    pub(crate) fn push<R>(&mut self, nodes: &mut Nodes<R>, list: usize, slot: Slot) {
        if self.ends.is_empty() {
            self.ends = (0..ROWS * PER_ROW).map(Links::empty).collect();
        }
        let last = self.ends[list].prev;
        nodes[slot as usize].chains[CHAIN] = Links { prev: last, next: Link::end(list) };
        self.set_next(nodes, last, Link::node(slot));
        self.ends[list].prev = Link::node(slot);
        self.occupied[list / PER_ROW] |= bit(list);
    }

    /// Takes a node out of whichever list of this chain holds it, if any does.
    pub(crate) fn unlink<R>(&mut self, nodes: &mut Nodes<R>, slot: Slot) {
        let Links { prev, next } =
            std::mem::replace(&mut nodes[slot as usize].chains[CHAIN], Links::DETACHED);
        if prev == Link::NOWHERE {
            return;
        }
        self.set_next(nodes, prev, next);
        self.set_prev(nodes, next, prev);
        if prev == next {
            // Only the end can be on both sides of a node, so it was the list's last.
            if let Target::End(list) = prev.target() {
                self.occupied[list / PER_ROW] &= !bit(list);
            }
        }
    }

    /// Moves all nodes of `from` to the front of `onto`, in their order.
    pub(crate) fn prepend<R>(&mut self, nodes: &mut Nodes<R>, from: usize, onto: usize) {
        if self.first(from).is_none() {
            return;
        }
        let Links { prev: last, next: first } =
            std::mem::replace(&mut self.ends[from], Links::empty(from));
        let follower = self.ends[onto].next;
        self.set_next(nodes, last, follower);
        self.set_prev(nodes, follower, last);
        self.set_prev(nodes, first, Link::end(onto));
        self.ends[onto].next = first;
        self.occupied[from / PER_ROW] &= !bit(from);
        self.occupied[onto / PER_ROW] |= bit(onto);
    }

    /// How many lists after `from`, going round the row, the first one with a node is.
    pub(crate) fn distance(&self, row: usize, from: u32) -> Option<u32> {
        let ahead = self.occupied[row].rotate_right(from);
        (ahead != 0).then(|| ahead.trailing_zeros())
    }

    fn set_next<R>(&mut self, nodes: &mut Nodes<R>, of: Link, to: Link) {
        match of.target() {
            Target::Node(slot) => nodes[slot as usize].chains[CHAIN].next = to,
            Target::End(list) => self.ends[list].next = to,
        }
    }

    fn set_prev<R>(&mut self, nodes: &mut Nodes<R>, of: Link, to: Link) {
        match of.target() {
            Target::Node(slot) => nodes[slot as usize].chains[CHAIN].prev = to,
            Target::End(list) => self.ends[list].prev = to,
        }
    }
}

#[cfg(any(test, fuzzing))]
impl<const CHAIN: usize, const ROWS: usize> Lists<CHAIN, ROWS> {
    /// Walks every list both ways, checks its links and its bit, and returns each node with its
    /// list, front to back.
    pub(crate) fn validate<R>(&self, nodes: &Nodes<R>) -> Vec<(usize, Slot)> {
        let mut members = Vec::new();
        for list in 0..self.ends.len() {
            let before = members.len();
            let mut previous = Link::end(list);
            for slot in self.walk(nodes, list) {
                let links = nodes[slot as usize].chains[CHAIN];
                assert!(
                    links.prev == previous,
                    "slot {slot}: the link back is wrong in list {list}"
                );
                assert!(members.len() < nodes.len(), "list {list} runs in a circle");
                previous = Link::node(slot);
                members.push((list, slot));
            }
            assert!(self.ends[list].prev == previous, "list {list}: the last node is wrong");
            let marked = self.occupied[list / PER_ROW] & bit(list) != 0;
            assert_eq!(marked, members.len() > before, "list {list}: the occupancy bit is wrong");
        }
        let linked = nodes.iter().filter(|(_, n)| n.chains[CHAIN].prev != Link::NOWHERE).count();
        assert_eq!(linked, members.len(), "chain {CHAIN}: a node is linked and in no list");
        members
    }

    fn walk<R>(&self, nodes: &Nodes<R>, list: usize) -> impl Iterator<Item = Slot> {
        std::iter::successors(self.first(list), move |&slot| {
            match nodes[slot as usize].chains[CHAIN].next.target() {
                Target::Node(next) => Some(next),
                Target::End(end) => {
                    assert_eq!(end, list, "slot {slot} ends a list that does not hold it");
                    None
                }
            }
        })
    }
}

#[derive(Clone, Copy)]
struct Links {
    prev: Link,
    next: Link,
}

impl Links {
    const DETACHED: Self = Self { prev: Link::NOWHERE, next: Link::NOWHERE };

    fn empty(list: usize) -> Self {
        Self { prev: Link::end(list), next: Link::end(list) }
    }
}

/// A node, the end of a list, or nowhere. Never zero: the niche holds the slab's mark of a vacant
/// slot.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(NonZeroU32);

enum Target {
    Node(Slot),
    End(usize),
}

/// Slots are below, ends of lists from here on.
const FIRST_END: u32 = u32::MAX - 1024;

impl Link {
    const NOWHERE: Self = Self(NonZeroU32::MAX);

    fn node(slot: Slot) -> Self {
        Self(NonZeroU32::MIN.saturating_add(slot))
    }

    fn end(list: usize) -> Self {
        Self::node(FIRST_END + list as u32)
    }

    fn target(self) -> Target {
        match self.0.get() - 1 {
            slot if slot < FIRST_END => Target::Node(slot),
            end => Target::End((end - FIRST_END) as usize),
        }
    }
}

/// The slot of a slab key.
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
