//! Flume's channels with crossbeam-channel's names. No model has a subscriber: it is enough that they compile.

use flume::{RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

#[derive(Clone)]
pub struct Receiver<T>(flume::Receiver<T>);

pub use flume::Iter;

#[derive(Debug)]
pub struct RecvError;

pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = flume::bounded(capacity);
    (sender, Receiver(receiver))
}

impl<T> Receiver<T> {
    pub fn iter(&self) -> Iter<'_, T> {
        self.0.iter()
    }

    pub fn recv(&self) -> Result<T, RecvError> {
        self.0.recv().map_err(|_| RecvError)
    }

    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_recv()
    }

    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(timeout)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
