//! Loading what is missing: one core that claims, leads and joins, and two endings, one that blocks
//! and one that awaits. Layer: front.

use crate::ask::Ask;
use crate::error::Error;
use crate::front::Front;
use crate::look::Found;
use crate::reply::{Reply, block_on};
use crate::scope::place::Place;
use crate::shard::Shard;
use crate::shard::flight::{Flight, Lead, LoadPermit, Note, Outcome, Ticket};
use crate::shard::hash::KeyHash;
use crate::shard::{Sight, answer};
use crate::stats::Caller;
use crate::sync::reclaim;
use crate::sync::thread::thread_local;
use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// The blocking ending.
#[inline]
pub(crate) fn blocking<K, V, A, E>(
    front: &Front<K, V>,
    place: impl Place,
    ask: A,
    loader: impl FnOnce() -> Result<A::Value, E>,
) -> Result<A::Value, Arc<E>>
where
    A: Ask<K, V>,
    E: Send + Sync + 'static,
{
    match at_hand(front, place, &ask) {
        Some(value) => Ok(value),
        None => Call::new(front, place, ask).load_blocking(loader),
    }
}

/// What most calls find, at the price of a look-up: the value, counted.
#[inline]
fn at_hand<K, V, A: Ask<K, V>>(
    front: &Front<K, V>,
    place: impl Place,
    ask: &A,
) -> Option<A::Value> {
    reclaim::pinned(|pinned| {
        let live = front.glance(place, ask, pinned)?;
        Some(A::view(live.value()).clone())
    })
}

impl<K, V, A: Ask<K, V>, P: Place> Call<'_, K, V, A, P> {
    /// What a call does that found nothing at first sight.
    fn load_blocking<E: Send + Sync + 'static>(
        mut self,
        loader: impl FnOnce() -> Result<A::Value, E>,
    ) -> Result<A::Value, Arc<E>> {
        loop {
            match self.step() {
                Step::Hit(value) => return Ok(value),
                Step::Lead(leader) => {
                    let result = {
                        let _leading = Leading::enter(leader.lead());
                        loader()
                    };
                    return leader.finish::<A, E>(result);
                }
                Step::Alone => return self.alone(loader()),
                Step::Join(ticket, _notes) => {
                    if let Some(result) = hear::<K, V, A, E>(block_on(ticket)) {
                        return result;
                    }
                }
                Step::Full(ready) => self.has_waited(ready.wait()),
            }
        }
    }
}

/// The awaiting ending.
pub(crate) async fn awaiting<K, V, A, E>(
    front: &Front<K, V>,
    place: impl Place,
    ask: A,
    loader: impl Future<Output = Result<A::Value, E>>,
) -> Result<A::Value, Arc<E>>
where
    A: Ask<K, V>,
    E: Send + Sync + 'static,
{
    if let Some(value) = at_hand(front, place, &ask) {
        return Ok(value);
    }
    let mut call = Call::new(front, place, ask);
    loop {
        match call.step() {
            Step::Hit(value) => return Ok(value),
            Step::Lead(leader) => {
                let mut loader = pin!(loader);
                let lead = leader.lead();
                let result = poll_fn(|cx| {
                    let _leading = Leading::enter(lead.clone());
                    loader.as_mut().poll(cx)
                })
                .await;
                return leader.finish::<A, E>(result);
            }
            Step::Alone => return call.alone(loader.await),
            Step::Join(ticket, _notes) => {
                if let Some(result) = hear::<K, V, A, E>(until_forked(front, ticket).await) {
                    return result;
                }
            }
            Step::Full(ready) => call.has_waited(ready.await),
        }
    }
}

/// What the ticket says; "look again" in a process that was forked off while its task waited.
async fn until_forked<K, V>(front: &Front<K, V>, ticket: Ticket<V>) -> Option<Outcome<V>> {
    let mut ticket = pin!(ticket);
    poll_fn(|cx| match ticket.as_mut().poll(cx) {
        Poll::Pending if front.is_forked() => Poll::Ready(None),
        heard => heard,
    })
    .await
}

/// One call of a load verb: what is common to both endings.
struct Call<'a, K, V, A, P> {
    front: &'a Front<K, V>,
    place: P,
    hash: KeyHash,
    shard: &'a Shard<K, V>,
    ask: A,
    /// The call has counted its miss.
    missed: bool,
    /// The shard has died, or was not forked with this process: there is nothing to wait for, and no room
    /// that anybody will make.
    closed: bool,
}

/// What the caller does next.
enum Step<'a, K, V, A: Ask<K, V>, P: Place> {
    Hit(A::Value),
    /// It loads, for all.
    Lead(Leader<'a, K, V, P>),
    /// It loads, for itself: whoever loads this key waits for a load that the caller is inside of, or is
    /// the caller itself; or this is a shard's thread, which must not wait; or the shard has no thread.
    Alone,
    /// Another caller loads. The notes say so to others as long as this one waits.
    Join(Ticket<V>, Vec<Note>),
    /// The shard has no room for what a load would add.
    Full(Reply<()>),
}

impl<'a, K, V, A, P> Call<'a, K, V, A, P>
where
    A: Ask<K, V>,
    P: Place,
{
    #[inline]
    fn new(front: &'a Front<K, V>, place: P, ask: A) -> Self {
        let (hash, shard) = front.route(place, &ask);
        Self { front, place, hash, shard, ask, missed: false, closed: false }
    }

    fn step(&mut self) -> Step<'a, K, V, A, P> {
        // Of a claim that was lost. Before the pin: if it is dropped, then under none.
        let mut owned = None;
        let guard = reclaim::pin();
        let pinned = guard.pinned();
        loop {
            let validity = self.front.validity(self.place);
            let (seen, sight) =
                self.shard.survey(self.hash, |k| self.ask.equivalent(k), validity, pinned);
            match sight {
                Sight::Live(live) if self.missed => {
                    return Step::Hit(A::view(live.value()).clone());
                }
                Sight::Live(live) => {
                    self.front.hit(self.place, Found { live, shard: self.shard }, pinned);
                    return Step::Hit(A::view(live.value()).clone());
                }
                _ => self.count_miss(pinned.lane()),
            }
            let on_shard = crate::shard_thread::is_current();
            if let Sight::Loading(flight) = sight {
                if on_shard || self.front.is_forked() {
                    return Step::Alone;
                }
                let Some(notes) = Leading::wait_for(flight.lead()) else {
                    return Step::Alone;
                };
                match flight.join() {
                    Some(ticket) => return Step::Join(ticket, notes),
                    // It has just ended: look again.
                    None => continue,
                }
            }
            if !self.shard.has_room() && !on_shard {
                let ready = || Step::Full(self.front.ready(self.shard));
                return if self.closed { Step::Alone } else { ready() };
            }
            let key = owned.take().unwrap_or_else(|| self.ask.key());
            let span = self.front.span(self.place);
            let draft =
                Flight::draft((self.hash.local(), self.place.now()), span, key, &self.shard.blocks);
            match self.shard.claim(self.hash, seen, draft, pinned) {
                Ok(permit) => {
                    self.front.count(self.place, pinned.lane(), Caller::Load);
                    return Step::Lead(Leader {
                        front: self.front,
                        place: self.place,
                        hash: self.hash,
                        shard: self.shard,
                        permit: Some(permit),
                    });
                }
                Err(draft) => owned = Some(Flight::into_key(draft)),
            }
        }
    }

    fn count_miss(&mut self, lane: usize) {
        if !std::mem::replace(&mut self.missed, true) {
            self.front.count(self.place, lane, Caller::Miss);
        }
    }

    fn has_waited(&mut self, ready: Result<(), Error>) {
        self.closed = ready.is_err();
    }

    /// The result of a load that nobody else hears of.
    fn alone<E>(&self, result: Result<A::Value, E>) -> Result<A::Value, Arc<E>> {
        let lane = reclaim::pinned(|pinned| pinned.lane());
        self.front.count(self.place, lane, Caller::Load);
        result.map_err(|error| {
            self.front.count(self.place, lane, Caller::LoadFailure);
            Arc::new(error)
        })
    }
}

/// What a waiter makes of what it hears; nothing if it must look again.
fn hear<K, V, A, E>(heard: Option<Outcome<V>>) -> Option<Result<A::Value, Arc<E>>>
where
    A: Ask<K, V>,
    E: Send + Sync + 'static,
{
    match heard {
        Some(Outcome::Loaded(value)) => Some(Ok(A::unwrap(value))),
        // The error of a caller with another error type is none that we could return.
        Some(Outcome::Failed(error)) => error.downcast().ok().map(Err),
        Some(Outcome::Retry) | None => None,
    }
}

/// The caller that loads for all. However it ends, its waiters are told.
struct Leader<'a, K, V, P: Place> {
    front: &'a Front<K, V>,
    place: P,
    hash: KeyHash,
    shard: &'a Shard<K, V>,
    /// Taken when the load ends.
    permit: Option<LoadPermit<K, V>>,
}

impl<K, V, P: Place> Leader<'_, K, V, P> {
    fn lead(&self) -> Option<Arc<Lead>> {
        self.permit.as_ref().map(LoadPermit::lead)
    }

    /// Ends the load: stores the value and tells the waiters.
    fn finish<A, E>(mut self, result: Result<A::Value, E>) -> Result<A::Value, Arc<E>>
    where
        A: Ask<K, V>,
        E: Send + Sync + 'static,
    {
        match result {
            Ok(value) => {
                // Before the permit is taken: if the clone panics, the waiters are told to look again.
                let copy = value.clone();
                let Some(permit) = self.permit.take() else { return Ok(copy) };
                permit.supersede_if_evicted(self.place);
                let end = Some((A::wrap(value), self.front.expiry(self.place, None)));
                let (waiters, unpublished) = self.shard.settle(self.hash, permit, end);
                answer(waiters, || A::wrap(copy.clone()));
                drop(unpublished);
                Ok(copy)
            }
            Err(error) => {
                let error = Arc::new(error);
                self.fail(Some(&(Arc::clone(&error) as Arc<dyn Any + Send + Sync>)));
                Err(error)
            }
        }
    }

    /// Ends the load without a value.
    fn fail(&mut self, error: Option<&Arc<dyn Any + Send + Sync>>) {
        let Some(permit) = self.permit.take() else { return };
        self.front.count(self.place, reclaim::pinned(|pinned| pinned.lane()), Caller::LoadFailure);
        let (waiters, _) = self.shard.settle(self.hash, permit, None);
        if let Some(error) = error {
            for waiter in waiters {
                // A waiter that was cancelled does not want it.
                let _ = waiter.send(Outcome::Failed(Arc::clone(error)));
            }
        }
    }
}

impl<K, V, P: Place> Drop for Leader<'_, K, V, P> {
    /// A leader that panicked, or whose task was cancelled: one of the waiters takes over.
    fn drop(&mut self) {
        self.fail(None);
    }
}

thread_local! {
    /// The loads that the current thread is inside of, the innermost last.
    static LEADING: RefCell<Vec<Arc<Lead>>> = RefCell::default();
}

/// While it lives, the current thread runs the loader of a load.
struct Leading {
    entered: bool,
}

impl Leading {
    fn enter(lead: Option<Arc<Lead>>) -> Self {
        let enter = |lead| LEADING.try_with(|loads| loads.borrow_mut().push(lead)).is_ok();
        // A thread that is past its thread-locals cannot be told from others: its loads are not noted.
        Self { entered: lead.is_some_and(enter) }
    }

    /// Notes that the loads that the current thread is inside of wait for another. Nothing if that one
    /// is among them or waits for one of them.
    fn wait_for(other: &Arc<Lead>) -> Option<Vec<Note>> {
        let noted = LEADING.try_with(|loads| Lead::wait_for(&loads.borrow(), other));
        noted.unwrap_or_else(|_| Some(Vec::new()))
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        if self.entered {
            let left = LEADING.try_with(|loads| loads.borrow_mut().pop());
            drop(left);
        }
    }
}
