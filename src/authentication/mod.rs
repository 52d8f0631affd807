//! The login flow: authorization-code flow with PKCE, nonce and sealed state; the session check; sign-out.
//!
//! Decisions only. What has to be asked of a provider goes through `ProviderClient`, what has to be kept through
//! `SessionStore`.

mod backchannel_logout;
mod bearer;
mod browser_nonce;
mod callback;
mod chosen_provider;
mod id_token_check;
mod kept_form;
mod login;
mod login_state;
mod logout;
mod port;
mod refresh;
mod requirements;
mod revocation;
mod session_check;
mod session_write;
mod socket_origin;
mod unauthenticated;

use std::sync::Arc;
use std::time::Duration;

pub use backchannel_logout::BackchannelLogoutError;
pub use bearer::{
    AdditionalClaim, BearerError, BearerIdentity, BearerTokens, ClaimFormat, Credentials, Introspection, JwtValidation, ProtectedResource,
    TokenPolicy, TokenSource, TokenUse, WELL_KNOWN, credentials,
};
pub use browser_nonce::NONCE_COOKIE;
pub use callback::{CallbackError, CallbackFailure, SignedIn};
pub use chosen_provider::{CHOICE_COOKIE, chosen, forget_choice, remember_choice};
pub use id_token_check::IdTokenFailure;
pub use kept_form::{FORM_LIFETIME, KeptForm, KeptFormError, MAX_FORM_BYTES};
pub use login::{LoginError, LoginStart, MAX_RETURN_BYTES, Prompt};
pub use login_state::{LOGIN_LIFETIME, LoginState};
pub use logout::{LogoutState, ReturnPlaces};
pub use port::{KeySource, ProviderClient, ProviderClientError, SessionStore, SessionStoreError, StoredSession, Turn, TurnHeld};
pub use refresh::{RefreshError, Refreshed, Unwritten};
pub use requirements::{AuthenticationRequirements, Insufficient};
pub use session_check::{Presented, SessionOver, SessionTerm, identify};
pub use session_write::SessionWriteError;
pub use socket_origin::AllowedOrigins;
pub use unauthenticated::{Decision, OnUnauthenticatedRequest, decide, is_cors_preflight};

use crate::provider::Provider;
use crate::secret::Entropy;
use crate::session::{EndedSessions, Remembered, Sealer, SessionCookie, UsedOnce};
use crate::tokens::Verifier;

/// The `authenticate` action of a rule.
pub struct Authenticate {
    /// Priority of the rule, 0 for the default: a login comes back to the rule that began it.
    pub rule: u32,
    pub provider: Arc<Provider>,
    pub client: Arc<dyn ProviderClient>,
    pub on_unauthenticated_request: OnUnauthenticatedRequest,
    /// Space-separated; holds `openid`.
    pub scope: String,
    pub cookie: SessionCookie,
    pub session_timeout: Duration,
    /// Without a request for so long the session is over.
    pub idle_timeout: Option<Duration>,
    /// Where there are no new tokens to be had, the session ends with those that it has.
    pub ends_with_tokens: bool,
    pub extra_params: Vec<(String, String)>,
    /// How and when people have to have signed in, for a session and for a token alike.
    pub requirements: AuthenticationRequirements,
    /// A real preflight passes, bare.
    pub allow_cors_preflight: bool,
    /// Where WebSockets may be opened from, beside the listener's own hosts.
    pub allowed_origins: AllowedOrigins,
    /// Tokens that are as good as a session.
    pub bearer_tokens: Option<Arc<BearerTokens>>,
    /// Whether the provider sends people back to a path of its own (RFC 9700 §4.4.2): where a rule has several, none of them can pass
    /// on a code that was meant for another.
    pub own_redirect_uri: bool,
    /// The other providers that people of this rule may choose. They have none of their own.
    pub alternatives: Vec<Arc<Authenticate>>,
}

impl Authenticate {
    /// Each provider of the rule, in the order of the configuration.
    pub fn ways(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::once(self).chain(&self.alternatives)
    }

    #[must_use]
    pub fn is_choice(&self) -> bool {
        !self.alternatives.is_empty()
    }
}

/// What all logins of a gateway share.
pub struct Authentication {
    pub sealer: Sealer,
    pub entropy: Entropy,
    pub verifier: Verifier,
    /// `None`: the cookies hold all of a session.
    pub store: Option<Arc<dyn SessionStore>>,
    pub ended: EndedSessions,
    pub finished_logins: UsedOnce,
    pub used_logout_tokens: UsedOnce,
    /// Kept forms that have been sent.
    pub used_forms: UsedOnce,
    /// Whether any target gets it: then a session without it is none.
    pub needs_access_token: bool,
    /// Path of the redirect URI: `/oauth2/idpresponse`.
    pub callback_path: String,
}

impl Authentication {
    /// For a process that takes the place of this one.
    #[must_use]
    pub fn remembered(&self) -> Remembered {
        let mut remembered = self.ended.remembered();
        remembered.logins = self.finished_logins.all();
        remembered.logout_tokens = self.used_logout_tokens.all();
        remembered.forms = self.used_forms.all();
        remembered
    }

    /// What a process has known whose place this one takes.
    pub fn recall(&self, remembered: &Remembered) {
        self.ended.recall(remembered);
        let once = [
            (&self.finished_logins, &remembered.logins),
            (&self.used_logout_tokens, &remembered.logout_tokens),
            (&self.used_forms, &remembered.forms),
        ];
        for (used, ids) in once {
            for id in ids {
                let _ = used.claim(*id);
            }
        }
    }
}
