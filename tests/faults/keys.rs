//! Keys that all have the same hash.

use crate::report::{Row, grouped};
use crate::support::{Counted, Ledger, bounded, builder, eventually, flush};
use cacheado::CacheHandle;
use std::cell::Cell;
use std::hash::{Hash, Hasher};

thread_local! {
    /// Comparisons that this thread has made.
    static COMPARED: Cell<u64> = const { Cell::new(0) };
}

#[derive(Clone, Debug)]
struct Colliding(u64);

impl Hash for Colliding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(0);
    }
}

impl PartialEq for Colliding {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.set(COMPARED.get() + 1);
        self.0 == other.0
    }
}

impl Eq for Colliding {}

#[test]
fn all_keys_collide() {
    bounded(|| {
        // Not more of them on demand: what they cost grows with their square.
        let (keys, ledger) = (10_000, Ledger::new());
        let cache: CacheHandle<Colliding, Counted> =
            builder(4).max_capacity(keys * 2).build().expect("valid");
        for id in 0..keys {
            cache.insert(Colliding(id), ledger.value(id));
        }
        flush(&cache);
        assert_eq!(cache.len(), keys);
        let (mut lost, mut worst) = (0, 0);
        for id in 0..keys {
            COMPARED.set(0);
            let found = cache.get(&Colliding(id)).map(|value| value.id);
            lost += u64::from(found != Some(id));
            worst = worst.max(COMPARED.get());
        }
        COMPARED.set(0);
        assert!(!cache.contains_key(&Colliding(keys)));
        worst = worst.max(COMPARED.get());
        assert!(worst <= keys, "a look-up meets no key twice: {worst} comparisons");
        for id in (0..keys).step_by(97) {
            lost += u64::from(cache.remove(&Colliding(id)).is_none());
            lost += u64::from(cache.contains_key(&Colliding(id)));
            lost += u64::from(cache.get_or_load(&Colliding(id), || ledger.value(id)).id != id);
        }
        flush(&cache);
        assert_eq!(cache.len(), keys);
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "keys that all have one hash",
            injected: keys,
            lost,
            outcome: format!("each is found, with at most {} comparisons", grouped(worst)),
        }
        .report(all_keys_collide);
    });
}
