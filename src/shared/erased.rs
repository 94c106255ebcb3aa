//! Keys and values of any type, as the one core of a shared cache holds them, and how typed callers name
//! and see them. Layer: front.

use crate::ask::{Ask, ToKey};
use equivalent::Equivalent;
use std::any::{Any, TypeId};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// What tells the keys of a namespace, since it was last cleared, from all others; and which namespace that
/// is, for what of it was written late and leaves when nobody remembers the number.
///
/// Of bytes, so that it fits beside the first byte of a key, which says what follows.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Tag {
    space: [u8; 3],
    number: [u8; 4],
}

impl Tag {
    /// How many namespaces a tag can tell apart.
    pub(crate) const SPACES: u32 = 1 << 24;

    #[inline]
    pub(crate) fn new(space: u32, number: u32) -> Self {
        let [a, b, c, _] = space.to_le_bytes();
        Self { space: [a, b, c], number: number.to_ne_bytes() }
    }

    /// The namespace.
    #[inline]
    pub(crate) fn space(self) -> u32 {
        let [a, b, c] = self.space;
        u32::from_le_bytes([a, b, c, 0])
    }

    /// That of the group that its keys are.
    #[inline]
    pub(crate) fn number(self) -> u32 {
        u32::from_ne_bytes(self.number)
    }
}

impl PartialEq for Tag {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // No two namespaces have the same number.
        self.number() == other.number()
    }
}

impl Eq for Tag {}

/// A key of any type: equal to what has its tag, its type and its value.
///
/// Tag, type and an integer or a pointer are two words.
pub(crate) struct AnyKey(Key);

/// A value of any type.
pub(crate) struct AnyValue(Value);

const _: () = assert!(size_of::<AnyKey>() == 16);

/// What a shard needs of a key whose type it does not know.
trait Foreign: Send + Sync {
    fn as_any(&self) -> &dyn Any;

    fn into_any(self: Box<Self>) -> Box<dyn Any>;

    fn is(&self, other: &dyn Any) -> bool;

    fn hash(&self, state: &mut dyn Hasher);
}

impl<K: Hash + Eq + Send + Sync + 'static> Foreign for K {
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

/// The types that are held in place: a look-up of such touches no other line of memory and calls nothing
/// through a table. The compiler knows of each type which it is, and leaves the rest out.
macro_rules! in_place {
    ($($place:ident $type:ty),+) => {
        enum Key {
            $($place(Tag, $type),)+
            /// Of the keys that are not in place the one that programs use most.
            Text(Tag, Box<String>),
            // Twice, because a pointer to what has no known type is two words.
            Other(Tag, Box<Box<dyn Foreign>>),
        }

        enum Value {
            $($place($type),)+
            Other(Box<dyn Any + Send + Sync>),
        }

        impl AnyKey {
            pub(crate) fn new<K: Hash + Eq + Send + Sync + 'static>(tag: Tag, key: K) -> Self {
                $(if let Some(key) = (&key as &dyn Any).downcast_ref::<$type>() {
                    return Self(Key::$place(tag, *key));
                })+
                Self(match same(key) {
                    Ok(text) => Key::Text(tag, Box::new(text)),
                    Err(key) => Key::Other(tag, Box::new(Box::new(key))),
                })
            }

            /// The key, if it has this tag.
            #[inline]
            pub(crate) fn get<K: 'static>(&self, tag: Tag) -> Option<&K> {
                let wanted = TypeId::of::<K>();
                $(if wanted == TypeId::of::<$type>() {
                    return match &self.0 {
                        Key::$place(of, key) if *of == tag => (key as &dyn Any).downcast_ref(),
                        _ => None,
                    };
                })+
                match &self.0 {
                    Key::Text(of, key) if *of == tag => (&**key as &dyn Any).downcast_ref(),
                    Key::Other(of, key) if *of == tag => (***key).as_any().downcast_ref(),
                    _ => None,
                }
            }

            fn parts(&self) -> (Tag, &dyn Foreign) {
                match &self.0 {
                    $(Key::$place(tag, key) => (*tag, key),)+
                    Key::Text(tag, key) => (*tag, &**key),
                    Key::Other(tag, key) => (*tag, &***key),
                }
            }

            /// The key, whatever its tag.
            pub(crate) fn view<K: 'static>(&self) -> &K {
                let (_, key) = self.parts();
                key.as_any().downcast_ref().expect(OF_ITS_TYPE)
            }

            /// The key that it was made of.
            pub(crate) fn into_key<K: 'static>(self) -> K {
                let key = match self.0 {
                    $(Key::$place(_, key) => same(key).ok(),)+
                    Key::Text(_, key) => same(*key).ok(),
                    Key::Other(_, key) => key.into_any().downcast().ok().map(|key| *key),
                };
                key.expect(OF_ITS_TYPE)
            }
        }

        impl AnyValue {
            pub(crate) fn new<V: Send + Sync + 'static>(value: V) -> Self {
                $(if let Some(value) = (&value as &dyn Any).downcast_ref::<$type>() {
                    return Self(Value::$place(*value));
                })+
                Self(Value::Other(Box::new(value)))
            }

            /// The value in what is stored under a key of its namespace.
            #[inline]
            pub(crate) fn view<V: 'static>(&self) -> &V {
                let wanted = TypeId::of::<V>();
                $(if wanted == TypeId::of::<$type>() {
                    let value = match &self.0 {
                        Value::$place(value) => (value as &dyn Any).downcast_ref(),
                        _ => None,
                    };
                    return value.expect(OF_ITS_TYPE);
                })+
                let value = match &self.0 {
                    Value::Other(value) => (**value).downcast_ref(),
                    _ => None,
                };
                value.expect(OF_ITS_TYPE)
            }

            /// The value that it was made of.
            pub(crate) fn into_value<V: 'static>(self) -> V {
                let value = match self.0 {
                    $(Value::$place(value) => same(value).ok(),)+
                    Value::Other(value) => value.downcast().ok().map(|value| *value),
                };
                value.expect(OF_ITS_TYPE)
            }
        }
    };
}

in_place! { U64 u64, I64 i64, U32 u32, I32 i32, Usize usize }

const OF_ITS_TYPE: &str = "what has the tag of a namespace is of its types";

/// A value as one of another type, if that is the same.
fn same<T: 'static, U: 'static>(value: T) -> Result<U, T> {
    let mut value = Some(value);
    let any: &mut dyn Any = &mut value;
    let same = any.downcast_mut::<Option<U>>().and_then(Option::take);
    same.map_or_else(|| Err(value.expect("it was not taken")), Ok)
}

impl AnyKey {
    pub(crate) fn tag(&self) -> Tag {
        self.parts().0
    }
}

impl PartialEq for AnyKey {
    fn eq(&self, other: &Self) -> bool {
        let ((tag, key), (other_tag, other)) = (self.parts(), other.parts());
        tag == other_tag && key.is(other.as_any())
    }
}

impl Eq for AnyKey {}

impl Hash for AnyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().1.hash(state);
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
        key.get(self.tag).is_some_and(|key| self.key.equivalent(key))
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
