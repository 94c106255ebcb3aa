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
    /// What is not asked for is not wanted: two functions that share a namespace agree about it in whatever
    /// order they are called. A function cannot speak of weighers and listeners.
    pub(crate) whole: bool,
}

impl Options {
    /// An error if an option is asked for that the namespace of this name has not.
    pub(crate) fn agree(&self, name: &str, asked: &Self) -> Result<(), Error> {
        let Self { time_to_live, max_items, weigher, listener, whole } = asked;
        contradicts("time_to_live", name, &self.time_to_live, time_to_live, *whole)?;
        contradicts("max_items", name, &self.max_items, max_items, *whole)?;
        contradicts("weigher", name, &self.weigher, weigher, false)?;
        contradicts("removal_listener", name, &self.listener, listener, false)
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
    whole: bool,
) -> Result<(), Error> {
    if (asked.is_none() && !whole) || own == asked {
        return Ok(());
    }
    let [own, asked] = [own, asked].map(|value| {
        let some = |value: &T| format!("a {option} of {value:?}");
        value.as_ref().map_or_else(|| format!("no {option}"), some)
    });
    let remedy = if whole {
        "give all functions of a name the same options, or another name"
    } else {
        "ask for what it has, or for none, or under another name"
    };
    let fault = format!("the namespace {name:?} has {own}, not {asked}");
    Err(Error::namespace(fault, remedy.into()))
}
