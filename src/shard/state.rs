//! What decides whether an entry answers: its state, its deadlines, and the scope it belongs to.
//! Layer: shard.

use crate::clock::{Clock, NEVER};

/// Where an entry stands. Only the named transitions below change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// The value is there and, unless it has expired or was cleared, answers readers.
    Live,
    /// The shard put a newer value in its place. Still answers: a reader that meets it began before the
    /// newer value came, or it would have met that first.
    Replaced,
    /// A remover took the entry: it answers "absent", and the remover's [`Farewell`](super::entry::Farewell) frees
    /// it.
    Removed,
    /// The shard took the entry out: expired, evicted, cleared or not kept.
    Gone,
    /// A load is in flight; there is no value yet.
    Loading,
    /// A load is in flight whose value will never be published.
    Superseded,
    /// The load ended without a value to publish.
    Void,
}

impl State {
    pub(super) fn of(raw: u8) -> Self {
        const ALL: [State; 7] = [
            State::Live,
            State::Replaced,
            State::Removed,
            State::Gone,
            State::Loading,
            State::Superseded,
            State::Void,
        ];
        ALL[usize::from(raw)]
    }

    /// Whether a reader may have the value. The two come first: one comparison.
    #[inline]
    pub(super) fn answers(raw: u8) -> bool {
        raw <= Self::Replaced as u8
    }

    /// Whether there is a value, whatever has become of the entry.
    pub(super) fn has_value(self) -> bool {
        matches!(self, Self::Live | Self::Replaced | Self::Removed | Self::Gone)
    }
}

/// When an entry expires.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    pub(crate) deadline: u64,
    pub(crate) idle: u64,
}

/// Which times an entry has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// None: it cannot expire.
    Endless,
    /// When it is due: a deadline that stays, or one that readers move.
    Mortal,
    /// When it is due, which readers move, and how far they may.
    Bounded,
}

impl Span {
    /// The room for a deadline, for a time to idle, for both or for neither.
    pub(crate) fn of(has_deadline: bool, has_idle: bool) -> Self {
        match (has_deadline, has_idle) {
            (false, false) => Self::Endless,
            (true, true) => Self::Bounded,
            (true, false) | (false, true) => Self::Mortal,
        }
    }
}

impl Expiry {
    pub(crate) const NEVER: Self = Self { deadline: NEVER, idle: NEVER };

    pub(super) fn span(self) -> Span {
        Span::of(self.deadline != NEVER, self.idle != NEVER)
    }

    /// Whichever comes first.
    pub(super) fn first(self) -> u64 {
        self.deadline.min(self.idle)
    }
}

/// What decides whether an entry answers a reader: where he asks, and the clock.
#[derive(Clone, Copy)]
pub(crate) struct Validity<'a, P> {
    pub(super) clock: &'a Clock,
    pub(super) place: P,
}

impl<'a, P> Validity<'a, P> {
    #[inline]
    pub(crate) fn new(clock: &'a Clock, place: P) -> Self {
        Self { clock, place }
    }
}
