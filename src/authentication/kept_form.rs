//! A form that met no session, sealed into the page that its sender gets: nothing of it is kept here, nobody can read or change it on
//! the way, and it is sent when the person says so (threats F26, R13).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::session_check::context;
use super::{Authenticate, Authentication, SessionStoreError};
use crate::clock::UnixTime;
use crate::secret::EntropyError;
use crate::session::{Purpose, SealError};

/// As long as a login may take.
pub const FORM_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The largest body that is kept. What a person types is smaller; a file is often larger.
pub const MAX_FORM_BYTES: usize = 64 * 1024;

/// What has to be said again, to the letter. Only `open_form` makes one of something that came from outside.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptForm {
    /// Makes a form work once.
    pub id: [u8; 16],
    pub ends_at: UnixTime,
    /// `https://host[:port]`: it goes where it was meant to go.
    pub origin: String,
    /// Path and query on that origin.
    pub target: String,
    #[serde(with = "serde_bytes")]
    pub content_type: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeptFormError {
    #[error("no page of this origin has sent it")]
    Foreign,
    #[error("the request holds no kept form")]
    Missing,
    #[error("it does not open")]
    Unusable,
    #[error("it was kept for another host")]
    OtherHost,
    #[error("it was kept more than 15 minutes ago")]
    Late,
    #[error("it has been sent already")]
    Used,
}

impl Authentication {
    /// A form as it is first kept.
    pub fn new_form(
        &self,
        origin: String,
        target: &str,
        content_type: &[u8],
        body: &[u8],
        now: UnixTime,
    ) -> Result<KeptForm, EntropyError> {
        let (target, content_type, body) = (target.to_owned(), content_type.to_vec(), body.to_vec());
        Ok(KeptForm { id: self.entropy.bytes()?, ends_at: now.plus(FORM_LIFETIME), origin, target, content_type, body })
    }

    /// For the rule that has asked its sender to sign in: like a session it belongs to a cookie name and a provider.
    pub fn seal_form(&self, authenticate: &Authenticate, form: &KeptForm) -> Result<String, SealError> {
        let plain = postcard::to_allocvec(form).map_err(|_| SealError::NoKey)?;
        Ok(URL_SAFE_NO_PAD.encode(self.sealer.seal(Purpose::KeptForm, &context(authenticate), &plain)?))
    }

    /// A form that may be sent now, from this origin. It is not used by that: see `used_forms`.
    pub fn open_form(&self, authenticate: &Authenticate, sealed: &str, origin: &str, now: UnixTime) -> Result<KeptForm, KeptFormError> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| KeptFormError::Unusable)?;
        let plain = self.sealer.open(Purpose::KeptForm, &context(authenticate), sealed).map_err(|_| KeptFormError::Unusable)?;
        let form: KeptForm = postcard::from_bytes(&plain).map_err(|_| KeptFormError::Unusable)?;
        if form.origin != origin {
            return Err(KeptFormError::OtherHost);
        }
        // A clock that jumped back makes none live longer either.
        if form.ends_at <= now || form.ends_at > now.plus(FORM_LIFETIME) {
            return Err(KeptFormError::Late);
        }
        Ok(form)
    }

    /// Whether this form goes to a target now, here or at any other instance: of two clicks one does.
    pub async fn use_form(&self, form: &KeptForm) -> Result<bool, SessionStoreError> {
        Ok(self.used_forms.claim(form.id) && self.claim_everywhere(form.id, FORM_LIFETIME).await?)
    }

    /// No target was there to take it: it may be sent again.
    pub async fn form_was_not_sent(&self, id: [u8; 16]) {
        self.used_forms.release(&id);
        if let Some(store) = &self.store {
            // Where the store does not answer either, the form counts as sent: better that than twice.
            let _ = store.release(id).await;
        }
    }
}
