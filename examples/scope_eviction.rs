//! Evicting an organization, or one of its users, from all functions and all keys in one step.
#![expect(clippy::print_stdout, reason = "printing is what an example is for")]

use cacheado::{Error, Namespace, SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, scope(organization = org_id))]
fn plan(org_id: &str) -> Result<String, Error> {
    Ok(format!("the plan of {org_id}"))
}

#[memoize(cache = CACHE, scope(organization = org_id, user = user_id), key = ())]
fn profile(org_id: &str, user_id: &str) -> Result<String, Error> {
    Ok(format!("{user_id} of {org_id}"))
}

/// Fills the cache for two organizations of two users each: a plan, two profiles, two settings.
fn fill(settings: &Namespace<String, u64>) -> Result<(), Error> {
    for org in ["org_123", "org_789"] {
        plan(org)?;
        for user in ["user_456", "user_457"] {
            profile(org, user)?;
            let user = settings.scope([("organization", org), ("user", user)])?;
            user.insert("volume".to_owned(), 11);
        }
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    let settings = CACHE.namespace::<String, u64>("settings")?;
    fill(&settings)?;

    // One user: the profile and the setting. The organization's other user keeps both.
    let evicted = CACHE.evict_scope([("organization", "org_123"), ("user", "user_456")])?;
    assert_eq!(profile_peek("org_123", "user_456")?, None, "gone for every reader already");
    assert!(profile_peek("org_123", "user_457")?.is_some());
    let of_user = evicted.wait()?;
    assert_eq!(of_user, 2);

    // The organization, with all that is below it: its plan, and the other user's profile and setting.
    let evicted = CACHE.evict_scope([("organization", "org_123")])?;
    assert_eq!(plan_peek("org_123")?, None);
    assert_eq!(profile_peek("org_123", "user_457")?, None);
    let user = settings.scope([("organization", "org_123"), ("user", "user_457")])?;
    assert_eq!(user.get("volume"), None);
    let of_organization = evicted.wait()?;
    assert_eq!(of_organization, 3);

    // The other organization has lost nothing.
    assert!(plan_peek("org_789")?.is_some());
    for user in ["user_456", "user_457"] {
        assert!(profile_peek("org_789", user)?.is_some());
        let user = settings.scope([("organization", "org_789"), ("user", user)])?;
        assert_eq!(user.get("volume"), Some(11));
    }
    println!("evicted {of_user} entries of a user, then {of_organization} of an organization");

    // An eviction that does not say whose is refused, rather than one of something else.
    let refused = CACHE.evict_scope([("user", "user_456")]).expect_err("no organization");
    println!("refused: {refused}");
    CACHE.flush().wait()?;
    assert_eq!(CACHE.len(), 5);
    Ok(())
}
