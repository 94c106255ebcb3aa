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
    key: HeldKey,
}

/// A value of any type.
pub(crate) struct AnyValue(HeldValue);

/// What a shard and a look-up need of a key whose type they do not know.
trait BoxedKey: Send + Sync {
    fn as_any(&self) -> &dyn Any;

    fn into_any(self: Box<Self>) -> Box<dyn Any>;

    fn is(&self, other: &dyn Any) -> bool;

    fn hash(&self, state: &mut dyn Hasher);
}

/// The same of a value.
trait BoxedValue: Send + Sync {
    fn as_any(&self) -> &dyn Any;

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// What is held of any type: a few types in place, so that a look-up of them touches no other line of
/// memory and calls nothing through a table, and all others in a box. The compiler knows for each type
/// which it is, and leaves the rest out.
macro_rules! held {
    ($name:ident, $boxed:ident, [$($place:ident($type:ty)),+], [$($bound:tt)+]) => {
        enum $name {
            $($place($type),)+
            Boxed(Box<dyn $boxed>),
        }

        impl $name {
            fn new<T: $($bound)+>(held: T) -> Self {
                let mut held = Some(held);
                let any: &mut dyn Any = &mut held;
                $(if let Some(in_place) = any.downcast_mut::<Option<$type>>() {
                    if let Some(held) = in_place.take() {
                        return Self::$place(held);
                    }
                })+
                Self::Boxed(Box::new(held.expect("it was not taken")))
            }

            /// What is held, if it is of this type.
            #[inline]
            fn get<T: 'static>(&self) -> Option<&T> {
                match self {
                    $(Self::$place(held) => (held as &dyn Any).downcast_ref(),)+
                    Self::Boxed(held) => (**held).as_any().downcast_ref(),
                }
            }

            fn into<T: 'static>(self) -> Option<T> {
                match self {
                    $(Self::$place(held) => {
                        let mut held = Some(held);
                        let any: &mut dyn Any = &mut held;
                        any.downcast_mut::<Option<T>>().and_then(Option::take)
                    })+
                    Self::Boxed(held) => held.into_any().downcast().ok().map(|held| *held),
                }
            }
        }
    };
}

held! {
    HeldKey,
    BoxedKey,
    [U64(u64), I64(i64), U32(u32), I32(i32), Usize(usize), String(String)],
    [Hash + Eq + Send + Sync + 'static]
}

held! {
    HeldValue,
    BoxedValue,
    [U64(u64), I64(i64), U32(u32), I32(i32), Usize(usize), F64(f64), Bool(bool)],
    [Send + Sync + 'static]
}

impl<K: Hash + Eq + Send + Sync + 'static> BoxedKey for K {
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

impl<V: Send + Sync + 'static> BoxedValue for V {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl HeldKey {
    fn untyped(&self) -> &dyn BoxedKey {
        match self {
            Self::U64(key) => key,
            Self::I64(key) => key,
            Self::U32(key) => key,
            Self::I32(key) => key,
            Self::Usize(key) => key,
            Self::String(key) => key,
            Self::Boxed(key) => &**key,
        }
    }
}

impl AnyKey {
    pub(crate) fn new<K: Hash + Eq + Send + Sync + 'static>(tag: Tag, key: K) -> Self {
        Self { tag, key: HeldKey::new(key) }
    }

    /// The key that it was made of.
    pub(crate) fn into_key<K: 'static>(self) -> K {
        self.key.into().expect(OF_ITS_TYPE)
    }
}

impl AnyValue {
    pub(crate) fn new<V: Send + Sync + 'static>(value: V) -> Self {
        Self(HeldValue::new(value))
    }

    /// The value in what is stored under a key of its namespace.
    #[inline]
    pub(crate) fn view<V: 'static>(&self) -> &V {
        self.0.get().expect(OF_ITS_TYPE)
    }

    /// The value that it was made of.
    pub(crate) fn into_value<V: 'static>(self) -> V {
        self.0.into().expect(OF_ITS_TYPE)
    }
}

const OF_ITS_TYPE: &str = "what has the tag of a namespace is of its types";

impl PartialEq for AnyKey {
    fn eq(&self, other: &Self) -> bool {
        self.tag == other.tag && self.key.untyped().is(other.key.untyped().as_any())
    }
}

impl Eq for AnyKey {}

impl Hash for AnyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.untyped().hash(state);
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
        key.tag == self.tag && key.key.get().is_some_and(|key| self.key.equivalent(key))
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
        stored.view()
    }

    fn wrap(value: V) -> AnyValue {
        AnyValue::new(value)
    }

    fn unwrap(stored: AnyValue) -> V {
        stored.into_value()
    }
}
