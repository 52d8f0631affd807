//! New tokens for a session (OIDC Core §12): new claims take effect at once, and the person stays the same one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::id_token_check::IdTokenFailure;
use super::session_check::{ISSUER, SID};
use super::session_write::stored_context;
use super::{Authenticate, Authentication, ProviderClientError, SessionStoreError, SessionWriteError, Turn, TurnHeld};
use crate::clock::UnixTime;
use crate::identity::SessionId;
use crate::provider::{
    CallError, ExpectedNonce, IdTokenClaims, Moment, ProviderCall, ProviderMetadata, TokenError, TokenResponse, UserInfoError, merge,
    personal, refresh, user_info_call, user_info_claims,
};
use crate::secret::EntropyError;
use crate::session::{Ending, OpenedSession, Purpose, RecordError, SessionRecord};
use crate::tokens::Compact;

#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    #[error("the provider's metadata: {0}")]
    Metadata(ProviderClientError),
    #[error("the token endpoint: {0}")]
    Call(CallError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    IdToken(#[from] IdTokenFailure),
    #[error("the provider's answer is about somebody else")]
    OtherPerson,
    #[error(transparent)]
    Session(#[from] SessionWriteError),
    /// Nobody knows whether another instance is at it.
    #[error(transparent)]
    Store(SessionStoreError),
    #[error("another instance has tried, or goes on trying")]
    Elsewhere,
    /// The former refresh token is spent, and the new one is here only.
    #[error("{1}; there are new tokens to be written")]
    Unwritten(Unwritten, SessionStoreError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl RefreshError {
    /// Whether the session is over: asking again would not help. Anything else may be better in a moment.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Token(TokenError::InvalidGrant) | Self::OtherPerson | Self::Record(_) => true,
            Self::Session(SessionWriteError::TooLarge | SessionWriteError::Ended) => true,
            // A 400 without any error, too: some providers answer a spent refresh token so.
            Self::Token(TokenError::Refused { status, .. }) => *status == 400,
            Self::IdToken(IdTokenFailure::Claims(_) | IdTokenFailure::Signature(_)) => true,
            Self::Token(TokenError::Form | TokenError::Member(_)) | Self::IdToken(IdTokenFailure::Keys(_)) => false,
            Self::Session(SessionWriteError::Record(_) | SessionWriteError::Seal(_) | SessionWriteError::Store(_)) => false,
            Self::Metadata(_) | Self::Call(_) | Self::Entropy(_) => false,
            Self::Store(_) | Self::Elsewhere | Self::Unwritten(..) => false,
        }
    }
}

/// A state of a session that the store has not taken yet.
#[derive(Clone)]
pub struct Unwritten {
    record: Arc<SessionRecord>,
    /// Until it is written, nobody else may spend the refresh token of before.
    held: Option<Arc<dyn TurnHeld>>,
}

impl std::fmt::Debug for Unwritten {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Unwritten({}, held: {})", self.record.id.hash(), self.held.is_some())
    }
}

/// A session with new tokens, and the cookies that hold it: none where a store does.
pub struct Refreshed {
    pub session: OpenedSession,
    pub set_cookies: Vec<String>,
}

impl Authentication {
    /// New tokens: from the provider, or from the instance that has been faster. Whoever calls sees to it that there is one at a time
    /// for each session in this process, and the store does for all: a provider that rotates refresh tokens takes a second use of one for
    /// a theft.
    pub async fn refresh(&self, authenticate: &Authenticate, session: &OpenedSession, now: UnixTime) -> Result<Refreshed, RefreshError> {
        let Some(store) = &self.store else { return self.renew(authenticate, session, None, now).await };
        let held = match store.turn(session.id, session.generation).await.map_err(RefreshError::Store)? {
            Turn::Ours(held) => held,
            Turn::Done(sealed) => return self.taken_over(authenticate, (session.id, session.generation), sealed),
            Turn::Over => return Err(SessionWriteError::Ended.into()),
            Turn::NotNow => return Err(RefreshError::Elsewhere),
        };
        let result = self.renew(authenticate, session, held.clone(), now).await;
        match &result {
            // No other instance has to ask the provider for the same answer.
            Err(error) if error.is_final() => drop(store.remove(session.id, Ending::SignedOut).await),
            Err(RefreshError::Unwritten(..)) | Ok(_) => {}
            Err(_) => held.iter().for_each(|held| held.failed()),
        }
        result
    }

    /// One exchange with the provider.
    async fn renew(
        &self,
        authenticate: &Authenticate,
        session: &OpenedSession,
        held: Option<Arc<dyn TurnHeld>>,
        now: UnixTime,
    ) -> Result<Refreshed, RefreshError> {
        let record = session.unpack()?;
        let metadata = authenticate.client.metadata().await.map_err(RefreshError::Metadata)?;
        let moment = Moment { entropy: &self.entropy, now };
        let call = refresh(&authenticate.provider, &metadata, &record.refresh_token, moment)?;
        let answer = authenticate.client.call(ProviderCall { is_refresh: true, ..call }).await.map_err(RefreshError::Call)?;
        let tokens = TokenResponse::parse(&answer)?;
        let claims = self.new_claims(authenticate, &metadata, &record, &tokens, now).await?;
        let (refresh_from, access_expires_at) = due(&tokens, now);
        let record = SessionRecord {
            generation: record.generation.wrapping_add(1),
            seen_at: now,
            refresh_from,
            access_expires_at,
            claims,
            access_token: tokens.access_token.expose().clone(),
            id_token: tokens.id_token.map_or(record.id_token, |token| token.expose().clone()),
            refresh_token: tokens.refresh_token.map_or(record.refresh_token, |token| token.expose().clone()),
            ..record
        };
        self.write_refreshed(authenticate, Unwritten { record: Arc::new(record), held }, session.generation, now).await
    }

    /// Writes the state that follows `generation`. Where the store does not answer, that is all that has to be done again: the refresh
    /// token of before is spent.
    pub async fn write_refreshed(
        &self,
        authenticate: &Authenticate,
        unwritten: Unwritten,
        generation: u32,
        now: UnixTime,
    ) -> Result<Refreshed, RefreshError> {
        let record = &unwritten.record;
        match self.write_next(authenticate, record, generation, now).await {
            Ok(set_cookies) => Ok(Refreshed { session: OpenedSession::read(record.pack()?)?, set_cookies }),
            Err(SessionWriteError::Store(error)) => Err(RefreshError::Unwritten(unwritten, error)),
            // By this very call perhaps, whose first answer was lost.
            Err(SessionWriteError::Ended) => match self.loaded(record.id).await {
                Ok(Some(sealed)) => self.taken_over(authenticate, (record.id, generation), sealed),
                Ok(None) => Err(SessionWriteError::Ended.into()),
                Err(error) => Err(RefreshError::Unwritten(unwritten, error)),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn loaded(&self, id: SessionId) -> Result<Option<Vec<u8>>, SessionStoreError> {
        match &self.store {
            Some(store) => store.load(id).await,
            None => Ok(None),
        }
    }

    /// The state that another instance has written. One that is older than what has been seen here is of a store that has lost what it
    /// was given: its refresh token is spent.
    fn taken_over(
        &self,
        authenticate: &Authenticate,
        (id, generation): (SessionId, u32),
        sealed: Vec<u8>,
    ) -> Result<Refreshed, RefreshError> {
        let context = stored_context(authenticate, &id);
        let plain = self.sealer.open(Purpose::StoredSession, &context, sealed).map_err(SessionWriteError::Seal)?;
        let session = OpenedSession::read(plain)?;
        if session.generation <= generation {
            return Err(SessionWriteError::Ended.into());
        }
        Ok(Refreshed { session, set_cookies: Vec::new() })
    }

    /// The claims of the new ID token, or of the one that there is, with those of user info over them.
    async fn new_claims(
        &self,
        authenticate: &Authenticate,
        metadata: &ProviderMetadata,
        record: &SessionRecord,
        tokens: &TokenResponse,
        now: UnixTime,
    ) -> Result<Map<String, Value>, RefreshError> {
        let (mut claims, issuer) = match &tokens.id_token {
            Some(id_token) => {
                let both = (id_token.expose().as_str(), tokens.access_token.expose().as_str());
                let nonce = ExpectedNonce::IfPresent(&record.nonce);
                let IdTokenClaims { issuer, claims } = self.check_id_token(authenticate, metadata, both, nonce, now).await?;
                (claims, Some(Value::from(&*issuer)))
            }
            None => (claims_of_login(record), record.claims.get(ISSUER).cloned()),
        };
        // OIDC Core §12.2: the same person at the same issuer, whatever else is new.
        let same = |name: &str, found: Option<&Value>| found == record.claims.get(name);
        if !same("sub", claims.get("sub")) || !same(ISSUER, issuer.as_ref()) {
            return Err(RefreshError::OtherPerson);
        }
        if let Some(endpoint) = metadata.user_info_endpoint.as_ref().filter(|_| authenticate.provider.asks_user_info) {
            let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
            let call = user_info_call(endpoint, tokens.access_token.expose());
            let answer = authenticate.client.call(ProviderCall { is_refresh: true, ..call }).await;
            match answer.map(|answer| user_info_claims(&answer, &subject)) {
                Ok(Ok(user_info)) => merge(&mut claims, user_info),
                Ok(Err(UserInfoError::Subject)) => return Err(RefreshError::OtherPerson),
                // The refresh token may be spent already: the new tokens are kept, with what is known of the person.
                Ok(Err(UserInfoError::Refused(_) | UserInfoError::Form)) | Err(_) => claims = record.claims.clone(),
            }
        }
        // How the person has signed in has not changed by this; a new ID token may leave it out.
        for name in OF_THE_SIGN_IN {
            if let (None, Some(value)) = (claims.get(name), record.claims.get(name)) {
                claims.insert(name.to_owned(), value.clone());
            }
        }
        claims.extend(issuer.map(|issuer| (ISSUER.to_owned(), issuer)));
        Ok(claims)
    }
}

/// What the ID token of the session says. The seal vouches for it. Where it did not fit, what is left of it stands among the claims.
fn claims_of_login(record: &SessionRecord) -> Map<String, Value> {
    let claims = Compact::parse(&record.id_token).ok().and_then(|token| token.unverified_claims());
    let mut claims = claims.unwrap_or_else(|| record.claims.clone());
    personal(&mut claims);
    claims
}

/// When a refresh of these tokens is due, and when the access token ends: a minute before, or a tenth of its life where that is less.
/// Without a refresh token there is nothing to wait for, and the session lasts as long as it may.
pub(super) fn due(tokens: &TokenResponse, now: UnixTime) -> (UnixTime, UnixTime) {
    let never = UnixTime(u64::MAX);
    match (&tokens.refresh_token, tokens.expires_in) {
        (None, _) => (never, never),
        (Some(_), lifetime) => {
            let lifetime = lifetime.unwrap_or(USUAL_LIFETIME);
            let ahead = (lifetime / 10).min(AHEAD);
            (now.plus(lifetime.saturating_sub(ahead)), now.plus(lifetime))
        }
    }
}

/// How long a new session lasts.
pub(super) fn lifetime(authenticate: &Authenticate, tokens: &TokenResponse) -> Duration {
    match (&tokens.refresh_token, authenticate.ends_with_tokens) {
        (None, true) => tokens.expires_in.unwrap_or(USUAL_LIFETIME).min(authenticate.session_timeout),
        (Some(_), _) | (None, false) => authenticate.session_timeout,
    }
}

const OF_THE_SIGN_IN: [&str; 4] = ["acr", "amr", "auth_time", SID];
const AHEAD: Duration = Duration::from_secs(60);
/// Where the provider does not say (`expires_in` is only recommended, RFC 6749 §5.1).
const USUAL_LIFETIME: Duration = Duration::from_secs(5 * 60);
