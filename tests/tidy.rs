//! House rules as tests: layout, unsafe code, atomics, orderings and layers of `src/`.
//!
//! Every rule is a function from sources to findings. A test here applies it to the tree, and one
//! in `tidy/samples.rs` to a small bad sample.

#[path = "tidy/mutations.rs"]
mod mutations;
#[path = "tidy/samples.rs"]
mod samples;
#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use source::{Line, Source, is_word, parse, words};

const UNSAFE_FILES: [&str; 5] =
    ["shard/pending.rs", "shard/flight.rs", "shard/index.rs", "shard/entry.rs", "shard/graves.rs"];
const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
/// Modules by layer, lowest first. A module may use its own layer and those below.
const LAYERS: [&[&str]; 4] = [
    &["stats", "clock", "error", "sync", "reply", "removal", "testing", "shard_thread", "process"],
    &["store", "scope"],
    &["shard"],
    &["front", "handle", "scoped", "load", "look", "builder", "view", "ask", "shared", "memoize"],
];

/// What the documentation promises: its edges with the models named beside them, its invariants,
/// and the functions of the loom tests.
#[derive(Default)]
struct Docs {
    edges: BTreeMap<String, Vec<String>>,
    invariants: BTreeSet<String>,
    models: BTreeSet<String>,
}

type Findings = Vec<String>;

fn finding(path: &str, line: usize, rule: &str, remedy: &str) -> String {
    format!("{path}:{}: {rule}; remedy: {remedy}", line + 1)
}

fn opens_with_doc(source: &Source) -> Findings {
    let said = source.first.strip_prefix("//!").unwrap_or("").trim();
    let is_page = source.first.starts_with("#![doc = include_str!(");
    let remedy = "open the file with `//!` and a sentence that says what it is";
    let bad = said.split_whitespace().count() < 2 && !is_page;
    let finding = || finding(&source.path, 0, "file without an opening doc", remedy);
    bad.then(finding).into_iter().collect()
}

fn keeps_lengths(source: &Source) -> Findings {
    let mut found = keeps_file_length(source);
    for (line, length) in function_lengths(source) {
        if length > 60 {
            let rule = format!("function of {length} lines of code, over 60");
            found.push(finding(&source.path, line, &rule, "name its parts as functions"));
        }
    }
    found
}

fn keeps_file_length(source: &Source) -> Findings {
    let finding = || finding(&source.path, 500, "file over 500 lines", "split it by subject");
    (source.lines.len() > 501).then(finding).into_iter().collect()
}

/// For each function the line of its `fn` and its lines of code up to the closing brace.
fn function_lengths(source: &Source) -> Vec<(usize, usize)> {
    let starts = |line: &Line| {
        let named = |at: &usize| line.code[at + 2..].trim_start().starts_with(is_word);
        words(&line.code, "fn").into_iter().find(named)
    };
    let all = source.lines.iter().enumerate();
    let starts = all.filter_map(|(at, line)| starts(line).map(|column| (at, column)));
    starts
        .filter_map(|(at, column)| Some((at, body_length(&source.lines[at..], column)?)))
        .collect()
}

fn body_length(lines: &[Line], column: usize) -> Option<usize> {
    let (mut braces, mut brackets, mut length) = (0, 0, 0);
    for (at, line) in lines.iter().enumerate() {
        let code = if at == 0 { &line.code[column..] } else { &line.code[..] };
        length += usize::from(!code.trim().is_empty());
        for c in code.chars() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets -= 1,
                ';' if braces == 0 && brackets == 0 => return None,
                '{' => braces += 1,
                '}' if braces == 1 => return Some(length),
                '}' => braces -= 1,
                _ => {}
            }
        }
    }
    None
}

fn keeps_unsafe_argued(source: &Source, docs: &Docs) -> Findings {
    let mut found = Findings::new();
    let allowed = UNSAFE_FILES.contains(&source.path.as_str());
    for (at, line) in source.lines.iter().enumerate() {
        for column in words(&line.code, "unsafe") {
            if !allowed {
                let remedy = "build it from the safe interface of shard/{pending,flight,index,entry,graves}.rs";
                found.push(finding(&source.path, at, "unsafe code outside its files", remedy));
                continue;
            }
            let after = line.code[column + 6..].trim_start();
            let next = source.lines.get(at + 1).map_or("", |l| l.code.trim_start());
            let after = if after.is_empty() { next } else { after };
            if !(after.starts_with('{') || after.starts_with("impl")) {
                continue;
            }
            let reason = source.reason(at);
            let argued = reason.split_once("SAFETY:").map_or("", |(_, argument)| argument);
            let names = tags(argued, "invariant");
            if names.is_empty() {
                let remedy =
                    "say above it `SAFETY:` why it is sound and end with `[invariant: name]`";
                found.push(finding(&source.path, at, "unsafe without an argument", remedy));
            }
            for name in names.iter().filter(|name| !docs.invariants.contains(*name)) {
                let rule = format!("invariant `{name}` is not in docs/concurrency.md");
                found.push(finding(&source.path, at, &rule, "describe it there or fix the name"));
            }
        }
    }
    found
}

/// The names in every `[kind: name]` of a text.
fn tags(text: &str, kind: &str) -> Vec<String> {
    let opener = format!("[{kind}: ");
    let rests = text.split(opener.as_str()).skip(1);
    rests.filter_map(|rest| rest.split_once(']')).map(|(name, _)| name.trim().to_owned()).collect()
}

fn keeps_atomics_behind_sync(source: &Source) -> Findings {
    if source.path == "sync.rs" || source.path.starts_with("sync/") || source.is_test() {
        return Findings::new();
    }
    let foreign = |path: &str| {
        let path = path.trim_start_matches("::");
        path.starts_with("std::sync::atomic") || path.starts_with("core::sync::atomic")
    };
    let inline =
        |code: &str| code.contains("std::sync::atomic") || code.contains("core::sync::atomic");
    let lines = source.lines.iter().enumerate();
    let named = lines
        .filter(|(_, l)| !words(&l.code, "loom").is_empty() || inline(&l.code))
        .map(|(at, _)| at);
    let used = source.uses().into_iter().filter(|(_, path)| foreign(path)).map(|(at, _)| at);
    let sites: BTreeSet<usize> = named.chain(used).collect();
    let finding = |at| {
        finding(&source.path, at, "atomics named outside src/sync.rs", "take them from crate::sync")
    };
    sites.into_iter().map(finding).collect()
}

/// One use of an ordering: where it is and what its comment says about it.
struct Site {
    line: usize,
    ordering: &'static str,
    reason: Option<String>,
}

fn ordering_sites(source: &Source) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut in_use = false;
    for (at, line) in source.lines.iter().enumerate() {
        let code = line.code.trim_start();
        in_use |= code.starts_with("use ") || (code.starts_with("pub") && code.contains(" use "));
        for ordering in ORDERINGS.into_iter().filter(|_| !in_use) {
            for _ in words(&line.code, ordering) {
                sites.push(Site {
                    line: at,
                    ordering,
                    reason: reason_for(&source.reason(at), ordering),
                });
            }
        }
        in_use &= !code.contains(';');
    }
    sites
}

/// What a comment says after `ordering:` (or `ordering on failure:`), up to the next ordering it
/// explains.
fn reason_for(comment: &str, ordering: &str) -> Option<String> {
    let opens = |name: &str, at: usize| {
        let rest = &comment[at + name.len()..];
        rest.starts_with(':') || rest.starts_with(" on failure:")
    };
    let starts = |name: &str| -> Vec<usize> {
        words(comment, name).into_iter().filter(|at| opens(name, *at)).collect()
    };
    let own = *starts(ordering).first()?;
    let all: Vec<usize> = ORDERINGS.iter().flat_map(|name| starts(name)).collect();
    let end = all.into_iter().filter(|at| *at > own).min().unwrap_or(comment.len());
    let (_, said) = comment[own..end].split_once(':')?;
    (!said.trim().is_empty()).then(|| said.trim().to_owned())
}

fn keeps_orderings_argued(source: &Source) -> Findings {
    let mut found = Findings::new();
    let sites = if source.is_test() { Vec::new() } else { ordering_sites(source) };
    for site in sites {
        let remedy = format!("say above the statement `{}:` and what it is for", site.ordering);
        match &site.reason {
            None => {
                found.push(finding(&source.path, site.line, "ordering without a reason", &remedy))
            }
            Some(reason) if site.ordering != "Relaxed" && tags(reason, "edge").is_empty() => {
                let remedy = "end the reason with `[edge: name]`, the pair it belongs to";
                found.push(finding(&source.path, site.line, "ordering without an edge", remedy));
            }
            Some(_) => {}
        }
    }
    found
}

/// Every edge has both sides in the code and a row in the table, every row an edge and a model.
fn keeps_edges_paired(sources: &[Source], docs: &Docs) -> Findings {
    let mut sides: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for site in sources.iter().filter(|s| !s.is_test()).flat_map(ordering_sites) {
        for name in tags(site.reason.as_deref().unwrap_or(""), "edge") {
            let side = sides.entry(name).or_default();
            side[0] += usize::from(["Release", "AcqRel", "SeqCst"].contains(&site.ordering));
            side[1] += usize::from(["Acquire", "AcqRel", "SeqCst"].contains(&site.ordering));
        }
    }
    let mut found = Findings::new();
    let mut report = |name: &str, rule: &str, remedy: &str| {
        found.push(format!("docs/concurrency.md: edge `{name}` {rule}; remedy: {remedy}"));
    };
    for (name, side) in &sides {
        if side.contains(&0) {
            let rule = format!("has {} release sites and {} acquire sites", side[0], side[1]);
            report(name, &rule, "tag the missing side, or drop the ordering");
        }
        if !docs.edges.contains_key(name) {
            report(name, "is not in the edge table", "add its row");
        }
    }
    for (name, beside) in &docs.edges {
        if !sides.contains_key(name) {
            report(name, "is in the table and nowhere in src", "delete the row or tag the code");
        }
        if !beside.iter().any(|model| docs.models.contains(model)) {
            report(name, "names no loom model", "name a function of loom-tests/tests in its row");
        }
    }
    found
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn keeps_layers(source: &Source) -> Findings {
    let own = source.path.split('/').next().unwrap_or("").trim_end_matches(".rs");
    if source.is_test() || own == "lib" {
        return Findings::new();
    }
    let Some(layer) = layer_of(own) else {
        return vec![finding(
            &source.path,
            0,
            "module without a layer",
            "give it one in tests/tidy.rs",
        )];
    };
    let inline = source.lines.iter().enumerate().flat_map(|(at, line)| {
        let rests = line.code.split("crate::").skip(1);
        rests.map(move |rest| (at, rest.to_owned())).collect::<Vec<_>>()
    });
    let used = source.uses().into_iter();
    let used = used.filter_map(|(at, path)| Some((at, path.strip_prefix("crate::")?.to_owned())));
    let paths: BTreeSet<(usize, String)> = inline
        .chain(used)
        .map(|(at, path)| (at, path.chars().take_while(|c| is_word(*c)).collect::<String>()))
        .filter(|(_, module)| !module.is_empty() && module != own)
        .collect();
    let judge = |(at, module): (usize, String)| {
        let rule = match layer_of(&module) {
            // The root re-exports the front, so the front alone may look there.
            None if layer + 1 == LAYERS.len() => return None,
            None => format!("`crate::{module}` is not a module with a layer"),
            Some(other) if other > layer => format!("`{own}` looks up to `{module}`"),
            Some(1) if layer == 1 => format!("`{own}` and `{module}` know each other"),
            Some(_) => return None,
        };
        Some(finding(
            &source.path,
            at,
            &rule,
            "pass what is needed as an argument, or name the owning module",
        ))
    };
    paths.into_iter().filter_map(judge).collect()
}

fn keeps_words_out(source: &Source) -> Findings {
    let mut found = Findings::new();
    for (at, line) in source.lines.iter().enumerate() {
        for word in ["Mutex", "RwLock", "Condvar", "parking_lot"] {
            if !words(&line.code, word).is_empty() {
                found.push(finding(
                    &source.path,
                    at,
                    &format!("lock `{word}`"),
                    "use a message or an atomic step",
                ));
            }
        }
        for name in ["todo", "unimplemented", "dbg", "print", "println", "eprint", "eprintln"] {
            if words(&line.code, name)
                .iter()
                .any(|at| line.code[at + name.len()..].starts_with('!'))
            {
                found.push(finding(
                    &source.path,
                    at,
                    &format!("`{name}!` in src"),
                    "finish or delete it",
                ));
            }
        }
        for word in ["TODO", "FIXME"] {
            if !words(&line.comment, word).is_empty() {
                found.push(finding(
                    &source.path,
                    at,
                    &format!("`{word}` in src"),
                    "do it, or open an issue",
                ));
            }
        }
        let attribute = line.code.trim_start().starts_with('#');
        if attribute
            && words(&line.code, "allow").iter().any(|at| line.code[at + 5..].starts_with('('))
        {
            found.push(finding(&source.path, at, "bare `allow`", "use `expect` with a reason"));
        }
    }
    found
}

// ---- the tree ----------------------------------------------------------------------------------

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("readable folder").path()) {
        match path.extension() {
            _ if path.is_dir() => files.extend(rust_files(&path)),
            Some(extension) if extension == "rs" => files.push(path),
            _ => {}
        }
    }
    files.sort();
    files
}

fn tree() -> Vec<Source> {
    below("src")
}

fn below(folder: &str) -> Vec<Source> {
    let folder = root().join(folder);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&folder).expect("below it").to_string_lossy();
        parse(&name.replace('\\', "/"), &fs::read_to_string(&path).expect("readable source"))
    };
    let sources: Vec<Source> = rust_files(&folder).into_iter().map(read).collect();
    assert!(sources.len() > 5, "found the sources");
    sources
}

fn tree_docs() -> Docs {
    let text = fs::read_to_string(root().join("docs/concurrency.md")).expect("docs/concurrency.md");
    let models = rust_files(&root().join("loom-tests/tests")).into_iter();
    let models =
        models.map(|path| fs::read_to_string(path).expect("readable model")).collect::<String>();
    parse_docs(&text, &models)
}

/// Edges are the rows of tables whose first header cell is `edge`; an invariant is any row, item or
/// heading that starts with its name in backticks.
fn parse_docs(text: &str, models: &str) -> Docs {
    let mut docs = Docs::default();
    let mut in_edges = false;
    for line in text.lines() {
        let head = line.trim_start_matches(['|', '-', '*', '#', ' ']);
        let cell = head.split('|').next().unwrap_or("").trim();
        let row = line.trim_start().starts_with('|');
        in_edges = row && (in_edges || cell.eq_ignore_ascii_case("edge"));
        let Some(name) = cell.strip_prefix('`').and_then(|rest| rest.split('`').next()) else {
            continue;
        };
        if in_edges {
            let quoted = head.split('`').skip(3).step_by(2);
            let beside = quoted.map(|path| path.rsplit("::").next().unwrap_or(path).to_owned());
            docs.edges.insert(name.to_owned(), beside.collect());
        } else {
            docs.invariants.insert(name.to_owned());
        }
    }
    for rest in models.split("fn ").skip(1) {
        docs.models.insert(rest.chars().take_while(|c| is_word(*c)).collect());
    }
    docs
}

fn assert_clean(rule: impl FnMut(&Source) -> Findings) {
    assert_all_clean(&tree(), rule);
}

fn assert_all_clean(sources: &[Source], rule: impl FnMut(&Source) -> Findings) {
    let found: Findings = sources.iter().flat_map(rule).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    assert_clean(opens_with_doc);
}

#[test]
fn files_and_functions_are_short() {
    assert_clean(keeps_lengths);
    assert_all_clean(&below("tests"), keeps_file_length);
}

#[test]
fn the_macros_say_what_they_are_and_are_short() {
    let found: Findings = below("macros/src")
        .iter()
        .flat_map(|source| opens_with_doc(source).into_iter().chain(keeps_lengths(source)))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn unsafe_code_is_confined_and_argued() {
    let docs = tree_docs();
    assert_clean(|source| keeps_unsafe_argued(source, &docs));
}

#[test]
fn atomics_come_from_one_place() {
    assert_clean(keeps_atomics_behind_sync);
}

#[test]
fn every_ordering_has_a_reason() {
    assert_clean(keeps_orderings_argued);
}

#[test]
fn every_edge_has_two_sides_and_a_model() {
    let found = keeps_edges_paired(&tree(), &tree_docs());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn layers_look_down_only() {
    assert_clean(keeps_layers);
}

#[test]
fn no_locks_no_leftovers_no_allow() {
    assert_clean(keeps_words_out);
}
