//! One person's way through a login: redirects, the provider's forms, and back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ORIGIN, REFERER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use super::client::{Answer, Ask, Client, ClientError, Network, navigation};
use super::form::{Form, Page, encoded};
use super::people::{Person, User};
use super::plan::{Fields, is_loopback, shown};
use super::verdict::Expectation;

/// What a sign-in has to know beside who signs in.
pub(super) struct Login<'a> {
    pub(super) network: &'a Network,
    /// The page that is to be asked for.
    pub(super) page: &'a Url,
    /// Where it begins.
    pub(super) start: &'a Url,
    pub(super) fields: &'a Fields,
    pub(super) expectation: &'a Expectation,
}

/// Somebody who has signed in, and how long it took, without the waiting that the gateway asked for.
pub(super) struct SignedIn {
    pub(super) person: Person,
    pub(super) took: Duration,
}

/// Where it went wrong: which step, what was asked for, what came, and what may be done.
#[derive(Debug)]
pub(super) struct SignInError {
    user: String,
    step: usize,
    after: &'static str,
    asked: String,
    found: String,
    hint: &'static str,
}

impl std::fmt::Display for SignInError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, step, after, asked, found, hint } = self;
        write!(formatter, "{user} cannot sign in: at step {step}, {after}\n  {asked}\n  {found}\n  hint: {hint}")
    }
}

impl std::error::Error for SignInError {}

/// How far somebody has come.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Begun,
    NameGiven,
    PasswordGiven,
}

/// A request that comes next.
struct Step {
    method: Method,
    url: Url,
    form: Option<Bytes>,
    from: Option<Url>,
}

struct Journey<'a> {
    login: &'a Login<'a>,
    user: &'a User,
    stage: Stage,
    number: usize,
    asked: String,
    waited: Duration,
}

/// Signs in. Every redirect and every form is one step.
pub(super) async fn sign_in(login: &Login<'_>, user: &User) -> Result<SignedIn, SignInError> {
    let begin = Instant::now();
    let mut journey = Journey { login, user, stage: Stage::Begun, number: 0, asked: String::new(), waited: Duration::ZERO };
    let mut client = Client::new(login.network, Person::new(user.name.clone()));
    let mut step = Step::get(login.start.clone(), None);
    while journey.number < MOST_STEPS {
        let answer = journey.take(&mut client, &step).await?;
        match journey.next(&step, &answer)? {
            Some(next) => step = next,
            None => return Ok(SignedIn { person: client.person, took: begin.elapsed().saturating_sub(journey.waited) }),
        }
    }
    Err(journey.stuck("it goes on and on".to_owned(), "does the gateway send people in circles? a browser's own tools show where"))
}

impl Journey<'_> {
    /// Asks, and asks again where the other side wants it later.
    async fn take(&mut self, client: &mut Client<'_>, step: &Step) -> Result<Answer, SignInError> {
        self.number += 1;
        self.asked = format!("{} {}", step.method, shown(&step.url));
        let ask = Ask { method: step.method.clone(), url: &step.url, headers: step.headers(), body: step.form.clone().unwrap_or_default() };
        loop {
            let answer = client.ask(&ask).await.map_err(|error| self.unreachable(&error))?;
            tracing::debug!(user = %self.user.name, step = self.number, asked = %self.asked, status = answer.status.as_u16(), "sign-in");
            match answer.retry_after() {
                Some(pause) if self.waited + pause <= MOST_PATIENCE => {
                    let pause = pause.max(Duration::from_secs(1));
                    tokio::time::sleep(pause).await;
                    self.waited += pause;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// What a browser, and the person before it, would do next. `None`: arrived.
    fn next(&mut self, step: &Step, answer: &Answer) -> Result<Option<Step>, SignInError> {
        if let Some(location) = answer.location(&step.url) {
            return self.followed(step, answer.status, location).map(Some);
        }
        let page = if answer.is_html() { Page::parse(&answer.body) } else { Page { forms: Vec::new(), refresh: None } };
        let is_home = step.url.origin() == self.login.page.origin();
        if is_home && self.stage == Stage::PasswordGiven && self.is_the_page(&step.url) {
            return self.arrived(answer).map(|()| None);
        }
        if let Some(form) = page.password_form(self.login.fields) {
            if self.stage == Stage::PasswordGiven {
                let found = format!("answered {} and asks for the password again", answer.status.as_u16());
                return Err(self.stuck(found, "the name and the password do not go together, or the page wants more than these"));
            }
            self.stage = Stage::PasswordGiven;
            return self.submitted(step, form).map(Some);
        }
        if is_home && self.stage == Stage::PasswordGiven && page.refresh.is_none() {
            return self.arrived(answer).map(|()| None);
        }
        if let Some(target) = page.refresh.as_ref().and_then(|target| step.url.join(target).ok()) {
            return Ok(Some(Step::get(target, Some(step.url.clone()))));
        }
        if answer.status.is_server_error() {
            return Err(self.stuck(format!("answered {}", answer.status.as_u16()), "what do the logs over there say?"));
        }
        if self.stage == Stage::Begun
            && !(is_home && self.is_the_page(&step.url) && answer.status.is_success())
            && let Some(form) = page.user_form(self.login.fields)
        {
            self.stage = Stage::NameGiven;
            return self.submitted(step, form).map(Some);
        }
        // A page of the application itself has forms too, and they are not ours to press.
        if (!is_home || matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
            && let Some(form) = page.consent_form()
        {
            return self.submitted(step, form).map(Some);
        }
        Err(self.no_way_on(answer, is_home))
    }

    fn is_the_page(&self, url: &Url) -> bool {
        [self.login.page, self.login.start].iter().any(|page| page.path() == url.path())
    }

    fn arrived(&self, answer: &Answer) -> Result<(), SignInError> {
        if answer.status.is_success() || self.login.expectation.expects(answer.status) {
            return Ok(());
        }
        let hint = match answer.status.as_u16() {
            401 => "the gateway does not take the sign-in: its log has the reason",
            403 => "signed in, but not let in: is this user allowed to see the page?",
            _ => "signed in, but the page does not answer well: --expect-status says what is well, --sign-in-at another page to begin on",
        };
        Err(self.stuck(format!("answered {}", answer.status.as_u16()), hint))
    }

    fn followed(&self, step: &Step, status: StatusCode, location: Url) -> Result<Step, SignInError> {
        if !matches!(location.scheme(), "http" | "https") {
            return Err(self.stuck(
                format!("answered {} to a {} address", status.as_u16(), location.scheme()),
                "this login is one of an app, not of a browser",
            ));
        }
        let keeps_form = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        if keeps_form && step.form.is_some() {
            if location.origin() != step.url.origin() {
                let found = format!("answered {} to {}, with the form", status.as_u16(), shown(&location));
                return Err(self.stuck(found, "a password is not sent on to another host"));
            }
            return Ok(Step { method: step.method.clone(), url: location, form: step.form.clone(), from: Some(step.url.clone()) });
        }
        Ok(Step::get(location, Some(step.url.clone())))
    }

    fn submitted(&self, step: &Step, form: &Form) -> Result<Step, SignInError> {
        let mut url = step
            .url
            .join(&form.action)
            .map_err(|_| self.stuck("has a form that leads nowhere".to_owned(), "sign in with a browser and use --cookie-file instead"))?;
        url.set_fragment(None);
        if url.scheme() != "https" && !is_loopback(&url) && self.login.page.scheme() == "https" {
            let found = format!("has a form that would be sent in the clear, to {}", shown(&url));
            return Err(self.stuck(found, "a password is not sent over http to another machine"));
        }
        let entries = form.filled(self.user, self.login.fields);
        let text = encoded(&entries);
        if form.is_post {
            return Ok(Step {
                method: Method::POST,
                url,
                form: Some(Bytes::copy_from_slice(text.as_bytes())),
                from: Some(step.url.clone()),
            });
        }
        if self.stage == Stage::PasswordGiven
            && text.contains(form_urlencoded::byte_serialize(self.user.password.expose().as_bytes()).collect::<String>().as_str())
        {
            return Err(self.stuck("has a form that would put the password into a URL".to_owned(), "the form needs method=\"post\""));
        }
        url.set_query(Some(&text));
        Ok(Step::get(url, Some(step.url.clone())))
    }

    fn no_way_on(&self, answer: &Answer, is_home: bool) -> SignInError {
        let status = answer.status.as_u16();
        match self.stage {
            Stage::Begun if is_home && answer.status.is_success() => self.stuck(
                format!("answered {status} to somebody who is not signed in, and asks for no password"),
                "does this page need a sign-in? --sign-in-at names one that does, --anonymous asks without",
            ),
            Stage::Begun if is_home => self.stuck(
                format!("answered {status} instead of sending people to a login"),
                "--sign-in-at names a page that sends people to the login, as /oauth2/login of Vestibule",
            ),
            _ => self.stuck(
                format!("answered {status} with a page that has no form to fill in"),
                "a login with a script or a second factor: sign in with a browser and give its cookies with --cookie-file",
            ),
        }
    }

    fn unreachable(&self, error: &ClientError) -> SignInError {
        let hint = match error {
            ClientError::Dial(error) => error.hint(),
            ClientError::Timeout(_) => "--timeout allows for more",
            _ => "does it speak HTTP/1.1 there?",
        };
        self.stuck(error.to_string(), hint)
    }

    fn stuck(&self, found: String, hint: &'static str) -> SignInError {
        let after = match self.stage {
            Stage::Begun => "before a name was asked for",
            Stage::NameGiven => "after the name was given",
            Stage::PasswordGiven => "after the password was given",
        };
        SignInError { user: self.user.name.clone(), step: self.number, after, asked: self.asked.clone(), found, hint }
    }
}

impl Step {
    fn get(url: Url, from: Option<Url>) -> Self {
        Self { method: Method::GET, url, form: None, from }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = navigation();
        let Some(from) = &self.from else { return headers };
        let site = if from.origin() == self.url.origin() { "same-origin" } else { "cross-site" };
        headers.insert("sec-fetch-site", HeaderValue::from_static(site));
        if self.form.is_none() {
            return headers;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let referrer = if site == "same-origin" { shown(from) } else { format!("{}/", from.origin().ascii_serialization()) };
        for (name, value) in [(ORIGIN, from.origin().ascii_serialization()), (REFERER, referrer)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// Gateway and provider together need about eight; with a step for the name and one for consent, ten.
const MOST_STEPS: usize = 40;
/// How long a gateway that limits sign-ins may have somebody wait in all.
const MOST_PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    /// What becomes of a form on `at`, filled in by alice, for a page of https://app.test; then of a redirect of it to `to`.
    fn sent(at: &str, html: &str, to: Option<&str>) -> Result<String, String> {
        let page = Url::parse("https://app.test/page").unwrap();
        let tls = crate::load::client_config(None, true).unwrap();
        let network = Network::new(tls, &page, None, Duration::from_secs(1));
        let expectation = Expectation { statuses: Vec::new(), text: None };
        let login = Login { network: &network, page: &page, start: &page, fields: &Fields::default(), expectation: &expectation };
        let user = User { name: "alice".to_owned(), password: Secret::from("wonder land") };
        let journey =
            Journey { login: &login, user: &user, stage: Stage::PasswordGiven, number: 3, asked: String::new(), waited: Duration::ZERO };
        let step = Step::get(Url::parse(at).unwrap(), None);
        let forms = Page::parse(html.as_bytes());
        let mut next = journey.submitted(&step, forms.password_form(login.fields).unwrap()).map_err(|error| error.to_string())?;
        if let Some(to) = to {
            let status = StatusCode::TEMPORARY_REDIRECT;
            next = journey.followed(&next, status, Url::parse(to).unwrap()).map_err(|error| error.to_string())?;
        }
        let body = String::from_utf8(next.form.unwrap_or_default().to_vec()).unwrap();
        Ok(format!("{} {} {body}", next.method, next.url))
    }

    const FORM: &str = "<form method=post action=/login><input name=u><input type=password name=p></form>";

    #[test]
    fn a_password_goes_to_the_host_that_asked_for_it() {
        let form = "u=alice&p=wonder+land";
        assert_eq!(sent("https://op.test/x", FORM, None), Ok(format!("POST https://op.test/login {form}")));
        assert_eq!(sent("http://127.0.0.1:9/x", FORM, None), Ok(format!("POST http://127.0.0.1:9/login {form}")));
        assert_eq!(sent("https://op.test/x", FORM, Some("https://op.test/2")), Ok(format!("POST https://op.test/2 {form}")));
        let error = sent("https://op.test/x", FORM, Some("https://else.test/2?a=b")).unwrap_err();
        assert!(error.contains("to https://else.test/2, with the form") && !error.contains("a=b"), "{error}");
    }

    #[test]
    fn a_password_goes_neither_in_the_clear_nor_into_a_url() {
        let error = sent("http://op.test/x", FORM, None).unwrap_err();
        assert!(error.contains("in the clear, to http://op.test/login") && error.contains("at step 3"), "{error}");
        let error = sent("https://op.test/x", &FORM.replace("method=post", ""), None).unwrap_err();
        assert!(error.contains("would put the password into a URL") && !error.contains("wonder"), "{error}");
    }
}
