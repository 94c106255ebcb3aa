//! Every future of the cache dropped after each of its polls.

use crate::report::{Dice, Row, times};
use crate::support::{Counted, Ledger, Polled, Steps, bounded, builder, eventually};
use cacheado::{CacheHandle, ScopeFigure, ScopedHandle};
use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::thread;

type Cache = CacheHandle<u64, Counted>;
type Victim<'a> = Polled<Pin<Box<dyn Future<Output = ()> + 'a>>>;

const WAITERS: u64 = 8;
const TENANT: [(&str, &str); 1] = [("organization", "acme")];

/// Polls after which there is nothing left to cancel.
const POLLS: u64 = 5;

async fn value_of(ledger: &Ledger, id: u64) -> Counted {
    let held = ledger.value(id);
    Steps(3).await;
    held
}

/// The future of each asynchronous verb, for a key that nobody has loaded.
fn victims<'a>(
    cache: &'a Cache,
    tenant: &'a ScopedHandle<u64, Counted>,
    ledger: &'a Ledger,
    key: &'a u64,
) -> [Victim<'a>; 10] {
    let load: Pin<Box<dyn Future<Output = ()> + 'a>> = Box::pin(async move {
        drop(cache.get_or_load_async(key, value_of(ledger, 1)).await);
    });
    let fallible = Box::pin(async move {
        let loader = async { Ok::<_, Infallible>(value_of(ledger, 1).await) };
        drop(cache.try_get_or_load_async(key, loader).await);
    });
    let in_a_scope = Box::pin(async move {
        drop(tenant.get_or_load_async(key, value_of(ledger, 1)).await);
    });
    let evict = Box::pin(async move { assert!(tenant.evict().await.is_ok()) });
    let scopes = Box::pin(async move { assert!(cache.scopes().await.is_ok()) });
    let top =
        Box::pin(async move { assert!(cache.top_scopes(1, ScopeFigure::Hits).await.is_ok()) });
    let (flush, ready) = (cache.flush(), cache.ready());
    let flush = Box::pin(async move { flush.await.expect("shards live") });
    let ready = Box::pin(async move { ready.await.expect("shards live") });
    let clear = Box::pin(async move { assert!(cache.clear().await.is_ok()) });
    let entries = Box::pin(async move { assert!(cache.entries().await.is_ok()) });
    [load, fallible, in_a_scope, evict, scopes, top, flush, ready, clear, entries].map(Polled::new)
}

/// Polls all, as an executor would, until each has its value; says how many have one that was loaded.
fn finish_all(mut loads: Vec<Polled<impl Future<Output = Counted>>>) -> u64 {
    let mut answered = 0;
    while !loads.is_empty() {
        loads.retain_mut(|load| match load.poll() {
            Poll::Ready(value) => {
                answered += u64::from(is_loaded(&value));
                false
            }
            Poll::Pending => true,
        });
        thread::yield_now();
    }
    answered
}

fn is_loaded(value: &Counted) -> bool {
    value.id == 1 || value.id == 2
}

#[test]
fn futures_are_dropped_after_every_poll() {
    bounded(|| {
        let (ledger, mut key) = (Ledger::new(), 0);
        let cache: Cache = builder(2).build().expect("valid");
        let tenant = cache.scope(TENANT).expect("valid");
        let (mut dropped, mut asked, mut answered) = (0, 0, 0);
        for _ in 0..times(400) {
            for polls in 0..=POLLS {
                for verb in 0..victims(&cache, &tenant, &ledger, &0).len() {
                    key += 1;
                    let victims = victims(&cache, &tenant, &ledger, &key);
                    let mut victim = victims.into_iter().nth(verb).expect("one of them");
                    let open = (0..polls).all(|_| victim.is_pending());
                    let own = async || {
                        Steps(1).await;
                        ledger.value(2)
                    };
                    let wait = |_| Polled::new(cache.get_or_load_async(&key, own()));
                    let mut waiters: Vec<_> = (0..WAITERS).map(wait).collect();
                    // Those that have their value at once wait no more.
                    waiters.retain_mut(Polled::is_pending);
                    let early = WAITERS - waiters.len() as u64;
                    drop(victim);
                    dropped += u64::from(open);
                    asked += WAITERS + 2;
                    // Whoever waits for somebody who is gone waits for ever: the test would hang.
                    answered += early + finish_all(waiters);
                    let again = cache.get_or_load(&key, || ledger.value(2));
                    let tenants = tenant.get_or_load(&key, || ledger.value(2));
                    answered += u64::from(is_loaded(&again)) + u64::from(is_loaded(&tenants));
                }
            }
        }
        cache.flush().wait().expect("shards live");
        drop((cache, tenant));
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "a future of any verb is dropped after its k-th poll, for every k, 8 tasks wait",
            injected: dropped,
            lost: asked - answered,
            outcome: "whoever waited for it is answered; its key can be loaded, in its scope, too"
                .into(),
        }
        .report(futures_are_dropped_after_every_poll);
    });
}

#[test]
fn futures_are_dropped_as_they_are_answered() {
    bounded(|| {
        let (ledger, mut dice, rounds) = (Ledger::new(), Dice::new(5), times(20_000));
        let cache: Cache = builder(1).build().expect("valid");
        cache.insert(0, ledger.value(0));
        let mut dropped = 0;
        thread::scope(|scope| {
            let (to_end, loads) = channel::<u64>();
            let (cache, ledger) = (&cache, &ledger);
            scope.spawn(move || {
                for key in loads {
                    drop(cache.get_or_load(&key, || ledger.value(key)));
                    cache.remove(&key);
                }
            });
            for round in 1..=rounds {
                to_end.send(round).expect("the other thread lives");
                let mut load = Polled::new(cache.get_or_load_async(&round, pending()));
                let mut entries = Polled::new(cache.entries());
                let both = u64::from(load.is_pending()) + u64::from(entries.is_pending());
                // As long as an answer may take, so that it comes just before, after and during the drop.
                (0..dice.below(2_000)).for_each(|_| std::hint::spin_loop());
                drop((entries, load));
                dropped += both;
            }
        });
        cache.flush().wait().expect("shards live");
        cache.remove(&0);
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "a waiting future is dropped as its answer comes",
            injected: dropped,
            lost: ledger.live(),
            outcome: "the answer is dropped once".into(),
        }
        .report(futures_are_dropped_as_they_are_answered);
    });
}
