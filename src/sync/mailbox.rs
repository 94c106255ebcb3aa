//! The queue of commands into a shard, over flume.
//!
//! flume keeps queued messages until the last *sender* is gone, so dropping the receiver with
//! messages queued would leave their askers waiting for ever. [`Mailbox`] closes that window: `close`
//! sets a flag first and drains after; a sender looks at the flag again after its push and helps to
//! drain. flume's queue has a short internal mutex: this module is on no path of a read, a write that
//! finds room, or a load. Layer: base.

use super::{AtomicBool, Ordering, contained};

/// A queue with many senders and one owner, which can be closed without losing anybody.
pub(crate) struct Mailbox<T> {
    queue: Queue<T>,
    closed: AtomicBool,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Self { queue: Queue::new(), closed: AtomicBool::new(false) }
    }

    /// Queues `message`, or drops it (and whatever else is queued) if the mailbox is closed; what is
    /// dropped answers its asker by being dropped. Never waits for the receiver.
    pub(crate) fn send(&self, message: T) {
        self.queue.push(message);
        // Acquire: if the flag is up, what its owner did before is behind us [edge: mailbox-closed].
        // The queue's own synchronisation makes one of two things true: the owner's drain came after
        // our push and took the message, or the flag was up before our push and we see it here.
        if self.closed.load(Ordering::Acquire) {
            self.drain();
        }
    }

    /// The oldest queued message. Never waits for a sender.
    pub(crate) fn receive(&self) -> Option<T> {
        self.queue.pop()
    }

    /// All that is queued, the oldest first, and with it the room that the longest queue took. Never waits for a sender.
    pub(crate) fn receive_all(&self) -> impl Iterator<Item = T> {
        self.queue.take()
    }

    /// Refuses all that is queued and all that will be.
    pub(crate) fn close(&self) {
        // Release: see `send` [edge: mailbox-closed].
        self.closed.store(true, Ordering::Release);
        self.drain();
    }

    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: a caller that sees the flag sees a shard that has stopped [edge: mailbox-closed].
        self.closed.load(Ordering::Acquire)
    }

    /// Drops what is queued. Its asker may panic as he is woken by that: it is nobody's business here, neither the owner's
    /// nor a sender's, and keeps no other from being answered.
    fn drain(&self) {
        while let Some(message) = self.queue.pop() {
            contained(|| drop(message));
        }
    }
}

/// flume's unbounded queue with both ends held together: it lives exactly as long as its mailbox.
struct Queue<T> {
    // Boxed: flume keeps the room that its longest queue needed until all is taken at once.
    sender: flume::Sender<Box<T>>,
    receiver: flume::Receiver<Box<T>>,
    order: Order,
}

impl<T> Queue<T> {
    fn new() -> Self {
        let (sender, receiver) = flume::unbounded();
        Self { sender, receiver, order: Order::new() }
    }

    fn push(&self, message: T) {
        self.order.step();
        // Cannot fail: the receiver lives beside the sender.
        let _ = self.sender.try_send(Box::new(message));
    }

    fn pop(&self) -> Option<T> {
        self.order.step();
        self.receiver.try_recv().ok().map(|message| *message)
    }

    fn take(&self) -> impl Iterator<Item = T> {
        self.order.step();
        self.receiver.drain().map(|message| *message)
    }
}

/// Where a model checker may switch threads and what flume's queue lock orders. Nothing in a normal
/// build, where the lock itself is there; in a model one operation for each push, pop and taking of all, and flume's
/// real queue (whose lock is never contended there: a model runs one thread at a time).
struct Order {
    #[cfg(any(cache_loom, cache_shuttle))]
    turn: super::AtomicU64,
}

impl Order {
    fn new() -> Self {
        Self {
            #[cfg(any(cache_loom, cache_shuttle))]
            turn: super::AtomicU64::new(0),
        }
    }

    fn step(&self) {
        #[cfg(any(cache_loom, cache_shuttle))]
        // AcqRel: flume's lock orders every push, pop and taking of all [edge: mailbox-queue].
        self.turn.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(all(test, not(cache_shuttle)))]
mod tests {
    use super::Mailbox;
    use std::sync::Arc;

    /// A message whose asker panics as it is dropped, and what he panics with in its turn.
    struct Bomb {
        _alive: Arc<()>,
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Fragment);
        }
    }

    struct Fragment;

    impl Drop for Fragment {
        fn drop(&mut self) {
            panic!("as what he panicked with is dropped");
        }
    }

    #[test]
    fn an_asker_that_panics_concerns_neither_owner_nor_senders() {
        let alive = Arc::new(());
        let bomb = || Bomb { _alive: Arc::clone(&alive) };
        let mailbox = Mailbox::new();
        mailbox.send(bomb());
        mailbox.send(bomb());
        mailbox.close();
        assert_eq!(Arc::strong_count(&alive), 1, "what was queued is dropped");
        mailbox.send(bomb());
        assert_eq!(Arc::strong_count(&alive), 1, "so is what comes later");
    }
}
