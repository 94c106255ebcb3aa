//! [`Options`]: what a namespace has of its own, and whether it is what somebody asks for. Layer: front.

use super::erased::{AnyKey, AnyValue};
use crate::RemovalCause;
use crate::error::Error;
use crate::shard::departures::Listener;
use crate::shard::fold::Weigher;
use std::any::{TypeId, type_name};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a namespace has of its own.
#[derive(Clone, Default, Debug)]
pub(crate) struct Options {
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) max_items: Option<u64>,
    pub(crate) weigher: Option<Given<Weigher<AnyKey, AnyValue>>>,
    pub(crate) listener: Option<Given<Listener<AnyKey, AnyValue>>>,
}

impl Options {
    /// An error if an option is asked for that the namespace of this name has not.
    pub(crate) fn agree(&self, name: &str, asked: &Self) -> Result<(), Error> {
        let Self { time_to_live, max_items, weigher, listener } = asked;
        contradicts("time_to_live", name, &self.time_to_live, time_to_live)?;
        contradicts("max_items", name, &self.max_items, max_items)?;
        contradicts("weigher", name, &self.weigher, weigher)?;
        contradicts("removal_listener", name, &self.listener, listener)
    }
}

/// A closure as the shards call it, and of which type it was given: of closures nothing else can be compared.
#[derive(Clone)]
pub(crate) struct Given<C> {
    pub(super) call: C,
    id: TypeId,
    name: &'static str,
}

impl<C> Given<C> {
    fn of<F: 'static>(call: C) -> Self {
        Self { call, id: TypeId::of::<F>(), name: type_name::<F>() }
    }
}

impl Given<Weigher<AnyKey, AnyValue>> {
    pub(crate) fn weigher<K: 'static, V: 'static, F>(weigher: F) -> Self
    where
        F: Fn(&K, &V) -> u32 + Send + Sync + 'static,
    {
        Self::of::<F>(Arc::new(move |key, value| weigher(key.view(), value.view())))
    }
}

impl Given<Listener<AnyKey, AnyValue>> {
    pub(crate) fn listener<K: 'static, V: 'static, F>(listener: F) -> Self
    where
        F: Fn(&K, &V, RemovalCause) + Send + Sync + 'static,
    {
        Self::of::<F>(Arc::new(move |key, value, cause| listener(key.view(), value.view(), cause)))
    }
}

impl<C> PartialEq for Given<C> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<C> fmt::Debug for Given<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn contradicts<T: PartialEq + fmt::Debug>(
    option: &str,
    name: &str,
    own: &Option<T>,
    asked: &Option<T>,
) -> Result<(), Error> {
    if asked.is_none() || own == asked {
        return Ok(());
    }
    let [own, asked] = [own, asked].map(|value| {
        let some = |value: &T| format!("a {option} of {value:?}");
        value.as_ref().map_or_else(|| format!("no {option}"), some)
    });
    Err(Error::namespace(
        format!("the namespace {name:?} has {own}, not {asked}"),
        "ask for what it has, or for none, or under another name".into(),
    ))
}
