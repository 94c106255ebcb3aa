//! Values by slot, in segments that are made when they are needed and given back when nothing is in them.
//!
//! Each segment is a [`Slab`] that grows by what all have until it has its full size. So no more than one segment is
//! ever copied to grow, and what a crowd took is given back when it has left, however many stay elsewhere. What comes
//! fills one segment after the other, each time the lowest with room, so that what stays crowds together; where all
//! are nearly full it takes the place that was left last, which the processor still has at hand.
//!
//! *Owns* the values. *Does not know* what they are, nor what else is kept of a slot: that is in a
//! [`Column`](super::column::Column).
//!
//! *Invariants:* a bit of `roomy` is set exactly when its segment is not full; no word below `from` has one;
//! `len` is the sum of the segments'; the last segment has memory, and of those that are empty only the spare one.

use std::ops::{Index, IndexMut};

use slab::Slab;

use super::Slot;
use super::list::slot_of;

/// Slots of a segment. Small ones are empty sooner, but each is a place in the list of them.
pub(crate) const SLOTS: usize = 1 << BITS;
const BITS: u32 = if cfg!(any(test, cache_fuzz)) { 5 } else { 10 };

/// The number of a segment.
pub(crate) type Segment = usize;

/// A slab in segments.
pub(crate) struct Segments<T> {
    segments: Vec<Slab<T>>,
    roomy: Vec<u64>,
    from: usize,
    len: usize,
    /// Where the next value goes, unless it is full.
    open: Segment,
    /// The segment that was left in place when it became empty, lest one that is emptied and filled by turns is
    /// made each time. It may have been filled since.
    spare: Segment,
}

impl<T> Segments<T> {
    /// No segments. Allocates nothing.
    pub(crate) const fn new() -> Self {
        Self { segments: Vec::new(), roomy: Vec::new(), from: 0, len: 0, open: 0, spare: 0 }
    }

    /// Puts a value where there is room.
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Slot {
        let has_room = |segment: &Slab<T>| segment.len() < segment.capacity();
        if !self.segments.get(self.open).is_some_and(has_room) {
            self.make_room();
        }
        let at = self.open;
        let segment = &mut self.segments[at];
        let within = segment.insert(value);
        if segment.len() == SLOTS {
            self.roomy[at / WORD] &= !bit(at);
        }
        self.len += 1;
        slot_of(at * SLOTS + within)
    }

    /// Takes the value of a slot out, and says which segment had its memory given back, if one had.
    ///
    /// # Panics
    ///
    /// When the slot is not in use.
    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot) -> (T, Option<Segment>) {
        let (at, within) = place(slot);
        let segment = &mut self.segments[at];
        let value = segment.remove(within);
        self.len -= 1;
        match segment.len() {
            0 => (value, self.give_back(at)),
            len => {
                if len == SLOTS - 1 {
                    self.reopen(at);
                }
                (value, None)
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        let (at, within) = place(slot);
        self.segments.get(at)?.get(within)
    }

    /// How many slots are in use.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Every slot in use is below this one.
    pub(crate) fn end(&self) -> Slot {
        let Some((last, below)) = self.segments.split_last() else { return 0 };
        slot_of(below.len() * SLOTS + last.capacity())
    }

    /// All values with their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.segments.iter().enumerate().flat_map(|(at, segment)| {
            segment.iter().map(move |(within, value)| (slot_of(at * SLOTS + within), value))
        })
    }

    /// Opens the lowest segment with room, which is made or grows if need be.
    fn make_room(&mut self) {
        self.open = self.first_with_room();
        let segment = &mut self.segments[self.open];
        if segment.len() == segment.capacity() {
            segment.reserve_exact(growth(self.len).min(SLOTS - segment.len()));
        }
    }

    fn first_with_room(&mut self) -> Segment {
        while let Some(word) = self.roomy.get(self.from) {
            if *word != 0 {
                return self.from * WORD + word.trailing_zeros() as usize;
            }
            self.from += 1;
        }
        let at = self.segments.len();
        self.segments.push(Slab::new());
        if at / WORD == self.roomy.len() {
            self.roomy.push(0);
        }
        self.roomy[at / WORD] |= bit(at);
        self.from = at / WORD;
        at
    }

    /// Notes that a segment that was full has room.
    fn reopen(&mut self, at: Segment) {
        self.roomy[at / WORD] |= bit(at);
        self.from = self.from.min(at / WORD);
        // Where room is scarce nothing will be empty soon, and the place that was touched last is at hand.
        let is_scarce = self.segments.len() * SLOTS - self.len < self.len / 8;
        if at < self.open || is_scarce {
            self.open = at;
        }
    }

    /// Gives the memory of a segment back, unless there is no spare one: that of this or the spare one, whichever is
    /// higher.
    #[cold]
    fn give_back(&mut self, emptied: Segment) -> Option<Segment> {
        let spare = std::mem::replace(&mut self.spare, emptied);
        if spare == emptied || !self.segments.get(spare).is_some_and(Slab::is_empty) {
            return None;
        }
        self.spare = spare.min(emptied);
        let vacated = spare.max(emptied);
        self.segments[vacated] = Slab::new();
        while self.segments.last().is_some_and(|last| last.capacity() == 0) {
            self.segments.pop();
            let at = self.segments.len();
            self.roomy[at / WORD] &= !bit(at);
        }
        if self.segments.capacity() > 8 + self.segments.len() * 4 {
            self.segments.shrink_to(self.segments.len() * 2);
            self.roomy.truncate(self.segments.len().div_ceil(WORD));
            self.roomy.shrink_to_fit();
        }
        Some(vacated)
    }
}

impl<T> Index<Slot> for Segments<T> {
    type Output = T;

    #[inline]
    fn index(&self, slot: Slot) -> &T {
        let (at, within) = place(slot);
        &self.segments[at][within]
    }
}

impl<T> IndexMut<Slot> for Segments<T> {
    #[inline]
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        let (at, within) = place(slot);
        &mut self.segments[at][within]
    }
}

#[cfg(any(test, cache_fuzz))]
impl<T> Segments<T> {
    /// How many slots have memory.
    pub(crate) fn room(&self) -> usize {
        self.segments.iter().map(Slab::capacity).sum()
    }

    /// How many slots of a segment have memory.
    pub(crate) fn room_of(&self, segment: Segment) -> usize {
        self.segments.get(segment).map_or(0, Slab::capacity)
    }

    /// Recomputes every counter and panics with what is wrong.
    pub(crate) fn validate(&self) {
        let len: usize = self.segments.iter().map(Slab::len).sum();
        assert_eq!(self.len, len, "the length is not the sum of the lengths");
        for at in 0..self.roomy.len() * WORD {
            let has_room = self.segments.get(at).is_some_and(|segment| segment.len() < SLOTS);
            let marked = self.roomy[at / WORD] & bit(at) != 0;
            assert_eq!(marked, has_room, "segment {at}: the bit of its room is wrong");
        }
        assert!(self.segments.len() <= self.roomy.len() * WORD, "a segment has no bit");
        let below = self.roomy.iter().take(self.from);
        assert!(below.copied().all(|word| word == 0), "there is room below the hint");
        for (at, segment) in self.segments.iter().enumerate() {
            assert!(segment.capacity() <= SLOTS, "segment {at} is too large");
            let may_have_memory = !segment.is_empty() || self.spare == at;
            assert!(may_have_memory || segment.capacity() == 0, "segment {at} keeps its memory");
        }
        let last = self.segments.last();
        assert!(last.is_none_or(|last| last.capacity() > 0), "the last segment has no memory");
    }
}

const WORD: usize = u64::BITS as usize;

fn bit(segment: usize) -> u64 {
    1 << (segment % WORD)
}

/// The segment of a slot, and its place within.
#[inline]
pub(crate) fn place(slot: Slot) -> (usize, usize) {
    ((slot >> BITS) as usize, slot as usize % SLOTS)
}

/// By how many places what is full should grow when it holds `full` values: by an eighth. Doubling
/// leaves up to half of the memory empty; this leaves a ninth, and copies at most eight values for each
/// one that comes.
pub(crate) fn growth(full: usize) -> usize {
    (full / 8).max(16)
}
