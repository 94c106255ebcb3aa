//! The checker on histories that were written by hand.

use shuttle_tests::checker::check;
use shuttle_tests::history::Call::{self, Clear, Follow, Get, Insert, Lead, Remove};
use shuttle_tests::history::Event;

/// A history of key 0: each call with the moments of its call and return.
fn history(calls: &[(u64, u64, Call)]) -> Vec<Event> {
    let event = |(client, &(called, returned, call))| Event {
        client,
        key: 0,
        call,
        called,
        returned,
        loader: None,
    };
    calls.iter().enumerate().map(event).collect()
}

/// The same, where the first call's loader began at some moment.
fn loading(from: u64, calls: &[(u64, u64, Call)]) -> Vec<Event> {
    let mut events = history(calls);
    events[0].loader = Some(from);
    events
}

fn is_explained(calls: &[(u64, u64, Call)]) {
    if let Err(violation) = check(&history(calls)) {
        panic!("{violation}");
    }
}

fn is_refuted(calls: &[(u64, u64, Call)]) {
    assert!(check(&history(calls)).is_err(), "no order should explain {calls:?}");
}

#[test]
fn what_is_written_is_read() {
    is_explained(&[]);
    is_explained(&[(0, 1, Get(None)), (2, 3, Insert(1)), (4, 5, Get(Some(1)))]);
    is_refuted(&[(0, 1, Insert(1)), (2, 3, Get(None))]);
    is_refuted(&[(0, 1, Get(Some(1)))]);
    is_refuted(&[(0, 1, Get(Some(1))), (2, 3, Insert(1))]);
}

#[test]
fn calls_that_overlap_may_take_effect_in_any_order() {
    is_explained(&[(0, 3, Insert(1)), (1, 2, Get(None))]);
    is_explained(&[(0, 3, Insert(1)), (1, 2, Get(Some(1)))]);
    for last in [1, 2] {
        is_explained(&[(0, 3, Insert(1)), (1, 2, Insert(2)), (4, 5, Get(Some(last)))]);
    }
}

#[test]
fn two_readers_agree_on_the_order() {
    let writers = [(0, 9, Insert(1)), (1, 8, Insert(2))];
    let [a, b] = writers;
    is_explained(&[a, b, (2, 3, Get(Some(1))), (4, 5, Get(Some(2)))]);
    is_refuted(&[a, b, (2, 3, Get(Some(1))), (4, 5, Get(Some(2))), (6, 7, Get(Some(1)))]);
    is_refuted(&[a, (2, 3, Get(Some(1))), (4, 5, Get(None))]);
}

#[test]
fn one_remover_has_the_value() {
    let written = (0, 1, Insert(1));
    is_explained(&[written, (2, 5, Remove(Some(1))), (3, 4, Remove(None)), (6, 7, Get(None))]);
    is_refuted(&[written, (2, 5, Remove(Some(1))), (3, 4, Remove(Some(1)))]);
    is_refuted(&[written, (2, 5, Remove(None)), (3, 4, Remove(None))]);
    is_refuted(&[written, (2, 3, Remove(Some(1))), (4, 5, Get(Some(1)))]);
}

#[test]
fn a_clear_leaves_nothing() {
    is_explained(&[(0, 1, Insert(1)), (2, 3, Clear), (4, 5, Get(None))]);
    is_explained(&[(0, 3, Insert(1)), (1, 2, Clear), (4, 5, Get(Some(1)))]);
    is_refuted(&[(0, 1, Insert(1)), (2, 3, Clear), (4, 5, Get(Some(1)))]);
}

#[test]
fn a_load_alone_gets_or_inserts() {
    is_explained(&[(0, 1, Lead(Ok(1))), (2, 3, Follow(Ok(1))), (4, 5, Remove(Some(1)))]);
    is_refuted(&[(0, 1, Lead(Ok(1))), (2, 3, Get(None))]);
    is_refuted(&[(0, 1, Insert(1)), (2, 3, Lead(Ok(2)))]);
    is_refuted(&[(0, 1, Insert(1)), (2, 3, Follow(Ok(2)))]);
    is_explained(&[(0, 1, Lead(Err(1))), (2, 3, Get(None)), (4, 5, Lead(Ok(2)))]);
    is_refuted(&[(0, 1, Lead(Err(1))), (2, 3, Follow(Err(1)))]);
}

#[test]
fn one_loader_runs_at_a_time() {
    is_explained(&[(0, 3, Lead(Ok(1))), (1, 2, Follow(Ok(1)))]);
    is_explained(&[(0, 3, Lead(Err(1))), (1, 2, Follow(Err(1)))]);
    is_explained(&[(0, 3, Lead(Err(1))), (1, 2, Lead(Ok(2)))]);
    is_refuted(&[(0, 3, Lead(Ok(1))), (1, 2, Lead(Ok(2)))]);
}

#[test]
fn a_load_that_is_overridden_is_not_stored() {
    let load = (0, 9, Lead(Ok(1)));
    for overrides in [Remove(None), Clear] {
        is_explained(&[load, (1, 2, overrides), (10, 11, Get(None))]);
        // Nor does it keep others from loading.
        is_explained(&[load, (1, 2, overrides), (3, 4, Lead(Ok(2))), (10, 11, Get(Some(2)))]);
    }
    is_explained(&[load, (1, 2, Insert(2)), (10, 11, Get(Some(2)))]);
    // Not over a value that came after it began; `Get` shows that the write did not come before.
    let began = (1, 6, Follow(Ok(1)));
    is_refuted(&[load, began, (2, 3, Insert(2)), (4, 5, Get(Some(2))), (10, 11, Get(Some(1)))]);
    is_refuted(&[load, (10, 11, Get(None))]);
    is_refuted(&[(0, 1, Remove(None)), (2, 3, Lead(Ok(1))), (4, 5, Get(None))]);
}

#[test]
fn a_load_begins_before_its_loader() {
    let (load, found) = ((0, 9, Lead(Ok(1))), (10, 11, Get(Some(1))));
    let removed = [load, (3, 4, Remove(None)), found];
    // The removal may have come before the load began, as long as nothing says when that was.
    is_explained(&removed);
    assert!(check(&loading(5, &removed)).is_ok(), "the loader did not run yet");
    assert!(check(&loading(2, &removed)).is_err(), "the loader ran already");
    let written = [load, (3, 4, Insert(2)), (5, 6, Get(Some(2))), found];
    assert!(check(&loading(2, &written)).is_err(), "the loader ran already");
}

#[test]
fn who_looked_before_a_load_was_overridden_may_be_given_its_value() {
    let load = (0, 9, Lead(Ok(1)));
    let slow = (2, 11, Get(Some(1)));
    assert!(check(&loading(1, &[load, slow, (3, 4, Insert(2)), (5, 6, Get(Some(2)))])).is_ok());
    let late = (5, 11, Get(Some(1)));
    assert!(check(&loading(1, &[load, late, (3, 4, Insert(2)), (6, 7, Get(Some(2)))])).is_err());
}

#[test]
fn a_load_that_is_overridden_answers_those_who_had_joined_it() {
    let load = (0, 9, Lead(Ok(1)));
    let removal = (2, 3, Remove(None));
    is_explained(&[load, (1, 10, Follow(Ok(1))), removal, (11, 12, Get(None))]);
    is_refuted(&[load, removal, (4, 10, Follow(Ok(1))), (11, 12, Get(None))]);
}

#[test]
fn who_has_joined_returns_after_the_load_has_taken_effect() {
    let (load, joined) = ((0, 9, Lead(Ok(1))), (1, 2, Follow(Ok(1))));
    is_explained(&[load, joined, (3, 4, Get(Some(1)))]);
    is_refuted(&[load, joined, (3, 4, Get(None))]);
}

#[test]
fn keys_are_judged_each_for_itself() {
    let mut events = history(&[(0, 1, Insert(1)), (2, 3, Get(None))]);
    events[1].key = 1;
    assert!(check(&events).is_ok());
    events[1].key = 0;
    let violation = check(&events).expect_err("the value is missing");
    assert_eq!((violation.key, violation.explained), (0, 1));
}

/// Twelve writers at once, and readers who saw each of them: as many orders as would take for ever, were
/// they all gone through.
#[test]
fn many_calls_at_once_are_searched_quickly() {
    let writers = (0..12).map(|i| (i, 1_000, Insert(i as u32)));
    let readers = (0..12).map(|i| (100 + 2 * i, 101 + 2 * i, Get(Some(11 - i as u32))));
    let calls: Vec<_> = writers.chain(readers).collect();
    is_explained(&calls);
    let impossible = (200, 201, Get(Some(3)));
    is_refuted(&calls.into_iter().chain([impossible]).collect::<Vec<_>>());
}
