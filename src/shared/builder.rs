//! [`SharedCacheBuilder`] and [`NamespaceBuilder`]: the settings of a shared cache, and the options of one
//! namespace. Layer: front.

use super::SharedCache;
use super::erased::{AnyKey, AnyValue};
use super::namespace::Namespace;
use super::options::{Given, Options};
use super::space::{Spaces, Title, Types};
use crate::error::Error;
use crate::sync::hasher;
use crate::{CacheBuilder, CacheHandle, Clock, RemovalCause, ScopeTree, ScopedHandle};
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a shared cache to be.
///
/// From [`SharedCache::builder`]. They are those of [`CacheBuilder`], for all namespaces together.
#[must_use = "settings do nothing until they are built"]
pub struct SharedCacheBuilder {
    core: CacheBuilder<AnyKey, AnyValue>,
}

impl SharedCacheBuilder {
    pub(super) fn new() -> Self {
        Self { core: CacheHandle::builder() }
    }

    /// The most entries of all namespaces together; where namespaces have
    /// [weighers](NamespaceBuilder::weigher), the most weight: an entry of any other weighs 1. As
    /// [`CacheBuilder::max_capacity`].
    pub fn max_capacity(self, capacity: u64) -> Self {
        Self { core: self.core.max_capacity(capacity) }
    }

    /// As [`CacheBuilder::shards`].
    pub fn shards(self, shards: usize) -> Self {
        Self { core: self.core.shards(shards) }
    }

    /// As [`CacheBuilder::backlog`].
    pub fn backlog(self, writes: usize) -> Self {
        Self { core: self.core.backlog(writes) }
    }

    /// How long after it was written or loaded an entry expires whose namespace and scope do not say. As
    /// [`CacheBuilder::time_to_live`].
    pub fn time_to_live(self, duration: Duration) -> Self {
        Self { core: self.core.time_to_live(duration) }
    }

    /// As [`CacheBuilder::time_to_idle`].
    pub fn time_to_idle(self, duration: Duration) -> Self {
        Self { core: self.core.time_to_idle(duration) }
    }

    /// How many events a stream of [`Namespace::events`] holds. As [`CacheBuilder::event_capacity`].
    pub fn event_capacity(self, events: usize) -> Self {
        Self { core: self.core.event_capacity(events) }
    }

    /// As [`CacheBuilder::scopes`].
    pub fn scopes(self, tree: ScopeTree) -> Self {
        Self { core: self.core.scopes(tree) }
    }

    /// As [`CacheBuilder::clock`].
    pub fn clock(self, clock: Clock) -> Self {
        Self { core: self.core.clock(clock) }
    }

    /// Starts the shards.
    ///
    /// # Errors
    ///
    /// As [`CacheBuilder::build`].
    pub fn build(self) -> Result<SharedCache, Error> {
        let spaces = Spaces::new(hasher(), self.core.is_bounded());
        let handle = self.core.grouping(spaces.grouping()).build()?;
        Ok(SharedCache::over(handle, spaces))
    }
}

impl fmt::Debug for SharedCacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedCacheBuilder").field(&self.core).finish()
    }
}

/// Options of a namespace.
///
/// From [`SharedCache::namespace_builder`]. Options that are not given are those of the namespace if there
/// is one, else their defaults.
#[must_use = "options do nothing until they are built"]
pub struct NamespaceBuilder<'a, K, V> {
    at: ScopedHandle<AnyKey, AnyValue>,
    spaces: &'a Arc<Spaces>,
    title: Title<'a>,
    options: Options,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'a, K, V> NamespaceBuilder<'a, K, V> {
    pub(super) fn new(
        at: ScopedHandle<AnyKey, AnyValue>,
        spaces: &'a Arc<Spaces>,
        title: Title<'a>,
    ) -> Self {
        Self { at, spaces, title, options: Options::default(), types: PhantomData }
    }

    /// How long after it was written or loaded an entry of this namespace expires. Default: as its scope
    /// says, or the cache; not zero. Clamped to 584 years.
    pub fn time_to_live(mut self, duration: Duration) -> Self {
        self.options.time_to_live = Some(duration);
        self
    }

    /// The most entries of this namespace, in all scopes together; at least 1. What is above it leaves by
    /// age of its last use, roughly: what was read since the last look is spared once. Up to 4,096 the
    /// namespace has one shard, and the bound is reached exactly; above, each shard has its part, so it may
    /// be missed by a little and is never exceeded. It holds whenever the shards have caught up. Default:
    /// as many as the cache has room for.
    pub fn max_items(mut self, most: u64) -> Self {
        self.options.max_items = Some(most);
        self
    }

    /// That what is not asked for is not wanted.
    pub(crate) fn whole(mut self) -> Self {
        self.options.whole = true;
        self
    }

    /// How much an entry of this namespace weighs; needs a
    /// [`max_capacity`](SharedCacheBuilder::max_capacity) of the cache, which then is the most weight. Called
    /// once for each value that is kept, on a shard thread; if it panics the value is rejected. An entry
    /// heavier than the whole capacity is not kept; entries of weight 0 are kept without bound. Default:
    /// each entry weighs 1.
    ///
    /// Closures cannot be compared, but their types can: who asks for the namespace again with the closure
    /// of the same place in the program gets it, and it weighs with what the first one has captured. Any
    /// other is another option, which is an error. Function pointers of one signature, and boxed closures, are
    /// of one type: they count as the same.
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self
    where
        K: 'static,
        V: 'static,
    {
        self.options.weigher = Some(Given::weigher(weigher));
        self
    }

    /// Called for every entry of this namespace that leaves, in whatever scope, on its shard's thread. As
    /// [`CacheBuilder::removal_listener`]: it should be quick, may use caches but not wait for a
    /// [`Reply`](crate::Reply), its panics are caught and counted, and one that owns a view of its cache keeps
    /// that alive for ever. Of a namespace that is asked for again it is the first one that is called, and
    /// any of another type is an error, as with [`weigher`](Self::weigher).
    pub fn removal_listener(
        mut self,
        listener: impl Fn(&K, &V, RemovalCause) + Send + Sync + 'static,
    ) -> Self
    where
        K: 'static,
        V: 'static,
    {
        self.options.listener = Some(Given::listener(listener));
        self
    }

    /// The namespace, made if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::is_namespace_conflict`] if there is one of the name with other types, or with another
    /// option that is given here (the text names both), or the name is empty; [`Error::is_invalid_setting`]
    /// if an option is.
    pub fn build(self) -> Result<Namespace<K, V>, Error>
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        if self.options.time_to_live == Some(Duration::ZERO) {
            return Err(Error::setting(
                "time_to_live",
                "zero",
                "a positive duration, or none for entries that stay",
            ));
        }
        if self.options.max_items == Some(0) {
            return Err(Error::setting("max_items", 0, "at least 1, or none for no bound"));
        }
        if self.options.weigher.is_some() && !self.spaces.is_bounded() {
            let accepted = "a max_capacity of the cache, the most weight that all entries may have";
            return Err(Error::setting("weigher", "without max_capacity", accepted));
        }
        let space = self.spaces.enter(self.title, Types::of::<K, V>(), &self.options)?;
        Ok(Namespace::new(self.at, space, Arc::clone(self.spaces)))
    }
}

impl<K, V> fmt::Debug for NamespaceBuilder<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceBuilder")
            .field("name", &self.title.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
