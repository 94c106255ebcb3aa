//! The models, one file for each protocol, and the rig they share.
//!
//! Every contender runs on a thread of its own; the main thread sets the scene before it spawns them,
//! joins them and judges what is left. The shard is [`Worker::turn`](crate::shard::worker::Worker::turn),
//! stepped on a thread like any other.

mod rig;

pub mod budget;
#[cfg(crossbeam_loom)]
pub mod collector;
pub mod graves;
pub mod index;
pub mod lanes;
pub mod load;
pub mod mailbox;
pub mod pending;
pub mod removal;
pub mod reply;
pub mod scopes;
pub mod signal;
pub mod spaces;
pub mod sums;
