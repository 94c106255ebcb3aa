//! Scopes of one's own: sessions below users below organizations, and a second tree beside them.
#![expect(clippy::print_stdout, reason = "printing is what an example is for")]

use cacheado::testing::ManualClock;
use cacheado::{CacheHandle, Error, ScopeTree};
use std::time::Duration;

fn main() -> Result<(), Error> {
    let tree = ScopeTree::new(["org_id/user_id/session_id", "region/project"])?
        .time_to_live("session_id", Duration::from_secs(1800))?;
    println!("levels: {tree}");
    // By hand, so that half an hour passes at once.
    let clock = ManualClock::new();
    let cache: CacheHandle<String, u64> =
        CacheHandle::builder().scopes(tree).max_capacity(50_000).clock(clock.clock()).build()?;
    assert_eq!(cache.max_capacity(), 50_000);

    let user = cache.scope([("org_id", "acme"), ("user_id", "ada")])?;
    let phone = user.scope([("session_id", "phone")])?;
    let laptop = user.scope([("session_id", "laptop")])?;
    let project = cache.scope([("region", "eu"), ("project", "ada")])?;
    for (volume, scope) in [&user, &phone, &laptop, &project].into_iter().enumerate() {
        scope.insert("volume".to_owned(), volume as u64);
    }
    let heard = [&user, &phone, &laptop, &project].map(|scope| scope.get("volume"));
    assert_eq!(heard, [Some(0), Some(1), Some(2), Some(3)]);
    println!("{}: one key, and a value in each of {heard:?}", phone.path());

    // A session ends, alone; a user ends with all sessions.
    assert_eq!(phone.evict().wait()?, 1);
    assert_eq!((phone.get("volume"), laptop.get("volume")), (None, Some(2)));
    phone.insert("volume".to_owned(), 4);
    clock.advance(Duration::from_secs(1800));
    assert_eq!((phone.get("volume"), laptop.get("volume")), (None, None), "sessions are short");
    assert_eq!(user.get("volume"), Some(0), "what is no session stays");
    laptop.insert("volume".to_owned(), 5);
    user.evict().wait()?;
    assert_eq!((user.get("volume"), laptop.get("volume")), (None, None));
    assert_eq!(project.get("volume"), Some(3), "the other tree has lost nothing");

    // What is left out, or belongs to another tree, is named.
    let refused = cache.scope([("org_id", "acme"), ("session_id", "phone")]).expect_err("no user");
    assert!(refused.to_string().contains("user_id"), "{refused}");
    println!("refused: {refused}");
    assert!(cache.scope([("region", "eu"), ("user_id", "ada")]).is_err());
    Ok(())
}
