//! Values that are set and read by hand, in the scope of one user, with a time to live of their own.
#![expect(clippy::print_stdout, reason = "printing is what an example is for")]

use cacheado::testing::ManualClock;
use cacheado::{Error, SharedCache};
use serde_json::{Value, json};
use std::time::Duration;

fn main() -> Result<(), Error> {
    // By hand, so that an hour passes at once.
    let clock = ManualClock::new();
    let cache = SharedCache::builder().clock(clock.clock()).build()?;
    let settings = cache.namespace::<String, Value>("settings")?;

    let user = settings.scope([("organization", "org_123"), ("user", "user_456")])?;
    let dark = json!({"theme": "dark"});
    user.insert_with_ttl("user_settings".to_owned(), dark.clone(), Duration::from_secs(3600));
    assert_eq!(user.get("user_settings"), Some(dark.clone()));
    println!("{}: {}", user.path(), user.read("user_settings", Value::to_string).expect("a hit"));

    // Nobody else has it: no other user, not the organization, not the cache as a whole.
    let other = settings.scope([("organization", "org_123"), ("user", "user_457")])?;
    let organization = settings.scope([("organization", "org_123")])?;
    for elsewhere in [&other, &organization, &settings] {
        assert_eq!(elsewhere.get("user_settings"), None);
    }

    // The same verbs serve async code: they never wait.
    pollster::block_on(async {
        assert_eq!(user.get("user_settings"), Some(dark.clone()));
        assert_eq!(user.get_or_load_async("plan", async { json!("free") }).await, json!("free"));
    });

    clock.advance(Duration::from_secs(3599));
    assert_eq!(user.get("user_settings"), Some(dark.clone()));
    clock.advance(Duration::from_secs(1));
    assert_eq!(user.get("user_settings"), None, "an hour has passed");
    assert_eq!(user.get("plan"), Some(json!("free")), "which has no time to live");

    assert_eq!(user.remove("plan"), Some(json!("free")));
    assert_eq!(user.get("plan"), None);
    other.insert("plan".to_owned(), json!("paid"));
    let cleared = cache.clear().wait()?;
    assert_eq!((cleared, other.get("plan")), (1, None));
    println!("expired on time; removed; cleared {cleared}");
    Ok(())
}
