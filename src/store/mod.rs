//! The store: the shard's private map from slots to residents, which knows whom to evict and who
//! has expired.
//!
//! 1. [`list`]: what a node is, and the lists of slots.
//! 2. [`policy`]: who is evicted next.
//! 3. [`wheel`]: who expires next.
//! 4. [`members`]: which entries belong together, for who asks the store to keep that.
//! 5. [`segments`]: where the nodes are, and how their memory comes and goes.
//! 6. [`mod@column`]: what only some stores keep of an entry.
//!
//! *Owns* the nodes, their weights, their order of eviction and their timers. *Does not know* keys,
//! values, scopes, other threads or a clock: a resident is a [`Copy`] handle, time is an argument,
//! and a hit tells the store nothing until it looks at the resident's stamp.
//!
//! *Invariants:* every node is in the policy's order; of a node whose resident has a deadline the
//! group is on the wheel; `weight` is the sum of `weights` over all nodes.

mod column;
mod list;
mod members;
pub(crate) mod policy;
mod segments;
mod wheel;

#[cfg(any(test, cache_fuzz))]
#[path = "tests/oracle.rs"]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;

use column::Column;
use list::Nodes;
pub(crate) use members::{Members, Roll};
use policy::{Lru, Policy};
pub(crate) use segments::{Segment, Segments};
use wheel::Wheel;

/// Index of a resident in the store; reused after `remove`.
pub(crate) type Slot = u32;

/// A recency stamp. Small because every entry carries one; compared by age, never by value.
pub(crate) type Tick = u16;

/// What the store keeps of an entry.
pub(crate) trait Resident: Copy {
    /// The tick of the latest read, at first the tick of insertion: [`Store::tick`] as it is just
    /// before the resident is inserted, for a later one looks like a read.
    fn stamp(&self) -> Tick;

    /// Nanoseconds since the cache's origin at which the entry expires as things stand, `u64::MAX`
    /// for never. It may move later between two calls, never earlier.
    fn deadline(&self) -> u64;
}

/// Residents by slot, in order of eviction and of expiry.
pub(crate) struct Store<R: Resident> {
    nodes: Nodes<R>,
    policy: Lru,
    wheel: Wheel,
    /// Of the slots in use; where entries weigh one each, it has no memory.
    weights: Column<u32>,
    weight: u64,
    vacated: Option<Segment>,
}

impl<R: Resident> Store<R> {
    /// An empty store whose tick advances every `tick_every` insertions; without a number, with the number of
    /// residents. Replacements count too, but less, see [`policy`]. Allocates nothing.
    pub(crate) fn new(tick_every: Option<u32>) -> Self {
        Self {
            nodes: Nodes::new(),
            policy: Lru::new(tick_every),
            wheel: Wheel::new(),
            weights: Column::new(1),
            weight: 0,
            vacated: None,
        }
    }

    /// From now on the tick advances with the number of residents, whatever was said before.
    pub(crate) fn forget_capacity(&mut self) {
        self.policy.forget_capacity();
    }

    /// Adds a resident as the most recent one.
    pub(crate) fn insert(&mut self, resident: R, weight: u32) -> Slot {
        let slot = self.policy.insert(&mut self.nodes, resident);
        self.wheel.schedule(slot, resident.deadline());
        self.weights.set(slot, weight);
        self.weight += u64::from(weight);
        slot
    }

    /// Puts a new resident in the place of an old one, which it returns. It counts as the most recent one
    /// once it has the stamp of its [`birth`](Self::birth).
    ///
    /// Touches no neighbours in any order: policy and wheel find out when they look at the slot.
    pub(crate) fn replace(&mut self, slot: Slot, resident: R, weight: u32) -> R {
        let old_weight = self.weights.get(slot);
        self.weight += u64::from(weight);
        self.weight -= u64::from(old_weight);
        self.weights.set(slot, weight);
        let old = std::mem::replace(&mut self.nodes[slot].resident, resident);
        self.policy.replace(&mut self.nodes, weight > old_weight);
        self.wheel.schedule(slot, resident.deadline());
        old
    }

    /// Takes a resident out.
    pub(crate) fn remove(&mut self, slot: Slot) -> R {
        self.weight -= u64::from(self.weights.get(slot));
        let (resident, vacated) = self.policy.remove(&mut self.nodes, slot);
        self.wheel.cancel(slot, &self.nodes);
        self.vacated = vacated;
        if let Some(segment) = vacated {
            self.weights.vacate(segment);
            self.wheel.vacate(segment);
        }
        resident
    }

    /// The segment whose memory the latest removal gave back, if it did: whoever keeps something for its slots
    /// can do the same.
    #[inline]
    pub(crate) fn vacated(&self) -> Option<Segment> {
        self.vacated
    }

    /// Whom the policy would evict next. It stays in the store.
    ///
    /// Amortised constant time: entries that were read since they were last looked at are moved on
    /// the way, each at most once per tick.
    pub(crate) fn victim(&mut self) -> Option<Slot> {
        self.policy.victim(&mut self.nodes)
    }

    /// A resident whose deadline is not after `now`, at most two timer ticks late. It stays in the
    /// store, and is the answer again, or a neighbour is, until it is removed or replaced.
    ///
    /// Looking at a resident costs one unit of `budget`, whether it has expired or its timer only
    /// moves on. At zero the answer is `None`, and [`more_due`](Self::more_due) says whether that
    /// was too early.
    pub(crate) fn next_expired(&mut self, now: u64, budget: &mut u32) -> Option<Slot> {
        self.wheel.next_expired(&self.nodes, now, budget)
    }

    /// Whether an exhausted budget left timers that were due at the `now` of the latest
    /// `next_expired`.
    pub(crate) fn more_due(&self) -> bool {
        self.wheel.more_due()
    }

    /// When `next_expired` must be called again at the latest, in nanoseconds; `None` while nothing
    /// can expire.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        self.wheel.next_timer()
    }

    /// The stamp that a reader leaves in an entry now.
    pub(crate) fn tick(&self) -> Tick {
        self.policy.tick()
    }

    /// The stamp that an entry has when it was just written.
    pub(crate) fn birth(&self) -> Tick {
        self.policy.birth()
    }

    /// The resident of a slot, if it is occupied.
    pub(crate) fn at(&self, slot: Slot) -> Option<R> {
        self.nodes.get(slot).map(|node| node.resident)
    }

    /// Every slot in use is below this one, which may sink when a resident is removed.
    pub(crate) fn slots(&self) -> Slot {
        self.nodes.end()
    }

    /// The weight with which the resident was inserted.
    pub(crate) fn weight_of(&self, slot: Slot) -> u32 {
        self.weights.get(slot)
    }

    /// How many residents there are.
    pub(crate) fn len(&self) -> u64 {
        self.nodes.len() as u64
    }

    /// The sum of all weights.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// All residents, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, R)> {
        self.nodes.iter().map(|(slot, node)| (slot, node.resident))
    }

    /// Walks every list, recomputes every counter and panics with what is wrong.
    #[cfg(any(test, cache_fuzz))]
    pub(crate) fn validate(&self) {
        let weight: u64 = self.iter().map(|(slot, _)| u64::from(self.weight_of(slot))).sum();
        assert_eq!(self.weight, weight, "the total weight is not the sum of the weights");
        self.nodes.validate();
        self.weights.validate(|segment| self.nodes.room_of(segment));
        self.policy.validate(&self.nodes);
        self.wheel.validate(&self.nodes);
    }
}
