//! Whether some order of the calls of a history explains what they returned.
//!
//! The search of Wing and Gong (1993) with the memory of Lowe (2017): go through the orders that keep
//! real time, depth first, and never twice through the same set of effects with the same state. A
//! history of several keys is linearizable exactly if that of each key is (Herlihy and Wing, 1990), so
//! it is searched key by key.

use crate::history::{Event, Key};
use crate::specification::{Phase, State, window};
use std::collections::{BTreeSet, HashSet};
use std::fmt;

/// A history of one key that no order explains.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The key.
    pub key: Key,
    /// Its calls, in the order in which they began.
    pub events: Vec<Event>,
    /// The most effects that any order came to.
    pub explained: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, events, explained } = self;
        writeln!(f, "no order explains key {key}; the best comes to {explained} effects:")?;
        events.iter().try_for_each(|event| writeln!(f, "  {event}"))
    }
}

/// Searches for an order of the events.
///
/// # Errors
///
/// The first key whose events no order explains.
pub fn check(events: &[Event]) -> Result<(), Box<Violation>> {
    let keys: BTreeSet<Key> = events.iter().map(|event| event.key).collect();
    keys.into_iter().try_for_each(|key| {
        let mut own: Vec<Event> = events.iter().filter(|event| event.key == key).cloned().collect();
        own.sort_by_key(|event| event.called);
        let mut search = Search { events: &own, seen: HashSet::new(), best: 0 };
        if search.explain(State::default(), &mut vec![Phase::default(); own.len()], 0) {
            return Ok(());
        }
        let explained = search.best;
        Err(Box::new(Violation { key, events: own, explained }))
    })
}

struct Search<'a> {
    events: &'a [Event],
    seen: HashSet<(Vec<Phase>, State)>,
    best: usize,
}

impl Search<'_> {
    fn explain(&mut self, state: State, phases: &mut Vec<Phase>, effects: usize) -> bool {
        self.best = self.best.max(effects);
        let waiting = || (0..self.events.len()).filter(|at| phases[*at] != Phase::Done);
        let until = |at: usize| window(&self.events[at], phases[at]).1;
        let Some(first_end) = waiting().map(until).min() else {
            return true;
        };
        if !self.seen.insert((phases.clone(), state)) {
            return false;
        }
        // An effect whose window opens after another one's has closed cannot come before that one.
        for at in 0..self.events.len() {
            let before = phases[at];
            if before == Phase::Done || window(&self.events[at], before).0 > first_end {
                continue;
            }
            for (next, phase) in state.after(at, self.events, phases) {
                phases[at] = phase;
                if self.explain(next, phases, effects + 1) {
                    return true;
                }
                phases[at] = before;
            }
        }
        false
    }
}
