//! Entries that belong together in whatever scopes they are: what one shard knows of its groups, how many
//! entries they may have, and which have ended.
//!
//! The namespaces of a shared cache are groups; other caches have none, and pay nothing. A key says which
//! group it is of. A group ends when it is cleared: from then on no reader asks for its keys, and what is
//! written after it was swept here is not kept. Layer: shard.

use crate::store::{Members, Roll, Slot};
use crate::sync::map::{Map, Mix};
use crate::sync::tally::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

/// A group that has not ended, or of which not every shard has been rid.
pub(crate) struct Group {
    pub(crate) number: u32,
    /// The most entries in one shard.
    pub(crate) limit: u64,
    pub(crate) figures: Arc<GroupFigures>,
    /// The shards that are to sweep it when it ends.
    unswept: AtomicU64,
}

/// What the shards have booked of a group, and of those that it succeeded.
#[derive(Default)]
pub(crate) struct GroupFigures {
    live: AtomicU64,
    evictions: AtomicU64,
}

/// All groups of a cache, and how a key says whose it is.
pub(crate) struct Grouping<K> {
    pub(crate) of: fn(&K) -> u32,
    pub(crate) all: Arc<Map<u32, Arc<Group>>>,
}

impl<K> Clone for Grouping<K> {
    fn clone(&self) -> Self {
        Self { of: self.of, all: Arc::clone(&self.all) }
    }
}

impl Group {
    pub(crate) fn new(number: u32, limit: u64, shards: usize, figures: Arc<GroupFigures>) -> Self {
        Self { number, limit, figures, unswept: AtomicU64::new(shards as u64) }
    }
}

impl GroupFigures {
    /// How many entries there are, as the shards have last booked it.
    pub(crate) fn live(&self) -> u64 {
        // Relaxed: a statistic. Below zero while one shard has booked a change and another not yet its
        // counterpart.
        (self.live.load(Ordering::Relaxed) as i64).max(0) as u64
    }

    /// How many entries were evicted for a capacity.
    pub(crate) fn evictions(&self) -> u64 {
        // Relaxed: a statistic.
        self.evictions.load(Ordering::Relaxed)
    }
}

/// The groups of one shard.
pub(super) struct Groups<K> {
    grouping: Option<Grouping<K>>,
    members: Members,
    table: HashMap<u32, Local, BuildHasherDefault<Mix>>,
    /// Groups with something to publish.
    changed: Vec<u32>,
    /// Groups that may have more entries than they may.
    crowded: Vec<u32>,
}

/// A group that has, or had, entries here.
struct Local {
    group: Arc<Group>,
    /// Its residents, the next to be evicted first.
    roll: Roll,
    len: u64,
    /// What is not yet in the group's figures, as two's complement.
    live: u64,
    evictions: u64,
    is_changed: bool,
    /// It was swept: what comes now is late.
    has_ended: bool,
}

impl<K> Groups<K> {
    pub(super) fn new(grouping: Option<Grouping<K>>) -> Self {
        Self {
            grouping,
            members: Members::new(),
            table: HashMap::default(),
            changed: Vec::new(),
            crowded: Vec::new(),
        }
    }

    /// Whether what has this key comes too late: its group has ended, and was swept.
    pub(super) fn is_late(&mut self, key: &K) -> bool {
        let Some(grouping) = &self.grouping else { return false };
        let number = (grouping.of)(key);
        if let Some(local) = self.table.get(&number) {
            return local.has_ended;
        }
        let Some(group) = grouping.all.find(&number, |_, group| Arc::clone(group)) else {
            return true;
        };
        self.table.insert(number, Local::new(group));
        false
    }

    fn local(&mut self, key: &K) -> Option<(&mut Members, &mut Local)> {
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
    pub(super) fn admit(&mut self, slot: Slot, key: &K) {
        let Some((members, local)) = self.local(key) else { return };
        members.join(&mut local.roll, slot, |_| false);
        local.len += 1;
        local.live = local.live.wrapping_add(1);
    }

    /// Puts a resident last that was replaced by a newer one of its key.
    pub(super) fn renew(&mut self, slot: Slot, key: &K) {
        let Some((members, local)) = self.local(key) else { return };
        members.leave(&mut local.roll, slot);
        members.join(&mut local.roll, slot, |_| false);
    }

    /// Takes a resident that leaves off the list; whether it was evicted for a capacity.
    pub(super) fn expel(&mut self, slot: Slot, key: &K, evicted: bool) {
        let Some((members, local)) = self.local(key) else { return };
        members.leave(&mut local.roll, slot);
        local.len -= 1;
        local.live = local.live.wrapping_sub(1);
        local.evictions += u64::from(evicted);
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

    /// A resident of a group that has ended.
    pub(super) fn first_of(&self, group: &Group) -> Option<Slot> {
        self.table.get(&group.number)?.roll.first()
    }

    /// Notes that a group that has ended was swept here. The last shard that says so forgets it for all.
    pub(super) fn end(&mut self, group: &Arc<Group>) {
        let Some(Grouping { all, .. }) = &self.grouping else { return };
        let ended = self.table.entry(group.number);
        ended.or_insert_with(|| Local::new(Arc::clone(group))).has_ended = true;
        // Relaxed: each shard speaks of its own entries; the map orders what is found in it.
        if group.unswept.fetch_sub(1, Ordering::Relaxed) == 1 {
            all.remove_if(&group.number, |_, _| true);
        }
        // What no shard knows of any more is late without being remembered.
        self.table.retain(|number, local| {
            !local.has_ended || local.is_changed || all.find(number, |_, _| ()).is_some()
        });
    }

    /// Shows the figures that have changed.
    pub(super) fn publish(&mut self) {
        while let Some(number) = self.changed.pop() {
            let Some(local) = self.table.get_mut(&number) else { continue };
            local.is_changed = false;
            let (live, evictions) =
                (std::mem::take(&mut local.live), std::mem::take(&mut local.evictions));
            let GroupFigures { live: all, evictions: all_evictions } = &*local.group.figures;
            // Relaxed: a statistic; who needs it exact waits for a flush, whose reply orders it.
            all.fetch_add(live, Ordering::Relaxed);
            // Relaxed: as above.
            all_evictions.fetch_add(evictions, Ordering::Relaxed);
        }
    }
}

impl Local {
    fn new(group: Arc<Group>) -> Self {
        Self {
            group,
            roll: Roll::EMPTY,
            len: 0,
            live: 0,
            evictions: 0,
            is_changed: false,
            has_ended: false,
        }
    }
}
