//! What has been granted: authorization codes, the grants they became, and the refresh tokens of those.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::bounded::Bounded;
use super::error::OAuthError;
use crate::clock::UnixTime;

/// A sign-in on behalf of a client. `origin_jti` names it in every token that comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) origin_jti: String,
    pub(super) event_id: String,
    pub(super) client_id: String,
    pub(super) username: String,
    pub(super) scopes: Vec<&'static str>,
    pub(super) auth_time: UnixTime,
}

/// A grant that waits for its code to be brought.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) code_challenge: Option<String>,
    pub(super) nonce: Option<String>,
}

/// What the client brings with a code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redemption<'a> {
    pub(super) code: &'a str,
    pub(super) client_id: &'a str,
    pub(super) redirect_uri: Option<&'a str>,
    pub(super) code_verifier: Option<&'a str>,
}

pub(super) struct Grants {
    codes: Bounded<String, Code>,
    /// By `origin_jti`; a grant that is not here is over, and its access tokens with it.
    grants: Bounded<String, Grant>,
    refresh_tokens: Bounded<Fingerprint, RefreshToken>,
}

enum Code {
    Waiting(Pending),
    Redeemed { client_id: String, origin_jti: String },
}

struct RefreshToken {
    origin_jti: String,
    replaced: bool,
}

/// Tokens are kept as digests: nothing in memory can be used as one, and a long one costs no more than a short one.
type Fingerprint = [u8; 32];

impl Grants {
    pub(super) fn new() -> Self {
        Self { codes: Bounded::new(CODES), grants: Bounded::new(GRANTS), refresh_tokens: Bounded::new(GRANTS) }
    }

    pub(super) fn offer(&mut self, code: String, pending: Pending, now: UnixTime) {
        self.codes.insert(code, Code::Waiting(pending), now.plus(CODE_VALIDITY), now);
    }

    /// Spends a code (RFC 6749 §4.1.3). Once it was brought by its client it is spent, whatever the outcome: a thief
    /// who has the code but not the verifier gets one guess, and the theft becomes known.
    pub(super) fn redeem(&mut self, redemption: Redemption<'_>, lifetime: Duration, now: UnixTime) -> Result<Pending, OAuthError> {
        let key = redemption.code.to_owned();
        let code = self.codes.live_mut(&key, now).ok_or(UNKNOWN_CODE)?;
        let pending = match code {
            Code::Redeemed { client_id, .. } if client_id != redemption.client_id => return Err(UNKNOWN_CODE),
            Code::Redeemed { origin_jti, .. } => {
                // RFC 6749 §4.1.2: one of the two who brought this code stole it, so what came of it ends.
                let origin_jti = origin_jti.clone();
                self.revoke(&origin_jti);
                return Err(CODE_USED);
            }
            Code::Waiting(pending) if pending.grant.client_id != redemption.client_id => return Err(UNKNOWN_CODE),
            Code::Waiting(pending) => pending.clone(),
        };
        *code = Code::Redeemed { client_id: pending.grant.client_id.clone(), origin_jti: pending.grant.origin_jti.clone() };
        if redemption.redirect_uri != Some(pending.redirect_uri.as_str()) {
            return Err(REDIRECT_MISMATCH);
        }
        verify_code_challenge(pending.code_challenge.as_deref(), redemption.code_verifier)?;
        let expires = now.plus(lifetime);
        self.grants.insert(pending.grant.origin_jti.clone(), pending.grant.clone(), expires, now);
        Ok(pending)
    }

    /// A new refresh token for a grant. It works no longer than the grant lasts, however often it was replaced.
    pub(super) fn add_refresh_token(&mut self, token: &str, grant: &Grant, lifetime: Duration, now: UnixTime) {
        let refresh_token = RefreshToken { origin_jti: grant.origin_jti.clone(), replaced: false };
        self.refresh_tokens.insert(fingerprint(token), refresh_token, now.plus(lifetime), now);
    }

    /// The grant behind a refresh token. With `rotate` the token is used up.
    pub(super) fn refresh(&mut self, token: &str, client_id: &str, rotate: bool, now: UnixTime) -> Result<Grant, OAuthError> {
        let refresh_token = self.refresh_tokens.live_mut(&fingerprint(token), now).ok_or(UNKNOWN_REFRESH_TOKEN)?;
        let origin_jti = refresh_token.origin_jti.clone();
        let grant = self.grants.live(&origin_jti, now).filter(|grant| grant.client_id == client_id).cloned();
        let grant = grant.ok_or(UNKNOWN_REFRESH_TOKEN)?;
        if refresh_token.replaced {
            // RFC 9700 §4.14.2: an old token in use again means that two hold this grant.
            self.revoke(&origin_jti);
            return Err(REFRESH_TOKEN_REUSED);
        }
        refresh_token.replaced = rotate;
        Ok(grant)
    }

    /// Revokes a refresh token and all that came of its grant (RFC 7009 §2.1). One that is unknown already is.
    pub(super) fn revoke_refresh_token(&mut self, token: &str, client_id: &str, now: UnixTime) -> Result<(), OAuthError> {
        let Some(refresh_token) = self.refresh_tokens.live(&fingerprint(token), now) else { return Ok(()) };
        let origin_jti = refresh_token.origin_jti.clone();
        if self.grants.live(&origin_jti, now).is_some_and(|grant| grant.client_id != client_id) {
            return Err(FOREIGN_REFRESH_TOKEN);
        }
        self.revoke(&origin_jti);
        Ok(())
    }

    /// The grant of an access token, while it lasts.
    pub(super) fn live(&self, origin_jti: &str, now: UnixTime) -> Option<&Grant> {
        self.grants.live(&origin_jti.to_owned(), now)
    }

    fn revoke(&mut self, origin_jti: &str) {
        self.grants.remove(&origin_jti.to_owned());
    }
}

/// PKCE with S256 (RFC 7636 §4.6). A verifier for a code that had no challenge is refused too: it shows that somebody
/// removed the challenge on the way (RFC 9700 §4.8.2).
fn verify_code_challenge(challenge: Option<&str>, verifier: Option<&str>) -> Result<(), OAuthError> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier)) => {
            let computed = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
            verify_slices_are_equal(computed.as_bytes(), challenge.as_bytes()).map_err(|_| VERIFIER_MISMATCH)
        }
        (Some(_), None) | (None, Some(_)) => Err(VERIFIER_MISMATCH),
    }
}

fn fingerprint(token: &str) -> Fingerprint {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    fingerprint
}

const CODE_VALIDITY: Duration = Duration::from_secs(300);
const CODES: usize = 4_096;
const GRANTS: usize = 16_384;

const UNKNOWN_CODE: OAuthError = OAuthError::new("invalid_grant", "the code is unknown or has expired");
const CODE_USED: OAuthError = OAuthError::new("invalid_grant", "the code was used before; its tokens are revoked");
/// Cognito's answer, where RFC 6749 would have invalid_grant.
const REDIRECT_MISMATCH: OAuthError = OAuthError::new("unauthorized_client", "redirect_uri is not the one that the code was sent to");
const VERIFIER_MISMATCH: OAuthError = OAuthError::new("invalid_grant", "code_verifier does not fit code_challenge");
const UNKNOWN_REFRESH_TOKEN: OAuthError = OAuthError::new("invalid_grant", "the refresh token is unknown, expired or revoked");
const REFRESH_TOKEN_REUSED: OAuthError = OAuthError::new("invalid_grant", "the refresh token was replaced before; the grant is revoked");
const FOREIGN_REFRESH_TOKEN: OAuthError = OAuthError::new("unauthorized_client", "the refresh token belongs to another client");

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const DAY: Duration = Duration::from_secs(86_400);

    fn pending() -> Pending {
        Pending {
            grant: Grant {
                origin_jti: "origin".to_owned(),
                event_id: "event".to_owned(),
                client_id: "one".to_owned(),
                username: "alice".to_owned(),
                scopes: vec!["openid"],
                auth_time: UnixTime(0),
            },
            redirect_uri: "https://one/cb".to_owned(),
            code_challenge: Some(CHALLENGE.to_owned()),
            nonce: None,
        }
    }

    fn redemption() -> Redemption<'static> {
        Redemption { code: "code", client_id: "one", redirect_uri: Some("https://one/cb"), code_verifier: Some(VERIFIER) }
    }

    fn offered() -> Grants {
        let mut grants = Grants::new();
        grants.offer("code".to_owned(), pending(), UnixTime(0));
        grants
    }

    #[test]
    fn the_example_of_rfc_7636_appendix_b_is_accepted() {
        assert_eq!(verify_code_challenge(Some(CHALLENGE), Some(VERIFIER)), Ok(()));
    }

    #[test]
    fn a_challenge_and_a_verifier_come_together_or_not_at_all() {
        assert_eq!(verify_code_challenge(None, None), Ok(()));
        for (challenge, verifier) in [(Some(CHALLENGE), None), (None, Some(VERIFIER)), (Some(CHALLENGE), Some("other"))] {
            assert_eq!(verify_code_challenge(challenge, verifier), Err(VERIFIER_MISMATCH));
        }
    }

    #[test]
    fn a_code_used_twice_ends_what_came_of_it() {
        let mut grants = offered();
        let pending = grants.redeem(redemption(), DAY, UnixTime(1)).unwrap();
        grants.add_refresh_token("refresh", &pending.grant, DAY, UnixTime(1));
        assert!(grants.live("origin", UnixTime(2)).is_some());
        assert_eq!(grants.redeem(redemption(), DAY, UnixTime(2)).unwrap_err(), CODE_USED);
        assert!(grants.live("origin", UnixTime(2)).is_none());
        assert_eq!(grants.refresh("refresh", "one", false, UnixTime(2)), Err(UNKNOWN_REFRESH_TOKEN));
    }

    #[test]
    fn a_code_lasts_five_minutes() {
        assert!(offered().redeem(redemption(), DAY, UnixTime(299)).is_ok());
        assert_eq!(offered().redeem(redemption(), DAY, UnixTime(300)).unwrap_err(), UNKNOWN_CODE);
    }

    #[test]
    fn another_client_can_neither_use_nor_spoil_a_code() {
        let mut grants = offered();
        let foreign = Redemption { client_id: "two", ..redemption() };
        assert_eq!(grants.redeem(foreign, DAY, UnixTime(1)).unwrap_err(), UNKNOWN_CODE);
        assert!(grants.redeem(redemption(), DAY, UnixTime(1)).is_ok());
        assert_eq!(grants.redeem(foreign, DAY, UnixTime(1)).unwrap_err(), UNKNOWN_CODE);
        assert!(grants.live("origin", UnixTime(1)).is_some());
    }

    #[test]
    fn a_wrong_redirect_uri_or_verifier_spends_the_code() {
        for (wrong, error) in [
            (Redemption { redirect_uri: Some("https://one/cb/"), ..redemption() }, REDIRECT_MISMATCH),
            (Redemption { redirect_uri: None, ..redemption() }, REDIRECT_MISMATCH),
            (Redemption { code_verifier: Some("guess"), ..redemption() }, VERIFIER_MISMATCH),
        ] {
            let mut grants = offered();
            assert_eq!(grants.redeem(wrong, DAY, UnixTime(1)).unwrap_err(), error);
            assert_eq!(grants.redeem(redemption(), DAY, UnixTime(1)).unwrap_err(), CODE_USED);
        }
    }

    #[test]
    fn without_rotation_a_refresh_token_works_again_until_it_is_revoked() {
        let mut grants = offered();
        let pending = grants.redeem(redemption(), DAY, UnixTime(1)).unwrap();
        grants.add_refresh_token("refresh", &pending.grant, DAY, UnixTime(1));
        for _ in 0..2 {
            assert_eq!(grants.refresh("refresh", "one", false, UnixTime(2)), Ok(pending.grant.clone()));
        }
        assert_eq!(grants.refresh("refresh", "two", false, UnixTime(2)), Err(UNKNOWN_REFRESH_TOKEN));
        assert_eq!(grants.revoke_refresh_token("refresh", "two", UnixTime(2)), Err(FOREIGN_REFRESH_TOKEN));
        assert_eq!(grants.revoke_refresh_token("unknown", "one", UnixTime(2)), Ok(()));
        assert_eq!(grants.revoke_refresh_token("refresh", "one", UnixTime(2)), Ok(()));
        assert_eq!(grants.refresh("refresh", "one", false, UnixTime(2)), Err(UNKNOWN_REFRESH_TOKEN));
    }

    #[test]
    fn with_rotation_an_old_refresh_token_ends_the_grant() {
        let mut grants = offered();
        let pending = grants.redeem(redemption(), DAY, UnixTime(1)).unwrap();
        grants.add_refresh_token("first", &pending.grant, DAY, UnixTime(1));
        assert!(grants.refresh("first", "one", true, UnixTime(2)).is_ok());
        grants.add_refresh_token("second", &pending.grant, DAY, UnixTime(2));
        assert_eq!(grants.refresh("first", "one", true, UnixTime(3)), Err(REFRESH_TOKEN_REUSED));
        assert_eq!(grants.refresh("second", "one", true, UnixTime(3)), Err(UNKNOWN_REFRESH_TOKEN));
    }
}
