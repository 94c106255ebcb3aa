//! A shard: the part of the keyspace that one thread alone may change and every thread may read.
//!
//! The life of a write: a caller makes an [`entry`], submits it to the [`pending`] table, where every
//! thread sees it at once, and adds it to the backlog ([`signal`]). The shard thread ([`worker`]) takes
//! it with whatever else has come ([`fold`]), puts it into its private store, publishes it in the
//! [`index`] and cuts it out of the table. What was replaced waits in the [`graves`] until its last
//! reader has gone.
//!
//! A read looks into the pending table first and into the index second, and is done. A load that is in
//! flight is an operation of the pending table too ([`flight`]). Requests about a whole shard are
//! [`command`]s in its mailbox; evictions of scopes have their order in the [`docket`], and what leaves before
//! its eviction is settled is kept in mind as [`foregone`]. What leaves the cache is accounted for in [`departures`].
//!
//! Layer: shard; knows the store and the base, not the handles above it.

mod away;
#[cfg(crossbeam_loom)]
pub(crate) mod bare;
pub(crate) mod blocks;
pub(crate) mod budget;
pub(crate) mod command;
pub(crate) mod departures;
pub(crate) mod docket;
pub(crate) mod entry;
pub(crate) mod flight;
pub(crate) mod fold;
mod foregone;
mod graves;
pub(crate) mod groups;
pub(crate) mod hash;
pub(crate) mod index;
mod known;
mod link;
mod op;
mod panics;
pub(crate) mod pending;
pub(crate) mod rouse;
mod scopes;
pub(crate) mod signal;
mod state;
pub(crate) mod streams;
mod upkeep;
pub(crate) mod worker;

use crate::clock::Clock;
use crate::scope::place::{Doubt, Place};
use crate::stats::Published;
use crate::store::Tick;
use crate::sync::mailbox::Mailbox;
use crate::sync::reclaim::{self, Pinned};
use crate::sync::tally;
use blocks::Blocks;
use command::{Command, Message};
use entry::{Entry, Farewell, Head, Live, Seen, State, Validity};
use flight::{Flight, LoadPermit, Outcome, Waiters};
use hash::KeyHash;
use index::ReadIndex;
use pending::{Draft, Operation, Pending, SLOTS, Step};
use signal::Signal;

/// What handles see of a shard.
pub(crate) struct Shard<K, V> {
    index: ReadIndex<K, V>,
    /// The store's recency tick, for readers to leave in what they read.
    tick: tally::AtomicU16,
    pending: Pending<K, V>,
    /// The most operations that may wait for the shard.
    backlog_limit: i64,
    /// Memory for its next entries and loads.
    pub(crate) blocks: Blocks<K, V>,
    mailbox: Mailbox<Message<K, V>>,
    signal: Signal,
    published: Published,
}

/// What one walk down a chain, and the index below it, say about a key.
pub(crate) enum Sight<'g, K, V> {
    /// It has a value.
    Live(Live<'g, K, V>),
    /// It has none, but a load is in flight that may be joined.
    Loading(&'g Flight<K, V>),
    /// It has none.
    Absent,
}

impl<K, V> Shard<K, V> {
    /// A shard for `entries` entries, if that is known, and `backlog` waiting operations; nothing if there
    /// is no memory for so many entries.
    pub(crate) fn new(entries: Option<usize>, backlog: usize) -> Option<Self> {
        let backlog_limit = i64::try_from(backlog).unwrap_or(i64::MAX);
        Some(Self {
            index: ReadIndex::new(entries)?,
            tick: tally::AtomicU16::new(0),
            pending: Pending::new(),
            backlog_limit,
            blocks: Blocks::new(backlog),
            mailbox: Mailbox::new(),
            signal: Signal::new((backlog_limit / 4).max(1)),
            published: Published::default(),
        })
    }

    /// The live entry of a key, unless a place that is not sure is in doubt. Takes no lock, sends nothing, waits for nobody.
    #[inline(always)]
    pub(crate) fn find<'g>(
        &self,
        hash: KeyHash,
        is_key: impl Fn(&K) -> bool + Copy,
        validity: Validity<'_, impl Place>,
        pinned: Pinned<'g>,
    ) -> Result<Option<Live<'g, K, V>>, Doubt> {
        let head = self.pending.head(hash.slot(SLOTS), pinned);
        if !head.may_hold(hash.local()) {
            return self.published(hash, is_key, validity, pinned);
        }
        self.find_in_flight(head, hash, is_key, validity.clock, validity.place, pinned)
    }

    /// As `find`, where the slot has something in flight that may be of the key. Mostly that is the newest write in it: beside a
    /// writer a good part of all reads are of keys that are written now.
    #[inline(always)]
    fn find_in_flight<'g, P: Place>(
        &self,
        head: Head,
        hash: KeyHash,
        is_key: impl Fn(&K) -> bool + Copy,
        clock: &Clock,
        place: P,
        pinned: Pinned<'g>,
    ) -> Result<Option<Live<'g, K, V>>, Doubt> {
        if let Some(newest) = self.pending.newest_write(head, pinned) {
            let entry = newest.entry();
            if entry.hash() == hash.local() && is_key(&entry.key) && place.holds(entry.stamp()) {
                return Ok(newest.alive(clock));
            }
        }
        let (_, sight) = self.survey_in_flight(head, hash, is_key, clock, place, pinned)?;
        Ok(match sight {
            Sight::Live(live) => Some(live),
            Sight::Loading(_) | Sight::Absent => None,
        })
    }

    #[inline(always)]
    fn published<'g, P: Place>(
        &self,
        hash: KeyHash,
        is_key: impl Fn(&K) -> bool + Copy,
        validity: Validity<'_, P>,
        pinned: Pinned<'g>,
    ) -> Result<Option<Live<'g, K, V>>, Doubt> {
        let Validity { clock, place } = validity;
        let of_key = move |entry: &Entry<K, V>| is_key(&entry.key);
        match self.index.find(hash.local(), of_key, pinned) {
            // The scope after the entry was found: so no generation that its maker saw is missed.
            Some(first) if place.holds(first.entry().stamp()) => Ok(first.alive(clock)),
            Some(_) if P::IS_SURE => Ok(self.published_beside(hash, is_key, clock, place, pinned)),
            Some(_) => Err(Doubt),
            None => Ok(None),
        }
    }

    /// As `published`, where what the index has first of the key does not hold: another scope may have the key, too.
    #[cold]
    fn published_beside<'g>(
        &self,
        hash: KeyHash,
        is_key: impl Fn(&K) -> bool + Copy,
        clock: &Clock,
        place: impl Place,
        pinned: Pinned<'g>,
    ) -> Option<Live<'g, K, V>> {
        let is_it = move |entry: &Entry<K, V>| is_key(&entry.key) && place.holds(entry.stamp());
        self.index.find(hash.local(), is_it, pinned)?.alive(clock)
    }

    /// All there is to know about a key, and the head under which it was seen: a submit on that head
    /// succeeds only if it still holds. For places that are sure.
    pub(crate) fn survey<'g, P: Place>(
        &self,
        hash: KeyHash,
        is_key: impl Fn(&K) -> bool + Copy,
        validity: Validity<'_, P>,
        pinned: Pinned<'g>,
    ) -> (Head, Sight<'g, K, V>) {
        const { assert!(P::IS_SURE) };
        let Validity { clock, place } = validity;
        let head = self.pending.head(hash.slot(SLOTS), pinned);
        let seen = self.survey_in_flight(head, hash, is_key, clock, place, pinned);
        seen.unwrap_or((head, Sight::Absent))
    }

    /// One walk decides everything. Two walks over the same head can disagree, because a flight may
    /// end in between, and a second loader would start.
    ///
    /// The parts of the validity one by one: together some are too large for registers, and every read that need not
    /// walk would store them first.
    #[cold]
    fn survey_in_flight<'g, P: Place>(
        &self,
        mut head: Head,
        hash: KeyHash,
        is_key: impl Fn(&K) -> bool + Copy,
        clock: &Clock,
        place: P,
        pinned: Pinned<'g>,
    ) -> Result<(Head, Sight<'g, K, V>), Doubt> {
        // An operation of a generation that has ended says nothing: what came after the eviction counts,
        // though it may hang below a slow write that was issued before.
        let holds = |entry: &Entry<K, V>| match place.holds(entry.stamp()) {
            false if !P::IS_SURE => Err(Doubt),
            holds => Ok(holds),
        };
        let is_it = |entry: &Entry<K, V>| Ok(is_key(&entry.key) && holds(entry)?);
        let mut walk = self.pending.walk(head, pinned);
        loop {
            match walk.step() {
                Step::Write(seen)
                    if seen.entry().hash() == hash.local() && is_it(seen.entry())? =>
                {
                    return Ok((head, decide(seen, clock)));
                }
                Step::Load(flight) if flight.hash() == hash.local() && is_it(flight.entry())? => {
                    match flight.entry().state() {
                        State::Loading => return Ok((head, Sight::Loading(flight))),
                        // Nobody joins a load that was superseded; one without a value says nothing.
                        State::Superseded | State::Void => {}
                        // The scope once more: of a load that has ended too late it may say so only now.
                        _ if !holds(flight.entry())? => {}
                        State::Live | State::Replaced | State::Removed | State::Gone => {
                            return Ok((head, decide(flight.seen(), clock)));
                        }
                    }
                }
                Step::Write(_) | Step::Load(_) | Step::Other => {}
                Step::End => {
                    let validity = Validity::new(clock, place);
                    let found = self.published(hash, is_key, validity, pinned)?;
                    return Ok((head, found.map_or(Sight::Absent, Sight::Live)));
                }
                Step::Restart => {
                    head = self.pending.head(hash.slot(SLOTS), pinned);
                    walk = self.pending.walk(head, pinned);
                }
            }
        }
    }

    /// Takes the live entry of a key out of every reader's sight, for exactly one caller, and overrides
    /// a load of it that is in flight. Never waits.
    pub(crate) fn remove<'g>(
        &self,
        hash: KeyHash,
        is_key: impl Fn(&K) -> bool + Copy,
        validity: Validity<'_, impl Place>,
        pinned: Pinned<'g>,
    ) -> Option<Live<'g, K, V>> {
        loop {
            match self.survey(hash, is_key, validity, pinned).1 {
                Sight::Live(live) if live.entry().take_by_remover() => {
                    let farewell = Farewell::new(live.hand_on(), hash.local());
                    self.submit(hash, Draft::new(farewell), pinned);
                    return Some(live);
                }
                Sight::Loading(flight) if flight.entry().supersede() => return None,
                Sight::Absent => return None,
                // Somebody was faster: look again.
                Sight::Live(_) | Sight::Loading(_) => {}
            }
        }
    }

    /// Submits a write unless the shard's backlog is full. Never waits; visible to all on success.
    pub(crate) fn offer(
        &self,
        hash: KeyHash,
        mut draft: Draft<Entry<K, V>>,
    ) -> Result<(), Draft<Entry<K, V>>> {
        let urgent = crate::shard_thread::is_current();
        if !(self.has_room() || urgent) || self.is_closed() {
            return Err(draft);
        }
        let slot = hash.slot(SLOTS);
        let guard = reclaim::pin();
        let pinned = guard.pinned();
        let mut head = self.pending.head(slot, pinned);
        loop {
            // A hot key written in a storm must not make readers of its neighbours walk far. A shard
            // thread cannot wait for itself, so it may.
            if self.pending.is_deep(head, pinned) && !urgent {
                // The chain may be a load that was claimed above what a fold has cut since, and only says
                // that it is deep: the next fold mends that.
                self.pending.mark(slot);
                self.signal.wake();
                return Err(draft);
            }
            match self.pending.submit(slot, draft, head, pinned) {
                Ok(()) => break,
                Err((back, now)) => (draft, head) = (back, now),
            }
        }
        self.notify(slot);
        Ok(())
    }

    /// Submits an operation whatever the backlog: one that must not be refused.
    fn submit<T: Operation>(&self, hash: KeyHash, mut draft: Draft<T>, pinned: Pinned<'_>) {
        let slot = hash.slot(SLOTS);
        let mut head = self.pending.head(slot, pinned);
        while let Err((back, now)) = self.pending.submit(slot, draft, head, pinned) {
            (draft, head) = (back, now);
        }
        self.notify(slot);
    }

    /// Claims the load of a key on the very head under which it was seen to be absent.
    pub(crate) fn claim(
        &self,
        hash: KeyHash,
        seen: Head,
        draft: Draft<Flight<K, V>>,
        pinned: Pinned<'_>,
    ) -> Result<LoadPermit<K, V>, Draft<Flight<K, V>>> {
        let permit = LoadPermit::of(&draft);
        match self.pending.submit(hash.slot(SLOTS), draft, seen, pinned) {
            Ok(()) => Ok(permit),
            Err((draft, _)) => Err(draft),
        }
    }

    /// Ends a load: with the entry's value and expiry, or without. Gives the waiters to be answered.
    pub(crate) fn settle(
        &self,
        hash: KeyHash,
        permit: LoadPermit<K, V>,
        end: Option<(V, entry::Expiry)>,
    ) -> (Waiters<V>, Option<V>) {
        reclaim::pinned(|_| {
            let settled = match end {
                Some((value, expiry)) => permit.complete(value, expiry),
                None => (permit.abandon(), None),
            };
            self.notify(hash.slot(SLOTS));
            settled
        })
    }

    fn notify(&self, slot: usize) {
        self.pending.mark(slot);
        self.signal.submitted();
    }

    /// Whether a write would find room.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.signal.backlog() < self.backlog_limit
    }

    /// The backlog at which so many writes find room that who waits for it should be told before there is more.
    pub(crate) fn much_room(&self) -> i64 {
        self.backlog_limit / 4
    }

    /// Whether the shard has died.
    pub(crate) fn is_closed(&self) -> bool {
        self.mailbox.is_closed()
    }

    /// Sends a request; the shard looks at it at once.
    pub(crate) fn send(&self, command: Command<K, V>) {
        self.leave(Message { command, rouse: None });
        self.heed();
    }

    /// Sends what need not be looked at before the shard is awake for something else, or for long enough.
    pub(crate) fn whisper(&self, command: Command<K, V>) {
        self.leave(Message { command, rouse: None });
        self.signal.submitted();
    }

    /// Puts a message into the mailbox. Somebody must see to it that the shard heeds it.
    pub(crate) fn leave(&self, message: Message<K, V>) {
        self.mailbox.send(message);
    }

    /// Has the shard look into its mailbox for one message more, at once.
    pub(crate) fn heed(&self) {
        self.signal.submitted();
        self.signal.wake();
    }

    /// The oldest message that was not yet taken. Shard thread only.
    pub(crate) fn receive(&self) -> Option<Message<K, V>> {
        self.mailbox.receive()
    }

    /// All messages that were not yet taken, and with them the room that they took. Shard thread only.
    pub(crate) fn receive_all(&self) -> impl Iterator<Item = Message<K, V>> {
        self.mailbox.receive_all()
    }

    pub(crate) fn signal(&self) -> &Signal {
        &self.signal
    }

    pub(crate) fn published_counts(&self) -> crate::stats::Counts {
        self.published.read()
    }

    /// The recency tick, to be left in an entry that was read.
    #[inline]
    pub(crate) fn tick(&self) -> Tick {
        // Relaxed: recency is advice.
        self.tick.load(tally::Ordering::Relaxed)
    }
}

fn decide<'g, K, V>(seen: Seen<'g, K, V>, clock: &Clock) -> Sight<'g, K, V> {
    seen.alive(clock).map_or(Sight::Absent, Sight::Live)
}

/// Tells every waiter of a load how it ended. Each value is a `copy` of its own; if that panics the
/// waiters that are left look again.
pub(crate) fn answer<V>(waiters: Waiters<V>, copy: impl Fn() -> V) {
    for waiter in waiters {
        // A waiter that was cancelled does not want it.
        let _ = waiter.send(Outcome::Loaded(copy()));
    }
}
