//! [`NamespaceEvents`]: a stream of what leaves one namespace, and [`NamespaceRemoval`], what comes out of it.
//! Layer: front.

use super::erased::{AnyKey, AnyValue};
use super::space::Space;
use crate::front::Front;
use crate::process::Process;
use crate::removal::{Removal, RemovalCause};
use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, TryRecvError};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A stream of what leaves one namespace of a [`SharedCache`](crate::SharedCache).
///
/// From [`Namespace::events`](crate::Namespace::events). It ends, once it has been read to its end, when the
/// cache has; in a forked child at once. It does not keep the cache running. Cheap to clone; clones are the
/// same stream, and each event comes out of one of them. Errors are those of [`crossbeam_channel`]'s receiver,
/// which the methods have their names from.
///
/// ```
/// use cacheado::{RemovalCause, SharedCache};
///
/// let cache = SharedCache::new();
/// let names = cache.namespace::<u64, String>("names")?;
/// let events = names.events();
/// names.insert(1, "Ada".to_string());
/// names.remove(&1);
/// let left = events.recv().expect("the cache runs");
/// assert_eq!((*left.key(), left.value().as_str(), left.cause()), (1, "Ada", RemovalCause::Removed));
/// # Ok::<(), cacheado::Error>(())
/// ```
pub struct NamespaceEvents<K, V> {
    events: Receiver<Arc<Removal<AnyKey, AnyValue>>>,
    /// By this the shards know that somebody reads. After the receiver: what is left in a stream goes on a
    /// shard's thread, where a panic is caught.
    reader: Arc<()>,
    process: Process,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> NamespaceEvents<K, V> {
    pub(super) fn of(front: &Front<AnyKey, AnyValue>, space: &Space) -> Self {
        let reader = Arc::new(());
        let events = front.events(Some(space.part(&reader)));
        Self { events, reader, process: front.process, types: PhantomData }
    }

    /// The next event; waits until there is one.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub fn recv(&self) -> Result<NamespaceRemoval<K, V>, RecvError> {
        match self.try_recv() {
            Err(TryRecvError::Empty) => self.events.recv().map(NamespaceRemoval::new),
            known => known.map_err(|_| RecvError),
        }
    }

    /// The next event, if there is one.
    ///
    /// # Errors
    ///
    /// If there is none, or the stream has ended.
    pub fn try_recv(&self) -> Result<NamespaceRemoval<K, V>, TryRecvError> {
        let next = self.events.try_recv().map(NamespaceRemoval::new);
        // The shards, which would send more or end the stream, are not in a forked child.
        next.map_err(
            |error| if self.process.is_left() { TryRecvError::Disconnected } else { error },
        )
    }

    /// The next event; waits for one as long as this.
    ///
    /// # Errors
    ///
    /// If none has come, or the stream has ended.
    pub fn recv_timeout(
        &self,
        timeout: Duration,
    ) -> Result<NamespaceRemoval<K, V>, RecvTimeoutError> {
        match self.try_recv() {
            Err(TryRecvError::Empty) => {
                self.events.recv_timeout(timeout).map(NamespaceRemoval::new)
            }
            known => known.map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// How many events are in the stream.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether no event is in the stream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events as they come, until the stream has ended: [`recv`](Self::recv) again and again.
    pub fn iter(&self) -> NamespaceEventsIter<K, V> {
        NamespaceEventsIter { events: self.clone() }
    }

    /// The events that are in the stream; waits for none.
    pub fn try_iter(&self) -> impl Iterator<Item = NamespaceRemoval<K, V>> + '_ {
        std::iter::from_fn(|| self.try_recv().ok())
    }
}

impl<K, V> Clone for NamespaceEvents<K, V> {
    fn clone(&self) -> Self {
        let Self { events, reader, process, .. } = self;
        let (events, reader) = (events.clone(), Arc::clone(reader));
        Self { events, reader, process: *process, types: PhantomData }
    }
}

impl<K, V> fmt::Debug for NamespaceEvents<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceEvents").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<K, V> IntoIterator for NamespaceEvents<K, V> {
    type Item = NamespaceRemoval<K, V>;
    type IntoIter = NamespaceEventsIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        NamespaceEventsIter { events: self }
    }
}

impl<K, V> IntoIterator for &NamespaceEvents<K, V> {
    type Item = NamespaceRemoval<K, V>;
    type IntoIter = NamespaceEventsIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What leaves a namespace, as it leaves: waits for each event.
///
/// From [`NamespaceEvents::iter`].
#[derive(Debug)]
pub struct NamespaceEventsIter<K, V> {
    events: NamespaceEvents<K, V>,
}

impl<K, V> Iterator for NamespaceEventsIter<K, V> {
    type Item = NamespaceRemoval<K, V>;

    fn next(&mut self) -> Option<Self::Item> {
        self.events.recv().ok()
    }
}

/// An entry that left a namespace, as it comes out of [`NamespaceEvents`]. Cheap to clone.
pub struct NamespaceRemoval<K, V> {
    removal: Arc<Removal<AnyKey, AnyValue>>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> NamespaceRemoval<K, V> {
    fn new(removal: Arc<Removal<AnyKey, AnyValue>>) -> Self {
        Self { removal, types: PhantomData }
    }

    /// Why it left.
    #[must_use]
    pub fn cause(&self) -> RemovalCause {
        self.removal.cause()
    }
}

impl<K: 'static, V: 'static> NamespaceRemoval<K, V> {
    /// The key of the entry.
    #[must_use]
    pub fn key(&self) -> &K {
        self.removal.key().view()
    }

    /// The value that left.
    #[must_use]
    pub fn value(&self) -> &V {
        self.removal.value().view()
    }

    /// Takes key and value out.
    ///
    /// # Errors
    ///
    /// Gives it back while there are clones of it, or other streams have it, or the shard still holds it as
    /// it sends it.
    pub fn into_inner(self) -> Result<(K, V), Self> {
        let (key, value) = Arc::try_unwrap(self.removal).map_err(Self::new)?.into_inner();
        Ok((key.into_key(), value.into_value()))
    }
}

impl<K, V> Clone for NamespaceRemoval<K, V> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.removal))
    }
}

impl<K: fmt::Debug + 'static, V: fmt::Debug + 'static> fmt::Debug for NamespaceRemoval<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceRemoval")
            .field("key", self.key())
            .field("value", self.value())
            .field("cause", &self.cause())
            .finish()
    }
}
