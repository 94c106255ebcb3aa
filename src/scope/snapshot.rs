//! [`ScopesSnapshot`]: the figures of all scopes in use at one moment, each scope's own and those of its
//! whole subtree. Layer: scope.

use super::GLOBAL;
use super::estate::Version;
use super::node::{Node, Tallies};
use super::trie::Trie;
use crate::stats::Caller;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Counters of one scope, of one and all below it, or of a namespace of a shared cache.
///
/// What callers count is exact; how many entries there are and were evicted is exact after a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures(pub(crate) Tallies);

/// Which of the [`Figures`] to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScopeFigure {
    /// Entries in the cache.
    Len,
    /// The sum of the entries' weights.
    Weight,
    /// Reads that found a live value.
    Hits,
    /// Reads that did not.
    Misses,
    /// Loaders that were started.
    Loads,
    /// Entries evicted to stay within the capacity.
    Evictions,
}

impl Figures {
    /// Entries in the cache.
    #[must_use]
    pub fn len(&self) -> u64 {
        // Below zero while one shard has booked an entry's leaving and another not yet its coming.
        (self.0.live as i64).max(0) as u64
    }
    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The sum of the entries' weights; without a weigher each weighs one.
    #[must_use]
    pub fn weight(&self) -> u64 {
        (self.0.weight as i64).max(0) as u64
    }
    /// Reads that found a live value.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.0.counts[Caller::Hit as usize]
    }
    /// Reads that did not.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.0.counts[Caller::Miss as usize]
    }
    /// Loaders that were started.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.0.counts[Caller::Load as usize]
    }
    /// Loaders that returned an error, panicked or were cancelled.
    #[must_use]
    pub fn load_failures(&self) -> u64 {
        self.0.counts[Caller::LoadFailure as usize]
    }
    /// Entries evicted to stay within the capacity, or a namespace's `max_items`.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.0.evictions
    }
    /// Hits out of hits and misses, from 0.0 to 1.0; 0.0 before the first read.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let reads = self.hits() + self.misses();
        if reads == 0 { 0.0 } else { self.hits() as f64 / reads as f64 }
    }

    /// The one that is meant.
    #[must_use]
    pub fn get(&self, which: ScopeFigure) -> u64 {
        match which {
            ScopeFigure::Len => self.len(),
            ScopeFigure::Weight => self.weight(),
            ScopeFigure::Hits => self.hits(),
            ScopeFigure::Misses => self.misses(),
            ScopeFigure::Loads => self.loads(),
            ScopeFigure::Evictions => self.evictions(),
        }
    }
}

/// The path of a scope: from the top down, each level with its id. That of the global scope is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopePath(Vec<(String, String)>);

impl ScopePath {
    pub(crate) fn of(trie: &Trie, node: &Node) -> Self {
        let named = node.upward().filter(|node| node.number() != GLOBAL);
        let name = |node: &Node| (trie.tree().name(node.level()).into(), node.id().into());
        let mut pairs: Vec<_> = named.map(name).collect();
        pairs.reverse();
        Self(pairs)
    }

    /// The levels and ids, from the top down: what [`scope`](crate::CacheHandle::scope) takes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> + ExactSizeIterator {
        self.0.iter().map(|(level, id)| (&**level, &**id))
    }

    /// The lowest level of the path; `global` if it is empty.
    #[must_use]
    pub fn level(&self) -> &str {
        self.0.last().map_or("global", |(level, _)| level)
    }

    /// How many levels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is that of the global scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// For people: `organization=acme/user=u42`. Ids may contain anything, so do not take it apart.
impl fmt::Display for ScopePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("global");
        }
        for (i, (level, id)) in self.iter().enumerate() {
            let between = if i == 0 { "" } else { "/" };
            write!(f, "{between}{level}={id}")?;
        }
        Ok(())
    }
}

/// A scope and its figures at one moment.
#[derive(Clone, Debug)]
pub struct ScopeReport {
    path: ScopePath,
    stats: ScopeStats,
}

impl ScopeReport {
    /// The path of the scope.
    #[must_use]
    pub fn path(&self) -> &ScopePath {
        &self.path
    }

    /// The figures of the scope itself.
    #[must_use]
    pub fn own(&self) -> Figures {
        self.stats.own
    }

    /// The figures of the scope and all below it.
    #[must_use]
    pub fn subtree(&self) -> Figures {
        self.stats.subtree
    }
}

/// The figures of one scope at one moment; what they count is what [`Stats`](crate::Stats) says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeStats {
    own: Figures,
    subtree: Figures,
}

impl ScopeStats {
    /// Those of a scope now. Those of its subtree take a walk over all scopes in use.
    pub(crate) fn of(trie: &Trie, node: &Arc<Node>) -> Self {
        let Row { own, subtree, .. } = Rows::read(trie, node).all.swap_remove(0);
        Self { own: Figures(own), subtree: Figures(subtree) }
    }

    /// Those of a scope with none below it.
    pub(crate) fn alone(own: Tallies) -> Self {
        let own = Figures(own);
        Self { own, subtree: own }
    }

    /// The figures of the scope itself.
    #[must_use]
    pub fn own(&self) -> Figures {
        self.own
    }

    /// The figures of the scope and all below it.
    #[must_use]
    pub fn subtree(&self) -> Figures {
        self.subtree
    }
}

/// The figures of the scopes in use at one moment.
///
/// From [`CacheHandle::scopes`](crate::CacheHandle::scopes); from [`ScopedHandle::scopes`](crate::ScopedHandle::scopes) that of
/// one scope and those below it. A scope is in use while there is an entry in
/// it or a handle for it, or it has such a scope below it. When a scope goes out of use, what was
/// counted in it stays in the sums of the scopes above it; a scope of the same path begins anew.
#[derive(Clone, Debug)]
pub struct ScopesSnapshot {
    reports: Vec<ScopeReport>,
}

impl ScopesSnapshot {
    /// That of the whole cache; `all` is what it has counted.
    pub(crate) fn of_all(trie: &Trie, all: Tallies) -> Self {
        let mut rows = Rows::read(trie, trie.root());
        // The global scope's own figures are not counted apart.
        let global = &mut rows.all[0];
        (global.own, global.subtree) = (all.minus(global.subtree), all);
        rows.report(trie)
    }

    /// That of a scope and all below it.
    pub(crate) fn below(trie: &Trie, top: &Arc<Node>) -> Self {
        Rows::read(trie, top).report(trie)
    }

    /// All scopes, each after those above it: first the global one, or that of which the snapshot was taken.
    #[must_use]
    pub fn reports(&self) -> &[ScopeReport] {
        &self.reports
    }

    /// The figures of the first one.
    pub(crate) fn first(&self) -> ScopeStats {
        self.reports.first().map_or_else(ScopeStats::default, |report| report.stats)
    }

    /// The scope of a path, if it is in use.
    #[must_use]
    pub fn get(&self, path: &ScopePath) -> Option<&ScopeReport> {
        let found = self.reports.binary_search_by(|report| report.path.cmp(path));
        found.ok().map(|at| &self.reports[at])
    }

    /// The `n` scopes that have most of something themselves, the greatest first; not the first one, below which all others
    /// are.
    #[must_use]
    pub fn top(&self, n: usize, by: ScopeFigure) -> Vec<&ScopeReport> {
        let mut all: Vec<_> = self.reports.iter().skip(1).collect();
        all.sort_by_key(|report| std::cmp::Reverse(report.own().get(by)));
        all.truncate(n);
        all
    }
}

/// What has been read of a scope, which comes first, and all below it.
struct Rows {
    all: Vec<Row>,
    of: HashMap<*const Node, usize>,
}

struct Row {
    node: Arc<Node>,
    own: Tallies,
    subtree: Tallies,
    /// What it was left by scopes that have ended, and as of which version.
    estate: (Tallies, Version),
}

impl Rows {
    fn read(trie: &Trie, top: &Arc<Node>) -> Self {
        let mut rows = Self { all: Vec::new(), of: HashMap::new() };
        rows.list(top);
        trie.for_each(|node| {
            if is_below(node, top) {
                path(node)
                    .take_while(|node| !Arc::ptr_eq(node, top))
                    .for_each(|node| rows.list(node));
            }
        });
        // What had ended before it was found has left its figures before they are read here.
        for row in &mut rows.all {
            (row.own, row.estate) = (row.node.own(), row.node.estate());
            row.subtree = row.own.plus(row.estate.0);
        }
        for at in 1..rows.all.len() {
            rows.add_up(at);
        }
        rows
    }

    fn list(&mut self, node: &Arc<Node>) {
        let Self { all, of } = self;
        of.entry(Arc::as_ptr(node)).or_insert_with(|| {
            let (own, subtree, estate) = Default::default();
            all.push(Row { node: Arc::clone(node), own, subtree, estate });
            all.len() - 1
        });
    }

    /// Adds what a scope has counted itself and what it was left to the sums of those above it, until one has it in its
    /// estate.
    fn add_up(&mut self, mut at: usize) {
        let sum = self.all[at].own.plus(self.all[at].estate.0);
        while let Some(&above) =
            self.all[at].node.parent().and_then(|p| self.of.get(&Arc::as_ptr(p)))
        {
            if self.all[at].node.is_part_of(self.all[above].estate.1) {
                return;
            }
            self.all[above].subtree = self.all[above].subtree.plus(sum);
            at = above;
        }
    }

    fn report(self, trie: &Trie) -> ScopesSnapshot {
        let report = |Row { node, own, subtree, .. }: Row| ScopeReport {
            path: ScopePath::of(trie, &node),
            stats: ScopeStats { own: Figures(own), subtree: Figures(subtree) },
        };
        // One that ended meanwhile may have a successor in the rows.
        let is_in_use = |row: &Row| !row.node.has_ended();
        let mut reports: Vec<_> = self.all.into_iter().filter(is_in_use).map(report).collect();
        reports.sort_by(|a, b| a.path.cmp(&b.path));
        // Of two that make a scope at once one is too late: nobody ever uses his.
        reports.dedup_by(|later, earlier| {
            let is_same = later.path == earlier.path;
            if is_same && earlier.stats == ScopeStats::default() {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        ScopesSnapshot { reports }
    }
}

/// A node and those above it, up to the global scope.
fn path(node: &Arc<Node>) -> impl Iterator<Item = &Arc<Node>> {
    std::iter::successors(Some(node), |node| node.parent())
}

fn is_below(node: &Arc<Node>, top: &Arc<Node>) -> bool {
    path(node).any(|above| Arc::ptr_eq(above, top))
}

/// How many entries a scope and those below it have now.
pub(crate) fn len_of(trie: &Trie, of: &Arc<Node>) -> u64 {
    let mut live = of.live();
    trie.for_each(|node| {
        if !Arc::ptr_eq(node, of) && is_below(node, of) {
            live = live.wrapping_add(node.live());
        }
    });
    (live as i64).max(0) as u64
}

impl Tallies {
    /// What is left, and nothing where the parts are read after the whole.
    fn minus(self, part: Self) -> Self {
        Self {
            live: self.live.saturating_sub(part.live),
            weight: self.weight.saturating_sub(part.weight),
            evictions: self.evictions.saturating_sub(part.evictions),
            counts: std::array::from_fn(|i| self.counts[i].saturating_sub(part.counts[i])),
        }
    }
}
