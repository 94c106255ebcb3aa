//! The words that chains are made of: pointers to operations, ends of chains, and the mark of what has
//! left one. Layer: shard.

use super::entry::Op;
use super::hash::FREE_BITS;
use crate::store::Slot;

/// The marks in a link word that are not pointers, whose low bits are zero.
const END: usize = 0b01;
const CUT: usize = 0b11;
const MARK: usize = 0b11;
const _: () = assert!(align_of::<Op>() > MARK);

/// What a slot's head says: where its chain begins, and above that in the same word which hashes may be
/// in the chain. So a reader whose key has nothing in flight does not walk what others have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head(pub(super) *mut Op);

/// Bits that pointers of the platform leave free: x86-64 and AArch64 give programs 48 bits of address
/// unless they ask for more.
const FILTER_SHIFT: u32 = 48;
/// Bits of the filter. One says as much as none: in models every walk is walked.
const FILTER_BITS: u32 = match () {
    () if cfg!(any(cache_loom, cache_shuttle)) => 1,
    () if cfg!(not(target_pointer_width = "64")) => 0,
    () if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) => 16,
    () => 0,
};

/// The bits of a head that are its address.
const ADDRESS: usize = match 1_usize.checked_shl(FILTER_SHIFT) {
    Some(bit) => bit - 1,
    None => usize::MAX,
};

/// Which hashes may be in a chain.
#[derive(Clone, Copy, Default)]
pub(super) struct Filter(usize);

impl Filter {
    pub(super) fn with(self, hash: u32) -> Self {
        Self(self.0 | bit(hash).map_or(0, |bit| 1 << bit))
    }
}

/// Which bit of a filter stands for a hash, if there are filters.
#[inline]
fn bit(hash: u32) -> Option<u32> {
    let number = (hash >> FREE_BITS.count_ones()).checked_rem(FILTER_BITS)?;
    Some(FILTER_SHIFT + number)
}

impl Head {
    /// The head of a chain that has operations of these hashes only, or that of an empty slot.
    ///
    /// # Panics
    ///
    /// If the platform uses the bits of an address that the filter is kept in.
    pub(super) fn new(link: Link, filter: Filter) -> Self {
        if FILTER_BITS == 0 || link.is_end() {
            return Self(link.0);
        }
        let taken = link.0.addr() & !ADDRESS;
        assert!(taken == 0, "an address of more than {FILTER_SHIFT} bits: the filter has no room");
        Self(link.0.map_addr(|at| at | filter.0))
    }

    /// Where the chain begins.
    #[inline]
    pub(super) fn link(self) -> Link {
        if FILTER_BITS == 0 || Link(self.0).is_end() {
            return Link(self.0);
        }
        Link(self.0.map_addr(|at| at & ADDRESS))
    }

    /// Which hashes may be in the chain.
    pub(super) fn filter(self) -> Filter {
        if FILTER_BITS == 0 || Link(self.0).is_end() {
            return Filter::default();
        }
        Filter(self.0.addr() & !ADDRESS)
    }

    /// Whether the chain may have an operation of that hash. An empty slot may seem to, once its version is so
    /// great that it reaches the filter's bits: the walk then finds nothing.
    #[inline]
    pub(super) fn may_hold(self, hash: u32) -> bool {
        match bit(hash) {
            Some(bit) => self.0.addr().wrapping_shr(bit) & 1 != 0,
            None => !Link(self.0).is_end(),
        }
    }
}

/// What a link says.
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

    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.0.addr() & MARK == END
    }

    #[inline]
    pub(super) fn is_cut(self) -> bool {
        self.0.addr() & MARK == CUT
    }
}

#[cfg(test)]
mod tests {
    use super::{FILTER_BITS, FREE_BITS, Filter, Head, Link};
    use crate::shard::hash::KeyHash;

    #[test]
    fn a_head_tells_which_hashes_may_be_below_and_where_the_chain_begins() {
        let op = std::ptr::without_provenance_mut(0x7fff_ffff_fff8);
        let hashes: Vec<u32> = (0..64_u64).map(|n| KeyHash(n * 0x9E37_79B9).local()).collect();
        for &in_chain in &hashes {
            let head = Head::new(Link(op), Filter::default().with(in_chain));
            assert_eq!(head.link(), Link(op));
            assert!(head.may_hold(in_chain));
            let others = hashes.iter().filter(|&&hash| head.may_hold(hash)).count();
            assert!(FILTER_BITS < 16 || others < 16, "{others} of 64 pass the filter of one");
        }
    }

    #[test]
    fn an_empty_slot_holds_nothing_whatever_its_version() {
        for version in [0, (1 << 46) - 1, 1 << 46, (1 << 62) - 1] {
            let head = Head::new(Link::end(version), Filter::default().with(0));
            assert_eq!(head.link(), Link::end(version));
            assert!(head.link().is_end());
            assert_eq!(head.filter().0, 0, "a version is no filter");
            let seems = (0..64).any(|hash| head.may_hold(hash << FREE_BITS.count_ones()));
            assert_eq!(seems, FILTER_BITS > 0 && version >= 1 << 46, "walked in vain");
        }
    }
}
