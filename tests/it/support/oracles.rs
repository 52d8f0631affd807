//! What "refused" and "clean" mean, beyond a status code.

use url::Url;

use super::World;
use super::client::{Browser, NAVIGATE, parameter, set_cookies};
use super::secrets::random;
use super::target::MARK;
use super::wire::{Request, Response};

pub(crate) const IDENTITY_HEADERS: [&str; 3] = ["x-amzn-oidc-identity", "x-amzn-oidc-accesstoken", "x-amzn-oidc-data"];

/// The configured plain headers.
pub(crate) const CLAIM_HEADERS: [&str; 3] = ["X-Auth-Email", "X-Auth-Name", "X-Auth-Groups"];

/// NOSESS: the callback answers one of `statuses`, sets no session, leaves the browser signed out and the target alone,
/// and spends at most one token call; the log says `reason`.
#[track_caller]
pub(crate) fn no_session(
    world: &World,
    browser: &mut Browser,
    callback: &str,
    (statuses, reason): (&[u16], &str),
    variant: &str,
) -> Response {
    let (target, tokens) = (world.target.count(), world.provider.count("token"));
    // Known by its user agent in the access log.
    let agent = random(12);
    let response = browser.request("GET", callback, &NAVIGATE[1..], &[("User-Agent", &agent)], None);
    assert!(statuses.contains(&response.status()), "{variant}: {response}");
    let session = set_cookies(&response).into_iter().find(|cookie| cookie.is_session() && !cookie.deletes());
    assert!(session.is_none(), "{variant}: a session cookie was set: {session:?}");
    assert!(world.provider.count("token") <= tokens + 1, "{variant}: more than one token call");
    assert!(is_signed_out(world, browser), "{variant}: signed in after a refused callback");
    assert_eq!(world.target.count(), target, "{variant}: the target saw a request");
    if !reason.is_empty() {
        let lines = world.gateway.access_lines_with(1, |line| line["user_agent"] == agent.as_str());
        let line = lines.first().unwrap_or_else(|| panic!("{variant}: not in the access log"));
        assert_eq!(line["error_reason"], reason, "{variant}: {line}");
    }
    response
}

/// The same where the code must not be spent at all: what is refused is refused before the token call.
#[track_caller]
pub(crate) fn no_session_no_token_call(
    world: &World,
    browser: &mut Browser,
    callback: &str,
    expected: (&[u16], &str),
    variant: &str,
) -> Response {
    let tokens = world.provider.count("token");
    let response = no_session(world, browser, callback, expected, variant);
    assert_eq!(world.provider.count("token"), tokens, "{variant}: the code was spent");
    response
}

/// Somebody in a session of the provider's own that has this `sid`.
pub(crate) fn signed_in_with_sid(world: &World, user: &str, sid: &serde_json::Value) -> Browser {
    let sid = sid.clone();
    world.provider.set(|provider| provider.claim("sid", sid));
    let mut browser = world.browser();
    sign_in_as(world, &mut browser, "/", user);
    browser
}

/// As a link on a page of the application does it.
pub(crate) fn sign_out(browser: &mut Browser) {
    let response = browser.request("GET", "/oauth2/logout", &NAVIGATE[..4], &[("Sec-Fetch-Site", "same-origin")], None);
    assert_eq!(response.status(), 302, "{response}");
}

/// Whether a protected page sends the browser to a provider.
pub(crate) fn is_signed_out(world: &World, browser: &mut Browser) -> bool {
    let response = browser.get("/still-signed-out");
    let to_provider = response.location().is_some_and(|location| !location.starts_with(&world.gateway.origin()));
    response.status() == 401 || (response.status() == 302 && to_provider)
}

#[track_caller]
pub(crate) fn assert_signed_in(browser: &mut Browser, variant: &str) {
    let response = browser.get("/still-signed-in");
    assert_eq!(response.status(), 200, "{variant}: not signed in: {response}");
}

/// NOBYPASS: nothing reached the target, and the answer is one of the gateway's own.
#[track_caller]
pub(crate) fn no_bypass(world: &World, mark: usize, response: Option<&Response>, variant: &str) {
    let seen = world.target.since(mark);
    assert!(seen.is_empty(), "{variant}: the target saw {} {}", seen[0].method, seen[0].target);
    if let Some(response) = response {
        assert!(matches!(response.status(), 302 | 400 | 401 | 403 | 405 | 414 | 421 | 431 | 501), "{variant}: {response}");
        assert!(!response.text().contains(MARK), "{variant}: bytes of the target");
    }
}

/// IDCLEAN without a session: no identity header in any spelling.
#[track_caller]
pub(crate) fn no_identity(request: &Request, variant: &str) {
    for name in IDENTITY_HEADERS.iter().chain(&CLAIM_HEADERS) {
        let found = request.folded(name);
        assert!(found.is_empty(), "{variant}: {found:?} at the target");
    }
}

/// IDCLEAN with a session: exactly one instance of each, with the gateway's own value.
#[track_caller]
pub(crate) fn identity_of(request: &Request, subject: &str, variant: &str) {
    for name in IDENTITY_HEADERS {
        let found = request.folded(name);
        assert_eq!(found.len(), 1, "{variant}: {name} is {found:?} at the target");
    }
    assert_eq!(request.get("x-amzn-oidc-identity"), Some(subject), "{variant}: subject");
    for name in CLAIM_HEADERS {
        let found = request.folded(name);
        assert!(found.len() <= 1, "{variant}: {name} is {found:?} at the target");
    }
    assert!(request.get("x-amzn-oidc-accesstoken").is_some_and(|token| token.starts_with("access-")), "{variant}: access token");
}

/// SAMEORIGIN: as a browser resolves it, `location` stays on the gateway.
#[track_caller]
pub(crate) fn same_origin(world: &World, location: &str, variant: &str) {
    let base = Url::parse(&world.gateway.url("/oauth2/idpresponse")).unwrap();
    let resolved = base.join(location).unwrap_or_else(|error| panic!("{variant}: {location:?} is no URL ({error})"));
    assert_eq!(resolved.origin(), base.origin(), "{variant}: {location:?} leaves the origin");
}

/// A protected page's authorization URL.
#[track_caller]
pub(crate) fn start_login(world: &World, browser: &mut Browser, path: &str) -> String {
    let response = browser.get(path);
    let location = response.location().unwrap_or_default();
    assert!(
        response.status() == 302 && location.starts_with(&format!("{}/authorize?", world.provider.issuer())),
        "{path}: expected 302 to the provider: {response}"
    );
    location.to_owned()
}

/// Signs in through the provider; the callback's answer.
#[track_caller]
pub(crate) fn sign_in(world: &World, browser: &mut Browser, path: &str) -> Response {
    let user = world.provider.set(|behaviour| behaviour.user.clone());
    sign_in_as(world, browser, path, &user)
}

#[track_caller]
pub(crate) fn sign_in_as(world: &World, browser: &mut Browser, path: &str, user: &str) -> Response {
    let authorization = start_login(world, browser, path);
    let callback = world.provider.approve_as(&authorization, user);
    let response = browser.get(&callback);
    let reasons: Vec<_> = world.gateway.access_lines();
    assert_eq!(
        response.status(),
        302,
        "login did not succeed: {response} {:?}",
        reasons.last().map(|line| line["error_reason"].to_string())
    );
    response
}

/// A login of a fresh browser against an honest provider works, so that refusals before it meant something.
#[track_caller]
pub(crate) fn honest_login_works(world: &World) {
    world.provider.reset();
    let mut browser = world.browser();
    sign_in(world, &mut browser, "/honest");
    assert_signed_in(&mut browser, "honest login");
}

/// A callback URL with one parameter replaced; `None` takes it away.
pub(crate) fn with_parameter(url: &str, name: &str, value: Option<&str>) -> String {
    let (base, query) = url.split_once('?').unwrap();
    let mut kept: Vec<_> = super::wire::pairs(query);
    kept.retain(|(n, _)| n != name);
    if let Some(value) = value {
        kept.push((name.to_owned(), value.to_owned()));
    }
    let mut serializer = form_urlencoded::Serializer::new(String::new());
    serializer.extend_pairs(kept);
    format!("{base}?{}", serializer.finish())
}

/// The `state` of an authorization or callback URL.
pub(crate) fn state_of(url: &str) -> String {
    parameter(url, "state").unwrap()
}

/// A login in which the provider behaves as `prepare` says, up to the callback's answer.
pub(crate) fn attempt(world: &World, prepare: impl FnOnce(&mut super::behaviour::Behaviour)) -> (Browser, String) {
    world.provider.reset();
    world.provider.set(prepare);
    let mut browser = world.browser();
    let authorization = start_login(world, &mut browser, "/attempt");
    let callback = world.provider.approve(&authorization);
    (browser, callback)
}

/// NOSESS with `AuthInvalidIdToken` when the provider behaves as `prepare` says.
#[track_caller]
pub(crate) fn refuses_id_token(world: &World, variant: &str, prepare: impl FnOnce(&mut super::behaviour::Behaviour)) {
    let (mut browser, callback) = attempt(world, prepare);
    no_session(world, &mut browser, &callback, (&[561], "AuthInvalidIdToken"), variant);
}

/// The login succeeds when the provider behaves as `prepare` says.
#[track_caller]
pub(crate) fn accepts_login(world: &World, variant: &str, prepare: impl FnOnce(&mut super::behaviour::Behaviour)) -> Browser {
    let (mut browser, callback) = attempt(world, prepare);
    let response = browser.get(&callback);
    assert_eq!(response.status(), 302, "{variant}: {response}");
    assert_signed_in(&mut browser, variant);
    browser
}
