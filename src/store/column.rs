//! A value for each slot, or each few, that costs nothing while all have the usual one.
//!
//! *Owns* the values of slots, in segments as the nodes are. *Does not know* which slots are occupied: whoever does
//! says when a segment has none.
//!
//! *Invariant:* slots above all of their segment that ever had another value, since it was last vacated, have no
//! memory here and the usual value.

use super::Slot;
use super::segments::{SLOTS, Segment, growth, place};

/// One `T` for every `1 << SHARED` slots, beside the nodes: what most stores need of no entry would cost all of them
/// if it were in the nodes.
pub(crate) struct Column<T, const SHARED: u32 = 0> {
    usual: T,
    segments: Vec<Vec<T>>,
}

impl<T: Copy + PartialEq, const SHARED: u32> Column<T, SHARED> {
    /// Values of a segment.
    const FULL: usize = SLOTS >> SHARED;

    /// A column in which every slot has the `usual` value. Allocates nothing.
    pub(crate) const fn new(usual: T) -> Self {
        Self { usual, segments: Vec::new() }
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> T {
        let (at, within) = Self::place(slot);
        let value = self.segments.get(at).and_then(|values| values.get(within));
        value.copied().unwrap_or(self.usual)
    }

    #[inline]
    pub(crate) fn set(&mut self, slot: Slot, value: T) {
        self.change(slot, |place| *place = value);
    }

    /// Has `change` make another value of what a slot has.
    #[inline]
    pub(crate) fn change<O>(&mut self, slot: Slot, change: impl FnOnce(&mut T) -> O) -> O {
        let (at, within) = Self::place(slot);
        match self.segments.get_mut(at).and_then(|values| values.get_mut(within)) {
            Some(place) => change(place),
            None => {
                let mut value = self.usual;
                let outcome = change(&mut value);
                if value != self.usual {
                    self.bring_in(at, within, value);
                }
                outcome
            }
        }
    }

    /// Whether every slot has the usual value for want of memory.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Gives the memory back of a segment of which no slot is in use any more.
    pub(crate) fn vacate(&mut self, segment: Segment) {
        if let Some(values) = self.segments.get_mut(segment) {
            *values = Vec::new();
        }
        while self.segments.last().is_some_and(|last| last.capacity() == 0) {
            self.segments.pop();
        }
        if self.segments.capacity() > 8 + self.segments.len() * 4 {
            self.segments.shrink_to(self.segments.len() * 2);
        }
    }

    /// The first value above all that have memory in their segment.
    fn bring_in(&mut self, at: Segment, within: usize, value: T) {
        if self.segments.len() <= at {
            self.segments.resize_with(at + 1, Vec::new);
        }
        let values = &mut self.segments[at];
        let missing = within + 1 - values.len();
        if values.capacity() - values.len() < missing {
            let more = growth(at * Self::FULL + values.len()).max(missing);
            values.reserve_exact(more.min(Self::FULL - values.len()));
        }
        values.resize(within, self.usual);
        values.push(value);
    }

    #[inline]
    fn place(slot: Slot) -> (Segment, usize) {
        let (at, within) = place(slot);
        (at, within >> SHARED)
    }
}

#[cfg(any(test, cache_fuzz))]
impl<T, const SHARED: u32> Column<T, SHARED> {
    /// What the slots have that have memory.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flatten()
    }

    /// How many slots there is memory for.
    pub(crate) fn room(&self) -> usize {
        self.segments.iter().map(|values| values.capacity() << SHARED).sum()
    }

    /// Holds that segments without memory in `nodes`, which tells the memory of each, have none here.
    pub(crate) fn validate(&self, nodes: impl Fn(Segment) -> usize) {
        for (at, values) in self.segments.iter().enumerate() {
            assert!(values.capacity() <= SLOTS >> SHARED, "segment {at} is too large");
            assert!(values.capacity() == 0 || nodes(at) > 0, "segment {at} keeps its memory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::segments::SLOTS;
    use super::Column;

    #[test]
    fn a_column_grows_by_an_eighth_and_when_it_is_full_up_to_a_segment() {
        let mut column = <Column<_>>::new(1);
        for slot in 0..5000 {
            let full = slot as usize;
            let room = column.room();
            column.set(slot, 2);
            let more = (full / 8).max(16).min(SLOTS - full % SLOTS);
            let more = if full == room { more } else { 0 };
            assert_eq!(column.room(), room + more, "{full} values had room for {room}");
        }
        column.set(100_000, 2);
        assert_eq!([column.get(4999), column.get(5000), column.get(100_000)], [2, 1, 2]);
        assert!(column.room() <= 5000 + 2 * SLOTS, "what lies between has no memory");
    }

    #[test]
    fn a_vacated_segment_has_no_memory_and_usual_values() {
        let slots = 20 * SLOTS as u32;
        let mut column = <Column<_>>::new(1);
        (0..slots).for_each(|slot| column.set(slot, 2));
        column.vacate(3);
        assert_eq!(column.room(), 19 * SLOTS);
        let usual: Vec<u32> = (0..slots).filter(|slot| column.get(*slot) == 1).collect();
        assert_eq!(usual, (3 * SLOTS as u32..4 * SLOTS as u32).collect::<Vec<_>>());
        (4..40).for_each(|segment| column.vacate(segment));
        assert_eq!((column.room(), column.segments.len()), (3 * SLOTS, 3));
        (0..3).for_each(|segment| column.vacate(segment));
        assert_eq!((column.room(), column.segments.len()), (0, 0));
        assert!(column.segments.capacity() <= 8, "the list of segments is short, too");
    }

    #[test]
    fn neighbours_that_share_have_one_value_and_an_eighth_of_the_memory() {
        let mut column = Column::<u8, 3>::new(0);
        column.set(2 * SLOTS as u32 - 1, 5);
        let (first, last) = (2 * SLOTS as u32 - 8, 2 * SLOTS as u32 - 1);
        assert!((first..=last).all(|slot| column.get(slot) == 5));
        assert_eq!([column.get(first - 1), column.get(last + 1)], [0, 0]);
        assert_eq!((column.values().count(), column.room()), (SLOTS / 8, SLOTS));
        column.vacate(1);
        assert_eq!((column.get(first), column.room()), (0, 0));
    }
}
