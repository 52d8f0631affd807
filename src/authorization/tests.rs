//! Policies as a whole, and the people that tests are about.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::*;
use crate::clock::UnixTime;
use crate::message::{Authority, RequestTarget, RequestView, Scheme};
use crate::secret::Secret;

/// Somebody whom `https://op.test` has signed in.
pub(super) fn identity(claims: Value) -> Identity {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    Identity {
        provider: "op".into(),
        issuer: "https://op.test".into(),
        client_id: "gw".into(),
        subject: claims.get("sub").and_then(Value::as_str).unwrap().into(),
        display_name: "somebody".into(),
        claims,
        access_token: Secret::from(""),
        id_token: Secret::from(""),
        session: None,
        expires_at: UnixTime(0),
    }
}

pub(super) fn request_parts(target: &str) -> (Method, Authority, RequestTarget) {
    (Method::GET, Authority::parse(b"app.test").unwrap(), RequestTarget::parse(target.as_bytes()).unwrap())
}

pub(super) fn view<'a>(method: &'a Method, authority: &'a Authority, target: &'a RequestTarget, headers: &'a HeaderMap) -> RequestView<'a> {
    let client = "192.0.2.7".parse().unwrap();
    RequestView { method, scheme: Scheme::Https, port: 443, authority, target, headers, client, request_id: "0" }
}

fn refusal(policy: &Policy, claims: Option<Value>) -> Option<Refusal> {
    decision(policy, claims).err()
}

fn decision(policy: &Policy, claims: Option<Value>) -> Result<Decision, Refusal> {
    let identity = claims.map(identity);
    let (method, authority, target) = request_parts("/");
    let headers = HeaderMap::new();
    let request = view(&method, &authority, &target, &headers);
    authorize(Some(policy), &Facts { identity: identity.as_ref(), request: &request, now: UnixTime(0) }).map(|passage| passage.decision)
}

#[test]
fn groups_are_a_list_or_one_text_and_never_split() {
    let groups = Groups { claim: "groups".into(), claim_of: Vec::new(), any_of: vec!["staff".into(), "Domain Users".into()] };
    let policy = Policy { groups: Some(groups), ..Policy::default() };
    for groups in [json!(["x", "staff"]), json!("staff"), json!("Domain Users"), json!([1, "staff"])] {
        assert_eq!(refusal(&policy, Some(json!({"sub": "u", "groups": groups}))), None, "{groups}");
    }
    for groups in [json!([]), json!(["Staff"]), json!("staff other"), json!("staff,other"), json!([["staff"]]), json!(["staff "])] {
        let refusal = refusal(&policy, Some(json!({"sub": "u", "groups": groups}))).unwrap();
        assert_eq!(refusal.to_string(), "groups: none of these is in the claim groups", "{groups}");
    }
    for (claims, why) in [
        (json!({"sub": "u"}), Failure::MissingClaim("groups".into())),
        (json!({"sub": "u", "groups": null}), Failure::MissingClaim("groups".into())),
        (json!({"sub": "u", "_claim_names": {"groups": "src1"}}), Failure::IncompleteClaim("groups".into())),
        (json!({"sub": "u", "hasgroups": "true"}), Failure::IncompleteClaim("groups".into())),
        (json!({"sub": "u", "groups": {"staff": true}}), Failure::Kind),
        (json!({"sub": "u", "groups": true}), Failure::Kind),
    ] {
        assert_eq!(refusal(&policy, Some(claims)).unwrap().why, Why::Failed(why));
    }
    let nobody = refusal(&policy, None).unwrap();
    assert_eq!(nobody.why, Why::Failed(Failure::NobodySignedIn("the claim groups".into())));
}

#[test]
fn only_a_verified_address_counts() {
    let policy = Policy { emails: vec![EmailPattern::parse("*@example.com").unwrap()], ..Policy::default() };
    for verified in [json!(true), json!("true")] {
        assert_eq!(refusal(&policy, Some(json!({"sub": "u", "email": "a@example.com", "email_verified": verified}))), None);
    }
    for claims in [
        json!({"sub": "u", "email": "a@example.com"}),
        json!({"sub": "u", "email": "a@example.com", "email_verified": false}),
        json!({"sub": "u", "email": "a@example.com", "email_verified": "false"}),
        json!({"sub": "u", "email": "a@example.com", "email_verified": 1}),
        json!({"sub": "u", "email": "a@example.com", "email_verified": "True"}),
        json!({"sub": "u", "email": "a@evil.test", "email_verified": true}),
        json!({"sub": "u", "email": ["a@example.com"], "email_verified": true}),
        json!({"sub": "u", "email_verified": true}),
    ] {
        assert!(refusal(&policy, Some(claims.clone())).is_some(), "{claims}");
    }
}

#[test]
fn all_that_is_given_has_to_hold() {
    let policy = Policy {
        claims: vec![("department".into(), vec!["sales".into(), "it".into()]), ("level".into(), vec!["3".into(), "true".into()])],
        allow: Some(Expression::compile("request.method == \"GET\" && !has(claims.blocked)").unwrap()),
        ..Policy::default()
    };
    for (claims, part) in [
        (json!({"sub": "u", "department": "it", "level": 3}), None),
        (json!({"sub": "u", "department": ["x", "sales"], "level": "3"}), None),
        (json!({"sub": "u", "department": "it", "level": true}), None),
        (json!({"sub": "u", "department": "it", "level": 3, "blocked": 1}), Some("allow")),
        (json!({"sub": "u", "department": "hr", "level": 3}), Some("claims")),
        (json!({"sub": "u", "department": "it", "level": 3.5}), Some("claims")),
        (json!({"sub": "u", "department": "it"}), Some("claims")),
    ] {
        assert_eq!(refusal(&policy, Some(claims.clone())).map(|refusal| refusal.part), part, "{claims}");
    }
}

#[test]
fn shadow_mode_lets_pass_and_says_what_it_would_have_done() {
    let policy = Policy { mode: Mode::Shadow, allow: Some(Expression::compile("claims.a == 1").unwrap()), ..Policy::default() };
    assert_eq!(decision(&policy, Some(json!({"sub": "u", "a": 1}))), Ok(Decision::Allowed));
    let missing = Refusal { part: "allow", why: Why::Failed(Failure::MissingClaim("a".into())) };
    assert_eq!(decision(&policy, Some(json!({"sub": "u"}))), Ok(Decision::WouldRefuse(missing)));
}
