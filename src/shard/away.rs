//! Who is away: entries of a table that found their home bucket full, the count of them that each bucket has that they passed, and
//! how they come home when a cell is freed.
//!
//! Which cells hold such is known to the writer alone, so that it looks at no others. An entry that comes nearer to its home is
//! put into the nearer cell before it leaves the other, so that a reader who goes the way from the end to home cannot miss
//! it. Layer: shard.

use super::entry::{Entry, EntryRef};
use super::hash::home;
use super::index::{Bucket, Place, Table};
use crate::sync::Ordering;
use std::ptr::NonNull;

/// How many buckets behind a freed cell are looked at for who may come there, and how many may come one behind the other.
const REACH: usize = 2;
const HOMECOMINGS: usize = 3;

/// Where in a control word it stands how many entries have passed the bucket.
pub(super) const OVERFLOW_SHIFT: u32 = 56;
const OVERFLOW_MAX: u64 = 0xff;

/// One bit for each cell, in a byte for each bucket; nothing before somebody is away.
#[derive(Default)]
pub(super) struct Away(Vec<u8>);

impl Away {
    /// Notes whether the entry in a cell is away, in a table of so many buckets.
    pub(super) fn note(&mut self, buckets: usize, Place { bucket, cell }: Place, is_away: bool) {
        if is_away && self.0.is_empty() {
            self.0 = vec![0; buckets];
        }
        if let Some(cells) = self.0.get_mut(bucket) {
            *cells = *cells & !(1 << cell) | u8::from(is_away) << cell;
        }
    }

    /// The cells of a bucket whose entries are away.
    pub(super) fn cells(&self, bucket: usize) -> impl Iterator<Item = usize> {
        let cells = self.0.get(bucket).copied().unwrap_or(0);
        (0..u8::BITS as usize).filter(move |cell| cells & 1 << cell != 0)
    }
}

impl<K, V> Table<K, V> {
    /// Has entries that are away come to a cell that was freed, and to those that they leave.
    pub(super) fn bring_home(&self, mut free: Place, away: &mut Away) {
        for _ in 0..HOMECOMINGS {
            if self.buckets[free.bucket].overflow() == 0 {
                return;
            }
            let Some((from, entry)) = self.passer(free.bucket, away) else { return };
            let hash = EntryRef(entry).get().hash();
            self.buckets[free.bucket].put(free.cell, entry, hash);
            self.buckets[from.bucket].clear(from.cell);
            self.pass(free.bucket, from.bucket, -1);
            let buckets = self.buckets.len();
            away.note(buckets, from, false);
            away.note(buckets, free, home(hash, buckets) != free.bucket);
            free = from;
        }
    }

    /// An entry that passed a bucket and is not far behind it.
    fn passer(&self, bucket: usize, away: &Away) -> Option<(Place, NonNull<Entry<K, V>>)> {
        let mut at = bucket;
        for distance in 1..=REACH {
            at = self.after(at);
            for cell in away.cells(at) {
                let entry = self.buckets[at].at(cell)?;
                let home = home(EntryRef(entry).get().hash(), self.buckets.len());
                let way = if at >= home { at - home } else { at + self.buckets.len() - home };
                if way >= distance {
                    return Some((Place { bucket: at, cell }, entry));
                }
            }
        }
        None
    }

    #[inline]
    pub(super) fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    /// Counts in all buckets from `home` until before `to` that an entry passes them, or no longer does.
    pub(super) fn pass(&self, home: usize, to: usize, change: i64) {
        let mut at = home;
        while at != to {
            self.buckets[at].count_overflow(change);
            at = self.after(at);
        }
    }
}

impl<K, V> Bucket<K, V> {
    /// How many entries have passed it.
    pub(super) fn overflow(&self) -> u64 {
        // Acquire: who no longer passes it is found where he has come to [edge: publish].
        self.control.load(Ordering::Acquire) >> OVERFLOW_SHIFT
    }

    /// Counts an entry that passes this full bucket, or no longer does. A count that reached its
    /// maximum stays there: probes go on, which costs time and never an entry.
    fn count_overflow(&self, change: i64) {
        // Relaxed: this thread is the only writer.
        let control = self.control.load(Ordering::Relaxed);
        let count = control >> OVERFLOW_SHIFT;
        if count < OVERFLOW_MAX {
            let count = count.saturating_add_signed(change);
            let control = control & !(OVERFLOW_MAX << OVERFLOW_SHIFT) | count << OVERFLOW_SHIFT;
            // Release: as every store of a control word [edge: publish].
            self.control.store(control, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::Blocks;
    use super::super::entry::{Entry, Expiry};
    use super::super::index::{IndexWriter, ReadIndex};
    use super::super::pending::Draft;
    use super::{EntryRef, NonNull, home};
    use crate::scope::{GLOBAL, ScopeStamp};

    /// An index, what is in it, and where chance stands.
    struct Turnover {
        index: ReadIndex<u32, ()>,
        writer: IndexWriter<u32, ()>,
        entries: Vec<Draft<Entry<u32, ()>>>,
        chance: u64,
    }

    impl Turnover {
        fn new(entries: Option<usize>) -> Self {
            let index = ReadIndex::new(entries).expect("memory for a table");
            Self { index, writer: IndexWriter::new(), entries: Vec::new(), chance: 1 }
        }

        fn chance(&mut self) -> u32 {
            // Knuth's MMIX generator, of which the high bits are good.
            self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.chance >> 32) as u32
        }

        fn publish(&mut self) {
            let key = self.chance() & !0b111;
            let origin = (key, ScopeStamp::new(GLOBAL, 0), 0);
            let entry = Entry::write(origin, Expiry::NEVER, (key, ()), &Blocks::new(0));
            drop(self.writer.publish(&self.index, EntryRef(entry.pointer())));
            self.entries.push(entry);
        }

        fn withdraw(&mut self) {
            let at = self.chance() as usize % self.entries.len();
            let entry = self.entries.swap_remove(at);
            drop(self.writer.withdraw(&self.index, EntryRef(entry.pointer())));
        }

        /// Finds every entry, counts anew how many have passed each bucket, and says how many are away.
        fn validate(&self) -> usize {
            let table = self.index.table(&self.writer);
            let mut passed = vec![0; table.buckets.len()];
            let mut are_away = 0;
            for (at, bucket) in table.buckets.iter().enumerate() {
                for cell in 0..7 {
                    let entry = bucket.at(cell).map(EntryRef);
                    let home = entry.map_or(at, |entry| home(entry.get().hash(), passed.len()));
                    let is_away = self.writer.away.cells(at).any(|away| away == cell);
                    assert_eq!(is_away, home != at, "bucket {at}, cell {cell}");
                    are_away += usize::from(is_away);
                    let mut before = home;
                    while before != at {
                        passed[before] += 1;
                        before = table.after(before);
                    }
                }
            }
            let counts: Vec<_> = table.buckets.iter().map(|bucket| bucket.overflow()).collect();
            assert_eq!(counts, passed);
            for entry in &self.entries {
                let at = entry.pointer();
                let is_it = |other: &Entry<u32, ()>| NonNull::from(other) == at;
                let found = self.index.resident(&self.writer, EntryRef(at).get().hash(), is_it);
                assert!(found.is_some(), "an entry is not found");
            }
            are_away
        }
    }

    #[test]
    fn in_a_full_table_that_is_turned_over_most_stay_at_home() {
        const ENTRIES: usize = 4_000;
        // As many more as a cache's index has room for.
        let mut full = Turnover::new(Some(ENTRIES + ENTRIES / 8));
        (0..ENTRIES).for_each(|_| full.publish());
        let at_first = full.validate();
        for _ in 0..20 {
            for _ in 0..ENTRIES {
                full.withdraw();
                full.publish();
            }
            let away = full.validate();
            assert!(away < ENTRIES / 12, "{away} of {ENTRIES} are away, {at_first} were at first");
        }
    }

    /// Somebody who came home over the head of a migration would be left behind by it.
    #[test]
    fn nobody_is_lost_while_the_table_grows_and_shrinks() {
        let mut table = Turnover::new(None);
        for most in [6_000, 50, 3_000, 400] {
            while table.entries.len().abs_diff(most) > 10 {
                let grows = table.entries.len() < most;
                for step in 0..10 {
                    if (step < 7) == grows || table.entries.is_empty() {
                        table.publish();
                    } else {
                        table.withdraw();
                    }
                }
                if table.chance() % 8 == 0 {
                    table.validate();
                }
            }
        }
    }
}
