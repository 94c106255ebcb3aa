#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! Front: [`SharedCache`] with a [`Namespace`] for each function, [`CacheHandle`] and its [`CacheBuilder`],
//! [`PinnedView`] for many reads under one pin, [`Reply`] for what takes a moment, [`Stats`], [`Removal`]
//! for what has left, [`Error`]. Tenants: [`ScopeTree`] says which levels of scopes there are,
//! [`ScopedHandle`] has the verbs inside one scope, [`ScopesSnapshot`] the figures of all. Below it the
//! shards, each a thread with a private store; `ARCHITECTURE.md` is the map, `docs/concurrency.md` says
//! why it is right.

mod ask;
mod builder;
mod front;
mod handle;
mod load;
mod look;
mod scoped;
mod shared;
mod view;

mod scope;
mod shard;
mod store;

mod clock;
mod error;
mod process;
mod removal;
mod reply;
mod shard_thread;
mod stats;
mod sync;
pub mod testing;

pub use ask::ToKey;
pub use builder::CacheBuilder;
pub use clock::Clock;
pub use error::{Error, TryInsertError};
pub use handle::CacheHandle;
pub use removal::{Removal, RemovalCause};
pub use reply::Reply;
pub use scope::path::ScopeId;
pub use scope::snapshot::{
    Figures, ScopeFigure, ScopePath, ScopeReport, ScopeStats, ScopesSnapshot,
};
pub use scope::tree::ScopeTree;
pub use scoped::ScopedHandle;
pub use scoped::events::{ScopeEvents, ScopeEventsIter};
pub use shared::builder::{NamespaceBuilder, SharedCacheBuilder};
pub use shared::events::{NamespaceEvents, NamespaceEventsIter, NamespaceRemoval};
pub use shared::namespace::{Namespace, NamespaceView};
pub use shared::{SharedCache, SharedScope};
pub use stats::Stats;
pub use view::{PinnedView, ScopedView};

#[cfg(feature = "macros")]
pub use cacheado_macros::memoize;
pub use equivalent::Equivalent;

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "memoize/mod.rs"]
pub mod __memoize;

#[cfg(doctest)]
#[doc = include_str!("../docs/migration.md")]
mod migration {}

#[cfg(doctest)]
#[doc = include_str!("../docs/coming-from.md")]
mod coming_from {}
