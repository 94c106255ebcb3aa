//! The arguments of the attribute, each as its user wrote it.

use proc_macro2::Span;
use std::time::Duration;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Token, parenthesized, parse_quote};

/// What stands between the parentheses of `#[memoize(..)]`.
pub(crate) struct Args {
    pub(crate) cache: Expr,
    pub(crate) ttl: Option<Ttl>,
    pub(crate) scope: Vec<Level>,
    pub(crate) key: Option<Expr>,
    pub(crate) max_items: Option<Expr>,
    pub(crate) result: Option<Choice>,
    pub(crate) option: Option<Choice>,
    pub(crate) name: Option<LitStr>,
    /// The crate `cacheado` by the name that it has here.
    pub(crate) root: Path,
}

/// A time to live.
pub(crate) enum Ttl {
    Fixed(Duration),
    Expression(Expr),
}

/// One level of a scope, and the expression of its id.
pub(crate) struct Level {
    pub(crate) name: LitStr,
    pub(crate) id: Expr,
}

/// What is worth keeping of a `Result` or an `Option`.
pub(crate) struct Choice {
    pub(crate) all: bool,
    pub(crate) span: Span,
}

const KNOWN: &str =
    "`cache`, `ttl`, `scope`, `key`, `max_items`, `result`, `option`, `name` and `crate`";

/// The arguments that have been read so far.
#[derive(Default)]
struct Draft {
    cache: Option<Expr>,
    ttl: Option<Ttl>,
    scope: Option<Vec<Level>>,
    key: Option<Expr>,
    max_items: Option<Expr>,
    result: Option<Choice>,
    option: Option<Choice>,
    name: Option<LitStr>,
    root: Option<Path>,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut draft = Draft::default();
        while !input.is_empty() {
            let argument = input.call(Ident::parse_any)?;
            draft.take(&argument, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = "`memoize` needs a cache: write `#[memoize(cache = CACHE)]`, where `CACHE` is a static, \
                       an argument or a field of the receiver that holds a `SharedCache`";
        let Draft { cache, ttl, scope, key, max_items, result, option, name, root } = draft;
        let cache = cache.ok_or_else(|| Error::new(Span::call_site(), missing))?;
        let scope = scope.unwrap_or_default();
        let root = root.unwrap_or_else(|| parse_quote!(::cacheado));
        Ok(Self { cache, ttl, scope, key, max_items, result, option, name, root })
    }
}

impl Draft {
    fn take(&mut self, argument: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match argument.to_string().as_str() {
            "cache" => set(&mut self.cache, argument, value(argument, input, "CACHE")?),
            "ttl" => set(&mut self.ttl, argument, Ttl::new(value(argument, input, "\"5m\"")?)?),
            "scope" => set(&mut self.scope, argument, levels(argument, input)?),
            "key" => set(&mut self.key, argument, value(argument, input, "(id, name)")?),
            "max_items" => {
                let items = value(argument, input, "1_000")?;
                set(&mut self.max_items, argument, at_least_one(items)?)
            }
            "result" => {
                let text = text(argument, input, "\"ok\"")?;
                set(&mut self.result, argument, Choice::new(&text, "result", "ok", "Err")?)
            }
            "option" => {
                let text = text(argument, input, "\"some\"")?;
                set(&mut self.option, argument, Choice::new(&text, "option", "some", "None")?)
            }
            "name" => {
                let name = text(argument, input, "\"users\"")?;
                let empty =
                    "a namespace needs a name: write `name = \"users\"`, or leave `name` out";
                refuse_if(name.value().is_empty(), name.span(), empty)?;
                set(&mut self.name, argument, name)
            }
            "crate" => set(&mut self.root, argument, value(argument, input, "::cacheado")?),
            unknown if input.is_empty() || input.peek(Token![,]) => {
                let bare = format!(
                    "`memoize` has no argument `{unknown}`: write `cache = {unknown}` if it is the cache"
                );
                Err(Error::new(argument.span(), bare))
            }
            unknown => {
                let unknown = format!("`memoize` has no argument `{unknown}`: it has {KNOWN}");
                Err(Error::new(argument.span(), unknown))
            }
        }
    }
}

fn refuse_if(refused: bool, span: Span, why: &str) -> syn::Result<()> {
    if refused { Err(Error::new(span, why)) } else { Ok(()) }
}

fn set<T>(place: &mut Option<T>, argument: &Ident, value: T) -> syn::Result<()> {
    let doubled = || format!("`{argument}` is given twice: leave one of the two out");
    if place.is_some() {
        return Err(Error::new(argument.span(), doubled()));
    }
    *place = Some(value);
    Ok(())
}

/// What stands behind `argument =`.
fn value<T: Parse>(argument: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<T> {
    if input.peek(Token![=]) && !input.peek(Token![==]) {
        input.parse::<Token![=]>()?;
        if !input.is_empty() && !input.peek(Token![,]) {
            return input.parse();
        }
    }
    let valueless = format!("`{argument}` needs a value: write `{argument} = {example}`");
    Err(Error::new(argument.span(), valueless))
}

/// A text behind `argument =`.
fn text(argument: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<LitStr> {
    match ungrouped(value(argument, input, example)?) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        other => {
            let wrong = format!("`{argument}` is a text: write `{argument} = {example}`");
            Err(Error::new_spanned(other, wrong))
        }
    }
}

/// The expression that a macro of the user's was given as `$x:expr`.
fn ungrouped(expression: Expr) -> Expr {
    match expression {
        Expr::Group(group) => ungrouped(*group.expr),
        other => other,
    }
}

fn levels(argument: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Level>> {
    const EXAMPLE: &str = "write `scope(organization = org_id, user = user_id)`";
    if !input.peek(syn::token::Paren) {
        let message = format!("`scope` names levels and their ids in parentheses: {EXAMPLE}");
        return Err(Error::new(argument.span(), message));
    }
    let inside;
    parenthesized!(inside in input);
    let levels: Vec<Level> =
        Punctuated::<_, Token![,]>::parse_terminated(&inside)?.into_iter().collect();
    let empty = format!("`scope` names no level: {EXAMPLE}, or leave `scope` out");
    refuse_if(levels.is_empty(), argument.span(), &empty)?;
    for (i, level) in levels.iter().enumerate() {
        let name = level.name.value();
        let doubled = format!("the level `{name}` is given twice: leave one of the two out");
        let again = levels[..i].iter().any(|other| other.name.value() == name);
        refuse_if(again, level.name.span(), &doubled)?;
    }
    Ok(levels)
}

impl Parse for Level {
    /// `organization = org_id`; the name of a level that is no identifier is a text.
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            let argument = Ident::new("level", name.span());
            return Ok(Self { name, id: value(&argument, input, "org_id")? });
        }
        let level = input.call(Ident::parse_any)?;
        let name = LitStr::new(&level.unraw().to_string(), level.span());
        Ok(Self { name, id: value(&level, input, "org_id")? })
    }
}

impl Ttl {
    fn new(value: Expr) -> syn::Result<Self> {
        let examples = "write it as in \"300s\", \"5m\" or \"1h30m\"";
        match ungrouped(value) {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                let said = text.value();
                let bad = |why| format!("{said:?} is no duration ({why}): {examples}");
                let duration = humantime::parse_duration(&said)
                    .map_err(|why| Error::new(text.span(), bad(why)))?;
                let zero = "a time to live of zero keeps nothing: give a longer one, or leave `memoize` out";
                refuse_if(duration.is_zero(), text.span(), zero)?;
                Ok(Self::Fixed(duration))
            }
            Expr::Lit(literal) => {
                let unit = format!("a duration needs its unit: {examples}, or give a `Duration`");
                Err(Error::new_spanned(literal, unit))
            }
            expression => Ok(Self::Expression(expression)),
        }
    }
}

impl Choice {
    fn new(text: &LitStr, argument: &str, first: &str, other: &str) -> syn::Result<Self> {
        let (said, span) = (text.value(), text.span());
        if said != "all" && said != first {
            let unknown = format!(
                "`{argument}` cannot be {said:?}: write \"{first}\", or \"all\" to keep `{other}` too"
            );
            return Err(Error::new(span, unknown));
        }
        Ok(Self { all: said == "all", span })
    }
}

fn at_least_one(items: Expr) -> syn::Result<Expr> {
    let items = ungrouped(items);
    if let Expr::Lit(ExprLit { lit, .. }) = &items {
        let number =
            if let Lit::Int(number) = lit { number.base10_parse::<u64>().ok() } else { None };
        let wrong = "`max_items` is a number of entries: write `max_items = 1_000`, at least 1";
        refuse_if(number.is_none_or(|number| number == 0), lit.span(), wrong)?;
    }
    Ok(items)
}
