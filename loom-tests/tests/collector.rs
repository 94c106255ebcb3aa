//! The models that run on the real epoch collector, one test for each, as `models.rs` has the others.
//! `run.sh --collector` runs them.
#![cfg(all(cache_loom, crossbeam_loom))]

use loom_tests::models::collector;

#[test]
fn collected_beside_a_publication() {
    collector::collected_beside_a_publication();
}

#[test]
fn collected_after_a_replacement() {
    collector::collected_after_a_replacement();
}

#[test]
fn collected_after_a_removal() {
    collector::collected_after_a_removal();
}
