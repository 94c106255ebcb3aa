//! The mutations of the models fit the sources line for line. One that nearly does would be moved to where it means
//! something else, and one that does not is found only by the run of all, which takes a quarter of an hour.

use super::{Findings, root};
use std::fs;

/// The hunks of a mutation whose old lines are not in the file that they change.
fn misfits(name: &str, mutation: &str, read: impl Fn(&str) -> Option<String>) -> Findings {
    let mut found = Findings::new();
    let mut fitting = 0;
    for change in mutation.split("\n--- a/").skip(1) {
        let path = change.lines().next().unwrap_or_default();
        let source = read(path).map_or(String::new(), |text| format!("\n{text}"));
        for hunk in change.split("\n@@").skip(1) {
            let old = hunk.lines().skip(1).filter_map(|line| line.strip_prefix([' ', '-']));
            let old: String = old.map(|line| format!("\n{line}")).collect();
            if !old.is_empty() && source.contains(&format!("{old}\n")) {
                fitting += 1;
            } else {
                let remedy = "make it anew from the source as it is";
                found.push(format!("{name}: a hunk does not fit {path}; remedy: {remedy}"));
            }
        }
    }
    if fitting == 0 && found.is_empty() {
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
