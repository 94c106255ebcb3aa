//! What tells one use of the attribute from every other, as a number.

use proc_macro2::{Span, TokenStream};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The place of an attribute in the program, by what stands there and where it stands. How a place is
/// spelt is the compiler's affair, and is not to be read; that two places are spelt otherwise suffices.
pub(crate) fn of(arguments: &TokenStream, item: &TokenStream) -> u64 {
    let mut hasher = DefaultHasher::new();
    arguments.to_string().hash(&mut hasher);
    item.to_string().hash(&mut hasher);
    format!("{:?}", Span::call_site()).hash(&mut hasher);
    hasher.finish()
}
