//! Keys and values of any type, as the one core of a shared cache holds them, and how typed callers name
//! and see them. Layer: front.

use crate::ask::{Ask, ToKey};
use equivalent::Equivalent;
use std::any::Any;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// What tells the keys of a namespace, since it was last cleared, from all others: its number and its
/// generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(u64);

/// Room for the number of a namespace; above it are 2^40 generations.
const NUMBER_BITS: u32 = 24;

impl Tag {
    pub(crate) const MOST: u32 = 1 << NUMBER_BITS;

    #[inline]
    pub(crate) fn new(number: u32, generation: u64) -> Self {
        Self(generation << NUMBER_BITS | u64::from(number))
    }
}

/// A key of any type: equal to what has its tag, its type and its value.
pub(crate) struct AnyKey {
    tag: Tag,
    key: Box<dyn Key>,
}

/// A value of any type.
pub(crate) type AnyValue = Box<dyn Any + Send + Sync>;

/// What a shard and a look-up need of a key whose type they do not know.
trait Key: Send + Sync {
    fn as_any(&self) -> &dyn Any;

    fn into_any(self: Box<Self>) -> Box<dyn Any>;

    fn is(&self, other: &dyn Any) -> bool;

    fn hash(&self, state: &mut dyn Hasher);
}

impl<K: Hash + Eq + Send + Sync + 'static> Key for K {
    #[inline]
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn is(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<K>().is_some_and(|other| self == other)
    }

    fn hash(&self, mut state: &mut dyn Hasher) {
        Hash::hash(self, &mut state);
    }
}

impl AnyKey {
    pub(crate) fn new<K: Hash + Eq + Send + Sync + 'static>(tag: Tag, key: K) -> Self {
        Self { tag, key: Box::new(key) }
    }

    /// The key that it was made of.
    pub(crate) fn into_key<K: 'static>(self) -> K {
        *self.key.into_any().downcast().expect(OF_ITS_TYPE)
    }

    /// The key, if it is of this type.
    #[inline]
    pub(crate) fn get<K: 'static>(&self) -> Option<&K> {
        (*self.key).as_any().downcast_ref()
    }
}

impl PartialEq for AnyKey {
    fn eq(&self, other: &Self) -> bool {
        self.tag == other.tag && self.key.is((*other.key).as_any())
    }
}

impl Eq for AnyKey {}

impl Hash for AnyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.key).hash(state);
    }
}

/// A key of type `K`, with a value of type `V`, as a caller names it.
pub(crate) struct Typed<'a, Q: ?Sized, K, V> {
    tag: Tag,
    key: &'a Q,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'a, Q: ?Sized, K, V> Typed<'a, Q, K, V> {
    #[inline]
    pub(crate) fn new(tag: Tag, key: &'a Q) -> Self {
        Self { tag, key, types: PhantomData }
    }
}

impl<Q: ?Sized, K, V> Clone for Typed<'_, Q, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q: ?Sized, K, V> Copy for Typed<'_, Q, K, V> {}

impl<Q: Hash + ?Sized, K, V> Hash for Typed<'_, Q, K, V> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<Q: Equivalent<K> + ?Sized, K: 'static, V> Equivalent<AnyKey> for Typed<'_, Q, K, V> {
    #[inline]
    fn equivalent(&self, key: &AnyKey) -> bool {
        // The tag first: what has it is of the type, and nothing else is worth asking.
        key.tag == self.tag && key.get().is_some_and(|key| self.key.equivalent(key))
    }
}

impl<Q, K, V> Ask<AnyKey, AnyValue> for Typed<'_, Q, K, V>
where
    Q: ToKey<K> + ?Sized,
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    type Value = V;

    fn key(&self) -> AnyKey {
        AnyKey::new(self.tag, self.key.to_key())
    }

    #[inline]
    fn view(stored: &AnyValue) -> &V {
        view(stored)
    }

    fn wrap(value: V) -> AnyValue {
        Box::new(value)
    }

    fn unwrap(stored: AnyValue) -> V {
        into_value(stored)
    }
}

/// The value in what is stored under a key of its namespace.
#[inline]
pub(crate) fn view<V: 'static>(stored: &AnyValue) -> &V {
    (**stored).downcast_ref().expect(OF_ITS_TYPE)
}

/// The value that was stored, by whom it was made for.
pub(crate) fn into_value<V: 'static>(stored: AnyValue) -> V {
    *stored.downcast().expect(OF_ITS_TYPE)
}

const OF_ITS_TYPE: &str = "what has the tag of a namespace is of its types";
