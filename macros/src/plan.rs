//! What the attribute asks of this function: its arguments matched with the function's, and refused
//! where they do not fit.

use crate::args::{Args, Choice, Level, Ttl};
use crate::function::{Argument, Function, speaks_of};
use crate::types::{self, NoKey, Shape};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprPath, GenericParam, Ident, LitStr, Path, Type};

/// Everything that the expansion needs to know.
pub(crate) struct Plan {
    pub(crate) cache: Expr,
    /// Whether the cache is the same at every call.
    pub(crate) fixed: bool,
    pub(crate) ttl: Option<Ttl>,
    pub(crate) scope: Vec<Level>,
    pub(crate) key: Vec<Part>,
    pub(crate) max_items: Option<Expr>,
    pub(crate) keeps: Keeps,
    pub(crate) name: Option<LitStr>,
    /// The crate `cacheado` by the name that it has here.
    pub(crate) root: Path,
}

/// One part of the key.
pub(crate) struct Part {
    /// Its type, as it is passed.
    pub(crate) ty: Type,
    pub(crate) source: Source,
}

/// Where a part of the key comes from.
pub(crate) enum Source {
    Argument(Ident),
    Receiver(Ident),
    /// An expression of the part's type.
    Expression(Expr),
}

/// What is kept of what the function returns: of a `Result` and of an `Option`, and whether it is any.
#[derive(Clone, Copy)]
pub(crate) struct Keeps {
    /// The function returns a `Result`.
    pub(crate) fallible: bool,
    /// `Err` is kept too, or never comes.
    pub(crate) errors: bool,
    /// `None` is kept too, or never comes.
    pub(crate) nothing: bool,
}

/// As many as tuples have that can be hashed.
const MOST_PARTS: usize = 12;

impl Plan {
    pub(crate) fn new(args: Args, function: &Function) -> syn::Result<Self> {
        let Args { cache, ttl, scope, key, max_items, result, option, name, root } = args;
        let fixed = is_fixed(&cache, function);
        let keeps = keeps(result, option, &function.output)?;
        if let Some(name) = name.as_ref().filter(|_| is_generic(function)) {
            let why = "`name` is that of one namespace, and each instance of a generic function has one of its own: \
                       leave `name` out";
            return Err(Error::new(name.span(), why));
        }
        for level in &scope {
            check_level(level, function)?;
        }
        let key = match &key {
            Some(chosen) => chosen_key(chosen, function)?,
            None => whole_key(&cache, function)?,
        };
        if key.len() > MOST_PARTS {
            let many = format!(
                "the key has {} parts, {MOST_PARTS} at most: choose those that matter with `key = (a, b)`",
                key.len()
            );
            return Err(Error::new(function.item.sig.ident.span(), many));
        }
        Ok(Self { cache, fixed, ttl, scope, key, max_items, keeps, name, root })
    }

    /// Whether an expression that companions evaluate too speaks of what fits.
    pub(crate) fn asks_for(&self, fits: &dyn Fn(&Ident) -> bool) -> bool {
        let part = |part: &Part| match &part.source {
            Source::Argument(name) | Source::Receiver(name) => fits(name),
            Source::Expression(expression) => speaks_of(expression, fits),
        };
        self.cache_asks_for(fits)
            || self.scope.iter().any(|level| speaks_of(&level.id, fits))
            || self.key.iter().any(part)
    }

    /// Whether any expression speaks of `Self`, which only one in an `impl` can.
    pub(crate) fn says_self(&self) -> bool {
        let fits = |name: &Ident| name == "Self";
        let ttl = match &self.ttl {
            Some(Ttl::Expression(expression)) => Some(expression),
            _ => None,
        };
        let keys = self.key.iter().filter_map(|part| match &part.source {
            Source::Expression(expression) => Some(expression),
            Source::Argument(_) | Source::Receiver(_) => None,
        });
        let ids = self.scope.iter().map(|level| &level.id);
        let mut all =
            [&self.cache].into_iter().chain(ttl).chain(&self.max_items).chain(ids).chain(keys);
        all.any(|expression| speaks_of(expression, &fits))
    }

    pub(crate) fn cache_asks_for(&self, fits: &dyn Fn(&Ident) -> bool) -> bool {
        !self.fixed && speaks_of(&self.cache, fits)
    }

    /// Whether cache, scope or time to live are made from the argument.
    pub(crate) fn uses(&self, argument: &Ident) -> bool {
        let fits = |name: &Ident| name == argument;
        let ttl = match &self.ttl {
            Some(Ttl::Expression(expression)) => speaks_of(expression, &fits),
            _ => false,
        };
        ttl || self.cache_asks_for(&fits)
            || self.scope.iter().any(|level| speaks_of(&level.id, &fits))
    }

    /// Whether the key still borrows from the argument while the function runs.
    pub(crate) fn is_lent(&self, argument: &Ident) -> bool {
        self.key.iter().any(|part| match &part.source {
            Source::Argument(name) => name == argument,
            Source::Receiver(_) => false,
            Source::Expression(expression) => {
                let borrows = !matches!(types::shape(&part.ty), Shape::Owned);
                borrows && speaks_of(expression, &|name| name == argument)
            }
        })
    }
}

/// The parameters of the function that tell its instances apart.
pub(crate) fn parameters(function: &Function) -> impl Iterator<Item = &Ident> {
    function.item.sig.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(ty) => Some(&ty.ident),
        GenericParam::Const(constant) => Some(&constant.ident),
        GenericParam::Lifetime(_) => None,
    })
}

fn is_generic(function: &Function) -> bool {
    parameters(function).next().is_some()
}

/// Whether a path leads to a constant of a type, which may be another for each instance of the function. A
/// parameter of the `impl` cannot be seen from here, so whatever is written as types are is taken for one.
fn is_of_a_type(path: &ExprPath, function: &Function) -> bool {
    let mut modules = path.path.segments.iter().rev().skip(1).map(|segment| &segment.ident);
    path.qself.is_some()
        || modules.any(|module| {
            let is_upper = module.unraw().to_string().starts_with(char::is_uppercase);
            is_upper || parameters(function).any(|parameter| parameter == module)
        })
}

/// Whether the expression is a path to something that is no argument: a static.
fn is_fixed(cache: &Expr, function: &Function) -> bool {
    match cache {
        Expr::Paren(inner) => is_fixed(&inner.expr, function),
        Expr::Group(inner) => is_fixed(&inner.expr, function),
        Expr::Reference(inner) => is_fixed(&inner.expr, function),
        Expr::Path(path) => match path.path.get_ident() {
            Some(name) => name != "self" && argument(function, name).is_none(),
            None => !is_of_a_type(path, function),
        },
        _ => false,
    }
}

fn argument<'a>(function: &'a Function, name: &Ident) -> Option<&'a Argument> {
    function.arguments.iter().find(|argument| argument.named && argument.name == *name)
}

/// The name that an expression consists of.
fn name_of(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Paren(inner) => name_of(&inner.expr),
        Expr::Group(inner) => name_of(&inner.expr),
        Expr::Reference(inner) if inner.mutability.is_none() => name_of(&inner.expr),
        Expr::Path(path) => path.path.get_ident(),
        _ => None,
    }
}

/// "one of `a` and `b`", for what an argument's name was expected in.
fn names(function: &Function) -> String {
    let named = function.arguments.iter().filter(|argument| argument.named);
    let mut names: Vec<_> = named.map(|argument| format!("`{}`", argument.name)).collect();
    if function.receiver.is_some() {
        names.insert(0, "`self`".to_owned());
    }
    match names.len() {
        0 => "there is no argument to name".to_owned(),
        1 => format!("the only argument is {}", names[0]),
        _ => format!("the arguments are {}", names.join(", ")),
    }
}

fn check_level(level: &Level, function: &Function) -> syn::Result<()> {
    let is_argument = |name: &Ident| {
        argument(function, name).is_some() || (function.receiver.is_some() && name == "self")
    };
    if speaks_of(&level.id, &is_argument) {
        return Ok(());
    }
    let (level_name, names) = (level.name.value(), names(function));
    let said = level.id.to_token_stream();
    let stray = format!(
        "the id of the level `{level_name}` names no argument of the function (`{said}`; {names}): a scope is \
         told by the call, as in `scope({level_name} = {level_name}_id)`"
    );
    Err(Error::new_spanned(&level.id, stray))
}

/// The key of a function that does not choose: all arguments, but neither the receiver nor the cache.
fn whole_key(cache: &Expr, function: &Function) -> syn::Result<Vec<Part>> {
    let cache = name_of(cache);
    let others = function.arguments.iter().filter(|argument| Some(&argument.name) != cache);
    others.map(|argument| part_of(argument, &argument.ty)).collect()
}

fn part_of(argument: &Argument, at: &dyn ToTokens) -> syn::Result<Part> {
    check_part(&argument.ty, &argument.name.to_string(), at)?;
    Ok(Part { ty: argument.ty.clone(), source: Source::Argument(argument.name.clone()) })
}

fn check_part(ty: &Type, what: &str, at: &dyn ToTokens) -> syn::Result<()> {
    let Some(NoKey { why, instead }) = types::refused_as_key(ty) else { return Ok(()) };
    let instead = instead.map(|instead| format!(", as in `{}`", instead.replace('%', what)));
    let refused = format!(
        "`{what}` cannot be part of the key, for {why}: choose the key with `key = (..)`, which may leave it out or \
         make a value of it that is `Hash + Eq` and owns what it holds{}",
        instead.unwrap_or_default()
    );
    Err(Error::new_spanned(at.to_token_stream(), refused))
}

fn chosen_key(chosen: &Expr, function: &Function) -> syn::Result<Vec<Part>> {
    match chosen {
        Expr::Tuple(tuple) => tuple.elems.iter().map(|part| chosen_part(part, function)).collect(),
        Expr::Paren(inner) => chosen_key(&inner.expr, function),
        Expr::Group(inner) => chosen_key(&inner.expr, function),
        single => Ok(vec![chosen_part(single, function)?]),
    }
}

fn chosen_part(part: &Expr, function: &Function) -> syn::Result<Part> {
    if let Some(name) = name_of(part) {
        if let Some(argument) = argument(function, name) {
            return part_of(argument, part);
        }
        if let Some(receiver) = function.receiver.as_ref().filter(|_| name == "self") {
            let source = Source::Receiver(name.clone());
            return Ok(Part { ty: (*receiver.ty).clone(), source });
        }
        let stray = format!("`{name}` is no argument of the function: {}", names(function));
        return Err(Error::new_spanned(part, stray));
    }
    if let Expr::Cast(cast) = part {
        check_part(&cast.ty, "value", part)?;
        return Ok(Part { ty: (*cast.ty).clone(), source: Source::Expression(part.clone()) });
    }
    let untyped = "a part of the key is an argument's name, or an expression with its type: write `user.id as u64`, \
                   `&user.name as &str`, or `self` for the receiver";
    Err(Error::new_spanned(part, untyped))
}

fn keeps(result: Option<Choice>, option: Option<Choice>, output: &Type) -> syn::Result<Keeps> {
    // What is called otherwise may be an alias of a `Result`: then the choice says so.
    let fallible = types::is_named(output, "Result") || result.is_some();
    if let Some(choice) = &result {
        let plain = matches!(types::bare(output), Type::Tuple(_) | Type::Array(_))
            || types::is_named(output, "Option");
        if plain {
            let why = "`result` says what to keep of a `Result`, and this function returns none: leave `result` out";
            return Err(Error::new(choice.span, why));
        }
    }
    let inner = types::first_argument(output, "Result");
    let optional =
        types::is_named(inner.unwrap_or(output), "Option") || (fallible && inner.is_none());
    if let Some(choice) = option.as_ref().filter(|_| !optional) {
        let why = "`option` says what to keep of an `Option`, and this function returns none: leave `option` out";
        return Err(Error::new(choice.span, why));
    }
    Ok(Keeps {
        fallible,
        errors: !fallible || result.is_some_and(|choice| choice.all),
        nothing: option.is_none_or(|choice| choice.all),
    })
}

impl Part {
    /// What the look-up holds of it: a reference, or an option of one.
    pub(crate) fn lent(&self, place: &TokenStream) -> TokenStream {
        match types::shape(&self.ty) {
            Shape::Borrowed(_) | Shape::Maybe(_) => place.clone(),
            Shape::Owned => quote_spanned!(Span::mixed_site()=> &#place),
        }
    }

    /// The type of what the cache keeps of it.
    pub(crate) fn kept(&self) -> TokenStream {
        let owned = |inner: &Type| match types::bare(inner) {
            Type::Slice(slice) => {
                let element = &slice.elem;
                quote_spanned!(inner.span()=> ::std::vec::Vec<#element>)
            }
            other if types::is_named(other, "str") => {
                quote_spanned!(inner.span()=> ::std::string::String)
            }
            other => quote_spanned!(inner.span()=> <#other as ::std::borrow::ToOwned>::Owned),
        };
        match types::shape(&self.ty) {
            Shape::Borrowed(inner) => owned(inner),
            Shape::Maybe(inner) => {
                let inner = owned(inner);
                quote_spanned!(self.ty.span()=> ::std::option::Option<#inner>)
            }
            Shape::Owned => self.ty.to_token_stream(),
        }
    }
}
