//! Searches of histories. `SCHEDULES` and `SEED` say how many and which; `REPLAY` runs one again.

use shuttle_tests::clients::Verb::{
    Clear, Evict, Flush, Get, Insert, Load, LoadCancelled, LoadInTask, LoadInVain, LookThenInsert,
    LookThenRemove, Remove, TryInsert, View,
};
use shuttle_tests::scenario::Mix;
use shuttle_tests::search::{Draw, count, search, share};
use std::process::Command;

/// What all searches of the library together run.
const SCHEDULES: usize = 10_000;
const SEARCHES: usize = 8;

/// Everything.
const ANYTHING: Mix = Mix {
    name: "anything",
    verbs: &[
        Get,
        Get,
        View,
        Insert,
        Insert,
        TryInsert,
        Remove,
        Remove,
        Clear,
        Load,
        Load,
        LoadInTask,
        LoadInVain,
        LoadCancelled,
        Flush,
    ],
    keys: 3,
    clients: 4,
    calls: 5,
    scoped: false,
    shards: 2,
    backlog: 64,
    bystanders: 4,
};

/// Loads of one key or two, and what overrides them.
const LOADS: Mix = Mix {
    name: "loads",
    verbs: &[Load, Load, LoadInTask, LoadInVain, LoadCancelled, Get, Insert, Remove, Remove, Clear],
    keys: 2,
    clients: 4,
    calls: 4,
    scoped: false,
    shards: 1,
    backlog: 64,
    bystanders: 0,
};

/// More writes than there is room for.
const CROWD: Mix = Mix {
    name: "crowd",
    verbs: &[Insert, Insert, Insert, TryInsert, Remove, Load, Get, View],
    keys: 2,
    clients: 4,
    calls: 6,
    scoped: false,
    shards: 1,
    backlog: 2,
    bystanders: 0,
};

/// Keys in three scopes, which are evicted from either and from above.
const SCOPES: Mix = Mix {
    name: "scopes",
    verbs: &[
        Get,
        Get,
        Insert,
        Insert,
        Remove,
        Evict,
        Evict,
        Clear,
        Load,
        Load,
        LoadInTask,
        LoadCancelled,
    ],
    keys: 3,
    clients: 4,
    calls: 5,
    scoped: true,
    shards: 2,
    backlog: 64,
    bystanders: 0,
};

fn is_linearizable(mix: &'static Mix, draw: Draw) {
    let seen = search(mix, draw, share(SCHEDULES, SEARCHES));
    if std::env::var_os("REPLAY").is_some() {
        return;
    }
    // Priorities change seldom: most calls then run alone, and the few that do not meet at odd moments.
    let in_a_hundred = if draw == Draw::Random { 40 } else { 5 };
    let enough = 100 * seen.overlapping > in_a_hundred * seen.calls;
    assert!(enough, "too few calls overlap: {seen}");
    assert!(seen.joined > 0 && seen.contended > 0, "nobody met a load: {seen}");
}

#[test]
fn anything_by_lot() {
    is_linearizable(&ANYTHING, Draw::Random);
}

#[test]
fn anything_by_priorities() {
    is_linearizable(&ANYTHING, Draw::Priorities);
}

#[test]
fn loads_by_lot() {
    is_linearizable(&LOADS, Draw::Random);
}

#[test]
fn loads_by_priorities() {
    is_linearizable(&LOADS, Draw::Priorities);
}

#[test]
fn a_crowd_by_lot() {
    is_linearizable(&CROWD, Draw::Random);
}

#[test]
fn a_crowd_by_priorities() {
    is_linearizable(&CROWD, Draw::Priorities);
}

#[test]
fn scopes_by_lot() {
    is_linearizable(&SCOPES, Draw::Random);
}

#[test]
fn scopes_by_priorities() {
    is_linearizable(&SCOPES, Draw::Priorities);
}

/// Clients that look before they remove, and so may return what they have not removed.
const LOOKING_REMOVERS: Mix =
    Mix { name: "looking removers", verbs: &[Insert, Get, LookThenRemove], ..CROWD };

/// Clients that look before they load, and so may load beside each other.
const LOOKING_LOADERS: Mix =
    Mix { name: "looking loaders", verbs: &[LookThenInsert, Get, Remove], ..LOADS };

fn is_caught(mix: &'static Mix, draw: Draw) {
    let seen = count(mix, draw, 500);
    assert!(seen.violations > 0, "a check that another client comes after is not seen: {seen}");
}

#[test]
fn a_removal_that_looks_first_is_caught_by_lot() {
    is_caught(&LOOKING_REMOVERS, Draw::Random);
}

#[test]
fn a_removal_that_looks_first_is_caught_by_priorities() {
    is_caught(&LOOKING_REMOVERS, Draw::Priorities);
}

#[test]
fn a_load_that_looks_first_is_caught_by_lot() {
    is_caught(&LOOKING_LOADERS, Draw::Random);
}

#[test]
fn a_load_that_looks_first_is_caught_by_priorities() {
    is_caught(&LOOKING_LOADERS, Draw::Priorities);
}

#[test]
#[ignore = "fails on purpose: `a_failing_schedule_can_be_replayed` runs it"]
fn a_load_that_looks_first() {
    let seen = search(&LOOKING_LOADERS, Draw::Random, 500);
    assert_eq!(seen.violations, 0);
}

/// Runs the failing search in a process of its own and returns what it has printed.
fn fail(replay: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().expect("the test runs"));
    command.args(["--exact", "--ignored", "--nocapture", "a_load_that_looks_first"]);
    command.env_remove("REPLAY").env("RUST_BACKTRACE", "0");
    let output = command.envs(replay.map(|schedule| ("REPLAY", schedule))).output();
    let output = output.expect("the process can be started");
    assert!(!output.status.success(), "the search has found nothing");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_failing_schedule_can_be_replayed() {
    let history = |report: &str| {
        let lines = report.lines().skip_while(|line| !line.starts_with("no order explains"));
        lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let found = fail(None);
    let schedule =
        found.split_once("failing schedule:\n\"").and_then(|(_, rest)| rest.split_once('"'));
    let (schedule, _) = schedule.expect("the schedule is printed");
    let again = fail(Some(schedule));
    assert!(history(&found).len() > 2, "the history is printed: {found}");
    assert_eq!(history(&found), history(&again), "the same schedule has the same history");
}
