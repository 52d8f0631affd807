//! A session that has been opened, as it is now: with new tokens where they are due, and over where there are none to be had.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::Exchange;
use super::known_sessions::Known;
use super::renewals::Outcome;
use crate::authentication::{Authenticate, SessionOver};
use crate::session::{Ending, OpenedSession, RecordError};

/// Why a session that opens is none after all.
pub(super) enum NotCurrent {
    /// In the words of the access log.
    Over(&'static str),
    /// By somebody who named its person, or its session at the provider.
    Ended,
    Record(RecordError),
}

/// The person of a session. Cookies that hold a newer state of it go along with the answer.
pub(super) async fn current(
    authenticate: &Arc<Authenticate>,
    session: &OpenedSession,
    exchange: &mut Exchange<'_>,
) -> Result<Arc<Known>, NotCurrent> {
    let gateway = exchange.gateway;
    let known = gateway.known.get(session.id);
    exchange.record.session_was_known = Some(known.is_some());
    let known = match known {
        Some(known) if known.generation == session.generation => known,
        // A store says itself what holds; with cookies the browser may have lost the newer one.
        Some(known) if known.generation > session.generation && gateway.authentication.store.is_none() => known,
        // Another instance has refreshed it, or this one has forgotten the person.
        Some(_) | None => gateway.known.remember(authenticate, session).map_err(NotCurrent::Record)?,
    };
    // The head of a session does not say whose it is: what has been ended by a name is found out here.
    check_ending(&known, session, exchange).await?;
    if known.generation > session.generation {
        return superseded(known, session, exchange);
    }
    if exchange.now < session.refresh_from {
        touch(authenticate, session, exchange).await;
        return Ok(known);
    }
    let known = refreshed(authenticate, session, known, exchange).await?;
    // It may have been ended while the provider was waited for.
    check_ending(&known, session, exchange).await?;
    Ok(known)
}

/// From then on it is known by its id.
async fn check_ending(known: &Known, session: &OpenedSession, exchange: &mut Exchange<'_>) -> Result<(), NotCurrent> {
    let gateway = exchange.gateway;
    if gateway.authentication.over(known.term(), exchange.now) != Some(SessionOver::Ended) {
        return Ok(());
    }
    exchange.set_cookies.clear();
    // Where the store does not answer, the ending is known here all the same.
    let is_first = gateway.authentication.end(session.id, Ending::SignedOut).await.unwrap_or(false);
    exchange.record.revoked += u64::from(is_first);
    gateway.known.forget(session.id);
    Err(NotCurrent::Ended)
}

/// The cookie of before: of a request that was on its way, or a copy.
fn superseded(known: Arc<Known>, session: &OpenedSession, exchange: &mut Exchange<'_>) -> Result<Arc<Known>, NotCurrent> {
    match exchange.gateway.renewals.of(session.id, known.generation.wrapping_sub(1)) {
        Some(Outcome::Renewed(renewed)) => {
            exchange.set_cookies.clone_from(&renewed.set_cookies);
            Ok(known)
        }
        Some(Outcome::Over | Outcome::Failed { .. }) | None => Err(NotCurrent::Over(SUPERSEDED)),
    }
}

/// New tokens, from what is known of them or from the provider. While the former are good, nobody waits for that.
async fn refreshed(
    authenticate: &Arc<Authenticate>,
    session: &OpenedSession,
    known: Arc<Known>,
    exchange: &mut Exchange<'_>,
) -> Result<Arc<Known>, NotCurrent> {
    let (gateway, now) = (exchange.gateway, exchange.now);
    if gateway.renewals.is_superseded(session.id, session.generation) {
        // Its refresh token is spent. Sent once more, the provider would take it for stolen and end the session of whoever has the new one.
        return Err(NotCurrent::Over(SUPERSEDED));
    }
    let begun = gateway.renewals.begin(&gateway.authentication, authenticate, session, now);
    let overdue = now >= session.access_expires_at;
    let outcome = if overdue { begun.finished().await } else { begun.known() };
    match outcome {
        Some(Outcome::Renewed(renewed)) => {
            gateway.known.put(session.id, renewed.known.clone());
            exchange.set_cookies.clone_from(&renewed.set_cookies);
            Ok(renewed.known.clone())
        }
        Some(Outcome::Over) => Err(NotCurrent::Over(REFUSED)),
        // The provider is away for a moment: nobody is signed out for that.
        Some(Outcome::Failed { .. }) | None if now < session.access_expires_at.plus(grace(authenticate)) => Ok(known),
        Some(Outcome::Failed { .. }) | None => Err(NotCurrent::Over(FAILED)),
    }
}

/// Notes that the session is in use, now and then, and seals it again when there is a new key for that.
async fn touch(authenticate: &Authenticate, session: &OpenedSession, exchange: &mut Exchange<'_>) {
    let since = exchange.now.since(session.seen_at);
    let is_due = authenticate.idle_timeout.is_some_and(|idle| since >= (idle / 8).max(Duration::from_secs(1)));
    if !is_due && !session.sealed_by_former {
        return;
    }
    if let Ok(cookies) = exchange.gateway.authentication.seen(authenticate, session, exchange.now).await {
        exchange.set_cookies = cookies.into_iter().filter_map(|cookie| HeaderValue::try_from(cookie).ok()).collect();
    }
}

fn grace(authenticate: &Authenticate) -> Duration {
    if authenticate.ends_with_tokens { Duration::ZERO } else { GRACE }
}

/// How long a session outlives its access token while the provider does not answer.
const GRACE: Duration = Duration::from_secs(5 * 60);

const SUPERSEDED: &str = "AuthSupersededCookie";
const REFUSED: &str = "AuthRefreshRefused";
const FAILED: &str = "AuthRefreshFailed";
