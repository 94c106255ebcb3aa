//! A million sessions that are created, used and dropped, one after the other or all at once: what memory they leave
//! behind.

use crate::{mebibytes, say, session, settled};
use cacheado::{CacheHandle, Error, ScopeFigure, ScopedHandle};
use std::time::Instant;

const SESSIONS: u64 = 1_000_000;
const USERS: u64 = 1_000;
/// What is in the cache besides: as much as one has room for by default.
const OTHERS: u64 = 100_000;

/// How a session ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It is evicted, and the next one begins when that is done.
    Evicted,
    /// It is evicted, and nobody waits: evictions pile up.
    Unawaited,
    /// Its entry is removed.
    Removed,
    /// It is forgotten, and its entry goes when others need the room.
    Forgotten,
}

pub(crate) fn run() -> Result<(), Error> {
    say(&format!(
        "\nSessions: {SESSIONS} created, used and dropped, of {USERS} users, beside {OTHERS} other entries"
    ));
    say("ended by    ns each    scopes at most, then    KiB before    KiB after    after / before");
    for end in [End::Evicted, End::Unawaited, End::Removed, End::Forgotten] {
        run_one(end)?;
    }
    say(&format!(
        "\nSessions: {SESSIONS} there at once, of {USERS} users, beside {OTHERS} other entries"
    ));
    say(
        "ended by    scopes at most, then    KiB before    MiB full    KiB after    after / before",
    );
    for end in [End::Evicted, End::Unawaited, End::Removed] {
        run_crowd(end)?;
    }
    Ok(())
}

/// All begin before the first one ends.
fn run_crowd(end: End) -> Result<(), Error> {
    let cache = CacheHandle::builder().max_capacity(u64::MAX).build()?;
    for key in 0..OTHERS {
        cache.insert(key, key);
    }
    let before = settled(&cache)?;
    let mut sessions = Vec::with_capacity(SESSIONS as usize);
    for number in 0..SESSIONS {
        let session = session(&cache, "acme", number % USERS, number)?;
        begin(&session, number);
        sessions.push(session);
    }
    let full = settled(&cache)?;
    let most = cache.scopes().wait()?.reports().len();
    for (number, session) in (0..).zip(sessions) {
        finish(&session, number, end)?;
    }
    let after = settled(&cache)?;
    let scopes = cache.top_scopes(usize::MAX, ScopeFigure::Len).wait()?.len();
    say(&format!(
        "{:<11} {:<23} {:<13.1} {:<11.1} {:<12.1} {:.4}",
        format!("{end:?}").to_lowercase(),
        format!("{most}, {scopes}"),
        1024.0 * mebibytes(before),
        mebibytes(full),
        1024.0 * mebibytes(after),
        after as f64 / before as f64,
    ));
    Ok(())
}

fn run_one(end: End) -> Result<(), Error> {
    let capacity = OTHERS * 2;
    let cache = CacheHandle::builder().max_capacity(capacity).build()?;
    for key in 0..OTHERS {
        cache.insert(key, key);
    }
    // Where nothing but want of room ends them, the cache is full of them before as after.
    let first = if matches!(end, End::Forgotten) { capacity * 5 } else { 0 };
    for number in 0..first {
        spend(&session(&cache, "acme", number % USERS, number)?, number, end)?;
    }
    let before = settled(&cache)?;
    let (began, mut most) = (Instant::now(), 0);
    for number in first..first + SESSIONS {
        spend(&session(&cache, "acme", number % USERS, number)?, number, end)?;
        // Showing all scopes takes a while each time, but not much for each session.
        if number % 20_000 == 0 {
            most = most.max(cache.scopes().wait()?.reports().len());
        }
    }
    let each = began.elapsed().as_nanos() as f64 / SESSIONS as f64;
    let after = settled(&cache)?;
    let scopes = cache.top_scopes(usize::MAX, ScopeFigure::Len).wait()?.len();
    say(&format!(
        "{:<11} {each:<10.0} {:<23} {:<13.1} {:<12.1} {:.4}",
        format!("{end:?}").to_lowercase(),
        format!("{most}, {scopes}"),
        1024.0 * mebibytes(before),
        1024.0 * mebibytes(after),
        after as f64 / before as f64,
    ));
    Ok(())
}

fn spend(session: &ScopedHandle<u64, u64>, number: u64, end: End) -> Result<(), Error> {
    begin(session, number);
    finish(session, number, end)
}

fn begin(session: &ScopedHandle<u64, u64>, number: u64) {
    session.insert(number, number);
    assert_eq!(session.get(&number), Some(number), "a session sees what it wrote");
}

fn finish(session: &ScopedHandle<u64, u64>, number: u64, end: End) -> Result<(), Error> {
    match end {
        End::Evicted => assert_eq!(session.evict().wait()?, 1, "its entry is removed"),
        End::Unawaited => drop(session.evict()),
        End::Removed => drop(session.remove(&number)),
        End::Forgotten => {}
    }
    Ok(())
}
