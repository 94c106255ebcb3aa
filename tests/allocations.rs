//! A hit of a namespace allocates nothing, whatever the types. A test program of its own, because the
//! allocator counts for the whole process.

use cacheado::{Namespace, SharedCache};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: it is the system's allocator but for the count.
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread allocates in `f`, once it has run before.
fn allocations(mut f: impl FnMut()) -> u64 {
    f();
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

#[test]
fn a_hit_allocates_nothing() {
    let cache = SharedCache::new();
    let numbers: Namespace<u64, u64> = cache.namespace("numbers").expect("new");
    let texts: Namespace<String, Arc<str>> = cache.namespace("texts").expect("new");
    let pairs: Namespace<(u64, String), Arc<Vec<u8>>> = cache.namespace("pairs").expect("new");
    let acme = texts.scope([("organization", "acme")]).expect("valid");
    let pair = (1, "a".to_owned());
    numbers.insert(1, 1);
    texts.insert("a".into(), "b".into());
    acme.insert("a".into(), "b".into());
    pairs.insert(pair.clone(), Arc::new(vec![1]));
    cache.flush().wait().expect("alive");
    let hits = || {
        assert_eq!(numbers.get(&1), Some(1));
        assert_eq!(numbers.get_or_load(&1, || unreachable!("it is there")), 1);
        assert_eq!(texts.get("a").as_deref(), Some("b"));
        assert_eq!(acme.read("a", |value| value.len()), Some(1));
        assert!(texts.contains_key("a") && texts.peek("a").is_some());
        assert_eq!(pairs.get(&pair).map(|value| value.len()), Some(1));
        assert_eq!(pairs.pin().get(&pair).map(|value| value.len()), Some(1));
        let load = acme.get_or_load_async("a", async { unreachable!("it is there") });
        assert_eq!(&*pollster::block_on(load), "b");
    };
    assert_eq!(allocations(hits), 0);
    assert_eq!(allocations(|| assert_eq!(numbers.get(&2), None)), 0, "nor does a miss");
    assert!(allocations(|| numbers.insert(2, 2)) > 0, "the allocator counts");
}
