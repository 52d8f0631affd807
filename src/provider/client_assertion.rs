//! The client's own JWT (RFC 7523 §2.2, OIDC Core §9), made anew for each request.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::ClientKey;
use crate::clock::UnixTime;
use crate::secret::{Entropy, EntropyError, Secret};

/// What every proof of the client needs of the moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    pub entropy: &'a Entropy,
    pub now: UnixTime,
}

/// Signed by the client's key; `certificate` is the SHA-256 of the certificate that goes with it (`x5t#S256`), which Entra ID wants.
pub(super) fn by_key(
    key: &ClientKey,
    certificate: Option<&[u8; 32]>,
    client_id: &str,
    audience: &str,
    moment: Moment<'_>,
) -> Result<String, EntropyError> {
    let mut header = json!({"alg": key.algorithm().name(), "typ": "JWT", "kid": key.id()});
    if let Some(hash) = certificate {
        header["x5t#S256"] = URL_SAFE_NO_PAD.encode(hash).into();
    }
    let input = input(&header, client_id, audience, moment)?;
    let signature = key.sign(input.as_bytes(), moment.entropy)?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Under the client's secret, HS256.
pub(super) fn by_secret(secret: &Secret<String>, client_id: &str, audience: &str, moment: Moment<'_>) -> Result<String, EntropyError> {
    let input = input(&json!({"alg": "HS256", "typ": "JWT"}), client_id, audience, moment)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let tag = hmac::sign(&key, input.as_bytes());
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag)))
}

fn input(header: &Value, client_id: &str, audience: &str, moment: Moment<'_>) -> Result<String, EntropyError> {
    let now = moment.now.0;
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": moment.entropy.token()?,
        "iat": now,
        "exp": now + LIFETIME,
    });
    Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string())))
}

/// In seconds: used at once, with room for clocks that differ.
const LIFETIME: u64 = 120;
