//! How memoized functions are called: async, by a hundred at once, with attributes of their own.

use super::{CACHE, Fault, Service, called, calls};
use crate::support::{Gate, bounded};
use cacheado::{SharedCache, memoize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

#[memoize(cache = CACHE)]
async fn awaited(id: u64, name: String) -> Result<String, Arc<std::io::Error>> {
    called("awaited");
    let digit: u64 = name.parse().map_err(std::io::Error::other)?;
    Ok(std::future::ready(format!("{id} {digit}")).await)
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn async_functions_are_memoized_and_their_futures_are_send() {
    let call = |name: &str| pollster::block_on(is_send(awaited(1, name.to_owned())));
    assert_eq!(
        (call("7").expect("a digit"), call("7").expect("a digit")),
        ("1 7".into(), "1 7".into())
    );
    assert_eq!(calls("awaited"), 1);
    assert!(call("x").is_err() && call("x").is_err());
    assert_eq!(calls("awaited"), 3);
    let refreshed = pollster::block_on(is_send(awaited_refresh(1, "7".to_owned())));
    assert_eq!((refreshed.expect("a digit"), calls("awaited")), ("1 7".into(), 4));
    assert_eq!(awaited_peek(1, "7".to_owned()).expect("no scope").as_deref(), Some("1 7"));

    let service = Arc::new(Service::new(1));
    let both = async { (is_send(service.later(1)).await, service.later(1).await) };
    assert_eq!((pollster::block_on(both), calls("Service::later")), ((2, 2), 1));
}

static GATE: LazyLock<Gate> = LazyLock::new(Gate::new);
static LOADS: AtomicU64 = AtomicU64::new(0);

#[memoize(cache = CACHE)]
fn stampede(key: &str) -> Result<String, Fault> {
    LOADS.fetch_add(1, Ordering::SeqCst);
    GATE.pass();
    if key == "bad" { Err(Fault::Missing) } else { Ok(key.to_owned()) }
}

#[test]
fn a_hundred_callers_are_one_call() {
    bounded(|| {
        let before = CACHE.stats().loads();
        let callers: Vec<_> = (0..100).map(|_| thread::spawn(|| stampede("good"))).collect();
        GATE.wait_for(1);
        GATE.open();
        for caller in callers {
            assert_eq!(caller.join().expect("no panic"), Ok("good".to_owned()));
        }
        assert_eq!(LOADS.load(Ordering::SeqCst), 1);
        assert!(CACHE.stats().loads() > before);
        assert_eq!(stampede("bad"), Err(Fault::Missing));
    });
}

/// Lints and attributes stay where they belong.
#[memoize(cache = CACHE)]
#[must_use]
#[expect(clippy::too_many_arguments, reason = "to see that it is met once")]
#[inline]
fn attributed(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 {
    a + b + c + d + e + f + g + h
}

#[test]
fn attributes_are_kept() {
    assert_eq!(attributed(1, 1, 1, 1, 1, 1, 1, 1), 8);
    assert_eq!(attributed_invalidate(1, 1, 1, 1, 1, 1, 1, 1).expect("no scope"), Some(8));
}

#[test]
fn a_cache_that_is_dropped_is_not_kept_by_its_functions() {
    #[derive(Clone)]
    struct Held(#[expect(dead_code, reason = "it is held")] Arc<()>);
    #[memoize(cache = cache, key = ())]
    fn hold(cache: &SharedCache, held: &Arc<()>) -> Held {
        assert!(cache.is_empty());
        Held(Arc::clone(held))
    }
    let (cache, held) = (SharedCache::new(), Arc::new(()));
    drop(hold(&cache, &held));
    assert_eq!(Arc::strong_count(&held), 2);
    drop(cache);
    crate::support::eventually("the value is dropped", || Arc::strong_count(&held) == 1);
}
