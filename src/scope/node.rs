//! A scope at run time: its generation, its figures, and the word that says who uses it.
//!
//! A node lives as long as it is used: by handles, by nodes below it, by shards that hold entries of it.
//! When its last user goes, someone asks every shard whether it has come to hold entries meanwhile, and
//! if none has, and nobody has used the node since, it is *ended* by one exchange of that word. Invariant:
//! ended-unused (see `docs/concurrency.md`). Layer: scope.

use super::counts::{KINDS, ScopeCounts, Stripes};
use super::estate::{Estate, Version};
use super::evictions::{AllEvictions, Begun};
use super::near::{NEAR, Near};
use super::tree::LevelId;
use super::{GLOBAL, ScopeStamp};
use crate::stats::Caller;
use crate::sync::tally::{self};
use crate::sync::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A scope that is in use. What many write, what few write and what every read reads lie apart, because
/// a write takes the line from all readers.
#[repr(C)]
pub(crate) struct Node {
    /// Uses that began so far (32 bits) | users now (31 bits) | ended (1 bit).
    life: AtomicU64,
    live: tally::AtomicU64,
    weight: tally::AtomicU64,
    evictions: tally::AtomicU64,
    /// What it was left by scopes below it, if it ever had any.
    estate: OnceLock<Box<Estate>>,
    /// Since which version the estate of the scope above has its own figures, or 0.
    part_of: AtomicU64,
    seen: OnceLock<Box<[Seen]>>,
    counts: ScopeCounts<Near>,
    id: Box<str>,
    path_hash: u64,
    /// The generation that the node began with.
    first: u64,
    /// The sum that no stamp of its entries is below, and each of those of earlier owners of its number.
    since: u64,
    parent: Option<Arc<Node>>,
    salt: u64,
    /// Those of all scopes of the cache.
    all: Arc<AllEvictions>,
    /// Its own generation and those above it, as far as there is room, and zeros where there is more: added
    /// up without a loop.
    near: [Generation; NEAR],
    /// Of a deep node: what is above those.
    far: Option<Box<Far>>,
    number: u32,
    level: LevelId,
}

/// How often a scope was evicted, as a stamp counts. Apart from its node, because every read in the scopes
/// below reads it, and nothing but evictions should take its line from them.
pub(crate) type Generation = Arc<AtomicU64>;

/// What only a node has that is deeper than the default tree.
struct Far {
    generations: Box<[Generation]>,
    /// In place of the node's own.
    counts: ScopeCounts,
}

/// What one shard has made of the evictions of a scope.
struct Seen {
    /// All that was submitted before this generation began has been folded.
    settled: tally::AtomicU64,
    /// As many evictions have been answered as make this generation of the first.
    answered: tally::AtomicU64,
}

/// The counters of a scope, or of several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tallies {
    pub(crate) live: u64,
    pub(crate) weight: u64,
    pub(crate) evictions: u64,
    pub(crate) counts: [u64; KINDS],
}

const ENDED: u64 = 1;
const USER: u64 = 1 << 1;
const USERS: u64 = (1 << 32) - 2;
const BEGUN: u64 = 1 << 32;

/// What a node is made of.
pub(crate) struct Birth {
    pub(crate) parent: Arc<Node>,
    pub(crate) level: LevelId,
    pub(crate) id: Box<str>,
    pub(crate) number: u32,
    pub(crate) path_hash: u64,
    pub(crate) salt: u64,
    /// What no stamp of its entries is to be below.
    pub(crate) since: u64,
}

impl Node {
    /// The global scope: it is always in use.
    pub(crate) fn root() -> Self {
        Self::make(None, LevelId::GLOBAL, "".into(), GLOBAL, [0; 3])
    }

    /// A scope with one user, its maker.
    pub(crate) fn new(birth: Birth) -> Self {
        let Birth { parent, level, id, number, path_hash, salt, since } = birth;
        // Made here, for whoever finds this node finds it.
        parent.estate.get_or_init(|| Box::new(Estate::new()));
        Self::make(Some(parent), level, id, number, [path_hash, salt, since])
    }

    fn make(
        parent: Option<Arc<Self>>,
        level: LevelId,
        id: Box<str>,
        number: u32,
        [path_hash, salt, since]: [u64; 3],
    ) -> Self {
        let above = parent.as_ref().map_or(0, |parent| parent.sum());
        let first = since.saturating_sub(above);
        let own = Arc::new(AtomicU64::new(first));
        let (near, far) = match &parent {
            Some(parent) => {
                let [a, b, c, last] = parent.near.clone();
                // What falls off is a zero, unless the path is deep.
                let far = (parent.upward().count() >= NEAR).then(|| {
                    let further = parent.far.iter().flat_map(|far| far.generations.iter().cloned());
                    let generations = std::iter::once(last).chain(further).collect();
                    Box::new(Far { generations, counts: ScopeCounts::default() })
                });
                ([own, a, b, c], far)
            }
            None => {
                let nowhere = Arc::new(AtomicU64::new(0));
                ([own, Arc::clone(&nowhere), Arc::clone(&nowhere), nowhere], None)
            }
        };
        let all = parent.as_ref().map_or_else(Arc::default, |parent| Arc::clone(&parent.all));
        Self {
            life: AtomicU64::new(USER + BEGUN),
            live: tally::AtomicU64::new(0),
            weight: tally::AtomicU64::new(0),
            evictions: tally::AtomicU64::new(0),
            counts: ScopeCounts::default(),
            estate: OnceLock::new(),
            part_of: AtomicU64::new(0),
            seen: OnceLock::new(),
            id,
            path_hash,
            first,
            since,
            parent,
            salt,
            all,
            near,
            far,
            number,
            level,
        }
    }

    /// The generation that reads of this scope look at besides those above it.
    pub(crate) fn generation(&self) -> &Generation {
        &self.near[0]
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// What tells its entries from those of earlier owners of its number.
    pub(crate) fn since(&self) -> ScopeStamp {
        ScopeStamp::new(self.number, self.since)
    }

    #[inline]
    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }

    pub(crate) fn level(&self) -> LevelId {
        self.level
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn path_hash(&self) -> u64 {
        self.path_hash
    }

    pub(crate) fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// The node and those above it, up to the global scope.
    pub(crate) fn upward(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }

    /// The sum of the generations on the path to this scope. Whoever has found an entry of the scope and
    /// then asks sees of each generation at least what the entry's maker saw, so the sums are equal exactly
    /// if each generation is.
    #[inline]
    pub(crate) fn sum(&self) -> u64 {
        sum_of(&self.near) + self.far.as_ref().map_or(0, |far| sum_of(&far.generations))
    }

    /// What a write or a load that begins now belongs to.
    #[inline]
    pub(crate) fn now(&self) -> ScopeStamp {
        ScopeStamp::new(self.number, self.sum())
    }

    /// Ends the current generation: what this scope and those below it hold is dead for every reader from
    /// now on. `find` finds other scopes in use by their numbers.
    pub(crate) fn evict(&self, find: impl Fn(u32) -> Option<Generation>) -> Begun {
        self.all.evict(self.number, self.generation(), find)
    }

    // ---- who uses it ---------------------------------------------------------------------------

    /// Begins a use of the node. `false` if it has ended: then another must be made in its place.
    pub(crate) fn enter(&self) -> bool {
        // Relaxed: it only keeps the word from being what an asker saw; a release below continues the
        // chain of releases that this step is part of.
        let before = self.life.fetch_add(USER + BEGUN, Ordering::Relaxed);
        if before & USERS > USERS / 2 {
            // As `Arc` does: one more wrap-around and a scope would end under its users.
            std::process::abort();
        }
        before & ENDED == 0
    }

    /// Ends a use. If it was the last, the word under which the node is unused.
    #[must_use]
    pub(crate) fn leave(&self) -> Option<u64> {
        // AcqRel: whoever ends the node comes after all that its users did [edge: scope-life].
        let now = self.life.fetch_sub(USER, Ordering::AcqRel) - USER;
        (now & (USERS | ENDED) == 0).then_some(now)
    }

    /// Ends the node if nobody has used it since `word` was seen. Exactly one caller succeeds.
    pub(crate) fn end(&self, word: u64) -> bool {
        self.life
            // AcqRel: after all that its users did [edge: scope-life]. Relaxed on failure: somebody uses
            // it, and that is all there is to know.
            .compare_exchange(word, word | ENDED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Whether the node has ended. For who looks at a node without using it, after an entry was found: if
    /// that is of the next owner of the node's number, this says so.
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        // Relaxed: the end came before the number was given back, that before it was taken, and that before
        // what its new owner wrote, which the caller has found.
        self.life.load(Ordering::Relaxed) & ENDED != 0
    }

    // ---- what shards have made of its evictions -------------------------------------------------

    /// The sum of the settled generations on the path to this scope: whatever is older was ended by an
    /// eviction before which `shard` has folded everything.
    pub(crate) fn settled(&self, shard: usize) -> u64 {
        self.upward().map(|node| node.seen_by(shard, |seen| &seen.settled)).sum()
    }

    /// The sum of the answered generations on the path.
    pub(crate) fn answered(&self, shard: usize) -> u64 {
        self.upward().map(|node| node.seen_by(shard, |seen| &seen.answered)).sum()
    }

    fn seen_by(&self, shard: usize, which: impl Fn(&Seen) -> &tally::AtomicU64) -> u64 {
        // Relaxed: the shard's own, written by nobody else.
        self.seen.get().map_or(self.first, |all| which(&all[shard]).load(tally::Ordering::Relaxed))
    }

    /// Notes that `shard`, one of `shards`, has folded all that came before the eviction that began
    /// `generation`. Shard thread only.
    pub(crate) fn settle(&self, shard: usize, shards: usize, generation: u64) {
        // Relaxed: the shard's own.
        self.seen(shard, shards).settled.fetch_max(generation, tally::Ordering::Relaxed);
    }

    /// Notes that `shard` answers one eviction. Shard thread only.
    pub(crate) fn answer(&self, shard: usize, shards: usize) {
        let answered = &self.seen(shard, shards).answered;
        // Relaxed: the shard's own.
        answered.fetch_add(ScopeStamp::GENERATION, tally::Ordering::Relaxed);
    }

    fn seen(&self, shard: usize, shards: usize) -> &Seen {
        let none = || Seen {
            settled: tally::AtomicU64::new(self.first),
            answered: tally::AtomicU64::new(self.first),
        };
        &self.seen.get_or_init(|| (0..shards).map(|_| none()).collect())[shard]
    }

    // ---- figures -------------------------------------------------------------------------------

    /// Counts one, from a thread of `lane`. Now and then it says that the scope is read much: then
    /// [`Trie::wish`](super::trie::Trie::wish) is to be told.
    #[inline]
    pub(crate) fn count(&self, lane: usize, what: Caller) -> bool {
        match &self.far {
            None => self.counts.count(lane, what),
            Some(far) => far.counts.count(lane, what),
        }
    }

    /// Makes what there is for hits of a scope that is read much.
    pub(crate) fn widen(&self) {
        match &self.far {
            None => self.counts.widen(|| self.to_near()),
            Some(far) => far.counts.widen(Stripes::default),
        }
    }

    fn to_near(&self) -> Near {
        Near::new(Arc::clone(&self.all), self.salt, self.number, self.level, self.near.clone())
    }

    /// What there is for hits if it is read much and no deeper than the default tree.
    #[inline]
    pub(crate) fn as_near(&self) -> Option<&Near> {
        self.counts.busy()
    }

    /// Books what has changed in one shard; changes are two's complement.
    pub(crate) fn book(&self, live: u64, weight: u64, evictions: u64) {
        let changes = [(&self.live, live), (&self.weight, weight), (&self.evictions, evictions)];
        for (figure, change) in changes {
            if change != 0 {
                // Relaxed: a statistic; who needs it exact waits for a flush, whose reply orders it.
                figure.fetch_add(change, tally::Ordering::Relaxed);
            }
        }
    }

    /// How many entries the scope itself has, as the shards have last booked it.
    pub(crate) fn live(&self) -> u64 {
        // Relaxed: a statistic.
        self.live.load(tally::Ordering::Relaxed)
    }

    /// The scope's own figures.
    pub(crate) fn own(&self) -> Tallies {
        Tallies {
            live: self.live(),
            // Relaxed: statistics, all of them.
            weight: self.weight.load(tally::Ordering::Relaxed),
            // Relaxed: as above.
            evictions: self.evictions.load(tally::Ordering::Relaxed),
            counts: self.far.as_ref().map_or_else(|| self.counts.sum(), |far| far.counts.sum()),
        }
    }

    /// The figures of scopes below it that are no longer in use, and as of which version. May wait a moment for who ends
    /// one.
    pub(super) fn estate(&self) -> (Tallies, Version) {
        self.estate.get().map_or_else(Default::default, |estate| estate.read())
    }

    /// Hands the figures of a node that has ended to the one above it, so that sums over a subtree do not
    /// go down. By one thread at a time.
    pub(super) fn bequeath(&self) {
        let sum = self.own().plus(self.estate().0);
        let Some(estate) = self.parent().and_then(|parent| parent.estate.get()) else { return };
        if sum.evictions > 0 || sum.counts != [0; KINDS] {
            // Relaxed: who finds the version in the estate finds it here.
            estate.add(sum, |version| self.part_of.store(version, Ordering::Relaxed));
        }
    }

    /// Whether a version of the estate of the scope above has what this one counted.
    pub(super) fn is_part_of(&self, version: Version) -> bool {
        // Relaxed: the caller has read that version before.
        (1..=version).contains(&self.part_of.load(Ordering::Relaxed))
    }
}

impl Tallies {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            // Changes of several shards may be seen in any order, so a figure can be below zero for a
            // moment.
            live: self.live.wrapping_add(other.live),
            weight: self.weight.wrapping_add(other.weight),
            evictions: self.evictions + other.evictions,
            counts: std::array::from_fn(|i| self.counts[i] + other.counts[i]),
        }
    }
}

#[inline]
pub(super) fn sum_of(generations: &[Generation]) -> u64 {
    // Acquire: who finds what bears this sum knows that all evictions in it have begun [edge: eviction-begun].
    generations.iter().map(|of| of.load(Ordering::Acquire)).sum()
}

#[inline]
pub(crate) fn generation(of: &AtomicU64) -> u64 {
    // Relaxed: who learns that an eviction has returned, or finds an entry, does so through an edge of his
    // own, and then coherence of each variable shows what the other saw.
    of.load(Ordering::Relaxed)
}
