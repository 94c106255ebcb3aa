//! The words that chains are made of: pointers to operations, ends of chains, and the mark of what has
//! left one. Layer: shard.

use super::entry::Op;
use crate::store::Slot;

/// The marks in a link word that are not pointers. Operations are at least 8-aligned, so a pointer's
/// low bits are zero.
const END: usize = 0b01;
const CUT: usize = 0b11;
const MARK: usize = 0b11;

/// What a link or a slot's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(pub(super) *mut Op);

impl Link {
    /// The end of a chain, or an empty slot: a version that no other fold of the shard has used.
    pub(super) fn end(version: u64) -> Self {
        Self(std::ptr::without_provenance_mut((version as usize) << 2 | END))
    }

    /// The mark of an entry that has left its chain and has (or has not) a slot in the store.
    pub(super) fn cut(slot: Option<Slot>) -> Self {
        let number = slot.map_or(0, |slot| slot as usize + 1);
        Self(std::ptr::without_provenance_mut(number << 2 | CUT))
    }

    /// Whether a slot with this head is empty. A head is never the mark of a cut, so that one bit tells.
    #[inline]
    pub(super) fn is_empty_head(self) -> bool {
        self.0.addr() & END != 0
    }

    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.0.addr() & MARK == END
    }

    #[inline]
    pub(super) fn is_cut(self) -> bool {
        self.0.addr() & MARK == CUT
    }
}
