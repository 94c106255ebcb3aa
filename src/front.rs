//! What all handles of a cache share: the shards, and what every call needs on its way to one.
//!
//! Owns the threads: when the last handle goes, it stops them. Layer: front.

use crate::clock::{Clock, NEVER, deadline};
use crate::error::Error;
use crate::process::Process;
use crate::reply::{Reply, Responder};
use crate::scope::{GLOBAL, Generation};
use crate::shard::Shard;
use crate::shard::command::Command;
use crate::shard::entry::{Entry, Expiry, Live, ScopeStamp, Validity};
use crate::shard::hash::KeyHash;
use crate::shard::pending::Draft;
use crate::stats::{Caller, CallerCounts};
use crate::sync::reclaim::Guard;
use crate::sync::thread::JoinHandle;
use equivalent::Equivalent;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Front<K, V> {
    pub(crate) shards: Arc<[Shard<K, V>]>,
    pub(crate) generation: Generation,
    pub(crate) hasher: ahash::RandomState,
    pub(crate) clock: Clock,
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
    /// The hash of a key and the shard that owns it.
    #[inline]
    pub(crate) fn route<Q: Hash + ?Sized>(&self, key: &Q) -> (KeyHash, &Shard<K, V>) {
        let hash = KeyHash(self.hasher.hash_one(key));
        (hash, &self.shards[hash.shard(self.shards.len())])
    }

    /// What makes an entry valid for a reader now.
    #[inline]
    pub(crate) fn validity(&self) -> Validity<'_> {
        Validity::new(&self.clock, self.generation.current())
    }

    /// The live entry of a key, without counting or touching it.
    #[inline]
    pub(crate) fn peek<'g, Q>(&self, key: &Q, pinned: &'g Guard) -> Option<Live<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let (hash, shard) = self.route(key);
        shard.find(hash, |k| key.equivalent(k), self.validity(), pinned)
    }

    /// The live entry of a key: counts a hit or a miss and notes that the entry was read.
    #[inline]
    pub(crate) fn look<'g, Q>(&self, key: &Q, pinned: &'g Guard) -> Option<Live<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let (hash, shard) = self.route(key);
        let found = shard.find(hash, |k| key.equivalent(k), self.validity(), pinned);
        match found {
            Some(live) => self.hit(shard, live, pinned),
            None => self.counts.count(pinned.lane(), Caller::Miss),
        }
        found
    }

    #[inline]
    pub(crate) fn hit(&self, shard: &Shard<K, V>, live: Live<'_, K, V>, pinned: &Guard) {
        self.counts.count(pinned.lane(), Caller::Hit);
        live.entry().touch(shard.tick());
        if let Some(idle) = self.time_to_idle {
            live.extend_idle(deadline(self.clock.now(), idle));
        }
    }

    /// What a write or a load that begins now belongs to.
    pub(crate) fn stamp(&self) -> ScopeStamp {
        ScopeStamp::new(GLOBAL, self.generation.current())
    }

    /// Whether values expire even if nobody says so.
    pub(crate) fn ages(&self) -> bool {
        self.time_to_live.is_some() || self.time_to_idle.is_some()
    }

    /// When a value that is stored now expires, with the cache's time to live or one of its own.
    pub(crate) fn expiry(&self, time_to_live: Option<Duration>) -> Expiry {
        let time_to_live = time_to_live.or(self.time_to_live);
        if time_to_live.is_none() && !self.ages() {
            return Expiry::NEVER;
        }
        let now = self.clock.now();
        let after = |duration: Option<Duration>| duration.map_or(NEVER, |d| deadline(now, d));
        Expiry { deadline: after(time_to_live), idle: after(self.time_to_idle) }
    }

    /// A write of the key, ready to be offered to its shard.
    pub(crate) fn draft(
        &self,
        key: K,
        value: V,
        time_to_live: Option<Duration>,
    ) -> (KeyHash, &Shard<K, V>, Draft<Entry<K, V>>)
    where
        K: Hash,
    {
        let (hash, shard) = self.route(&key);
        let entry = Entry::write(hash.local(), self.stamp(), self.expiry(time_to_live), key, value);
        (hash, shard, entry)
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

impl<K, V> Drop for Front<K, V> {
    fn drop(&mut self) {
        self.stop();
    }
}
