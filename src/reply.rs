//! [`Reply`]: an answer that is on its way, to be awaited by a task or waited for by a thread.
//!
//! One [slot] serves both. A reply that concerns all shards is the sum of one slot for each.
//! Layer: base.

use crate::error::Error;
use crate::process::Process;
use crate::sync::{slot, thread};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// An answer that is on its way.
///
/// `.await` it in a task or call [`wait`](Reply::wait) in a thread; dropping it does not take the
/// request back. It resolves to an error only if a shard thread has died ([`Error::is_closed`]), if
/// user code that makes the answer panicked ([`Error::is_panic`]), if a shard thread would have to wait
/// for a shard ([`Error::is_would_deadlock`]), or if it is asked for in a process that was forked off the
/// one that made the cache ([`Error::is_forked`]).
#[must_use = "a request is answered whether or not its reply is awaited, but then nobody knows when"]
pub struct Reply<T> {
    /// Last first, so that the next to be awaited is popped.
    parts: Vec<slot::Receiver<Result<T, Error>>>,
    sum: Option<T>,
    add: fn(T, T) -> T,
    /// Where the answer will be.
    asked_in: Process,
}

/// The answering half of one part of a [`Reply`]. Dropped unused it answers "closed".
pub(crate) struct Responder<T>(slot::Sender<Result<T, Error>>);

impl<T> Responder<T> {
    pub(crate) fn answer(self, answer: Result<T, Error>) {
        // An asker that has gone does not want the answer.
        let _ = self.0.send(answer);
    }
}

impl<T> Reply<T> {
    /// A reply of one part, and who answers it.
    pub(crate) fn new() -> (Responder<T>, Self) {
        let (responder, part) = part();
        let asked_in = Process::current();
        (responder, Self { parts: vec![part], sum: None, add: |_, last| last, asked_in })
    }

    /// A reply that nobody needs to be asked for.
    pub(crate) fn refused(error: Error) -> Self {
        let (responder, reply) = Self::new();
        responder.answer(Err(error));
        reply
    }

    /// A reply that is there already.
    pub(crate) fn ready(answer: T) -> Self {
        let asked_in = Process::current();
        Self { parts: Vec::new(), sum: Some(answer), add: |_, last| last, asked_in }
    }

    /// A reply that is the sum of what each of the responders answers; `ask` is given each of them.
    pub(crate) fn sum_of(
        count: usize,
        add: fn(T, T) -> T,
        mut ask: impl FnMut(usize, Responder<T>),
    ) -> Self {
        let parts = (0..count)
            .map(|i| {
                let (responder, part) = part();
                ask(i, responder);
                part
            })
            .collect();
        Self { parts, sum: None, add, asked_in: Process::current() }
    }

    /// Blocks the calling thread until the answer is there.
    ///
    /// # Errors
    ///
    /// As the future's; on a shard thread (in a listener, say) an error at once instead of a deadlock,
    /// unless the answer is there already.
    pub fn wait(mut self) -> Result<T, Error> {
        if crate::shard_thread::is_current() {
            let mut cx = Context::from_waker(Waker::noop());
            return match Pin::new(&mut self).poll(&mut cx) {
                Poll::Ready(answer) => answer,
                Poll::Pending => Err(Error::would_deadlock()),
            };
        }
        block_on(self)
    }
}

/// Blocks the calling thread until `future` is ready.
pub(crate) fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match Pin::new(&mut future).poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn part<T>() -> (Responder<T>, slot::Receiver<Result<T, Error>>) {
    let (sender, receiver) = slot::slot();
    (Responder(sender), receiver)
}

// Nothing in it is pinned by address: a part that is polled may be moved.
impl<T> Unpin for Reply<T> {}

impl<T> Future for Reply<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some(next) = this.parts.last_mut() {
            let Poll::Ready(answer) = Pin::new(next).poll(cx) else {
                let never = this.asked_in.is_left();
                return if never { Poll::Ready(Err(Error::forked())) } else { Poll::Pending };
            };
            this.parts.pop();
            let answer = answer.unwrap_or_else(|| Err(Error::closed()))?;
            this.sum = Some(match this.sum.take() {
                Some(sum) => (this.add)(sum, answer),
                None => answer,
            });
        }
        Poll::Ready(this.sum.take().ok_or_else(Error::closed))
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("parts_to_come", &self.parts.len()).finish_non_exhaustive()
    }
}

/// Wakes a thread that waits as a task would be woken.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
