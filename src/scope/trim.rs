//! How the maps of scopes become small again after there were many.
//!
//! papaya has no call that shrinks: `reserve` only grows, and `retain` and `clear` keep the table. It makes another
//! table, of half the size if an eighth of it or less is in use, when an insertion finds its whole way full of what
//! was removed; then each insertion that finds its way full moves a piece of the old one. Where scopes come and go
//! that happens by itself; where they only go, it never would. So after there were many, each scope that ends has a
//! key that is no scope's come and go, or come in vain, a few times.
//!
//! That uses nothing but insertion and removal, and is a bounded number of them for each scope that ends. What is not
//! bounded is that papaya makes a table at once, here as where it grows: zeroing the first smaller one after a million
//! scopes, 18 MiB, takes the shard up to 10 ms, the next ones about 1 ms. Should papaya choose otherwise one day, it
//! would cost memory and nothing else; `tests/memory.rs` would tell. Layer: scope.

use super::trie::Trie;

/// Times for each scope that ends: enough for tables to be half as large when half as many are left.
const STEPS: u64 = 4;
/// A map that had no more scopes keeps its table.
const FEW: u64 = if cfg!(any(cache_loom, cache_shuttle)) { 1 << 32 } else { 512 };

/// How far one table has been made smaller.
#[derive(Default)]
pub(crate) struct Trim {
    /// The most scopes that the tables may be made for.
    most: u64,
    /// Steps since they were last known to be for so many.
    steps: u64,
}

impl Trim {
    /// Goes on a little, if there is reason to, after a scope has ended.
    pub(crate) fn step(&mut self, trie: &Trie) {
        let len = trie.len();
        self.most = self.most.max(len);
        if self.most <= FEW || len > self.most / 8 {
            self.steps = 0;
            return;
        }
        // The maps double when they are at least half full, so this is the most that a table has.
        let room = (self.most * 4).next_power_of_two();
        // How far papaya looks for a place, and a few.
        let way = 5 * u64::from(room.ilog2()) + 4;
        for _ in 0..STEPS {
            match self.steps {
                step if step < way => trie.pass_through(true),
                // At each one a piece of 64, so that with the last one all are done or in somebody's hands.
                step if step < way + room / 64 => trie.pass_through(false),
                _ => {
                    trie.pass_through(true);
                    trie.let_go();
                    *self = Self { most: self.most / 2, steps: 0 };
                    return;
                }
            }
            self.steps += 1;
        }
    }
}
