//! Scopes against a slow, obvious oracle: random trees of scopes, paths and operations.

use crate::support::{bounded, eventually, flush, ms, timed};
use cacheado::testing::ManualClock;
use cacheado::{CacheHandle, ScopeTree, ScopedHandle};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Cache = CacheHandle<u8, u64>;
/// Ids by level, from the top down.
type Path = Vec<(&'static str, String)>;

const LEVELS: [&str; 6] = ["organization", "user", "session", "team", "project", "device"];

/// A tree of the first levels, in which each lies below one before it or below the global one.
#[derive(Clone, Debug)]
struct Tree(Vec<Option<usize>>);

impl Tree {
    /// The levels from the top down to one.
    fn chain(&self, level: usize) -> Vec<&'static str> {
        let mut chain = self.0[level].map_or_else(Vec::new, |parent| self.chain(parent));
        chain.push(LEVELS[level]);
        chain
    }

    fn build(&self) -> ScopeTree {
        // Also those that are the beginning of others, and any order will do.
        let chains = (0..self.0.len()).rev().map(|level| self.chain(level).join("/"));
        ScopeTree::new(chains.collect::<Vec<_>>()).expect("valid")
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let parent = |level: usize| (0..=level).prop_map(|place| place.checked_sub(1));
    (1..=LEVELS.len())
        .prop_flat_map(move |levels| (0..levels).map(parent).collect::<Vec<_>>().prop_map(Tree))
}

/// Anything that might be mistaken for something else, and anything at all.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "a/b", "a=b", "\0", " ", "organization", "42"])
            .prop_map(String::from),
        1 => any::<String>().prop_filter("not empty", |id| !id.is_empty()),
        1 => "[ab]{300}",
        1 => "[ab]{9000}",
    ]
}

fn path((tree, ids): (Tree, Vec<String>)) -> impl Strategy<Value = Path> {
    let id = prop::sample::select(ids);
    (0..=tree.0.len(), vec(id, LEVELS.len())).prop_map(move |(place, ids)| {
        let chain = place.checked_sub(1).map_or_else(Vec::new, |level| tree.chain(level));
        chain.into_iter().zip(ids).collect()
    })
}

#[derive(Clone, Debug)]
enum Op {
    Insert { path: Path, key: u8 },
    InsertWithTtl { path: Path, key: u8 },
    Remove { path: Path, key: u8 },
    Get { path: Path, key: u8 },
    Load { path: Path, key: u8 },
    Evict { path: Path },
    EvictUnasked { path: Path },
    Hold { path: Path },
    LetGo,
    Advance,
    Flush,
    Entries { path: Path },
}

fn op(scopes: (Tree, Vec<String>)) -> impl Strategy<Value = Op> {
    let target = move || (path(scopes.clone()), 0..4u8);
    prop_oneof![
        8 => target().prop_map(|(path, key)| Op::Insert { path, key }),
        2 => target().prop_map(|(path, key)| Op::InsertWithTtl { path, key }),
        3 => target().prop_map(|(path, key)| Op::Remove { path, key }),
        6 => target().prop_map(|(path, key)| Op::Get { path, key }),
        3 => target().prop_map(|(path, key)| Op::Load { path, key }),
        2 => target().prop_map(|(path, _)| Op::Evict { path }),
        1 => target().prop_map(|(path, _)| Op::EvictUnasked { path }),
        2 => target().prop_map(|(path, _)| Op::Hold { path }),
        1 => Just(Op::LetGo),
        1 => Just(Op::Advance),
        2 => Just(Op::Flush),
        1 => target().prop_map(|(path, _)| Op::Entries { path }),
    ]
}

fn ops() -> impl Strategy<Value = (Tree, Vec<Op>)> {
    (tree(), vec(id(), 1..4)).prop_flat_map(|scopes| {
        let tree = scopes.0.clone();
        vec(op(scopes), 1..80).prop_map(move |ops| (tree.clone(), ops))
    })
}

/// The cache and what it should hold: by path and key the value, and whether it expires.
struct Run {
    cache: Cache,
    clock: ManualClock,
    held: Vec<ScopedHandle<u8, u64>>,
    oracle: BTreeMap<(Path, u8), (u64, bool)>,
    next: u64,
}

/// A scope's handle or the whole cache's.
enum Door {
    Global(Cache),
    Scope(ScopedHandle<u8, u64>),
}

macro_rules! through {
    ($door:expr, $handle:ident => $call:expr) => {
        match $door {
            Door::Global($handle) => $call,
            Door::Scope($handle) => $call,
        }
    };
}

impl Run {
    fn door(&self, path: &Path) -> Door {
        if path.is_empty() {
            return Door::Global(self.cache.clone());
        }
        // Now in one step, now in several.
        let at = path.len().min(1 + self.next as usize % 2);
        let first = self.cache.scope(path[..at].iter().cloned()).expect("a right path");
        let rest = path[at..].iter().cloned();
        Door::Scope(if at < path.len() { first.scope(rest).expect("a right path") } else { first })
    }

    fn insert(&mut self, path: Path, key: u8, mortal: bool) {
        self.next += 1;
        let value = self.next;
        through!(self.door(&path), at => match mortal {
            true => at.insert_with_ttl(key, value, ms(10)),
            false => at.insert(key, value),
        });
        self.oracle.insert((path, key), (value, mortal));
    }

    fn evict(&mut self, path: &Path, ask: bool) {
        let before = self.oracle.len();
        self.oracle.retain(|(of, _), _| !of.starts_with(path));
        let gone = (before - self.oracle.len()) as u64;
        let reply = match self.door(path) {
            Door::Global(cache) => cache.clear(),
            Door::Scope(scope) if self.next % 2 == 0 => scope.evict(),
            Door::Scope(_) => self.cache.evict_scope(path.iter().cloned()).expect("a right path"),
        };
        if ask {
            assert_eq!(reply.wait().expect("shards live"), gone, "the count of {path:?}");
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Insert { path, key } => self.insert(path, key, false),
            Op::InsertWithTtl { path, key } => self.insert(path, key, true),
            Op::Remove { path, key } => {
                let removed = through!(self.door(&path), at => at.remove(&key));
                assert_eq!(removed, self.oracle.remove(&(path, key)).map(|(value, _)| value));
            }
            Op::Get { path, key } => {
                let found = through!(self.door(&path), at => at.get(&key));
                assert_eq!(found, self.oracle.get(&(path, key)).map(|(value, _)| *value));
            }
            Op::Load { path, key } => {
                self.next += 1;
                let made = self.next;
                let loaded = through!(self.door(&path), at => at.get_or_load(&key, || made));
                let expected = self.oracle.entry((path, key)).or_insert((made, false)).0;
                assert_eq!(loaded, expected);
            }
            Op::Evict { path } => self.evict(&path, true),
            Op::EvictUnasked { path } => self.evict(&path, false),
            Op::Hold { path } => {
                if let Door::Scope(scope) = self.door(&path) {
                    self.held.push(scope);
                }
            }
            Op::LetGo => self.held.clear(),
            Op::Advance => {
                self.clock.advance(ms(20));
                self.oracle.retain(|_, (_, mortal)| !*mortal);
            }
            Op::Flush => flush(&self.cache),
            Op::Entries { path } => {
                let entries = through!(self.door(&path), at => at.entries().wait());
                let entries: BTreeSet<_> = entries.expect("shards live").into_iter().collect();
                let own = self.oracle.iter().filter(|((of, _), _)| *of == path);
                assert_eq!(entries, own.map(|((_, key), (value, _))| (*key, *value)).collect());
            }
        }
    }

    fn judge(mut self) {
        for ((path, key), (value, _)) in &self.oracle {
            assert_eq!(through!(self.door(path), at => at.get(key)), Some(*value), "{path:?}");
        }
        eventually("what expired leaves", || self.cache.len() == self.oracle.len() as u64);
        flush(&self.cache);
        assert_eq!(self.cache.stats().panics(), 0);
        for report in self.cache.scopes().wait().expect("at once").reports() {
            let path: Path = report
                .path()
                .iter()
                .map(|(level, id)| {
                    let level = LEVELS.into_iter().find(|known| *known == level);
                    (level.expect("a level of the tree"), id.to_owned())
                })
                .collect();
            let count = |is_it: &dyn Fn(&Path) -> bool| {
                self.oracle.keys().filter(|(of, _)| is_it(of)).count() as u64
            };
            assert_eq!(report.own().len(), count(&|of| *of == path), "{path:?}");
            assert_eq!(report.subtree().len(), count(&|of| of.starts_with(&path)), "{path:?}");
            assert_eq!(report.own().weight(), report.own().len());
        }
        self.held.clear();
        let left = self.oracle.len() as u64;
        assert_eq!(self.cache.clear().wait().expect("shards live"), left);
        let in_use = || self.cache.scopes().wait().expect("at once").reports().len();
        eventually("no scope is left", || in_use() == 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn scopes_do_as_the_oracle_says((tree, ops) in ops(), shards in prop::sample::select(vec![1, 3])) {
        bounded(move || {
            let (clock, builder) = timed(shards);
            let cache = builder.scopes(tree.build()).build().expect("valid");
            let (held, oracle) = (Vec::new(), BTreeMap::new());
            let mut run = Run { cache, clock, held, oracle, next: 0 };
            ops.into_iter().for_each(|op| run.step(op));
            run.judge();
        });
    }
}
