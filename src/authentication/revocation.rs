//! What a session held is of no use to anybody after its end (RFC 7009 §1).

use super::{Authenticate, Authentication};
use crate::clock::UnixTime;
use crate::identity::Identity;
use crate::provider::{Moment, TokenTypeHint, revocation_call};
use crate::session::OpenedSession;

impl Authentication {
    /// Has the provider revoke the tokens of a session whose person has signed out. Nobody waits for it: the session here has ended
    /// whatever comes of it. `identity` is the newest that is known: a refresh may have come after the session that was shown. Where
    /// the provider's metadata has never been had, there is nobody to tell.
    pub fn revoke_tokens(&self, authenticate: &Authenticate, session: &OpenedSession, identity: Option<&Identity>, now: UnixTime) {
        let (provider, client) = (&authenticate.provider, &authenticate.client);
        let Some(metadata) = client.current_metadata() else { return };
        let Some(endpoint) = &metadata.revocation_endpoint else { return };
        let Ok(record) = session.unpack() else { return };
        let access_token = identity.map_or(&record.access_token, |identity| identity.access_token.expose());
        // The refresh token before what can be had with it.
        let tokens = [(TokenTypeHint::RefreshToken, &record.refresh_token), (TokenTypeHint::AccessToken, access_token)];
        let moment = Moment { entropy: &self.entropy, now };
        for (hint, token) in tokens.into_iter().filter(|(hint, token)| hint.is_revoked_by(provider) && !token.is_empty()) {
            if let Ok(call) = revocation_call(provider, &metadata, endpoint, (hint, token), moment) {
                client.call_later(call);
            }
        }
    }
}
