//! An entry that left the cache, and why: what listeners and event streams are told. Layer: base.

/// Why an entry left the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovalCause {
    /// A newer value was written for the same key.
    Replaced,
    /// It was removed by `remove`, or by a write of the same key whose value was not kept, or `Eq` panicked
    /// where its key was compared with that of a newer value which stays.
    Removed,
    /// Its scope, or one above it, was evicted; `clear` evicts the global scope, and so all.
    Scope,
    /// Its time to live or time to idle had passed.
    Expired,
    /// It was evicted to stay within the capacity; or it was not kept at all and is counted as
    /// [`rejected`](crate::Stats::rejected): heavier than all of the capacity, or its weigher panicked, or
    /// `Eq` did where its key was compared with that of a newer value before it was stored.
    Capacity,
}

impl RemovalCause {
    /// Whether the cache, and not its user, decided.
    #[must_use]
    pub fn is_eviction(self) -> bool {
        matches!(self, Self::Expired | Self::Capacity)
    }
}

/// An entry that left the cache, as it comes out of [`events`](crate::CacheHandle::events).
#[derive(Debug)]
pub struct Removal<K, V> {
    key: K,
    value: V,
    cause: RemovalCause,
}

impl<K, V> Removal<K, V> {
    pub(crate) fn new(key: K, value: V, cause: RemovalCause) -> Self {
        Self { key, value, cause }
    }

    /// The key of the entry.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The value that left.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// Why it left.
    pub fn cause(&self) -> RemovalCause {
        self.cause
    }

    /// Takes key and value out, for who holds the only reference.
    pub fn into_inner(self) -> (K, V) {
        (self.key, self.value)
    }
}
