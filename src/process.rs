//! The process that a cache was made in: a forked child has its memory, but not its threads. Layer: base.

/// A process. Told apart by number: a child in a number space of its own could have its parent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// The current one. Costs a system call, so only those ask who are about to wait or to send a command.
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    /// Whether the caller is in a child that was forked off this process.
    pub(crate) fn is_left(self) -> bool {
        self != Self::current()
    }
}
