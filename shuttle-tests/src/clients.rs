//! The clients of a cache: each verb calls the cache and notes in a log what it returned.

use crate::history::{Call, Event, Key, Loaded, Log, Token};
use crate::{CacheHandle, ScopedHandle};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll, Waker};

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Writes a new value.
    Insert,
    /// Writes a new value if that needs no waiting.
    TryInsert,
    /// Reads.
    Get,
    /// Reads twice in place, under one pin.
    View,
    /// Removes.
    Remove,
    /// Removes what it has seen before: a wrong removal, in which another client can come between.
    LookThenRemove,
    /// Clears the cache.
    Clear,
    /// Evicts the scope of the key and the one below it.
    Evict,
    /// Loads, and waits as a thread.
    Load,
    /// Loads, and waits as a task.
    LoadInTask,
    /// Looks and writes if there was nothing: a wrong load, in which another client can come between.
    LookThenInsert,
    /// Loads with a loader that fails.
    LoadInVain,
    /// Begins to load as a task and is cancelled when it has to wait.
    LoadCancelled,
    /// Has the shards fold what was submitted.
    Flush,
}

/// When a loader began, and what it made.
type Run = (u64, Loaded);

/// The most steps that a loader takes.
const LONGEST: usize = 30;

/// An error of a loader.
struct Fault(Token);

/// A value that tells when it is read or dropped after it was dropped.
pub(crate) struct Held {
    token: Token,
    /// [`ALIVE`] until it is dropped.
    mark: u32,
    books: Arc<Books>,
}

const ALIVE: u32 = 0xa11e_600d;

/// How many values were made and dropped, clones included.
#[derive(Default)]
pub(crate) struct Books {
    made: AtomicU32,
    dropped: AtomicU32,
    damaged: AtomicU32,
}

impl Books {
    /// Checks that each value was dropped once and none was touched later. When all should be gone.
    pub(crate) fn audit(&self) {
        let damaged = self.damaged.load(Ordering::Relaxed);
        assert_eq!(damaged, 0, "no value is read or dropped after it was dropped");
        let (made, dropped) =
            (self.made.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed));
        assert_eq!(made, dropped, "every value that was made was dropped");
    }

    fn value(self: &Arc<Self>, token: Token) -> Held {
        self.made.fetch_add(1, Ordering::Relaxed);
        Held { token, mark: ALIVE, books: Arc::clone(self) }
    }
}

impl Held {
    fn token(&self) -> Token {
        assert_eq!(self.mark, ALIVE, "a value is read after it was dropped");
        self.token
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        self.books.value(self.token())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let intact = std::mem::replace(&mut self.mark, 0) == ALIVE;
        self.books.damaged.fetch_add(u32::from(!intact), Ordering::Relaxed);
        self.books.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// What all clients of a scenario have in common.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) cache: CacheHandle<Key, Held>,
    /// Where the keys are but for the first, in turn: the second scope lies below the first.
    scopes: Option<[ScopedHandle<Key, Held>; 2]>,
    pub(crate) keys: Key,
    pub(crate) bystanders: Range<Key>,
    pub(crate) log: Log,
    pub(crate) books: Arc<Books>,
    tokens: Arc<AtomicU32>,
    turn: Arc<AtomicU64>,
}

impl Stage {
    pub(crate) fn new(
        cache: CacheHandle<Key, Held>,
        scoped: bool,
        keys: Key,
        bystanders: Range<Key>,
    ) -> Self {
        let scopes = scoped.then(|| {
            let path = [("organization", "a"), ("user", "u")];
            [&path[..1], &path].map(|path| cache.scope(path.to_vec()).expect("a right path"))
        });
        Self {
            cache,
            scopes,
            keys,
            bystanders,
            log: Log::default(),
            books: Arc::default(),
            tokens: Arc::default(),
            turn: Arc::new(AtomicU64::new(0)),
        }
    }

    /// A client that calls on this stage.
    pub(crate) fn client(&self, number: usize) -> Client {
        Client { number, stage: self.clone() }
    }

    pub(crate) fn all_keys(&self) -> impl Iterator<Item = Key> {
        (0..self.keys).chain(self.bystanders.clone())
    }

    /// The scope of a key, if that is not the global one: a key is in one scope only.
    pub(crate) fn scope(&self, key: Key) -> Option<&ScopedHandle<Key, Held>> {
        let place = usize::from(key % 3).checked_sub(1)?;
        self.scopes.as_ref().filter(|_| key < self.keys).map(|scopes| &scopes[place])
    }

    /// Lets others run, if the schedule says so.
    fn pause(&self) {
        self.turn.load(Ordering::Relaxed);
    }

    fn token(&self) -> Token {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }
}

/// One client.
pub(crate) struct Client {
    number: usize,
    stage: Stage,
}

impl Client {
    /// Calls, and notes what was returned.
    pub(crate) fn act(&self, verb: Verb, key: Key) {
        match verb {
            Verb::Insert => self.insert(key),
            Verb::TryInsert => self.try_insert(key),
            Verb::Get => self.get(key),
            Verb::View => self.view(key),
            Verb::Remove => self.remove(key),
            Verb::LookThenRemove => self.look_then_remove(key),
            Verb::Clear => self.clear(),
            Verb::Evict => self.evict(key),
            Verb::Load => self.load(key),
            Verb::LoadInTask => self.load_in_task(key),
            Verb::LookThenInsert => self.look_then_insert(key),
            Verb::LoadInVain => self.load_in_vain(key),
            Verb::LoadCancelled => self.load_cancelled(key),
            Verb::Flush => self.flush(),
        }
    }

    pub(crate) fn get(&self, key: Key) {
        let called = self.call();
        let seen = match self.stage.scope(key) {
            Some(scope) => scope.get(&key),
            None => self.stage.cache.get(&key),
        };
        self.note(key, called, Call::Get(seen.map(|value| value.token())));
    }

    pub(crate) fn flush(&self) {
        self.stage.cache.flush().wait().expect("the shards live");
    }

    fn insert(&self, key: Key) {
        let token = self.stage.token();
        let value = self.stage.books.value(token);
        let called = self.call();
        match self.stage.scope(key) {
            Some(scope) => scope.insert(key, value),
            None => self.stage.cache.insert(key, value),
        }
        self.note(key, called, Call::Insert(token));
    }

    fn try_insert(&self, key: Key) {
        let token = self.stage.token();
        let value = self.stage.books.value(token);
        let called = self.call();
        match self.stage.cache.try_insert(key, value) {
            Ok(()) => self.note(key, called, Call::Insert(token)),
            Err(error) => {
                assert_eq!(error.into_inner().1.token(), token, "it gives the value back")
            }
        }
    }

    fn view(&self, key: Key) {
        let other = (key + 1) % self.stage.keys;
        let view = self.stage.cache.pin();
        let called = self.call();
        let first = view.get(&key);
        self.note(key, called, Call::Get(first.map(Held::token)));
        let called = self.call();
        let second = view.get(&other).map(Held::token);
        self.note(other, called, Call::Get(second));
        if let Some(first) = first {
            // Whatever has become of the entry: it is there as long as the view.
            first.token();
        }
    }

    fn remove(&self, key: Key) {
        let called = self.call();
        let taken = match self.stage.scope(key) {
            Some(scope) => scope.remove(&key),
            None => self.stage.cache.remove(&key),
        };
        self.note(key, called, Call::Remove(taken.map(|value| value.token())));
    }

    fn look_then_remove(&self, key: Key) {
        let called = self.call();
        let seen = self.stage.cache.get(&key).map(|value| value.token());
        self.stage.cache.remove(&key);
        self.note(key, called, Call::Remove(seen));
    }

    fn clear(&self) {
        let called = self.call();
        let reply = self.stage.cache.clear();
        self.emptied(called, self.stage.all_keys());
        reply.wait().expect("the shards live");
    }

    /// An eviction is a removal of all keys of the scope and of those below it.
    fn evict(&self, key: Key) {
        let Some(scope) = self.stage.scope(key) else { return self.clear() };
        let called = self.call();
        let reply = scope.evict();
        let least = key % 3;
        self.emptied(called, (0..self.stage.keys).filter(|key| key % 3 >= least));
        reply.wait().expect("the shards live");
    }

    fn emptied(&self, called: u64, keys: impl Iterator<Item = Key>) {
        let returned = self.stage.log.now();
        for key in keys {
            let (client, call) = (self.number, Call::Clear);
            self.stage.log.note(Event { client, key, call, called, returned, loader: None });
        }
    }

    fn load(&self, key: Key) {
        let run = Cell::new(None);
        let called = self.call();
        let loader = || {
            let begun = self.begin();
            self.made(begun, &run)
        };
        let value = match self.stage.scope(key) {
            Some(scope) => scope.get_or_load(&key, loader),
            None => self.stage.cache.get_or_load(&key, loader),
        };
        self.loaded(key, called, &run, Ok(value.token()));
    }

    fn load_in_task(&self, key: Key) {
        let run = Cell::new(None);
        let called = self.call();
        let value = shuttle::future::block_on(self.load_async(key, &run));
        self.loaded(key, called, &run, Ok(value.token()));
    }

    fn look_then_insert(&self, key: Key) {
        let called = self.call();
        if let Some(value) = self.stage.cache.get(&key) {
            return self.note(key, called, Call::Follow(Ok(value.token())));
        }
        let token = self.stage.token();
        self.stage.cache.insert(key, self.stage.books.value(token));
        self.note(key, called, Call::Lead(Ok(token)));
    }

    fn load_in_vain(&self, key: Key) {
        let run = Cell::new(None);
        let called = self.call();
        let result = self.stage.cache.try_get_or_load(&key, || {
            let begun = self.begin();
            let token = self.stage.token();
            run.set(Some((begun, Err(token))));
            Err(Fault(token))
        });
        let result = result.map(|value| value.token()).map_err(|fault| fault.0);
        self.loaded(key, called, &run, result);
    }

    fn load_cancelled(&self, key: Key) {
        let run = Cell::new(None);
        let called = self.call();
        let load = pin!(self.load_async(key, &run));
        let poll = load.poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(value) = poll {
            self.loaded(key, called, &run, Ok(value.token()));
        }
        assert!(run.get().is_none(), "a loader was dropped before it made anything");
    }

    async fn load_async(&self, key: Key, run: &Cell<Option<Run>>) -> Held {
        let loader = async {
            let begun = self.begin();
            wait_once().await;
            self.made(begun, run)
        };
        match self.stage.scope(key) {
            Some(scope) => scope.get_or_load_async(&key, loader).await,
            None => self.stage.cache.get_or_load_async(&key, loader).await,
        }
    }

    /// A loader begins: the moment, and then what it takes.
    fn begin(&self) -> u64 {
        let begun = self.stage.log.now();
        (0..thread_rng().gen_range(1..=LONGEST)).for_each(|_| self.stage.pause());
        begun
    }

    /// What a loader makes.
    fn made(&self, begun: u64, run: &Cell<Option<Run>>) -> Held {
        let token = self.stage.token();
        run.set(Some((begun, Ok(token))));
        self.stage.books.value(token)
    }

    fn loaded(&self, key: Key, called: u64, run: &Cell<Option<Run>>, loaded: Loaded) {
        let Some((begun, made)) = run.get() else {
            return self.note(key, called, Call::Follow(loaded));
        };
        assert_eq!(loaded, made, "who loads is given what it loaded");
        self.note_run(key, called, Call::Lead(loaded), Some(begun));
    }

    /// The moment of a call. Others may run before it: without that, a call would seem to begin when the
    /// one before it returned.
    fn call(&self) -> u64 {
        self.stage.pause();
        self.stage.log.now()
    }

    fn note(&self, key: Key, called: u64, call: Call) {
        self.note_run(key, called, call, None);
    }

    fn note_run(&self, key: Key, called: u64, call: Call, loader: Option<u64>) {
        let returned = self.stage.log.now();
        self.stage.log.note(Event { client: self.number, key, call, called, returned, loader });
    }
}

/// Is not ready when it is first asked.
fn wait_once() -> impl Future<Output = ()> {
    let mut asked = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
