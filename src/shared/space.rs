//! The namespaces of a shared cache, found by name, and what all views of one have in common.
//! Layer: front.

use super::erased::{AnyKey, AnyValue, Tag};
use super::options::Options;
use crate::error::Error;
use crate::front::Front;
use crate::scope::ScopeStamp;
use crate::scope::node::{Node, Tallies};
use crate::scope::place::{Global, Place};
use crate::scope::snapshot::Figures;
use crate::scope::tree::LevelId;
use crate::shard::command::Command;
use crate::shard::departures::Listeners;
use crate::shard::groups::{Group, GroupFigures, Grouping};
use crate::shard::streams::{Part, Which};
use crate::stats::{Caller, CallerCounts};
use crate::sync::map::Map;
use crate::sync::{AtomicU64, Ordering, tally};
use crate::{Reply, Stats};
use equivalent::Equivalent;
use std::any::{TypeId, type_name};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// All namespaces of one cache. They are the program's, not its data's: none is ever forgotten.
pub(crate) struct Spaces {
    named: Map<Name, ()>,
    groups: Arc<Map<u32, Arc<Group<AnyKey, AnyValue>>>>,
    listeners: Arc<Listeners<AnyKey, AnyValue>>,
    shards: usize,
    /// It was said how much there may be in the cache: without that, weights would mean nothing.
    is_bounded: bool,
    /// Tags that were given out.
    tags: AtomicU64,
    /// Numbers of namespaces that were given out.
    numbers: tally::AtomicU64,
    hasher: ahash::RandomState,
}

/// One namespace: its types, its options, its figures.
pub(crate) struct Space {
    name: Box<str>,
    owner: Owner,
    number: u32,
    salt: u64,
    /// The bits of a hash that the salt is added to; the others are the salt's alone.
    kept: u64,
    /// The tag of its keys since it was last cleared.
    tag: AtomicU64,
    counts: CallerCounts,
    figures: Arc<GroupFigures>,
    types: Types,
    options: Options,
}

/// The types of keys and values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types {
    ids: (TypeId, TypeId),
    names: (&'static str, &'static str),
}

/// What tells a namespace from all others: its name, and whose it is. The names of functions do not
/// suffice: in two blocks of one module there may be two of one name.
#[derive(Clone, Copy, Debug)]
pub struct Title<'a> {
    pub(crate) name: &'a str,
    owner: Owner,
}

/// Whose a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    /// A function's, which has but one.
    Function(TypeId),
    /// That of a type's methods which were given its name.
    Type(TypeId),
}

/// A namespace as the map holds it: equal to what has the same title.
struct Name {
    hash: u64,
    space: Arc<Space>,
}

struct Wanted<'a> {
    hash: u64,
    title: Title<'a>,
}

impl<'a> Title<'a> {
    /// Of this name, and nobody's.
    #[must_use]
    pub const fn named(name: &'a str) -> Self {
        Self { name, owner: Owner::Nobody }
    }

    /// Of this name, for the methods of this type.
    #[inline]
    #[must_use]
    pub fn within<T: ?Sized>(name: &'a str) -> Self {
        Self { name, owner: Owner::Type(typeid::of::<T>()) }
    }

    /// That of a function, or of one instance of it.
    #[inline]
    #[must_use]
    pub fn of<F>(_function: &F) -> Self {
        Self { name: type_name::<F>(), owner: Owner::Function(typeid::of::<F>()) }
    }
}

impl PartialEq for Title<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // A function has one name.
        let suffices = matches!(self.owner, Owner::Function(_));
        self.owner == other.owner && (suffices || self.name == other.name)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.space.title() == other.space.title()
    }
}

impl Eq for Name {}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Name> for Wanted<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        self.title == name.space.title()
    }
}

impl Types {
    pub(crate) fn of<K: 'static, V: 'static>() -> Self {
        Self {
            ids: (TypeId::of::<K>(), TypeId::of::<V>()),
            names: (type_name::<K>(), type_name::<V>()),
        }
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.names.0, self.names.1)
    }
}

impl Spaces {
    pub(crate) fn new(hasher: ahash::RandomState, is_bounded: bool) -> Self {
        let (tags, numbers) = (AtomicU64::new(0), tally::AtomicU64::new(0));
        let listeners = Arc::new(Listeners::new(|key: &AnyKey| key.tag().space()));
        let (named, groups) = (Map::new(), Arc::new(Map::new()));
        Self { named, groups, listeners, shards: 0, is_bounded, tags, numbers, hasher }
    }

    /// What the shards are told of them.
    pub(crate) fn grouping(&self) -> Grouping<AnyKey, AnyValue> {
        let (all, listeners) = (Arc::clone(&self.groups), Arc::clone(&self.listeners));
        Grouping { of: |key| key.tag().number(), all, listeners }
    }

    pub(crate) fn over(self, shards: usize) -> Self {
        Self { shards, ..self }
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.is_bounded
    }

    /// The namespace of a title, made if there is none. If there is one, it must be of these types, and have
    /// the options that are `asked` for.
    pub(crate) fn enter(
        &self,
        title: Title<'_>,
        types: Types,
        asked: &Options,
    ) -> Result<Arc<Space>, Error> {
        let hash = self.hasher.hash_one(title.name);
        let wanted = Wanted { hash, title };
        loop {
            if let Some(space) = self.named.find(&wanted, |name, ()| Arc::clone(&name.space)) {
                space.check(types, asked)?;
                self.have_heard(&space);
                return Ok(space);
            }
            if title.name.is_empty() {
                let fault = "the name of the namespace is empty".into();
                return Err(Error::namespace(fault, "give it one".into()));
            }
            let is_alone = asked.max_items.is_some_and(|most| most <= ONE_SHARD);
            let figures = Arc::default();
            let number = self.number().ok_or_else(too_many)?;
            let group = self.begin(asked, &figures).ok_or_else(too_many)?;
            let space = Arc::new(Space {
                name: title.name.into(),
                owner: title.owner,
                number,
                salt: self.hasher.hash_one((group.number, "namespace")),
                kept: if is_alone { u64::MAX >> SHARD_BITS } else { u64::MAX },
                tag: AtomicU64::new(group.number.into()),
                counts: CallerCounts::new(),
                figures,
                types,
                options: asked.clone(),
            });
            if self.named.insert_new(Name { hash, space: Arc::clone(&space) }, ()) {
                self.have_heard(&space);
                return Ok(space);
            }
            // Another was faster, and is found.
            self.groups.remove_if(&group.number, |_, _| true);
        }
    }

    /// A number for a new namespace; nothing if there is none left.
    fn number(&self) -> Option<u32> {
        // Relaxed: a number is of one namespace, and says nothing else.
        let number = self.numbers.fetch_add(1, tally::Ordering::Relaxed);
        u32::try_from(number).ok().filter(|number| *number < Tag::SPACES)
    }

    /// Has the shards know the listener of a namespace. Everybody who comes by it does so before he can write
    /// to it: who made it may not have come so far. Not before it has its name, for what a map loses may be
    /// dropped on any thread, and a listener is the user's.
    fn have_heard(&self, space: &Space) {
        if let Some(listener) = &space.options.listener {
            self.listeners.add(space.number, &listener.call);
        }
    }

    /// The bound of the namespace of a title, if there are both.
    pub(crate) fn max_items(&self, title: Title<'_>) -> Option<u64> {
        let wanted = Wanted { hash: self.hasher.hash_one(title.name), title };
        self.named.find(&wanted, |name, ()| name.space.options.max_items).flatten()
    }

    /// A new group; nothing if there is no tag left.
    fn begin(
        &self,
        options: &Options,
        figures: &Arc<GroupFigures>,
    ) -> Option<Arc<Group<AnyKey, AnyValue>>> {
        // Relaxed: a tag is of one group, and says nothing else.
        let tag = self.tags.fetch_add(1, Ordering::Relaxed);
        let tag = u32::try_from(tag).ok()?;
        let limit = match options.max_items {
            None => u64::MAX,
            Some(most) if most <= ONE_SHARD => most,
            Some(most) => most / self.shards as u64,
        };
        let weigher = options.weigher.as_ref().map(|weigher| &weigher.call);
        let group = Arc::new(Group::new(tag, limit, weigher, Arc::clone(figures)));
        let is_new = self.groups.insert_new(tag, Arc::clone(&group));
        debug_assert!(is_new, "a tag is given out once");
        Some(group)
    }

    /// The figures of the cache, with what was counted by namespaces.
    pub(crate) fn stats(&self, mut stats: Stats) -> Stats {
        self.named.for_each(|Name { space, .. }, ()| {
            let counts = space.counts.sum();
            stats.callers = std::array::from_fn(|i| stats.callers[i] + counts[i]);
        });
        stats
    }

    /// Empties a namespace. When this returns no reader sees anything of it, and writes and loads that were
    /// issued before are not stored, nor joined.
    pub(crate) fn clear(&self, front: &Front<AnyKey, AnyValue>, space: &Space) -> Reply<u64> {
        let Some(next) = self.begin(&space.options, &space.figures) else {
            // Four thousand million clears: from now on each takes all with it.
            return front.evict(front.trie.root());
        };
        // AcqRel: whoever has the new tag finds its group [edge: map].
        let tag = space.tag.swap(next.number.into(), Ordering::AcqRel) as u32;
        let Some(ended) = self.groups.find(&tag, |_, group| Arc::clone(group)) else {
            return Reply::ready(0);
        };
        ended.end(self.shards);
        let end = |answer| Command::End { group: Arc::clone(&ended), count: 0, answer };
        front.leave_with_all(|a, b| a + b, end, || false)
    }
}

#[cold]
fn too_many() -> Error {
    let fault = "there are as many namespaces as a cache can tell apart".into();
    Error::namespace(fault, "make scopes of what is as numerous as data".into())
}

/// Of so many items or fewer a namespace has all in one shard: then the limit is exact, and who was read
/// least recently is known among all.
const ONE_SHARD: u64 = 4096;
/// The high bits of a hash, which decide about the shard.
const SHARD_BITS: u32 = 22;

impl Space {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn title(&self) -> Title<'_> {
        Title { name: &self.name, owner: self.owner }
    }

    /// The tag of keys that are stored or asked for now.
    #[inline]
    pub(crate) fn tag(&self) -> Tag {
        // Acquire: a shard finds the group of what is written under it [edge: map]. That it was cleared
        // another thread learns through an edge of its own.
        Tag::new(self.number, self.tag.load(Ordering::Acquire) as u32)
    }

    /// Of what leaves, what is of this namespace. Empty when `reader` has gone.
    pub(crate) fn part(&self, reader: &Arc<()>) -> Part<AnyKey> {
        Part::new(Which::Numbered(|key: &AnyKey| key.tag().space(), self.number), reader)
    }

    /// The figures of the namespace at this moment.
    pub(crate) fn stats(&self) -> Figures {
        Figures(Tallies {
            live: self.figures.live(),
            weight: self.figures.weight(),
            evictions: self.figures.evictions(),
            counts: self.counts.sum(),
        })
    }

    pub(crate) fn len(&self) -> u64 {
        self.figures.live()
    }

    fn check(&self, types: Types, asked: &Options) -> Result<(), Error> {
        let Self { name, types: own, options, .. } = self;
        if types != *own {
            return Err(Error::namespace(
                format!("the namespace {name:?} has keys and values of {own}, not of {types}"),
                "ask for those, or under another name".into(),
            ));
        }
        options.agree(name, asked)
    }
}

/// A scope as one namespace sees it.
#[derive(Clone, Copy)]
pub(crate) struct Within<'a> {
    pub(crate) node: &'a Node,
    pub(crate) space: &'a Space,
    /// That of the space as the call began.
    pub(crate) tag: Tag,
    /// Of what this call writes, if it says so.
    pub(crate) time_to_live: Option<Duration>,
}

/// The global scope as one namespace sees it: the same, without what it costs to be one of many.
#[derive(Clone, Copy)]
pub(crate) struct WithinGlobal<'a> {
    global: Global<'a>,
    space: &'a Space,
    tag: Tag,
}

impl<'a> Place for Within<'a> {
    const COUNTS_ALONE: bool = true;

    type Quick = WithinGlobal<'a>;

    #[inline]
    fn quick(self) -> Option<WithinGlobal<'a>> {
        let Self { node, space, tag, .. } = self;
        let is_global = node.parent().is_none();
        is_global.then(|| WithinGlobal { global: Global::new(node.generation()), space, tag })
    }

    #[inline]
    fn salt(self) -> u64 {
        self.node.salt() ^ self.space.salt
    }

    #[inline]
    fn aim(self, hash: u64) -> u64 {
        (hash ^ self.node.salt()) & self.space.kept ^ self.space.salt
    }

    #[inline]
    fn now(self) -> ScopeStamp {
        self.node.now()
    }

    #[inline]
    fn level(self) -> LevelId {
        self.node.level()
    }

    #[inline]
    fn time_to_live(self) -> Option<Duration> {
        self.time_to_live.or(self.space.options.time_to_live)
    }

    #[inline]
    fn has_ended(self) -> bool {
        self.space.tag() != self.tag
    }

    #[inline]
    fn count(self, lane: usize, what: Caller) -> bool {
        self.space.counts.count(lane, what);
        // The global scope has what the others have not.
        self.node.parent().is_some() && self.node.count(lane, what)
    }
}

impl Place for WithinGlobal<'_> {
    const COUNTS_ALONE: bool = true;

    type Quick = Self;

    #[inline]
    fn quick(self) -> Option<Self> {
        Some(self)
    }

    #[inline]
    fn salt(self) -> u64 {
        self.space.salt
    }

    #[inline]
    fn aim(self, hash: u64) -> u64 {
        hash & self.space.kept ^ self.space.salt
    }

    #[inline]
    fn now(self) -> ScopeStamp {
        self.global.now()
    }

    #[inline]
    fn level(self) -> LevelId {
        self.global.level()
    }

    #[inline]
    fn time_to_live(self) -> Option<Duration> {
        self.space.options.time_to_live
    }

    #[inline]
    fn has_ended(self) -> bool {
        self.space.tag() != self.tag
    }

    #[inline]
    fn count(self, lane: usize, what: Caller) -> bool {
        self.space.counts.count(lane, what);
        false
    }
}
