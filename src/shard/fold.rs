//! What a fold does: pending operations become the store's entries and the index's pointers.
//!
//! For each slot that is marked: take its chain as it is, decide for each key which operation is the
//! newest, publish that one, and only then cut the chain, oldest first. What an older operation had
//! written departs. This file introduces the store to the chains and the index; *when* it runs is the
//! worker's business, and what befalls residents between folds is in `upkeep`. Invariants:
//! publish-before-unlink, no-stale-fill, exact-bound (see `docs/concurrency.md`). Layer: shard.

use super::Shard;
use super::budget::{Budget, Capacity};
use super::departures::{Departures, Listener};
use super::entry::{Entry, EntryRef, Kind, Link, State};
use super::foregone::{End, Foregone};
use super::graves::{KEPT, Remains};
use super::groups::{Grouping, Groups, Standing};
use super::index::IndexWriter;
use super::pending::{Hanging, Pending, ReadAhead};
use super::scopes::{Age, Scopes};
use super::upkeep::Fate;
use crate::clock::Clock;
use crate::removal::RemovalCause;
use crate::scope::ScopeStamp;
use crate::store::{Slot, Store};
use std::sync::Arc;

/// How much an entry weighs.
pub(crate) type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u32 + Send + Sync>;

/// All that a shard thread owns: the private half of the shard.
pub(super) struct Fold<K, V> {
    pub(super) store: Store<EntryRef<K, V>>,
    pub(super) writer: IndexWriter<K, V>,
    pub(super) departures: Departures<K, V>,
    pub(super) scopes: Scopes,
    pub(super) groups: Groups<K, V>,
    pub(super) foregone: Foregone<K, V>,
    weigher: Option<Weigher<K, V>>,
    pub(super) budget: Budget,
    pub(super) clock: Clock,
    versions: u64,
    scratch: Scratch<K, V>,
    ahead: ReadAhead<K, V>,
}

/// What a shard is told when it is made.
pub(crate) struct Settings<K, V> {
    pub(crate) tick_every: Option<u32>,
    pub(crate) capacity: Arc<Capacity>,
    pub(crate) weigher: Option<Weigher<K, V>>,
    pub(crate) listener: Option<Listener<K, V>>,
    pub(crate) clock: Clock,
    pub(crate) grouping: Option<Grouping<K, V>>,
    /// How many threads can run beside this one.
    pub(crate) spare_processors: usize,
}

/// What one fold of one slot works with; kept for its memory.
struct Scratch<K, V> {
    chain: Vec<Hanging<K, V>>,
    kept: Vec<bool>,
    groups: Vec<Group<K, V>>,
    after_cut: Vec<(EntryRef<K, V>, Fate)>,
}

/// The operations of a chain that wrote one key, and what becomes of the newest.
struct Group<K, V> {
    newest: EntryRef<K, V>,
    oldest: EntryRef<K, V>,
    verdict: Result<u32, Fate>,
    age: Age,
}

/// `Eq` panicked: nobody knows whether two keys are the same.
struct Unsure;

impl<K: Eq, V> Fold<K, V> {
    /// Touches what the fold of these slots will need, stage by stage: what is independent is fetched
    /// side by side, where the fold itself would wait for one line after the other.
    fn read_ahead(&mut self, shard: &Shard<K, V>, word: usize, marks: u64) {
        shard.pending.read_ahead(word, marks, &mut self.ahead);
        let ReadAhead { hashes, residents, .. } = &mut self.ahead;
        residents.clear();
        residents.extend(hashes.iter().filter_map(|&hash| shard.index.guess(&self.writer, hash)));
        let slots = residents.iter().filter_map(|entry| entry.get().slot());
        // The compiler must not find out that nobody needs the answer.
        std::hint::black_box(slots.filter(|&slot| self.store.at(slot).is_some()).count());
    }

    /// Folds what is marked of 64 slots, or `all` that is there: an operation can be read before it is marked. Returns how
    /// many operations it took off the backlog.
    pub(super) fn fold_word(&mut self, shard: &Shard<K, V>, word: usize, all: bool) -> u64 {
        let marks = shard.pending.take_marks(word);
        self.read_ahead(shard, word, marks);
        let mut slots = if all { Pending::<K, V>::all_of(word) } else { marks };
        let mut folded = 0;
        while slots != 0 {
            let slot = word * 64 + slots.trailing_zeros() as usize;
            folded += self.fold_slot(shard, slot);
            slots &= slots - 1;
        }
        folded
    }

    /// Folds the chain of one slot; returns how many operations it took off the backlog.
    fn fold_slot(&mut self, shard: &Shard<K, V>, slot: usize) -> u64 {
        let head = shard.pending.collect(slot, &mut self.scratch.chain);
        if self.scratch.chain.is_empty() {
            return 0;
        }
        let mut work = std::mem::take(&mut self.scratch);
        self.sort_out(&mut work);
        // In the order of time, should an eviction lie between writes of the same key.
        work.groups.sort_by_key(Group::stamp);
        self.outdate(shard, &mut work.groups);
        for group in work.groups.drain(..) {
            let fate = self.publish(shard, &group);
            work.after_cut.push((group.newest, fate));
        }
        // Also if all stays: what stays has to forget the depth of what was cut before.
        if !work.kept.is_empty() {
            self.versions += 1;
            let end = Link::end(self.versions);
            shard.pending.cut(slot, head, &work.chain, &work.kept, end);
        }
        for (entry, fate) in work.after_cut.drain(..) {
            self.see_off(entry, fate);
        }
        let folded = self.bring_out(shard, &mut work);
        self.show_tick(shard);
        self.scratch = work;
        folded
    }

    /// Decides for each operation, newest first, whether it stays in the chain, and groups those that
    /// wrote by key and stamp: a write that an eviction has ended beats none that came after it.
    /// An older write that has a newer one departs. So does one of which `Eq` cannot say whether it has,
    /// for it may be that of another key: it is a group of its own whose value is not kept, so that
    /// nothing older of its key outlives it, in the chain or in the index.
    fn sort_out(&mut self, work: &mut Scratch<K, V>) {
        work.kept.clear();
        for hanging in &work.chain {
            let entry = match (hanging.kind, hanging.entry) {
                (Kind::Write, entry) => entry,
                (Kind::Load, Some(entry)) => match self.ended(&work.groups, entry) {
                    Some(state) => (state != State::Void).then_some(entry),
                    None => {
                        work.kept.push(true);
                        continue;
                    }
                },
                _ => None,
            };
            work.kept.push(false);
            let Some(entry) = entry else { continue };
            if hanging.kind == Kind::Load && self.is_late(entry) && entry.get().take_by_shard() {
                work.after_cut.push((entry, Fate::Unpublished));
                continue;
            }
            let own = |group: &Group<K, V>| group.stamp() == entry.get().stamp();
            let found = self.group_of(&work.groups, entry, own);
            let Ok(Some(i)) = found else {
                let age = self.age(entry.get());
                let verdict = self.verdict(entry, age, found.is_ok());
                work.groups.push(Group { newest: entry, oldest: entry, verdict, age });
                continue;
            };
            let group = &mut work.groups[i];
            let newer_is_rejected = group.rejects_its_oldest();
            let newer = std::mem::replace(&mut group.oldest, entry);
            let fate = self.supersede(entry, newer, newer_is_rejected, None);
            work.after_cut.push((entry, fate));
        }
    }

    /// How a load ended; nothing if it is still in flight. A newer operation on the key beats a load
    /// that is: its value will not be published, and nobody joins it any more.
    fn ended(&self, groups: &[Group<K, V>], entry: EntryRef<K, V>) -> Option<State> {
        let newer = |group: &Group<K, V>| group.stamp() >= entry.get().stamp();
        if entry.get().state() == State::Loading
            && !matches!(self.group_of(groups, entry, newer), Ok(None))
        {
            // Whether it succeeds, a remover was faster or the load has ended: the state tells below.
            entry.get().supersede();
        }
        match entry.get().state() {
            State::Loading | State::Superseded => None,
            state => Some(state),
        }
    }

    /// The group of the entry's key, among those that are meant.
    fn group_of(
        &self,
        groups: &[Group<K, V>],
        entry: EntryRef<K, V>,
        is_meant: impl Fn(&Group<K, V>) -> bool,
    ) -> Result<Option<usize>, Unsure> {
        let mut without = Ok(None);
        for (i, group) in groups.iter().enumerate().filter(|(_, group)| is_meant(group)) {
            match self.same_key(group.newest.get(), entry.get()) {
                Ok(true) => return Ok(Some(i)),
                Ok(false) => {}
                Err(Unsure) => without = Err(Unsure),
            }
        }
        without
    }

    fn same_key(&self, a: &Entry<K, V>, b: &Entry<K, V>) -> Result<bool, Unsure> {
        if a.hash() != b.hash() || a.stamp().scope() != b.stamp().scope() {
            return Ok(false);
        }
        self.departures.panics.catch(|| a.key == b.key).ok_or(Unsure)
    }

    /// Whether it was submitted after an eviction of its scope, or the end of its group, was settled.
    fn is_late(&mut self, entry: EntryRef<K, V>) -> bool {
        let is_late = matches!(self.groups.standing(&entry.get().key), Standing::Late);
        is_late || self.age(entry.get()) == Age::Late
    }

    /// How it stands to evictions of its scope. One that is ended is late if one of its key is counted for the same
    /// eviction or clear already: that was in a chain that was folded before.
    fn age(&self, entry: &Entry<K, V>) -> Age {
        let is_same = |other: &Entry<K, V>, end| {
            (end == End::Cleared || other.stamp() == entry.stamp())
                && !matches!(self.same_key(other, entry), Ok(false))
        };
        match self.scopes.age(entry.stamp()) {
            Age::Late => Age::Late,
            _ if self.foregone.has(entry.hash(), is_same) => Age::Late,
            age => age,
        }
    }

    /// The weight of a write that is to be kept, or why it is not. One that an eviction has ended is kept
    /// until that is settled, lest an older or a newer write of its key be counted beside it.
    fn verdict(&mut self, entry: EntryRef<K, V>, age: Age, is_newest: bool) -> Result<u32, Fate> {
        let (subject, limit) = (entry.get(), self.budget.limit());
        let weight = match self.groups.standing(&subject.key) {
            Standing::Late => Err(Fate::Late),
            Standing::Kept(_) if age == Age::Late => Err(Fate::Late),
            Standing::Kept(_) if !is_newest => Err(Fate::Rejected),
            Standing::Kept(of_group) => match (of_group.or(self.weigher.as_ref()), subject.value())
            {
                (Some(weigher), Some(value)) => {
                    // Entries may be few and heavy, or many and light.
                    self.store.forget_capacity();
                    let weigh = || weigher(&subject.key, value);
                    self.departures.panics.catch(weigh).ok_or(Fate::Rejected)
                }
                _ => Ok(1),
            },
        };
        let fate = if weight == Err(Fate::Late) {
            Fate::Late
        } else if entry.seen().has_expired(&self.clock) {
            Fate::Departs(RemovalCause::Expired)
        } else {
            match weight {
                Ok(weight) if u64::from(weight) <= limit => {
                    return if subject.state() == State::Live {
                        Ok(weight)
                    } else {
                        Err(Fate::Taken)
                    };
                }
                _ => Fate::Rejected,
            }
        };
        Err(if subject.take_by_shard() { fate } else { Fate::Taken })
    }

    /// Keeps no write that an eviction has ended beside one of its key that came after the eviction: in
    /// the index a key is once. If that one is in a chain that was folded before, this one was submitted after the
    /// eviction, too.
    fn outdate(&self, shard: &Shard<K, V>, groups: &mut [Group<K, V>]) {
        for i in 0..groups.len() {
            let (newest, stamp) = (groups[i].newest, groups[i].stamp());
            if groups[i].age != Age::Ended || groups[i].verdict.is_err() {
                continue;
            }
            let may_be_it = |other: &Entry<K, V>| {
                other.stamp() > stamp && !matches!(self.same_key(other, newest.get()), Ok(false))
            };
            let fate = if groups[i + 1..].iter().any(|other| may_be_it(other.newest.get())) {
                Fate::Evicted
            } else if shard.index.resident(&self.writer, newest.get().hash(), may_be_it).is_some() {
                Fate::Late
            } else {
                continue;
            };
            let taken = newest.get().take_by_shard();
            groups[i].verdict = Err(if taken { fate } else { Fate::Taken });
        }
    }

    /// Takes the `older` value of a key and books what `newer` did to it: updated it, or came in anew
    /// because the older one had been removed, had expired or was `ended`.
    fn supersede(
        &mut self,
        older: EntryRef<K, V>,
        newer: EntryRef<K, V>,
        newer_is_rejected: bool,
        ended: Option<Fate>,
    ) -> Fate {
        let was = older.get();
        let fate = if older.seen().has_expired(&self.clock) {
            Fate::Departs(RemovalCause::Expired)
        } else if let Some(fate) = ended {
            fate
        } else if newer_is_rejected {
            Fate::Departs(RemovalCause::Removed)
        } else {
            Fate::Departs(RemovalCause::Replaced)
        };
        debug_assert!(
            was.stamp() <= newer.get().stamp(),
            "the newer one is of no older generation"
        );
        let taken = match fate {
            Fate::Departs(RemovalCause::Replaced) => was.replace_by_shard(),
            _ => was.take_by_shard(),
        };
        let fate = if taken { fate } else { Fate::Taken };
        match fate {
            _ if newer_is_rejected => {}
            Fate::Departs(RemovalCause::Replaced) => self.departures.counts.updates += 1,
            _ => self.departures.counts.insertions += 1,
        }
        fate
    }

    /// Brings the newest write of a key into store and index, or sees that the key has nothing there.
    fn publish(&mut self, shard: &Shard<K, V>, group: &Group<K, V>) -> Fate {
        let newest = group.newest;
        let Some((old, slot)) = self.predecessor(shard, group) else {
            if !group.rejects_its_oldest() {
                self.departures.counts.insertions += 1;
            }
            return group.verdict.map_or_else(
                |fate| fate,
                |weight| {
                    let slot = self.admit(newest, weight);
                    newest.set_tick(self.store.birth());
                    let outgrown = self.writer.publish(&shard.index, newest);
                    self.departures.retire_table(outgrown);
                    Fate::Resides(slot)
                },
            );
        };
        // No user code runs before the index has what replaces it.
        let ended = if group.age == Age::Late || old.get().stamp() < group.stamp() {
            Some(Fate::Evicted)
        } else if group.verdict.is_err() && self.groups.is_settled(&newest.get().key) {
            Some(Fate::Cleared)
        } else {
            None
        };
        let rejected = group.rejects_its_oldest();
        let old_fate = self.supersede(old, group.oldest, rejected, ended);
        let fate = match group.verdict {
            Ok(weight) => {
                self.exchange(slot, newest, weight);
                newest.succeed(old, (self.store.tick(), self.store.birth()));
                self.writer.replace(&shard.index, old, newest);
                Fate::Resides(slot)
            }
            Err(fate) => {
                self.withdraw(shard, old);
                self.expel(slot, false);
                fate
            }
        };
        self.see_off(old, old_fate);
        fate
    }

    /// The resident that a group supersedes. If `Eq` panics and owns up to none, it may be any of those
    /// that it did not deny: they are asked again, and all leave that it does not deny now. Thus no older
    /// value of the key comes back when the newest leaves, and no key is in the index twice; the price is
    /// that others may leave too, as they may in any cache. If it owns up to one, the key has no other.
    fn predecessor(
        &mut self,
        shard: &Shard<K, V>,
        group: &Group<K, V>,
    ) -> Option<(EntryRef<K, V>, Slot)> {
        let panics = self.departures.panics.total();
        let known = self.resident(shard, group, |same| matches!(same, Ok(true)));
        if known.is_none() && self.departures.panics.total() > panics {
            while let Some((_, slot)) =
                self.resident(shard, group, |same| !matches!(same, Ok(false)))
            {
                self.take_out(shard, slot, RemovalCause::Removed);
            }
        }
        known
    }

    /// A resident that may be of the group's key. One of a later generation is none of the group's
    /// business. One without a slot was published in this very fold, as another key.
    fn resident(
        &self,
        shard: &Shard<K, V>,
        group: &Group<K, V>,
        is_it: impl Fn(Result<bool, Unsure>) -> bool,
    ) -> Option<(EntryRef<K, V>, Slot)> {
        let newest = group.newest.get();
        let found = shard.index.resident(&self.writer, newest.hash(), |entry| {
            entry.slot().is_some()
                && entry.stamp() <= group.stamp()
                && is_it(self.same_key(entry, newest))
        })?;
        Some((found, found.get().slot()?))
    }

    /// Retires the operations that were cut and carries out removals; counts what leaves the backlog.
    fn bring_out(&mut self, shard: &Shard<K, V>, work: &mut Scratch<K, V>) -> u64 {
        let mut folded = 0;
        let kept = work.kept.drain(..);
        for hanging in
            work.chain.drain(..).zip(kept).filter_map(|(hanging, kept)| (!kept).then_some(hanging))
        {
            folded += u64::from(!hanging.is_base());
            match (hanging.kind, hanging.entry) {
                (Kind::Write, _) => continue,
                (Kind::Farewell, Some(entry)) => {
                    if let Some(slot) = entry.get().slot() {
                        self.withdraw(shard, entry);
                        self.expel(slot, false);
                    }
                    self.departures.depart(entry, RemovalCause::Removed);
                }
                (Kind::Load, Some(entry)) if entry.get().state() == State::Void => {
                    self.departures.retire(Remains::Entry(entry, None));
                }
                _ => {}
            }
            self.departures.retire(Remains::Op(hanging.op));
        }
        folded
    }
}

impl<K, V> Fold<K, V> {
    pub(super) fn new(settings: Settings<K, V>, scopes: Scopes) -> Self {
        let listeners = settings.grouping.as_ref().map(|grouping| Arc::clone(&grouping.listeners));
        Self {
            scopes,
            store: Store::new(settings.tick_every),
            writer: IndexWriter::new(),
            departures: Departures::new(settings.listener, listeners),
            weigher: settings.weigher,
            budget: Budget::new(settings.capacity),
            clock: settings.clock,
            groups: Groups::new(settings.grouping),
            foregone: Foregone::default(),
            versions: 0,
            ahead: ReadAhead::default(),
            scratch: Scratch::default(),
        }
    }

    /// Gives back what is kept for the next folds.
    pub(super) fn rest(&mut self) {
        let Self { departures, scopes, scratch, ahead, .. } = self;
        departures.rest();
        scopes.rest();
        scratch.rest();
        ahead.rest();
    }
}

impl<K, V> Group<K, V> {
    /// The stamp of all its writes.
    fn stamp(&self) -> ScopeStamp {
        self.newest.get().stamp()
    }

    /// Whether the oldest write so far is the newest and is not kept.
    fn rejects_its_oldest(&self) -> bool {
        self.verdict == Err(Fate::Rejected) && self.oldest == self.newest
    }
}

impl<K, V> Scratch<K, V> {
    fn rest(&mut self) {
        let Self { chain, kept, groups, after_cut } = self;
        chain.shrink_to(KEPT);
        kept.shrink_to(KEPT);
        groups.shrink_to(KEPT);
        after_cut.shrink_to(KEPT);
    }
}

impl<K, V> Default for Scratch<K, V> {
    fn default() -> Self {
        Self { chain: Vec::new(), kept: Vec::new(), groups: Vec::new(), after_cut: Vec::new() }
    }
}
