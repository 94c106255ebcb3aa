//! The judge: decides of every answer whether it was one that a correct cache could give.
//!
//! Each verdict is exact, however the machine schedules the threads: an answer is only ever held
//! to what had certainly happened before its question was asked.
//!
//! * *Stale* is a version below the one whose update had completed when the read began.
//! * *Expired* is a copy that somebody had seen in the cache more than its time to live before the
//!   read began. Whoever sees a copy knows that it was stored by then, so its time is over one
//!   time to live later at the latest.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::database::Row;

/// Remembers which updates have completed.
#[derive(Debug)]
pub(crate) struct Judge {
    completed: Box<[AtomicU32]>,
    time_to_live: Duration,
}

/// A read that has begun, and what was known then.
#[derive(Debug)]
pub(crate) struct Question {
    key: u32,
    oldest_version: u32,
    asked: Instant,
}

/// How a read went.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) latency: Duration,
    pub(crate) fault: Option<Fault>,
    /// Whether the row was in the cache before the read began; if not, the read waited for a
    /// database read, its own or another caller's.
    pub(crate) hit: bool,
}

/// What no cache may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    WrongRow,
    Stale,
    Expired,
}

impl Judge {
    pub(crate) fn new(rows: u32, time_to_live: Duration) -> Self {
        Self { completed: (0..rows).map(|_| AtomicU32::new(0)).collect(), time_to_live }
    }

    pub(crate) fn ask(&self, key: u32) -> Question {
        // Acquire: a reader that is held to an update must also have its cache write behind it.
        let oldest_version = self.completed[key as usize].load(Ordering::Acquire);
        Question { key, oldest_version, asked: Instant::now() }
    }

    pub(crate) fn answer(&self, question: &Question, row: &Row) -> Verdict {
        let latency = question.asked.elapsed();
        let seen = Self::saw(row);
        let hit = seen < question.asked;
        let fault = if row.key != question.key {
            Some(Fault::WrongRow)
        } else if row.version < question.oldest_version {
            Some(Fault::Stale)
        } else if question.asked > seen + self.time_to_live {
            Some(Fault::Expired)
        } else {
            None
        };
        Verdict { latency, fault, hit }
    }

    /// Notes that an update, with its cache write, is complete.
    pub(crate) fn completed(&self, key: u32, version: u32) {
        // Release: pairs with the load in `ask`.
        self.completed[key as usize].fetch_max(version, Ordering::Release);
    }

    /// Notes that this copy of a row is in the cache by now; answers when that was first noted.
    pub(crate) fn saw(row: &Row) -> Instant {
        *row.first_seen.get_or_init(Instant::now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn row(key: u32, version: u32, first_seen: Option<Instant>) -> Row {
        Row {
            key,
            version,
            body: String::new(),
            first_seen: first_seen.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    #[test]
    fn a_right_answer_is_a_hit_only_if_it_was_there_before() {
        let judge = Judge::new(2, SECOND);
        let before = Instant::now();
        let question = judge.ask(1);
        let old = judge.answer(&question, &row(1, 0, before.checked_sub(SECOND / 2)));
        assert_eq!((old.fault, old.hit), (None, true));
        let fresh = judge.answer(&question, &row(1, 0, None));
        assert_eq!((fresh.fault, fresh.hit), (None, false));
    }

    #[test]
    fn each_fault_is_found() {
        let judge = Judge::new(2, SECOND);
        judge.completed(1, 5);
        let question = judge.ask(1);
        let fault = |row: &Row| judge.answer(&question, row).fault;
        assert_eq!(fault(&row(0, 5, None)), Some(Fault::WrongRow));
        assert_eq!(fault(&row(1, 4, None)), Some(Fault::Stale));
        assert_eq!(fault(&row(1, 5, None)), None);
        let long_ago = Instant::now().checked_sub(2 * SECOND);
        assert_eq!(fault(&row(1, 5, long_ago)), Some(Fault::Expired));
    }

    #[test]
    fn an_update_that_completes_during_a_read_is_not_held_against_it() {
        let judge = Judge::new(1, SECOND);
        let question = judge.ask(0);
        judge.completed(0, 1);
        assert_eq!(judge.answer(&question, &row(0, 0, None)).fault, None);
    }
}
