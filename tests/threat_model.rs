//! `docs/threat-model.md` names every threat once, and for each a test that exists, or says that there is none.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Sections that hold one row for each of something.
const DECISIONS: &str = "## Requests made unambiguous";
const THREATS: &str = "## Each threat and its test";

#[test]
fn every_threat_stands_there_once_under_its_name() {
    let listed = read("tests/fixtures/threats.txt");
    let listed: BTreeMap<&str, &str> = listed.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let page = page();
    let mut shown = BTreeMap::new();
    for row in rows(&page, THREATS) {
        assert_eq!(shown.insert(row[0], row[1]), None, "{} stands there twice", row[0]);
    }
    assert_eq!(shown, listed);
}

#[test]
fn every_row_names_tests_that_exist_or_says_that_there_are_none() {
    let page = page();
    let faults: Vec<String> = rows(&page, DECISIONS).chain(rows(&page, THREATS)).filter_map(|row| fault(&row)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_test_that_is_gone_and_a_row_without_any_are_found() {
    let fault = |cell| fault(&["T01", "issuer of somebody else", cell]);
    assert_eq!(fault("`id_token_claims::t01_issuer_that_is_not_the_configured_one_is_refused`"), None);
    assert_eq!(fault("open: not measured (6.2)"), None);
    for cell in [
        "`id_token_claims::t01_issuer_that_is_gone`",
        // A part of a name is not the name.
        "`id_token_claims::t01_issuer_that_is_not_the_configured_one`",
        "`no_such_file::t01_issuer_that_is_not_the_configured_one_is_refused`",
        "`e2e/sign-in.test.mjs::a test that nobody wrote`",
        "`t01_without_a_file`",
        "certainly",
        "",
    ] {
        assert!(fault(cell).is_some(), "{cell:?}");
    }
}

/// What is wrong with the last cell of a row.
fn fault(row: &[&str]) -> Option<String> {
    let (id, cell) = (row.first()?, row.last()?);
    let (tests, note) = if cell.starts_with('`') { cell.split_once("; ").unwrap_or((cell, "")) } else { ("", *cell) };
    if tests.is_empty() && !["open", "not here"].iter().any(|word| note.starts_with(word)) {
        return Some(format!("{id} names no test and does not say that there is none"));
    }
    let names = tests.split('`').skip(1).step_by(2);
    names.filter(|name| !exists(name)).map(|name| format!("{id} names {name}")).next()
}

/// `file::test`; the file is a module of `tests/it` unless it is a path, from the root or from `tests`.
fn exists(name: &str) -> bool {
    let Some((file, test)) = name.split_once("::") else { return false };
    let path = match file {
        _ if file.starts_with("src/") => root().join(file),
        _ if file.contains('/') => root().join("tests").join(file),
        _ => root().join("tests/it").join(format!("{file}.rs")),
    };
    let Ok(text) = fs::read_to_string(path) else { return false };
    if file.ends_with(".mjs") {
        let text = text.replace("\\'", "'");
        return ['\'', '`'].iter().any(|quote| text.contains(&format!("test({quote}{test}{quote}")));
    }
    text.contains(&format!("fn {test}("))
}

/// Rows of the tables of a section, without their heads.
fn rows<'p>(page: &'p str, heading: &str) -> impl Iterator<Item = Vec<&'p str>> {
    let (_, below) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading}"));
    let section = below.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").collect::<Vec<_>>()).filter(|row| row[0].bytes().next().is_some_and(|byte| byte.is_ascii_uppercase()))
}

fn page() -> String {
    read("docs/threat-model.md")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
