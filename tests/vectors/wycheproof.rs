//! Project Wycheproof, JWS and JWK, through our verifier.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use vestibule::tokens::{Compact, KeySet, Verifier};

/// Algorithms of our list (RFC 7518; RFC 8037).
const ALGORITHMS: [&str; 8] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"];

struct Vector {
    id: u64,
    comment: String,
    jws: String,
    valid: bool,
    /// The public key, or the only key that there is, as a key set.
    keys: Value,
}

fn vectors(document: &str) -> Vec<Vector> {
    let document: Value = serde_json::from_str(document).unwrap();
    let groups = document["testGroups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| {
            let key = group.get("public").unwrap_or(&group["private"]);
            let keys = match key.get("keys") {
                Some(_) => key.clone(),
                None => serde_json::json!({ "keys": [key] }),
            };
            group["tests"].as_array().unwrap().iter().map(move |test| Vector {
                id: test["tcId"].as_u64().unwrap(),
                comment: format!("{} ({})", test["comment"], group["comment"]),
                jws: test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned),
                valid: test["result"] == "valid",
                keys: keys.clone(),
            })
        })
        .collect()
}

fn is_accepted(vector: &Vector) -> bool {
    let Ok(keys) = KeySet::parse(vector.keys.to_string().as_bytes()) else {
        return false;
    };
    let Ok(compact) = Compact::parse(&vector.jws) else {
        return false;
    };
    Verifier::default().verify_bytes(&compact, &keys).is_ok()
}

/// Whether our list has the algorithm of the token and no key says that it is for another. (RFC 7520 signs with PS384
/// by a key that is published for PS256; a key's own word is law here, RFC 8725 section 3.1.)
fn is_ours(vector: &Vector) -> bool {
    let header = vector.jws.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let Ok(header) = serde_json::from_slice::<Value>(&header) else { return false };
    let algorithm = header["alg"].as_str().unwrap_or_default();
    let mut named = vector.keys["keys"].as_array().unwrap().iter().filter_map(|key| key["alg"].as_str());
    ALGORITHMS.contains(&algorithm) && named.all(|name| name == algorithm)
}

fn run(document: &str, expected: usize) {
    let vectors = vectors(document);
    assert_eq!(vectors.len(), expected, "the file is not the one that was counted");
    let accepted: Vec<String> = vectors
        .iter()
        .filter(|vector| !vector.valid && is_accepted(vector))
        .map(|vector| format!("{} {}", vector.id, vector.comment))
        .collect();
    assert!(accepted.is_empty(), "invalid and accepted: {accepted:#?}");
    let refused: Vec<String> = vectors
        .iter()
        .filter(|vector| vector.valid && is_ours(vector) && !is_accepted(vector))
        .map(|vector| format!("{} {}", vector.id, vector.comment))
        .collect();
    assert!(refused.is_empty(), "valid and refused: {refused:#?}");
    let ours = vectors.iter().filter(|vector| vector.valid && is_ours(vector)).count();
    assert!(ours > 0, "no valid vector was tried");
}

#[test]
fn t32_t33_t34_t35_signatures_of_wycheproof_are_judged_as_it_does() {
    run(include_str!("wycheproof/json_web_signature_test.json"), 401);
}

#[test]
fn t29_t30_t31_keys_of_wycheproof_are_judged_as_it_does() {
    run(include_str!("wycheproof/json_web_key_test.json"), 26);
}

/// Signatures, and encrypted tokens: of those none is one for us.
#[test]
fn t37_what_wycheproof_encrypts_or_signs_with_shared_keys_is_refused() {
    run(include_str!("wycheproof/json_web_crypto_test.json"), 83);
}
