//! How a request reaches all shards at the price of one wake-up: the shards wake each other.
//!
//! To wake a thread is a system call of some microseconds, so who wakes every shard waits the longer the
//! more there are. Instead every shard's message is left in its mailbox, that of one that sleeps with a
//! [`Rouse`], and the first shard is woken: whoever takes a rouse out, or drops it unread, wakes two others. It
//! is a tree, so the last one wakes after as many steps as there are doublings. One that is awake may be in
//! slow code of the user's and not come to its message for long: those below it the asker wakes himself.
//! Invariant: no-lost-wake-up (see `docs/concurrency.md`). Layer: shard.

use super::Shard;
use super::command::{Command, Message};
use std::sync::Arc;

/// Leaves every shard one of the `commands`, does what they are about, and sees to it that all come to them. `then` says
/// whether a shard may sleep that has taken its own already.
pub(crate) fn leave_with_all<K, V>(
    shards: &Arc<[Shard<K, V>]>,
    commands: impl IntoIterator<Item = Command<K, V>>,
    then: impl FnOnce() -> bool,
) {
    let mut heeding = vec![0];
    // The last first: a shard may be awake and take its message at once, and those whom it wakes then, whose
    // numbers are greater, must have theirs.
    for (number, command) in (0..shards.len()).rev().zip(commands) {
        let rouse = if shards[number].signal().sleeps() {
            Some(Rouse { shards: Arc::clone(shards), number })
        } else {
            heeding.extend(below(number));
            None
        };
        shards[number].leave(Message { command, rouse });
    }
    if then() {
        // Their messages are counted when they are heeded.
        shards.iter().for_each(|shard| shard.signal().wake());
    }
    heeding.into_iter().filter_map(|number| shards.get(number)).for_each(Shard::heed);
}

/// Whom a shard wakes.
fn below(number: usize) -> [usize; 2] {
    [2 * number + 1, 2 * number + 2]
}

/// The duty to wake others, of the shard that has it. Done when it is dropped, on whatever way.
pub(crate) struct Rouse<K, V> {
    shards: Arc<[Shard<K, V>]>,
    number: usize,
}

impl<K, V> Drop for Rouse<K, V> {
    fn drop(&mut self) {
        let woken = below(self.number).into_iter().filter_map(|number| self.shards.get(number));
        woken.for_each(Shard::heed);
    }
}
