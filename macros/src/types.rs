//! What can be told of a type by the way it is written.

use syn::visit::{self, Visit};
use syn::{GenericArgument, Lifetime, PathArguments, Type, TypeReference};

/// How a part of a key is passed, which says how it is borrowed and what is kept of it.
pub(crate) enum Shape<'a> {
    /// `&T`: looked up as it is, kept as `<T as ToOwned>::Owned`.
    Borrowed(&'a Type),
    /// `Option<&T>`: likewise, inside the option.
    Maybe(&'a Type),
    /// `T`: looked up by reference, kept as a clone.
    Owned,
}

pub(crate) fn shape(ty: &Type) -> Shape<'_> {
    match bare(ty) {
        Type::Reference(reference) => Shape::Borrowed(&reference.elem),
        other => match first_argument(other, "Option").map(bare) {
            Some(Type::Reference(TypeReference { mutability: None, elem, .. })) => {
                Shape::Maybe(elem)
            }
            _ => Shape::Owned,
        },
    }
}

/// The type inside parentheses and invisible groups.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => bare(&inner.elem),
        Type::Group(inner) => bare(&inner.elem),
        other => other,
    }
}

/// The first type argument of a type whose name is `name`, in whatever module.
pub(crate) fn first_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = bare(ty) else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let types = |argument: &'a GenericArgument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    };
    arguments.args.iter().find_map(types).filter(|_| last.ident == name)
}

/// Whether the last name of the type is this one.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == name),
        _ => false,
    }
}

/// Why a type is none that a key can have, and what could be one instead.
pub(crate) struct NoKey {
    pub(crate) why: &'static str,
    /// An expression of what it is called, `%`, if one certainly is a key.
    pub(crate) instead: Option<&'static str>,
}

const FLOAT: &str = "a float is neither `Hash` nor `Eq`";
const OBJECT: &str = "a trait object is neither `Hash` nor `Eq`";
const POINTER: &str = "a raw pointer says nothing of what it points to";
const CHANGED: &str = "what is borrowed mutably may change";
const LENT: &str = "what it borrows inside cannot be kept";

pub(crate) fn refused_as_key(ty: &Type) -> Option<NoKey> {
    let (Shape::Borrowed(inner) | Shape::Maybe(inner)) = shape(ty) else {
        return refused(bare(ty));
    };
    refused(if is_changed(bare(ty)) { ty } else { inner })
}

fn refused(ty: &Type) -> Option<NoKey> {
    let mut faults = Faults { found: None };
    faults.visit_type(ty);
    let why = faults.found.or_else(|| borrows(ty).then_some(LENT))?;
    let instead = match bare(ty) {
        float if is_named(float, "f32") => Some("%.to_bits() as u32"),
        float if is_named(float, "f64") => Some("%.to_bits() as u64"),
        text if is_text(text) => Some("&%[..] as &str"),
        _ => None,
    };
    Some(NoKey { why, instead })
}

/// Whether it is a `Cow` of a text.
fn is_text(ty: &Type) -> bool {
    first_argument(ty, "Cow").is_some_and(|inner| is_named(inner, "str"))
}

fn is_changed(ty: &Type) -> bool {
    matches!(ty, Type::Reference(TypeReference { mutability: Some(_), .. }))
}

/// Looks for types that are never `Hash + Eq`.
struct Faults {
    found: Option<&'static str>,
}

impl<'a> Visit<'a> for Faults {
    fn visit_type(&mut self, ty: &'a Type) {
        let fault = match ty {
            Type::Path(_) if is_named(ty, "f32") || is_named(ty, "f64") => FLOAT,
            Type::TraitObject(_) => OBJECT,
            Type::Ptr(_) => POINTER,
            ty if is_changed(ty) => CHANGED,
            // A marker is equal to itself whatever it marks.
            ty if is_named(ty, "PhantomData") => return,
            ty => return visit::visit_type(self, ty),
        };
        self.found.get_or_insert(fault);
    }
}

/// Whether a type says that it borrows from anything that is not `'static`.
pub(crate) fn borrows(ty: &Type) -> bool {
    struct Lifetimes(bool);
    impl<'a> Visit<'a> for Lifetimes {
        fn visit_lifetime(&mut self, lifetime: &'a Lifetime) {
            self.0 |= lifetime.ident != "static";
        }
        fn visit_type_reference(&mut self, reference: &'a TypeReference) {
            self.0 |= reference.lifetime.is_none();
            visit::visit_type_reference(self, reference);
        }
        // Its references are those of its callers.
        fn visit_type_bare_fn(&mut self, _: &'a syn::TypeBareFn) {}
        fn visit_parenthesized_generic_arguments(
            &mut self,
            _: &'a syn::ParenthesizedGenericArguments,
        ) {
        }
    }
    let mut found = Lifetimes(false);
    found.visit_type(ty);
    found.0
}

/// The `impl Trait` in a type, if there is one.
pub(crate) fn impl_trait(ty: &Type) -> Option<&syn::TypeImplTrait> {
    struct Impls<'a>(Option<&'a syn::TypeImplTrait>);
    impl<'a> Visit<'a> for Impls<'a> {
        fn visit_type_impl_trait(&mut self, found: &'a syn::TypeImplTrait) {
            self.0.get_or_insert(found);
        }
    }
    let mut found = Impls(None);
    found.visit_type(ty);
    found.0
}
