//! [`Refusal`]: what a memoized function does with an error of the cache's own. Layer: front.

use crate::Error;
use std::marker::PhantomData;
use std::sync::Arc;

/// What becomes of an error of the cache in a function that fails with an `E`: converted where `E` can
/// be made from it, or what the `E` shares, else a panic. Which of them is found by the depth of the
/// references in a call of `refuse`.
#[derive(Debug)]
pub struct Refusal<E> {
    function: &'static str,
    error: PhantomData<fn() -> E>,
}

impl<E> Refusal<E> {
    /// Of a call of this function.
    #[must_use]
    pub fn of(function: &'static str) -> Self {
        Self { function, error: PhantomData }
    }
}

/// An `E` can be made from the cache's error.
pub trait Convert<E> {
    /// The error, converted.
    fn refuse(&self, error: Error) -> E;
}

impl<E: From<Error>> Convert<E> for &Refusal<E> {
    fn refuse(&self, error: Error) -> E {
        error.into()
    }
}

/// An `Arc` of what can be made from the cache's error.
pub trait Share<E> {
    /// The error, converted and shared.
    fn refuse(&self, error: Error) -> E;
}

impl<E: From<Error>> Share<Arc<E>> for &&Refusal<Arc<E>> {
    fn refuse(&self, error: Error) -> Arc<E> {
        Arc::new(error.into())
    }
}

/// There is no `E` to say it with.
pub trait Panic<E> {
    /// Does not return.
    fn refuse(&self, error: Error) -> E;
}

impl<E> Panic<E> for Refusal<E> {
    #[track_caller]
    fn refuse(&self, error: Error) -> E {
        refused(self.function, &error)
    }
}

/// The end of a call that the cache refused and that cannot say so otherwise.
///
/// # Panics
///
/// Always.
#[cold]
#[track_caller]
pub fn refused(function: &str, error: &Error) -> ! {
    panic!("the call of the memoized function `{function}` was refused: {error}")
}
