//! Evictions of scopes as a shard comes to them: each is heard of before it begins, and answered in the order in
//! which they began.
//!
//! All evictions of a cache begin one after another (`scope/evictions.rs`), and who evicts leaves every shard the command
//! before that. So a shard that has found one begun has the commands of all that began earlier, though it may have to take
//! them out of its mailbox first: it answers none before it has answered those, and each takes what one generation less
//! than the rest would have left. Invariant: in-order (see `docs/concurrency.md`). Layer: shard.

use super::graves::KEPT;
use crate::reply::Responder;
use crate::scope::ScopeStamp;
use crate::scope::evictions::Begun;
use crate::scope::node::Node;
use crate::scope::trie::Trie;
use crate::sync::{AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One eviction, shared by who evicts and all shards.
pub(crate) struct Eviction {
    node: Arc<Node>,
    generation: AtomicU64,
    /// Among all evictions, or 0 before it has begun, or [`AWAITED`] if a shard sleeps that has heard of it.
    place: AtomicU64,
}

/// Less than any place.
const AWAITED: u64 = 1;

/// The evictions that one shard has heard of and not yet answered.
#[derive(Default)]
pub(super) struct Docket {
    /// Those that had not begun when they were last looked at.
    coming: Vec<(Arc<Eviction>, Responder<u64>)>,
    /// The others, by their places.
    begun: BTreeMap<u64, (Arc<Eviction>, Responder<u64>)>,
    /// Those before which not all is folded.
    unsettled: Vec<Arc<Eviction>>,
    /// Up to this place all are answered.
    answered: u64,
}

impl Eviction {
    pub(crate) fn new(node: &Arc<Node>) -> Self {
        Self { node: Arc::clone(node), generation: AtomicU64::new(0), place: AtomicU64::new(0) }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The generation that it has begun, for who has found it begun.
    pub(super) fn generation(&self) -> u64 {
        // Relaxed: stored before its place.
        self.generation.load(Ordering::Relaxed)
    }

    /// Begins it: what is older is dead for every reader from now on. Once, after every shard was left its command.
    /// Whether all shards are to be woken for it: one of them may sleep that has taken that.
    pub(crate) fn begin(&self, trie: &Trie) -> bool {
        self.has_begun(trie.evict(&self.node))
    }

    /// Says that it has begun; whether all shards are to be woken for it.
    pub(crate) fn has_begun(&self, Begun { place, generation }: Begun) -> bool {
        // Relaxed: found by who finds the place.
        self.generation.store(generation, Ordering::Relaxed);
        // Release: a shard that finds it begun folds all that came before [edge: eviction-heard].
        self.place.swap(place, Ordering::Release) == AWAITED
    }

    /// Its place, if it has begun.
    fn place(&self) -> Option<u64> {
        // Acquire: what came before it is folded next [edge: eviction-heard].
        let place = self.place.load(Ordering::Acquire) & !AWAITED;
        (place != 0).then_some(place)
    }

    /// Has the caller's shard be woken when it begins; `false` if it has begun.
    fn await_begin(&self) -> bool {
        // Relaxed: one word has one history, so either it is found begun here, or who begins it finds this.
        self.place.fetch_or(AWAITED, Ordering::Relaxed) <= AWAITED
    }
}

impl Docket {
    /// Takes an eviction in whose command has come.
    pub(super) fn hear(&mut self, eviction: Arc<Eviction>, answer: Responder<u64>) {
        self.coming.push((eviction, answer));
    }

    /// Looks which evictions have begun; whether there are such before which not all is folded.
    pub(super) fn look(&mut self) -> bool {
        let Self { coming, begun, unsettled, .. } = self;
        for at in (0..coming.len()).rev() {
            if let Some(place) = coming[at].0.place() {
                let (eviction, answer) = coming.swap_remove(at);
                unsettled.push(Arc::clone(&eviction));
                begun.insert(place, (eviction, answer));
            }
        }
        !unsettled.is_empty()
    }

    /// The place of the last eviction that has begun and that it has heard of.
    pub(super) fn last_begun(&mut self) -> u64 {
        self.look();
        self.begun.last_key_value().map_or(self.answered, |(&place, _)| place)
    }

    /// Those before which all is folded now.
    pub(super) fn settled(&mut self) -> impl Iterator<Item = Arc<Eviction>> + '_ {
        self.unsettled.drain(..)
    }

    /// Up to which place all are answered.
    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    /// The one to be answered next, if it has heard of that.
    pub(super) fn next(&self) -> Option<&Arc<Eviction>> {
        let next = self.answered + ScopeStamp::GENERATION;
        self.begun.get(&next).map(|(eviction, _)| eviction)
    }

    /// Takes the next one out, to be answered.
    pub(super) fn take_next(&mut self) -> Option<Responder<u64>> {
        let next = self.answered + ScopeStamp::GENERATION;
        let (_, answer) = self.begun.remove(&next)?;
        self.answered = next;
        Some(answer)
    }

    /// Has the shard be woken when what it has heard of begins; `false` if one has.
    pub(super) fn await_begin(&self) -> bool {
        self.coming.iter().all(|(eviction, _)| eviction.await_begin())
    }

    /// Gives back what is kept for the next ones.
    pub(super) fn rest(&mut self) {
        self.coming.shrink_to(KEPT);
        self.unsettled.shrink_to(KEPT);
    }

    /// Those who wait for an answer that will not come.
    pub(super) fn into_unanswered(self) -> impl Iterator<Item = Responder<u64>> {
        let begun = self.begun.into_values();
        self.coming.into_iter().chain(begun).map(|(_, answer)| answer)
    }
}
