//! Memory of what was freed, on its way back to the threads that allocate.
//!
//! What one thread allocates and another frees costs an allocator more than what one thread keeps: it
//! must find the arena again, and lock it. A ring of blocks that one thread fills and any thread takes
//! from saves both. It is a convenience only: whoever finds no block allocates, and a block that finds no place is
//! freed. So nobody waits, and no order is relied upon but that of the swap that hands a block over,
//! which is crossbeam-utils'. Layer: base.

use super::tally::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;
#[cfg(not(any(cache_loom, cache_shuttle)))]
use crossbeam_utils::atomic::AtomicCell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// Room for a `T`, without one.
pub(crate) type Block<T> = Box<MaybeUninit<T>>;

/// The most that a ring may hold, in bytes and in blocks.
const MOST_BYTES: usize = 512 * 1024;
const MOST_BLOCKS: usize = 4096;

/// Blocks that one thread gives and any thread takes.
pub(crate) struct Spare<T> {
    /// Made when the first block is given.
    ring: OnceLock<Box<[Place<T>]>>,
    /// How many places the ring has; none: it is not wanted.
    room: usize,
    /// How many blocks were given, since the start and before the last rest. The giver's.
    given: AtomicU64,
    rested: AtomicU64,
    /// How many were given, as takers know: told seldom, for each telling costs every taker a cache miss.
    told: CachePadded<AtomicU64>,
    taken: CachePadded<AtomicU64>,
}

impl<T> Spare<T> {
    /// For as many blocks, at most.
    pub(crate) fn new(blocks: usize) -> Self {
        let fits = MOST_BYTES / size_of::<T>().max(1);
        Self {
            ring: OnceLock::new(),
            room: blocks.min(fits).min(MOST_BLOCKS),
            given: AtomicU64::new(0),
            rested: AtomicU64::new(0),
            told: CachePadded::new(AtomicU64::new(0)),
            taken: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// A block, if there is one at hand. Never waits; of threads that ask at the same moment one gets one.
    #[inline]
    pub(crate) fn take(&self) -> Option<Block<T>> {
        // Relaxed: both are guesses, the place says what is there.
        let (ticket, told) =
            (self.taken.load(Ordering::Relaxed), self.told.load(Ordering::Relaxed));
        if ticket >= told {
            return None;
        }
        // Relaxed: the numbers order nothing, the places do.
        let claim =
            |to| self.taken.compare_exchange(ticket, to, Ordering::Relaxed, Ordering::Relaxed);
        claim(ticket + 1).ok()?;
        let ring = self.ring.get()?;
        ring[place(ticket, ring)].swap(None)
    }

    /// Keeps a block for takers, from the next [`tell`](Self::tell) on; if there is no room, in the place of the
    /// oldest. Giving thread only.
    pub(crate) fn give(&self, block: Block<T>) {
        if self.room == 0 {
            return;
        }
        let ring = self.ring.get_or_init(|| (0..self.room).map(|_| Place::empty()).collect());
        // Relaxed: the giver's own.
        let given = self.given.load(Ordering::Relaxed);
        drop(ring[place(given, ring)].swap(Some(block)));
        // Relaxed: as above.
        self.given.store(given + 1, Ordering::Relaxed);
    }

    /// Lets takers know of all that was given. Giving thread only.
    pub(crate) fn tell(&self) {
        // Relaxed: the giver's own.
        let given = self.given.load(Ordering::Relaxed);
        // Relaxed: the giver's own too.
        if given != self.told.load(Ordering::Relaxed) {
            // The places of those before went to newer ones.
            self.skip(given.saturating_sub(self.room as u64));
            // Relaxed: a guess for takers.
            self.told.store(given, Ordering::Relaxed);
        }
    }

    /// Frees what was given and not taken. Giving thread only.
    pub(crate) fn rest(&self) {
        // Relaxed: the giver's own.
        let given = self.given.load(Ordering::Relaxed);
        // Relaxed: the giver's own too.
        if self.rested.swap(given, Ordering::Relaxed) != given {
            self.skip(given);
            for place in self.ring.get().into_iter().flatten() {
                drop(place.swap(None));
            }
        }
    }

    /// Voids the tickets of blocks that are no longer there, lest takers try one after the other in vain.
    fn skip(&self, before: u64) {
        let behind = |taken: u64| (taken < before).then_some(before);
        // Relaxed: the numbers order nothing.
        let _ = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, behind);
    }
}

fn place<P>(ticket: u64, ring: &[P]) -> usize {
    (ticket % ring.len() as u64) as usize
}

/// Room for one block. Under a model checker none: there every block is new, so that the oracles of
/// reclamation know it by its address.
struct Place<T> {
    #[cfg(not(any(cache_loom, cache_shuttle)))]
    block: AtomicCell<Option<Block<T>>>,
    #[cfg(any(cache_loom, cache_shuttle))]
    block: std::marker::PhantomData<fn() -> T>,
}

impl<T> Place<T> {
    #[cfg(not(any(cache_loom, cache_shuttle)))]
    fn empty() -> Self {
        const { assert!(AtomicCell::<Option<Block<T>>>::is_lock_free(), "a place is a pointer") };
        Self { block: AtomicCell::new(None) }
    }

    #[cfg(any(cache_loom, cache_shuttle))]
    fn empty() -> Self {
        Self { block: std::marker::PhantomData }
    }

    fn swap(&self, block: Option<Block<T>>) -> Option<Block<T>> {
        #[cfg(not(any(cache_loom, cache_shuttle)))]
        return self.block.swap(block);
        #[cfg(any(cache_loom, cache_shuttle))]
        return {
            drop(block);
            None
        };
    }
}

#[cfg(all(test, not(any(cache_loom, cache_shuttle))))]
mod tests {
    use super::{Block, MOST_BLOCKS, MOST_BYTES, Spare};
    use std::mem::MaybeUninit;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn block<T>() -> Block<T> {
        Box::new(MaybeUninit::uninit())
    }

    fn address<T>(block: &Block<T>) -> usize {
        std::ptr::from_ref(&**block).addr()
    }

    #[test]
    fn what_was_given_and_told_is_taken_once_oldest_first() {
        let spare = Spare::<u64>::new(4);
        let blocks = [block(), block()];
        let addresses = blocks.each_ref().map(address);
        blocks.into_iter().for_each(|block| spare.give(block));
        assert!(spare.take().is_none(), "nobody was told");
        spare.tell();
        let taken: Vec<_> = std::iter::from_fn(|| spare.take()).collect();
        assert_eq!(taken.iter().map(address).collect::<Vec<_>>(), addresses);
    }

    #[test]
    fn a_full_ring_keeps_the_latest() {
        let spare = Spare::<u64>::new(4);
        let blocks: Vec<_> = (0..11).map(|_| block()).collect();
        let last: Vec<_> = blocks[7..].iter().map(address).collect();
        blocks.into_iter().for_each(|block| spare.give(block));
        spare.tell();
        let taken: Vec<_> = std::iter::from_fn(|| spare.take()).collect();
        let mut addresses: Vec<_> = taken.iter().map(address).collect();
        addresses.sort_unstable();
        let mut last = last;
        last.sort_unstable();
        assert_eq!(addresses, last);
    }

    #[test]
    fn a_rest_leaves_nothing_and_the_next_block_is_found() {
        let spare = Spare::<u64>::new(4);
        (0..3).for_each(|_| spare.give(block()));
        spare.tell();
        spare.rest();
        assert!((0..8).all(|_| spare.take().is_none()));
        spare.give(block());
        spare.tell();
        assert!(spare.take().is_some());
    }

    #[test]
    fn no_ring_is_larger_than_it_may_be() {
        assert_eq!(Spare::<u8>::new(usize::MAX).room, MOST_BLOCKS);
        assert_eq!(Spare::<[u8; MOST_BYTES / 2]>::new(10).room, 2);
        let none = Spare::<[u8; MOST_BYTES + 1]>::new(10);
        none.give(Box::new_uninit());
        none.tell();
        assert!(none.take().is_none());
    }

    /// Every block is in one pair of hands: who has one writes its name and finds it again.
    #[test]
    fn no_block_is_taken_twice() {
        let spare = Spare::<u64>::new(8);
        let (start, over) = (Barrier::new(4), AtomicBool::new(false));
        let taken = std::thread::scope(|scope| {
            let take = |name: u64| {
                start.wait();
                let mut taken = 0;
                // Relaxed: ends a loop.
                while !over.load(Ordering::Relaxed) {
                    if let Some(mut block) = spare.take() {
                        let read = std::hint::black_box(block.write(name));
                        assert_eq!(*read, name);
                        taken += 1;
                    }
                }
                taken
            };
            let takers = [1, 2, 3].map(|name| scope.spawn(move || take(name)));
            start.wait();
            for _ in 0..20_000 {
                (0..3).for_each(|_| spare.give(block()));
                spare.tell();
            }
            // Relaxed: as above.
            over.store(true, Ordering::Relaxed);
            takers.map(|taker| taker.join().expect("the taker panicked"))
        });
        assert!(taken.iter().sum::<u64>() <= 60_000);
    }
}
