//! Tenants: what a function returned for one organization and user is never seen by another.
#![expect(clippy::print_stdout, reason = "printing is what an example is for")]

use cacheado::{Error, SharedCache, memoize};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);
static QUERIES: AtomicU64 = AtomicU64::new(0);

fn fetch_from_database(organization: &str, user: &str, record: u64) -> String {
    QUERIES.fetch_add(1, Ordering::Relaxed);
    format!("record {record} of {user} at {organization}")
}

#[memoize(
    cache = CACHE,
    ttl = "10m",
    scope(organization = organization_id, user = user_id),
    key = record
)]
fn get_user_data(record: u64, organization_id: &str, user_id: &str) -> Result<String, Error> {
    Ok(fetch_from_database(organization_id, user_id, record))
}

fn main() -> Result<(), Error> {
    for _ in 0..2 {
        assert_eq!(get_user_data(123, "org1", "user1")?, "record 123 of user1 at org1");
        assert_eq!(get_user_data(123, "org2", "user1")?, "record 123 of user1 at org2");
    }
    let queries = QUERIES.load(Ordering::Relaxed);
    assert_eq!(queries, 2);
    println!("one record, two organizations, four calls: {queries} queries");

    // A separator in an id makes no path of it: these are two tenants.
    assert_eq!(get_user_data(1, "a/b", "c")?, "record 1 of c at a/b");
    assert_eq!(get_user_data(1, "a", "b/c")?, "record 1 of b/c at a");

    // An id that is not there is an error, and neither the global scope nor a call that is not cached.
    let refused = get_user_data(123, "org1", "").expect_err("a user without an id");
    assert!(refused.is_invalid_scope_path());
    assert_eq!(QUERIES.load(Ordering::Relaxed), 4);
    println!("refused: {refused}");

    CACHE.flush().wait()?;
    let organization = CACHE.scope([("organization", "org1")])?;
    assert_eq!((organization.len(), CACHE.len()), (1, 4));
    println!("{}: {} of {} entries", organization.path(), organization.len(), CACHE.len());
    Ok(())
}
