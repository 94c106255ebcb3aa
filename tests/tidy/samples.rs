//! Each rule on a small bad sample: a check that cannot fail protects nothing.

use super::source::{Source, parse};
use super::*;

/// A page that knows the edge `handoff` with its model and the invariant `owned`.
fn sample_docs() -> Docs {
    let page = "| edge | what | model |\n|---|---|---|\n| `handoff` | value | `m::two_sides` |\n\n- `owned`: one owner\n";
    parse_docs(page, "#[test]\nfn two_sides() {}")
}

fn judge(rule: impl Fn(&Source) -> Findings, path: &str, text: &str) -> usize {
    rule(&parse(path, text)).len()
}

#[test]
fn the_doc_rule_can_fail() {
    assert_eq!(judge(opens_with_doc, "a.rs", "use std::fmt;\n"), 1);
    assert_eq!(judge(opens_with_doc, "a.rs", "//!\nuse std::fmt;\n"), 1);
    assert_eq!(judge(opens_with_doc, "a.rs", "//! The clock.\n"), 0);
    assert_eq!(judge(opens_with_doc, "a.rs", "#![doc = \"\"]\n"), 1);
    assert_eq!(judge(opens_with_doc, "lib.rs", "#![doc = include_str!(\"../README.md\")]\n"), 0);
}

#[test]
fn the_length_rule_can_fail() {
    let body = |lines: usize| {
        format!(
            "fn long(f: fn(u8) -> [u8; 4])\nwhere\n    u8: Copy,\n{{\n{}}}\n",
            "    f();\n".repeat(lines)
        )
    };
    assert_eq!(judge(keeps_lengths, "a.rs", &body(55)), 0);
    assert_eq!(judge(keeps_lengths, "a.rs", &body(56)), 1);
    assert_eq!(
        judge(keeps_lengths, "a.rs", &format!("fn a() {{\n{}}}\n", "// why\n".repeat(90))),
        0
    );
    assert_eq!(judge(keeps_lengths, "a.rs", &"// line\n".repeat(500)), 0);
    assert_eq!(judge(keeps_lengths, "a.rs", &"// line\n".repeat(501)), 1);
}

#[test]
fn the_unsafe_rule_can_fail() {
    let docs = sample_docs();
    let rule =
        |path: &str, text: &str| judge(|source| keeps_unsafe_argued(source, &docs), path, text);
    let argued = "// SAFETY: sole owner [invariant: owned]\nlet x =\n    unsafe { *p };\n";
    assert_eq!(rule("shard/index.rs", argued), 0);
    assert_eq!(rule("store/mod.rs", argued), 1);
    assert_eq!(rule("shard/index.rs", "let x = unsafe { *p };\n"), 1);
    assert_eq!(rule("shard/index.rs", "// SAFETY: fine\nunsafe impl Send for T {}\n"), 1);
    assert_eq!(rule("shard/index.rs", "// SAFETY: fine [invariant: other]\nunsafe { f() }\n"), 1);
    assert_eq!(rule("shard/index.rs", &format!("{argued}let y = unsafe {{ *p }};\n")), 1);
    assert_eq!(
        rule(
            "store/mod.rs",
            "// unsafe\nlet x = \"unsafe { }\"; let c = '\"'; let unsafe_free = 1;\n"
        ),
        0
    );
}

#[test]
fn the_atomics_rule_can_fail() {
    let rule = |path: &str, text: &str| judge(keeps_atomics_behind_sync, path, text);
    assert_eq!(rule("stats.rs", "use std::sync::atomic::AtomicU64;\n"), 1);
    assert_eq!(
        rule("stats.rs", "use std::{\n    fmt,\n    sync::{Arc, atomic::AtomicU64},\n};\n"),
        1
    );
    assert_eq!(rule("stats.rs", "fn f(x: &std::sync::atomic::AtomicBool) {}\n"), 1);
    assert_eq!(rule("stats.rs", "pub(crate) use loom::thread;\n"), 1);
    assert_eq!(rule("stats.rs", "use crate::sync::AtomicU64; // std::sync::atomic\n"), 0);
    assert_eq!(rule("sync.rs", "pub(crate) use std::sync::atomic::AtomicU64;\n"), 0);
}

#[test]
fn the_ordering_rule_can_fail() {
    let rule = |text: &str| judge(keeps_orderings_argued, "stats.rs", text);
    assert_eq!(rule("n.load(Ordering::Relaxed);\n"), 1);
    assert_eq!(rule("// Relaxed:\nn.load(Ordering::Relaxed);\n"), 1);
    assert_eq!(rule("// Relaxed: a counter.\nn.load(Relaxed);\n"), 0);
    assert_eq!(rule("// Acquire: sees the value.\nn.load(Acquire);\n"), 1);
    let exchange = "head\n    .compare_exchange(\n        old,\n        new,\n        Release,\n        Relaxed,\n    );\n";
    let both = "// Release: publishes the value [edge: handoff]. Relaxed: a loser looks again.\n";
    assert_eq!(rule(&format!("{both}{exchange}")), 0);
    assert_eq!(rule(&format!("{}{exchange}", both.replace("Relaxed:", "Relaxed on failure:"))), 0);
    assert_eq!(rule(&format!("// Release: publishes [edge: handoff]\n{exchange}")), 1);
    assert_eq!(rule(&format!("// Release: publishes. Relaxed: no [edge: handoff]\n{exchange}")), 1);
    let split =
        "// Release: publishes [edge: handoff]. Relaxed on\n// failure: a loser looks again.\n";
    assert_eq!(rule(&format!("{split}{exchange}")), 0);
    let closure = "// Relaxed: a counter.\ndefer(move || {\n    a.load(Relaxed);\n";
    assert_eq!(rule(&format!("{closure}}});\n")), 0);
    assert_eq!(rule(&format!("{closure}    b.load(Relaxed);\n}});\n")), 1);
    assert_eq!(rule("// Relaxed: a counter.\na.load(Relaxed);\nb.load(Relaxed);\n"), 1);
    assert_eq!(rule("use crate::sync::Ordering::{\n    Acquire,\n    Relaxed,\n};\n"), 0);
}

#[test]
fn the_edge_rule_can_fail() {
    let release = "// Release: publishes [edge: handoff]\na.store(1, Release);\n";
    let acquire = "// Acquire: takes [edge: handoff]\na.load(Acquire);\n";
    let rule = |text: &str, docs: &Docs| keeps_edges_paired(&[parse("a.rs", text)], docs).len();
    let both = format!("{release}{acquire}");
    assert_eq!(rule(&both, &sample_docs()), 0);
    assert_eq!(rule(release, &sample_docs()), 1);
    assert_eq!(rule(acquire, &sample_docs()), 1);
    assert_eq!(rule("", &sample_docs()), 1, "a row without code");
    assert_eq!(rule(&both, &Docs::default()), 1, "code without a row");
    let modelless = Docs { models: BTreeSet::new(), ..sample_docs() };
    assert_eq!(rule(&both, &modelless), 1, "a row without a model");
}

#[test]
fn the_layer_rule_can_fail() {
    let rule = |path: &str, text: &str| judge(keeps_layers, path, text);
    assert_eq!(rule("store/mod.rs", "use crate::shard::Shard;\n"), 1);
    assert_eq!(rule("store/mod.rs", "use crate::scope::Node;\n"), 1);
    assert_eq!(rule("stats.rs", "fn f() { crate::handle::get(); }\n"), 1);
    assert_eq!(rule("shard/fold.rs", "use crate::{clock::Clock, load::{Leader, Loader}};\n"), 1);
    assert_eq!(
        rule("shard/fold.rs", "use crate::{store::{self, Slot}, sync::Arc, scope::Node};\n"),
        0
    );
    assert_eq!(rule("shard/fold.rs", "use crate::CacheHandle;\n"), 1);
    assert_eq!(rule("handle.rs", "use crate::{CacheBuilder, Stats};\n"), 0);
    assert_eq!(rule("novel.rs", "use crate::sync::Arc;\n"), 1);
    assert_eq!(rule("shard/tests.rs", "use crate::handle::CacheHandle;\n"), 0);
}

#[test]
fn the_word_rule_can_fail() {
    let rule = |text: &str| judge(keeps_words_out, "a.rs", text);
    for bad in [
        "use std::sync::Mutex;",
        "dbg!(x);",
        "todo!()",
        "println!(\"x\");",
        "// TODO: later",
        "#[allow(dead_code)]",
        "#![allow(unused)]",
    ] {
        assert_eq!(rule(bad), 1, "{bad}");
    }
    assert_eq!(
        rule(
            "/// ```\n/// println!(\"no Mutex\");\n/// ```\n#[expect(x, reason = \"y\")]\nlet s = r#\"todo!(\"#;\n"
        ),
        0
    );
}
