//! Where the results of a function are kept: the tokens of cache, namespace and scope.

use super::Writer;
use crate::args::Ttl;
use crate::types;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Ident, Type};

impl Writer<'_> {
    /// Statements that end with a local `namespace`, in the scope of the call; where there is one, what it
    /// has kept is returned first, if that is wanted.
    pub(super) fn enter(&self, may_return: bool) -> TokenStream {
        let memo = &self.memo;
        let (namespace, refusal, policy) =
            (self.place_of_namespace(), self.refusal(), &self.policy);
        let or_refused = |place: TokenStream| {
            tokens! {
                let __cacheado_namespace = match #place {
                    ::std::result::Result::Ok(__cacheado_namespace) => __cacheado_namespace,
                    ::std::result::Result::Err(__cacheado_error) => #refusal
                };
            }
        };
        let namespace = or_refused(namespace);
        if self.plan.scope.is_empty() {
            return namespace;
        }
        let (levels, scope) = self.scope();
        let kept = may_return.then(|| {
            tokens! {
                if let ::std::option::Option::Some(__cacheado_kept) =
                    #memo::find::<#policy, _, _, _>(&__cacheado_namespace, &#scope, &__cacheado_key)
                {
                    return __cacheado_kept;
                }
            }
        });
        let entered = or_refused(tokens!(__cacheado_namespace.scope(#scope)));
        tokens!(#namespace #levels #kept #entered)
    }

    /// Statements that end with a local for the namespace in the scope of the call, where there is one: else
    /// nothing is kept, and that is returned.
    pub(super) fn visit(&self) -> TokenStream {
        let memo = &self.memo;
        let namespace = self.place_of_namespace();
        let namespace = tokens!(let __cacheado_namespace = #namespace?;);
        if self.plan.scope.is_empty() {
            return namespace;
        }
        let (levels, scope) = self.scope();
        tokens! {
            #namespace
            #levels
            let ::std::option::Option::Some(__cacheado_namespace) =
                #memo::below(&__cacheado_namespace, &#scope)?
            else {
                return ::std::result::Result::Ok(::std::option::Option::None);
            };
        }
    }

    /// Statements that evaluate the ids of the scope, each once, and an expression: levels and ids.
    fn scope(&self) -> (TokenStream, TokenStream) {
        let memo = &self.memo;
        let mut evaluated = tokens!(
            use #memo::{ByReference as _, ByValue as _};
        );
        let levels = self.plan.scope.iter().enumerate().map(|(i, level)| {
            let (name, lent) = (&level.name, self.lent_id(&level.id));
            let local = Ident::new(&format!("__cacheado_level{i}"), Span::mixed_site());
            evaluated.extend(quote_spanned!(level.id.span()=> let #local = #lent;));
            quote_spanned!(level.id.span()=> (#name, (&#memo::Id(#local)).scope_id()))
        });
        let levels: Vec<_> = levels.collect();
        (evaluated, tokens!([#(#levels),*]))
    }

    /// A reference to the id of a level.
    fn lent_id(&self, id: &Expr) -> TokenStream {
        let is_reference = |name: &Ident| {
            let mut named =
                self.function.arguments.iter().filter(|argument| argument.name == *name);
            named.any(|argument| matches!(types::bare(&argument.ty), Type::Reference(_)))
        };
        match id {
            Expr::Path(path) if path.path.get_ident().is_some_and(is_reference) => quote!(#id),
            _ => quote_spanned!(id.span()=> &#id),
        }
    }

    /// An expression: the namespace, or why there is none.
    pub(super) fn place_of_namespace(&self) -> TokenStream {
        let memo = &self.memo;
        if self.plan.fixed {
            let (neighbour, turbofish) = (&self.neighbour, &self.turbofish);
            let companion = self.companion("namespace");
            return quote!(#neighbour #companion #turbofish());
        }
        let (title, cache, wanted) = (self.title(), self.cache(), self.wanted());
        let (key, value) = (&self.key, &self.value);
        tokens!({
            #cache
            #memo::namespace::<#key, #value>(__cacheado_cache, #title, #wanted)
        })
    }

    /// The namespace in a cache that is always the same, which is found once.
    pub(super) fn fixed_namespace(&self) -> TokenStream {
        let memo = &self.memo;
        let (title, cache, wanted) = (self.title(), self.cache(), self.wanted());
        tokens! {
            static __CACHEADO_KNOWN: #memo::Known = #memo::Known::new();
            let __cacheado_title = #title;
            if let ::std::option::Option::Some(__cacheado_namespace) =
                __CACHEADO_KNOWN.namespace(__cacheado_title) {
                return ::std::result::Result::Ok(__cacheado_namespace);
            }
            #cache
            __CACHEADO_KNOWN.learn(__cacheado_cache, __cacheado_title, #wanted)
        }
    }

    /// What tells the namespace from others: the name that was chosen, or the function itself.
    fn title(&self) -> TokenStream {
        let memo = &self.memo;
        if let Some(name) = &self.plan.name {
            return if self.neighbour.is_empty() {
                tokens!(#memo::Title::named(#name))
            } else {
                // What the type is generic over cannot be seen from here, and tells its methods apart.
                tokens!(#memo::Title::within::<Self>(#name))
            };
        }
        let (neighbour, function, turbofish) =
            (&self.neighbour, &self.sig().ident, &self.turbofish);
        match &self.mark {
            Some(mark) => tokens!(#mark #turbofish()),
            None => tokens!(#memo::Title::of(&#neighbour #function #turbofish)),
        }
    }

    fn cache(&self) -> TokenStream {
        let root = &self.plan.root;
        let cache = &self.plan.cache;
        let lent = quote_spanned!(cache.span()=> &#cache);
        tokens!(let __cacheado_cache: &#root::SharedCache = #lent;)
    }

    /// An expression: what is asked of the namespace.
    fn wanted(&self) -> TokenStream {
        let memo = &self.memo;
        let time_to_live = match &self.plan.ttl {
            Some(Ttl::Fixed(duration)) => {
                let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
                tokens!(::std::option::Option::Some(::std::time::Duration::new(#secs, #nanos)))
            }
            _ => tokens!(::std::option::Option::None),
        };
        let max_items = match &self.plan.max_items {
            Some(Expr::Lit(most)) => tokens!(Limit::<fn() -> u64>::At(#most)),
            Some(most) => tokens!(Limit::Told(|| #most)),
            None => tokens!(Limit::<fn() -> u64>::Nowhere),
        };
        tokens! {
            #memo::Wanted {
                time_to_live: #time_to_live,
                max_items: #memo::#max_items,
            }
        }
    }
}
