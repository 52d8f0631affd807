//! Whether the person of a request may pass: the rule's policy, and the answer for whoever may not.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::known_sessions::Known;
use super::pages::PageContext;
use super::{Authorized, Exchange, Record, Reply, RuleActions, reply, sign_in_challenge};
use crate::authentication::is_cors_preflight;
use crate::authorization::{Decision, Facts, Permit, Refusal, authorize};
use crate::message::shows_page;
use crate::provider::LogoutStyle;

/// `None`: nobody is signed in, and neither the rule nor its policy minds.
pub(super) fn permit<'k, 'a: 'k>(
    rule: &RuleActions,
    known: Option<&'k Known>,
    exchange: &mut Exchange<'a>,
) -> Result<Option<Permit<'k>>, Reply> {
    if known.is_none() && passes_as_preflight(rule, exchange) {
        return Ok(None);
    }
    let facts = Facts { identity: known.map(|known| &known.identity), request: exchange.request, now: exchange.now };
    match authorize(rule.authorize.as_ref(), &facts) {
        Ok(passage) => {
            exchange.record.note(&passage.decision);
            Ok(passage.permit)
        }
        Err(refusal) => Err(refuse(rule, known, &refusal, exchange)),
    }
}

impl Record {
    fn note(&mut self, decision: &Decision) {
        let authorized = match decision {
            Decision::NotAsked => return,
            Decision::Allowed => Authorized { decision: "allowed", reason: None, detail: None },
            Decision::WouldRefuse(refusal) => refused("would_refuse", refusal),
        };
        self.actions.push("authorize");
        self.authorized = Some(authorized);
    }
}

fn refused(decision: &'static str, refusal: &Refusal) -> Authorized {
    Authorized { decision, reason: Some(reply::for_refusal(refusal).reason), detail: Some(refusal.to_string()) }
}

/// 403 with the way to sign in as somebody else; whoever is not signed in is asked to sign in.
fn refuse(rule: &RuleActions, known: Option<&Known>, refusal: &Refusal, exchange: &mut Exchange<'_>) -> Reply {
    exchange.record.actions.push("authorize");
    exchange.record.authorized = Some(refused("refused", refusal));
    exchange.record.outcome = Some("refused");
    if let (None, Some(authenticate)) = (known, &rule.authenticate) {
        return sign_in_challenge::ask_to_sign_in(authenticate, "AuthMissingCookie", exchange);
    }
    if known.is_none_or(|known| known.identity.session.is_none()) {
        // A program with a token: there is nobody else to sign in as.
        return exchange.refuse(reply::for_refusal(refusal), None);
    }
    let elsewhere = way_out(rule, exchange);
    let reply = exchange.refuse(reply::for_refusal(refusal), Some(&elsewhere));
    let visitor = exchange.visitor();
    let Some(known) = known.filter(|_| shows_page(visitor.headers)) else { return reply };
    let context = PageContext {
        host: visitor.host,
        identity: name_of(known),
        status: Some(reply.status),
        request_id: visitor.request_id,
        action: Some(&elsewhere),
        // From the first page there is no way back but the same page.
        secondary: (exchange.request.target.path() != "/").then_some("/"),
        ..PageContext::default()
    };
    reply::page_reply(exchange.gateway, visitor, reply.status, "forbidden", &context)
}

/// Signs out here and at the provider, and comes back to the page, so that somebody else can sign in. Cognito and providers with a way
/// of their own lead to registered places only, which a page is not: there the person arrives at our own page for people who have
/// signed out.
fn way_out(rule: &RuleActions, exchange: &Exchange<'_>) -> String {
    let logout = format!("{}/logout", exchange.gateway.prefix);
    match rule.authenticate.as_ref().map(|authenticate| &authenticate.provider.logout) {
        Some(LogoutStyle::Cognito | LogoutStyle::Template(_)) => logout,
        Some(LogoutStyle::RpInitiated) | None => {
            format!("{logout}?return_to={}", utf8_percent_encode(&sign_in_challenge::page_of(exchange), NON_ALPHANUMERIC))
        }
    }
}

/// As people know themselves: their address before their name at the provider.
fn name_of(known: &Known) -> &str {
    known.identity.claims.get("email").and_then(Value::as_str).unwrap_or(&known.identity.display_name)
}

/// A preflight carries no cookie. Where the rule lets it pass bare, there is nobody to ask about.
fn passes_as_preflight(rule: &RuleActions, exchange: &Exchange<'_>) -> bool {
    let request = exchange.request;
    rule.allows_cors_preflight() && is_cors_preflight(request.method, request.headers)
}
