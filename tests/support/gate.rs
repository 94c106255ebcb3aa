//! Gates: a thread that must stand still at a known place until the test lets it go.

use super::PATIENCE;
use cacheado::{CacheBuilder, CacheHandle};
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex};

#[derive(Default)]
struct State {
    arrived: usize,
    open: bool,
}

/// Threads that `pass` stand still until it is opened; once open it stays open.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Arrives at the gate and waits until it is open.
    pub(crate) fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().expect("no poison");
        state.arrived += 1;
        changed.notify_all();
        while !state.open {
            let (next, late) = changed.wait_timeout(state, PATIENCE).expect("no poison");
            state = next;
            assert!(state.open || !late.timed_out(), "nobody opened the gate");
        }
    }

    /// Notes an arrival without waiting.
    pub(crate) fn arrive(&self) {
        let (state, changed) = &*self.0;
        state.lock().expect("no poison").arrived += 1;
        changed.notify_all();
    }

    /// Waits until so many have arrived.
    pub(crate) fn wait_for(&self, count: usize) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().expect("no poison");
        while state.arrived < count {
            let (next, late) = changed.wait_timeout(state, PATIENCE).expect("no poison");
            state = next;
            assert!(state.arrived >= count || !late.timed_out(), "nobody arrived at the gate");
        }
    }

    pub(crate) fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().expect("no poison").open = true;
        changed.notify_all();
    }
}

/// A shard held inside the removal listener. It is let go when this is dropped, also by a failing
/// assertion, so that no test leaves a stuck thread behind.
pub(crate) struct StuckShard(Gate);

impl StuckShard {
    /// The builder with a listener that stops at the gate for every departing entry.
    pub(crate) fn prepare<K, V>(builder: CacheBuilder<K, V>) -> (Gate, CacheBuilder<K, V>)
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let gate = Gate::new();
        let inner = gate.clone();
        (gate, builder.removal_listener(move |_: &K, _: &V, _| inner.pass()))
    }

    /// Lets `key` depart and returns once its shard stands in the listener.
    pub(crate) fn hold<K, V>(cache: &CacheHandle<K, V>, gate: Gate, key: K, value: V) -> Self
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        cache.insert(key.clone(), value.clone());
        cache.flush().wait().expect("shards live");
        cache.insert(key, value);
        let unanswered = cache.flush();
        gate.wait_for(1);
        drop(unanswered);
        Self(gate)
    }

    pub(crate) fn release(&self) {
        self.0.open();
    }
}

impl Drop for StuckShard {
    fn drop(&mut self) {
        self.0.open();
    }
}
