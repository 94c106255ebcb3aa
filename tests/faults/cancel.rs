//! Every future of the cache dropped after each of its polls.

use crate::report::{Dice, Row, times};
use crate::support::{Counted, Ledger, Polled, Steps, bounded, builder, eventually};
use cacheado::CacheHandle;
use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::thread;

type Cache = CacheHandle<u64, Counted>;
type Victim<'a> = Polled<Pin<Box<dyn Future<Output = ()> + 'a>>>;

/// Polls after which there is nothing left to cancel.
const POLLS: u64 = 5;

async fn value_of(ledger: &Ledger, id: u64) -> Counted {
    let held = ledger.value(id);
    Steps(3).await;
    held
}

/// The future of each asynchronous verb, for a key that nobody has loaded.
fn victims<'a>(cache: &'a Cache, ledger: &'a Ledger, key: &'a u64) -> [Victim<'a>; 6] {
    let load: Pin<Box<dyn Future<Output = ()> + 'a>> = Box::pin(async move {
        drop(cache.get_or_load_async(key, value_of(ledger, 1)).await);
    });
    let fallible = Box::pin(async move {
        let loader = async { Ok::<_, Infallible>(value_of(ledger, 1).await) };
        drop(cache.try_get_or_load_async(key, loader).await);
    });
    let (flush, ready) = (cache.flush(), cache.ready());
    let flush = Box::pin(async move { flush.await.expect("shards live") });
    let ready = Box::pin(async move { ready.await.expect("shards live") });
    let clear = Box::pin(async move { assert!(cache.clear().await.is_ok()) });
    let entries = Box::pin(async move { assert!(cache.entries().await.is_ok()) });
    [load, fallible, flush, ready, clear, entries].map(Polled::new)
}

#[test]
fn futures_are_dropped_after_every_poll() {
    bounded(|| {
        let (ledger, mut key) = (Ledger::new(), 0);
        let cache: Cache = builder(2).build().expect("valid");
        let (mut dropped, mut asked, mut answered) = (0, 0, 0);
        for _ in 0..times(400) {
            for polls in 0..=POLLS {
                for verb in 0..victims(&cache, &ledger, &0).len() {
                    key += 1;
                    let victims = victims(&cache, &ledger, &key);
                    let mut victim = victims.into_iter().nth(verb).expect("one of them");
                    let open = (0..polls).all(|_| victim.is_pending());
                    let mut waiter = Polled::new(cache.get_or_load_async(&key, async {
                        Steps(1).await;
                        ledger.value(2)
                    }));
                    let early = waiter.poll();
                    drop(victim);
                    dropped += u64::from(open);
                    asked += 2;
                    // Whoever waits for somebody who is gone waits for ever: the test would hang.
                    let loaded = match early {
                        Poll::Ready(loaded) => loaded,
                        Poll::Pending => waiter.finish(),
                    };
                    let value = |id| id == 1 || id == 2;
                    answered += u64::from(value(loaded.id));
                    answered += u64::from(value(cache.get_or_load(&key, || ledger.value(2)).id));
                }
            }
        }
        cache.flush().wait().expect("shards live");
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "a future of any verb is dropped after its k-th poll, for every k",
            injected: dropped,
            lost: asked - answered,
            outcome: "whoever waited for it is answered; its key can be loaded".into(),
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
