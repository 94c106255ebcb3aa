//! Sums: the kept sum of a busy scope, evictions on its path and elsewhere against readers and who keeps it; what a
//! subtree has counted, scopes that end against who adds up.

use super::rig::{hasher, search};
use crate::scope::counts::BUSY;
use crate::scope::evictions::Begun;
use crate::scope::near::Near;
use crate::scope::node::{Birth, Node, generation};
use crate::scope::path::Steps;
use crate::scope::snapshot::ScopeStats;
use crate::scope::tree::{LevelId, ScopeTree};
use crate::scope::trie::Trie;
use crate::scope::{GLOBAL, ScopeStamp};
use crate::stats::Caller;
use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

fn below(parent: &Arc<Node>, number: u32) -> Arc<Node> {
    let level = LevelId::GLOBAL;
    let [path_hash, salt, since] = [0; 3];
    let node = Node::new(Birth {
        parent: Arc::clone(parent),
        level,
        id: "".into(),
        number,
        path_hash,
        salt,
        since,
    });
    for _ in 0..=BUSY {
        node.count(0, Caller::Hit);
    }
    node.widen();
    Arc::new(node)
}

/// Evicts a scope beside another one.
fn evict(scope: &Node, other: &Node) -> Begun {
    scope.evict(|number| {
        let found = [scope, other].into_iter().find(|node| node.number() == number);
        found.map(|node| Arc::clone(node.generation()))
    })
}

fn near(node: &Node) -> &Near {
    node.as_near().expect("it is busy")
}

/// What an entry bears that was made after so many evictions on the path to the scope.
fn after(evictions: u64, scope: &Node) -> ScopeStamp {
    ScopeStamp::new(scope.number(), evictions * ScopeStamp::GENERATION)
}

/// A reader that has evicted a scope finds an entry whose maker saw only the eviction of the scope above. Both are
/// one eviction to add up: the reader must count the other one, too.
pub fn a_stamp_brings_its_evictions() {
    search("a_stamp_brings_its_evictions", 3, || {
        let above = Arc::new(Node::root());
        let scope = below(&above, GLOBAL + 1);
        let slot = Arc::new(AtomicU64::new(0));
        let evicter = {
            let (above, scope) = (Arc::clone(&above), Arc::clone(&scope));
            loom::thread::spawn(move || drop(evict(&above, &scope)))
        };
        let maker = {
            let (above, scope, slot) = (above, Arc::clone(&scope), Arc::clone(&slot));
            loom::thread::spawn(move || {
                // Relaxed: it is the stamp that must bring the eviction.
                let saw_that_above = above.generation().load(Ordering::Relaxed) != 0;
                if saw_that_above && scope.now() == after(1, &scope) {
                    // Release: as an entry is published.
                    slot.store(1, Ordering::Release);
                }
            })
        };
        evict(&scope, scope.parent().expect("it is below"));
        // Acquire: as an entry is found.
        if slot.load(Ordering::Acquire) == 1 {
            assert!(!near(&scope).holds(after(1, &scope)), "the scope was evicted after that");
        }
        maker.join().unwrap();
        evicter.join().unwrap();
        let near = near(&scope);
        near.keep();
        assert!(near.holds(after(2, &scope)), "nothing is under way");
    });
}

/// Two evict, the one twice, and end for each other what is under way: each eviction raises one generation once.
pub fn each_eviction_raises_once() {
    search("each_eviction_raises_once", 2, || {
        let root = Arc::new(Node::root());
        let [scope, other] = [1, 2].map(|nth| below(&root, GLOBAL + nth));
        let [scope_too, other_too] = [&scope, &other].map(Arc::clone);
        let evicter = loom::thread::spawn(move || {
            [(); 2]
                .map(|()| evict(&scope_too, &other_too))
                .map(|begun| (begun.place, begun.generation))
        });
        let begun = evict(&other, &scope);
        let others = evicter.join().unwrap();
        let nth = |count| count * ScopeStamp::GENERATION;
        assert_eq!([scope.now(), other.now()], [after(2, &scope), after(1, &other)]);
        assert_eq!(
            (others.map(|(_, generation)| generation), begun.generation),
            ([1, 2].map(nth), nth(1))
        );
        let mut places = [others[0].0, others[1].0, begun.place];
        assert!(places[0] < places[1], "{places:?}");
        places.sort_unstable();
        assert_eq!(places, [1, 2, 3].map(nth));
    });
}

/// Who ends the eviction of another hands on what that one has raised: a sum that is kept then has it.
pub fn who_ends_an_eviction_hands_it_on() {
    search("who_ends_an_eviction_hands_it_on", 3, || {
        let root = Arc::new(Node::root());
        let [scope, other] = [1, 2].map(|nth| below(&root, GLOBAL + nth));
        let [evicter, ender] = [(&scope, &other), (&other, &scope)].map(|(own, other)| {
            let (own, other) = (Arc::clone(own), Arc::clone(other));
            loom::thread::spawn(move || drop(evict(&own, &other)))
        });
        let near = near(&scope);
        near.keep();
        evicter.join().unwrap();
        assert!(!near.holds(after(0, &scope)), "it was evicted");
        ender.join().unwrap();
        near.keep();
        assert!(near.holds(after(1, &scope)), "nothing is under way");
    });
}

/// Who evicts sees his own eviction, though another has ended it.
pub fn who_evicts_sees_it_raised() {
    search("who_evicts_sees_it_raised", 2, || {
        let root = Arc::new(Node::root());
        let [scope, other] = [1, 2].map(|nth| below(&root, GLOBAL + nth));
        let [scope_too, other_too] = [&scope, &other].map(Arc::clone);
        let ender = loom::thread::spawn(move || drop(evict(&other_too, &scope_too)));
        let begun = evict(&scope, &other);
        assert_eq!(generation(scope.generation()), begun.generation, "it has returned");
        ender.join().unwrap();
    });
}

/// Who finds the second eviction begun has what came before the first, though he knows nothing else of that.
pub fn evictions_hand_on_what_came_before() {
    search("evictions_hand_on_what_came_before", 3, || {
        let root = Arc::new(Node::root());
        let scope = below(&root, GLOBAL + 1);
        let [seen, place] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let (own, above, has_seen) = (Arc::clone(&scope), Arc::clone(&root), Arc::clone(&seen));
        let first = loom::thread::spawn(move || {
            // Relaxed: it is the eviction that must bring it.
            has_seen.store(1, Ordering::Relaxed);
            evict(&own, &above);
        });
        let second_place = Arc::clone(&place);
        let second = loom::thread::spawn(move || {
            let begun = evict(&scope, &root);
            // Release: as an eviction says that it has begun.
            second_place.store(begun.place, Ordering::Release);
        });
        // Acquire: as a shard finds it begun.
        if place.load(Ordering::Acquire) == 2 * ScopeStamp::GENERATION {
            // Relaxed: as above.
            assert_eq!(seen.load(Ordering::Relaxed), 1, "the first began before the second");
        }
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// A sum is added up and kept while the scope is evicted, after another was: who evicted it does not find what
/// was there.
pub fn what_is_kept_had_ended() {
    search("what_is_kept_had_ended", 2, || {
        let root = Arc::new(Node::root());
        let [scope, other] = [1, 2].map(|nth| below(&root, GLOBAL + nth));
        let [scope_too, other_too] = [&scope, &other].map(Arc::clone);
        let keeper = loom::thread::spawn(move || {
            evict(&other_too, &scope_too);
            near(&scope_too).keep();
        });
        evict(&scope, &other);
        let near = near(&scope);
        assert!(!near.holds(after(0, &scope)), "it was evicted");
        keeper.join().unwrap();
        assert!(!near.holds(after(0, &scope)), "it was evicted");
        near.keep();
        assert!(near.holds(after(1, &scope)), "nothing is under way");
    });
}

/// A scope ends, and the one above it, while somebody adds up what is counted in the one above both.
pub fn a_sum_has_each_scope_once() {
    search("a_sum_has_each_scope_once", 3, || {
        let trie = Arc::new(Trie::new(ScopeTree::default(), hasher()));
        let path = [("organization", "a"), ("user", "u"), ("session", "s")];
        let enter = |length| {
            let steps = Steps::check(trie.tree(), LevelId::GLOBAL, path[..length].to_vec());
            let unused = &mut |_| unreachable!("nobody leaves");
            trie.enter(trie.root(), &steps.expect("a right path"), unused).expect("there is room")
        };
        let (above, scope) = (enter(1), enter(3));
        scope.count(0, Caller::Hit);
        scope.parent().expect("the user's").count(0, Caller::Miss);
        let ender = {
            let trie = Arc::clone(&trie);
            loom::thread::spawn(move || {
                let mut unused = None;
                trie.leave(&scope, &mut |one| unused = Some(one));
                while let Some(one) = unused.take() {
                    trie.end(one, &mut |next| unused = Some(next));
                }
            })
        };
        let counted = |trie: &Trie, above: &Arc<Node>| {
            let sum = ScopeStats::of(trie, above).subtree();
            (sum.hits(), sum.misses())
        };
        let reader = {
            let (trie, above) = (Arc::clone(&trie), Arc::clone(&above));
            loom::thread::spawn(move || {
                assert_eq!(counted(&trie, &above), (1, 1), "while they end");
            })
        };
        ender.join().unwrap();
        reader.join().unwrap();
        assert_eq!((counted(&trie, &above), trie.len()), ((1, 1), 1), "after they have ended");
    });
}
