//! Histories of concurrent clients of `cacheado`, over the library's own sources.
//!
//! The sources are mounted here, file for file, and compiled with `--cfg cache_shuttle`: their atomics
//! and threads are [shuttle](https://docs.rs/shuttle)'s, which runs a scenario under one schedule after
//! another. [`clients`] drives a cache of which the shard threads are the real ones, and notes in a
//! [`history`] what each call returned; [`checker`] asks whether one order of all calls explains it,
//! under the rules of [`specification`]. [`search`] runs the schedules.
#![expect(dead_code, reason = "the clients use a part of the front")]
#![expect(unreachable_pub, reason = "the library's own public items are private here")]

#[path = "../../src"]
mod library {
    pub(crate) mod ask;
    pub(crate) mod builder;
    pub(crate) mod clock;
    pub(crate) mod error;
    pub(crate) mod front;
    pub(crate) mod handle;
    pub(crate) mod load;
    pub(crate) mod look;
    pub(crate) mod process;
    pub(crate) mod removal;
    pub(crate) mod reply;
    pub(crate) mod scope;
    pub(crate) mod scoped;
    pub(crate) mod shard;
    pub(crate) mod shard_thread;
    pub(crate) mod stats;
    pub(crate) mod store;
    pub(crate) mod sync;
    pub(crate) mod testing;
    pub(crate) mod view;
}

pub mod checker;
pub mod clients;
pub mod history;
pub mod scenario;
pub mod search;
pub mod specification;

use library::{ask, builder, clock, error, front, handle, load, look, process, removal, reply};
use library::{scope, scoped, shard, shard_thread, stats, store, sync, testing, view};

#[expect(
    unused_imports,
    reason = "the names that the library has at its root; its docs link to all"
)]
use {
    builder::CacheBuilder,
    clock::Clock,
    error::{Error, TryInsertError},
    handle::CacheHandle,
    removal::{Removal, RemovalCause},
    reply::Reply,
    scope::tree::ScopeTree,
    scoped::ScopedHandle,
    stats::Stats,
    view::{PinnedView, ScopedView},
};
