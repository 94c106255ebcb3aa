//! Keys and values of any size and alignment: with every combination of times that an entry can have behind it, in
//! flight, in place, replaced, loaded and removed.

use crate::support::{bounded, builder, flush};
use cacheado::CacheHandle;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(align(64))]
struct Wide<T>(T);

const AN_HOUR: Duration = Duration::from_secs(3600);

fn check<K, V>(keys: [K; 2], values: [V; 3])
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    V: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    for times in 0..3 {
        for folds in [false, true] {
            let endless = || builder::<K, V>(1);
            let mortal = || endless().time_to_live(AN_HOUR);
            let cache = match times {
                0 => endless(),
                1 => mortal(),
                _ => mortal().time_to_idle(AN_HOUR / 2),
            };
            let cache = cache.build().expect("valid");
            let settle = || {
                if folds {
                    flush(&cache)
                }
            };
            let [first, second] = &keys;
            let [old, new, loaded] = &values;
            cache.insert(first.clone(), old.clone());
            settle();
            let view = cache.pin();
            assert_eq!(view.get(first), Some(old));
            cache.insert(first.clone(), new.clone());
            settle();
            assert_eq!(cache.get(first), Some(new.clone()));
            drop(view);
            assert_eq!(cache.remove(first), Some(new.clone()));
            settle();
            assert_eq!(cache.get_or_load(second, || loaded.clone()), loaded.clone());
            settle();
            assert_eq!((cache.get(first), cache.get(second)), (None, Some(loaded.clone())));
            flush(&cache);
            assert_eq!(cache.len(), 1);
        }
    }
}

#[test]
fn sizes_and_alignments_of_any_kind_are_kept() {
    bounded(|| {
        check([1_u8, 2], [(), (), ()]);
        check([Wide(1_u8), Wide(2)], [10_u16, 11, 12]);
        check([1_u16, 2], [10, 11, 12].map(|n| Wide(vec![n; 3])));
    });
}

/// One key there can be.
#[test]
fn a_key_without_a_size_is_kept() {
    bounded(|| {
        let cache: CacheHandle<(), Wide<u8>> = builder(4).build().expect("valid");
        for number in 0..100 {
            cache.insert((), Wide(number));
            assert_eq!(cache.get(&()), Some(Wide(number)));
        }
        flush(&cache);
        assert_eq!((cache.len(), cache.remove(&())), (1, Some(Wide(99))));
    });
}
