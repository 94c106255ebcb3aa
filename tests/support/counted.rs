//! Values that are counted when they come and when they go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many [`Counted`] values were made and how many have gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<[AtomicU64; 2]>);

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn value(&self, id: u64) -> Counted {
        self.0[0].fetch_add(1, Ordering::SeqCst);
        Counted { id, ledger: self.clone() }
    }

    pub(crate) fn live(&self) -> u64 {
        // Drops first: a value that comes and goes between the two loads must not look like minus one.
        let dropped = self.0[1].load(Ordering::SeqCst);
        self.0[0].load(Ordering::SeqCst) - dropped
    }
}

/// A value that cannot vanish or be dropped twice without its [`Ledger`] noticing.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) id: u64,
    ledger: Ledger,
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.ledger.value(self.id)
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.ledger.0[1].fetch_add(1, Ordering::SeqCst);
    }
}
