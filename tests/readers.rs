//! What somebody reads is not dropped under him, whoever he is: one of few threads or of many, one that holds several
//! views, or one that is ending.

use crate::support::{Counted, Ledger, bounded, cache, eventually, flush, on_each_shape};
use cacheado::{CacheHandle, PinnedView};
use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

type Cache = CacheHandle<u64, Counted>;

const KEY: u64 = 1;
/// Long enough for a few grace periods.
const A_WHILE: Duration = Duration::from_millis(5);

fn with_a_value(shards: usize) -> (Cache, Ledger) {
    let (cache, ledger) = (cache(shards), Ledger::new());
    cache.insert(KEY, ledger.value(10));
    flush(&cache);
    (cache, ledger)
}

/// Lets the shards work for a while, and fails if fewer than `least` values are alive then.
fn nothing_more_is_dropped(cache: &Cache, ledger: &Ledger, least: u64) {
    let until = Instant::now() + A_WHILE;
    while Instant::now() < until {
        flush(cache);
    }
    assert!(ledger.live() >= least, "{} values are left of {least}", ledger.live());
}

fn all_but_one_are_dropped(cache: &Cache, ledger: &Ledger) {
    eventually("what nobody reads any more is dropped", || {
        flush(cache);
        ledger.live() == 1
    });
}

/// A thread that has a view of the value until it is told to drop it.
struct Viewer {
    let_go: Sender<()>,
    thread: JoinHandle<()>,
}

impl Viewer {
    fn start(cache: &Cache, ready: &Sender<()>) -> Self {
        let (cache, ready) = (cache.clone(), ready.clone());
        let (let_go, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let view = cache.pin();
            let seen = view.get(&KEY).expect("it is there");
            ready.send(()).expect("somebody waits");
            told.recv().expect("somebody says so");
            assert_eq!(seen.id, 10);
        });
        Self { let_go, thread }
    }

    fn end(self) {
        self.let_go.send(()).expect("it waits");
        self.thread.join().expect("it saw what it had seen before");
    }
}

fn start_viewers(cache: &Cache, count: usize) -> Vec<Viewer> {
    let (ready, all): (_, Receiver<()>) = mpsc::channel();
    let viewers = (0..count).map(|_| Viewer::start(cache, &ready)).collect();
    (0..count).for_each(|_| all.recv().expect("each says that it is ready"));
    viewers
}

/// More than can say in a word of their own that they read.
const MANY: usize = 90;

#[test]
fn the_last_of_many_views_keeps_what_it_saw() {
    for reversed in [false, true] {
        on_each_shape(move |shards| {
            let (cache, ledger) = with_a_value(shards);
            let mut viewers = start_viewers(&cache, MANY);
            if reversed {
                viewers.reverse();
            }
            cache.insert(KEY, ledger.value(11));
            for viewer in viewers {
                nothing_more_is_dropped(&cache, &ledger, 2);
                viewer.end();
            }
            all_but_one_are_dropped(&cache, &ledger);
        });
    }
}

#[test]
fn what_leaves_under_a_view_is_dropped_after_those_that_came_before_it() {
    on_each_shape(|shards| {
        let (cache, ledger) = with_a_value(shards);
        let viewer = start_viewers(&cache, 1).pop().expect("one");
        for id in 11..200 {
            cache.insert(KEY, ledger.value(id));
            flush(&cache);
        }
        nothing_more_is_dropped(&cache, &ledger, 2);
        viewer.end();
        all_but_one_are_dropped(&cache, &ledger);
    });
}

#[test]
fn one_of_several_views_of_a_thread_is_enough() {
    on_each_shape(|shards| {
        for first_goes_first in [false, true] {
            let (cache, ledger) = with_a_value(shards);
            let mut views = vec![cache.pin(), cache.pin()];
            let seen = cache.pin();
            assert_eq!(seen.get(&KEY).map(|value| value.id), Some(10));
            drop(seen);
            cache.insert(KEY, ledger.value(11));
            drop(if first_goes_first { views.remove(0) } else { views.pop().expect("two") });
            assert_eq!(cache.get(&KEY).map(|value| value.id), Some(11));
            nothing_more_is_dropped(&cache, &ledger, 2);
            drop(views);
            all_but_one_are_dropped(&cache, &ledger);
        }
    });
}

/// A view that lives in a variable of its thread, and reads once more when that is destroyed.
struct Late {
    view: PinnedView<'static, u64, Counted>,
    told: Receiver<()>,
}

impl Drop for Late {
    fn drop(&mut self) {
        self.told.recv().expect("somebody says so");
        let again = self.view.get(&KEY).map(|value| value.id);
        assert!(again == Some(11), "the thread is ending, and read {again:?}");
    }
}

thread_local! {
    static EARLY: RefCell<Option<Late>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

/// Whatever the order in which the variables of a thread are destroyed: one of them is there before the thread
/// first uses a cache, the other after it.
#[test]
fn a_view_outlives_what_its_thread_knows_of_the_cache() {
    // For ever, as a view in a variable of a thread asks; not leaked, for the search for leaks would find it.
    static HELD: [OnceLock<Cache>; 2] = [const { OnceLock::new() }; 2];
    for is_early in [true, false] {
        bounded(move || {
            let (cache, ledger) = with_a_value(1);
            let cache = HELD[usize::from(is_early)].get_or_init(|| cache);
            let (ready, is_ready) = mpsc::channel();
            let (let_go, told) = mpsc::channel();
            let thread = thread::spawn(move || {
                let place = if is_early { &EARLY } else { &LATE };
                if is_early {
                    place.with_borrow_mut(|_| ());
                }
                let view = cache.pin();
                let seen = view.get(&KEY).expect("it is there");
                assert_eq!(seen.id, 10);
                place.with_borrow_mut(|place| *place = Some(Late { view, told }));
                ready.send(()).expect("somebody waits");
            });
            is_ready.recv().expect("it says so");
            cache.insert(KEY, ledger.value(11));
            nothing_more_is_dropped(cache, &ledger, 2);
            let_go.send(()).expect("it waits");
            thread.join().expect("the view read what there was");
            all_but_one_are_dropped(cache, &ledger);
        });
    }
}
