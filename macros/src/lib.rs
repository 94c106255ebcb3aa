//! The attribute `#[memoize]`, which keeps the results of a function in a `SharedCache`. Use it as
//! `cacheado::memoize`, where it is described.
//!
//! From source to tokens in four steps: `args` reads what stands in the attribute, `function` what
//! stands below it, `plan` brings the two together and refuses what does not fit, `expand` writes the
//! result and cannot fail.

mod args;
mod attributes;
mod expand;
mod function;
mod place;
mod plan;
mod policy;
#[cfg(test)]
mod tests;
mod types;

use proc_macro2::TokenStream;

/// Keeps what a function returns in a `SharedCache`, and calls it for what is not there.
///
/// ```
/// use cacheado::{SharedCache, memoize};
/// use std::sync::LazyLock;
///
/// static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);
///
/// #[memoize(cache = CACHE, ttl = "5m", scope(organization = org_id, user = user_id))]
/// fn greeting(org_id: &str, user_id: u64, formal: bool) -> Result<String, cacheado::Error> {
///     Ok(format!("{} {user_id} of {org_id}", if formal { "Dear" } else { "Hi" }))
/// }
///
/// assert_eq!(greeting("acme", 42, true)?, "Dear 42 of acme"); // runs
/// assert_eq!(greeting("acme", 42, true)?, "Dear 42 of acme"); // does not
/// assert!(greeting_peek("acme", 42, true)?.is_some());
/// CACHE.evict_scope([("organization", "acme")])?;
/// assert!(greeting_peek("acme", 42, true)?.is_none());
/// # Ok::<(), cacheado::Error>(())
/// ```
///
/// It goes on free functions, on methods that borrow their receiver and on functions of an inherent
/// `impl`, all of them sync or `async`, generic or not. However many callers ask for the same at once,
/// threads or tasks, the function runs once. A hit copies no argument and allocates nothing but what the
/// clone of the value does.
///
/// # Arguments
///
/// | argument | |
/// |---|---|
/// | `cache = CACHE` | where the results go: a static (or what derefs to one, as a `LazyLock` does), `cache = self.cache`, or an argument. The one that must be given |
/// | `ttl = "1h30m"` | how long a result lives: a text, or an expression of type `Duration`, which is evaluated at each call, first of all, and says how long what this call loads will live. Default: as the scope says, or the cache |
/// | `scope(organization = org_id, user = user_id)` | the scope, level by level; the ids are arguments or expressions of them: texts, integers, or whatever a `ScopeId` is made from |
/// | `key = (id, &user.name as &str)` | what is told apart, see below. Default: all arguments |
/// | `result = "ok"` or `"all"` | of a `Result`, what is worth keeping. Default: `"ok"` |
/// | `option = "some"` or `"all"` | of an `Option`, also inside a `Result`. Default: `"all"` |
/// | `max_items = 1_000` | how many results are kept at most, in all scopes together: a number, or an expression of type `u64`, which is evaluated when the namespace is made, at the first call in a cache; 0 is refused as a scope may be. Default: as many as the cache has room for |
/// | `name = "users"` | the name of the namespace. Default: that of the function with its modules and its types |
/// | `crate = path` | where this crate is, for who has it by another name or through another crate. Default: `::cacheado` |
///
/// # The key
///
/// The key is made of the values of all arguments but the cache: an argument that is borrowed is looked up
/// as it is and owned when it is kept, so the key of `(&str, u64)` is `(String, u64)`, and that of a `&str`
/// alone `String`. `Option<&T>` is borrowed likewise. What a scope says is part of the key too, unless `key`
/// leaves it out.
///
/// **The receiver is no part of the key** unless `key` names `self`: two receivers with one cache share what
/// is kept. Name what tells them apart: `key = (self.region as Region, id)`.
///
/// `key = (..)` names arguments, `self`, or expressions with their types, `user.id as u64`: what it does not
/// name makes no difference, and need not be a key. An argument that is no key (a float, a closure, a
/// connection, what borrows inside) has to be left out or turned into one. Arguments that are passed by value
/// and are part of the key are cloned when the function runs. What `Eq` takes for equal is one key, so the
/// function must not tell it apart either: the `Path`s `a` and `a/`, say.
///
/// # Companions
///
/// Beside `load` there are, with its visibility,
///
/// * `load_peek(..)`: what is kept for these arguments, if anything is;
/// * `load_invalidate(..)`: drops it, and returns it;
/// * `load_refresh(..)`: drops it and loads it anew, as `load` does;
/// * `load_uncached(..)`: the function as it was written;
/// * `load_namespace(..)`: the typed `Namespace` in the global scope, with all verbs, `clear` and statistics.
///
/// `peek` and `invalidate` take those arguments that key, scope and cache are made from, in the order of
/// the function, and are never `async`; `namespace` takes those of the cache alone. They are functions
/// beside a function and methods beside a method, so one rule holds for both.
///
/// Neither `peek` nor `invalidate` makes a scope that is not there.
///
/// An invalidation beats a load that began before it: what that load returns is not kept.
///
/// # Names
///
/// A namespace is called as its function is, with modules, types and type parameters, and is that function's
/// alone: equal names in two modules, types or blocks do not meet, nor do the instances of a generic function,
/// nor what a program calls `cache.namespace(..)` by the same name.
///
/// Two functions that are given the same `name` share what they keep if their keys and values are of the same
/// types, and their `ttl` and `max_items` are the same; else the second that is called is refused, as is one
/// whose options are not those that a namespace of the name was made with by hand. (An expression for `ttl` is
/// no option of the namespace, and of one for `max_items` it only counts that there is one.) In an `impl` a
/// `name` is one for each `Self`: methods of one type share by it, those of two types or of two instances of
/// one do not. A generic function has no `name`.
///
/// In one cache that is a static a namespace is looked up once. A constant of a type, `T::CACHE`, may be
/// another for each type, and is looked up at each call.
///
/// # Errors and panics
///
/// A scope that is refused (an empty id, a level that the cache has not) or a namespace that is refused (a
/// `name` that others use for other types) is never passed over in silence. A function that returns a
/// `Result` whose error is an `E: From<cacheado::Error>`, or an `Arc<E>` of one, returns it; every other panics, with a text that says
/// what was refused. The companions return it.
///
/// The error of a load is shared by all who waited for it, so it is `Clone`. Where it is not, return
/// `Result<T, Arc<E>>`: `?` makes an `Arc<E>` of an `E` by itself; where the error is yet another,
/// `.map_err(E::from)?` does.
///
/// # Not
///
/// * In traits and in `impl Trait for ..`: companions would be methods of the trait. Write an inherent method
///   and call it there.
/// * A function without a receiver in an `impl` is taken for one if it says `Self` somewhere, in its
///   signature, its body or the attribute; one that does not cannot be told from a free function, and does
///   not compile: what the compiler does not find then is called as what to do, `.._write_Self_somewhere_..`.
///   Write `Type` as `Self` there:
///
///   ```compile_fail,E0425
///   # use cacheado::{SharedCache, memoize};
///   # use std::sync::LazyLock;
///   # static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);
///   #[memoize(cache = CACHE)]
///   fn total(id: u64) -> u64 {
///       id + 1
///   }
///
///   struct Invoice(u64);
///
///   impl Invoice {
///       #[memoize(cache = CACHE)]
///       fn total(id: u64) -> u64 {
///           Invoice(id).0 + 1_000 // write `Self(id)`
///       }
///   }
///   ```
/// * `result` and `option` go by the name. An alias of `Result` with a name of its own needs `result = ".."`,
///   and does not compile without; only where a generic function cannot know that its type is a `Result` is it
///   kept whatever it is.
/// * Where a lint that is lifted for the companions (`dead_code`, `unused_qualifications`, some of clippy's) is
///   forbidden: `deny` will do.
/// * Attributes below this one go to the function as it was written, but for documentation, `must_use`,
///   `deprecated` and lints.
#[proc_macro_attribute]
pub fn memoize(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let expanded = memoized(arguments.into(), item.into());
    expanded.unwrap_or_else(|refused| refused.into_compile_error()).into()
}

fn memoized(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let place = place::of(&arguments, &item);
    let function = function::parse(item)?;
    let arguments = syn::parse2(arguments);
    // The function itself stays, so that its callers do not fail for want of it.
    let plan = arguments.and_then(|arguments| plan::Plan::new(arguments, &function));
    Ok(plan.map_or_else(
        |refused| {
            let (refused, item) = (refused.into_compile_error(), &function.item);
            quote::quote!(#refused #item)
        },
        |plan| expand::expand(&function, &plan, place),
    ))
}
