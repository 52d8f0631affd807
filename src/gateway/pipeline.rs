//! The life of a request.

use std::sync::Arc;

use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use serde_json::json;

use super::known_sessions::Known;
use super::reply::{self, Visitor};
use super::{Gateway, ListenerRules, Record, Reply, RoutingAction, RuleActions, TargetGroup, endpoints};
use crate::authentication::{Authenticate, Decision, Presented, decide, is_cors_preflight};
use crate::clock::UnixTime;
use crate::identity_headers::IdentityHeaders;
use crate::message::{Malformed, RequestView, Scheme, shows_page};

/// What goes to a target.
pub struct Forward {
    pub target_group: Arc<TargetGroup>,
    /// `None`: nobody is signed in, or the rule does not ask. Either way whatever the client said is removed.
    pub identity: Option<Arc<IdentityHeaders>>,
}

/// `Err(Reply)` is every answer that the gateway gives itself.
pub async fn handle(
    gateway: &Gateway,
    listener: &ListenerRules,
    request: &RequestView<'_>,
    now: UnixTime,
    record: &mut Record,
) -> Result<Forward, Reply> {
    if !listener.hosts.serve(request.authority.host()) {
        return Err(reply::misdirected(request.authority.host()).reply(gateway, request.visitor(), Some(&request.target.href()), record));
    }
    if let Some(endpoint) = endpoints::find(gateway, listener, request) {
        return Err(endpoints::serve(endpoint, gateway, listener, request, now, record).await);
    }
    let rule = listener
        .rules
        .find(request)
        .map_err(|_| reply::for_malformed(Malformed::AmbiguousPath).reply(gateway, request.visitor(), None, record))?;
    record.rule = Some(rule.name.clone());
    record.rule_priority = Some(rule.priority);
    let known = authenticate(gateway, rule, request, now, record).await?;
    let identity = known
        .map(|known| known.headers(gateway, now))
        .transpose()
        .map_err(|error| reply::for_headers(error).reply(gateway, request.visitor(), None, record))?;
    match &rule.routing {
        RoutingAction::Forward(target_group) => {
            record.actions.push("forward");
            Ok(Forward { target_group: target_group.clone(), identity })
        }
        RoutingAction::Redirect(redirect) => {
            record.actions.push("redirect");
            Err(redirect.reply(request))
        }
        RoutingAction::FixedResponse(fixed) => {
            record.actions.push("fixed-response");
            Err(Reply::fixed(fixed))
        }
    }
}

/// The person behind the request, nobody where the rule lets nobody pass, or the answer.
async fn authenticate(
    gateway: &Gateway,
    rule: &RuleActions,
    request: &RequestView<'_>,
    now: UnixTime,
    record: &mut Record,
) -> Result<Option<Arc<Known>>, Reply> {
    let Some(authenticate) = &rule.authenticate else { return Ok(None) };
    record.actions.push("authenticate");
    record.identity_provider = Some(authenticate.provider.name.clone());
    if request.scheme == Scheme::Http {
        // Cookies are `Secure`: over plain HTTP nobody can be signed in, and nothing secret may be said (threat F23).
        return Err(Reply::redirect(302, &request.https_url()));
    }
    if authenticate.allow_cors_preflight && is_cors_preflight(request.method, request.headers) {
        record.outcome = Some("anonymous");
        return Ok(None);
    }
    let presented = gateway.authentication.presented(authenticate, request.headers, now);
    if let Presented::Session(session) = &presented {
        let known = gateway.known.get(session.id);
        record.session_was_known = Some(known.is_some());
        let known = match known {
            Some(known) => known,
            None => gateway
                .known
                .identity(authenticate, session)
                .map_err(|error| reply::for_session_record(error).reply(gateway, request.visitor(), None, record))?,
        };
        record.outcome = Some("session");
        record.subject = Some(known.identity.subject.clone());
        record.display_name = Some(known.identity.display_name().to_owned());
        record.session = Some(session.id.hash());
        return Ok(Some(known));
    }
    challenge(gateway, authenticate, &presented, request, now, record).await.map(|()| None)
}

/// What a request without a session gets.
async fn challenge(
    gateway: &Gateway,
    authenticate: &Authenticate,
    presented: &Presented,
    request: &RequestView<'_>,
    now: UnixTime,
    record: &mut Record,
) -> Result<(), Reply> {
    let reason = match presented {
        Presented::Nothing => "AuthMissingCookie",
        Presented::Unusable => "AuthInvalidCookie",
        Presented::Expired(_) => "AuthExpiredCookie",
        Presented::Ended => "AuthEndedSession",
        Presented::Session(_) => return Ok(()),
    };
    let reply = match decide(authenticate.on_unauthenticated_request, presented, request.kind()) {
        Decision::PassAnonymously => {
            record.outcome = Some("anonymous");
            return Ok(());
        }
        Decision::Redirect => endpoints::login::begin(gateway, authenticate, request, request.target.as_str(), now, record).await,
        Decision::Refuse => refuse(gateway, authenticate, request, reason, record),
    };
    if !matches!(presented, Presented::Nothing) {
        record.error_reason.get_or_insert(reason);
    }
    // Only what will never open again is taken away. An expired session stays: in deny mode it is what sends the next navigation
    // to the provider (contract §6), and a late answer to a request of before must not delete the cookies of a new login.
    if matches!(presented, Presented::Unusable | Presented::Ended) {
        return Err(reply.with_cookies(authenticate.cookie.delete()));
    }
    Err(reply)
}

/// 401 with the way to sign in: a button for a person, a URL for a program.
fn refuse(gateway: &Gateway, authenticate: &Authenticate, request: &RequestView<'_>, reason: &'static str, record: &mut Record) -> Reply {
    let return_to = page_of(request);
    let login = endpoints::login::url(gateway, authenticate.rule, &return_to);
    let absolute = format!("{}{login}", request.origin());
    let mut reply = reply::unauthenticated(reason).reply(gateway, request.visitor(), Some(&login), record);
    if !shows_page(request.headers) {
        let body = json!({"error": "sign_in_required", "request_id": request.request_id, "login_url": absolute});
        reply = Reply::json(401, &body);
    }
    // After the Cookie scheme of draft-broyer-http-cookie-auth: there is no registered one for this.
    let challenge = format!(
        "Cookie realm=\"{}\", form-action=\"{absolute}\", cookie-name=\"{}\"",
        request.authority.host(),
        authenticate.cookie.name()
    );
    match HeaderValue::try_from(challenge) {
        Ok(challenge) => reply.with(WWW_AUTHENTICATE, challenge),
        Err(_) => reply,
    }
}

/// Where a person should be after signing in: the page itself, or, for what a page has fetched, that page.
fn page_of(request: &RequestView<'_>) -> String {
    if shows_page(request.headers) && *request.method == http::Method::GET {
        return request.target.as_str().to_owned();
    }
    let referer = request.header("referer").and_then(|referer| referer.strip_prefix(&request.origin()).map(str::to_owned));
    referer.filter(|path| crate::message::RequestTarget::parse(path.as_bytes()).is_ok()).unwrap_or_else(|| "/".to_owned())
}

impl<'a> RequestView<'a> {
    pub(super) fn visitor(&self) -> Visitor<'a> {
        Visitor { host: self.authority.host(), headers: self.headers, request_id: self.request_id }
    }
}
