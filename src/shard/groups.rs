//! Entries that belong together in whatever scopes they are: what one shard knows of its groups, how many
//! entries they may have, and which have ended.
//!
//! The namespaces of a shared cache are groups; other caches have none, and pay nothing. A key says which
//! group it is of. A group ends when it is cleared: from then on no reader asks for its keys. Each shard
//! hears of it, folds what came before, and *settles* the end: what is folded of the group after is late
//! and not kept. Then it sweeps what there is. Layer: shard.

use super::departures::Listeners;
use super::fold::Weigher;
use crate::store::{Members, Roll, Segment, Slot};
use crate::sync::map::{Map, Mix};
use crate::sync::tally::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Weak};

/// A group that has not ended, or of which not every shard has been rid.
pub(crate) struct Group<K, V> {
    pub(crate) number: u32,
    /// The most entries in one shard.
    limit: u64,
    /// Held by who made the group as long as the cache is there. Not here: a map drops the group on any thread,
    /// and what a weigher has captured is the user's.
    weigher: Option<WeakWeigher<K, V>>,
    figures: Arc<GroupFigures>,
    /// The shards that are to sweep it, once it has ended.
    unswept: AtomicU64,
}

type WeakWeigher<K, V> = Weak<dyn Fn(&K, &V) -> u32 + Send + Sync>;

/// Instead of a number of shards, of a group that has not ended.
const IN_USE: u64 = u64::MAX;

/// What the shards have booked of a group, and of those that it succeeded.
#[derive(Default)]
pub(crate) struct GroupFigures {
    live: AtomicU64,
    weight: AtomicU64,
    evictions: AtomicU64,
}

/// All groups of a cache, and how a key says whose it is.
pub(crate) struct Grouping<K, V> {
    pub(crate) of: fn(&K) -> u32,
    pub(crate) all: Arc<Map<u32, Arc<Group<K, V>>>>,
    /// Whom it concerns that an entry leaves: also of a group that is not there any more.
    pub(crate) listeners: Arc<Listeners<K, V>>,
}

impl<K, V> Clone for Grouping<K, V> {
    fn clone(&self) -> Self {
        let Self { of, all, listeners } = self;
        Self { of: *of, all: Arc::clone(all), listeners: Arc::clone(listeners) }
    }
}

impl<K, V> Group<K, V> {
    pub(crate) fn new(
        number: u32,
        limit: u64,
        weigher: Option<&Weigher<K, V>>,
        figures: Arc<GroupFigures>,
    ) -> Self {
        let weigher = weigher.map(Arc::downgrade);
        Self { number, limit, weigher, figures, unswept: AtomicU64::new(IN_USE) }
    }

    /// Notes that nobody asks for its keys any more, and that so many shards are to sweep it. Once.
    pub(crate) fn end(&self, shards: usize) {
        // Relaxed: whoever writes after the end has returned brings it to the shard with the write.
        self.unswept.store(shards as u64, Ordering::Relaxed);
    }

    fn has_ended(&self) -> bool {
        // Relaxed: as above.
        self.unswept.load(Ordering::Relaxed) != IN_USE
    }
}

impl GroupFigures {
    /// How many entries there are, as the shards have last booked it.
    pub(crate) fn live(&self) -> u64 {
        // Relaxed: a statistic. Below zero while one shard has booked a change and another not yet its
        // counterpart.
        (self.live.load(Ordering::Relaxed) as i64).max(0) as u64
    }

    /// How much they weigh.
    pub(crate) fn weight(&self) -> u64 {
        // Relaxed: a statistic. Below zero as above.
        (self.weight.load(Ordering::Relaxed) as i64).max(0) as u64
    }

    /// How many entries were evicted for a capacity.
    pub(crate) fn evictions(&self) -> u64 {
        // Relaxed: a statistic.
        self.evictions.load(Ordering::Relaxed)
    }
}

/// The groups of one shard.
pub(super) struct Groups<K, V> {
    grouping: Option<Grouping<K, V>>,
    members: Members,
    table: HashMap<u32, Local<K, V>, BuildHasherDefault<Mix>>,
    /// Groups with something to publish.
    changed: Vec<u32>,
    /// Groups that may have more entries than they may.
    crowded: Vec<u32>,
    /// Groups that were swept here and that other shards may still have to sweep.
    swept: Vec<u32>,
}

/// A group that has, or had, entries here.
struct Local<K, V> {
    group: Arc<Group<K, V>>,
    weigher: Option<Weigher<K, V>>,
    /// Its residents, the next to be evicted first.
    roll: Roll,
    len: u64,
    /// What is not yet in the group's figures, as two's complement.
    live: u64,
    weight: u64,
    evictions: u64,
    is_changed: bool,
    /// Entries that were alive when the group ended and left before they were swept.
    owed: u64,
    /// It has ended, and what came before is folded: what comes now is late.
    is_settled: bool,
}

/// How a key stands to its group.
pub(super) enum Standing<'a, K, V> {
    /// What has this key comes too late: its group has ended, and that is settled.
    Late,
    /// It is kept, with the weight that the group's weigher says, if it has one.
    Kept(Option<&'a Weigher<K, V>>),
}

impl<K, V> Groups<K, V> {
    pub(super) fn new(grouping: Option<Grouping<K, V>>) -> Self {
        Self {
            grouping,
            members: Members::new(),
            table: HashMap::default(),
            changed: Vec::new(),
            crowded: Vec::new(),
            swept: Vec::new(),
        }
    }

    /// How what has this key stands to its group.
    pub(super) fn standing(&mut self, key: &K) -> Standing<'_, K, V> {
        let Some(grouping) = &self.grouping else { return Standing::Kept(None) };
        let local = match self.table.entry((grouping.of)(key)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let group = grouping.all.find(unknown.key(), |_, group| Arc::clone(group));
                let Some(group) = group else { return Standing::Late };
                unknown.insert(Local::new(group))
            }
        };
        if local.is_settled { Standing::Late } else { Standing::Kept(local.weigher.as_ref()) }
    }

    fn local(&mut self, key: &K) -> Option<(&mut Members, &mut Local<K, V>)> {
        let number = (self.grouping.as_ref()?.of)(key);
        let local = self.table.get_mut(&number)?;
        if !std::mem::replace(&mut local.is_changed, true) {
            self.changed.push(number);
        }
        if local.len >= local.group.limit {
            self.crowded.push(number);
        }
        Some((&mut self.members, local))
    }

    /// Lists a resident that has come in.
    pub(super) fn admit(&mut self, slot: Slot, key: &K, weight: u32) {
        let Some((members, local)) = self.local(key) else { return };
        members.join(&mut local.roll, slot, |_| false);
        local.len += 1;
        local.live = local.live.wrapping_add(1);
        local.weight = local.weight.wrapping_add(weight.into());
    }

    /// Puts a resident last that was replaced by a newer one of its key.
    pub(super) fn renew(&mut self, slot: Slot, key: &K, (old, new): (u32, u32)) {
        let Some((members, local)) = self.local(key) else { return };
        members.leave(&mut local.roll, slot);
        members.join(&mut local.roll, slot, |_| false);
        local.weight = local.weight.wrapping_add(u64::from(new)).wrapping_sub(old.into());
    }

    /// Takes a resident that leaves off the list; whether it was evicted for a capacity.
    pub(super) fn expel(&mut self, slot: Slot, key: &K, weight: u32, evicted: bool) {
        let Some((members, local)) = self.local(key) else { return };
        members.leave(&mut local.roll, slot);
        local.len -= 1;
        local.live = local.live.wrapping_sub(1);
        local.weight = local.weight.wrapping_sub(weight.into());
        local.evictions += u64::from(evicted);
    }

    /// Gives back the memory for slots of which none is in use any more.
    pub(super) fn vacate(&mut self, segment: Segment) {
        self.members.vacate(segment);
    }

    /// Whom a group evicts that has more entries than it may: of those that were not read since they were
    /// written or last spared, the one that is so longest. `spare` says whether one was read, and forgets it.
    pub(super) fn victim(&mut self, spare: impl Fn(Slot) -> bool) -> Option<Slot> {
        while let Some(&number) = self.crowded.last() {
            let local = self.table.get_mut(&number).filter(|local| local.len > local.group.limit);
            let Some(local) = local else {
                self.crowded.pop();
                continue;
            };
            // Once round at most: readers may be as fast as this is.
            for _ in 0..local.len {
                let Some(slot) = local.roll.first().filter(|slot| spare(*slot)) else { break };
                self.members.leave(&mut local.roll, slot);
                self.members.join(&mut local.roll, slot, |_| false);
            }
            return local.roll.first();
        }
        None
    }

    fn known(&self, key: &K) -> Option<&Local<K, V>> {
        self.table.get(&(self.grouping.as_ref()?.of)(key))
    }

    /// Whether the group of a resident with this key has ended.
    pub(super) fn has_ended(&self, key: &K) -> bool {
        self.known(key).is_some_and(|local| local.group.has_ended())
    }

    /// Whether the end of its group is settled.
    pub(super) fn is_settled(&self, key: &K) -> bool {
        self.known(key).is_some_and(|local| local.is_settled)
    }

    /// Books an entry whose group had ended and that left before it was swept, for the answer to the end.
    pub(super) fn owe(&mut self, key: &K) {
        if let Some((_, local)) = self.local(key) {
            local.owed += 1;
        }
    }

    /// A resident of a group that has ended.
    pub(super) fn first_of(&self, group: &Group<K, V>) -> Option<Slot> {
        self.table.get(&group.number)?.roll.first()
    }

    /// What the end of a group answers for besides what is swept from now on.
    pub(super) fn collect(&mut self, group: &Group<K, V>) -> u64 {
        let local = self.table.get_mut(&group.number);
        local.map_or(0, |local| std::mem::take(&mut local.owed))
    }

    /// Notes that all that was submitted before the end of a group is folded.
    pub(super) fn settle(&mut self, group: Arc<Group<K, V>>) {
        let local = self.table.entry(group.number);
        local.or_insert_with(|| Local::new(group)).is_settled = true;
    }

    /// Notes that a group that has ended was swept here. The last shard that says so forgets it for all.
    pub(super) fn end(&mut self, group: &Group<K, V>) {
        let Self { grouping: Some(Grouping { all, .. }), table, swept, .. } = self else { return };
        // Relaxed: each shard speaks of its own entries; the map orders what is found in it.
        if group.unswept.fetch_sub(1, Ordering::Relaxed) == 1 {
            all.remove_if(&group.number, |_, _| true);
        }
        swept.push(group.number);
        // What no shard is to sweep any more is late without being remembered.
        swept.retain(|number| {
            let is_needed = table.get(number).is_some_and(|local| local.is_changed)
                || all.find(number, |_, _| ()).is_some();
            if !is_needed {
                table.remove(number);
            }
            is_needed
        });
    }

    /// Shows the figures that have changed.
    pub(super) fn publish(&mut self) {
        while let Some(number) = self.changed.pop() {
            let Some(local) = self.table.get_mut(&number) else { continue };
            local.is_changed = false;
            let GroupFigures { live, weight, evictions } = &*local.group.figures;
            let changes = [
                (live, &mut local.live),
                (weight, &mut local.weight),
                (evictions, &mut local.evictions),
            ];
            for (figure, change) in changes {
                // Relaxed: a statistic; who needs it exact waits for a flush, whose reply orders it.
                figure.fetch_add(std::mem::take(change), Ordering::Relaxed);
            }
        }
    }
}

impl<K, V> Local<K, V> {
    fn new(group: Arc<Group<K, V>>) -> Self {
        Self {
            weigher: group.weigher.as_ref().and_then(Weak::upgrade),
            group,
            roll: Roll::EMPTY,
            len: 0,
            live: 0,
            weight: 0,
            evictions: 0,
            is_changed: false,
            owed: 0,
            is_settled: false,
        }
    }
}
