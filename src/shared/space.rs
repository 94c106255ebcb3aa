//! The namespaces of a shared cache, found by name, and what all views of one have in common.
//! Layer: front.

use super::erased::Tag;
use crate::error::Error;
use crate::scope::ScopeStamp;
use crate::scope::node::{Global, Node, Place};
use crate::scope::tree::LevelId;
use crate::stats::{Caller, CallerCounts};
use crate::sync::map::Map;
use crate::sync::{AtomicU64, Ordering};
use equivalent::Equivalent;
use std::any::{TypeId, type_name};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// All namespaces of one cache. They are the program's, not its data's: none is ever forgotten.
pub(crate) struct Spaces {
    named: Map<Name, ()>,
    numbers: AtomicU64,
    hasher: ahash::RandomState,
}

/// One namespace: its types, its options, its figures.
pub(crate) struct Space {
    name: Box<str>,
    number: u32,
    salt: u64,
    types: Types,
    options: Options,
    /// What was stored or asked for under an older one was cleared.
    generation: AtomicU64,
    counts: CallerCounts,
}

/// The types of keys and values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types {
    ids: (TypeId, TypeId),
    names: (&'static str, &'static str),
}

/// What a namespace has of its own.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) time_to_live: Option<Duration>,
}

/// A namespace as the map holds it: equal to what has the same name.
struct Name {
    hash: u64,
    space: Arc<Space>,
}

struct Wanted<'a> {
    hash: u64,
    name: &'a str,
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.space.name == other.space.name
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
        *self.name == *name.space.name
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
    pub(crate) fn new(hasher: ahash::RandomState) -> Self {
        Self { named: Map::new(), numbers: AtomicU64::new(0), hasher }
    }

    /// The namespace of a name, made if there is none. If there is one, it must be of these types, and have
    /// the options that are `asked` for.
    pub(crate) fn enter(
        &self,
        name: &str,
        types: Types,
        asked: Options,
    ) -> Result<Arc<Space>, Error> {
        let hash = self.hasher.hash_one(name);
        loop {
            let wanted = Wanted { hash, name };
            if let Some(space) = self.named.find(&wanted, |name, ()| Arc::clone(&name.space)) {
                space.check(types, asked)?;
                return Ok(space);
            }
            if name.is_empty() {
                let fault = "the name of the namespace is empty".into();
                return Err(Error::namespace(fault, "give it one".into()));
            }
            // Relaxed: a number is of one namespace, and says nothing else.
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let number = u32::try_from(number).ok().filter(|n| *n < u32::MAX);
            let number = number.ok_or_else(too_many)?;
            let space = Arc::new(Space {
                name: name.into(),
                number,
                salt: self.hasher.hash_one((number, "namespace")),
                types,
                options: asked,
                generation: AtomicU64::new(number.into()),
                counts: CallerCounts::new(),
            });
            // If another was faster, its namespace is found.
            if self.named.insert_new(Name { hash, space: Arc::clone(&space) }, ()) {
                return Ok(space);
            }
        }
    }
}

#[cold]
fn too_many() -> Error {
    let fault = "there are 16,777,216 namespaces, as many as a cache can tell apart".into();
    Error::namespace(fault, "make scopes of what is as numerous as data".into())
}

impl Space {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The tag of keys that are stored or asked for now.
    #[inline]
    pub(crate) fn tag(&self) -> Tag {
        // Relaxed: who learns that it was cleared, or finds an entry, does so through an edge of its own,
        // and then coherence of this variable shows what the other saw.
        Tag(self.generation.load(Ordering::Relaxed) as u32)
    }

    fn check(&self, types: Types, asked: Options) -> Result<(), Error> {
        let Self { name, types: own, options, .. } = self;
        if types != *own {
            return Err(Error::namespace(
                format!("the namespace {name:?} has keys and values of {own}, not of {types}"),
                "ask for those, or under another name".into(),
            ));
        }
        match (asked.time_to_live, options.time_to_live) {
            (Some(asked), own) if own != Some(asked) => Err(Error::namespace(
                format!("the namespace {name:?} has a time_to_live of {own:?}, not {asked:?}"),
                "ask for the same, or for none, or under another name".into(),
            )),
            _ => Ok(()),
        }
    }
}

/// A scope as one namespace sees it.
#[derive(Clone, Copy)]
pub(crate) struct Within<'a> {
    pub(crate) node: &'a Node,
    pub(crate) space: &'a Space,
}

/// The global scope as one namespace sees it: the same, without what it costs to be one of many.
#[derive(Clone, Copy)]
pub(crate) struct WithinGlobal<'a> {
    global: Global<'a>,
    space: &'a Space,
}

impl<'a> Within<'a> {
    /// The place, if its scope is the global one.
    #[inline]
    pub(crate) fn global(self) -> Option<WithinGlobal<'a>> {
        let Self { node, space } = self;
        node.parent().is_none().then_some(WithinGlobal { global: Global(node), space })
    }
}

impl Place for Within<'_> {
    const COUNTS_ALONE: bool = true;

    #[inline]
    fn salt(self) -> u64 {
        self.node.salt() ^ self.space.salt
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
        self.space.options.time_to_live
    }

    #[inline]
    fn count(self, lane: usize, what: Caller) {
        self.space.counts.count(lane, what);
        // The global scope has what the others have not.
        if self.node.parent().is_some() {
            self.node.count(lane, what);
        }
    }
}

impl Place for WithinGlobal<'_> {
    const COUNTS_ALONE: bool = true;

    #[inline]
    fn salt(self) -> u64 {
        self.space.salt
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
    fn count(self, lane: usize, what: Caller) {
        self.space.counts.count(lane, what);
    }
}
