//! The library through a crate of the user's own.
use prelude::memo::{Error, SharedCache, memoize};
use std::sync::LazyLock;

mod prelude {
    pub(crate) use cacheado as memo;
}

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, scope(organization = org), crate = crate::prelude::memo)]
fn load(org: &str, id: Option<&u64>) -> Result<u64, Error> {
    Ok(org.len() as u64 + id.copied().unwrap_or(0))
}

fn main() {
    assert_eq!(load("acme", Some(&1)).ok(), Some(5));
    assert_eq!(load_peek("acme", Some(&1)).ok(), Some(Some(5)));
}
