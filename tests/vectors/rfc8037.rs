//! The Ed25519 signature of RFC 8037, Appendix A.4: Wycheproof has none in JOSE form.

use serde_json::json;
use vestibule::tokens::{Compact, KeySet, Verifier};

const JWS: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
                   hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn keys() -> KeySet {
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap()
}

fn payload(jws: &str) -> Option<Vec<u8>> {
    Verifier::default().verify_bytes(&Compact::parse(jws).ok()?, &keys()).ok().map(vestibule::tokens::Verified::into_claims)
}

#[test]
fn the_example_verifies_and_with_any_character_changed_it_does_not() {
    assert_eq!(payload(JWS).unwrap(), b"Example of Ed25519 signing");
    for at in 0..JWS.len() {
        let mut changed = JWS.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(payload(&changed).is_none(), "changed at {at}");
    }
}
