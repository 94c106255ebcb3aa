//! The header that every operation in a pending chain begins with.
//!
//! Sixteen bytes: what a chain needs, and whatever small thing of an entry fits beside it. Layer: shard.

use super::state::State;
use crate::sync::tally;
use crate::sync::{AtomicPtr, AtomicU8};

/// What every operation in a pending chain begins with.
#[repr(C)]
pub(crate) struct Op {
    pub(super) link: AtomicPtr<Op>,
    /// The part of the key's hash that a shard needs.
    pub(super) hash: u32,
    /// The shard's tick of the latest read (recency), see `store::policy`. Of use in an entry only.
    pub(super) tick: tally::AtomicU16,
    /// The kind in the low bits, then whether it is mortal, in the others the depth.
    form: tally::AtomicU8,
    /// Of use in an entry only.
    pub(super) state: AtomicU8,
}

/// What follows the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// An [`Entry`](super::entry::Entry) that replaces what its key had.
    Write,
    /// A [`Flight`](super::flight::Flight): a load, running or finished.
    Load,
    /// A [`Farewell`](super::entry::Farewell): an entry was removed and must be taken out.
    Removal,
    /// Nothing; stands between the head and unfinished loads after a fold, so that a head that was
    /// seen before never comes back.
    Base,
}

const KINDS: [Kind; 4] = [Kind::Write, Kind::Load, Kind::Removal, Kind::Base];
const KIND: u8 = 0b011;
const MORTAL: u8 = 0b100;
const DEPTH_SHIFT: u32 = 3;

impl Op {
    /// The largest depth that a header can tell; what is deeper is told as this.
    pub(super) const MAX_DEPTH: u8 = u8::MAX >> DEPTH_SHIFT;

    pub(super) fn new(kind: Kind, hash: u32, state: State) -> Self {
        Self {
            link: AtomicPtr::new(std::ptr::null_mut()),
            hash,
            tick: tally::AtomicU16::new(0),
            form: tally::AtomicU8::new(kind as u8),
            state: AtomicU8::new(state as u8),
        }
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        // Relaxed: never changes after the header was made.
        KINDS[usize::from(self.form.load(tally::Ordering::Relaxed) & KIND)]
    }

    /// The same header, of an entry that can expire.
    pub(super) fn of_mortal(self) -> Self {
        let form = tally::AtomicU8::new(self.form.into_inner() | MORTAL);
        Self { form, ..self }
    }

    /// Whether it is the header of an entry that can expire.
    #[inline]
    pub(super) fn is_mortal(&self) -> bool {
        // Relaxed: never changes after the header was made.
        self.form.load(tally::Ordering::Relaxed) & MORTAL != 0
    }

    /// How many operations that a fold can take hang from here on, this one included.
    pub(super) fn depth(&self) -> u8 {
        // Relaxed: a bound on waste, not a protocol.
        self.form.load(tally::Ordering::Relaxed) >> DEPTH_SHIFT
    }

    /// Notes the depth. Only whoever may write the link calls it.
    pub(super) fn set_depth(&self, depth: u8) {
        // Relaxed: what stays of it never changes.
        let form = self.form.load(tally::Ordering::Relaxed) & (KIND | MORTAL);
        // Relaxed: published with the link, or a bound on waste.
        self.form.store(form | depth.min(Self::MAX_DEPTH) << DEPTH_SHIFT, tally::Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Op;
    use crate::shard::entry::{Entry, State};

    #[test]
    fn a_depth_leaves_the_rest_alone_and_ends_at_its_maximum() {
        for kind in super::KINDS {
            let plain = Op::new(kind, 7, State::Void);
            let mortal = Op::new(kind, 7, State::Void).of_mortal();
            for (set, told) in [(0, 0), (30, 30), (Op::MAX_DEPTH, 31), (32, 31), (u8::MAX, 31)] {
                plain.set_depth(set);
                mortal.set_depth(set);
                assert_eq!((plain.kind(), plain.is_mortal(), plain.depth()), (kind, false, told));
                assert_eq!((mortal.kind(), mortal.is_mortal(), mortal.depth()), (kind, true, told));
            }
        }
    }

    /// What a cached pair costs beside key and value, before index and store add theirs.
    #[test]
    fn an_entry_that_cannot_expire_adds_three_words() {
        assert_eq!(std::mem::size_of::<Entry<u64, u64>>(), 16 + 3 * 8);
    }
}
