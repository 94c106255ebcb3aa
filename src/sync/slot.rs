//! A slot for one answer, for tasks and threads alike, over futures-channel.
//!
//! Whoever sends never waits, whoever waits may go at any moment, and a sender that goes without sending
//! says so. futures-channel guards its two fields with flags that are tried and never waited for. Layer:
//! base.

use futures_channel::oneshot;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The answering half.
pub(crate) struct Sender<T> {
    /// Taken when it is used.
    inner: Option<oneshot::Sender<T>>,
    order: Order,
}

/// The waiting half: a future of the answer, or of nothing if the sender went without one.
pub(crate) struct Receiver<T> {
    inner: Option<oneshot::Receiver<T>>,
    order: Order,
}

/// An empty slot.
pub(crate) fn slot<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = oneshot::channel();
    let order = Order::new();
    (
        Sender { inner: Some(sender), order: order.clone() },
        Receiver { inner: Some(receiver), order },
    )
}

impl<T> Sender<T> {
    /// Puts the answer in and wakes who waits; gives it back if nobody does any more.
    pub(crate) fn send(mut self, answer: T) -> Result<(), T> {
        self.order.step();
        match self.inner.take() {
            Some(inner) => inner.send(answer),
            None => Err(answer),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(unused) = self.inner.take() {
            self.order.step();
            drop(unused);
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.order.step();
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll(cx).map(Result::ok),
            None => Poll::Ready(None),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.order.step();
        drop(self.inner.take());
    }
}

/// Where a model checker may switch threads and what the channel's own atomics order. Nothing in a normal
/// build; in a model one operation before each step of the channel, which is one step for the checker.
#[derive(Clone)]
struct Order {
    #[cfg(any(cache_loom, cache_shuttle))]
    turn: std::sync::Arc<super::AtomicU64>,
}

impl Order {
    fn new() -> Self {
        Self {
            #[cfg(any(cache_loom, cache_shuttle))]
            turn: std::sync::Arc::new(super::AtomicU64::new(0)),
        }
    }

    fn step(&self) {
        #[cfg(any(cache_loom, cache_shuttle))]
        // AcqRel: the channel orders the answer before its taking [edge: slot].
        self.turn.fetch_add(1, super::Ordering::AcqRel);
    }
}
