//! Look-ups: from a place and a key to the live entry, counted and noted as read. Never waits.
//!
//! [`Front::read`] pins, [`Front::look`] goes the way of the kind that the place is of, and [`Front::search`] asks the
//! shard. Layer: front.

use crate::clock::deadline;
use crate::front::Front;
use crate::scope::place::{Doubt, Place};
use crate::shard::Shard;
use crate::shard::entry::Live;
use crate::stats::Caller;
use crate::sync::reclaim::{self, Pinned};
use equivalent::Equivalent;
use std::hash::Hash;
use std::time::Duration;

/// A live entry, and the shard that has it.
pub(crate) struct Found<'g, K, V> {
    pub(crate) live: Live<'g, K, V>,
    pub(crate) shard: &'g Shard<K, V>,
}

impl<K, V> Front<K, V> {
    /// What `read` makes of the value of a key.
    #[inline]
    pub(crate) fn read<Q, R>(
        &self,
        place: impl Place,
        key: &Q,
        read: impl FnOnce(&V) -> R,
    ) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        match reclaim::enter() {
            Some(reader) => self.look(place, key, reader.pinned()).map(|live| read(live.value())),
            None => self.read_with_guard(place, key, read),
        }
    }

    /// Apart, so that other look-ups keep no more of being pinned than a reader does.
    #[cold]
    fn read_with_guard<Q, R>(
        &self,
        place: impl Place,
        key: &Q,
        read: impl FnOnce(&V) -> R,
    ) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        reclaim::pinned(|pinned| self.look(place, key, pinned).map(|live| read(live.value())))
    }

    /// The live entry of a key: counts a hit or a miss and notes that the entry was read.
    #[inline(always)]
    pub(crate) fn look<'g, Q>(
        &'g self,
        place: impl Place,
        key: &Q,
        pinned: Pinned<'g>,
    ) -> Option<Live<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.seek::<true, _>(place, key, pinned)
    }

    /// As `look`, but counts no miss.
    #[inline(always)]
    pub(crate) fn glance<'g, Q>(
        &'g self,
        place: impl Place,
        key: &Q,
        pinned: Pinned<'g>,
    ) -> Option<Live<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.seek::<false, _>(place, key, pinned)
    }

    #[inline(always)]
    fn seek<'g, const COUNTS_MISS: bool, Q>(
        &'g self,
        place: impl Place,
        key: &Q,
        pinned: Pinned<'g>,
    ) -> Option<Live<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        if let Some(quick) = place.quick() {
            if let Ok(found) = self.search(quick, key, pinned) {
                return self.conclude::<COUNTS_MISS>(quick, found, pinned);
            }
        }
        self.seek_around::<COUNTS_MISS, _>(place, key, pinned)
    }

    /// As `seek`, for a place that is none of the quick kind, or where that could not tell. Apart, so that look-ups of
    /// those are small enough to become part of who calls them, and keep nothing for the others.
    #[cold]
    fn seek_around<'g, const COUNTS_MISS: bool, Q>(
        &'g self,
        place: impl Place,
        key: &Q,
        pinned: Pinned<'g>,
    ) -> Option<Live<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        place.refresh();
        self.conclude::<COUNTS_MISS>(place, self.find(place, key, pinned), pinned)
    }

    #[inline]
    fn conclude<'g, const COUNTS_MISS: bool>(
        &self,
        place: impl Place,
        found: Option<Found<'g, K, V>>,
        pinned: Pinned<'_>,
    ) -> Option<Live<'g, K, V>> {
        if COUNTS_MISS && found.is_none() {
            self.count(place, pinned.lane(), Caller::Miss);
        }
        found.map(|found| self.hit(place, found, pinned))
    }

    /// The live entry of a key, neither counted nor touched. For places that are sure.
    #[inline]
    pub(crate) fn find<'g, Q, P: Place>(
        &'g self,
        place: P,
        key: &Q,
        pinned: Pinned<'g>,
    ) -> Option<Found<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        const { assert!(P::IS_SURE) };
        self.search(place, key, pinned).ok().flatten()
    }

    /// As `find`, for any place.
    #[inline(always)]
    fn search<'g, Q>(
        &'g self,
        place: impl Place,
        key: &Q,
        pinned: Pinned<'g>,
    ) -> Result<Option<Found<'g, K, V>>, Doubt>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let (hash, shard) = self.route(place, key);
        let live = shard.find(hash, move |k| key.equivalent(k), self.validity(place), pinned)?;
        // After it was found: what was submitted after the end of the place is never counted as having been there.
        Ok(live.filter(|_| !place.has_ended()).map(|live| Found { live, shard }))
    }

    /// Counts a hit and notes that the entry was read.
    #[inline]
    pub(crate) fn hit<'g>(
        &self,
        place: impl Place,
        Found { live, shard }: Found<'g, K, V>,
        pinned: Pinned<'_>,
    ) -> Live<'g, K, V> {
        self.count(place, pinned.lane(), Caller::Hit);
        live.entry().touch(shard.tick());
        // In this order: of an entry that cannot expire it is known by now.
        if live.can_expire() {
            if let Some(idle) = self.time_to_idle {
                self.prolong(live, idle);
            }
        }
        live
    }

    /// Lets an entry that was read live on.
    #[cold]
    fn prolong(&self, live: Live<'_, K, V>, time_to_idle: Duration) {
        live.extend_idle(deadline(self.clock.now(), time_to_idle));
    }
}
