//! The function and its companions as tokens. Nothing is refused here.
//!
//! What is written here has the hygiene of its place of definition for local names, so that no argument
//! of the user's can be shadowed by them; items, paths and `self` are the user's.

/// Tokens whose local names meet none of the user's.
macro_rules! tokens {
    ($($tokens:tt)*) => { quote_spanned!(Span::mixed_site()=> $($tokens)*) };
}

mod place;

use crate::args::Ttl;
use crate::attributes::{is_inner, lints, outer, used_by_the_attribute};
use crate::function::Function;
use crate::plan::{Part, Plan, Source};
use crate::policy::policy_and_value;
use crate::types;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, GenericParam, Generics, Ident, ItemFn, Pat, Signature, Token, parse_quote,
};

pub(crate) fn expand(function: &Function, plan: &Plan) -> TokenStream {
    let writer = Writer::new(function, plan);
    let parts = [
        writer.memoized(),
        writer.uncached(),
        writer.namespace(),
        writer.peek(),
        writer.invalidate(),
        writer.refresh(),
    ];
    parts.into_iter().collect()
}

struct Writer<'a> {
    function: &'a Function,
    plan: &'a Plan,
    /// What stands before the name of a neighbour: nothing, or `Self::`.
    neighbour: TokenStream,
    /// `::<T, N>`, or nothing.
    turbofish: TokenStream,
    /// The types of the namespace's keys and values.
    key: TokenStream,
    value: TokenStream,
    policy: TokenStream,
}

impl<'a> Writer<'a> {
    fn new(function: &'a Function, plan: &'a Plan) -> Self {
        let says_self = function.associated || plan.asks_for(&|ident| ident == "Self");
        let neighbour = if says_self { quote!(Self::) } else { TokenStream::new() };
        let kept: Vec<_> = plan.key.iter().map(Part::kept).collect();
        let key = if let [single] = &kept[..] { single.clone() } else { quote!((#(#kept),*)) };
        let (policy, value) = policy_and_value(function, plan);
        let turbofish = turbofish(&function.item.sig.generics);
        Self { function, plan, neighbour, turbofish, key, value, policy }
    }

    fn sig(&self) -> &'a Signature {
        &self.function.item.sig
    }

    fn companion(&self, what: &str) -> Ident {
        format_ident!("{}_{what}", self.sig().ident)
    }

    /// The function as its callers know it.
    fn memoized(&self) -> TokenStream {
        let ItemFn { attrs, vis, .. } = &self.function.item;
        let attributes = attrs.iter().filter_map(outer);
        let sig = self.signature(self.sig().ident.clone());
        let doc = self.memoized_doc();
        let body = self.load(&TokenStream::new());
        let lints = lints();
        quote! {
            #(#attributes)*
            #(#doc)*
            #lints
            #vis #sig { #body }
        }
    }

    fn memoized_doc(&self) -> Vec<Attribute> {
        let mut lines = vec![
            String::new(),
            "# Memoized".to_owned(),
            String::new(),
            format!("What it returns is kept: {}.", self.kept_doc()),
        ];
        if self.function.receiver.is_some() {
            let receiver = |part: &Part| matches!(part.source, Source::Receiver(_));
            lines.push(if self.plan.key.iter().any(receiver) {
                "The receiver is part of the key.".to_owned()
            } else {
                "The receiver is no part of the key: all receivers share what is kept.".to_owned()
            });
        }
        let companions = ["peek", "invalidate", "refresh", "uncached", "namespace"];
        let links = companions.map(|what| {
            let name = self.companion(what);
            format!("[`{name}`]({}{name})", self.neighbour.to_string().replace(' ', ""))
        });
        lines.push(format!("See also {}.", links.join(", ")));
        if !self.plan.keeps.fallible {
            lines.extend(
                ["", "# Panics", "", "If the cache refuses the scope or the namespace."]
                    .map(String::from),
            );
        }
        lines.iter().map(|line| parse_quote!(#[doc = #line])).collect()
    }

    fn kept_doc(&self) -> &'static str {
        let keeps = self.plan.keeps;
        match (keeps.fallible && !keeps.errors, keeps.nothing) {
            (false, true) => "all of it",
            (true, true) => "`Ok`, but no `Err`",
            (false, false) => "but no `None`",
            (true, false) => "`Ok`, but neither `Err` nor `None`",
        }
    }

    /// The function as it was written.
    fn uncached(&self) -> TokenStream {
        let ItemFn { attrs, vis, block, .. } = &self.function.item;
        let attributes = attrs.iter().filter(|attribute| is_inner(attribute));
        let mut sig = Signature { ident: self.companion("uncached"), ..self.sig().clone() };
        // An argument may be there for the cache alone: the attribute is what uses it.
        for input in &mut sig.inputs {
            if let FnArg::Typed(typed) = input {
                if matches!(&*typed.pat, Pat::Ident(pat) if self.plan.uses(&pat.ident)) {
                    typed.attrs.push(used_by_the_attribute());
                }
            }
        }
        let doc = format!("[`{0}`]({1}{0}) without the cache.", self.sig().ident, self.prefix());
        quote! {
            #[doc = #doc]
            #(#attributes)*
            #vis #sig #block
        }
    }

    /// `Self::` for links in documentation.
    fn prefix(&self) -> &'static str {
        if self.neighbour.is_empty() { "" } else { "Self::" }
    }

    fn namespace(&self) -> TokenStream {
        let vis = &self.function.item.vis;
        let name = self.companion("namespace");
        let doc = format!(
            "What is kept of [`{0}`]({1}{0}), as a namespace with all its verbs, in the global scope.\n\n# Errors\n\nIf the cache refuses the namespace.",
            self.sig().ident,
            self.prefix()
        );
        let generics = self.lean_generics();
        let where_clause = &generics.where_clause;
        let (key, value) = (&self.key, &self.value);
        let (error, space) =
            (quote!(::cacheado::Error), quote!(::cacheado::Namespace<#key, #value>));
        let lints = lints();
        if self.plan.fixed {
            let body = self.fixed_namespace();
            return quote! {
                #[doc = #doc]
                #lints
                #vis fn #name #generics() -> ::std::result::Result<&'static #space, #error> #where_clause { #body }
            };
        }
        let inputs = self.inputs(&|name| self.plan.cache_asks_for(&|ident| ident == name), &|| {
            self.plan.cache_asks_for(&|ident| ident == "self")
        });
        let body = self.place_of_namespace();
        quote! {
            #[doc = #doc]
            #lints
            #vis fn #name #generics(#inputs) -> ::std::result::Result<#space, #error> #where_clause { #body }
        }
    }

    /// An expression: the time to live that this call says, if it does.
    fn time_to_live(&self) -> TokenStream {
        match &self.plan.ttl {
            Some(Ttl::Expression(expression)) => tokens!(::std::option::Option::Some(#expression)),
            _ => tokens!(::std::option::Option::None),
        }
    }

    /// Statements that end with a local `key` for the look-up.
    fn look_up_key(&self) -> TokenStream {
        let mut evaluated = TokenStream::new();
        let parts = self.plan.key.iter().enumerate().map(|(i, part)| {
            let place = match &part.source {
                Source::Argument(name) | Source::Receiver(name) => name.to_token_stream(),
                Source::Expression(expression) => {
                    let local = Ident::new(&format!("part{i}"), Span::mixed_site());
                    evaluated.extend(tokens!(let #local = #expression;));
                    local.to_token_stream()
                }
            };
            part.lent(&place)
        });
        let parts: Vec<_> = parts.collect();
        tokens! {
            #evaluated
            let key = ::cacheado::__memoize::Parts((#(#parts,)*));
        }
    }

    /// Compile-time questions whose answers are sentences about the user's types.
    fn checks(&self) -> TokenStream {
        let (output, value) = (&self.function.output, &self.value);
        let parts = self.plan.key.iter().map(|part| {
            let kept = part.kept();
            quote_spanned!(part.ty.span()=> ::cacheado::__memoize::is_key::<#kept>();)
        });
        let error = (self.plan.keeps.fallible && !self.plan.keeps.errors).then(|| {
            quote_spanned! {output.span()=>
                ::cacheado::__memoize::is_error::<<#output as ::cacheado::__memoize::Fallible>::Error>();
            }
        });
        quote_spanned! {output.span()=>
            ::cacheado::__memoize::is_value::<#value>();
            #error
            #(#parts)*
        }
    }

    /// The body of a function that finds or loads, after `before`.
    fn load(&self, before: &TokenStream) -> TokenStream {
        let (place, key) = (self.enter(before.is_empty()), self.look_up_key());
        let (policy, checks, call) = (&self.policy, self.checks(), self.call());
        let ttl = self.time_to_live();
        let load = if self.sig().asyncness.is_some() {
            let call = tokens!(async { #call.await });
            tokens!(load_async::<#policy, _, _, _>(&namespace, &key, #ttl, #call).await)
        } else {
            tokens!(load::<#policy, _, _, _>(&namespace, &key, #ttl, || #call))
        };
        tokens! {
            #checks
            #key
            #place
            #before
            ::cacheado::__memoize::#load
        }
    }

    /// What a call does with an error of the cache's own.
    fn refusal(&self) -> TokenStream {
        let output = &self.function.output;
        let name = self.sig().ident.to_string();
        if !self.plan.keeps.fallible {
            return tokens!(::cacheado::__memoize::refused(#name, &error));
        }
        tokens! {{
            use ::cacheado::__memoize::{Convert as _, Fallible, Panic as _, Refusal};
            let refusal = Refusal::<<#output as Fallible>::Error>::of(#name);
            return <#output as Fallible>::failed((&refusal).refuse(error));
        }}
    }

    /// The call of the function as it was written.
    fn call(&self) -> TokenStream {
        let name = self.companion("uncached");
        let arguments = self.function.arguments.iter().map(|argument| {
            let name = &argument.name;
            if matches!(types::shape(&argument.ty), types::Shape::Owned) && self.plan.is_lent(name)
            {
                tokens!(::std::clone::Clone::clone(&#name))
            } else {
                name.to_token_stream()
            }
        });
        let turbofish = &self.turbofish;
        match &self.function.receiver {
            Some(receiver) => {
                let this = &receiver.self_token;
                quote!(#this.#name #turbofish(#(#arguments),*))
            }
            None => {
                let neighbour = &self.neighbour;
                quote!(#neighbour #name #turbofish(#(#arguments),*))
            }
        }
    }

    fn peek(&self) -> TokenStream {
        let doc = "What is kept for these arguments, if anything is. Nothing is loaded, and neither statistics nor \
                   recency change.";
        self.looked_up("peek", doc, &tokens!(namespace.peek(&key)))
    }

    fn invalidate(&self) -> TokenStream {
        let doc = "Drops what is kept for these arguments, and returns it. A load of it that is under way keeps \
                   nothing.";
        self.looked_up("invalidate", doc, &tokens!(namespace.remove(&key)))
    }

    /// A companion that takes what the key and the scope are made from.
    fn looked_up(&self, what: &str, doc: &str, verb: &TokenStream) -> TokenStream {
        let Signature { generics, .. } = self.sig();
        let (vis, where_clause) = (&self.function.item.vis, &generics.where_clause);
        let name = self.companion(what);
        let doc = format!(
            "{doc} Of [`{0}`]({1}{0}).\n\n# Errors\n\nIf the cache refuses the scope or the namespace.",
            self.sig().ident,
            self.prefix()
        );
        let inputs = self.inputs(&|name| self.plan.asks_for(&|ident| ident == name), &|| true);
        let (place, key, value) = (self.place(), self.look_up_key(), &self.value);
        let body = tokens! {
            let namespace = #place?;
            #key
            ::std::result::Result::Ok(#verb)
        };
        let lints = lints();
        quote! {
            #[doc = #doc]
            #lints
            #vis fn #name #generics(#inputs)
                -> ::std::result::Result<::std::option::Option<#value>, ::cacheado::Error> #where_clause { #body }
        }
    }

    fn refresh(&self) -> TokenStream {
        let vis = &self.function.item.vis;
        let sig = self.signature(self.companion("refresh"));
        let doc = format!(
            "Drops what is kept for these arguments and loads it anew, for all who ask meanwhile. Otherwise as \
             [`{0}`]({1}{0}).",
            self.sig().ident,
            self.prefix()
        );
        let body = self.load(&tokens!(namespace.remove(&key);));
        let lints = lints();
        quote! {
            #[doc = #doc]
            #lints
            #vis #sig { #body }
        }
    }

    /// The signature under another name, with a name for every argument.
    fn signature(&self, ident: Ident) -> Signature {
        let inputs = self.inputs(&|_| true, &|| true);
        Signature { ident, inputs: parse_quote!(#inputs), ..self.sig().clone() }
    }

    /// The receiver if it is wanted, and the arguments that are.
    fn inputs(&self, wanted: &dyn Fn(&Ident) -> bool, receiver: &dyn Fn() -> bool) -> TokenStream {
        let receiver = self.function.receiver.iter().filter(|_| receiver());
        let receiver = receiver.map(|this| FnArg::Receiver(this.clone()));
        let arguments = self.function.arguments.iter().filter(|argument| wanted(&argument.name));
        let arguments = arguments.map(|argument| {
            let (name, ty) = (&argument.name, &argument.ty);
            parse_quote!(#name: #ty)
        });
        let inputs: Punctuated<FnArg, Token![,]> = receiver.chain(arguments).collect();
        inputs.to_token_stream()
    }

    /// The generics without what only arguments can speak of.
    fn lean_generics(&self) -> Generics {
        let generics = &self.sig().generics;
        let only_lifetimes =
            generics.params.iter().all(|param| matches!(param, GenericParam::Lifetime(_)));
        if only_lifetimes && self.plan.fixed { Generics::default() } else { generics.clone() }
    }
}

fn turbofish(generics: &Generics) -> TokenStream {
    let names: Vec<_> = generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Type(ty) => Some(&ty.ident),
            GenericParam::Const(constant) => Some(&constant.ident),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
}
