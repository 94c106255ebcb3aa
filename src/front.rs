//! What all handles of a cache share: the shards, and what every call needs on its way to one.
//!
//! Owns the threads: when the last handle goes, it stops them. Layer: front.

use crate::clock::{Clock, NEVER, deadline};
use crate::error::{Error, Refusal, TryInsertError};
use crate::process::Process;
use crate::removal::Removal;
use crate::reply::{Reply, Responder};
use crate::scope::node::{Generation, Node, Tallies};
use crate::scope::path::{ScopeId, Steps};
use crate::scope::place::{Global, Place};
use crate::scope::snapshot::{ScopeFigure, ScopeReport, ScopeStats, ScopesSnapshot, len_of};
use crate::scope::trie::{Idle, Trie};
use crate::shard::Shard;
use crate::shard::command::Command;
use crate::shard::docket::Eviction;
use crate::shard::entry::{Entry, Expiry, Span, Validity};
use crate::shard::hash::KeyHash;
use crate::shard::pending::Draft;
use crate::shard::rouse;
use crate::shard::streams::{Part, Subscriber};
use crate::stats::{Caller, CallerCounts, Stats};
use crate::sync::reclaim;
use crate::sync::thread::JoinHandle;
use crossbeam_channel::Receiver;
use equivalent::Equivalent;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The clock comes first: a read hands on where it is, and that of the whole it has at hand.
#[repr(C)]
pub(crate) struct Front<K, V> {
    pub(crate) clock: Clock,
    pub(crate) shards: Arc<[Shard<K, V>]>,
    pub(crate) trie: Arc<Trie>,
    /// That of the trie's root, so that a read reaches it without another pointer.
    pub(crate) generation: Generation,
    pub(crate) hasher: ahash::RandomState,
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) time_to_idle: Option<Duration>,
    pub(crate) max_capacity: u64,
    pub(crate) event_capacity: usize,
    pub(crate) counts: CallerCounts,
    pub(crate) threads: Vec<JoinHandle<()>>,
    /// Where the threads are.
    pub(crate) process: Process,
}

impl<K, V> Front<K, V> {
    /// The scope that a handle of the whole cache reads and writes.
    #[inline]
    pub(crate) fn global(&self) -> Global<'_> {
        Global::new(&self.generation)
    }

    /// The hash of a key in a scope, and the shard that owns it.
    #[inline]
    pub(crate) fn route<Q: Hash + ?Sized>(
        &self,
        place: impl Place,
        key: &Q,
    ) -> (KeyHash, &Shard<K, V>) {
        let hash = KeyHash(place.aim(self.hasher.hash_one(key)));
        (hash, &self.shards[hash.shard(self.shards.len())])
    }

    /// What makes an entry valid for a reader in a scope.
    #[inline]
    pub(crate) fn validity<P: Place>(&self, place: P) -> Validity<'_, P> {
        Validity::new(&self.clock, place)
    }

    /// Counts one for the cache and for the scope.
    #[inline]
    pub(crate) fn count<P: Place>(&self, place: P, lane: usize, what: Caller) {
        if !P::COUNTS_ALONE {
            self.counts.count(lane, what);
        }
        if place.count(lane, what) {
            self.wish_for_stripes(place);
        }
    }

    /// Has a shard make the counters of a scope that has come to be read much.
    #[cold]
    fn wish_for_stripes(&self, place: impl Place) {
        if self.trie.wish(place.now().scope()) {
            self.shards[0].signal().wake();
        }
    }

    /// How long a value lives after it was written if nobody says so.
    fn lifetime(&self, place: impl Place) -> Option<Duration> {
        let of_level = || self.trie.tree().lifetime(place.level());
        place.time_to_live().or_else(of_level).or(self.time_to_live)
    }

    /// Which times a value has if nobody says so.
    pub(crate) fn span(&self, place: impl Place) -> Span {
        Span::of(self.lifetime(place).is_some(), self.time_to_idle.is_some())
    }

    /// When a value that is stored now expires, with a time to live of its own or that of its scope.
    pub(crate) fn expiry(&self, place: impl Place, time_to_live: Option<Duration>) -> Expiry {
        let time_to_live = time_to_live.or_else(|| self.lifetime(place));
        if time_to_live.is_none() && self.time_to_idle.is_none() {
            return Expiry::NEVER;
        }
        let now = self.clock.now();
        let after = |duration: Option<Duration>| duration.map_or(NEVER, |d| deadline(now, d));
        Expiry { deadline: after(time_to_live), idle: after(self.time_to_idle) }
    }

    /// A write of the key, ready to be offered to its shard.
    pub(crate) fn draft(
        &self,
        place: impl Place,
        key: K,
        value: V,
        time_to_live: Option<Duration>,
    ) -> (KeyHash, &Shard<K, V>, Draft<Entry<K, V>>)
    where
        K: Hash,
    {
        let (hash, shard) = self.route(place, &key);
        let expiry = self.expiry(place, time_to_live);
        let origin = (hash.local(), place.now(), shard.tick());
        let entry = Entry::write(origin, expiry, (key, value), &shard.blocks);
        (hash, shard, entry)
    }

    pub(crate) fn insert(&self, place: impl Place, key: K, value: V, time_to_live: Option<Duration>)
    where
        K: Hash + Eq,
    {
        let (hash, shard, draft) = self.draft(place, key, value, time_to_live);
        if let Err(draft) = shard.offer(hash, draft) {
            self.insert_when_ready(place, hash, shard, draft);
        }
    }

    /// As `insert`; a time to live of zero stores nothing and removes what the key had.
    pub(crate) fn insert_with_ttl(
        &self,
        place: impl Place,
        key: K,
        value: V,
        time_to_live: Duration,
    ) where
        K: Hash + Eq,
    {
        if time_to_live.is_zero() {
            self.remove(place, &key, |_| ());
        } else {
            self.insert(place, key, value, Some(time_to_live));
        }
    }

    #[cold]
    fn insert_when_ready(
        &self,
        place: impl Place,
        hash: KeyHash,
        shard: &Shard<K, V>,
        mut draft: Draft<Entry<K, V>>,
    ) where
        K: Eq,
    {
        while self.ready(shard).wait().is_ok() {
            match shard.offer(hash, draft) {
                Ok(()) => return,
                Err(back) => draft = back,
            }
        }
        // The shard has died or is the parent's: the value is dropped, as an evicted one would be, and
        // so is the older one, which would be read as if this write had never been.
        let (key, _value) = Entry::take_back(draft);
        reclaim::pinned(|pinned| {
            shard.remove(hash, |k| *k == key, self.validity(place), pinned);
        });
    }

    /// As `insert`, but gives key and value back instead of waiting.
    pub(crate) fn try_insert(
        &self,
        place: impl Place,
        key: K,
        value: V,
    ) -> Result<(), TryInsertError<K, V>>
    where
        K: Hash,
    {
        let (hash, shard, draft) = self.draft(place, key, value, None);
        shard.offer(hash, draft).map_err(|draft| {
            let (key, value) = Entry::take_back(draft);
            let why = match () {
                () if shard.is_closed() => Refusal::Closed,
                () if self.is_forked() => Refusal::Forked,
                () => Refusal::Full,
            };
            TryInsertError::new(key, value, why)
        })
    }

    /// Takes a key's value out; what `read` makes of it.
    pub(crate) fn remove<Q, R>(
        &self,
        place: impl Place,
        key: &Q,
        read: impl FnOnce(&V) -> R,
    ) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let (hash, shard) = self.route(place, key);
        if !shard.has_room() && !crate::shard_thread::is_current() {
            // An error means that the shard has died or is the parent's: readers see the removal all the same.
            let _ = self.ready(shard).wait();
        }
        reclaim::pinned(|pinned| {
            let is_key = |k: &K| key.equivalent(k);
            let taken = shard.remove(hash, is_key, self.validity(place), pinned)?;
            Some(read(taken.value()))
        })
    }

    /// Evicts a scope and those below it.
    pub(crate) fn evict(&self, node: &Arc<Node>) -> Reply<u64> {
        let eviction = Arc::new(Eviction::new(node));
        self.leave_with_all(
            |a, b| a + b,
            |answer| Command::Evict(Arc::clone(&eviction), answer),
            || eviction.begin(&self.trie),
        )
    }

    /// Evicts a scope below `base`, and those below it, if it is in use.
    pub(crate) fn evict_below<'i, L, I>(
        &self,
        base: &Arc<Node>,
        path: impl IntoIterator<Item = (L, I)>,
    ) -> Result<Reply<u64>, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        let steps = Steps::check(self.trie.tree(), base.level(), path)?;
        if self.is_forked() {
            return Ok(Reply::refused(Error::forked()));
        }
        let Some(node) = self.trie.enter_known(base, &steps) else {
            return Ok(Reply::ready(0));
        };
        let reply = self.evict(&node);
        self.trie.leave(&node, &mut |idle| self.probe(idle));
        Ok(reply)
    }

    /// Clones of all live entries of one scope.
    pub(crate) fn entries(&self, node: &Arc<Node>) -> Reply<Vec<(K, V)>>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.pick(node, |key, value| Some((key.clone(), value.clone())))
    }

    /// What `pick` makes of the live entries of one scope.
    pub(crate) fn pick<T: Send + 'static>(
        &self,
        node: &Arc<Node>,
        pick: impl Fn(&K, &V) -> Option<T> + Copy + Send + 'static,
    ) -> Reply<Vec<T>> {
        let join = |mut all: Vec<_>, more: Vec<_>| {
            all.extend(more);
            all
        };
        self.ask_all(join, |answer| {
            let visitor = Box::new(move |residents: &mut dyn Iterator<Item = (&K, &V)>| {
                let clones = catch_unwind(AssertUnwindSafe(|| {
                    residents.filter_map(|(key, value)| pick(key, value)).collect()
                }));
                match clones {
                    Ok(entries) => answer.answer(Ok(entries)),
                    Err(payload) => {
                        answer.answer(Err(Error::panicked("the Clone of a key or value")));
                        resume_unwind(payload);
                    }
                }
            });
            Command::Visit(Arc::clone(node), visitor)
        })
    }

    pub(crate) fn flush(&self) -> Reply<()> {
        self.ask_all(|(), ()| (), Command::Flush)
    }

    /// A stream of what leaves, or of a part of it.
    pub(crate) fn events(&self, part: Option<Part<K>>) -> Receiver<Arc<Removal<K, V>>> {
        let (sender, receiver) = crossbeam_channel::bounded(self.event_capacity);
        // In a forked child the stream ends at once.
        if !self.is_forked() {
            for shard in &*self.shards {
                let subscriber = Subscriber::new(sender.clone(), part.clone());
                shard.send(Command::Subscribe(subscriber));
            }
        }
        receiver
    }

    /// Has the shards end the streams of a scope that nobody reads any more.
    pub(crate) fn unsubscribe(&self, node: &Node) {
        if !self.is_forked() {
            for shard in &*self.shards {
                shard.whisper(Command::Unsubscribe(node.number()));
            }
        }
    }

    /// Asks every shard to say when its backlog has room.
    pub(crate) fn all_ready(&self) -> Reply<()> {
        self.ask_all(|(), ()| (), Command::Ready)
    }

    pub(crate) fn stats(&self) -> Stats {
        let shards = self.shards.iter().map(Shard::published_counts);
        Stats {
            callers: self.counts.sum(),
            shards: shards.fold(Default::default(), |sum, counts| counts.plus(sum)),
        }
    }

    /// The figures of every scope in use; `all` are those of the cache.
    pub(crate) fn scopes(&self, all: Stats) -> Reply<ScopesSnapshot> {
        if self.is_forked() {
            return Reply::refused(Error::forked());
        }
        Reply::ready(ScopesSnapshot::of_all(&self.trie, tallies(all)))
    }

    /// The figures of a scope and of every one in use below it.
    pub(crate) fn scopes_below(&self, node: &Arc<Node>) -> Reply<ScopesSnapshot> {
        if self.is_forked() {
            return Reply::refused(Error::forked());
        }
        Reply::ready(ScopesSnapshot::below(&self.trie, node))
    }

    /// The figures of a scope. In a forked child its own only: a thread of the parent may have been at the maps of the
    /// scopes, or at what one left to another, and is not there to end it.
    pub(crate) fn stats_of(&self, node: &Arc<Node>) -> ScopeStats {
        if self.is_forked() {
            return ScopeStats::alone(node.own());
        }
        ScopeStats::of(&self.trie, node)
    }

    /// How many entries a scope and those below it have; in a forked child as [`stats_of`](Self::stats_of).
    pub(crate) fn len_of(&self, node: &Arc<Node>) -> u64 {
        if self.is_forked() {
            return self.stats_of(node).subtree().len();
        }
        len_of(&self.trie, node)
    }

    /// Has the shards see whether a scope that its last user has left is to end.
    pub(crate) fn probe(&self, idle: Idle) {
        // In a forked child nothing ends.
        if !self.is_forked() {
            self.shards[0].whisper(Command::Probe(idle));
        }
    }

    /// Asks one shard to say when its backlog has room.
    pub(crate) fn ready(&self, shard: &Shard<K, V>) -> Reply<()> {
        if self.is_forked() {
            return Reply::refused(Error::forked());
        }
        let (answer, reply) = Reply::new();
        shard.send(Command::Ready(answer));
        reply
    }

    /// Asks every shard; the reply is the sum of their answers.
    pub(crate) fn ask_all<T>(
        &self,
        add: fn(T, T) -> T,
        mut command: impl FnMut(Responder<T>) -> Command<K, V>,
    ) -> Reply<T> {
        if self.is_forked() {
            return Reply::refused(Error::forked());
        }
        Reply::sum_of(self.shards.len(), add, |i, answer| self.shards[i].send(command(answer)))
    }

    /// As `ask_all`, for who does not wait for the answer: wakes one shard, which wakes others, or all if `then` says
    /// so, which does what the commands are about once all have theirs.
    pub(crate) fn leave_with_all<T>(
        &self,
        add: fn(T, T) -> T,
        mut command: impl FnMut(Responder<T>) -> Command<K, V>,
        then: impl FnOnce() -> bool,
    ) -> Reply<T> {
        if self.is_forked() {
            then();
            return Reply::refused(Error::forked());
        }
        let mut commands = Vec::with_capacity(self.shards.len());
        let reply =
            Reply::sum_of(self.shards.len(), add, |_, answer| commands.push(command(answer)));
        rouse::leave_with_all(&self.shards, commands, then);
        reply
    }

    /// Whether this process was forked off the one with the threads. Then nobody may be waited for, and
    /// no command be sent: a thread of the parent may have held the queue's lock as it was forked.
    pub(crate) fn is_forked(&self) -> bool {
        self.process.is_left()
    }

    /// Stops the threads once they have folded what was accepted and answered every reply.
    fn stop(&mut self) {
        if self.is_forked() {
            // Not even to be detached: they are not there.
            std::mem::forget(std::mem::take(&mut self.threads));
            return;
        }
        for shard in &*self.shards {
            shard.send(Command::Stop);
        }
        // The last handle can go on a shard's own thread, in the destructor of a value: that thread
        // cannot wait for itself, so it leaves all of them to end on their own.
        if !crate::shard_thread::is_current() {
            for thread in self.threads.drain(..) {
                // A thread that died has said so to everyone who asked it something.
                let _ = thread.join();
            }
        }
    }
}

/// The counters of a cache as those of its global scope with all below it.
pub(crate) fn tallies(all: Stats) -> Tallies {
    Tallies {
        live: all.len(),
        weight: all.weight(),
        evictions: all.evictions(),
        counts: all.callers,
    }
}

/// The `n` scopes of a snapshot that have most of something.
pub(crate) fn top_of(
    all: Reply<ScopesSnapshot>,
    n: usize,
    by: ScopeFigure,
) -> Reply<Vec<ScopeReport>> {
    let top = all.wait().map(|all| all.top(n, by).into_iter().cloned().collect());
    top.map_or_else(Reply::refused, Reply::ready)
}

impl<K, V> Drop for Front<K, V> {
    fn drop(&mut self) {
        self.stop();
    }
}
