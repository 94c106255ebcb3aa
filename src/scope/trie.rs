//! All scopes that are in use, found by path and by number.
//!
//! Two maps of papaya, whose look-ups take no lock and wait for nobody: one from the path of a scope to
//! its node, asked once for each handle, and one from its number, asked by a shard that comes upon a
//! number for the first time. A trie of own nodes would need unsafe code for what a well-kept map has.
//! An insertion may wait for another thread that makes a larger table; that is on no path of a read or a
//! write. Layer: scope.

use super::counts::Wishes;
use super::evictions::Begun;
use super::node::{Birth, Node};
use super::numbers::Numbers;
use super::path::{Step, Steps};
use super::tree::ScopeTree;
use super::{GLOBAL, ScopeStamp};
use crate::error::Error;
use crate::sync::map::Map;
use crate::sync::tally::{AtomicU64, Ordering};
use equivalent::Equivalent;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The number of the last scope, and one more, has to have room in a stamp.
const MOST: u32 = ScopeStamp::GENERATION as u32 - 1;
/// A thread that only makes scopes removes nothing, so tables that it has replaced would stay with it.
const LET_GO_EVERY: u32 = 256;

/// The scopes of one cache.
pub(crate) struct Trie {
    tree: ScopeTree,
    root: Arc<Node>,
    seated: Map<Seat, ()>,
    numbered: Map<u32, Arc<Node>>,
    numbers: Numbers,
    hasher: ahash::RandomState,
    /// Every stamp of a scope that has ended is below this sum. A scope begins with a sum that is not, so
    /// nothing that bears its number from before can pass for its own.
    floor: AtomicU64,
    /// Scopes that are read much and have not yet what there is for such.
    wishes: Wishes,
}

/// A node that nobody uses, and the word under which it was seen so.
pub(crate) struct Idle {
    pub(crate) node: Arc<Node>,
    pub(crate) word: u64,
}

/// A node as the map holds it: equal to what has the same path.
struct Seat(Arc<Node>);

/// A path below a node, as it is looked up.
struct Wanted<'a> {
    hash: u64,
    base: &'a Node,
    steps: &'a Steps<'a>,
    count: usize,
}

impl Hash for Seat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.path_hash());
    }
}

/// A node that is seated holds the one above it in use, so of that there is one.
impl PartialEq for Seat {
    fn eq(&self, other: &Self) -> bool {
        let (own, other) = (&*self.0, &*other.0);
        let parent = |node: &Node| node.parent().map(Arc::as_ptr);
        own.path_hash() == other.path_hash()
            && own.level() == other.level()
            && parent(own) == parent(other)
            && own.id() == other.id()
    }
}

impl Eq for Seat {}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Seat> for Wanted<'_> {
    fn equivalent(&self, seat: &Seat) -> bool {
        if seat.0.path_hash() != self.hash {
            return false;
        }
        let mut at = Some(&*seat.0);
        for step in self.steps.upward(self.count) {
            let Some(node) = at.filter(|n| n.level() == step.level && n.id() == step.id()) else {
                return false;
            };
            at = node.parent().map(|parent| &**parent);
        }
        at.is_some_and(|node| std::ptr::eq(node, self.base))
    }
}

impl Trie {
    pub(crate) fn new(tree: ScopeTree, hasher: ahash::RandomState) -> Self {
        Self {
            tree,
            root: Arc::new(Node::root()),
            seated: Map::new(),
            numbered: Map::new(),
            numbers: Numbers::new(),
            hasher,
            floor: AtomicU64::new(0),
            wishes: Wishes::default(),
        }
    }

    pub(crate) fn tree(&self) -> &ScopeTree {
        &self.tree
    }

    #[inline]
    pub(crate) fn root(&self) -> &Arc<Node> {
        &self.root
    }

    /// Notes that a scope is read much; whether the shard that grants wishes is to be woken for it.
    pub(crate) fn wish(&self, number: u32) -> bool {
        self.wishes.leave(number)
    }

    /// Gives scopes that are read much their counters. By one shard.
    pub(crate) fn grant_wishes(&self) {
        // It may have ended since, and another have its number: then that one gets them.
        self.wishes.take().filter_map(|number| self.numbered(number)).for_each(|node| node.widen());
    }

    /// The scope that `steps` lead to from `base`, which the caller uses: in use by the caller now, made
    /// if there is none. `idle` is told of scopes that were used on the way and are not any more.
    pub(crate) fn enter(
        &self,
        base: &Arc<Node>,
        steps: &Steps<'_>,
        idle: &mut dyn FnMut(Idle),
    ) -> Result<Arc<Node>, Error> {
        self.enter_first(base, steps, steps.len(), idle)
    }

    fn enter_first(
        &self,
        base: &Arc<Node>,
        steps: &Steps<'_>,
        count: usize,
        idle: &mut dyn FnMut(Idle),
    ) -> Result<Arc<Node>, Error> {
        loop {
            if let Some(node) = self.find(base, steps, count, Arc::clone) {
                if node.enter() {
                    return Ok(node);
                }
                // Whoever ended it will do this too, but need not be waited for.
                self.unseat(&node);
            }
            let parent = match count {
                1 => {
                    let entered = base.enter();
                    debug_assert!(entered, "the caller uses it");
                    Arc::clone(base)
                }
                _ => self.enter_first(base, steps, count - 1, idle)?,
            };
            match self.seat(&parent, steps.at(count - 1)) {
                Ok(Some(node)) => return Ok(node),
                Ok(None) => self.leave(&parent, idle),
                Err(error) => {
                    self.leave(&parent, idle);
                    return Err(error);
                }
            }
        }
    }

    /// The scope that `steps` lead to from `base`, if it is in use: by the caller, too, now.
    pub(crate) fn enter_known(&self, base: &Arc<Node>, steps: &Steps<'_>) -> Option<Arc<Node>> {
        self.find(base, steps, steps.len(), Arc::clone).filter(|node| node.enter())
    }

    /// What `read` makes of the scope that `steps` lead to from `base`, if there is one. The scope may end
    /// meanwhile, and another be given its number: who finds an entry asks [`Node::has_ended`] after.
    #[inline]
    pub(crate) fn read<R>(
        &self,
        base: &Node,
        steps: &Steps<'_>,
        read: impl FnOnce(&Node) -> R,
    ) -> Option<R> {
        self.find(base, steps, steps.len(), |node| read(node))
    }

    #[inline]
    fn find<R>(
        &self,
        base: &Node,
        steps: &Steps<'_>,
        count: usize,
        read: impl FnOnce(&Arc<Node>) -> R,
    ) -> Option<R> {
        let hash = (0..count)
            .map(|i| steps.at(i))
            .fold(base.path_hash(), |above, step| self.hash_of(above, step));
        let wanted = Wanted { hash, base, steps, count };
        self.seated.find(&wanted, |seat, ()| read(&seat.0))
    }

    fn hash_of(&self, above: u64, step: &Step<'_>) -> u64 {
        self.hasher.hash_one((above, step.level, step.id()))
    }

    /// Makes a node below `parent`, whose use by the caller becomes the node's. Nothing if another was
    /// faster.
    fn seat(&self, parent: &Arc<Node>, step: &Step<'_>) -> Result<Option<Arc<Node>>, Error> {
        let number = self.numbers.take().filter(|&number| number < MOST);
        let number = number.ok_or_else(Error::too_many_scopes)?;
        let path_hash = self.hash_of(parent.path_hash(), step);
        // Relaxed: whoever gave the number back had raised it before, and the number brings that along.
        let floor = self.floor.load(Ordering::Relaxed);
        let node = Arc::new(Node::new(Birth {
            parent: Arc::clone(parent),
            level: step.level,
            id: step.id().into(),
            number,
            path_hash,
            salt: self.hasher.hash_one((number, "salt")),
            since: floor,
        }));
        // By number first: who finds it by path writes what shards look up by number.
        let is_new = self.numbered.insert_new(number, Arc::clone(&node));
        debug_assert!(is_new, "a number has one owner");
        if number % LET_GO_EVERY == 0 {
            self.let_go();
        }
        if self.seated.insert_new(Seat(Arc::clone(&node)), ()) {
            return Ok(Some(node));
        }
        self.give_back(&node);
        Ok(None)
    }

    /// The node of a number that entries bear.
    pub(crate) fn numbered(&self, number: u32) -> Option<Arc<Node>> {
        self.numbered.find(&number, |_, node| Arc::clone(node))
    }

    /// Evicts the scope of a node that the caller uses.
    pub(crate) fn evict(&self, node: &Node) -> Begun {
        let generation = |node: &Node| Arc::clone(node.generation());
        node.evict(|number| match number {
            GLOBAL => Some(generation(&self.root)),
            _ => self.numbered.find(&number, |_, node| generation(node)),
        })
    }

    /// Ends a use of a node.
    pub(crate) fn leave(&self, node: &Arc<Node>, idle: &mut dyn FnMut(Idle)) {
        if let Some(word) = node.leave() {
            idle(Idle { node: Arc::clone(node), word });
        }
    }

    /// Ends a node that every shard says it knows nothing of, unless it was used since it was seen idle:
    /// then whoever does that will say when it is idle again.
    pub(crate) fn end(&self, Idle { node, word }: Idle, idle: &mut dyn FnMut(Idle)) {
        if !node.end(word) {
            return;
        }
        self.unseat(&node);
        // Before it is taken out: whoever does not find it finds its figures above.
        node.bequeath();
        // Relaxed: see `seat`.
        self.floor.fetch_max(node.sum() + ScopeStamp::GENERATION, Ordering::Relaxed);
        self.give_back(&node);
        if let Some(parent) = node.parent() {
            self.leave(parent, idle);
        }
    }

    fn unseat(&self, node: &Arc<Node>) {
        let seat = Seat(Arc::clone(node));
        self.seated.remove_if(&seat, |found, ()| Arc::ptr_eq(&found.0, node));
    }

    fn give_back(&self, node: &Arc<Node>) {
        self.numbered.remove_if(&node.number(), |_, found| Arc::ptr_eq(found, node));
        self.numbers.give_back(node.number());
    }

    /// Shows every scope but the global one.
    pub(crate) fn for_each(&self, mut show: impl FnMut(&Arc<Node>)) {
        // It may be passing through.
        self.numbered.for_each(|&number, node| {
            if number != GLOBAL {
                show(node);
            }
        });
    }

    /// How many scopes there are but the global one, about.
    pub(crate) fn len(&self) -> u64 {
        self.numbered.len() as u64
    }

    /// Sees that tables which this thread has replaced are freed soon.
    pub(crate) fn let_go(&self) {
        self.numbered.let_go();
        self.seated.let_go();
    }

    /// Has the global scope, which nobody looks up in the maps, come into them, and go if it is `to_go`.
    pub(crate) fn pass_through(&self, to_go: bool) {
        let (root, seat) = (&self.root, || Seat(Arc::clone(&self.root)));
        // Whether it is there already is the same.
        self.numbered.insert_new(GLOBAL, Arc::clone(root));
        self.seated.insert_new(seat(), ());
        if to_go {
            self.numbered.remove_if(&GLOBAL, |_, _| true);
            self.seated.remove_if(&seat(), |_, ()| true);
        }
    }
}
