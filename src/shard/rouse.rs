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

/// Leaves every shard one of the `commands` and wakes the first.
pub(crate) fn leave_with_all<K, V>(
    shards: &Arc<[Shard<K, V>]>,
    commands: impl IntoIterator<Item = Command<K, V>>,
) {
    // The last first: a shard may be awake and take its message at once, and those whom it wakes then, whose
    // numbers are greater, must have theirs.
    for (number, command) in (0..shards.len()).rev().zip(commands) {
        let rouse = Rouse { shards: Arc::clone(shards), number };
        shards[number].leave(Message { command, rouse: Some(rouse) });
    }
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
