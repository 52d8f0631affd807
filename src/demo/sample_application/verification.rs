//! Whether to believe `x-amzn-oidc-data`: every check that an application behind the gateway should make, in order.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::identity_token::Token;
use super::public_keys::PublicKeys;
use super::received::Received;
use crate::clock::UnixTime;

/// The checks that were made, up to the first that failed.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
    /// What the token says, believed or not; None if it cannot be read.
    pub(super) header: Option<Map<String, Value>>,
    pub(super) claims: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) passed: bool,
    pub(super) detail: String,
}

impl Report {
    /// The claims, if every check passed.
    pub(super) fn verified(&self) -> Option<&Map<String, Value>> {
        let passed = !self.checks.is_empty() && self.checks.iter().all(|check| check.passed);
        self.claims.as_ref().filter(|_| passed)
    }

    pub(super) fn first_failure(&self) -> Option<String> {
        self.checks.iter().find(|check| !check.passed).map(|check| format!("{}: {}", check.name, check.detail))
    }
}

pub(super) async fn examine(received: &Received<'_>, keys: &PublicKeys, signer: &str, now: UnixTime) -> Report {
    let Some(token) = received.data.and_then(Token::decode) else {
        let detail = if received.data.is_some() { "x-amzn-oidc-data is not a JWT" } else { "x-amzn-oidc-data is missing" };
        let checks = vec![Check { name: "Token", passed: false, detail: detail.to_owned() }];
        return Report { checks, header: None, claims: None };
    };
    let mut checks = Vec::new();
    let result = run(&token, received.identity, keys, signer, now, &mut checks).await;
    if let Err((name, detail)) = result {
        checks.push(Check { name, passed: false, detail });
    }
    Report { checks, header: Some(token.header), claims: Some(token.claims) }
}

type Failure = (&'static str, String);

async fn run(
    token: &Token<'_>,
    identity: Option<&str>,
    keys: &PublicKeys,
    signer: &str,
    now: UnixTime,
    checks: &mut Vec<Check>,
) -> Result<(), Failure> {
    let mut passed = |name, detail: String| checks.push(Check { name, passed: true, detail });
    let kid = key_id(token)?;
    passed("Key id", kid.to_string());
    let key = keys.find(kid).await.map_err(|fault| ("Public key", format!("{fault}: {}", keys.address(kid))))?;
    passed("Public key", keys.address(kid));
    check_signature(token, &key)?;
    passed("Signature", "ES256, over header and payload as they came".to_owned());
    check_signer(token, signer)?;
    passed("Signer", signer.to_owned());
    passed("Time", format!("valid for another {} s", check_time(token, now)?));
    check_identity(token, identity)?;
    passed("Identity", "x-amzn-oidc-identity is the signed sub".to_owned());
    Ok(())
}

/// Only a UUID in its usual spelling: the id becomes part of a URL, and `../` or a host in it would fetch the key from a
/// place of the sender's choosing.
fn key_id(token: &Token<'_>) -> Result<Uuid, Failure> {
    let text = token.header.get("kid").and_then(Value::as_str).unwrap_or_default();
    let kid = Uuid::parse_str(text).ok().filter(|kid| kid.hyphenated().to_string() == text);
    kid.ok_or(("Key id", "kid is not a lower-case UUID".to_owned()))
}

/// The algorithm is fixed here and never taken from the token, which could otherwise choose `none`.
fn check_signature(token: &Token<'_>, key: &[u8]) -> Result<(), Failure> {
    if token.header.get("alg").and_then(Value::as_str) != Some("ES256") {
        return Err(("Signature", "alg is not ES256".to_owned()));
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
        .verify(token.signed.as_bytes(), &token.signature)
        .map_err(|_| ("Signature", "it does not fit the key: the header was changed, or is not the gateway's".to_owned()))
}

fn check_signer(token: &Token<'_>, expected: &str) -> Result<(), Failure> {
    match token.header.get("signer").and_then(Value::as_str) {
        Some(signer) if signer == expected => Ok(()),
        Some(signer) => Err(("Signer", format!("{signer} is not {expected}"))),
        None => Err(("Signer", "the token names none".to_owned())),
    }
}

/// The seconds that are left. `exp` stands in the header and in the claims, and both hold.
fn check_time(token: &Token<'_>, now: UnixTime) -> Result<u64, Failure> {
    let exp = |part: &Map<String, Value>| part.get("exp").and_then(Value::as_u64);
    let (Some(header), Some(claims)) = (exp(&token.header), exp(&token.claims)) else {
        return Err(("Time", "exp is missing".to_owned()));
    };
    match header.min(claims).checked_sub(now.0) {
        Some(left) if left > 0 => Ok(left),
        _ => Err(("Time", "the token has expired".to_owned())),
    }
}

/// `x-amzn-oidc-identity` is not signed: it may be used only as far as it repeats what is.
fn check_identity(token: &Token<'_>, identity: Option<&str>) -> Result<(), Failure> {
    let subject = token.claims.get("sub").and_then(Value::as_str);
    match (identity, subject) {
        (Some(identity), Some(subject)) if identity == subject => Ok(()),
        (None, Some(_)) => Err(("Identity", "x-amzn-oidc-identity is missing".to_owned())),
        _ => Err(("Identity", "x-amzn-oidc-identity is not the signed sub".to_owned())),
    }
}
