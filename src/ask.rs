//! [`ToKey`], and how a load sees what it asks for: as it is named, as it is stored, and as its caller
//! gets it. Layer: front.

use equivalent::Equivalent;
use std::hash::{Hash, Hasher};

/// What a key can be looked up by and made from: for loads, which need the key itself only when they
/// find nothing.
///
/// Everything that [`ToOwned`] makes a key of is one: `str` for `String`, `[T]` for `Vec<T>`, and every
/// key that is `Clone` for itself. A type of your own that is not `Clone` can be one too, such as a pair of
/// references for a pair:
///
/// ```
/// use cacheado::{CacheHandle, Equivalent, ToKey};
///
/// #[derive(Hash)]
/// struct Named<'a>(&'a str, u32);
///
/// impl Equivalent<(String, u32)> for Named<'_> {
///     fn equivalent(&self, key: &(String, u32)) -> bool {
///         self.0 == key.0 && self.1 == key.1
///     }
/// }
///
/// impl ToKey<(String, u32)> for Named<'_> {
///     fn to_key(&self) -> (String, u32) {
///         (self.0.to_owned(), self.1)
///     }
/// }
///
/// let cache: CacheHandle<(String, u32), u64> = CacheHandle::new();
/// assert_eq!(cache.get_or_load(&Named("a", 1), || 7), 7);
/// assert_eq!(cache.get(&("a".to_owned(), 1)), Some(7));
/// ```
pub trait ToKey<K>: Hash + Equivalent<K> {
    /// The key: equal to `self`, and with the same hash.
    fn to_key(&self) -> K;
}

impl<K, Q> ToKey<K> for Q
where
    Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
{
    fn to_key(&self) -> K {
        self.to_owned()
    }
}

/// What a caller of a load asks for.
pub(crate) trait Ask<K, V>: Hash + Equivalent<K> + Copy {
    /// The value as the caller gets it.
    type Value: Clone;

    /// The key as it is stored.
    fn key(&self) -> K;

    /// The value in what is stored.
    fn view(stored: &V) -> &Self::Value;

    /// What is stored of a value.
    fn wrap(value: Self::Value) -> V;

    /// The value of what was made for this caller.
    fn unwrap(stored: V) -> Self::Value;
}

/// What is stored as it is asked for.
pub(crate) struct Plain<'a, Q: ?Sized>(pub(crate) &'a Q);

impl<Q: ?Sized> Clone for Plain<'_, Q> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q: ?Sized> Copy for Plain<'_, Q> {}

impl<Q: Hash + ?Sized> Hash for Plain<'_, Q> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K, Q: Equivalent<K> + ?Sized> Equivalent<K> for Plain<'_, Q> {
    #[inline]
    fn equivalent(&self, key: &K) -> bool {
        self.0.equivalent(key)
    }
}

impl<K, V: Clone, Q: ToKey<K> + ?Sized> Ask<K, V> for Plain<'_, Q> {
    type Value = V;

    fn key(&self) -> K {
        self.0.to_key()
    }

    #[inline]
    fn view(stored: &V) -> &V {
        stored
    }

    fn wrap(value: V) -> V {
        value
    }

    fn unwrap(stored: V) -> V {
        stored
    }
}
