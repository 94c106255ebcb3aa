//! What `#[memoize]` refuses, and how it says so, and what it accepts: one program for each.

#[test]
fn misuse_is_told_at_its_place_with_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn what_is_generated_compiles_under_strict_lints() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
