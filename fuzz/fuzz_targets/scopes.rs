//! Trees of levels and paths of scopes against what their documentation says: every byte string is some
//! chains of names and some paths of ids, of any characters and lengths.
#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use cacheado::{CacheHandle, ScopeTree, ScopedHandle};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

const MOST_CHAINS: usize = 12;
const MOST_PATHS: usize = 24;
const MOST_LEVELS: usize = 1024;
const MOST_DEPTH: usize = 32;

fuzz_target!(|case: Case| run(&case));

#[derive(Debug)]
struct Case {
    chains: Vec<String>,
    paths: Vec<Path>,
}

/// Levels and ids, from the top down; the first so many in a call of their own.
#[derive(Debug)]
struct Path {
    steps: Vec<(String, String)>,
    split: usize,
}

type Levels = BTreeMap<String, Option<String>>;

fn run(case: &Case) {
    let levels = oracle(&case.chains);
    let tree = match (ScopeTree::new(&case.chains), levels) {
        (Ok(tree), Some(levels)) => Some((tree, levels)),
        (Err(error), None) => {
            assert!(error.is_invalid_scope_tree(), "{error}");
            None
        }
        (tree, levels) => panic!("{tree:?}, but {levels:?}"),
    };
    let Some((tree, levels)) = tree else { return };
    // What it shows is what it is.
    let leaves = tree.to_string();
    let again: Vec<_> = leaves.split(", ").collect();
    if !case.chains.iter().any(|chain| chain.contains(", ")) {
        assert_eq!(ScopeTree::new(&again).map(|tree| tree.to_string()).ok(), Some(leaves.clone()));
    }
    let builder = CacheHandle::<u8, usize>::builder().shards(1).max_capacity(1_000);
    let cache = builder.scopes(tree).build().expect("valid settings");
    let scopes: Vec<_> = case.paths.iter().map(|path| enter(&cache, &levels, path)).collect();
    let known = || case.paths.iter().zip(&scopes).enumerate().filter_map(one_of);
    for (i, _, scope) in known() {
        scope.insert(0, i);
        // Two scopes are the same exactly if their paths are.
        for (_, path, scope) in known() {
            let same = known().filter(|(j, other, _)| *j <= i && other.steps == path.steps);
            assert_eq!(scope.get(&0), same.map(|(j, ..)| j).last(), "{:?} after {i}", path.steps);
        }
    }
}

fn one_of<'a>(
    (i, (path, scope)): (usize, (&'a Path, &'a Option<ScopedHandle<u8, usize>>)),
) -> Option<(usize, &'a Path, &'a ScopedHandle<u8, usize>)> {
    scope.as_ref().map(|scope| (i, path, scope))
}

/// The level above each level, if all chains are as they may be.
fn oracle(chains: &[String]) -> Option<Levels> {
    let mut levels = Levels::new();
    for chain in chains {
        let names: Vec<&str> = chain.split('/').collect();
        if names.len() > MOST_DEPTH {
            return None;
        }
        for (i, name) in names.iter().enumerate() {
            let above = i.checked_sub(1).map(|above| names[above].to_owned());
            let is_named = !name.is_empty() && name.trim() == *name && *name != "global";
            if !is_named || names[..i].contains(name) {
                return None;
            }
            if *levels.entry((*name).to_owned()).or_insert_with(|| above.clone()) != above {
                return None;
            }
        }
    }
    (1..=MOST_LEVELS).contains(&levels.len()).then_some(levels)
}

/// The scope of a path, in one call or in two, if it is one.
fn enter(
    cache: &CacheHandle<u8, usize>,
    levels: &Levels,
    Path { steps, split }: &Path,
) -> Option<ScopedHandle<u8, usize>> {
    let mut above = None;
    let is_right = |(level, id): &(String, String)| {
        let right = levels.get(level).is_some_and(|parent| *parent == above) && !id.is_empty();
        above = Some(level.clone());
        right
    };
    let is_right = !steps.is_empty() && steps.iter().all(is_right);
    let owned = |steps: &[(String, String)]| steps.to_vec();
    let scope = match split {
        split if (1..steps.len()).contains(split) => cache
            .scope(owned(&steps[..*split]))
            .and_then(|scope| scope.scope(owned(&steps[*split..]))),
        _ => cache.scope(owned(steps)),
    };
    match scope {
        Ok(scope) => {
            assert!(is_right, "{steps:?} in {levels:?}");
            let path = scope.path();
            assert!(path.iter().eq(steps.iter().map(|(level, id)| (&**level, &**id))), "{path}");
            assert_eq!(scope.level(), steps.last().expect("a step").0);
            Some(scope)
        }
        Err(error) => {
            assert!(error.is_invalid_scope_path() && !is_right, "{error}: {steps:?}");
            let refused = cache.evict_scope(owned(steps));
            assert!(refused.is_err_and(|error| error.is_invalid_scope_path()));
            None
        }
    }
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut chains = Vec::new();
        for _ in 0..bytes.int_in_range(0..=MOST_CHAINS)? {
            chains.push(chain(bytes)?);
        }
        let mut paths = Vec::new();
        while !bytes.is_empty() && paths.len() < MOST_PATHS {
            paths.push(path(bytes, &chains)?);
        }
        Ok(Self { chains, paths })
    }
}

/// Mostly of few good names, so that chains share levels; sometimes anything, or more than there may be.
fn chain(bytes: &mut Unstructured<'_>) -> Result<String> {
    let names = match bytes.int_in_range(0..=31_u8)? {
        0 => return text(bytes),
        1 => {
            let from: u8 = bytes.arbitrary()?;
            let numbers =
                (0..bytes.int_in_range(0..=40)?).map(|i| (u32::from(from) + i).to_string());
            numbers.collect()
        }
        2 => {
            let from: u16 = bytes.arbitrary()?;
            vec![format!("level {from}"), text(bytes)?]
        }
        count => {
            let mut names = Vec::new();
            for _ in 0..1 + count % 4 {
                names.push(name(bytes)?);
            }
            names
        }
    };
    Ok(names.join("/"))
}

fn name(bytes: &mut Unstructured<'_>) -> Result<String> {
    if bytes.ratio(1, 16)? {
        return text(bytes);
    }
    let names = ["a", "b", "c", "d", "e", "f", "a b", "=", "\u{e9}", "global", " a", "a\u{a0}", ""];
    // Good ones more often.
    let most = if bytes.ratio(1, 16)? { names.len() } else { 9 };
    Ok((*bytes.choose(&names[..most])?).to_owned())
}

/// Any text, sometimes a very long one.
fn text(bytes: &mut Unstructured<'_>) -> Result<String> {
    let text: String = bytes.arbitrary()?;
    Ok(if bytes.ratio(1, 8)? { text.repeat(1_000) } else { text })
}

/// Mostly the levels of a chain with some ids, so that some paths are right.
fn path(bytes: &mut Unstructured<'_>, chains: &[String]) -> Result<Path> {
    let chain = if chains.is_empty() { "a/b" } else { bytes.choose(chains)? };
    let mut levels: Vec<String> = chain.split('/').map(str::to_owned).collect();
    levels.truncate(bytes.int_in_range(0..=levels.len())?);
    match bytes.int_in_range(0..=15_u8)? {
        0 => levels.push(name(bytes)?),
        1 => levels.insert(0, name(bytes)?),
        2 => drop(levels.pop()),
        3 => levels.reverse(),
        _ => {}
    }
    let mut steps = Vec::new();
    for level in levels {
        let id = if bytes.ratio(1, 8)? {
            text(bytes)?
        } else {
            (*bytes.choose(&["a", "b", "a/b", "b=a", "a/user=b", "42", "\0", " "])?).to_owned()
        };
        steps.push((level, id));
    }
    let split = bytes.int_in_range(0..=3)?;
    Ok(Path { steps, split })
}
