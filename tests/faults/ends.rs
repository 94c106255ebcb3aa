//! Shutdown while loads, waiters and replies are under way.

use crate::report::{Dice, Row, times};
use crate::support::{Counted, Ledger, Polled, Steps, bounded, builder, eventually};
use cacheado::{CacheHandle, Reply};
use std::future::pending;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Poll;
use std::thread;

type Cache = CacheHandle<u64, Counted>;

/// A call that another thread makes with a handle of its own, which it then drops.
struct Errand(Cache, Ledger, Reply<()>);

/// Carries out errands and says how many of the two calls of each were answered.
fn run_errands(errands: &Receiver<Errand>, answers: &Sender<u64>) {
    while let Ok(Errand(cache, ledger, reply)) = errands.recv() {
        let loaded = cache.get_or_load(&1, || ledger.value(7)).id == 7;
        drop(cache);
        let answered = u64::from(loaded) + u64::from(reply.wait().is_ok());
        let _ = answers.send(answered);
    }
}

/// A load that keeps the cache alive as long as it is under way.
fn load(cache: Cache, ledger: Ledger) -> Polled<impl Future<Output = u64>> {
    Polled::new(async move {
        let loader = async {
            Steps(1).await;
            ledger.value(7)
        };
        cache.get_or_load_async(&1, loader).await.id
    })
}

#[test]
fn the_handles_go_while_loads_are_in_flight() {
    bounded(|| {
        let (rounds, ledger, mut dice) = (times(10_000), Ledger::new(), Dice::new(1));
        let (errands, to_do) = channel();
        let (answers, answered) = channel();
        let runner = thread::spawn(move || run_errands(&to_do, &answers));
        let (mut calls, mut cancelled, mut heard) = (0, 0, 0);
        for _ in 0..rounds {
            let cache: Cache = builder(1).max_capacity(16).build().expect("valid");
            let mut flights: Vec<_> = (0..4).map(|_| load(cache.clone(), ledger.clone())).collect();
            assert!(flights.iter_mut().all(Polled::is_pending), "one leads, three wait");
            cache.insert(2, ledger.value(2));
            let reply = cache.flush();
            let sent = errands.send(Errand(cache, ledger.clone(), reply));
            assert!(sent.is_ok(), "the other thread lives");
            calls += 4 + 2;
            // Some of them, the leader too, are dropped; the others are polled in any order, as an
            // executor would, until all have ended.
            for _ in 0..dice.below(4) {
                drop(flights.swap_remove(dice.below(flights.len() as u64) as usize));
                cancelled += 1;
            }
            while !flights.is_empty() {
                let at = dice.below(flights.len() as u64) as usize;
                if let Poll::Ready(id) = flights[at].poll() {
                    heard += u64::from(id == 7);
                    flights.swap_remove(at);
                }
            }
            heard += answered.recv().expect("the other thread lives");
        }
        drop(errands);
        runner.join().expect("no panic");
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "all handles go with 5 loads in flight, as these end or are dropped, and a flush is due",
            injected: rounds,
            lost: calls - cancelled - heard,
            outcome: "every caller is answered; every value is dropped once".into(),
        }
        .report(the_handles_go_while_loads_are_in_flight);
    });
}

/// Addresses of futures that nobody polls or drops any more: so that a search for leaks finds who has them.
static FORGOTTEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

#[test]
fn the_last_handle_goes_while_forgotten_loads_are_in_flight() {
    bounded(|| {
        let (rounds, ledger) = (times(1_000), Ledger::new());
        for round in 0..rounds {
            let cache: Cache = builder(1).max_capacity(16).build().expect("valid");
            cache.insert(2, ledger.value(2));
            for _leader_and_waiter in 0..2 {
                let mut load = Box::new(Polled::new(cache.get_or_load_async(&1, pending())));
                assert!(load.is_pending());
                let address = Box::into_raw(load) as usize;
                FORGOTTEN.lock().expect("no poison").push(address);
            }
            if round % 2 == 0 {
                cache.flush().wait().expect("the shard lives");
            }
        }
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "the last handle goes while a load and its waiter are forgotten, neither polled nor dropped",
            injected: rounds,
            lost: ledger.live(),
            outcome: "the cache ends all the same, and drops what it holds".into(),
        }
        .report(the_last_handle_goes_while_forgotten_loads_are_in_flight);
    });
}
