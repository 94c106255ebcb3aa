//! Loom's atomics, each with a companion that makes all accesses of one variable depend on each other.
//!
//! Of the accesses of a variable loom remembers the last: a thread that reads a variable and then changes
//! it hides from the search that another had read it before, and the order of those two is never turned
//! round (tokio-rs/loom, issues 166 and 392). Before every access the companion is changed in one step, of
//! which loom overlooks none. It is relaxed and orders nothing. Layer: base.

pub(crate) use loom::sync::atomic::{Ordering, fence};

use loom::sync::atomic as loomed;

struct Turn(loomed::AtomicU8);

impl Turn {
    fn new() -> Self {
        Self(loomed::AtomicU8::new(0))
    }

    fn take(&self) {
        // Relaxed: it must order nothing.
        self.0.swap(0, Ordering::Relaxed);
    }
}

macro_rules! watched {
    ($($name:ident [$($t:ident)?] $value:ty { $($verb:ident($($arg:ident: $ty:ty),*) -> $out:ty;)* })+) => {
        $(
            pub(crate) struct $name $(<$t>)? {
                inner: loomed::$name $(<$t>)?,
                turn: Turn,
            }

            impl $(<$t>)? $name $(<$t>)? {
                #[track_caller]
                pub(crate) fn new(value: $value) -> Self {
                    Self { inner: loomed::$name::new(value), turn: Turn::new() }
                }

                $(
                    #[track_caller]
                    pub(crate) fn $verb(&self $(, $arg: $ty)*) -> $out {
                        self.turn.take();
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
        fetch_update(order: Ordering, failed: Ordering, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64>;
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
