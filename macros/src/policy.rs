//! What is kept of what the function returns, as types.

use crate::function::Function;
use crate::plan::Plan;
use crate::types;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Ident, PathArguments, Type};

/// The policy of what is kept, and the type of it: as it is written where that is certain.
pub(crate) fn policy_and_value(function: &Function, plan: &Plan) -> (TokenStream, TokenStream) {
    let (output, root) = (&function.output, &plan.root);
    let keeps = plan.keeps;
    let name = match (keeps.fallible, keeps.errors, keeps.nothing) {
        (_, true, true) => "Whole",
        (false, _, _) => "Somes",
        (true, false, true) => "Oks",
        (true, false, false) => "OkSomes",
        (true, true, false) => "SomesAndErrs",
    };
    let policy = Ident::new(name, Span::mixed_site());
    let policy = quote!(#root::__memoize::#policy);
    // A `Result` of one argument is somebody's alias.
    let ok = types::first_argument(output, "Result").filter(|_| says_both(output));
    let written = match name {
        "Whole" => Some(output),
        "Somes" => types::first_argument(output, "Option"),
        "Oks" => ok,
        "OkSomes" => ok.and_then(|ok| types::first_argument(ok, "Option")),
        _ => None,
    };
    let projected = || quote!(<#policy as #root::__memoize::Policy<#output>>::Value);
    let value = written.map_or_else(projected, ToTokens::to_token_stream);
    (policy, value)
}

/// Whether a `Result` says the types of both its variants.
fn says_both(output: &Type) -> bool {
    let Type::Path(path) = types::bare(output) else { return false };
    match path.path.segments.last().map(|last| &last.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) => arguments.args.len() == 2,
        _ => false,
    }
}
