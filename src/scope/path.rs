//! [`ScopeId`] and the steps of a path: the ids of one scope, checked against the levels. Layer: scope.

use super::tree::{LevelId, ScopeTree};
use crate::error::Error;
use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// The id of a scope within its level: any text but the empty one.
///
/// Made from strings, from a reference to anything that is `AsRef<str>`, and from integers. An integer is its
/// decimal text, so 42 and `"42"` are the same scope. Ids are compared whole, so no character in them means anything: `"a/b"`
/// in one level is never `"a"` and `"b"` in two. Where the ids of a path are of different types, make
/// each a `ScopeId`:
///
/// ```
/// use cacheado::{CacheHandle, ScopeId};
///
/// let cache: CacheHandle<String, u32> = CacheHandle::new();
/// let user = cache.scope([
///     ("organization", ScopeId::from("acme")),
///     ("user", ScopeId::from(42)),
/// ])?;
/// assert_eq!(user.path().to_string(), "organization=acme/user=42");
/// # Ok::<(), cacheado::Error>(())
/// ```
#[derive(Clone)]
pub struct ScopeId<'a>(Text<'a>);

#[derive(Clone)]
enum Text<'a> {
    Text(Cow<'a, str>),
    Digits { digits: [u8; DIGITS], from: u8 },
}

/// Of the longest 128-bit integer, with a sign.
const DIGITS: usize = 40;

impl ScopeId<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Text::Text(text) => text,
            Text::Digits { digits, from } => {
                std::str::from_utf8(&digits[usize::from(*from)..]).unwrap_or_default()
            }
        }
    }

    fn number(magnitude: u128, negative: bool) -> Self {
        let mut digits = [b'0'; DIGITS];
        let (mut from, mut long) = (DIGITS, magnitude);
        // Few numbers are long, and to divide those takes long.
        while long > u128::from(u64::MAX) {
            from -= 1;
            digits[from] = b'0' + (long % 10) as u8;
            long /= 10;
        }
        let mut rest = long as u64;
        while rest > 0 || from == DIGITS {
            from -= 1;
            digits[from] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        if negative {
            from -= 1;
            digits[from] = b'-';
        }
        Self(Text::Digits { digits, from: from as u8 })
    }
}

impl AsRef<str> for ScopeId<'_> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for ScopeId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopeId").field(&self.as_str()).finish()
    }
}

impl<'a, T: AsRef<str> + ?Sized> From<&'a T> for ScopeId<'a> {
    fn from(id: &'a T) -> Self {
        Self(Text::Text(Cow::Borrowed(id.as_ref())))
    }
}

impl From<String> for ScopeId<'_> {
    fn from(id: String) -> Self {
        Self(Text::Text(Cow::Owned(id)))
    }
}

impl<'a> From<Cow<'a, str>> for ScopeId<'a> {
    fn from(id: Cow<'a, str>) -> Self {
        Self(Text::Text(id))
    }
}

impl From<Box<str>> for ScopeId<'_> {
    fn from(id: Box<str>) -> Self {
        Self::from(String::from(id))
    }
}

/// Copies the text; a reference to it does not.
impl From<Arc<str>> for ScopeId<'_> {
    fn from(id: Arc<str>) -> Self {
        Self::from(String::from(&*id))
    }
}

/// Copies the text; a reference to it does not.
impl From<Rc<str>> for ScopeId<'_> {
    fn from(id: Rc<str>) -> Self {
        Self::from(String::from(&*id))
    }
}

macro_rules! from_integers {
    ($($unsigned:ty, $signed:ty;)+) => {$(
        impl From<$unsigned> for ScopeId<'_> {
            fn from(id: $unsigned) -> Self {
                Self::number(id as u128, false)
            }
        }
        impl From<$signed> for ScopeId<'_> {
            fn from(id: $signed) -> Self {
                Self::number((id as i128).unsigned_abs(), id < 0)
            }
        }
    )+};
}

from_integers! { u8, i8; u16, i16; u32, i32; u64, i64; usize, isize; u128, i128; }

/// One step down a path.
pub(crate) struct Step<'a> {
    pub(crate) level: LevelId,
    id: ScopeId<'a>,
}

impl Step<'_> {
    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// The steps of a path below some scope, checked: at least one. Most paths are short, and those are not
/// on the heap.
pub(crate) struct Steps<'a> {
    first: [Option<Step<'a>>; SHORT],
    more: Vec<Step<'a>>,
    len: usize,
}

const SHORT: usize = 4;

impl<'a> Steps<'a> {
    /// Checks a path below a scope of the level `from`.
    pub(crate) fn check<L, I>(
        tree: &ScopeTree,
        from: LevelId,
        path: impl IntoIterator<Item = (L, I)>,
    ) -> Result<Self, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'a>>,
    {
        let mut steps = Self { first: [const { None }; SHORT], more: Vec::new(), len: 0 };
        let mut at = from;
        for (level, id) in path {
            at = tree.step(from, at, level.as_ref())?;
            let step = Step { level: at, id: id.into() };
            if step.id().is_empty() {
                let fault = format!("the id of the level {:?} is empty", level.as_ref());
                let path = tree.path_below(from, at).unwrap_or_default();
                let place = tree.place_of(from);
                let remedy = format!("give the levels of {path}{place}, each with an id");
                return Err(Error::scope_path(fault, remedy));
            }
            match steps.first.get_mut(steps.len) {
                Some(place) => *place = Some(step),
                None => steps.more.push(step),
            }
            steps.len += 1;
        }
        if steps.len == 0 {
            let remedy = format!("give at least one level with its id; {}", tree.all_below(from));
            return Err(Error::scope_path("the path of the scope is empty".into(), remedy));
        }
        Ok(steps)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The first `count` steps, the last of them first.
    pub(crate) fn upward(&self, count: usize) -> impl Iterator<Item = &Step<'a>> {
        (0..count).rev().map(|i| self.at(i))
    }

    pub(crate) fn at(&self, i: usize) -> &Step<'a> {
        let step = self.first.get(i).map_or_else(|| self.more.get(i - SHORT), Option::as_ref);
        step.expect("a step below the length")
    }
}

#[cfg(test)]
mod tests {
    use super::{ScopeId, Steps};
    use crate::scope::tree::{LevelId, ScopeTree};

    #[test]
    fn an_integer_is_its_decimal_text() {
        let text = |id: ScopeId<'_>| id.as_str().to_owned();
        for id in [0, 1, -1, 42, i64::MAX, i64::MIN] {
            assert_eq!(text(id.into()), id.to_string());
        }
        assert_eq!(text(u64::MAX.into()), u64::MAX.to_string());
        assert_eq!(text(i8::MIN.into()), "-128");
        for id in [i128::MIN, i128::MAX, i128::from(u64::MAX) + 1, -i128::from(u64::MAX) * 10] {
            assert_eq!(text(id.into()), id.to_string());
        }
        assert_eq!(text(u128::MAX.into()), u128::MAX.to_string());
    }

    #[test]
    fn a_long_path_keeps_its_order() {
        let tree = ScopeTree::new(["a/b/c/d/e/f"]).expect("valid");
        let path = ["a", "b", "c", "d", "e", "f"].map(|name| (name, name));
        let steps = Steps::check(&tree, LevelId::GLOBAL, path).expect("right");
        let ids: Vec<_> = steps.upward(5).map(|step| step.id().to_owned()).collect();
        assert_eq!(ids, ["e", "d", "c", "b", "a"]);
        assert_eq!((steps.len(), steps.at(5).id()), (6, "f"));
    }
}
