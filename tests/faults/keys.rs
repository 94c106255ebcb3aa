//! Keys that all have the same hash.

use crate::report::{Row, grouped};
use crate::support::{Counted, Ledger, bounded, builder, eventually, flush};
use cacheado::{CacheHandle, ScopedHandle};
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

#[test]
fn all_keys_of_all_scopes_collide() {
    const KEYS: u64 = 100;
    bounded(|| {
        let (scopes, ledger) = (100, Ledger::new());
        let cache: CacheHandle<Colliding, Counted> =
            builder(4).max_capacity(scopes * KEYS * 2).build().expect("valid");
        let scope = |tenant| cache.scope([("organization", tenant)]).expect("valid");
        let tenants: Vec<ScopedHandle<_, _>> = (0..scopes).map(scope).collect();
        let id = |tenant: usize, key| tenant as u64 * KEYS + key;
        for (tenant, handle) in tenants.iter().enumerate() {
            (0..KEYS).for_each(|key| handle.insert(Colliding(key), ledger.value(id(tenant, key))));
        }
        flush(&cache);
        let wrong = |evicted: Option<usize>| {
            let mut wrong = 0;
            for (tenant, handle) in tenants.iter().enumerate() {
                for key in 0..KEYS {
                    let expected = (evicted != Some(tenant)).then_some(id(tenant, key));
                    let found = handle.get(&Colliding(key)).map(|value| value.id);
                    wrong += u64::from(found != expected);
                }
            }
            wrong + u64::from(cache.contains_key(&Colliding(0)))
        };
        let mut lost = wrong(None);
        assert_eq!(tenants[7].evict().wait().expect("shards live"), KEYS);
        lost += wrong(Some(7));
        drop((cache, tenants));
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "keys of 100 scopes that all have one hash",
            injected: scopes * KEYS,
            lost,
            outcome: "each scope sees its own alone, also after another is evicted".into(),
        }
        .report(all_keys_of_all_scopes_collide);
    });
}
