//! What may be sent and shared between threads, held by the compiler.

use cacheado::testing::ManualClock;
use cacheado::{
    CacheBuilder, CacheHandle, Clock, Error, Namespace, NamespaceEvents, NamespaceEventsIter,
    NamespaceRemoval, PinnedView, Removal, RemovalCause, Reply, ScopeEvents, ScopeEventsIter,
    SharedCache, SharedScope, Stats, TryInsertError,
};
use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

const fn send_sync_static<T: Send + Sync + 'static>() {}
const fn send_static<T: Send + 'static>() {}
const fn unpin<T: Unpin>() {}
const fn copy<T: Copy + Clone + Debug>() {}
const fn clone<T: Clone>() {}
const fn debug<T: Debug>() {}
const fn error<T: std::error::Error + Display + Debug>() {}
fn send_future<F: Future + Send>(future: F) -> F {
    future
}

/// A value that may be sent and shared but offers nothing else.
struct Plain;

const _: () = {
    send_sync_static::<CacheHandle<String, Plain>>();
    send_static::<Reply<Vec<(u64, String)>>>();
    send_sync_static::<Removal<String, Plain>>();
    send_sync_static::<RemovalCause>();
    send_sync_static::<(SharedCache, SharedScope, Namespace<String, Plain>)>();
    send_sync_static::<NamespaceEvents<String, Plain>>();
    send_sync_static::<NamespaceEventsIter<String, Plain>>();
    send_sync_static::<NamespaceRemoval<String, Plain>>();
    send_sync_static::<(ScopeEvents<String, Plain>, ScopeEventsIter<String, Plain>)>();
    send_sync_static::<Stats>();
    send_sync_static::<Error>();
    send_sync_static::<TryInsertError<String, Plain>>();
    send_sync_static::<Clock>();
    send_sync_static::<ManualClock>();
    unpin::<CacheHandle<String, Plain>>();
    unpin::<Reply<u64>>();
    unpin::<Stats>();
    copy::<Stats>();
    copy::<RemovalCause>();
    clone::<CacheHandle<String, Plain>>();
    clone::<NamespaceEvents<String, Plain>>();
    clone::<NamespaceRemoval<String, Plain>>();
    clone::<Clock>();
    clone::<ManualClock>();
    debug::<CacheHandle<String, Plain>>();
    debug::<CacheBuilder<String, Plain>>();
    debug::<Reply<u64>>();
    debug::<TryInsertError<String, Plain>>();
    error::<Error>();
    error::<TryInsertError<u8, u8>>();
};

/// Whether a type is `Send`: the inherent constant wins over the trait's where its bound holds.
struct IsSend<T>(PhantomData<T>);

impl<T: Send> IsSend<T> {
    const ANSWER: bool = true;
}

trait Otherwise {
    const ANSWER: bool = false;
}

impl<T> Otherwise for IsSend<T> {}

#[test]
fn a_pinned_view_stays_on_its_thread() {
    let (view, handle) =
        (IsSend::<PinnedView<'static, u64, u64>>::ANSWER, IsSend::<CacheHandle<u64, u64>>::ANSWER);
    assert!(!view, "a pin belongs to the thread that made it");
    assert!(handle, "the question can be answered with yes");
}

#[test]
fn loads_of_a_sendable_loader_can_be_spawned() {
    let cache = CacheHandle::<String, Arc<str>>::builder().shards(1).build().expect("valid");
    let key = "k".to_owned();
    let sure = send_future(cache.get_or_load_async(&key, async { Arc::from("v") }));
    assert_eq!(&*pollster::block_on(sure), "v");
    let maybe = send_future(
        cache.try_get_or_load_async(&key, async { Err::<Arc<str>, String>(String::new()) }),
    );
    assert_eq!(pollster::block_on(maybe).as_deref(), Ok("v"));
    let reply = send_future(cache.flush());
    pollster::block_on(reply).expect("shards live");
}

#[test]
fn a_loader_that_stays_on_its_thread_is_welcome_too() {
    let cache = CacheHandle::<u64, u64>::builder().shards(1).build().expect("valid");
    let calls = Rc::new(Cell::new(0));
    let load = async {
        calls.set(calls.get() + 1);
        7
    };
    assert_eq!(pollster::block_on(cache.get_or_load_async(&1, load)), 7);
    assert_eq!(cache.get_or_load(&2, || calls.get()), 1);
}
