//! The one error of the crate: opaque, with predicates, and a text that names what is wrong and what
//! would be right. Layer: base.

use std::fmt;
use std::sync::Arc;

/// Why the cache refused something.
///
/// The text (its [`Display`](fmt::Display)) names the thing that was refused and what would have been
/// accepted. New kinds may be added; ask the predicates.
#[derive(Clone)]
#[non_exhaustive]
pub struct Error {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Setting { setting: &'static str, refused: String, accepted: &'static str },
    ThreadStart { thread: String, source: Arc<std::io::Error> },
    Closed,
    WouldDeadlock,
    Panicked { what: &'static str },
    Forked,
    Memory { entries: u64 },
    ScopeTree { fault: String, remedy: String },
    ScopePath { fault: String, remedy: String },
    TooManyScopes,
    Namespace { fault: String, remedy: String },
}

impl Error {
    /// A setting of the builder was refused; the text names it and what would be accepted.
    #[must_use]
    pub fn is_invalid_setting(&self) -> bool {
        matches!(self.kind, Kind::Setting { .. })
    }

    /// A shard thread could not be started. Threads that had been started were stopped again.
    #[must_use]
    pub fn is_thread_start(&self) -> bool {
        matches!(self.kind, Kind::ThreadStart { .. })
    }

    /// The shard that should have answered has died (a bug of this library, never of its user).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.kind, Kind::Closed)
    }

    /// A shard thread (a removal listener, a weigher, a destructor) was asked to wait for a shard.
    #[must_use]
    pub fn is_would_deadlock(&self) -> bool {
        matches!(self.kind, Kind::WouldDeadlock)
    }

    /// User code that ran on a shard thread to make this answer panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, Kind::Panicked { .. })
    }

    /// The cache was made by another process: this one was forked off it, and the shards' threads did not
    /// come along.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        matches!(self.kind, Kind::Forked)
    }

    /// There is not enough memory for the index of so large a cache. Nothing was started.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self.kind, Kind::Memory { .. })
    }

    /// The levels of a [`ScopeTree`](crate::ScopeTree) were refused.
    #[must_use]
    pub fn is_invalid_scope_tree(&self) -> bool {
        matches!(self.kind, Kind::ScopeTree { .. })
    }

    /// The path of a scope was refused: a level of it is unknown, missing or misplaced, or an id is empty.
    #[must_use]
    pub fn is_invalid_scope_path(&self) -> bool {
        matches!(self.kind, Kind::ScopePath { .. })
    }

    /// There are as many scopes in use as a cache can tell apart.
    #[must_use]
    pub fn is_too_many_scopes(&self) -> bool {
        matches!(self.kind, Kind::TooManyScopes)
    }

    /// A namespace was refused: there is one of that name with other types or other options, or it has no
    /// name.
    #[must_use]
    pub fn is_namespace_conflict(&self) -> bool {
        matches!(self.kind, Kind::Namespace { .. })
    }

    #[cold]
    pub(crate) fn namespace(fault: String, remedy: String) -> Self {
        Self { kind: Kind::Namespace { fault, remedy } }
    }

    #[cold]
    pub(crate) fn scope_tree(fault: String, remedy: String) -> Self {
        Self { kind: Kind::ScopeTree { fault, remedy } }
    }

    #[cold]
    pub(crate) fn scope_path(fault: String, remedy: String) -> Self {
        Self { kind: Kind::ScopePath { fault, remedy } }
    }

    #[cold]
    pub(crate) fn too_many_scopes() -> Self {
        Self { kind: Kind::TooManyScopes }
    }

    #[cold]
    pub(crate) fn setting(
        setting: &'static str,
        refused: impl fmt::Display,
        accepted: &'static str,
    ) -> Self {
        Self { kind: Kind::Setting { setting, refused: refused.to_string(), accepted } }
    }

    #[cold]
    pub(crate) fn thread_start(thread: String, source: std::io::Error) -> Self {
        Self { kind: Kind::ThreadStart { thread, source: Arc::new(source) } }
    }

    #[cold]
    pub(crate) fn closed() -> Self {
        Self { kind: Kind::Closed }
    }

    #[cold]
    pub(crate) fn forked() -> Self {
        Self { kind: Kind::Forked }
    }

    #[cold]
    pub(crate) fn out_of_memory(entries: u64) -> Self {
        Self { kind: Kind::Memory { entries } }
    }

    #[cold]
    pub(crate) fn would_deadlock() -> Self {
        Self { kind: Kind::WouldDeadlock }
    }

    #[cold]
    pub(crate) fn panicked(what: &'static str) -> Self {
        Self { kind: Kind::Panicked { what } }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Setting { setting, refused, accepted } => {
                write!(f, "{setting} cannot be {refused}: give {accepted}")
            }
            Kind::ThreadStart { thread, source } => {
                write!(f, "the thread {thread} could not be started: {source}")
            }
            Kind::Closed => f.write_str("the shard that should have answered has died"),
            Kind::WouldDeadlock => f.write_str(
                "a listener, weigher or destructor on a shard thread cannot wait for a shard: await or wait \
                 for the reply on another thread",
            ),
            Kind::Panicked { what } => write!(f, "{what} panicked on the shard thread"),
            Kind::Forked => f.write_str(
                "the cache was made before this process was forked off, and its threads are the parent's: \
                 make a cache of the child's own",
            ),
            Kind::ScopeTree { fault, remedy }
            | Kind::ScopePath { fault, remedy }
            | Kind::Namespace { fault, remedy } => {
                write!(f, "{fault}: {remedy}")
            }
            Kind::TooManyScopes => f.write_str(
                "there are 16,777,214 scopes in use, as many as a cache can tell apart: drop handles of scopes, \
                 or let entries expire",
            ),
            Kind::Memory { entries } => write!(
                f,
                "there is no memory for the index of a cache of {entries} entries: give a smaller max_capacity"
            ),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&self.kind).finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::ThreadStart { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

/// A write that was not taken, with the key and the value it would have written.
///
/// From [`CacheHandle::try_insert`](crate::CacheHandle::try_insert).
pub struct TryInsertError<K, V> {
    key: K,
    value: V,
    why: Refusal,
}

/// Why a write was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Closed,
    Forked,
}

impl<K, V> TryInsertError<K, V> {
    pub(crate) fn new(key: K, value: V, why: Refusal) -> Self {
        Self { key, value, why }
    }

    /// The same about a key and a value in another form.
    pub(crate) fn map<L, W>(
        self,
        key: impl FnOnce(K) -> L,
        value: impl FnOnce(V) -> W,
    ) -> TryInsertError<L, W> {
        TryInsertError { key: key(self.key), value: value(self.value), why: self.why }
    }

    /// The shard's backlog is full; [`CacheHandle::ready`](crate::CacheHandle::ready) resolves when
    /// there is room again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.why == Refusal::Full
    }

    /// The shard has died and takes no more writes.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.why == Refusal::Closed
    }

    /// The cache is that of a process this one was forked off, and has no room left here.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.why == Refusal::Forked
    }

    /// The key and the value that were not taken.
    #[must_use]
    pub fn into_inner(self) -> (K, V) {
        (self.key, self.value)
    }
}

impl<K, V> fmt::Display for TryInsertError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Refusal::Full => "the shard's backlog of writes is full: await ready() and try again",
            Refusal::Closed => "the shard has died and takes no more writes",
            Refusal::Forked => {
                "the cache is that of a process this one was forked off: make a cache of the child's own"
            }
        })
    }
}

impl<K, V> fmt::Debug for TryInsertError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryInsertError").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<K, V> std::error::Error for TryInsertError<K, V> {}
