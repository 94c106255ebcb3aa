//! Whose results meet and whose do not: receivers, modules, instances, keys and names.

use super::{CACHE, Fault, Service, called, calls};
use cacheado::{SharedCache, memoize};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

struct Other;

impl Other {
    #[memoize(cache = CACHE)]
    fn made(id: u64) -> Arc<Service> {
        called("Other::made");
        Arc::new(Service::new(if std::any::type_name::<Self>().is_empty() { 0 } else { id + 1 }))
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Keyed(u64);

impl Keyed {
    #[memoize(cache = CACHE, key = (self, n))]
    fn sum(&self, n: u64) -> u64 {
        called("Keyed::sum");
        self.0 + n
    }
}

#[test]
fn a_receiver_is_part_of_the_key_only_if_it_is_named() {
    let (one, two) = (Service::new(1), Service { cache: SharedCache::new(), ..Service::new(2) });
    assert_eq!((one.shared(1), one.shared(1), two.shared(1)), (101, 101, 201));
    let twin = Service { cache: one.cache.clone(), ..Service::new(3) };
    assert_eq!((twin.shared(1), twin.own(1), one.own(1), one.own(1)), (101, 301, 101, 101));
    assert_eq!((calls("Service::shared"), calls("Service::own")), (2, 2));
    assert_eq!(one.shared_invalidate(1).expect("no scope"), Some(101));
    assert_eq!((twin.shared(1), twin.shared_refresh(1)), (301, 301));
    assert_eq!(twin.own_namespace().expect("a valid namespace").get(&(1, 1)), Some(101));

    assert_eq!((Keyed(1).sum(1), Keyed(1).sum(1), Keyed(2).sum(1)), (2, 2, 3));
    assert_eq!(calls("Keyed::sum"), 2);
}

#[test]
fn equal_names_in_two_types_do_not_meet() {
    assert_eq!((Service::made(7).id, Other::made(7).id, Service::made(7).id), (7, 8, 7));
    assert_eq!((calls("Service::made"), calls("Other::made")), (1, 1));
}

#[memoize(cache = CACHE)]
fn total(n: u64) -> u64 {
    n + 1
}

struct Invoice;

impl Invoice {
    const ROOM: u64 = 9;
    const TTL: Duration = Duration::from_secs(60);

    fn cache() -> &'static SharedCache {
        &CACHE
    }

    #[memoize(cache = CACHE)]
    fn total(n: u64) -> u64 {
        let _: Option<Self> = None;
        n + 1000
    }

    #[memoize(cache = Self::cache())]
    fn by_cache(n: u64) -> u64 {
        n + 1
    }

    #[memoize(cache = CACHE, ttl = Self::TTL)]
    fn by_ttl(n: u64) -> u64 {
        n + 2
    }

    #[memoize(cache = CACHE, max_items = Self::ROOM)]
    fn by_room(n: u64) -> u64 {
        n + 3
    }
}

#[test]
fn a_method_and_a_free_function_of_one_name_do_not_meet() {
    for _ in 0..2 {
        assert_eq!((total(1), Invoice::total(1)), (2, 1001));
    }
}

#[test]
fn self_in_any_expression_of_the_attribute_tells_a_method() {
    assert_eq!((Invoice::by_cache(1), Invoice::by_ttl(1), Invoice::by_room(1)), (2, 3, 4));
    assert_eq!(Invoice::by_room_peek(1).expect("no scope"), Some(4));
}

mod left {
    use super::{CACHE, memoize};

    #[memoize(cache = CACHE)]
    pub(super) fn side(n: u64) -> String {
        format!("left {n}")
    }
}

mod right {
    use super::{CACHE, memoize};

    #[memoize(cache = CACHE)]
    pub(super) fn side(n: u64) -> String {
        format!("right {n}")
    }
}

fn two_blocks() -> (u64, u64) {
    let one = {
        #[memoize(cache = CACHE)]
        fn inner(n: u64) -> u64 {
            n + 1
        }
        inner(1)
    };
    let other = {
        #[memoize(cache = CACHE)]
        fn inner(n: u64) -> u64 {
            n + 2
        }
        inner(1)
    };
    (one, other)
}

struct Host;

const _: () = {
    #[memoize(cache = CACHE)]
    fn hosted(n: u64) -> u64 {
        n + 1
    }

    impl Host {
        fn one(n: u64) -> u64 {
            hosted(n)
        }
    }
};

const _: () = {
    #[memoize(cache = CACHE)]
    fn hosted(n: u64) -> u64 {
        n + 2
    }

    impl Host {
        fn other(n: u64) -> u64 {
            hosted(n)
        }
    }
};

#[test]
fn equal_names_in_two_modules_or_blocks_do_not_meet() {
    for _ in 0..2 {
        assert_eq!((left::side(1), right::side(1)), ("left 1".to_owned(), "right 1".to_owned()));
        assert_eq!(two_blocks(), (2, 3));
        assert_eq!((Host::one(1), Host::other(1)), (2, 3));
    }
    assert_eq!(left::side_invalidate(1).expect("no scope").as_deref(), Some("left 1"));
    assert_eq!(right::side_peek(1).expect("no scope").as_deref(), Some("right 1"));
}

trait Named {
    const NAME: &'static str;
}

struct Red;
struct Blue;

impl Named for Red {
    const NAME: &'static str = "red";
}

impl Named for Blue {
    const NAME: &'static str = "blue";
}

#[memoize(cache = CACHE)]
fn colour<T: Named, const N: usize>(n: u64) -> String {
    called("colour");
    format!("{} {N} {n}", T::NAME)
}

#[memoize(cache = CACHE)]
fn copied<T>(value: &T) -> T
where
    T: Clone + Hash + Eq + Send + Sync + 'static,
{
    called("copied");
    value.clone()
}

#[memoize(cache = cache)]
fn counted<T>(cache: &SharedCache, value: Box<str>, other: &T) -> String
where
    T: fmt::Display
        + ToOwned<Owned: Send + Sync + Hash + Eq + Clone + 'static>
        + Hash
        + Eq
        + ?Sized,
{
    called("counted");
    format!("{value}{other}{}", cache.is_empty())
}

#[test]
fn a_generic_function_has_a_namespace_for_each_instance() {
    for _ in 0..2 {
        assert_eq!(colour::<Red, 1>(1), "red 1 1");
        assert_eq!(colour::<Blue, 1>(1), "blue 1 1");
        assert_eq!(colour::<Blue, 2>(1), "blue 2 1");
        assert_eq!(
            (copied(&1_u8), copied(&1_u64), copied(&"a".to_owned())),
            (1, 1, "a".to_owned())
        );
    }
    assert_eq!((calls("colour"), calls("copied")), (3, 3));
    assert_eq!(colour_peek::<Blue, 2>(1).expect("no scope").as_deref(), Some("blue 2 1"));
    assert_eq!(copied_namespace::<u8>().expect("a valid namespace").get(&1), Some(1));
}

/// Two types of one name, which one function is generic over.
fn two_of_one_name() -> [String; 2] {
    let one = {
        struct Local;
        impl Named for Local {
            const NAME: &'static str = "one";
        }
        colour::<Local, 0>(1)
    };
    let other = {
        struct Local;
        impl Named for Local {
            const NAME: &'static str = "other";
        }
        colour::<Local, 0>(1)
    };
    [one, other]
}

#[test]
fn instances_for_types_that_are_called_alike_do_not_meet() {
    for _ in 0..2 {
        assert_eq!(two_of_one_name(), ["one 0 1", "other 0 1"]);
    }
}

#[test]
fn a_namespace_that_is_called_as_a_function_is_not_the_functions() {
    assert_eq!(left::side(5), "left 5");
    let name = left::side_namespace().expect("a valid namespace").name();
    let other = CACHE.namespace::<u64, u8>(name).expect("no conflict of types");
    assert_eq!((other.name(), other.get(&5)), (name, None));
}

#[test]
fn an_argument_that_is_the_cache_is_no_part_of_the_key() {
    let (one, two) = (SharedCache::new(), SharedCache::new());
    let call = |cache: &SharedCache| counted(cache, "a".into(), "b");
    assert_eq!(
        (call(&one), call(&one), call(&two)),
        ("abtrue".into(), "abtrue".into(), "abtrue".into())
    );
    assert_eq!(calls("counted"), 2);
    let namespace = counted_namespace::<str>(&one).expect("a valid namespace");
    assert_eq!(namespace.get(&("a".into(), "b".to_owned())).as_deref(), Some("abtrue"));
    assert_eq!(
        counted_invalidate(&two, "a".into(), "b").expect("no scope").as_deref(),
        Some("abtrue")
    );
}

struct User {
    id: u32,
    name: String,
}

#[memoize(cache = CACHE, key = (user.id as u64, &user.name as &str, times))]
fn named(user: &User, times: usize, _unheeded: f64) -> String {
    called("named");
    format!("{}{}", user.id, user.name.repeat(times))
}

#[memoize(cache = CACHE, key = amount.to_bits() as u64)]
fn rounded(amount: f64) -> i64 {
    called("rounded");
    amount.round() as i64
}

#[test]
fn a_chosen_key_decides_alone() {
    let ada = User { id: 1, name: "Ada".to_owned() };
    assert_eq!(named(&ada, 2, 0.5), "1AdaAda");
    assert_eq!(named(&User { name: "Ada".to_owned(), ..ada }, 2, 1.5), "1AdaAda");
    assert_eq!(named(&User { id: 1, name: "Eva".to_owned() }, 2, 0.5), "1EvaEva");
    assert_eq!(calls("named"), 2);
    assert_eq!(named_peek(&ada, 2).expect("no scope").as_deref(), Some("1AdaAda"));
    let key = (1, "Eva".to_owned(), 2);
    assert_eq!(named_namespace().expect("valid").get(&key).as_deref(), Some("1EvaEva"));

    assert_eq!((rounded(1.5), rounded(1.5), rounded(2.4), calls("rounded")), (2, 2, 2, 2));
}

#[memoize(cache = CACHE, name = "two doors")]
fn front_door(n: u64) -> u64 {
    called("front_door");
    n
}

#[memoize(cache = CACHE, name = "two doors")]
fn back_door(n: u64) -> u64 {
    called("back_door");
    n
}

#[memoize(cache = CACHE, name = "two doors")]
fn wrong_door(n: u8) -> Result<u8, Fault> {
    called("wrong_door");
    Ok(n)
}

#[test]
fn functions_of_one_name_share_what_they_keep_or_are_refused() {
    assert_eq!((front_door(1), back_door(1)), (1, 1));
    assert_eq!((calls("front_door"), calls("back_door")), (1, 0));
    let Err(Fault::Cache(why)) = wrong_door(1) else { panic!("the types are others") };
    assert!(why.contains("two doors"), "{why}");
    assert_eq!(calls("wrong_door"), 0);
    assert!(wrong_door_peek(1).is_err());
}

/// Arguments that hide the function whose they are, and are of one type.
mod hidden {
    use super::{Other, SharedCache, memoize};

    #[memoize(cache = cache)]
    pub(super) fn user(cache: &SharedCache, user: u64) -> String {
        format!("user {user}")
    }

    #[memoize(cache = cache)]
    pub(super) async fn count(cache: &SharedCache, count: u64) -> String {
        format!("count {count}")
    }

    #[memoize(cache = cache, scope(organization = org), key = id)]
    pub(super) fn plan<T: Into<u64> + Copy + 'static>(
        cache: &SharedCache,
        plan: &T,
        org: &str,
        id: u64,
    ) -> u64 {
        (*plan).into() + id + org.len() as u64
    }

    impl Other {
        #[memoize(cache = cache)]
        pub(super) fn same(cache: &SharedCache, same: u64) -> (u64, &'static str) {
            (same, std::any::type_name::<Self>())
        }
    }
}

#[test]
fn an_argument_may_have_the_name_of_its_function() {
    let cache = SharedCache::new();
    assert_eq!(hidden::user(&cache, 1), "user 1");
    assert_eq!(pollster::block_on(hidden::count(&cache, 1)), "count 1");
    assert_eq!(hidden::user_peek(&cache, 1).expect("no scope").as_deref(), Some("user 1"));
    assert_eq!(hidden::plan(&cache, &40_u32, "acme", 1), 45);
    assert_eq!(hidden::plan(&cache, &41_u8, "acme", 1), 46);
    assert_eq!(hidden::plan_peek::<u32>(&cache, "acme", 1).expect("a valid scope"), Some(45));
    assert_eq!(hidden::plan_invalidate::<u32>(&cache, "acme", 1).expect("a valid scope"), Some(45));
    assert_eq!(hidden::plan(&cache, &50_u32, "acme", 1), 55);
    assert_eq!(Other::same(&cache, 1).0, 1);
    assert_eq!(Other::same_peek(&cache, 1).expect("no scope").map(|kept| kept.0), Some(1));
}
