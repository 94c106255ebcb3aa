//! What clients saw: calls on keys with what they returned, each with the moments of call and return.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Stands for a value, or for an error of a loader; each is made once in a history.
pub type Token = u32;

/// How a load ended.
pub type Loaded = Result<Token, Token>;

/// A key.
pub type Key = u8;

/// A call that has returned, and what it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A value was written.
    Insert(Token),
    /// The key was read.
    Get(Option<Token>),
    /// The key was removed, and had this value.
    Remove(Option<Token>),
    /// All keys were removed.
    Clear,
    /// A load whose caller ran its own loader, which ended so.
    Lead(Loaded),
    /// A load whose caller did not run its loader: it found a value, or another caller's load ended so.
    Follow(Loaded),
}

/// A call on a key with its interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who called.
    pub client: usize,
    /// The key it concerns.
    pub key: Key,
    /// What was called and returned.
    pub call: Call,
    /// When it was called. No two moments of a history are equal.
    pub called: u64,
    /// When it returned.
    pub returned: u64,
    /// When its loader began, if it ran one.
    pub loader: Option<u64>,
}

impl Event {
    /// Whether neither call returned before the other began.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.called < other.returned && other.called < self.returned
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, key, call, called, returned, loader } = self;
        write!(f, "[{called:4} ..{returned:4}] client {client}, key {key}: {call:?}")?;
        loader.map_or(Ok(()), |from| write!(f, ", loader from {from}"))
    }
}

/// A history in the making; clones write the same one.
#[derive(Clone, Default)]
pub struct Log(Arc<Records>);

#[derive(Default)]
struct Records {
    now: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl Log {
    /// The next moment.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.now.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a call.
    pub fn note(&self, event: Event) {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// What has been noted so far.
    #[must_use]
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}
