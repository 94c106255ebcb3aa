//! The sentences of the macro, without a compiler: every function in `tests/ui/fail` is refused with what
//! stands in the file's `.stderr`, or accepted where the compiler is who refuses.

use crate::memoized;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use syn::parse::{ParseStream, Parser};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, LitStr, TraitItem};

/// What the macro says about a source.
#[derive(Default)]
struct Said(BTreeSet<String>);

impl Said {
    /// Expands the item if it has the attribute.
    fn item(&mut self, item: &impl ToTokens) {
        let apart = |input: ParseStream<'_>| {
            Ok((input.call(Attribute::parse_outer)?, input.parse::<TokenStream>()?))
        };
        let (attributes, rest) = apart.parse2(item.to_token_stream()).expect("an item");
        let ours = |attribute: &&Attribute| attribute.path().is_ident("memoize");
        let Some(ours) = attributes.iter().find(ours) else { return };
        let arguments = match &ours.meta {
            syn::Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        match memoized(arguments, rest) {
            Ok(expanded) => self.sentences(expanded),
            Err(refused) => {
                self.0.extend(refused.into_iter().map(|refused| refused.to_string()));
            }
        }
    }

    /// Takes down what the expansion has the compiler say.
    fn sentences(&mut self, expanded: TokenStream) {
        let mut before = String::new();
        for token in expanded {
            if let TokenTree::Group(group) = &token {
                match syn::parse2::<LitStr>(group.stream()) {
                    Ok(sentence) if before == "!" => drop(self.0.insert(sentence.value())),
                    _ => self.sentences(group.stream()),
                }
            }
            before = token.to_string();
        }
    }
}

impl Visit<'_> for Said {
    fn visit_item(&mut self, item: &Item) {
        self.item(item);
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &ImplItem) {
        self.item(item);
        visit::visit_impl_item(self, item);
    }

    fn visit_trait_item(&mut self, item: &TraitItem) {
        self.item(item);
        visit::visit_trait_item(self, item);
    }
}

fn said_about(source: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(source).expect("a source");
    let mut said = Said::default();
    said.visit_file(&syn::parse_file(&text).expect("a source that parses"));
    said.0
}

/// The errors of a compiler's output that have no number: those that macros make.
fn of_macros(output: &str) -> BTreeSet<String> {
    output.lines().filter_map(|line| line.strip_prefix("error: ")).map(str::to_owned).collect()
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui").join(folder);
    let files =
        fs::read_dir(folder).expect("the folder").map(|file| file.expect("readable").path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn misuse_is_refused_with_the_sentences_that_the_compiler_shows() {
    let mut sentences = 0;
    for source in sources("fail") {
        let shown = fs::read_to_string(source.with_extension("stderr")).expect("an output");
        let said = said_about(&source);
        assert_eq!(said, of_macros(&shown), "{}", source.display());
        sentences += said.len();
    }
    assert!(sentences > 40, "{sentences} sentences");
}

#[test]
fn the_library_is_called_as_the_attribute_says() {
    let item = quote::quote! {
        async fn load<T: Id>(org: &str, user: Option<&T>, n: f64) -> Outcome<Option<u64>, Arc<Fault>> { todo() }
    };
    let arguments = quote::quote! {
        cache = home().cache, scope(organization = org), key = (user, n.to_bits() as u64), ttl = "5m",
        max_items = MOST, result = "all", option = "some", crate = crate::prelude::memo
    };
    let expanded = memoized(arguments, item).expect("well used");
    let (ours, theirs) = (named(expanded.clone(), "cacheado"), named(expanded, "memo"));
    assert!(ours == 0 && theirs > 20, "{ours} and {theirs}");
}

/// How often the tokens have this name.
fn named(tokens: TokenStream, name: &str) -> usize {
    let counts = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(ident) => usize::from(ident == name),
        TokenTree::Group(group) => named(group.stream(), name),
        _ => 0,
    });
    counts.sum()
}

#[test]
fn what_is_well_used_is_not_refused() {
    for source in sources("pass") {
        assert_eq!(said_about(&source), BTreeSet::new(), "{}", source.display());
    }
}
