//! Tokens: nothing is believed that the key has not signed, and nothing that it has signed for another purpose.

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};
use vestibule::authentication::{Credentials, credentials};
use vestibule::clock::UnixTime;
use vestibule::message::json as strict;
use vestibule::provider::{
    ExpectedNonce, IdTokenExpectations, Issuers, LoggedOut, LogoutToken, LogoutTokenExpectations, subject, verify_claims,
};
use vestibule::tokens::{Algorithm, Compact, KeySet, MAX_KEYS, Verified, Verifier};

use crate::input;

static PAIR: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let x = URL_SAFE_NO_PAD.encode(PAIR.public_key().as_ref());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]});
    KeySet::parse(set.to_string().as_bytes()).unwrap()
});
const HEADER: &str = r#"{"alg":"EdDSA","kid":"k"}"#;
const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://op.test";

fn signed(payload: &[u8]) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(payload));
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(PAIR.sign(input.as_bytes()).as_ref()))
}

/// Claims as a key of the issuer has signed them.
fn verified(payload: &[u8]) -> Option<Verified<Map<String, Value>>> {
    let token = signed(payload);
    let verified = Verifier::default().verify(&Compact::parse(&token).ok()?, &KEYS).ok();
    assert_eq!(verified.as_ref().map(|verified| verified.claims()), strict::object(payload).ok().as_ref());
    verified
}

pub fn jws(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        read(text);
    }
    if data.len() > 8192 {
        return;
    }
    // The same, signed: any other bit anywhere is another token.
    let token = signed(data);
    assert_eq!(Verifier::default().verify_bytes(&Compact::parse(&token).unwrap(), &KEYS).unwrap().claims(), data);
    let mut other = token.clone().into_bytes();
    let at = data.iter().fold(data.len(), |at, byte| at.wrapping_mul(31).wrapping_add(usize::from(*byte))) % other.len();
    other[at] = if other[at] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    let believed = Compact::parse(&other).ok().and_then(|other| Verifier::default().verify_bytes(&other, &KEYS).ok());
    assert!(believed.is_none(), "{other} is believed");
    let without: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::EdDsa).collect();
    assert!(Verifier::new(&without).verify_bytes(&Compact::parse(&token).unwrap(), &KEYS).is_err());
}

fn read(text: &str) {
    let Ok(token) = Compact::parse(text) else { return };
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { panic!("{} parts", parts.len()) };
    assert!(input::base64url(signature).is_some());
    let header: Value = serde_json::from_slice(&input::base64url(header).unwrap()).unwrap();
    let alg = header["alg"].as_str().unwrap();
    assert!(alg == token.algorithm.name() || (alg, token.algorithm) == ("Ed25519", Algorithm::EdDsa));
    assert!(!alg.eq_ignore_ascii_case("none") && !alg.starts_with("HS"));
    assert!(["crit", "b64", "zip", "enc"].iter().all(|member| header.get(member).is_none()));
    assert_eq!((header["kid"].as_str(), header["typ"].as_str()), (token.key_id.as_deref(), token.token_type.as_deref()));
    if let Some(claims) = token.unverified_claims() {
        assert_eq!(serde_json::from_slice::<Value>(&input::base64url(payload).unwrap()).unwrap(), Value::Object(claims));
    }
    // Nobody who writes this program's input has the key; its own tokens begin with this.
    if Verifier::default().verify_bytes(&token, &KEYS).is_ok() {
        assert_eq!(signed(&input::base64url(payload).unwrap()), text, "a forgery is believed");
    }
}

pub fn key_set(data: &[u8]) {
    let Ok(set) = KeySet::parse(data) else { return };
    let document: Value = serde_json::from_slice(data).unwrap();
    let members = document["keys"].as_array().unwrap();
    assert_eq!(set.len() + set.left_out(), members.len());
    let may_verify = |key: &&Value| {
        matches!(key["kty"].as_str(), Some("RSA" | "EC" | "OKP"))
            && key.get("use").is_none_or(|usage| usage == "sig")
            && key.get("key_ops").is_none_or(|operations| operations.as_array().is_some_and(|all| all.contains(&json!("verify"))))
            && key.get("alg").is_none_or(|alg| alg.as_str().is_some_and(|alg| Algorithm::parse(alg).is_some()))
            && (key.get("x").is_some() || key.get("n").is_some())
    };
    assert!(set.len() <= members.iter().filter(may_verify).count().min(MAX_KEYS));
    assert_eq!(set.is_empty(), set.len() == 0);
    // What one key has signed, those of this set verify only if it is among them.
    let token = signed(b"{}");
    let believed = Verifier::default().verify(&Compact::parse(&token).unwrap(), &set);
    let own = URL_SAFE_NO_PAD.encode(PAIR.public_key().as_ref());
    if let Ok(believed) = believed {
        assert!(members.iter().any(|key| key["x"] == own.as_str()) && set.contains(believed.key()));
    }
}

/// The claims of an ID token that the provider's key has signed.
pub fn id_token(data: &[u8]) {
    let issuers = Issuers::one(ISSUER);
    let Some(token) = verified(data) else { return };
    let claims = token.claims().clone();
    let expected = IdTokenExpectations {
        issuers: &issuers,
        issuer: ISSUER,
        client_id: "gw",
        hosted_domains: &[],
        nonce: ExpectedNonce::Exactly("n-0S6_WzA2Mj"),
        access_token: "at",
        token_type: None,
        now: UnixTime(NOW),
    };
    let number = |name: &str| claims.get(name).and_then(Value::as_f64);
    let is_ours = claims.get("iss") == Some(&json!(ISSUER))
        && is_for_us(&claims)
        && subject(&claims).is_some()
        && number("exp").is_some_and(|exp| exp.max(0.0).trunc() + 60.0 > NOW as f64 && exp >= 0.0)
        && number("iat").is_some_and(|iat| iat.trunc() <= NOW as f64 + 60.0 && iat >= 0.0)
        && claims.get("nbf").is_none_or(|nbf| nbf.as_f64().is_some_and(|nbf| nbf.trunc() <= NOW as f64 + 60.0 && nbf >= 0.0))
        && claims.get("nonce") == Some(&json!("n-0S6_WzA2Mj"))
        && claims.get("events").is_none()
        && claims.get("token_use").is_none_or(|token_use| token_use == "id")
        && claims.get("at_hash").is_none();
    let judged = verify_claims(token, &expected);
    if claims.get("at_hash").is_none() {
        assert_eq!(judged.is_ok(), is_ours, "{:?} for {claims:?}", judged.err());
    } else if let Ok(judged) = judged {
        assert!(["iss", "aud", "exp", "nonce", "at_hash"].iter().all(|name| !judged.claims.contains_key(*name)));
        assert_eq!(&*judged.issuer, ISSUER);
    }
}

fn is_for_us(claims: &Map<String, Value>) -> bool {
    let alone = match claims.get("aud") {
        Some(Value::Array(audiences)) => !audiences.is_empty() && audiences.iter().all(|audience| audience == "gw"),
        audience => audience == Some(&json!("gw")),
    };
    alone && claims.get("azp").is_none_or(|azp| azp == "gw")
}

/// The claims of a logout token that the provider's key has signed.
pub fn logout_token(data: &[u8]) {
    let issuers = Issuers::one(ISSUER);
    let [token_type, payload] = input::lines(data);
    let token_type = std::str::from_utf8(token_type).ok().filter(|text| !text.is_empty());
    let Some(token) = verified(payload) else { return };
    let claims = token.claims();
    let expected = LogoutTokenExpectations { issuers: &issuers, issuer: ISSUER, client_id: "gw", token_type, now: UnixTime(NOW) };
    let Ok(judged) = LogoutToken::judge(&token, &expected) else { return };
    assert!(token_type.is_none_or(|name| name.to_ascii_lowercase().ends_with("jwt")));
    assert!(claims["iss"] == ISSUER && is_for_us(claims) && claims["jti"] == judged.id.as_str() && !judged.id.is_empty());
    assert!(!claims.contains_key("nonce") && claims["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object());
    assert!(claims["iat"].as_f64().is_some_and(|iat| iat <= NOW as f64 + 61.0 && iat >= NOW as f64 - 600.0 - 61.0));
    assert!(judged.ends_until(UnixTime(NOW)) <= UnixTime(NOW));
    assert_eq!(judged.whom.subject(), claims.get("sub").and_then(Value::as_str));
    match judged.whom {
        LoggedOut::Session { sid, .. } => assert!(claims["sid"] == sid.as_str() && !sid.is_empty()),
        LoggedOut::Subject(_) => assert!(!claims.contains_key("sid")),
    }
}

pub fn bearer_credentials(data: &[u8]) {
    let headers: HeaderMap = data
        .split(|byte| *byte == b'\n')
        .take(4)
        .filter_map(|line| Some((AUTHORIZATION, http::HeaderValue::from_bytes(line).ok()?)))
        .fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
    let values: Vec<&[u8]> = headers.get_all(AUTHORIZATION).iter().map(http::HeaderValue::as_bytes).collect();
    let says_bearer =
        |value: &[u8]| value.len() >= 6 && value[..6].eq_ignore_ascii_case(b"bearer") && value.get(6).is_none_or(|byte| *byte == b' ');
    match credentials(&headers) {
        Credentials::Nothing => assert!(values.is_empty()),
        Credentials::Ambiguous => assert!(values.len() > 1),
        Credentials::Other => assert!(values.len() == 1 && !says_bearer(values[0])),
        Credentials::Malformed => assert!(values.len() == 1 && says_bearer(values[0])),
        Credentials::Bearer(token) => {
            assert!(values.len() == 1 && says_bearer(values[0]) && values[0][6..].trim_ascii() == token.as_bytes());
            assert!(token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',' && byte != b'"'));
        }
    }
}
