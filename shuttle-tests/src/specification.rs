//! What one key of a cache may do: the rules that an order of calls must keep.
//!
//! A call takes effect in one moment between its call and its return, a load that is led or joined in
//! two: it *begins*, before its loader runs, and it *ends*. In between it is the key's load in flight, until
//! it ends or a write, removal or clear takes effect, which *overrides* it. A load may have ended before its
//! loader returned: whoever looked before a write overrode it may be given what it loaded afterwards, as
//! if that had been there just before the write.
//!
//! | call | may take effect | and then |
//! |---|---|---|
//! | insert | always | the key has the value; a load in flight is overridden |
//! | get | if the key has what was returned | |
//! | remove | if the key has what was returned | it has none; a load in flight is overridden |
//! | clear | always | as a removal |
//! | lead begins | if the key has no value and no load in flight | it has this load in flight |
//! | lead ends | always | unless overridden, the key has the loaded value, if there is one |
//! | follow finds | if the key has what was returned | |
//! | follow joins | if the load in flight is the one that ended so | |
//! | follow ends | if the load that it joined has ended | |
//!
//! So of two removers one gets the value; a load that nobody overrides is an atomic get-or-insert, and no
//! second one runs beside it; one that is overridden answers its callers and stores nothing.

use crate::history::{Call, Event, Token};

/// How far a call has taken effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not at all.
    #[default]
    Waiting,
    /// It has begun: a load that is led or has been joined.
    Begun,
    /// Completely.
    Done,
}

/// Between which moments an event takes its next effect.
#[must_use]
pub fn window(event: &Event, phase: Phase) -> (u64, u64) {
    match (event.loader, phase) {
        (Some(from), Phase::Waiting) => (event.called, from),
        _ => (event.called, event.returned),
    }
}

/// What a key is, between two effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    value: Option<Token>,
    /// The event that leads the load in flight.
    in_flight: Option<usize>,
}

impl State {
    /// All ways in which event number `at` may take its next effect now.
    #[must_use]
    pub fn after(self, at: usize, events: &[Event], phases: &[Phase]) -> Vec<(Self, Phase)> {
        let has = |value| Self { value, in_flight: None };
        let if_it = |may: bool, state| may.then_some((state, Phase::Done)).into_iter().collect();
        match (events[at].call, phases[at]) {
            (_, Phase::Done) => Vec::new(),
            (Call::Insert(value), _) => vec![(has(Some(value)), Phase::Done)],
            (Call::Clear, _) => vec![(has(None), Phase::Done)],
            (Call::Get(seen), _) => if_it(self.value == seen, self),
            (Call::Remove(taken), _) => if_it(self.value == taken, has(None)),
            (Call::Lead(_), Phase::Waiting) => {
                let free = self.value.is_none() && self.in_flight.is_none();
                let begun = Self { in_flight: Some(at), ..self };
                free.then_some((begun, Phase::Begun)).into_iter().collect()
            }
            (Call::Lead(loaded), Phase::Begun) => {
                let overridden = self.in_flight != Some(at);
                vec![(if overridden { self } else { has(loaded.ok()) }, Phase::Done)]
            }
            (Call::Follow(given), Phase::Waiting) => {
                let found = given.is_ok_and(|value| self.value == Some(value));
                let leader = self.in_flight.map(|leader| events[leader].call);
                let joined = leader == Some(Call::Lead(given));
                let found = found.then_some((self, Phase::Done));
                found.into_iter().chain(joined.then_some((self, Phase::Begun))).collect()
            }
            (Call::Follow(given), Phase::Begun) => {
                let mut both = events.iter().zip(phases);
                let over = both.any(|(e, p)| e.call == Call::Lead(given) && *p == Phase::Done);
                if_it(over, self)
            }
        }
    }
}
