//! Rows about values that are set and read by hand, and about what is created without settings.

use crate::support::{Polled, StuckShard, bounded, builder};
use crate::{flush, timed_cache};
use cacheado::{CacheHandle, SharedCache};
use std::collections::HashMap;
use std::task::Poll;
use std::time::Duration;

#[test]
fn row_zero_configuration() {
    let cache: CacheHandle<String, u64> = CacheHandle::new();
    cache.insert("k".to_owned(), 1);
    assert_eq!((cache.get("k"), cache.max_capacity()), (Some(1), 100_000));

    let shared = SharedCache::new();
    let namespace = shared.namespace::<String, u64>("numbers").expect("new");
    namespace.insert("k".to_owned(), 2);
    assert_eq!((namespace.get("k"), shared.max_capacity()), (Some(2), 100_000));
    assert!(shared.scope([("organization", "acme"), ("user", "ada")]).is_ok());
}

type Settings = HashMap<&'static str, &'static str>;

#[test]
fn row_programmatic_set_get_evict_clear() {
    let (clock, cache) = timed_cache();
    let settings = cache.namespace::<String, Settings>("settings").expect("new");
    let user = settings.scope([("organization", "org_123"), ("user", "user_456")]).expect("valid");
    let hour = Duration::from_secs(3600);
    for at in [&settings, &user] {
        let key = || "user_settings".to_owned();
        at.insert_with_ttl(key(), Settings::from([("theme", "dark")]), hour);
        assert_eq!(at.get("user_settings").expect("a hit")["theme"], "dark");
        assert_eq!(at.remove("user_settings").expect("a value")["theme"], "dark");
        assert_eq!((at.get("user_settings"), at.remove("user_settings")), (None, None));
        at.insert_with_ttl(key(), Settings::new(), hour);
    }
    clock.advance(hour - Duration::from_nanos(1));
    assert_eq!(
        (user.get("user_settings"), settings.get("user_settings").is_some()),
        (Some(Settings::new()), true)
    );
    clock.advance(Duration::from_nanos(1));
    assert_eq!((user.get("user_settings"), settings.get("user_settings")), (None, None));

    user.insert("a".to_owned(), Settings::new());
    settings.insert("a".to_owned(), Settings::new());
    flush(&cache);
    assert_eq!(cache.clear().wait().expect("shards live"), 2);
    assert_eq!((user.get("a"), settings.get("a"), cache.len()), (None, None, 0));
}

/// While the only shard stands still, all verbs that do not return a reply return in one poll.
#[test]
fn row_async_verbs() {
    bounded(|| {
        let (gate, builder) = StuckShard::prepare(builder::<u64, u64>(1));
        let cache = builder.build().expect("valid settings");
        let stuck = StuckShard::hold(&cache, gate, 0, 0);
        let task = async {
            cache.insert(1, 1);
            let user = cache.scope([("organization", "acme"), ("user", "ada")])?;
            user.insert_with_ttl(1, 2, Duration::from_secs(60));
            let set = (cache.get(&1), user.get(&1));
            let taken = (cache.remove(&1), user.remove(&1), cache.get(&1), user.get(&1));
            cache.insert(2, 2);
            let evicted = cache.clear();
            Ok::<_, cacheado::Error>((set, taken, cache.get(&2), evicted))
        };
        let Poll::Ready(said) = Polled::new(task).poll() else { panic!("it waits") };
        let (set, taken, cleared, evicted) = said.expect("a valid scope");
        assert_eq!(set, (Some(1), Some(2)));
        assert_eq!(taken, (Some(1), Some(2), None, None));
        assert_eq!(cleared, None);

        // What takes a moment is a future.
        let mut evicted = Polled::new(evicted);
        assert!(evicted.is_pending());
        stuck.release();
        let count = evicted.finish();
        assert_eq!(count.expect("shards live"), 2, "0 and 2");
    });
}
