//! The mutations of the models fit the sources line for line. One that nearly does would be moved to where it means
//! something else, and one that does not is found only by the run of all, which takes a quarter of an hour.

use super::{Findings, root};
use std::fs;

/// The hunks of a mutation whose old lines are not in the file that they change.
fn misfits(name: &str, mutation: &str, read: impl Fn(&str) -> Option<String>) -> Findings {
    let mut found = Findings::new();
    let (mut path, mut source) = ("", None);
    let mut hunks = mutation.split("\n@@");
    let header = |text: &str| text.rfind("\n--- a/").map(|at| at + "\n--- a/".len());
    let mut before = hunks.next().unwrap_or_default();
    let mut number = 0;
    for hunk in hunks {
        number += 1;
        if let Some(at) = header(before) {
            path = before[at..].lines().next().unwrap_or_default();
            source = read(path).map(|text| format!("\n{text}"));
        }
        let lines = hunk.lines().skip(1).take_while(|line| !line.starts_with("--- a/"));
        let old = lines.filter_map(|line| line.strip_prefix([' ', '-']));
        let old: String = old.map(|line| format!("\n{line}")).collect();
        if old.is_empty() || !source.as_ref().is_some_and(|text| text.contains(&format!("{old}\n")))
        {
            let remedy = "make it anew from the source as it is";
            found.push(format!("{name}: hunk {number} does not fit {path}; remedy: {remedy}"));
        }
        before = hunk;
    }
    if number == 0 {
        found.push(format!("{name}: no hunk; remedy: give it one"));
    }
    found
}

#[test]
fn every_mutation_fits_and_is_documented() {
    let docs = fs::read_to_string(root().join("docs/concurrency.md")).expect("docs/concurrency.md");
    let folder = fs::read_dir(root().join("loom-tests/mutations")).expect("the mutations");
    let paths: Vec<_> = folder.map(|file| file.expect("a file").path()).collect();
    assert!(paths.len() > 100, "the folder has them");
    let mut found = Findings::new();
    for path in paths {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let mutation = fs::read_to_string(&path).expect("readable");
        found.extend(misfits(name, &mutation, |path| fs::read_to_string(root().join(path)).ok()));
        if !docs.contains(name) {
            found.push(format!(
                "{name}: not in docs/concurrency.md; remedy: say beside which model"
            ));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_mutation_that_does_not_fit_is_found() {
    let read = |path: &str| (path == "src/a.rs").then(|| "one\ntwo\nthree\nfour\n".to_owned());
    let mutation = |path: &str, old: &str| {
        format!(
            "model: m\n--- a/{path}\n+++ b/{path}\n@@ -1,2 +1,2 @@\n one\n-{old}\n+2\n@@ -4 +4 @@\n-four\n+4\n"
        )
    };
    assert!(misfits("fits", &mutation("src/a.rs", "two"), read).is_empty());
    assert_eq!(misfits("moved", &mutation("src/a.rs", "three"), read).len(), 1);
    assert_eq!(misfits("part of a line", &mutation("src/a.rs", "tw"), read).len(), 1);
    assert_eq!(misfits("no such file", &mutation("src/b.rs", "two"), read).len(), 2);
    assert_eq!(misfits("no hunk", "model: m\n", read).len(), 1);
}
