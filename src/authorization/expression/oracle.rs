//! The library's own interpreter as a second opinion: what both understand, they answer alike.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::json;

use super::*;
use crate::authorization::tests::{identity, request_parts, view};
use crate::clock::UnixTime;

fn ours(source: &str) -> Option<Result<bool, ()>> {
    let expression = Expression::compile(source).ok()?;
    let identity = identity(json!({"sub": "u", "t": "abc", "n": 3, "d": 1.5, "y": true, "l": ["a", "abc"], "m": {"k": "a"}}));
    let (method, authority, target) = request_parts("/abc");
    let headers = http::HeaderMap::new();
    let request = view(&method, &authority, &target, &headers);
    Some(expression.holds(&Facts { identity: Some(&identity), request: &request, now: UnixTime(0) }).map_err(|_| ()))
}

fn theirs(source: &str) -> Result<bool, ()> {
    use cel::{Context, Program, Value};
    let mut context = Context::default();
    let claims: HashMap<String, Value> = HashMap::from([
        ("t".to_owned(), "abc".into()),
        ("n".to_owned(), 3i64.into()),
        ("d".to_owned(), 1.5f64.into()),
        ("y".to_owned(), true.into()),
        ("l".to_owned(), vec!["a", "abc"].into()),
        ("m".to_owned(), HashMap::from([("k", "a")]).into()),
    ]);
    context.add_variable_from_value("claims", claims);
    context.add_variable_from_value("request", HashMap::from([("path", "/abc")]));
    match Program::compile(source).unwrap().execute(&context) {
        Ok(Value::Bool(truth)) => Ok(truth),
        _ => Err(()),
    }
}

/// Texts of expressions, more of them sound than not.
fn expressions() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("\"a\""),
        Just("\"abc\""),
        Just("\"\""),
        Just("claims.t"),
        Just("claims.m.k"),
        Just("request.path"),
        Just("claims.l[0]"),
        Just("claims.l[7]"),
        Just("claims.none"),
        Just("claims.m[\"z\"]")
    ];
    let number = prop_oneof![
        Just("0"),
        Just("3"),
        Just("-2"),
        Just("claims.n"),
        Just("claims.d"),
        Just("1.5"),
        Just("size(claims.l)"),
        Just("size(claims.t)"),
        Just("claims.n / 0"),
        Just("claims.n % 2"),
        Just("claims.none"),
        Just("int(claims.t)"),
        Just("9223372036854775807 + claims.n")
    ];
    let list = prop_oneof![
        Just("claims.l"),
        Just("[\"a\", claims.t]"),
        Just("claims.m"),
        Just("[]"),
        Just("claims.l.map(x, x + \"c\")"),
        Just("claims.l.filter(x, x != \"a\")"),
        Just("claims.none"),
        Just("claims.t")
    ];
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("claims.y".to_owned()),
        Just("claims.none".to_owned()),
        Just("has(claims.none)".to_owned()),
        Just("has(claims.m.k)".to_owned()),
        Just("has(claims.none.k)".to_owned()),
        Just("\"t\" in claims".to_owned()),
        (text.clone(), prop_oneof![Just("=="), Just("!="), Just("<"), Just(">=")], text.clone())
            .prop_map(|(one, sign, two)| format!("{one} {sign} {two}")),
        (text.clone(), prop_oneof![Just("startsWith"), Just("endsWith"), Just("contains")], text.clone())
            .prop_map(|(one, name, two)| format!("{one}.{name}({two})")),
        (number.clone(), prop_oneof![Just("=="), Just("!="), Just("<"), Just("<="), Just(">"), Just(">=")], number)
            .prop_map(|(one, sign, two)| format!("{one} {sign} {two}")),
        (text.clone(), list.clone()).prop_map(|(item, list)| format!("{item} in {list}")),
        (list, prop_oneof![Just("exists"), Just("all"), Just("exists_one")], prop_oneof![Just("=="), Just("!="), Just("<")], text)
            .prop_map(|(list, name, sign, text)| format!("{list}.{name}(x, x {sign} {text})")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("({one} && {two})")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("({one} || {two})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(test, one, two)| format!("({test} ? {one} : {two})")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("({one}) == ({two})")),
            inner.prop_map(|one| format!("!({one})")),
        ]
    })
}

#[test]
fn the_expressions_of_the_oracle_are_mostly_sound() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let sources: Vec<String> = (0..300).map(|_| expressions().new_tree(&mut runner).unwrap().current()).collect();
    let answered = sources.iter().filter(|source| matches!(ours(source), Some(Ok(_)))).count();
    assert!(answered > 100, "only {answered} of 300 expressions have an answer: the comparison would say little");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Also where the parser panics.
    #[test]
    fn any_text_is_an_expression_or_has_faults_with_places(source in "[ -~\n\u{e4}\u{1f600}]{0,60}|([a-z.\\[\\](){}\"'?:&|!<>=+*/,0-9 -]|claims|request|in|&&|==){0,24}") {
        if let Err(faults) = Expression::compile(&source) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                prop_assert!(fault.at <= source.chars().count() + 1, "{:?} in {:?}", fault, source);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_the_library_answers_is_what_we_answer(source in expressions()) {
        // What we refuse to compile (kinds that cannot go together) has no answer to compare.
        if let Some(ours) = ours(&source) {
            prop_assert_eq!(ours, theirs(&source), "{}", source);
        }
    }
}
