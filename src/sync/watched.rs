//! Loom's atomics, each with companions by which every access of a variable depends on all that it could change places with.
//!
//! Of the accesses of a variable loom remembers the last: a thread that reads a variable and then changes
//! it hides from the search that another had read it before, and the order of those two is never turned
//! round (tokio-rs/loom, issues 166 and 392). So every thread has a companion of the variable to itself, which it changes in
//! one step before it reads; who changes the variable changes first the companions of all others who have read it.
//! Of such steps loom overlooks none. Two readers have nothing in common: their order makes no difference. Companions are
//! relaxed and order nothing. Layer: base.

pub(crate) use loom::sync::atomic::{Ordering, fence};

use super::places::{self, PLACES};
use super::tally;
use loom::sync::atomic as loomed;

/// The companions of a variable, one for each thread. Not in place: the threads of a model have little stack.
struct Turns(Box<[Turn; PLACES]>);

struct Turn {
    companion: loomed::AtomicU8,
    /// Whether its thread has read the variable; plain memory as far as the search goes.
    has_read: tally::AtomicU16,
}

impl Turns {
    fn new() -> Self {
        let turn =
            |_| Turn { companion: loomed::AtomicU8::new(0), has_read: tally::AtomicU16::new(0) };
        Self(Box::new(std::array::from_fn(turn)))
    }

    fn before_read(&self) {
        let own = &self.0[places::own()];
        // Relaxed: plain memory.
        own.has_read.store(1, tally::Ordering::Relaxed);
        own.take();
    }

    fn before_change(&self) {
        let own = places::own();
        for (_, turn) in self.0.iter().enumerate().filter(|(place, _)| *place != own) {
            // Relaxed: plain memory.
            if turn.has_read.load(tally::Ordering::Relaxed) == 1 {
                turn.take();
            }
        }
    }
}

impl Turn {
    fn take(&self) {
        // Relaxed: it must order nothing.
        self.companion.swap(0, Ordering::Relaxed);
    }
}

macro_rules! watched {
    (before load of $turns:expr) => { $turns.before_read() };
    (before $verb:ident of $turns:expr) => { $turns.before_change() };
    ($($name:ident [$($t:ident)?] $value:ty { $($verb:ident($($arg:ident: $ty:ty),*) -> $out:ty;)* })+) => {
        $(
            pub(crate) struct $name $(<$t>)? {
                inner: loomed::$name $(<$t>)?,
                turns: Turns,
            }

            impl $(<$t>)? $name $(<$t>)? {
                #[track_caller]
                pub(crate) fn new(value: $value) -> Self {
                    Self { inner: loomed::$name::new(value), turns: Turns::new() }
                }

                $(
                    #[track_caller]
                    pub(crate) fn $verb(&self $(, $arg: $ty)*) -> $out {
                        watched!(before $verb of self.turns);
                        self.inner.$verb($($arg),*)
                    }
                )*
            }
        )+
    };
}

watched! {
    AtomicU64 [] u64 {
        load(order: Ordering) -> u64;
        store(value: u64, order: Ordering) -> ();
        swap(value: u64, order: Ordering) -> u64;
        fetch_add(value: u64, order: Ordering) -> u64;
        fetch_sub(value: u64, order: Ordering) -> u64;
        fetch_or(value: u64, order: Ordering) -> u64;
        fetch_and(value: u64, order: Ordering) -> u64;
        fetch_max(value: u64, order: Ordering) -> u64;
        compare_exchange(now: u64, new: u64, order: Ordering, failed: Ordering) -> Result<u64, u64>;
        compare_exchange_weak(now: u64, new: u64, order: Ordering, failed: Ordering) -> Result<u64, u64>;
    }
    AtomicU8 [] u8 {
        load(order: Ordering) -> u8;
        store(value: u8, order: Ordering) -> ();
        swap(value: u8, order: Ordering) -> u8;
        compare_exchange(now: u8, new: u8, order: Ordering, failed: Ordering) -> Result<u8, u8>;
    }
    AtomicBool [] bool {
        load(order: Ordering) -> bool;
        store(value: bool, order: Ordering) -> ();
        swap(value: bool, order: Ordering) -> bool;
    }
    AtomicPtr [T] *mut T {
        load(order: Ordering) -> *mut T;
        store(value: *mut T, order: Ordering) -> ();
        swap(value: *mut T, order: Ordering) -> *mut T;
        compare_exchange(now: *mut T, new: *mut T, order: Ordering, failed: Ordering) -> Result<*mut T, *mut T>;
        compare_exchange_weak(now: *mut T, new: *mut T, order: Ordering, failed: Ordering) -> Result<*mut T, *mut T>;
    }
}

impl AtomicU64 {
    #[track_caller]
    pub(crate) fn fetch_update(
        &self,
        order: Ordering,
        failed: Ordering,
        mut change: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        let mut now = self.load(failed);
        while let Some(new) = change(now) {
            match self.compare_exchange_weak(now, new, order, failed) {
                Ok(before) => return Ok(before),
                Err(other) => now = other,
            }
        }
        Err(now)
    }
}
