//! The read index: what the shard has published, for every thread to read in place.
//!
//! One writer (the shard thread, through [`IndexWriter`]), many readers (through [`ReadIndex`], pinned).
//! A table of buckets, each one cache line: a control word of seven tag bytes and an overflow count,
//! and seven pointers. A look-up compares seven tags in one 64-bit operation and touches two lines, the
//! bucket and the entry. The overflow count says how many entries passed a full bucket on their way, so
//! a probe ends early and a removal leaves nothing behind (after F14, Bronson and Shi, 2019). An entry that passed one is
//! *away*. When a cell is freed, one that is away behind it comes there: else entries that come to a full table, as all do in a
//! cache that evicts, would stay away, and in the end every probe would be long.
//!
//! ```text
//! bucket: | t0 t1 t2 t3 t4 t5 t6 ov | cell 0 | cell 1 | ... | cell 6 |   64 bytes
//! ```
//!
//! The table grows, and shrinks again, by a shadow: readers probe the old table until the new one is complete; each
//! write and removal migrates a few buckets, and goes to both tables where it concerns a migrated bucket. A shard that
//! rests migrates what is left, lest it keep two tables. Invariants: single-writer, publish-before-unlink (see
//! `docs/concurrency.md`). Layer: shard.
#![expect(unsafe_code, reason = "one of the five files where it is allowed (`tests/tidy.rs`)")]

use super::away::{Away, OVERFLOW_SHIFT};
use super::entry::{Entry, EntryRef, Seen};
use super::hash::{home, matching, tag, tags};
use crate::sync::reclaim::Pinned;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use std::alloc::{Layout, handle_alloc_error};
use std::ptr::NonNull;

const CELLS: usize = 7;

/// A table that holds more than this share of its cells grows.
const MAX_LOAD: (usize, usize) = (4, 5);
/// A table that holds less than this share of its cells shrinks to half, but not below its first size: so little that
/// the smaller one is far from full when it is complete, and does not grow soon.
const MIN_LOAD: (usize, usize) = (1, 4);
/// Buckets that each write moves while the table grows or shrinks: done long before the one or other is full.
const MIGRATED_PER_WRITE: usize = if cfg!(cache_loom) { 1 } else { 4 };
/// Buckets that a shard which rests moves in one turn: as many as 128 writes do, so that a write that comes meanwhile
/// waits no longer than behind those.
const MIGRATED_AT_REST: usize = 512;
const FIRST_BUCKETS: usize = if cfg!(any(cache_loom, cache_shuttle)) { 1 } else { 64 };

#[repr(C, align(64))]
pub(super) struct Bucket<K, V> {
    pub(super) control: AtomicU64,
    cells: [AtomicPtr<Entry<K, V>>; CELLS],
}

pub(super) struct Table<K, V> {
    pub(super) buckets: Box<[Bucket<K, V>]>,
}

/// What readers hold of the index.
pub(crate) struct ReadIndex<K, V> {
    root: AtomicPtr<Table<K, V>>,
    first_buckets: usize,
}

/// The right to change the index: one exists, the shard thread has it.
pub(super) struct IndexWriter<K, V> {
    entries: usize,
    pub(super) away: Away,
    growth: Option<Growth<K, V>>,
}

/// A table that is to take the place of the published one, larger or smaller.
struct Growth<K, V> {
    table: Box<Table<K, V>>,
    away: Away,
    /// Buckets of the old table below this one are in the new one too.
    migrated: usize,
}

/// Where an entry is published.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) bucket: usize,
    pub(super) cell: usize,
}

impl<K, V> ReadIndex<K, V> {
    /// An index for `entries` entries if that is known, else one that grows from little; nothing if there
    /// is no memory for it.
    pub(crate) fn new(entries: Option<usize>) -> Option<Self> {
        let buckets = entries.map_or(FIRST_BUCKETS, |n| {
            (n.saturating_mul(MAX_LOAD.1) / (CELLS * MAX_LOAD.0) + 1).max(FIRST_BUCKETS)
        });
        let root = AtomicPtr::new(Box::into_raw(Box::new(Table::new(buckets)?)));
        Some(Self { root, first_buckets: buckets })
    }

    /// The published entry of `hash` that `is_it` accepts. Never waits; bounded by the table.
    #[inline(always)]
    pub(crate) fn find<'g>(
        &self,
        hash: u32,
        is_it: impl Fn(&Entry<K, V>) -> bool + Copy,
        _pinned: Pinned<'g>,
    ) -> Option<Seen<'g, K, V>> {
        // Acquire: a new table is complete when it is seen [edge: index-root].
        let root = self.root.load(Ordering::Acquire);
        // SAFETY: [invariant: graves] a table that was replaced is freed after our pin.
        let table = unsafe { &*root };
        // A hash that differs spares the way to what a key owns. Others, most of them numbers, are compared as
        // fast themselves, and equal tags have left few that differ.
        let is_it = move |entry: &Entry<K, V>| {
            (!std::mem::needs_drop::<K>() || entry.hash() == hash) && is_it(entry)
        };
        let (_, found) = table.probe(hash, is_it)?;
        // SAFETY: [invariant: graves] an entry that was published under our pin outlives it.
        Some(unsafe { Seen::new(found) })
    }

    pub(super) fn table(&self, _writer: &IndexWriter<K, V>) -> &Table<K, V> {
        // Relaxed: only the writer, which is the caller, changes the root.
        let root = self.root.load(Ordering::Relaxed);
        // SAFETY: [invariant: single-writer] the caller alone replaces the table.
        unsafe { &*root }
    }

    /// What the first cell in the home bucket of `hash` has that bears its tag: very likely its entry. Reads the
    /// bucket only.
    #[inline]
    pub(super) fn guess(&self, writer: &IndexWriter<K, V>, hash: u32) -> Option<EntryRef<K, V>> {
        let buckets = &self.table(writer).buckets;
        let bucket = &buckets[home(hash, buckets.len())];
        // Relaxed: only the writer, which is the caller, changes the bucket.
        let candidates = matching(bucket.control.load(Ordering::Relaxed), tags(hash));
        if candidates == 0 {
            return None;
        }
        let cell = (candidates.trailing_zeros() / 8) as usize;
        // Relaxed: as above.
        NonNull::new(bucket.cells[cell].load(Ordering::Relaxed)).map(EntryRef)
    }

    /// The published entry of `hash` that `is_it` accepts, for the shard.
    pub(super) fn resident(
        &self,
        writer: &IndexWriter<K, V>,
        hash: u32,
        is_it: impl Fn(&Entry<K, V>) -> bool,
    ) -> Option<EntryRef<K, V>> {
        let is_it = |entry: &Entry<K, V>| entry.hash() == hash && is_it(entry);
        self.table(writer).probe(hash, is_it).map(|(_, entry)| EntryRef(entry))
    }
}

impl<K, V> Drop for ReadIndex<K, V> {
    fn drop(&mut self) {
        // Relaxed: no other thread has the index any more.
        let root = self.root.load(Ordering::Relaxed);
        // SAFETY: [invariant: single-writer] made by `Box::into_raw`, and no reader is left.
        drop(unsafe { Box::from_raw(root) });
    }
}

impl<K, V> IndexWriter<K, V> {
    pub(super) fn new() -> Self {
        Self { entries: 0, away: Away::default(), growth: None }
    }

    /// Publishes an entry whose key is not in the index. Gives a table that was outgrown, to be retired.
    pub(super) fn publish(
        &mut self,
        index: &ReadIndex<K, V>,
        entry: EntryRef<K, V>,
    ) -> Option<Box<Table<K, V>>> {
        let hash = entry.get().hash();
        let place = index.table(self).place(hash, entry.0, &mut self.away);
        self.entries += 1;
        if let Some(growth) = self.growth_beyond(place) {
            growth.table.place(hash, entry.0, &mut growth.away);
        }
        self.resize(index)
    }

    /// Publishes `new` in the place of `old`, which has the same key.
    pub(super) fn replace(
        &mut self,
        index: &ReadIndex<K, V>,
        old: EntryRef<K, V>,
        new: EntryRef<K, V>,
    ) {
        let hash = old.get().hash();
        if let Some(place) = index.table(self).replace(hash, old.0, new.0) {
            if let Some(growth) = self.growth_beyond(place) {
                growth.table.replace(hash, old.0, new.0);
            }
        }
    }

    /// Takes an entry out. Gives a table that had become too large, to be retired.
    pub(super) fn withdraw(
        &mut self,
        index: &ReadIndex<K, V>,
        entry: EntryRef<K, V>,
    ) -> Option<Box<Table<K, V>>> {
        let hash = entry.get().hash();
        let table = index.table(self);
        if let Some(place) = table.withdraw(hash, entry.0, &mut self.away) {
            self.entries -= 1;
            if let Some(growth) = self.growth_beyond(place) {
                growth.table.withdraw(hash, entry.0, &mut growth.away);
            }
            // A migration copies each bucket once, and everybody must be where it comes by.
            if self.growth.is_none() {
                table.bring_home(place, &mut self.away);
            }
        }
        let is_outsized = self.is_outsized(table.buckets.len(), index.first_buckets);
        if is_outsized || self.growth.is_some() { self.resize(index) } else { None }
    }

    /// The growth, if what is at `place` of the old table has been migrated.
    fn growth_beyond(&mut self, place: Place) -> Option<&mut Growth<K, V>> {
        self.growth.as_mut().filter(|growth| place.bucket < growth.migrated)
    }

    /// A table of another size, if there should be one.
    fn successor(&self, index: &ReadIndex<K, V>) -> Option<Table<K, V>> {
        let buckets = index.table(self).buckets.len();
        let cells = buckets * CELLS;
        if self.entries * MAX_LOAD.1 > cells * MAX_LOAD.0 {
            let table = Table::new(buckets * 2);
            Some(table.unwrap_or_else(|| no_memory::<K, V>(buckets * 2)))
        } else if self.is_outsized(buckets, index.first_buckets) {
            // Without memory for a smaller one the larger one stays.
            Table::new(buckets / 2)
        } else {
            None
        }
    }

    fn is_outsized(&self, buckets: usize, first: usize) -> bool {
        self.entries * MIN_LOAD.1 < buckets * CELLS * MIN_LOAD.0 && buckets > first
    }

    fn resize(&mut self, index: &ReadIndex<K, V>) -> Option<Box<Table<K, V>>> {
        if self.growth.is_none() {
            let table = Box::new(self.successor(index)?);
            self.growth = Some(Growth { table, away: Away::default(), migrated: 0 });
        }
        self.migrate(index, MIGRATED_PER_WRITE)
    }

    /// Goes on with a change of size that no write has come to finish. Gives a table that is no longer needed, to be
    /// retired, and whether there is more.
    pub(super) fn rest(&mut self, index: &ReadIndex<K, V>) -> (Option<Box<Table<K, V>>>, bool) {
        let old = self.migrate(index, MIGRATED_AT_REST);
        (old, self.growth.is_some())
    }

    fn migrate(&mut self, index: &ReadIndex<K, V>, most: usize) -> Option<Box<Table<K, V>>> {
        let mut growth = self.growth.take()?;
        let old = index.table(self);
        let buckets = old.buckets.len();
        let until = (growth.migrated + most).min(buckets);
        for entry in old.buckets[growth.migrated..until].iter().flat_map(Bucket::entries) {
            growth.table.place(EntryRef(entry).get().hash(), entry, &mut growth.away);
        }
        growth.migrated = until;
        if until < buckets {
            self.growth = Some(growth);
            return None;
        }
        self.away = growth.away;
        let new = Box::into_raw(growth.table);
        // Release: whoever finds the new table finds it complete [edge: index-root].
        // Relaxed for the old pointer: this thread stored it.
        let old = index.root.swap(new, Ordering::Release);
        // SAFETY: [invariant: single-writer] made by `Box::into_raw`; the caller retires it, so readers
        // that still probe it are waited for.
        Some(unsafe { Box::from_raw(old) })
    }
}

impl<K, V> Table<K, V> {
    /// An empty table, if there is memory for it.
    fn new(buckets: usize) -> Option<Self> {
        zeroed(buckets).map(|buckets| Self { buckets })
    }

    /// The entry on the way of `hash` that is accepted, of those that have its tag. In a table that nobody changes meanwhile it asks
    /// of none twice.
    #[inline(always)]
    fn probe(
        &self,
        hash: u32,
        is_it: impl Fn(&Entry<K, V>) -> bool,
    ) -> Option<(Place, NonNull<Entry<K, V>>)> {
        let at = home(hash, self.buckets.len());
        // SAFETY: [invariant: home] it is one of as many buckets as there are.
        let bucket = unsafe { self.buckets.get_unchecked(at) };
        // Acquire: a tag that is seen has its pointer behind it [edge: publish].
        let control = bucket.control.load(Ordering::Acquire);
        let candidates = matching(control, tags(hash));
        let first = bucket.first_of(candidates);
        // SAFETY: [invariant: graves] as in `Bucket::search`.
        match first.filter(|(_, entry)| is_it(unsafe { entry.as_ref() })) {
            Some((cell, entry)) => Some((Place { bucket: at, cell }, entry)),
            None if candidates == 0 && control >> OVERFLOW_SHIFT == 0 => None,
            None => self.probe_on(at, hash, first.map(|(_, entry)| entry), is_it),
        }
    }

    /// Goes on with a probe whose home has more that may be it, or has overflowed. Whoever is away may come nearer meanwhile. So
    /// it asks on the way back: who comes nearer is there before he leaves, and from his home he does not.
    #[cold]
    fn probe_on(
        &self,
        home: usize,
        hash: u32,
        asked: Option<NonNull<Entry<K, V>>>,
        is_it: impl Fn(&Entry<K, V>) -> bool,
    ) -> Option<(Place, NonNull<Entry<K, V>>)> {
        let mut asked_at_home = [None; CELLS];
        asked_at_home[0] = asked;
        let mut is_it_at_home = |entry: &Entry<K, V>| {
            let at = Some(NonNull::from(entry));
            if asked_at_home.contains(&at) {
                return false;
            }
            if let Some(free) = asked_at_home.iter_mut().find(|one| one.is_none()) {
                *free = at;
            }
            is_it(entry)
        };
        let found = |at, (cell, entry)| Some((Place { bucket: at, cell }, entry));
        if let Some(one) = self.buckets[home].search(hash, &mut is_it_at_home) {
            return found(home, one);
        }
        let mut at = home;
        for _ in 1..self.buckets.len() {
            if self.buckets[at].overflow() == 0 {
                break;
            }
            at = self.after(at);
        }
        while at != home {
            if let Some(one) = self.buckets[at].search(hash, &is_it) {
                return found(at, one);
            }
            at = at.checked_sub(1).unwrap_or(self.buckets.len() - 1);
        }
        self.buckets[home].search(hash, is_it_at_home).and_then(|one| found(home, one))
    }

    /// Puts `entry` into the first free cell on its way. There is one: tables grow long before.
    fn place(&self, hash: u32, entry: NonNull<Entry<K, V>>, away: &mut Away) -> Place {
        let home = home(hash, self.buckets.len());
        let mut at = home;
        // Relaxed: this thread is the only writer.
        let is_free = |cell: &AtomicPtr<Entry<K, V>>| cell.load(Ordering::Relaxed).is_null();
        let cell = loop {
            match self.buckets[at].cells.iter().position(is_free) {
                Some(cell) => break cell,
                None => at = self.after(at),
            }
        };
        let place = Place { bucket: at, cell };
        self.pass(home, at, 1);
        self.buckets[at].put(cell, entry, hash);
        away.note(self.buckets.len(), place, at != home);
        place
    }

    fn replace(
        &self,
        hash: u32,
        old: NonNull<Entry<K, V>>,
        new: NonNull<Entry<K, V>>,
    ) -> Option<Place> {
        let (place, _) = self.probe(hash, |entry| NonNull::from(entry) == old)?;
        // Release: as in `place` [edge: publish].
        self.buckets[place.bucket].cells[place.cell].store(new.as_ptr(), Ordering::Release);
        Some(place)
    }

    fn withdraw(&self, hash: u32, entry: NonNull<Entry<K, V>>, away: &mut Away) -> Option<Place> {
        let (place, _) = self.probe(hash, |candidate| NonNull::from(candidate) == entry)?;
        self.buckets[place.bucket].clear(place.cell);
        self.pass(home(hash, self.buckets.len()), place.bucket, -1);
        away.note(self.buckets.len(), place, false);
        Some(place)
    }
}

impl<K, V> Bucket<K, V> {
    /// The first cell of the tag of `hash` whose entry is accepted.
    fn search(
        &self,
        hash: u32,
        mut is_it: impl FnMut(&Entry<K, V>) -> bool,
    ) -> Option<(usize, NonNull<Entry<K, V>>)> {
        // Acquire: a tag that is seen has its pointer behind it [edge: publish].
        let mut candidates = matching(self.control.load(Ordering::Acquire), tags(hash));
        while candidates != 0 {
            // SAFETY: [invariant: graves] readers are pinned and the writer is the shard: an entry that is found in a
            // cell is not freed under either.
            let found =
                self.first_of(candidates).filter(|(_, entry)| is_it(unsafe { entry.as_ref() }));
            if found.is_some() {
                return found;
            }
            candidates &= candidates - 1;
        }
        None
    }

    /// Who is in the first of the cells that a control word and a tag have in common. An empty cell, too, can have the tag.
    #[inline(always)]
    fn first_of(&self, candidates: u64) -> Option<(usize, NonNull<Entry<K, V>>)> {
        if candidates == 0 {
            return None;
        }
        let cell = (candidates.trailing_zeros() / 8) as usize;
        // Acquire: the entry is read next [edge: publish].
        NonNull::new(self.cells[cell].load(Ordering::Acquire)).map(|entry| (cell, entry))
    }

    /// Who is in a cell, for the writer.
    pub(super) fn at(&self, cell: usize) -> Option<NonNull<Entry<K, V>>> {
        // Relaxed: this thread is that writer.
        NonNull::new(self.cells[cell].load(Ordering::Relaxed))
    }

    /// Puts an entry into a cell that is free.
    pub(super) fn put(&self, cell: usize, entry: NonNull<Entry<K, V>>, hash: u32) {
        // Release: whoever finds the pointer finds the entry complete [edge: publish].
        self.cells[cell].store(entry.as_ptr(), Ordering::Release);
        // Relaxed: this thread is the only writer.
        let control = self.control.load(Ordering::Relaxed);
        // Release: a tag is seen only with its pointer [edge: publish].
        self.control.store(control | u64::from(tag(hash)) << (8 * cell), Ordering::Release);
    }

    /// Frees a cell.
    pub(super) fn clear(&self, cell: usize) {
        // Relaxed: this thread is the only writer.
        let control = self.control.load(Ordering::Relaxed);
        // Release: a reader that misses the tag finds what preceded its removal [edge: publish].
        self.control.store(control & !(0xff << (8 * cell)), Ordering::Release);
        // Release: as above, for a tag of zero, which the control word has still [edge: publish].
        self.cells[cell].store(std::ptr::null_mut(), Ordering::Release);
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = NonNull<Entry<K, V>>> {
        // Relaxed: this thread is the only writer.
        self.cells.iter().filter_map(|cell| NonNull::new(cell.load(Ordering::Relaxed)))
    }
}

/// Ends the process as any allocation that fails does: a table that is full cannot be published into.
#[cold]
fn no_memory<K, V>(buckets: usize) -> ! {
    let layout = Layout::array::<Bucket<K, V>>(buckets).expect("a table fits the address space");
    handle_alloc_error(layout)
}

/// Empty buckets that the operating system has not yet had to back with memory.
#[cfg(not(any(cache_loom, cache_shuttle)))]
fn zeroed<K, V>(buckets: usize) -> Option<Box<[Bucket<K, V>]>> {
    let layout = Layout::array::<Bucket<K, V>>(buckets).ok()?;
    // SAFETY: [invariant: zeroed-table] the layout is not empty: there is at least one bucket.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    if memory.is_null() {
        return None;
    }
    let slice = std::ptr::slice_from_raw_parts_mut(memory.cast::<Bucket<K, V>>(), buckets);
    // SAFETY: [invariant: zeroed-table] allocated with the layout of this slice, and all-zero bytes are
    // an empty bucket: atomics of zero and null pointers.
    Some(unsafe { Box::from_raw(slice) })
}

#[cfg(any(cache_loom, cache_shuttle))]
fn zeroed<K, V>(buckets: usize) -> Option<Box<[Bucket<K, V>]>> {
    let empty = |_| Bucket {
        control: AtomicU64::new(0),
        cells: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
    };
    Some((0..buckets).map(empty).collect())
}
