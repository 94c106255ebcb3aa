//! The function below the attribute, taken apart.

use crate::types;
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{
    Error, Expr, FnArg, Ident, ItemFn, Pat, Receiver, ReturnType, Signature, Type, parse_quote,
};

/// A function that can be memoized.
pub(crate) struct Function {
    pub(crate) item: ItemFn,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) output: Type,
    /// Whether it stands in an `impl`, where its neighbours are called through `Self`.
    pub(crate) associated: bool,
}

/// One argument, but not the receiver.
pub(crate) struct Argument {
    /// Its name, or one made up for what is taken apart by a pattern.
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    /// Whether the name is its user's.
    pub(crate) named: bool,
}

pub(crate) fn parse(item: TokenStream) -> syn::Result<Function> {
    let item = whole(item)?;
    check(&item.sig)?;
    let mut receiver = None;
    let mut arguments = Vec::new();
    for input in &item.sig.inputs {
        match input {
            FnArg::Receiver(this) => receiver = Some(this.clone()),
            FnArg::Typed(typed) => {
                let number = arguments.len() + 1;
                let made_up = || Ident::new(&format!("argument{number}"), Span::mixed_site());
                let name = match &*typed.pat {
                    Pat::Ident(pat) if pat.subpat.is_none() => Some(pat.ident.clone()),
                    _ => None,
                };
                arguments.push(Argument {
                    named: name.is_some(),
                    name: name.unwrap_or_else(made_up),
                    ty: (*typed.ty).clone(),
                });
            }
        }
    }
    check_names(&item.sig.ident, &arguments)?;
    let output = match &item.sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    let associated = receiver.is_some() || says_self(&item);
    Ok(Function { item, receiver, arguments, output, associated })
}

/// The item as a function with a body.
fn whole(item: TokenStream) -> syn::Result<ItemFn> {
    let bodiless = "`memoize` needs a function with a body: put it on an inherent method or a free function, \
                    and call that where the trait is implemented";
    let other = "`memoize` goes on a function: put it above a `fn`";
    let function = syn::parse2::<ItemFn>(item.clone());
    function.map_err(|error| {
        if let Ok(bodiless_fn) = syn::parse2::<syn::TraitItemFn>(item.clone()) {
            return Error::new_spanned(bodiless_fn.sig, bodiless);
        }
        // What is no function at all is told so; a function that does not parse, what is wrong in it.
        match syn::parse2::<syn::Item>(item) {
            Ok(wrong) => Error::new_spanned(wrong, other),
            Err(_) => error,
        }
    })
}

fn check(sig: &Signature) -> syn::Result<()> {
    let refuse = |at: &dyn ToTokens, why: &str| Err(Error::new_spanned(at.to_token_stream(), why));
    if let Some(constness) = &sig.constness {
        return refuse(constness, "a `const fn` cannot reach a cache: write `fn`");
    }
    if let Some(unsafety) = &sig.unsafety {
        let why = "a memoized function is called on a miss alone, so its caller cannot vouch for the call: \
                   write a safe `fn` around it";
        return refuse(unsafety, why);
    }
    if let Some(abi) = &sig.abi {
        return refuse(abi, "a memoized function has the ABI of Rust: write a `fn` around it");
    }
    for input in &sig.inputs {
        match input {
            FnArg::Receiver(this) if this.reference.is_some() && this.mutability.is_some() => {
                let why = "a method that changes its receiver cannot be memoized, for it is not called on a hit: \
                           write `&self`";
                return refuse(this, why);
            }
            FnArg::Receiver(this) if !by_reference(this) => {
                let why = "a memoized method borrows its receiver: write `&self`, or `self: &Arc<Self>` where the method \
                           needs the `Arc`";
                return refuse(this, why);
            }
            FnArg::Typed(typed) => {
                if let Some(cfg) = typed.attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
                    let why = "an argument that is not always there cannot be handed on: put the `cfg` on the function, \
                               and write one for each case";
                    return refuse(cfg, why);
                }
                if let Some(found) = types::impl_trait(&typed.ty) {
                    let why = "`impl Trait` has no name that a namespace could be told apart by: write a named \
                               type parameter, as in `fn load<T: Trait>(argument: T)`";
                    return refuse(found, why);
                }
            }
            FnArg::Receiver(_) => {}
        }
    }
    if let Some(variadic) = &sig.variadic {
        return refuse(variadic, "a memoized function has a fixed number of arguments");
    }
    let ReturnType::Type(_, output) = &sig.output else { return Ok(()) };
    check_output(output)
}

/// Refuses arguments that cannot be told by their names: from each other, where macros made them, and from
/// what is called beside the function.
fn check_names(function: &Ident, arguments: &[Argument]) -> syn::Result<()> {
    let named: Vec<_> = arguments.iter().filter(|argument| argument.named).collect();
    for (i, Argument { name, .. }) in named.iter().enumerate() {
        if named[..i].iter().any(|other| other.name == *name) {
            let why = format!("two arguments are called `{name}`: give one of them another name");
            return Err(Error::new(name.span(), why));
        }
        if ["uncached", "namespace"].iter().any(|what| *name == format!("{function}_{what}")) {
            let why = format!(
                "`{name}` is also called what the attribute puts beside the function: give the argument another name"
            );
            return Err(Error::new(name.span(), why));
        }
    }
    Ok(())
}

fn by_reference(this: &Receiver) -> bool {
    match types::bare(&this.ty) {
        Type::Reference(reference) => reference.mutability.is_none(),
        _ => false,
    }
}

fn check_output(output: &Type) -> syn::Result<()> {
    if let Some(found) = types::impl_trait(output) {
        let why = "a memoized function cannot return `impl Trait`, for a cache keeps values of a type with a name: \
                   write the type, or `Arc<dyn Trait + Send + Sync>`";
        return Err(Error::new_spanned(found, why));
    }
    if matches!(types::bare(output), Type::Never(_)) {
        let why = "a memoized function returns something to keep: write its type";
        return Err(Error::new_spanned(output, why));
    }
    if types::borrows(output) {
        let why = "a memoized function returns what it owns, for the cache keeps it when the arguments are gone: \
                   return `String`, `Vec<T>` or `Arc<T>` instead of a reference, or borrow for `'static`";
        return Err(Error::new_spanned(output, why));
    }
    Ok(())
}

/// Whether the function speaks of `Self`, which only a function in an `impl` can.
fn says_self(item: &ItemFn) -> bool {
    struct SaysSelf(bool);
    impl<'a> Visit<'a> for SaysSelf {
        fn visit_ident(&mut self, ident: &'a Ident) {
            self.0 |= ident == "Self";
        }
        fn visit_macro(&mut self, called: &'a syn::Macro) {
            self.0 |= mentions(&called.tokens, &|ident| ident == "Self");
        }
        // What is nested has a `Self` of its own.
        fn visit_item(&mut self, _: &'a syn::Item) {}
    }
    let mut found = SaysSelf(false);
    found.visit_signature(&item.sig);
    found.visit_block(&item.block);
    found.0
}

/// Whether an expression speaks of a name that fits. The names of fields and methods are none.
pub(crate) fn speaks_of(expression: &Expr, fits: &dyn Fn(&Ident) -> bool) -> bool {
    struct Names<'f>(&'f dyn Fn(&Ident) -> bool, bool);
    impl<'a> Visit<'a> for Names<'_> {
        fn visit_path(&mut self, path: &'a syn::Path) {
            self.1 |= path.segments.first().is_some_and(|first| (self.0)(&first.ident));
            visit::visit_path(self, path);
        }
        fn visit_macro(&mut self, called: &'a syn::Macro) {
            self.1 |= mentions(&called.tokens, self.0);
        }
    }
    let mut names = Names(fits, false);
    names.visit_expr(expression);
    names.1
}

/// Whether an identifier that fits occurs anywhere in the tokens, also as `{name}` in a text.
fn mentions(tokens: &TokenStream, fits: &dyn Fn(&Ident) -> bool) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => fits(&ident),
        TokenTree::Group(group) => mentions(&group.stream(), fits),
        TokenTree::Literal(literal) => {
            let text = literal.to_string();
            let opened = text.split('{').skip(1);
            let names = opened.filter_map(|rest| rest.split(['}', ':']).next());
            names.filter_map(|name| syn::parse_str(name).ok()).any(|name| fits(&name))
        }
        TokenTree::Punct(_) => false,
    })
}
