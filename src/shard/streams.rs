//! Streams of what leaves: who reads what, until nobody reads it any more.
//!
//! Layer: shard.

use super::graves::KEPT;
use super::panics::Panics;
use crate::removal::Removal;
use crate::scope::ScopeStamp;
use crossbeam_channel::{Sender, TrySendError};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The streams that a shard sends to.
pub(super) struct Streams<K, V> {
    /// Those of scopes, by the scope's number: there may be one for each tenant, and what leaves should not have to
    /// ask all of them.
    of_scopes: HashMap<u32, Vec<Subscriber<K, V>>, ahash::RandomState>,
    others: Vec<Subscriber<K, V>>,
}

/// One stream.
pub(crate) struct Subscriber<K, V> {
    sender: Sender<Arc<Removal<K, V>>>,
    /// What it is of, if not of all.
    part: Option<Part<K>>,
}

/// Some of the entries, for as long as somebody reads about them.
pub(crate) struct Part<K> {
    which: Which<K>,
    reader: Weak<()>,
}

pub(crate) enum Which<K> {
    /// Those whose key has this number.
    Numbered(fn(&K) -> u32, u32),
    /// Those of a scope, whose stamps are this or later. Whoever reads uses the scope, so that no other has its number
    /// after it; what earlier owners of the number had may still be in the graves, with earlier stamps.
    InScope(ScopeStamp),
}

impl<K, V> Streams<K, V> {
    pub(super) fn add(&mut self, subscriber: Subscriber<K, V>, panics: &Panics) {
        let list = match subscriber.scope() {
            Some(scope) => self.of_scopes.entry(scope).or_default(),
            None => &mut self.others,
        };
        forget_gone(list, panics);
        list.push(subscriber);
    }

    /// Ends the streams of a scope that nobody reads any more.
    pub(super) fn forget(&mut self, scope: u32, panics: &Panics) {
        let Some(list) = self.of_scopes.get_mut(&scope) else { return };
        forget_gone(list, panics);
        if list.is_empty() {
            self.of_scopes.remove(&scope);
            let (len, room) = (self.of_scopes.len(), self.of_scopes.capacity());
            if room > KEPT.max(8 * len) {
                self.of_scopes.shrink_to(2 * len);
            }
        }
    }

    /// Ends all. What nobody took out of one that was dropped goes with it.
    pub(super) fn end(&mut self, panics: &Panics) {
        let of_scopes = self.of_scopes.drain().flat_map(|(_, list)| list);
        for subscriber in of_scopes.chain(self.others.drain(..)) {
            panics.catch(|| drop(subscriber));
        }
    }

    /// Whether one is to have what has this key and this stamp.
    pub(super) fn await_it(&mut self, key: &K, stamp: ScopeStamp, panics: &Panics) -> bool {
        self.lists(stamp).any(|list| {
            forget_gone(list, panics);
            list.iter().any(|subscriber| subscriber.is_concerned(key, stamp))
        })
    }

    /// Sends what has left to all that are to have it. How many were full.
    pub(super) fn send(
        &mut self,
        removal: &Arc<Removal<K, V>>,
        stamp: ScopeStamp,
        panics: &Panics,
    ) -> u64 {
        self.lists(stamp).map(|list| send(list, removal, stamp, panics)).sum()
    }

    /// Those that may be concerned.
    fn lists(&mut self, stamp: ScopeStamp) -> impl Iterator<Item = &mut Vec<Subscriber<K, V>>> {
        let of_scope = self.of_scopes.get_mut(&stamp.scope());
        of_scope.into_iter().chain(std::iter::once(&mut self.others))
    }
}

impl<K, V> Default for Streams<K, V> {
    fn default() -> Self {
        Self { of_scopes: HashMap::default(), others: Vec::new() }
    }
}

/// Ends streams that nobody reads any more. What was left in one goes with its last sender.
fn forget_gone<K, V>(list: &mut Vec<Subscriber<K, V>>, panics: &Panics) {
    while let Some(at) = list.iter().position(Subscriber::is_gone) {
        let gone = list.swap_remove(at);
        panics.catch(|| drop(gone));
    }
}

fn send<K, V>(
    list: &mut Vec<Subscriber<K, V>>,
    removal: &Arc<Removal<K, V>>,
    stamp: ScopeStamp,
    panics: &Panics,
) -> u64 {
    let (mut at, mut full) = (0, 0);
    while let Some(subscriber) = list.get(at) {
        if !subscriber.is_concerned(removal.key(), stamp) {
            at += 1;
            continue;
        }
        match subscriber.sender.try_send(Arc::clone(removal)) {
            Ok(()) => at += 1,
            Err(TrySendError::Full(refused)) => {
                full += 1;
                panics.catch(|| drop(refused));
                at += 1;
            }
            Err(TrySendError::Disconnected(_)) => {
                // Nobody listens: what was left in the stream goes with its last sender.
                let gone = list.swap_remove(at);
                panics.catch(|| drop(gone));
            }
        }
    }
    full
}

impl<K, V> Subscriber<K, V> {
    pub(crate) fn new(sender: Sender<Arc<Removal<K, V>>>, part: Option<Part<K>>) -> Self {
        Self { sender, part }
    }

    fn is_concerned(&self, key: &K, stamp: ScopeStamp) -> bool {
        self.part.as_ref().is_none_or(|part| match part.which {
            Which::Numbered(of, number) => of(key) == number,
            Which::InScope(since) => stamp.scope() == since.scope() && stamp >= since,
        })
    }

    /// The number of the scope that it is of.
    fn scope(&self) -> Option<u32> {
        self.part.as_ref().and_then(|part| match part.which {
            Which::Numbered(..) => None,
            Which::InScope(since) => Some(since.scope()),
        })
    }

    /// Whether nobody reads it, as far as that is known before something is sent.
    fn is_gone(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.reader.strong_count() == 0)
    }
}

impl<K> Part<K> {
    pub(crate) fn new(which: Which<K>, reader: &Arc<()>) -> Self {
        Self { which, reader: Arc::downgrade(reader) }
    }
}

impl<K> Clone for Part<K> {
    fn clone(&self) -> Self {
        Self { which: self.which, reader: Weak::clone(&self.reader) }
    }
}

impl<K> Clone for Which<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Which<K> {}
