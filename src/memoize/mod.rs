//! What the expansion of `#[memoize]` is built from. Public for its sake alone, and no part of the
//! crate's interface. Layer: front.

use crate::{Error, Namespace, ScopeId, ToKey};
use std::convert::Infallible;
use std::future::Future;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

mod known;
mod parts;
mod refusal;

pub use crate::shared::space::Title;
pub use known::{Known, Limit, Wanted, namespace};
pub use parts::{Lent, Parts};
pub use refusal::{Convert, Panic, Refusal, Share, refused};

/// What is kept in a scope, which is not entered for that.
#[inline]
pub fn find<P, R, K, Q>(
    namespace: &Namespace<K, P::Value>,
    scope: &[(&str, ScopeId<'_>)],
    key: &Q,
) -> Option<R>
where
    P: Policy<R>,
    Q: ToKey<K>,
    K: Hash + Eq + Send + Sync + 'static,
{
    namespace.hit_below(scope, key).map(P::give)
}

/// The namespace in a scope, if there is that scope.
///
/// # Errors
///
/// If the cache refuses the scope.
pub fn below<K, V>(
    namespace: &Namespace<K, V>,
    scope: &[(&str, ScopeId<'_>)],
) -> Result<Option<Namespace<K, V>>, Error>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    namespace.scope_if_any(scope)
}

/// Finds or loads.
pub fn load<P, R, K, Q>(
    namespace: &Namespace<K, P::Value>,
    key: &Q,
    time_to_live: Option<Duration>,
    function: impl FnOnce() -> R,
) -> R
where
    P: Policy<R>,
    Q: ToKey<K>,
    K: Hash + Eq + Send + Sync + 'static,
{
    give::<P, R>(namespace.load(key, time_to_live, || P::keep(function())))
}

/// Finds or loads, with a function that awaits.
pub async fn load_async<P, R, K, Q>(
    namespace: &Namespace<K, P::Value>,
    key: &Q,
    time_to_live: Option<Duration>,
    function: impl Future<Output = R>,
) -> R
where
    P: Policy<R>,
    Q: ToKey<K>,
    K: Hash + Eq + Send + Sync + 'static,
{
    let loader = async { P::keep(function.await) };
    give::<P, R>(namespace.load_async(key, time_to_live, loader).await)
}

fn give<P: Policy<R>, R>(found: Result<P::Value, Arc<P::Rest>>) -> R {
    match found {
        Ok(kept) => P::give(kept),
        Err(rest) => P::give_rest(Arc::unwrap_or_clone(rest)),
    }
}

/// What is kept of what a function returns, and what is not.
pub trait Policy<R> {
    /// What is kept.
    type Value: Clone + Send + Sync + 'static;
    /// What is handed to those who waited, and forgotten.
    type Rest: Clone + Send + Sync + 'static;

    /// Takes apart what the function returned.
    ///
    /// # Errors
    ///
    /// What is not to be kept.
    fn keep(returned: R) -> Result<Self::Value, Self::Rest>;

    /// What the function returned when this was kept of it.
    fn give(kept: Self::Value) -> R;

    /// What the function returned when this was not kept.
    fn give_rest(rest: Self::Rest) -> R;
}

/// Everything is kept.
#[derive(Debug)]
pub struct Whole;

/// `Some` is kept, `None` is not.
#[derive(Debug)]
pub struct Somes;

/// `Ok` is kept, `Err` is not.
#[derive(Debug)]
pub struct Oks;

/// `Ok(Some)` is kept, nothing else is.
#[derive(Debug)]
pub struct OkSomes;

/// Everything is kept but `Ok(None)`.
#[derive(Debug)]
pub struct SomesAndErrs;

impl<R: Clone + Send + Sync + 'static> Policy<R> for Whole {
    type Value = R;
    type Rest = Infallible;

    fn keep(returned: R) -> Result<R, Infallible> {
        Ok(returned)
    }

    #[inline]
    fn give(kept: R) -> R {
        kept
    }

    fn give_rest(rest: Infallible) -> R {
        match rest {}
    }
}

impl<T: Clone + Send + Sync + 'static> Policy<Option<T>> for Somes {
    type Value = T;
    type Rest = ();

    fn keep(returned: Option<T>) -> Result<T, ()> {
        returned.ok_or(())
    }

    #[inline]
    fn give(kept: T) -> Option<T> {
        Some(kept)
    }

    fn give_rest((): ()) -> Option<T> {
        None
    }
}

impl<T, E> Policy<Result<T, E>> for Oks
where
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    type Value = T;
    type Rest = E;

    fn keep(returned: Result<T, E>) -> Result<T, E> {
        returned
    }

    #[inline]
    fn give(kept: T) -> Result<T, E> {
        Ok(kept)
    }

    fn give_rest(rest: E) -> Result<T, E> {
        Err(rest)
    }
}

impl<T, E> Policy<Result<Option<T>, E>> for OkSomes
where
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    type Value = T;
    /// `None` for `Ok(None)`.
    type Rest = Option<E>;

    fn keep(returned: Result<Option<T>, E>) -> Result<T, Option<E>> {
        returned.map_err(Some)?.ok_or(None)
    }

    #[inline]
    fn give(kept: T) -> Result<Option<T>, E> {
        Ok(Some(kept))
    }

    fn give_rest(rest: Option<E>) -> Result<Option<T>, E> {
        rest.map_or(Ok(None), Err)
    }
}

impl<T, E> Policy<Result<Option<T>, E>> for SomesAndErrs
where
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    type Value = Result<T, E>;
    type Rest = ();

    fn keep(returned: Result<Option<T>, E>) -> Result<Result<T, E>, ()> {
        returned.transpose().ok_or(())
    }

    #[inline]
    fn give(kept: Result<T, E>) -> Result<Option<T>, E> {
        kept.map(Some)
    }

    fn give_rest((): ()) -> Result<Option<T>, E> {
        Ok(None)
    }
}

/// Whom the questions are about. That it is always the same keeps the compiler from proposing references
/// to what was asked about.
#[derive(Debug)]
pub struct Memoized;

/// It can have keys with a `T` in them.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be part of the key of a memoized function",
    label = "not `Hash + Eq + Clone + Send + Sync + 'static`",
    note = "choose the key with `key = (..)`: name the arguments that matter, or write an expression with its \
            type, as in `key = (user.id as u64)`"
)]
pub trait Keyed<T> {}

#[diagnostic::do_not_recommend]
impl<T: Hash + Eq + Clone + Send + Sync + 'static> Keyed<T> for Memoized {}

/// Asks whether something can be part of a key.
#[inline]
pub fn is_key<T>()
where
    Memoized: Keyed<T>,
{
}

/// It can keep a `T`.
#[diagnostic::on_unimplemented(
    message = "a cache cannot keep `{T}` for a memoized function",
    label = "not `Clone + Send + Sync + 'static`",
    note = "derive `Clone`, or return `Arc<{T}>`, which is `Clone` whatever it holds"
)]
pub trait Keeps<T> {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Keeps<T> for Memoized {}

/// Asks whether something can be kept.
#[inline]
pub fn is_value<T>()
where
    Memoized: Keeps<T>,
{
}

/// It can hand an `E` to all who waited for a load that failed.
#[diagnostic::on_unimplemented(
    message = "`{E}` cannot be the error of a memoized function",
    label = "not `Clone + Send + Sync + 'static`, but all who wait for a load share its error",
    note = "return `Result<_, Arc<{E}>>`: `?` makes an `Arc<{E}>` of it by itself, and `.map_err({E}::from)?` of what is \
            another error"
)]
pub trait Shares<E> {}

#[diagnostic::do_not_recommend]
impl<E: Clone + Send + Sync + 'static> Shares<E> for Memoized {}

/// Asks whether an error can be shared.
#[inline]
pub fn is_error<E>()
where
    Memoized: Shares<E>,
{
}

/// Asks whether what a function returns is a `Result` though it is not called so.
#[derive(Debug)]
pub struct Probe<R>(PhantomData<fn() -> R>);

/// It is one.
#[derive(Debug)]
pub struct Disguised;

/// It is none, or cannot be known to be one.
#[derive(Debug)]
pub struct Plain;

impl<R> Probe<R> {
    /// Of what a function returns.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made by the expansion alone")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T, E> Probe<Result<T, E>> {
    /// What it is.
    #[must_use]
    pub fn answer(&self) -> Disguised {
        Disguised
    }
}

/// What is not known to be a `Result`: found where `Probe` itself has no answer.
pub trait Otherwise {
    /// What it is.
    fn answer(&self) -> Plain;
}

impl<R> Otherwise for Probe<R> {
    fn answer(&self) -> Plain {
        Plain
    }
}

/// It can keep an `R` whatever it is, which is right for what gave the answer `A`.
#[diagnostic::on_unimplemented(
    message = "`{R}` is a `Result` under another name",
    label = "a `Result`: is an `Err` to be kept?",
    note = "write `result = \"ok\"` to keep `Ok` alone, or `result = \"all\"` to keep `Err` too"
)]
pub trait TakesWhole<R, A> {}

#[diagnostic::do_not_recommend]
impl<R> TakesWhole<R, Plain> for Memoized {}

// With one answer alone the compiler would presume it, and find fault with the question.
#[diagnostic::do_not_recommend]
impl<R> TakesWhole<R, ()> for Memoized {}

/// Asks whether all that a function returns may be kept without a choice.
#[inline]
pub fn is_plain<R, A>(_answer: A)
where
    Memoized: TakesWhole<R, A>,
{
}

/// A `Result`, by whatever alias.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Result`",
    label = "not a `Result`",
    note = "`result = \"ok\"` and `result = \"all\"` say what to keep of a `Result`: leave `result` out"
)]
pub trait Fallible {
    /// What `Err` holds.
    type Error;

    /// `Err` of it.
    fn failed(error: Self::Error) -> Self;
}

impl<T, E> Fallible for Result<T, E> {
    type Error = E;

    fn failed(error: E) -> Self {
        Err(error)
    }
}

/// The id of a level as the call has it: an id is made of a reference to it or, where there is no such
/// conversion, of a copy of it.
#[derive(Debug)]
pub struct Id<'a, T: ?Sized>(pub &'a T);

/// An id is made of a reference.
pub trait ByReference<'a> {
    /// The id.
    fn scope_id(&self) -> ScopeId<'a>;
}

impl<'a, T: ?Sized> ByReference<'a> for Id<'a, T>
where
    ScopeId<'a>: From<&'a T>,
{
    fn scope_id(&self) -> ScopeId<'a> {
        self.0.into()
    }
}

/// An id is made of a copy.
pub trait ByValue {
    /// The id.
    fn scope_id(&self) -> ScopeId<'static>;
}

impl<T: Copy + Into<ScopeId<'static>>> ByValue for &Id<'_, T> {
    fn scope_id(&self) -> ScopeId<'static> {
        (*self.0).into()
    }
}
