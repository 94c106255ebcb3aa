//! [`Known`]: the namespaces of one function in a cache that is always the same. Layer: front.

use crate::shared::space::Title;
use crate::{Error, Namespace, SharedCache};
use std::any::Any;
use std::fmt;
use std::hash::Hash;
use std::sync::OnceLock;
use std::time::Duration;

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
        wanted: Wanted<impl FnOnce() -> u64>,
    ) -> Result<&'static Namespace<K, V>, Error>
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let namespace = Box::new(namespace::<K, V>(cache, title, wanted)?);
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

/// What a function asks of its namespace. Whoever shares it asks for the same.
#[derive(Debug)]
pub struct Wanted<F> {
    /// How long what is kept lives.
    pub time_to_live: Option<Duration>,
    /// How much is kept.
    pub max_items: Limit<F>,
}

/// How many results of a function are kept at most.
#[derive(Debug)]
pub enum Limit<F> {
    /// As many as there is room for.
    Nowhere,
    /// A number.
    At(u64),
    /// What an expression says when the namespace is made.
    Told(F),
}

/// The namespace of a function in this cache.
///
/// # Errors
///
/// If the cache refuses it.
pub fn namespace<K, V>(
    cache: &SharedCache,
    title: Title<'_>,
    wanted: Wanted<impl FnOnce() -> u64>,
) -> Result<Namespace<K, V>, Error>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let mut builder = cache.titled(title).whole();
    if let Some(time_to_live) = wanted.time_to_live {
        builder = builder.time_to_live(time_to_live);
    }
    let most = match wanted.max_items {
        Limit::Nowhere => None,
        Limit::At(most) => Some(most),
        Limit::Told(most) => Some(cache.max_items_of(title).unwrap_or_else(most)),
    };
    if let Some(most) = most {
        builder = builder.max_items(most);
    }
    builder.build()
}
