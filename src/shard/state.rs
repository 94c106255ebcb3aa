//! What decides whether an entry answers: its state, its deadlines, and the generation it belongs to.
//! Layer: shard.

use crate::clock::{Clock, NEVER};

/// Where an entry stands. Only the named transitions below change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// A load is in flight; there is no value yet.
    Loading,
    /// A load is in flight whose value will never be published.
    Superseded,
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
    /// The load ended without a value to publish.
    Void,
}

impl State {
    pub(super) fn of(raw: u8) -> Self {
        const ALL: [State; 7] = [
            State::Loading,
            State::Superseded,
            State::Live,
            State::Replaced,
            State::Removed,
            State::Gone,
            State::Void,
        ];
        ALL[usize::from(raw)]
    }

    /// Whether a reader may have the value. The two are neighbours: one comparison.
    #[inline]
    pub(super) fn answers(raw: u8) -> bool {
        (Self::Live as u8..=Self::Replaced as u8).contains(&raw)
    }

    /// Whether there is a value, whatever has become of the entry.
    pub(super) fn has_value(self) -> bool {
        matches!(self, Self::Live | Self::Replaced | Self::Removed | Self::Gone)
    }
}

/// What an entry belongs to and when that was: the scope it lives in and the generation that the
/// scope had when the write was issued or the load began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScopeStamp {
    pub(crate) scope: u32,
    pub(crate) generation: u64,
}

/// When an entry expires.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    pub(crate) deadline: u64,
    pub(crate) idle: u64,
}

impl Expiry {
    pub(crate) const NEVER: Self = Self { deadline: NEVER, idle: NEVER };
}

/// What decides whether an entry that is live by its state also answers a reader.
pub(crate) struct Validity<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) generation: u64,
}
