//! Requests about a whole shard: the messages of its mailbox. Layer: shard.

use super::docket::Eviction;
use super::groups::Group;
use super::rouse::Rouse;
use super::streams::Subscriber;
use crate::reply::Responder;
use crate::scope::node::Node;
use crate::scope::trie::Idle;
use std::sync::{Arc, Weak};

/// What lies in the mailbox.
pub(crate) struct Message<K, V> {
    pub(crate) command: Command<K, V>,
    /// Whom to wake, if who sent it did not wake all whom it concerns.
    pub(crate) rouse: Option<Rouse<K, V>>,
}

/// One request. Processed in the order of arrival, after what was submitted before it was folded.
pub(crate) enum Command<K, V> {
    /// Answer when everything that was submitted before is in the index and the bound holds.
    Flush(Responder<()>),
    /// Answer when the backlog has room.
    Ready(Responder<()>),
    /// Once it has begun, take out what is older of its scope and those below, and answer how much was alive.
    Evict(Arc<Eviction>, Responder<u64>),
    /// The group has ended: take out what is of it, and answer how much was alive, `count` of it so far.
    End { group: Arc<Group<K, V>>, count: u64, answer: Responder<u64> },
    /// Nobody uses this scope: pass it on unless entries of it are here, and end it if there are nowhere.
    Probe(Idle),
    /// Show every live entry of this scope, and of none below it, to this visitor.
    Visit(Arc<Node>, Visitor<K, V>),
    /// Send what leaves the cache here too.
    Subscribe(Subscriber<K, V>),
    /// Nobody reads a stream of the scope of this number any more: end it.
    Unsubscribe(u32),
    /// The shards together are over the capacity: evict; as long as a need has not ended, even below this shard's share.
    Relieve(Option<Weak<Need>>),
    /// The last handle has gone: finish what was accepted and end.
    Stop,
    /// Die as a bug would make a shard die.
    #[cfg(test)]
    Die,
}

/// A shard's need for room that others have below their shares. It ends when that shard has seen that the bound holds, which is
/// before it answers a flush; others may hear of it later.
#[derive(Default)]
pub(crate) struct Need;

/// Runs on the shard thread; a panic is caught there, so it answers its asker before it lets one go on.
pub(crate) type Visitor<K, V> = Box<dyn FnOnce(&mut dyn Iterator<Item = (&K, &V)>) + Send>;
