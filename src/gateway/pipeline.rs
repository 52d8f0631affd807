//! The life of a request.

use std::sync::Arc;

use http::header::SET_COOKIE;
use http::{HeaderValue, Method};

use super::current_session::{NotCurrent, current};
use super::endpoints::Endpoint;
use super::kept_form::{Resending, Resent, is_kept};
use super::known_sessions::Known;
use super::permission::permit;
use super::sign_in_challenge::{ask_to_sign_in, page_of};
use super::{
    Body, Exchange, Reply, Rewritten, RoutingAction, RuleActions, Sticky, TargetFailure, TargetGroup, acme, bearer, endpoints, reply,
    step_up,
};
use crate::authentication::{Authenticate, Decision, Presented, Prompt, SessionOver, SessionTerm, decide, is_cors_preflight};
use crate::identity_headers::IdentityHeaders;
use crate::message::{Malformed, Scheme};
use crate::session::Ending;

/// What goes to a target.
pub struct Forward {
    pub target_group: Arc<TargetGroup>,
    /// `None`: nobody is signed in, or the rule does not ask. Either way whatever the client said is removed.
    pub identity: Option<Arc<IdentityHeaders>>,
    /// The session behind that identity.
    pub session: Option<SessionTerm>,
    /// In place of what was asked for.
    pub rewritten: Rewritten,
    /// Where the visitor was before.
    pub sticky: Sticky,
    /// A newer state of the session, for the browser.
    pub set_cookies: Vec<HeaderValue>,
    /// In place of the body that came: a form that was kept.
    pub resent: Option<Box<Resent>>,
}

/// `Err(Reply)` is every answer that the gateway gives itself. Either way the browser gets the newest state of its session.
pub async fn handle(exchange: &mut Exchange<'_>) -> Result<Forward, Reply> {
    if let Some(answer) = acme::answer(exchange) {
        return Err(answer);
    }
    let decision = match own_path(exchange) {
        Ok(None) => judge(exchange).await,
        // Few requests are, and the others should not carry what these need.
        Ok(Some(endpoint)) => Box::pin(serve(endpoint, exchange)).await,
        Err(misdirected) => Err(misdirected),
    };
    let set_cookies = std::mem::take(&mut exchange.set_cookies);
    match decision {
        Ok(forward) => Ok(Forward { set_cookies, ..forward }),
        Err(mut reply) => {
            reply.headers.extend(set_cookies.into_iter().map(|cookie| (SET_COOKIE, cookie)));
            Err(reply)
        }
    }
}

/// The gateway's own path that is asked for, on a host that this listener serves.
fn own_path<'a>(exchange: &mut Exchange<'a>) -> Result<Option<Endpoint<'a>>, Reply> {
    check_host(exchange)?;
    Ok(endpoints::find(exchange.gateway, exchange.listener, exchange.request))
}

async fn serve(endpoint: Endpoint<'_>, exchange: &mut Exchange<'_>) -> Result<Forward, Reply> {
    if endpoint == Endpoint::Form && *exchange.request.method == Method::POST {
        return send_kept_form(exchange).await;
    }
    Err(endpoints::serve(endpoint, exchange).await)
}

/// A form that was kept is judged as the request that it was.
async fn send_kept_form(exchange: &mut Exchange<'_>) -> Result<Forward, Reply> {
    let kept = Resending::read(exchange)?;
    let request = kept.request(exchange.request);
    let record = std::mem::take(&mut exchange.record);
    let Exchange { gateway, listener, now, connection, .. } = *exchange;
    let (body, set_cookies) = (Body::Unread, Vec::new());
    let mut original = Exchange { gateway, listener, request: &request, now, body, record, connection, set_cookies, keeps_form: None };
    let decision = judge(&mut original).await;
    let keeps_form = original.keeps_form;
    (exchange.record, exchange.set_cookies) = (original.record, original.set_cookies);
    kept.finish(decision, keeps_form, exchange).await
}

async fn judge(exchange: &mut Exchange<'_>) -> Result<Forward, Reply> {
    let rule = find_rule(exchange)?;
    let known = authenticate(rule, exchange).await?;
    let permit = permit(rule, known.as_deref(), exchange)?;
    let session = known.as_ref().map(|known| step_up::term(rule.requirements(), known));
    let identity = match (&known, permit.filter(|_| rule.tells_target())) {
        (Some(known), Some(permit)) => {
            let headers = known.headers(permit, exchange.gateway, exchange.now);
            Some(headers.map_err(|error| exchange.refuse(reply::for_headers(error), None))?)
        }
        _ => None,
    };
    match &rule.routing {
        RoutingAction::Forward(action) => {
            exchange.record.actions.push("forward");
            let (gateway, request) = (exchange.gateway, exchange.request);
            let rewritten = rule.transforms.apply(request.authority, request.target);
            exchange.record.transform_status = rewritten.as_ref().map_or_else(|error| Some(error.status()), Rewritten::status);
            let rewritten = rewritten.map_err(|error| exchange.refuse(reply::for_transform(error), None))?;
            let secrets = &gateway.authentication;
            match action.decide(&secrets.sealer, &secrets.entropy, request.headers, exchange.now) {
                Some((target_group, sticky)) => {
                    Ok(Forward { target_group, identity, session, sticky, rewritten, set_cookies: Vec::new(), resent: None })
                }
                None => Err(exchange.refuse(reply::for_target(TargetFailure::Unavailable), None)),
            }
        }
        RoutingAction::Redirect(redirect) => {
            exchange.record.actions.push("redirect");
            Err(redirect.reply(exchange.request))
        }
        RoutingAction::FixedResponse(fixed) => {
            exchange.record.actions.push("fixed-response");
            Err(Reply::fixed(fixed))
        }
    }
}

fn check_host(exchange: &mut Exchange<'_>) -> Result<(), Reply> {
    let host = exchange.request.authority.host();
    if exchange.listener.hosts.serve(host) {
        return Ok(());
    }
    let again = exchange.request.target.href();
    Err(exchange.refuse(reply::misdirected(host), Some(&again)))
}

fn find_rule<'a>(exchange: &mut Exchange<'a>) -> Result<&'a RuleActions, Reply> {
    match exchange.listener.rules.find(exchange.request) {
        Ok(rule) => {
            exchange.record.rule = Some(rule.name.clone());
            exchange.record.rule_priority = Some(rule.priority);
            Ok(rule)
        }
        Err(_) => Err(exchange.refuse(reply::for_malformed(Malformed::AmbiguousPath), None)),
    }
}

/// The person behind the request, nobody where the rule lets nobody pass, or the answer.
async fn authenticate(rule: &RuleActions, exchange: &mut Exchange<'_>) -> Result<Option<Arc<Known>>, Reply> {
    if let Some(validation) = &rule.jwt_validation {
        return bearer::validate(validation, exchange).await;
    }
    let Some(authenticate) = &rule.authenticate else { return Ok(None) };
    let (gateway, request) = (exchange.gateway, exchange.request);
    exchange.record.actions.push("authenticate");
    exchange.record.identity_provider = Some(authenticate.provider.name.clone());
    // A bad token is refused, also beside a good session: whoever sends one means it, and cannot use a redirect.
    if let Some(tokens) = bearer::accepting(authenticate, exchange).await
        && let Some(known) = bearer::presented(tokens, exchange).await?
    {
        bearer::check_authentication(tokens, &authenticate.requirements, &known, exchange)?;
        return Ok(Some(known));
    }
    if request.scheme == Scheme::Http {
        // Cookies are `Secure`: over plain HTTP nobody can be signed in, and nothing secret may be said (threat F23).
        return Err(Reply::redirect(302, &request.https_url()));
    }
    if authenticate.allow_cors_preflight && is_cors_preflight(request.method, request.headers) {
        exchange.record.outcome = Some("anonymous");
        return Ok(None);
    }
    let (authenticate, presented) = gateway.authentication.presented_by_any(authenticate, request.headers, exchange.now).await;
    exchange.record.identity_provider = Some(authenticate.provider.name.clone());
    let Presented::Session(session) = &presented else {
        return challenge(authenticate, &presented, exchange).await.map(|()| None);
    };
    if !authenticate.allowed_origins.permit(request.headers, |host| exchange.listener.hosts.serve(host)) {
        return Err(exchange.refuse(reply::foreign_origin(), None));
    }
    let known = match current(authenticate, session, exchange).await {
        Ok(known) => known,
        Err(NotCurrent::Over(reason)) => {
            let over = Presented::Expired(session.id);
            return challenge_for(authenticate, &over, reason, exchange).await.map(|()| None);
        }
        Err(NotCurrent::Ended) => return challenge(authenticate, &Presented::Ended(Ending::SignedOut), exchange).await.map(|()| None),
        Err(NotCurrent::Record(error)) => return Err(exchange.refuse(reply::for_session_record(error), None)),
    };
    if let Err(found) = authenticate.requirements.judge(&known.identity.claims, exchange.now) {
        return step_up::challenge(authenticate, &known.identity, found, exchange).await.map(|()| None);
    }
    known.is_seen(exchange.now);
    exchange.record.outcome = Some("session");
    exchange.record.note_person(&known.identity);
    Ok(Some(known))
}

/// What a request without a session gets.
async fn challenge(authenticate: &Arc<Authenticate>, presented: &Presented, exchange: &mut Exchange<'_>) -> Result<(), Reply> {
    let reason = match presented {
        Presented::Nothing => "AuthMissingCookie",
        Presented::Unusable => "AuthInvalidCookie",
        Presented::Expired(_) => SessionOver::Expired.reason(),
        Presented::Ended(_) => SessionOver::Ended.reason(),
        Presented::Unknown(_) => "AuthUnknownSession",
        Presented::Unavailable(error) => {
            let again = page_of(exchange);
            return Err(exchange.refuse(reply::for_session_store(error), Some(&again)));
        }
        Presented::Session(_) => return Ok(()),
    };
    challenge_for(authenticate, presented, reason, exchange).await
}

async fn challenge_for(
    authenticate: &Arc<Authenticate>,
    presented: &Presented,
    reason: &'static str,
    exchange: &mut Exchange<'_>,
) -> Result<(), Reply> {
    let reply = match decide(authenticate.on_unauthenticated_request, presented, exchange.request.kind()) {
        Decision::PassAnonymously => {
            exchange.record.outcome = Some("anonymous");
            return Ok(());
        }
        // Of an expired session it is known where the person signed in.
        Decision::Redirect if matches!(presented, Presented::Expired(_) | Presented::Unknown(_)) => {
            endpoints::login::begin(authenticate, exchange.request.target.as_str(), Prompt::AsConfigured, exchange).await
        }
        Decision::Redirect => endpoints::login::begin_any(authenticate, exchange.request.target.as_str(), exchange).await,
        Decision::Refuse => {
            let is_kept = is_kept(authenticate.on_unauthenticated_request, presented, exchange.request);
            exchange.keeps_form = is_kept.then_some(authenticate.rule);
            ask_to_sign_in(authenticate, reason, exchange)
        }
    };
    if !matches!(presented, Presented::Nothing) {
        exchange.record.error_reason.get_or_insert(reason);
    }
    // Only what will never open again is taken away. An expired session stays: in deny mode it is what sends the next navigation
    // to the provider as on an ALB. So does one that a new login has replaced: a late answer to a request of before, of another tab
    // during a step-up, must not delete the cookies of the new one, which have the same names.
    if matches!(presented, Presented::Unusable | Presented::Ended(Ending::SignedOut)) {
        return Err(reply.with_cookies(authenticate.cookie.delete()));
    }
    Err(reply)
}
