//! A barrier for all threads of the process at once, so that who reads has to pass none.
//!
//! Between [`heavy`] in one thread and [`light`] in another the order is that of two full fences; between two
//! light ones there is none. Linux brings this about by interrupting the processors that run threads of the
//! process (membarrier(2)), which takes some microseconds, so [`heavy`] is for what is done seldom. The idea is that
//! of Desnoyers, McKenney, Stern, Dagenais and Walpole, "User-Level Implementations of Read-Copy Update" (2012).
//! Under a model checker both are full fences: it has no weaker pair. Layer: base.

/// Orders what the thread did before and what it does after, towards those who pass [`heavy`].
#[inline(always)]
pub(super) fn light() {
    #[cfg(not(any(cache_loom, cache_shuttle)))]
    // SeqCst: the compiler must not move what is read before the word that says so [edge: presence].
    std::sync::atomic::compiler_fence(super::Ordering::SeqCst);
    #[cfg(any(cache_loom, cache_shuttle))]
    // SeqCst: see `heavy` [edge: presence].
    super::fence(super::Ordering::SeqCst);
}

#[cfg(any(cache_loom, cache_shuttle))]
pub(super) fn heavy() -> bool {
    // SeqCst: of a reader and who frees, one sees what the other did before [edge: presence].
    super::fence(super::Ordering::SeqCst);
    true
}

#[cfg(not(any(cache_loom, cache_shuttle)))]
pub(super) use imp::{heavy, is_there};

#[cfg(all(target_os = "linux", not(any(miri, cache_loom, cache_shuttle))))]
mod imp {
    use rustix::io::Result;
    use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};
    use std::sync::OnceLock;

    static IS_THERE: OnceLock<bool> = OnceLock::new();

    /// Whether the system has the barrier. The first call asks, and enrols the process.
    #[inline]
    pub(in crate::sync) fn is_there() -> bool {
        *IS_THERE.get_or_init(|| {
            membarrier_query().contains(MembarrierQuery::PRIVATE_EXPEDITED) && pass().is_ok()
        })
    }

    fn pass() -> Result<()> {
        membarrier(MembarrierCommand::RegisterPrivateExpedited)?;
        membarrier(MembarrierCommand::PrivateExpedited)
    }

    /// Orders what any thread did before and what it does after, unless the system refuses: `false`. It may when
    /// memory is short, or because of a filter of system calls that came later.
    pub(in crate::sync) fn heavy() -> bool {
        // A forked child may have to enrol anew.
        membarrier(MembarrierCommand::PrivateExpedited).or_else(|_| pass()).is_ok()
    }
}

#[cfg(all(any(miri, not(target_os = "linux")), not(any(cache_loom, cache_shuttle))))]
mod imp {
    /// Whether the system has the barrier.
    #[inline]
    pub(in crate::sync) fn is_there() -> bool {
        false
    }

    /// Does nothing, which nobody relies on.
    pub(in crate::sync) fn heavy() -> bool {
        false
    }
}
