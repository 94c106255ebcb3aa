//! What one shard knows of the scopes: which entries are whose, what came of evictions, which scopes lie
//! below which as far as they have entries here.
//!
//! A scope is known here while it has residents here, departures that an eviction will answer for, or a
//! scope below it that is known; as long the shard is one of its users. So an eviction is carried out on
//! the shard's own tree, entry by entry, and the caller does none of it. Entries of the global scope are
//! not listed: what evicts it evicts all. Layer: shard.

use super::graves::KEPT;
use super::known::Known;
use crate::scope::node::Node;
use crate::scope::trie::{Idle, Trie};
use crate::scope::trim::Trim;
use crate::scope::{GLOBAL, ScopeStamp};
use crate::store::{Members, Roll, Segment, Slot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How an operation stands to the evictions of its scope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// None has come since it was issued.
    Current,
    /// One has, whose command this shard has not heard and settled: other operations that were issued
    /// before it may still be on their way, and the command will count the newest of them.
    Ended,
    /// One has that is settled. It was submitted after, so whoever meets it passes it by, and nobody counts it.
    Late,
}

/// The scopes of one shard.
pub(super) struct Scopes {
    trie: Arc<Trie>,
    shard: usize,
    shards: usize,
    members: Members,
    known: Known<Local>,
    /// Scopes with something to publish, or to be forgotten.
    changed: Vec<u32>,
    /// Scopes that lost their last user when this shard forgot them.
    idle: Vec<Idle>,
    pub(super) sweep: Option<Sweep>,
    /// Of the trie, if this is the shard that ends scopes.
    trim: Trim,
}

/// How far the eviction that is being carried out has come.
#[derive(Clone, Copy)]
pub(super) struct Sweep {
    /// Of an eviction of the global scope: where to go on among all slots.
    pub(super) slots: Slot,
    /// The scope that is looked at.
    pub(super) at: Option<u32>,
    /// The entries counted so far.
    pub(super) count: u64,
}

/// A scope that is known here.
struct Local {
    node: Arc<Node>,
    /// Its residents in the order of their generations.
    roll: Roll,
    /// Departures that an eviction is to answer for, by the generation of what departed.
    owed: BTreeMap<u64, u64>,
    /// What is not yet in the node's figures.
    change: Change,
    is_changed: bool,
    /// The tree of those known here; zero, the number of the root, for none.
    above: u32,
    first_below: u32,
    before: u32,
    after: u32,
}

#[derive(Default)]
struct Change {
    live: u64,
    weight: u64,
    evictions: u64,
}

impl Scopes {
    pub(super) fn new(trie: Arc<Trie>, shard: usize, shards: usize) -> Self {
        let mut known = Known::new();
        known.insert(GLOBAL, Local::new(Arc::clone(trie.root())));
        Self {
            trie,
            shard,
            shards,
            members: Members::new(),
            known,
            changed: Vec::new(),
            idle: Vec::new(),
            sweep: None,
            trim: Trim::default(),
        }
    }

    /// How something of this stamp stands to evictions. To be asked after it was found.
    pub(super) fn age(&self, stamp: ScopeStamp) -> Age {
        let judge = |node: &Node| match stamp.generation() {
            generation if generation >= node.sum() => Age::Current,
            generation if generation >= node.settled(self.shard) => Age::Ended,
            _ => Age::Late,
        };
        // A scope that has ended left nothing in flight but loads whose leaders were leaked.
        self.with(stamp.scope(), judge).unwrap_or(Age::Late)
    }

    /// Whether a resident of this stamp was ended by an eviction that is settled: by it, and by no newer
    /// write that is still on its way.
    pub(super) fn is_settled(&self, stamp: ScopeStamp) -> bool {
        self.age(stamp) == Age::Late
    }

    fn with<R>(&self, number: u32, judge: impl FnOnce(&Node) -> R) -> Option<R> {
        if number == GLOBAL {
            return Some(judge(self.trie.root()));
        }
        match self.known.get(number) {
            Some(local) => Some(judge(&local.node)),
            None => self.trie.numbered(number).map(|node| judge(&node)),
        }
    }

    // ---- residents -----------------------------------------------------------------------------

    /// Lists a resident that has come in. `of` tells the stamps of others.
    pub(super) fn admit(
        &mut self,
        slot: Slot,
        stamp: ScopeStamp,
        weight: u32,
        of: impl Fn(Slot) -> ScopeStamp,
    ) {
        if stamp.scope() == GLOBAL || !self.know(stamp.scope()) {
            return;
        }
        let Self { known, members, changed, .. } = self;
        let Some(local) = known.get_mut(stamp.scope()) else { return };
        members.join(&mut local.roll, slot, |other| of(other) > stamp);
        local.change.live = local.change.live.wrapping_add(1);
        local.change.weight = local.change.weight.wrapping_add(weight.into());
        local.note(changed);
    }

    /// Takes a resident that leaves off the list; whether it was evicted for the capacity.
    pub(super) fn expel(&mut self, slot: Slot, stamp: ScopeStamp, weight: u32, evicted: bool) {
        if stamp.scope() == GLOBAL {
            return;
        }
        let Self { known, members, changed, .. } = self;
        let Some(local) = known.get_mut(stamp.scope()) else { return };
        members.leave(&mut local.roll, slot);
        local.change.live = local.change.live.wrapping_sub(1);
        local.change.weight = local.change.weight.wrapping_sub(weight.into());
        local.change.evictions += u64::from(evicted);
        local.note(changed);
    }

    /// Gives back the memory for slots of which none is in use any more.
    pub(super) fn vacate(&mut self, segment: Segment) {
        self.members.vacate(segment);
    }

    /// Books that a resident was replaced by a newer one of the same scope, in the same slot.
    pub(super) fn exchange(
        &mut self,
        slot: Slot,
        (old, old_weight): (ScopeStamp, u32),
        (new, new_weight): (ScopeStamp, u32),
        of: impl Fn(Slot) -> ScopeStamp,
    ) {
        if old != new {
            self.expel(slot, old, old_weight, false);
            self.admit(slot, new, new_weight, of);
        } else if old_weight != new_weight && old.scope() != GLOBAL {
            let Self { known, changed, .. } = self;
            let Some(local) = known.get_mut(old.scope()) else { return };
            let change = u64::from(new_weight).wrapping_sub(old_weight.into());
            local.change.weight = local.change.weight.wrapping_add(change);
            local.note(changed);
        }
    }

    /// The residents of one scope; not to be asked of the global one.
    pub(super) fn residents(&self, number: u32) -> impl Iterator<Item = Slot> {
        let roll = self.known.get(number).map_or(Roll::EMPTY, |local| local.roll);
        self.members.iter(roll)
    }

    // ---- evictions -----------------------------------------------------------------------------

    /// Books an entry that an eviction ended, for that one's answer.
    pub(super) fn owe(&mut self, stamp: ScopeStamp) {
        if !self.know(stamp.scope()) {
            return;
        }
        let Self { known, changed, .. } = self;
        let Some(local) = known.get_mut(stamp.scope()) else { return };
        *local.owed.entry(stamp.generation()).or_default() += 1;
        local.note(changed);
    }

    /// Notes that all that was submitted before an eviction is folded.
    pub(super) fn settle(&self, node: &Node, generation: u64) {
        node.settle(self.shard, self.shards, generation);
    }

    /// Where an eviction begins: at its scope, if that is known here.
    pub(super) fn begin(&mut self, node: &Arc<Node>) -> Sweep {
        let is_known = self.knows(node);
        Sweep { slots: 0, at: is_known.then_some(node.number()), count: 0 }
    }

    /// The first resident of a scope: of all, the one that an eviction ends first.
    pub(super) fn first_of(&self, number: u32) -> Option<Slot> {
        self.known.get(number)?.roll.first()
    }

    /// What an eviction answers for in one scope that has been swept: what it had before any eviction that is not
    /// answered yet. What is newer was ended by the next.
    pub(super) fn collect(&mut self, number: u32) -> u64 {
        let Self { known, changed, shard, .. } = self;
        let Some(local) = known.get_mut(number) else { return 0 };
        let answered = local.node.answered(*shard) + ScopeStamp::GENERATION;
        let not_due = local.owed.split_off(&answered);
        let count = std::mem::replace(&mut local.owed, not_due).into_values().sum();
        // It was kept while the sweep stood on it.
        local.note(changed);
        count
    }

    /// Notes that an eviction is answered.
    pub(super) fn answer(&self, node: &Node) {
        node.answer(self.shard, self.shards);
    }

    /// The scope that comes after one in a walk over all below `top`.
    pub(super) fn after(&self, mut number: u32, top: u32) -> Option<u32> {
        let below = self.known.get(number)?.first_below;
        if below != GLOBAL {
            return Some(below);
        }
        while number != top {
            let local = self.known.get(number)?;
            if local.after != GLOBAL {
                return Some(local.after);
            }
            number = local.above;
        }
        None
    }

    // ---- who is known --------------------------------------------------------------------------

    /// Whether entries of this very scope, or of one below it, are here.
    pub(super) fn knows(&self, node: &Arc<Node>) -> bool {
        self.known.get(node.number()).is_some_and(|local| Arc::ptr_eq(&local.node, node))
    }

    /// Sees to it that a scope is known, if it is one that entries can be of.
    fn know(&mut self, number: u32) -> bool {
        if self.known.get(number).is_some() {
            return true;
        }
        let Some(node) = self.trie.numbered(number) else { return false };
        self.take_in(node);
        true
    }

    fn take_in(&mut self, node: Arc<Node>) {
        let entered = node.enter();
        debug_assert!(
            entered,
            "an entry was submitted by a user, who was there when it was folded"
        );
        let number = node.number();
        let parent = node.parent().map(Arc::clone);
        let mut local = Local::new(node);
        if let Some(parent) = parent {
            local.above = parent.number();
            if self.known.get(local.above).is_none() {
                self.take_in(parent);
            }
            if let Some(above) = self.known.get_mut(local.above) {
                local.after = std::mem::replace(&mut above.first_below, number);
            }
            if let Some(after) = self.known.get_mut(local.after).filter(|_| local.after != GLOBAL) {
                after.before = number;
            }
        }
        self.known.insert(number, local);
    }

    /// Shows the figures that have changed, and forgets scopes that nothing is left of.
    pub(super) fn publish(&mut self) {
        if self.shard == 0 {
            self.trie.grant_wishes();
        }
        while let Some(number) = self.changed.pop() {
            let Some(local) = self.known.get_mut(number) else { continue };
            local.is_changed = false;
            let Change { live, weight, evictions } = std::mem::take(&mut local.change);
            local.node.book(live, weight, evictions);
            let is_swept = self.sweep.is_some_and(|sweep| sweep.at == Some(number));
            let is_empty =
                local.roll.is_empty() && local.owed.is_empty() && local.first_below == GLOBAL;
            if number != GLOBAL && is_empty && !is_swept {
                self.forget(number);
            }
        }
    }

    /// Gives back what is kept for the next scopes that change.
    pub(super) fn rest(&mut self) {
        self.changed.shrink_to(KEPT);
    }

    fn forget(&mut self, number: u32) {
        let Some(local) = self.known.remove(number) else { return };
        let Local { node, above, before, after, .. } = local;
        if let Some(after) = self.known.get_mut(after).filter(|_| after != GLOBAL) {
            after.before = before;
        }
        if before != GLOBAL {
            if let Some(before) = self.known.get_mut(before) {
                before.after = after;
            }
        } else if let Some(above) = self.known.get_mut(above) {
            above.first_below = after;
            above.note(&mut self.changed);
        }
        let Self { trie, idle, .. } = self;
        trie.leave(&node, &mut |unused| idle.push(unused));
    }

    /// The scopes that lost their last user since the last call.
    pub(super) fn take_idle(&mut self) -> Vec<Idle> {
        std::mem::take(&mut self.idle)
    }

    /// Ends a scope that no shard knows.
    pub(super) fn end(&mut self, idle: Idle) {
        let Self { trie, idle: others, trim, .. } = self;
        trie.end(idle, &mut |unused| others.push(unused));
        trim.step(trie);
    }
}

impl Local {
    fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            roll: Roll::EMPTY,
            owed: BTreeMap::new(),
            change: Change::default(),
            is_changed: false,
            above: GLOBAL,
            first_below: GLOBAL,
            before: GLOBAL,
            after: GLOBAL,
        }
    }

    /// Has it looked at when figures are published next.
    fn note(&mut self, changed: &mut Vec<u32>) {
        if !std::mem::replace(&mut self.is_changed, true) {
            changed.push(self.node.number());
        }
    }
}
