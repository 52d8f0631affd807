//! JOSE from its raw pieces: no library that would refuse to be wrong (RFC 7515, 7517, 7518, 8037).

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair, VerificationAlgorithm};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// base64url, padded or not.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).unwrap()
}

#[derive(Clone)]
enum Private {
    Rsa(Arc<RsaKeyPair>),
    Ecdsa(Arc<EcdsaKeyPair>, &'static str),
    Ed25519(Arc<Ed25519KeyPair>),
}

/// A signing key with its `kid`.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) algorithm: &'static str,
    private: Private,
}

impl Key {
    /// An RSA key for `algorithm`. Key generation is slow: `which` picks one of a few that the process shares.
    pub(crate) fn rsa(which: usize, algorithm: &'static str, kid: &str) -> Self {
        static POOL: [OnceLock<Arc<RsaKeyPair>>; 3] = [const { OnceLock::new() }; 3];
        let pair = POOL[which].get_or_init(|| Arc::new(RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap()));
        Self::new(kid, algorithm, Private::Rsa(pair.clone()))
    }

    pub(crate) fn ecdsa(algorithm: &'static str, kid: &str) -> Self {
        let (signing, curve) = match algorithm {
            "ES256" => (&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => (&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "ES512" => (&signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            "ES256K" => (&signature::ECDSA_P256K1_SHA256_FIXED_SIGNING, "secp256k1"),
            other => panic!("no curve for {other}"),
        };
        let pair = Arc::new(EcdsaKeyPair::generate(signing).unwrap());
        Self::new(kid, algorithm, Private::Ecdsa(pair, curve))
    }

    pub(crate) fn ed25519(kid: &str) -> Self {
        let pair = Arc::new(Ed25519KeyPair::generate().unwrap());
        Self::new(kid, "EdDSA", Private::Ed25519(pair))
    }

    fn new(kid: &str, algorithm: &'static str, private: Private) -> Self {
        Self { kid: kid.to_owned(), algorithm, private }
    }

    /// The public key as a JWK with `use`, `alg` and `kid`.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.private {
            Private::Rsa(pair) => {
                let public = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": encode(public.modulus().big_endian_without_leading_zero()),
                    "e": encode(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Private::Ecdsa(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Private::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())})
            }
        };
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm);
        jwk["kid"] = json!(self.kid);
        jwk
    }

    /// SubjectPublicKeyInfo of an RSA key.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        let Private::Rsa(pair) = &self.private else { panic!("only RSA keys are needed as DER") };
        pair.public_key().as_der().unwrap().as_ref().to_vec()
    }

    /// A signature over `data` under `algorithm` where the key can make one, else under the key's own.
    pub(crate) fn sign(&self, algorithm: &str, data: &[u8]) -> Vec<u8> {
        #[expect(clippy::disallowed_methods, reason = "a provider has its own randomness")]
        let random = SystemRandom::new();
        match &self.private {
            Private::Rsa(pair) => {
                let encoding: &dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, data, &mut out).unwrap();
                out
            }
            Private::Ecdsa(pair, _) => pair.sign(&random, data).unwrap().as_ref().to_vec(),
            Private::Ed25519(pair) => pair.sign(data).as_ref().to_vec(),
        }
    }
}

/// A compact JWS of any header and payload bytes, signed by `key` as `algorithm`.
pub(crate) fn compact(header: &[u8], payload: &[u8], key: &Key, algorithm: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = key.sign(algorithm, input.as_bytes());
    format!("{input}.{}", encode(signature))
}

/// A compact JWS of JSON values.
pub(crate) fn token(header: &Value, payload: &Value, key: &Key) -> String {
    let algorithm = header["alg"].as_str().unwrap_or(key.algorithm);
    compact(header.to_string().as_bytes(), payload.to_string().as_bytes(), key, algorithm)
}

/// A compact JWS whose signature is an HMAC keyed with `secret`.
pub(crate) fn hmac_token(header: &Value, payload: &Value, secret: &[u8]) -> String {
    let algorithm = match header["alg"].as_str() {
        Some("HS384") => hmac::HMAC_SHA384,
        Some("HS512") => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    let input = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
    format!("{input}.{}", encode(tag))
}

/// A compact JWS with no signature at all.
pub(crate) fn unsigned(header: &Value, payload: &Value) -> String {
    format!("{}.{}.", encode(header.to_string()), encode(payload.to_string()))
}

/// `at_hash` for a SHA-256 algorithm (OIDC Core 3.1.3.6).
pub(crate) fn at_hash(access_token: &str) -> String {
    encode(&digest::digest(&digest::SHA256, access_token.as_bytes()).as_ref()[..16])
}

/// `code_challenge` of a verifier (RFC 7636 section 4.2).
pub(crate) fn code_challenge(verifier: &str) -> String {
    encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// Header and payload of a compact JWS, unverified.
pub(crate) fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(decode);
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

/// Whether an ES256 signature over the two first parts exactly as sent, `=` included, is by the PEM public key.
pub(crate) fn es256_verifies(token: &str, public_pem: &str) -> bool {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let body: String = public_pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).unwrap();
    // The last 65 octets of a P-256 SubjectPublicKeyInfo are the uncompressed point.
    let point = &der[der.len() - 65..];
    signature::ECDSA_P256_SHA256_FIXED.verify_sig(point, input.as_bytes(), &decode(signature)).is_ok()
}

/// PEM of SubjectPublicKeyInfo bytes.
pub(crate) fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let lines: Vec<&str> = encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}
