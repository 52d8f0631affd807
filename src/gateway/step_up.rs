//! Somebody who is signed in, and not as the rule asks for: a session of this browser is good for one rule and not for another
//! (RFC 9470).

use std::sync::Arc;

use super::known_sessions::Known;
use super::{Exchange, Reply, bearer, endpoints, reply, sign_in_challenge};
use crate::authentication::{Authenticate, AuthenticationRequirements, Decision, Insufficient, Presented, SessionTerm, decide};
use crate::identity::Identity;

/// Whoever goes on is a stranger. What a rule does with strangers it does here too, so that nobody gets more for a session that is not
/// enough than for none.
pub(super) async fn challenge(
    authenticate: &Arc<Authenticate>,
    identity: &Identity,
    found: Insufficient,
    exchange: &mut Exchange<'_>,
) -> Result<(), Reply> {
    let reply = match decide(authenticate.on_unauthenticated_request, &Presented::Nothing, exchange.request.kind()) {
        Decision::PassAnonymously => {
            exchange.record.outcome = Some("anonymous");
            return Ok(());
        }
        // To the provider of the session, where the person is known.
        Decision::Redirect => {
            let return_to = exchange.request.target.as_str();
            endpoints::login::begin(authenticate, return_to, found.prompt(), exchange).await
        }
        Decision::Refuse => {
            let beside = bearer::insufficient_challenge(authenticate, found, exchange);
            let more = [("error_description", found.description())];
            sign_in_challenge::sign_in_challenge(authenticate, reply::insufficient(found), &more, beside, exchange)
        }
    };
    exchange.record.note_person(identity);
    let verdict = reply::insufficient(found);
    exchange.record.error_reason.get_or_insert(verdict.reason);
    exchange.record.detail.get_or_insert(verdict.detail);
    Err(reply)
}

/// How long a connection may go on that has been opened with what was enough then.
pub(super) fn term(requirements: Option<&AuthenticationRequirements>, known: &Known) -> SessionTerm {
    let sufficient_until = requirements.and_then(|requirements| requirements.until(&known.identity.claims));
    SessionTerm { sufficient_until, ..known.term() }
}
