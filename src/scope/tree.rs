//! [`ScopeTree`]: the levels of scopes that a cache may have, from chains of names. Layer: scope.

use crate::error::Error;
use std::fmt;
use std::time::Duration;

/// The levels of scopes that a cache may have, and which lies below which.
///
/// Given as chains of names: `"organization/user/session"` says that a session belongs to a user and a
/// user to an organization. Chains may share a beginning, and there may be several roots. Above all of
/// them is the global scope, which has no name here: it is the cache itself.
///
/// The default is `organization/user/session`.
///
/// ```
/// use cacheado::{CacheHandle, ScopeTree};
/// use std::time::Duration;
///
/// let tree = ScopeTree::new(["organization/user/session", "tenant/project"])?
///     .time_to_live("session", Duration::from_secs(1800))?;
/// let cache = CacheHandle::builder().scopes(tree).build()?;
/// cache.scope([("tenant", "acme")])?.insert("plan".to_string(), 7);
/// # Ok::<(), cacheado::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeTree {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Level {
    name: Box<str>,
    /// Of the levels, so always smaller than its own place; none below the global scope.
    parent: LevelId,
    time_to_live: Option<Duration>,
}

/// A level of a tree, or the global scope above all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LevelId(u16);

impl LevelId {
    pub(crate) const GLOBAL: Self = Self(0);

    fn of(place: usize) -> Self {
        Self(place as u16 + 1)
    }

    fn place(self) -> Option<usize> {
        usize::from(self.0).checked_sub(1)
    }
}

/// What the scope above all levels is called where a level is expected.
const RESERVED: &str = "global";
const SEPARATOR: &str = "/";
/// Far more than anybody names by hand.
const MAX_LEVELS: usize = 1024;
/// A read adds up the generations of all levels above it.
const MAX_DEPTH: usize = 32;

impl Default for ScopeTree {
    fn default() -> Self {
        Self::new(["organization/user/session"]).expect("the default tree is valid")
    }
}

impl ScopeTree {
    /// The levels of `chains`, each from the top down, separated by `/`.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_scope_tree`] if there is no chain; if the name of a level is empty (as between
    /// two separators), has white space around it or is `global`; if a level comes twice in a chain or under two parents; if
    /// there are more than 1,024 levels, or more than 32 below each other.
    pub fn new<C: AsRef<str>>(chains: impl IntoIterator<Item = C>) -> Result<Self, Error> {
        let mut tree = Self { levels: Vec::new() };
        for chain in chains {
            tree.add(chain.as_ref())?;
        }
        if tree.levels.is_empty() {
            let remedy = "give at least one chain of levels, such as \"organization/user\"";
            return Err(Error::scope_tree("there is no level".into(), remedy.into()));
        }
        Ok(tree)
    }

    /// How long after it was written an entry in a scope of this level expires, and in scopes below it
    /// that say nothing else. A time that comes with a call overrides it; without either the cache's own
    /// [`time_to_live`](crate::CacheBuilder::time_to_live) holds. The latest call for a level counts.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_scope_tree`] if there is no such level, or the time is zero.
    pub fn time_to_live(mut self, level: &str, duration: Duration) -> Result<Self, Error> {
        let Some(at) = self.levels.iter().position(|known| *known.name == *level) else {
            let remedy = if level == RESERVED {
                "give the time_to_live of the global scope to the builder of the cache".into()
            } else {
                format!("give one of the levels of {self}")
            };
            return Err(Error::scope_tree(format!("there is no level {level:?}"), remedy));
        };
        if duration.is_zero() {
            let fault = format!("the time_to_live of the level {level:?} is zero");
            return Err(Error::scope_tree(fault, "give a positive duration".into()));
        }
        self.levels[at].time_to_live = Some(duration);
        Ok(self)
    }

    fn add(&mut self, chain: &str) -> Result<(), Error> {
        let mut at = LevelId::GLOBAL;
        let mut passed = Vec::new();
        for name in chain.split(SEPARATOR) {
            check_name(name, chain)?;
            if passed.contains(&name) {
                let fault = format!("the level {name:?} comes twice in the chain {chain:?}");
                return Err(Error::scope_tree(fault, "name each level once in a chain".into()));
            }
            passed.push(name);
            at = self.add_level(at, name, chain)?;
        }
        if passed.len() > MAX_DEPTH {
            let fault = format!("the chain {chain:?} has {} levels", passed.len());
            return Err(Error::scope_tree(fault, format!("give at most {MAX_DEPTH}")));
        }
        Ok(())
    }

    fn add_level(&mut self, below: LevelId, name: &str, chain: &str) -> Result<LevelId, Error> {
        if let Some(known) = self.find(name) {
            let parent = self.parent(known);
            if parent == below {
                return Ok(known);
            }
            let fault = format!(
                "the level {name:?} of the chain {chain:?} lies below another parent already, in {:?}",
                self.path_to(known)
            );
            return Err(Error::scope_tree(fault, "give one of the two another name".into()));
        }
        if self.levels.len() == MAX_LEVELS {
            let fault = format!("the chain {chain:?} has a level too many");
            return Err(Error::scope_tree(fault, format!("give at most {MAX_LEVELS} levels")));
        }
        self.levels.push(Level { name: name.into(), parent: below, time_to_live: None });
        Ok(LevelId::of(self.levels.len() - 1))
    }

    fn find(&self, name: &str) -> Option<LevelId> {
        self.levels.iter().position(|level| *level.name == *name).map(LevelId::of)
    }

    fn parent(&self, level: LevelId) -> LevelId {
        level.place().map_or(LevelId::GLOBAL, |at| self.levels[at].parent)
    }

    /// The level `name` if it lies directly below `at`: one step down a path that begins below `base`.
    pub(crate) fn step(&self, base: LevelId, at: LevelId, name: &str) -> Result<LevelId, Error> {
        let here = |level: &Level| level.parent == at && *level.name == *name;
        let found = self.levels.iter().position(here).map(LevelId::of);
        found.ok_or_else(|| self.misstep(base, at, name))
    }

    #[cold]
    fn misstep(&self, base: LevelId, at: LevelId, name: &str) -> Error {
        let Some(level) = self.find(name) else {
            let fault = format!("there is no level {name:?}");
            return Error::scope_path(fault, self.all_below(base));
        };
        let right = match self.path_below(base, level) {
            Some(path) => format!("give the levels of {path}{}", self.place_of(base)),
            None => self.all_below(base),
        };
        let above = std::iter::successors(Some(level), |&level| Some(self.parent(level)));
        let above: Vec<_> = above.take_while(|&level| level != LevelId::GLOBAL).collect();
        let missing = match above.iter().position(|&level| level == at) {
            // The one just below where the path stands.
            Some(depth) if depth > 0 => Some(above[depth - 1]),
            None if at == LevelId::GLOBAL => above.last().copied(),
            _ => None,
        };
        let fault = match missing {
            Some(missing) => {
                format!("the level {:?} is missing before {name:?}", self.name(missing))
            }
            None => format!("the level {name:?} is misplaced after {:?}", self.path_to(at)),
        };
        Error::scope_path(fault, right)
    }

    pub(crate) fn name(&self, level: LevelId) -> &str {
        level.place().map_or(RESERVED, |at| &self.levels[at].name)
    }

    /// The chain that ends in a level.
    pub(crate) fn path_to(&self, level: LevelId) -> String {
        self.path_below(LevelId::GLOBAL, level).unwrap_or_else(|| RESERVED.into())
    }

    /// The rest of that chain below `base`, if it goes through that.
    pub(crate) fn path_below(&self, base: LevelId, level: LevelId) -> Option<String> {
        let above = |level: LevelId| level.place().map(|at| self.levels[at].parent);
        let mut names: Vec<&str> = std::iter::successors(Some(level), |&level| above(level))
            .take_while(|&level| level != base)
            .map(|level| self.name(level))
            .collect();
        // One that is not below it has gone past the global scope.
        let is_below = names.last().is_some_and(|top| *top != RESERVED);
        names.reverse();
        is_below.then(|| names.join(SEPARATOR))
    }

    /// Where a path begins, as errors say it.
    pub(crate) fn place_of(&self, base: LevelId) -> String {
        if base == LevelId::GLOBAL {
            return String::new();
        }
        format!(" below {:?}", self.path_to(base))
    }

    /// What paths there are below a level.
    pub(crate) fn all_below(&self, base: LevelId) -> String {
        match self.chains_below(base) {
            chains if chains.is_empty() => format!("there are no levels{}", self.place_of(base)),
            chains => format!("the levels{} are {}", self.place_of(base), chains.join(", ")),
        }
    }

    /// The chains of all levels that have none below them, as far as they lie below `base`.
    fn chains_below(&self, base: LevelId) -> Vec<String> {
        let ids = (0..self.levels.len()).map(LevelId::of);
        let is_last = |level: &LevelId| self.levels.iter().all(|other| other.parent != *level);
        ids.filter(is_last).filter_map(|level| self.path_below(base, level)).collect()
    }

    /// How long what is written in a scope of `level` lives by the tree: its own time or that of the
    /// nearest level above it that has one.
    #[inline]
    pub(crate) fn lifetime(&self, mut level: LevelId) -> Option<Duration> {
        while let Some(at) = level.place() {
            let Level { parent, time_to_live, .. } = &self.levels[at];
            if time_to_live.is_some() {
                return *time_to_live;
            }
            level = *parent;
        }
        None
    }
}

fn check_name(name: &str, chain: &str) -> Result<(), Error> {
    let fault = match name {
        _ if name.trim().is_empty() => format!("the chain {chain:?} has a level without a name"),
        _ if name.trim() != name => format!("the level {name:?} has white space around its name"),
        RESERVED => format!("the chain {chain:?} names the level {RESERVED:?}"),
        _ => return Ok(()),
    };
    let remedy = if name == RESERVED {
        "leave it out: the global scope is above every chain"
    } else {
        "give names of levels with one / between them, such as \"organization/user\""
    };
    Err(Error::scope_tree(fault, remedy.into()))
}

/// The chains of all levels that have none below them.
impl fmt::Display for ScopeTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chains_below(LevelId::GLOBAL).join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{LevelId, ScopeTree};
    use std::time::Duration;

    #[test]
    fn chains_merge_where_they_begin_alike() {
        let tree = ScopeTree::new(["a/b/c", "a/b/d", "e", "a/b"]).expect("valid");
        assert_eq!(tree.to_string(), "a/b/c, a/b/d, e");
        let root = LevelId::GLOBAL;
        let a = tree.step(root, root, "a").expect("a root");
        let b = tree.step(root, a, "b").expect("below it");
        let d = tree.step(root, b, "d").expect("the second");
        assert_eq!(tree.path_to(d), "a/b/d");
        let below = |base| tree.path_below(base, d);
        assert_eq!([root, a, b].map(below), ["a/b/d", "b/d", "d"].map(|path| Some(path.into())));
        assert_eq!((below(d), tree.path_below(d, b), tree.path_below(b, root)), (None, None, None));
    }

    #[test]
    fn a_lifetime_is_inherited_until_a_level_has_its_own() {
        let second = Duration::from_secs(1);
        let tree = ScopeTree::new(["a/b/c/d", "e"]).expect("valid");
        let tree = tree.time_to_live("b", second).and_then(|t| t.time_to_live("d", 2 * second));
        let tree = tree.expect("valid");
        let lifetime = |name| tree.lifetime(tree.find(name).expect("a level"));
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(lifetime),
            [None, Some(second), Some(second), Some(2 * second), None]
        );
    }
}
