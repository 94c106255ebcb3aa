//! A map that is looked up without a lock, over papaya.
//!
//! Many threads may insert and remove at once; a look-up waits for none of them. What is removed is freed
//! by papaya's own collector, perhaps on another thread, so a key or value must not have a destructor
//! that runs user code. Layer: base.

use equivalent::Equivalent;
use papaya::Guard;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Keys hash to one integer, which is mixed once more.
pub(crate) struct Map<K, V> {
    inner: papaya::HashMap<K, V, BuildHasherDefault<Mix>>,
    order: Order,
}

impl<K: Hash + Eq, V> Map<K, V> {
    pub(crate) fn new() -> Self {
        Self { inner: papaya::HashMap::default(), order: Order::new() }
    }

    /// What `read` makes of a key and its value, if the key is there.
    pub(crate) fn find<Q, R>(&self, key: &Q, read: impl FnOnce(&K, &V) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.order.step();
        let guard = self.inner.guard();
        self.inner.get_key_value(key, &guard).map(|(key, value)| read(key, value))
    }

    /// Puts a key in that is not there. `false` if it is.
    pub(crate) fn insert_new(&self, key: K, value: V) -> bool {
        self.order.step();
        self.inner.pin().try_insert(key, value).is_ok()
    }

    /// Takes a key out if `is_it` says so of what is there.
    pub(crate) fn remove_if<Q>(&self, key: &Q, is_it: impl Fn(&K, &V) -> bool)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.order.step();
        // Whether it is gone already, or another has taken its place, is the same to the caller.
        let _ = self.inner.pin().remove_if(key, |key, value| is_it(key, value));
    }

    /// Hands tables that this thread has replaced, and what it has removed, to the collector, which else waits until
    /// there is more. A system call.
    pub(crate) fn let_go(&self) {
        self.inner.guard().flush();
    }

    /// How many keys there are, about.
    pub(crate) fn len(&self) -> usize {
        self.inner.len()
    }

    /// Shows every key that is there all the time, and perhaps some that are not, with its value.
    pub(crate) fn for_each(&self, mut show: impl FnMut(&K, &V)) {
        self.order.step();
        self.inner.pin().iter().for_each(|(key, value)| show(key, value));
    }
}

/// The hash of one integer.
#[derive(Default)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, integer: u32) {
        self.write_u64(u64::from(integer));
    }

    fn write_u64(&mut self, integer: u64) {
        // The golden ratio of 2^64; the high half is the better mixed one.
        self.0 = (self.0 ^ integer).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

/// Where a model checker may switch threads and what papaya's own atomics order. Nothing in a normal
/// build; in a model one operation before each of the map, which is one step for the checker.
struct Order {
    #[cfg(any(cache_loom, cache_shuttle))]
    turn: super::AtomicU64,
}

impl Order {
    fn new() -> Self {
        Self {
            #[cfg(any(cache_loom, cache_shuttle))]
            turn: super::AtomicU64::new(0),
        }
    }

    fn step(&self) {
        #[cfg(any(cache_loom, cache_shuttle))]
        // AcqRel: the map orders what was done before an insertion before what finds it [edge: map].
        self.turn.fetch_add(1, super::Ordering::AcqRel);
    }
}
