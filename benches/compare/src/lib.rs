//! The comparison of the cache with its peers: how fast, how even, how heavy, how quiet.
//!
//! [`caches`] gives every peer one surface, [`draws`] makes the keys before anything is timed,
//! [`selection`] says what is measured by default, [`throughput`], [`latency`], [`calls`], [`memory`] and
//! [`idle`] measure, in the order of [`turns`], [`report`] prints, [`aims`] says what was to be reached. The binary `memory` counts what is allocated and is therefore apart from
//! the ones that take the time.

pub mod aims;
pub mod caches;
pub mod calls;
pub mod draws;
pub mod idle;
pub mod latency;
pub mod memory;
pub mod options;
pub mod report;
pub mod selection;
pub mod statistics;
pub mod throughput;
pub mod turns;
