//! Loom models of the protocols of `cacheado`, over the library's own sources.
//!
//! The sources are mounted here, file for file, so that a model sees what the library keeps to itself
//! and what is searched is the code that ships. [`models`] has one file for each protocol. Nothing is
//! compiled without `--cfg cache_loom`; `run.sh` beside this crate's manifest runs the models.
#![cfg(cache_loom)]
#![expect(dead_code, reason = "the models drive the shards, not the whole front")]
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
    pub(crate) mod shared;
    pub(crate) mod stats;
    pub(crate) mod store;
    pub(crate) mod sync;
    pub(crate) mod testing;
    pub(crate) mod view;
}

pub mod models;

#[cfg(crossbeam_loom)]
mod channel;

/// In the place of crossbeam-channel, which does not compile where crossbeam-epoch runs under loom.
#[cfg(crossbeam_loom)]
extern crate self as crossbeam_channel;
#[cfg(crossbeam_loom)]
use channel::{Iter, Receiver, RecvError, bounded};
#[cfg(crossbeam_loom)]
use flume::{RecvTimeoutError, Sender, TryRecvError, TrySendError};

use library::{ask, builder, clock, error, front, handle, load, look, process, removal, reply};
use library::{scope, scoped, shard, shard_thread, shared, stats, store, sync, view};

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
    shared::SharedCache,
    stats::Stats,
    view::{PinnedView, ScopedView},
};
