//! Tenants: which trees and paths there are, and what is said of those that are none.

use crate::scopes::{Cache, put};
use crate::support::{builder, cache, flush, ms, on_each_shape};
use cacheado::{Error, ScopeId, ScopeTree, ScopedHandle};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn ids_are_compared_whole() {
    on_each_shape(|shards| {
        let tree = ScopeTree::new(["a/b", "c"]).expect("valid");
        let cache: Cache = builder(shards).scopes(tree).build().expect("valid");
        let paths: [&[(&str, &str)]; 9] = [
            &[("a", "x/y")],
            &[("a", "x"), ("b", "y")],
            &[("a", "x/y"), ("b", "y")],
            &[("a", "x"), ("b", "y/y")],
            &[("c", "x")],
            &[("a", "x")],
            &[("a", "x\0")],
            &[("a", " ")],
            &[("a", "a=x/b=y")],
        ];
        let scope = |path: &[(&'static str, &'static str)]| {
            cache.scope(path.iter().copied()).expect("a right path")
        };
        let handles: Vec<_> = paths.iter().map(|path| scope(path)).collect();
        for (i, handle) in handles.iter().enumerate() {
            put(handle, "k", i as u64);
        }
        flush(&cache);
        for (i, path) in paths.iter().enumerate() {
            assert_eq!(scope(path).get("k"), Some(i as u64), "{path:?}");
            let found = handles[i].path();
            assert_eq!(found.iter().collect::<Vec<_>>(), path.to_vec());
        }
        assert_eq!(scope(paths[0]).evict().wait().expect("shards live"), 2);
        let left: Vec<_> = handles.iter().map(|handle| handle.get("k").is_some()).collect();
        assert_eq!(left, [false, true, false, true, true, true, true, true, true]);
    });
}

#[test]
fn an_integer_and_its_text_are_one_id() {
    let cache: Cache = cache(1);
    let number = cache.scope([("organization", 42)]).expect("a right path");
    put(&number, "k", 1);
    let text = cache.scope([("organization", "42".to_owned())]).expect("a right path");
    assert_eq!(text.get("k"), Some(1));
    let mixed = [("organization", ScopeId::from("42")), ("user", ScopeId::from(-7))];
    let user = cache.scope(mixed).expect("a right path");
    assert_eq!(user.path().to_string(), "organization=42/user=-7");
    put(&user, "k", 2);
    assert_eq!(number.scope([("user", "-7")]).expect("a right path").get("k"), Some(2));
    let (boxed, shared): (Box<str>, Arc<str>) = ("42".into(), "42".into());
    let own: Rc<str> = "42".into();
    for id in [boxed.into(), ScopeId::from(&shared), shared.clone().into(), own.into()] {
        assert_eq!(cache.scope([("organization", id)]).expect("a right path").get("k"), Some(1));
    }
}

#[test]
fn trees_are_refused_with_the_fault_and_what_would_be_right() {
    let refused = |chains: &[&str]| {
        ScopeTree::new(chains).map_err(|error| {
            assert!(error.is_invalid_scope_tree());
            error.to_string()
        })
    };
    for (chains, names) in [
        (&[][..], "no level"),
        (&[""], "without a name"),
        (&["a//b"], "\"a//b\""),
        (&["a/b/"], "without a name"),
        (&["a/ /b"], "without a name"),
        (&["a/ b"], "white space"),
        (&["global/a"], "\"global\""),
        (&["a/b/a"], "\"a\" comes twice"),
        (&["a/b", "c/b"], "\"a/b\""),
        (&["a/b", "b"], "\"a/b\""),
    ] {
        let error = refused(chains).expect_err("a fault");
        assert!(error.contains(names), "{chains:?}: {error}");
    }
    let deep: String = (0..33).map(|i| format!("/{i}")).collect();
    assert!(refused(&[&deep[1..]]).expect_err("too deep").contains("33"));
    let tree = || ScopeTree::default();
    assert!(tree().time_to_live("usr", ms(1)).expect_err("unknown").is_invalid_scope_tree());
    assert!(tree().time_to_live("user", Duration::ZERO).expect_err("zero").is_invalid_scope_tree());
    let global = tree().time_to_live("global", ms(1)).expect_err("the builder's");
    assert!(global.to_string().contains("builder"), "{global}");
}

#[test]
fn a_wrong_path_is_an_error_and_never_another_scope() {
    let tree = ScopeTree::new(["organization/user/session", "tenant/project"]).expect("valid");
    let cache: Cache = builder(1).scopes(tree).build().expect("valid");
    let acme = cache.scope([("organization", "acme")]).expect("a right path");
    let check = |result: Result<(), Error>, parts: &[&str]| {
        let error = result.expect_err("a wrong path");
        assert!(error.is_invalid_scope_path());
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    let wrong = |path: &[(&'static str, &'static str)], parts: &[&str]| {
        let path = path.iter().copied();
        check(cache.scope(path.clone()).map(drop), parts);
        check(cache.evict_scope(path).map(drop), parts);
    };
    wrong(&[("usr", "u")], &["no level \"usr\"", "organization/user/session, tenant/project"]);
    wrong(&[("global", "u")], &["no level \"global\""]);
    wrong(&[("user", "u")], &["\"organization\" is missing before \"user\"", "organization/user"]);
    wrong(&[("organization", "o"), ("session", "s")], &["\"user\" is missing", "user/session"]);
    wrong(
        &[("organization", "o"), ("project", "p")],
        &["\"project\" is misplaced", "tenant/project"],
    );
    wrong(&[("organization", "o"), ("organization", "p")], &["misplaced after \"organization\""]);
    wrong(&[("organization", "")], &["id of the level \"organization\" is empty"]);
    wrong(&[("organization", "o"), ("user", "")], &["\"user\" is empty", "organization/user"]);
    wrong(&[], &["empty", "organization/user/session"]);
    // From a scope, what is right is what is right from there.
    let below =
        |scope: &ScopedHandle<_, _>, path: &[(&'static str, &'static str)], parts: &[&str]| {
            check(scope.scope(path.iter().copied()).map(drop), parts);
        };
    let place = "below \"organization\"";
    below(&acme, &[("session", "s")], &["\"user\" is missing", "of user/session", place]);
    below(&acme, &[("user", "u"), ("session", "")], &["empty", "of user/session", place]);
    below(&acme, &[("organization", "a")], &["misplaced", place, "are user/session"]);
    below(&acme, &[("project", "p")], &["misplaced", place, "are user/session"]);
    below(&acme, &[("usr", "u")], &["no level \"usr\"", place, "are user/session"]);
    below(&acme, &[], &["empty", place, "are user/session"]);
    assert_eq!(cache.scopes().wait().expect("at once").reports().len(), 2, "no scope was made");
    let session = acme.scope([("user", "u"), ("session", "s")]).expect("a right path");
    below(&session, &[("session", "s")], &["misplaced", "there are no levels below"]);
}
