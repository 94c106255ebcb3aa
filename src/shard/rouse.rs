//! How a request reaches all shards at the price of one wake-up: the shards wake each other.
//!
//! To wake a thread is a system call of some microseconds, so who wakes every shard waits the longer the
//! more there are. Instead every shard's message is left in its mailbox with a [`Rouse`], the first shard
//! is woken, and whoever takes a rouse out, or drops it unread, wakes two others: a tree, so the last one
//! wakes after as many steps as there are doublings. Invariant: no-lost-wake-up (see
//! `docs/concurrency.md`). Layer: shard.

use super::Shard;
use super::command::{Command, Message};
use std::sync::Arc;

/// Leaves a command for one shard, which is woken by another. To be done for every one, and then [`begin`].
pub(crate) fn leave<K, V>(shards: &Arc<[Shard<K, V>]>, number: usize, command: Command<K, V>) {
    let rouse = Rouse { shards: Arc::clone(shards), number };
    shards[number].leave(Message { command, rouse: Some(rouse) });
}

/// Wakes the first shard. Every shard has its message by now, so each finds one for those whom it wakes.
pub(crate) fn begin<K, V>(shards: &[Shard<K, V>]) {
    shards[0].heed();
}

/// The duty to wake others, of the shard that has it. Done when it is dropped, on whatever way.
pub(crate) struct Rouse<K, V> {
    shards: Arc<[Shard<K, V>]>,
    number: usize,
}

impl<K, V> Drop for Rouse<K, V> {
    fn drop(&mut self) {
        let below = 2 * self.number + 1;
        self.shards.iter().skip(below).take(2).for_each(Shard::heed);
    }
}
