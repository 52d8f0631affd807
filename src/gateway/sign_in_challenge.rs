//! 401 with the way to sign in.

use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;

use super::reply::Verdict;
use super::{Exchange, Reply, bearer, endpoints, reply};
use crate::authentication::Authenticate;
use crate::message::{RequestTarget, shows_page};

/// 401 to whoever is not signed in.
pub(super) fn ask_to_sign_in(authenticate: &Authenticate, reason: &'static str, exchange: &mut Exchange<'_>) -> Reply {
    let of_tokens = authenticate.bearer_tokens.as_ref().and_then(|tokens| bearer::bare_challenge(tokens, exchange));
    sign_in_challenge(authenticate, reply::unauthenticated(reason), &[], of_tokens, exchange)
}

/// 401 with the way to sign in: a button for a person, a URL for a program.
pub(super) fn sign_in_challenge(
    authenticate: &Authenticate,
    verdict: Verdict,
    more: &[(&str, &str)],
    beside: Option<HeaderValue>,
    exchange: &mut Exchange<'_>,
) -> Reply {
    let request = exchange.request;
    let login = endpoints::login::url(exchange.gateway, authenticate.rule, &page_of(exchange));
    let absolute = exchange.own_url(&login);
    let situation = verdict.situation;
    let mut reply = exchange.refuse(verdict, Some(&login));
    if !shows_page(request.headers) {
        let more = [&[("login_url", absolute.as_str())], more].concat();
        reply = Reply::for_program(exchange.visitor(), 401, situation, &more);
    }
    // After the Cookie scheme of draft-broyer-http-cookie-auth: there is no registered one for this.
    let challenge = format!(
        "Cookie realm=\"{}\", form-action=\"{absolute}\", cookie-name=\"{}\"",
        request.authority.host(),
        authenticate.cookie.name()
    );
    let challenges = HeaderValue::try_from(challenge).ok().into_iter().chain(beside);
    challenges.fold(reply, |reply, challenge| reply.with(WWW_AUTHENTICATE, challenge))
}

/// Where a person should be after signing in: the page itself, or, for what a page has fetched, that page.
pub(super) fn page_of(exchange: &Exchange<'_>) -> String {
    let request = exchange.request;
    if shows_page(request.headers) && *request.method == http::Method::GET {
        return request.target.as_str().to_owned();
    }
    let referer = request.header("referer").and_then(|referer| referer.strip_prefix(&request.origin()).map(str::to_owned));
    referer.filter(|path| RequestTarget::parse(path.as_bytes()).is_ok()).unwrap_or_else(|| "/".to_owned())
}
