//! Behaviour of the cache as its users see it, one module per subject.

mod support;

mod api;
mod auto_traits;
mod behaviour;
mod busy_scopes;
mod cancel;
mod errors;
mod eviction;
mod expiry;
mod layouts;
mod load;
mod lost_races;
mod memoize;
mod model;
mod panics;
mod pressure;
mod readers;
mod recursion;
mod removal;
mod scope_model;
mod scope_paths;
mod scope_stress;
mod scope_verbs;
mod scopes;
mod shared;
mod shutdown;
mod stale_fill;
mod stats;
mod stress;
mod surface;
