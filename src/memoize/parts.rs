//! [`Parts`]: the arguments of a call as a key to look up by, without owning any of them. Layer: front.

use crate::{Equivalent, ToKey};
use std::borrow::Borrow;
use std::hash::Hash;

/// References to what a key is made of, as a tuple. One part alone is the key itself, more are a tuple of
/// what they own. Not `Clone`, so that nothing but this says what key it stands for.
#[derive(Debug, Hash)]
pub struct Parts<T>(pub T);

/// One part of a key, borrowed: hashes as what is kept of it.
pub trait Lent: Hash {
    /// What owns the same.
    type Kept;

    /// Makes the part of a key.
    fn to_kept(&self) -> Self::Kept;

    /// Whether a key has this part.
    fn is(&self, kept: &Self::Kept) -> bool;
}

impl<T: Hash + Eq + ToOwned + ?Sized> Lent for &T {
    type Kept = T::Owned;

    fn to_kept(&self) -> T::Owned {
        (*self).to_owned()
    }

    #[inline]
    fn is(&self, kept: &T::Owned) -> bool {
        **self == *Borrow::<T>::borrow(kept)
    }
}

impl<T: Hash + Eq + ToOwned + ?Sized> Lent for Option<&T> {
    type Kept = Option<T::Owned>;

    fn to_kept(&self) -> Option<T::Owned> {
        self.map(T::to_owned)
    }

    #[inline]
    fn is(&self, kept: &Option<T::Owned>) -> bool {
        *self == kept.as_ref().map(Borrow::borrow)
    }
}

impl<A: Lent> Equivalent<A::Kept> for Parts<(A,)> {
    #[inline]
    fn equivalent(&self, key: &A::Kept) -> bool {
        self.0.0.is(key)
    }
}

impl<A: Lent> ToKey<A::Kept> for Parts<(A,)> {
    fn to_key(&self) -> A::Kept {
        self.0.0.to_kept()
    }
}

macro_rules! parts {
    ($($part:ident $i:tt),*) => {
        impl<$($part: Lent),*> Equivalent<($($part::Kept,)*)> for Parts<($($part,)*)> {
            #[inline]
            fn equivalent(&self, key: &($($part::Kept,)*)) -> bool {
                true $(&& self.0.$i.is(&key.$i))*
            }
        }

        impl<$($part: Lent),*> ToKey<($($part::Kept,)*)> for Parts<($($part,)*)> {
            fn to_key(&self) -> ($($part::Kept,)*) {
                ($(self.0.$i.to_kept(),)*)
            }
        }
    };
}

impl Equivalent<()> for Parts<()> {
    #[inline]
    fn equivalent(&self, (): &()) -> bool {
        true
    }
}

impl ToKey<()> for Parts<()> {
    fn to_key(&self) {}
}

parts!(A 0, B 1);
parts!(A 0, B 1, C 2);
parts!(A 0, B 1, C 2, D 3);
parts!(A 0, B 1, C 2, D 3, E 4);
parts!(A 0, B 1, C 2, D 3, E 4, F 5);
parts!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
parts!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
parts!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
parts!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
parts!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
parts!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

#[cfg(test)]
mod tests {
    use super::Parts;
    use crate::{Equivalent, ToKey};
    use std::hash::Hash;

    fn agrees<Q: ToKey<K>, K: Hash>(lent: &Q, other: &K) {
        let hasher = ahash::RandomState::new();
        let key = lent.to_key();
        assert!(lent.equivalent(&key));
        assert_eq!(hasher.hash_one(lent), hasher.hash_one(&key));
        assert!(!lent.equivalent(other));
    }

    #[test]
    fn what_is_lent_hashes_and_compares_as_what_is_kept() {
        agrees(&Parts((&7_u64,)), &8);
        agrees(&Parts(("a",)), &"b".to_owned());
        agrees(&Parts(("a", &7_u64)), &("a".to_owned(), 8));
        agrees(&Parts((Some("a"), &[1_u8, 2][..])), &(None, vec![1, 2]));
        agrees(&Parts((None::<&str>, &Some(3_u8))), &(Some(String::new()), Some(3)));
        assert!(Parts(()).equivalent(&()));
        Parts(()).to_key();
    }

    #[test]
    fn every_part_of_a_long_key_counts() {
        let one = 1;
        let lent = Parts((&one, &one, &one, &one, &one, &one, &one, &one, &one, &one, &one, &one));
        let mut key = lent.to_key();
        key.11 = 2;
        agrees(&lent, &key);
    }
}
