//! [`Known`]: the namespaces of one function in a cache that is always the same. Layer: front.

use crate::shared::space::Title;
use crate::{Error, Namespace, NamespaceBuilder, SharedCache};
use std::any::Any;
use std::fmt;
use std::hash::Hash;
use std::sync::OnceLock;

/// A list of namespaces that only grows: one for each instance of a generic function, and for any other
/// one alone. A look-up walks it, and writes nothing that another thread reads.
pub struct Known {
    first: OnceLock<Box<Entry>>,
}

struct Entry {
    title: Title<'static>,
    namespace: Box<dyn Any + Send + Sync>,
    next: Known,
}

impl Known {
    /// Of no namespace yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made in statics")]
    pub const fn new() -> Self {
        Self { first: OnceLock::new() }
    }

    /// The namespace of that title, if it is known.
    #[inline]
    pub fn namespace<K: 'static, V: 'static>(
        &'static self,
        title: Title<'static>,
    ) -> Option<&'static Namespace<K, V>> {
        let mut at = self;
        loop {
            let entry = at.first.get()?;
            if entry.title == title {
                return entry.namespace.downcast_ref();
            }
            at = &entry.next;
        }
    }

    /// Makes the namespace known.
    ///
    /// # Errors
    ///
    /// If the cache refuses it.
    #[cold]
    pub fn learn<K, V>(
        &'static self,
        cache: &SharedCache,
        title: Title<'static>,
        options: impl for<'a> FnOnce(NamespaceBuilder<'a, K, V>) -> NamespaceBuilder<'a, K, V>,
    ) -> Result<&'static Namespace<K, V>, Error>
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let namespace = Box::new(namespace::<K, V>(cache, title, options)?);
        let mut entry = Box::new(Entry { title, namespace, next: Self::new() });
        let mut at = self;
        loop {
            match at.first.set(entry) {
                Ok(()) => break,
                // Somebody else's: go on behind it.
                Err(refused) => entry = refused,
            }
            let Some(before) = at.first.get() else { continue };
            at = &before.next;
        }
        Ok(self.namespace(title).expect("a namespace of these types was added, now or before"))
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// The namespace of a function in this cache.
///
/// # Errors
///
/// If the cache refuses it.
pub fn namespace<K, V>(
    cache: &SharedCache,
    title: Title<'_>,
    options: impl for<'a> FnOnce(NamespaceBuilder<'a, K, V>) -> NamespaceBuilder<'a, K, V>,
) -> Result<Namespace<K, V>, Error>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    options(cache.titled(title)).build()
}
