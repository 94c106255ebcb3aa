//! Scopes, times to live and limits of memoized functions.

use super::{CACHE, Fault, Service, called, calls};
use crate::support::{Gate, ms};
use cacheado::testing::ManualClock;
use cacheado::{ScopeId, SharedCache, memoize};
use std::hash::{Hash, Hasher};
use std::thread;
use std::time::Duration;

struct OrgId(u64);

impl From<&OrgId> for ScopeId<'_> {
    fn from(id: &OrgId) -> Self {
        id.0.into()
    }
}

#[memoize(cache = CACHE, scope(organization = org_id, user = user_id), key = page)]
fn feed(org_id: &str, user_id: u64, page: u32) -> Result<String, Fault> {
    called("feed");
    Ok(format!("{org_id} {user_id} {page}"))
}

#[memoize(cache = CACHE, scope(organization = org, user = name.to_lowercase()))]
fn profile(org: String, name: &str) -> String {
    called("profile");
    format!("{org} {name}")
}

#[memoize(cache = CACHE, scope(organization = org), key = ())]
fn settings(org: &OrgId) -> String {
    called("settings");
    format!("settings of {}", org.0)
}

#[test]
fn a_scope_is_told_by_the_arguments() {
    assert_eq!(
        (feed("acme", 1, 1), feed("acme", 1, 1)),
        (Ok("acme 1 1".into()), Ok("acme 1 1".into()))
    );
    assert_eq!(
        (feed("acme", 2, 1), feed("umbrella", 1, 1)),
        (Ok("acme 2 1".into()), Ok("umbrella 1 1".into()))
    );
    assert_eq!(calls("feed"), 3);
    assert_eq!(profile("acme".to_owned(), "Ada"), "acme Ada");
    assert_eq!(
        (settings(&OrgId(7)), settings(&OrgId(8))),
        ("settings of 7".into(), "settings of 8".into())
    );

    let evicted = CACHE.evict_scope([("organization", "acme")]).expect("a valid path");
    assert_eq!(evicted.wait().expect("shards live"), 3);
    assert_eq!(feed_peek("acme", 1, 1).expect("a valid scope"), None);
    assert_eq!(profile_peek("acme".to_owned(), "Ada").expect("a valid scope"), None);
    assert_eq!(
        feed_peek("umbrella", 1, 1).expect("a valid scope").as_deref(),
        Some("umbrella 1 1")
    );
    let scoped =
        feed_namespace().expect("valid").scope([("organization", "umbrella"), ("user", "1")]);
    assert_eq!(scoped.expect("a valid path").get(&1).as_deref(), Some("umbrella 1 1"));
    assert_eq!(settings(&OrgId(7)), "settings of 7");
    assert_eq!(calls("settings"), 2);
}

#[memoize(cache = CACHE, scope("organization" = org_id), key = ())]
fn by_text(org_id: &str) -> u64 {
    org_id.len() as u64
}

#[test]
fn a_level_may_be_named_by_a_text() {
    assert_eq!(by_text("initech"), 7);
    let evicted = CACHE.evict_scope([("organization", "initech")]).expect("a valid path");
    assert_eq!(evicted.wait().expect("shards live"), 1);
    assert_eq!(by_text_peek("initech").expect("a valid scope"), None);
}

fn long(name: &'static str) -> Duration {
    called(name);
    Duration::from_secs(60)
}

#[memoize(cache = CACHE, ttl = long("ttl"))]
fn for_long(n: u64) -> u64 {
    n
}

#[memoize(cache = CACHE, ttl = long("scoped ttl"), scope(organization = org_id))]
fn for_long_in_scope(org_id: &str, n: u64) -> u64 {
    n + org_id.len() as u64
}

#[test]
fn a_time_to_live_is_evaluated_at_each_call_in_a_scope_too() {
    for _ in 0..3 {
        assert_eq!((for_long(1), for_long_in_scope("vandelay", 1)), (1, 9));
    }
    assert_eq!((calls("ttl"), calls("scoped ttl")), (3, 3));
}

#[memoize(cache = CACHE, scope(organization = org_id))]
fn sole(org_id: &str) -> u64 {
    called("sole");
    org_id.len() as u64
}

#[memoize(cache = CACHE, scope(organization = org_id))]
fn sole_with_its_own_errors(org_id: &str) -> Result<u64, String> {
    called("sole_with_its_own_errors");
    Ok(org_id.len() as u64)
}

#[memoize(cache = CACHE, scope(organisation = org_id))]
async fn misspelt(org_id: &str) -> Result<u64, Fault> {
    called("misspelt");
    Ok(org_id.len() as u64)
}

/// What a call panics with.
fn panic_of(call: impl FnOnce() + Send + 'static) -> String {
    let panic = thread::spawn(call).join().expect_err("a panic");
    panic.downcast_ref::<String>().expect("a text").clone()
}

#[test]
fn a_scope_that_is_refused_is_said_and_the_function_is_not_called() {
    let Err(Fault::Cache(why)) = feed("", 1, 1) else { panic!("an empty id") };
    assert!(why.contains("the id of the level \"organization\" is empty"), "{why}");
    assert!(feed_peek("", 1, 1).expect_err("an empty id").is_invalid_scope_path());
    assert!(feed_invalidate("", 1, 1).expect_err("an empty id").is_invalid_scope_path());
    let Err(Fault::Cache(why)) = pollster::block_on(misspelt("acme")) else {
        panic!("no such level")
    };
    assert!(why.contains("organisation"), "{why}");

    let panics = [
        panic_of(|| assert_eq!(sole(""), 0)),
        panic_of(|| assert_eq!(sole_refresh(""), 0)),
        panic_of(|| drop(sole_with_its_own_errors(""))),
    ];
    for (panic, function) in panics.iter().zip(["sole", "sole", "sole_with_its_own_errors"]) {
        let says = format!(
            "the call of the memoized function `{function}` was refused: the id of the level"
        );
        assert!(panic.starts_with(&says), "{panic}");
    }
    for function in ["sole", "sole_with_its_own_errors", "misspelt"] {
        assert_eq!(calls(function), 0, "{function}");
    }
}

#[memoize(cache = cache, scope(organization = org), key = ())]
fn of_an_organization(cache: &SharedCache, org: &str) -> usize {
    org.len() + usize::from(cache.is_empty())
}

#[test]
fn who_looks_makes_no_scope() {
    let cache = SharedCache::new();
    let scopes = || cache.scopes().wait().expect("shards live").reports().len();
    let before = scopes();
    for n in 0..10 {
        let org = format!("ghost {n}");
        assert_eq!(of_an_organization_peek(&cache, &org).expect("a valid scope"), None);
        assert_eq!(of_an_organization_invalidate(&cache, &org).expect("a valid scope"), None);
    }
    assert_eq!(scopes(), before);
    assert!(of_an_organization_peek(&cache, "").expect_err("no id").is_invalid_scope_path());
    assert_eq!(of_an_organization(&cache, "acme"), 5);
    assert_eq!(scopes(), before + 1);
    assert_eq!(of_an_organization_peek(&cache, "acme").expect("a valid scope"), Some(5));
    assert_eq!(of_an_organization_invalidate(&cache, "acme").expect("a valid scope"), Some(5));
}

#[memoize(cache = cache, ttl = "1m 30s")]
fn lasting(cache: &SharedCache, n: u64) -> u64 {
    called("lasting");
    n + cache.len()
}

#[memoize(cache = cache, ttl = ttl, key = n)]
async fn as_long_as_told(cache: &SharedCache, ttl: Duration, n: u64) -> u64 {
    called("as_long_as_told");
    n + cache.len() + u64::from(ttl.is_zero())
}

fn timed_cache() -> (ManualClock, SharedCache) {
    let clock = ManualClock::new();
    let cache = SharedCache::builder().clock(clock.clock()).build().expect("valid settings");
    (clock, cache)
}

#[test]
fn a_time_to_live_is_a_text_or_an_expression() {
    let (clock, cache) = timed_cache();
    lasting(&cache, 1);
    clock.advance(Duration::from_secs(89));
    lasting(&cache, 1);
    assert_eq!(calls("lasting"), 1);
    clock.advance(Duration::from_secs(1));
    lasting(&cache, 1);
    assert_eq!(calls("lasting"), 2);

    let call = |ttl, n| pollster::block_on(as_long_as_told(&cache, ttl, n));
    call(ms(10), 1);
    call(ms(20), 2);
    clock.advance(ms(10));
    call(ms(10), 1);
    call(ms(10), 2);
    assert_eq!(calls("as_long_as_told"), 3);

    let service = Service { cache, ..Service::new(1) };
    service.brief(1);
    clock.advance(ms(99));
    assert_eq!(service.brief_peek(1).expect("no scope"), Some(1));
    clock.advance(ms(1));
    assert_eq!(service.brief_peek(1).expect("no scope"), None);
}

#[memoize(cache = CACHE, max_items = 10)]
fn few(n: u64) -> u64 {
    n
}

#[test]
fn no_more_is_kept_than_max_items() {
    for n in 0..100 {
        few(n);
    }
    CACHE.flush().wait().expect("shards live");
    assert_eq!(few_namespace().expect("a valid namespace").len(), 10);
}

/// The one key there is. Hashing it stops at the gate, if it has one.
#[derive(Clone)]
struct Stopping(Option<Gate>);

impl Hash for Stopping {
    fn hash<H: Hasher>(&self, _: &mut H) {
        if let Some(gate) = &self.0 {
            gate.pass();
        }
    }
}

impl PartialEq for Stopping {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Stopping {}

#[memoize(cache = cache, scope(organization = org, user = user), key = key)]
fn secret(cache: &SharedCache, org: &str, user: u64, key: Stopping) -> String {
    let Stopping(_) = key;
    format!("{org} {user}")
}

/// A reader has found its scope and stops. The scope ends, another is given its number, and an eviction
/// above the ended one raises its sum to the stamp of what that other holds.
#[test]
fn a_scope_that_ended_under_its_reader_answers_nothing() {
    let cache = SharedCache::builder().shards(1).build().expect("valid settings");
    let organizations =
        ["acme", "umbrella"].map(|id| cache.scope([("organization", id)]).expect("a valid path"));
    let any = || Stopping(None);
    assert_eq!(secret(&cache, "acme", 1, any()), "acme 1");
    let gate = Gate::new();
    let reader = thread::spawn({
        let (cache, key) = (cache.clone(), Stopping(Some(gate.clone())));
        move || secret(&cache, "acme", 1, key)
    });
    gate.wait_for(1);

    secret_invalidate(&cache, "acme", 1, any()).expect("a valid scope");
    let scopes = || cache.scopes().wait().expect("shards live").reports().len();
    let has_ended = |_: &u32| {
        cache.flush().wait().expect("shards live");
        scopes() == 3
    };
    assert!((0..1000).find(has_ended).is_some(), "a scope without entries and handles stays");
    assert_eq!(secret(&cache, "umbrella", 2, any()), "umbrella 2");
    organizations[0].evict().wait().expect("shards live");

    gate.open();
    assert_eq!(reader.join().expect("a value"), "acme 1");
}
