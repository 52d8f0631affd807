//! What no JSON of a provider may be (threats T38, I03, I12): a set of documents and values against everything that is read. The set
//! follows the categories of RFC 8259; what a reader may decide for itself only must not end the program.

use std::sync::Arc;

use serde_json::{Value, json};
use vestibule::clock::UnixTime;
use vestibule::provider::{
    AssertionAudience, ClientAuthentication, Endpoints, Issuers, LogoutStyle, Provider, ProviderAnswer, ProviderMetadata, PushedRequests,
    TokenResponse, UrlPolicy, introspection_claims, pushed_authorization_reference, user_info_claims,
};
use vestibule::tokens::{Compact, KeySet, Verifier};

use crate::support::jose::{self, Key};

const ISSUER: &str = "https://op.test";

/// Values that are not JSON.
const BROKEN: [&[u8]; 82] = [
    b"",
    b",",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[1",
    b"[1,",
    b"[1,]",
    b"[,1]",
    b"[1,,2]",
    b"[1 2]",
    b"[1:2]",
    b"[\"a\"",
    b"[}",
    b"{]",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\":1,}",
    b"{,}",
    b"{a:1}",
    b"{'a':1}",
    b"{1:1}",
    b"{\"a\":1 \"b\":2}",
    b"{\"a\" 1}",
    b"{\"a\":1}}",
    b"{\"a\":1,\"a\":2}",
    b"{\"b\":{\"a\":1,\"a\":1}}",
    b"[{\"a\":1,\"a\":1}]",
    b"{\"a\":1,\"\\u0061\":2}",
    b"tru",
    b"True",
    b"TRUE",
    b"nul",
    b"NULL",
    b"undefined",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"None",
    b"+1",
    b"-",
    b"01",
    b"-01",
    b"1.",
    b".1",
    b"1.e1",
    b"1e",
    b"1e+",
    b"1E",
    b"0x1",
    b"1_000",
    b"1,000",
    b"--1",
    b"1-",
    b"\xef\xbc\x91",
    b"'a'",
    b"\"",
    b"\"a",
    b"\"\\\"",
    b"\"\\x41\"",
    b"\"\\u12\"",
    b"\"\\u{41}\"",
    b"\"\\uD800\"",
    b"\"\\uDC00\\uD800\"",
    b"\"\\uD800\\u0041\"",
    b"\"a\nb\"",
    b"\"a\tb\"",
    b"\"a\0b\"",
    b"\"\x1f\"",
    b"\"\xff\"",
    b"\"\xc3\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xc0\xaf\"",
    b"1 // comment",
    b"/* comment */ 1",
    b"1 # comment",
    b"\x0c1",
    b"\xc2\xa01",
    b"1\0",
    b"<a>1</a>",
];

/// Whole documents that are no object, or not JSON as it goes over a network (RFC 8259 §8.1).
fn no_objects(valid: &str) -> Vec<Vec<u8>> {
    let utf16 = |units: Vec<u16>| units.into_iter().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut documents: Vec<Vec<u8>> = BROKEN.iter().map(|bytes| bytes.to_vec()).collect();
    documents.extend(["null", "true", "1", "\"text\"", "[]", "[[]]", " "].map(|text| text.as_bytes().to_vec()));
    documents.push(format!("[{valid}]").into_bytes());
    documents.push(format!("{valid}{valid}").into_bytes());
    documents.push(format!("{valid},").into_bytes());
    documents.push(format!("{valid}x").into_bytes());
    documents.push(format!("\u{feff}{valid}").into_bytes());
    documents.push(utf16(valid.encode_utf16().collect()));
    documents.push(utf16(std::iter::once(0xfeff).chain(valid.encode_utf16()).collect()));
    documents.push(format!(")]}}',\n{valid}").into_bytes());
    documents.push(format!("callback({valid})").into_bytes());
    // Every beginning of it, as a connection that is cut leaves it.
    documents.extend((0..valid.len()).map(|end| valid.as_bytes()[..end].to_vec()));
    documents
}

/// The document with one more member, whose value is given.
fn with_member(valid: &str, value: &[u8]) -> Vec<u8> {
    [&valid.as_bytes()[..valid.len() - 1], b",\"more\":", value, b"}"].concat()
}

/// The document with its first member once more.
fn doubled(valid: &str) -> Vec<u8> {
    let document: Value = serde_json::from_str(valid).unwrap();
    let (name, value) = document.as_object().unwrap().iter().next().unwrap();
    [&valid.as_bytes()[..valid.len() - 1], format!(",\"{name}\":{value}}}").as_bytes()].concat()
}

/// `accepts` reads a document of one kind.
#[track_caller]
fn torture(kind: &str, valid: &Value, accepts: impl Fn(&[u8]) -> bool) {
    let valid = valid.to_string();
    assert!(accepts(valid.as_bytes()), "{kind}: the good document");
    for document in no_objects(&valid) {
        assert!(!accepts(&document), "{kind}: {}", String::from_utf8_lossy(&document));
    }
    for value in BROKEN {
        assert!(!accepts(&with_member(&valid, value)), "{kind}: more = {}", String::from_utf8_lossy(value));
    }
    assert!(!accepts(&doubled(&valid)), "{kind}: a member given twice");
    for depth in [200, 5_000, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(!accepts(&with_member(&valid, deep.as_bytes())), "{kind}: {depth} deep");
            assert!(!accepts(open.repeat(depth).as_bytes()), "{kind}: {depth} deep, never closed");
        }
    }
    // Sound, and of no meaning here: it has to be read over.
    for value in
        ["{}", "[]", "\"\\u0000\"", "\"\\ud83d\\ude00\"", "-0", "1e-400", "123456789012345678901234567890", "[[[[[1]]]]]", " \t\r\n1 "]
    {
        assert!(accepts(&with_member(&valid, value.as_bytes())), "{kind}: more = {value}");
    }
    // A reader may decide; it must come back.
    for value in ["1e400", "-1e400", "1e99999999999", "\"\u{7f}\""] {
        let _ = accepts(&with_member(&valid, value.as_bytes()));
    }
    let long = format!("\"{}\"", "a".repeat(100_000));
    let _ = accepts(&with_member(&valid, long.as_bytes()));
}

fn provider() -> Provider {
    Provider {
        name: "op".into(),
        display_name: "op".to_owned(),
        client_id: "gateway".into(),
        client_authentication: ClientAuthentication::None,
        assertion_audience: AssertionAudience::default(),
        pushed_requests: PushedRequests::default(),
        issuers: Issuers::one(ISSUER),
        discovery_url: format!("{ISSUER}/.well-known/openid-configuration"),
        endpoints: Endpoints::default(),
        logout: LogoutStyle::RpInitiated,
        hosted_domains: Vec::new(),
        asks_user_info: true,
        urls: UrlPolicy::default(),
    }
}

fn answer(status: u16, body: &[u8]) -> ProviderAnswer {
    ProviderAnswer { status, content_type: Some("application/json".to_owned()), body: body.to_vec() }
}

#[test]
fn t38_discovery_documents() {
    let provider = provider();
    let valid = json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/a"),
        "token_endpoint": format!("{ISSUER}/t"),
        "jwks_uri": format!("{ISSUER}/k"),
    });
    torture("discovery", &valid, |bytes| ProviderMetadata::discovered(&provider, bytes).is_ok());
}

#[test]
fn t38_key_sets() {
    let valid = json!({"keys": [Key::ecdsa("ES256", "a").jwk()]});
    torture("key set", &valid, |bytes| KeySet::parse(bytes).is_ok_and(|keys| keys.len() == 1));
}

#[test]
fn t38_token_responses() {
    let valid = json!({"access_token": "opaque", "id_token": "a.b.c", "token_type": "bearer"});
    torture("token response", &valid, |bytes| TokenResponse::parse(&answer(200, bytes)).is_ok());
}

#[test]
fn t38_user_info_responses() {
    let valid = json!({"sub": "alice", "email": "alice@example.com"});
    torture("user info", &valid, |bytes| user_info_claims(&answer(200, bytes), "alice").is_ok());
}

#[test]
fn t38_introspection_responses() {
    let valid = json!({"active": true, "sub": "alice"});
    torture("introspection", &valid, |bytes| introspection_claims(&answer(200, bytes)).is_ok_and(|claims| claims.is_some()));
}

#[test]
fn t38_pushed_authorization_responses() {
    let valid = json!({"request_uri": "urn:example:reference", "expires_in": 60});
    torture("pushed authorization", &valid, |bytes| pushed_authorization_reference(&answer(201, bytes)).is_ok());
}

/// The signature is over whatever bytes there are: a provider that signs nonsense is no more believed.
#[test]
fn t38_headers_and_payloads_of_tokens() {
    let key = Key::ecdsa("ES256", "a");
    let keys = Arc::new(KeySet::parse(json!({"keys": [key.jwk()]}).to_string().as_bytes()).unwrap());
    let (header, payload) = (json!({"alg": "ES256", "kid": "a"}), json!({"sub": "alice", "exp": UnixTime(2_000_000_000).0}));
    let verifies = |header: &[u8], payload: &[u8]| {
        let token = jose::compact(header, payload, &key, "ES256");
        Compact::parse(&token).is_ok_and(|token| Verifier::default().verify(&token, &keys).is_ok())
    };
    torture("payload", &payload, |bytes| verifies(header.to_string().as_bytes(), bytes));
    torture("header", &header, |bytes| verifies(bytes, payload.to_string().as_bytes()));
}
