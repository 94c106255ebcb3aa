//! Loads that take their time: begun, waited for, overtaken by writes, and ended in every way.

use super::{Key, Model, Op, Value};
use crate::support::{PATIENCE, Polled};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Instant;

type Loaded = Result<Value, ()>;
type Call = Pin<Box<dyn Future<Output = Result<Value, Arc<()>>>>>;

/// A call of a load verb that has not returned.
pub(super) struct Flight {
    id: u64,
    key: Key,
    call: Polled<Call>,
    loader: Rc<Loader>,
    stage: Stage,
    has_missed: bool,
}

#[derive(Default)]
struct Loader {
    started: Cell<bool>,
    result: Cell<Option<Loaded>>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// It has not looked, or whom it waited for was cancelled.
    Looks,
    /// Its loader runs. Overridden, its value goes to those who wait and not into the cache.
    Leads {
        overridden: bool,
    },
    Waits {
        on: u64,
    },
    /// Whom it waited for has ended so.
    Told(Loaded),
}

impl Model {
    /// One of the operations on loads that take their time.
    pub(super) fn fly(&mut self, op: Op) {
        match op {
            Op::Begin { key } => {
                self.begin(key);
                self.poll(self.flights.len() - 1);
            }
            Op::Poll { pick }
            | Op::Deliver { pick, .. }
            | Op::Fail { pick }
            | Op::Cancel { pick } => {
                let Some(at) = usize::from(pick).checked_rem(self.flights.len()) else { return };
                match op {
                    Op::Deliver { weight, .. } if self.flights[at].leads() => {
                        let value = self.fresh(weight);
                        self.land(at, Ok(value));
                    }
                    Op::Fail { .. } if self.flights[at].leads() => self.land(at, Err(())),
                    Op::Cancel { .. } => self.cancel(at),
                    _ => self.poll(at),
                }
            }
            _ => unreachable!("not of a flight: {op:?}"),
        }
    }

    fn begin(&mut self, key: Key) {
        let (cache, loader) = (self.cache.clone(), Rc::<Loader>::default());
        let inside = Rc::clone(&loader);
        let call = async move {
            let load = poll_fn(|_| {
                inside.started.set(true);
                inside.result.take().map_or(Poll::Pending, Poll::Ready)
            });
            cache.try_get_or_load_async(&key, load).await
        };
        let call: Call = Box::pin(call);
        self.begun += 1;
        self.flights.push(Flight {
            id: self.begun,
            key,
            call: Polled::new(call),
            loader,
            stage: Stage::Looks,
            has_missed: false,
        });
    }

    fn poll(&mut self, at: usize) {
        let flight = &mut self.flights[at];
        match flight.stage {
            Stage::Looks => self.look(at),
            Stage::Leads { .. } | Stage::Waits { .. } => {
                assert!(flight.call.is_pending(), "nothing has happened: {:?}", flight.stage);
            }
            Stage::Told(result) => {
                let got = flight.call.ready().map_err(|_| ());
                assert_eq!(got, result, "whoever waits has what its leader has");
                self.flights.swap_remove(at);
            }
        }
    }

    /// A call that must find the value, lead or wait for a leader.
    fn look(&mut self, at: usize) {
        let limit = Instant::now() + PATIENCE / 3;
        loop {
            let flight = &mut self.flights[at];
            let (key, missed) = (flight.key, flight.has_missed);
            let polled = flight.call.poll();
            let leads = flight.loader.started.get();
            if let Poll::Ready(got) = polled {
                let seen = got.ok();
                assert!(seen.is_some() && !leads, "key {key:?}: an error that nobody made");
                self.flights.swap_remove(at);
                return if missed { self.judge(key, seen) } else { self.judge_use(key, seen) };
            }
            let leader = self.leader_of(key);
            assert!(!leads || leader.is_none(), "key {key:?}: two leaders");
            let stage = match leader {
                Some(on) => Stage::Waits { on },
                None => Stage::Leads { overridden: false },
            };
            if !missed {
                self.judge_use(key, None);
            } else if leads {
                self.judge(key, None);
            }
            let flight = &mut self.flights[at];
            flight.has_missed = true;
            if leads || leader.is_some() {
                flight.stage = stage;
                self.loads += u64::from(leads);
                return;
            }
            assert!(Instant::now() < limit, "key {key:?}: neither room nor a leader");
            thread::yield_now();
        }
    }

    /// The load of a leader ends.
    fn land(&mut self, at: usize, result: Loaded) {
        let mut flight = self.flights.swap_remove(at);
        flight.loader.result.set(Some(result));
        assert_eq!(flight.call.ready().map_err(|_| ()), result);
        self.load_failures += u64::from(result.is_err());
        self.tell(flight.id, Stage::Told(result));
        if let (Stage::Leads { overridden: false }, Ok(value)) = (flight.stage, result) {
            self.store(flight.key, value, self.settings.ttl);
        }
    }

    fn cancel(&mut self, at: usize) {
        let flight = self.flights.swap_remove(at);
        if flight.leads() {
            self.load_failures += 1;
            self.tell(flight.id, Stage::Looks);
        }
    }

    /// Those who wait for a flight go on to another stage.
    fn tell(&mut self, leader: u64, stage: Stage) {
        let waits =
            |flight: &&mut Flight| matches!(flight.stage, Stage::Waits { on } if on == leader);
        self.flights.iter_mut().filter(waits).for_each(|flight| flight.stage = stage);
    }

    /// The flight that a new caller must join.
    pub(super) fn leader_of(&self, key: Key) -> Option<u64> {
        let leads = |flight: &&Flight| {
            flight.key == key && matches!(flight.stage, Stage::Leads { overridden: false })
        };
        self.flights.iter().find(leads).map(|flight| flight.id)
    }

    pub(super) fn override_loads(&mut self, of: impl Fn(Key) -> bool) {
        for flight in self.flights.iter_mut().filter(|flight| of(flight.key)) {
            if let Stage::Leads { overridden } = &mut flight.stage {
                *overridden = true;
            }
        }
    }

    pub(super) fn end_flights(&mut self) {
        while !self.flights.is_empty() {
            self.cancel(self.flights.len() - 1);
        }
    }
}

impl Flight {
    fn leads(&self) -> bool {
        matches!(self.stage, Stage::Leads { .. })
    }
}
