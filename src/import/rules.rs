//! Rules and actions. What cannot be carried over is closed, not left open: a request that an ALB would have kept out must not
//! come in because a line was dropped.

use super::aws;
use super::balancing::sticky_seconds;
use super::collected::Collected;
use super::conditions::condition;
use super::groups::Groups;
use super::model::{Actions, Authenticate, JwtValidation, Notes, Routing, Rule};
use super::providers::Providers;
use super::transforms::{transforms, without_use};
use crate::config::OWN_PARAMETERS;
use crate::gateway::Redirect;
use crate::session::SessionCookie;

/// What rules add to while they are translated.
pub(super) struct Translation<'c> {
    pub(super) collected: &'c Collected,
    pub(super) providers: Providers,
    pub(super) groups: Groups,
    pub(super) notes: Notes,
}

/// The listener on which actions stand.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// `listener 443, rule 10`
    pub(super) words: &'a str,
    pub(super) is_https: bool,
    /// Why nothing may be forwarded from here, whatever the rule.
    pub(super) closed: Option<&'a str>,
}

impl Translation<'_> {
    /// `None`: the rule never matched anything.
    pub(super) fn rule(&mut self, raw: &aws::Rule, priority: u32, place: Place<'_>, left_out: &mut Vec<String>) -> Option<Rule> {
        let mut comments = Vec::new();
        let mut conditions = Vec::new();
        let mut faults: Vec<String> = raw.unresolved.iter().map(|what| absent(what)).collect();
        for raw in &raw.conditions {
            match condition(raw, place.words, &mut comments, &mut self.notes) {
                Ok(Some(condition)) => conditions.push(condition),
                Ok(None) => {
                    self.notes.leave(left_out, place.words, "is left out: it never matched");
                    return None;
                }
                Err(fault) => faults.push(fault),
            }
        }
        let transforms = transforms(&raw.transforms).unwrap_or_else(|fault| {
            faults.push(fault);
            Vec::new()
        });
        if conditions.is_empty() {
            conditions.push(super::model::Condition::Texts("path_pattern", vec!["*".to_owned()]));
            if faults.is_empty() {
                faults.push("it has no condition".to_owned());
            }
        }
        let actions =
            if faults.is_empty() { self.actions(&raw.actions, place) } else { self.closed(&faults.join("; "), &raw.actions, place) };
        let mut rule = Rule { comments, priority, conditions, actions, transforms };
        without_use(&mut rule);
        Some(rule)
    }

    pub(super) fn actions(&mut self, raw: &[aws::Action], place: Place<'_>) -> Actions {
        let mut actions = Actions::default();
        match self.try_actions(raw, place, &mut actions.comments) {
            Ok((before, routing)) => {
                let (authenticate, jwt_validation) = match before {
                    Some(Before::Authenticate(authenticate)) => (Some(*authenticate), None),
                    Some(Before::JwtValidation(validation)) => (None, Some(validation)),
                    None => (None, None),
                };
                Actions { authenticate, jwt_validation, routing, ..actions }
            }
            Err(fault) => {
                let closed = self.closed(&fault, raw, place);
                Actions { comments: [actions.comments, closed.comments].concat(), ..closed }
            }
        }
    }

    fn closed(&mut self, fault: &str, was: &[aws::Action], place: Place<'_>) -> Actions {
        let mut actions = Actions::default();
        self.notes.leave(&mut actions.comments, place.words, format!("{fault}. Closed (503) until you decide what stands here"));
        actions.comments.push(format!("It was: {}", was.iter().map(summary).collect::<Vec<_>>().join(", then ")));
        actions
    }

    fn try_actions(
        &mut self,
        raw: &[aws::Action],
        place: Place<'_>,
        comments: &mut Vec<String>,
    ) -> Result<(Option<Before>, Routing), String> {
        let mut sorted: Vec<&aws::Action> = raw.iter().collect();
        sorted.sort_by_key(|action| action.order);
        if let Some(what) = raw.iter().flat_map(|action| &action.unresolved).next() {
            return Err(absent(what));
        }
        for remark in raw.iter().flat_map(|action| &action.remarks) {
            self.notes.leave(comments, place.words, remark);
        }
        let Some((last, before)) = sorted.split_last() else { return Err("there is no action".to_owned()) };
        let before = match before {
            [] => None,
            [action] if action.r#type == "jwt-validation" => Some(Before::JwtValidation(jwt_validation(action, place)?)),
            [action] => Some(Before::Authenticate(Box::new(self.authenticate(action, place, comments)?))),
            _ => return Err("more than two actions".to_owned()),
        };
        Ok((before, self.routing(last, place, comments)?))
    }

    fn authenticate(&mut self, raw: &aws::Action, place: Place<'_>, comments: &mut Vec<String>) -> Result<Authenticate, String> {
        if !place.is_https {
            return Err("people cannot be signed in over plain http".to_owned());
        }
        let (provider, session) = match (raw.r#type.as_str(), &raw.authenticate_cognito_config, &raw.authenticate_oidc_config) {
            ("authenticate-cognito", Some(config), _) => (self.providers.cognito(config, &mut self.notes)?, &config.session),
            ("authenticate-oidc", _, Some(config)) => (self.providers.oidc(config, &mut self.notes)?, &config.session),
            (kind, ..) => return Err(format!("{kind} is not supported by this version")),
        };
        let mode = match session.on_unauthenticated_request.as_deref() {
            Some("authenticate") | None => "authenticate",
            Some("deny") => "deny",
            Some("allow") => "allow",
            Some(other) => return Err(format!("OnUnauthenticatedRequest {other:?} is not known")),
        };
        let mut leave = |what: String| self.notes.leave(comments, place.words, what);
        let mut scope = session.scope.clone().filter(|scope| !scope.is_empty()).unwrap_or_else(|| "openid".to_owned());
        if !scope.split(' ').any(|scope| scope == "openid") {
            leave(format!("openid is added to the scope {scope:?}: there would be no ID token"));
            scope = format!("openid {scope}");
        }
        let mut cookie = session.session_cookie_name.clone().unwrap_or_else(|| DEFAULT_COOKIE.to_owned());
        if !SessionCookie::may_be_called(&cookie) {
            leave(format!("{cookie:?} cannot name the session cookie: {DEFAULT_COOKIE} stands in for it"));
            cookie = DEFAULT_COOKIE.to_owned();
        }
        let mut timeout = session.session_timeout.unwrap_or(LONGEST_SESSION);
        if !(1..=LONGEST_SESSION).contains(&timeout) {
            leave(format!("a session of {timeout} s is not possible: 1 s to 7 days"));
            timeout = timeout.clamp(1, LONGEST_SESSION);
        }
        let mut extra_params = Vec::new();
        for (name, value) in &session.authentication_request_extra_params {
            if OWN_PARAMETERS.contains(&name.as_str()) || name.len() > 256 || extra_params.len() == 10 {
                leave(format!("the parameter {name:?} is left out: the gateway sets it itself, or it is one too many"));
            } else {
                extra_params.push((name.clone(), value.clone()));
            }
        }
        Ok(Authenticate {
            provider,
            on_unauthenticated_request: mode,
            scope,
            session_cookie_name: cookie,
            session_timeout: timeout,
            extra_params,
        })
    }

    fn routing(&mut self, raw: &aws::Action, place: Place<'_>, comments: &mut Vec<String>) -> Result<Routing, String> {
        match raw.r#type.as_str() {
            "forward" => match place.closed {
                Some(why) => Err(why.to_owned()),
                None => self.forward(raw, place, comments),
            },
            "redirect" => redirect(raw.redirect_config.as_ref().ok_or("redirect without RedirectConfig")?),
            "fixed-response" => fixed_response(raw.fixed_response_config.as_ref().ok_or("fixed-response without FixedResponseConfig")?),
            kind => Err(format!("{kind} cannot stand last, or is not supported by this version")),
        }
    }

    fn forward(&mut self, raw: &aws::Action, place: Place<'_>, comments: &mut Vec<String>) -> Result<Routing, String> {
        let weighted = raw.forward_config.as_ref().map(|config| config.target_groups.as_slice()).unwrap_or_default();
        let mut groups: Vec<(String, u32)> = Vec::new();
        for group in weighted {
            let name = self.groups.name(&group.target_group_arn, self.collected, &mut self.notes)?;
            groups.push((name, group.weight.unwrap_or(1)));
        }
        match (groups.as_slice(), &raw.target_group_arn) {
            ([], Some(arn)) => groups.push((self.groups.name(arn, self.collected, &mut self.notes)?, 1)),
            ([], None) => return Err("forward without a target group".to_owned()),
            ([_], _) => {}
            (several, _) => check_weights(several)?,
        }
        let sticky = raw.forward_config.as_ref().and_then(|config| config.target_group_stickiness_config.as_ref());
        let seconds =
            sticky.filter(|sticky| sticky.enabled == Some(true) && groups.len() > 1).map(|sticky| sticky.duration_seconds.unwrap_or(3600));
        if let Some(seconds) = seconds.filter(|seconds| !sticky_seconds(*seconds)) {
            self.notes.leave(comments, place.words, format!("stickiness for {seconds} s is not possible"));
        }
        Ok(Routing::Forward { groups, stickiness: seconds.filter(|seconds| sticky_seconds(*seconds)) })
    }
}

fn check_weights(groups: &[(String, u32)]) -> Result<(), String> {
    let twice = groups.iter().enumerate().find(|(index, (name, _))| groups[..*index].iter().any(|(other, _)| other == name));
    if let Some((_, (name, _))) = twice {
        return Err(format!("the target group {name} is named twice"));
    }
    if groups.len() > 5 || groups.iter().any(|(_, weight)| *weight > 999) {
        return Err("more than five target groups, or a weight above 999".to_owned());
    }
    if groups.iter().all(|(_, weight)| *weight == 0) { Err("every target group has weight 0".to_owned()) } else { Ok(()) }
}

/// What stands before the routing action.
enum Before {
    Authenticate(Box<Authenticate>),
    JwtValidation(JwtValidation),
}

fn jwt_validation(raw: &aws::Action, place: Place<'_>) -> Result<JwtValidation, String> {
    if !place.is_https {
        return Err("tokens cannot be asked for over plain http".to_owned());
    }
    super::tokens::jwt_validation(raw.jwt_validation_config.as_ref().ok_or("jwt-validation without JwtValidationConfig")?)
}

fn absent(what: &str) -> String {
    format!("what is decided here is not in the files ({what})")
}

/// An action for a person who has to replace it.
fn summary(raw: &aws::Action) -> String {
    let weighted = raw.forward_config.iter().flat_map(|config| &config.target_groups).map(|group| &group.target_group_arn);
    let names: Vec<&str> = weighted.chain(&raw.target_group_arn).filter_map(|arn| arn.split('/').nth(1)).collect();
    match names.first() {
        Some(name) if names.iter().all(|other| other == name) => format!("{} to {name}", raw.r#type),
        Some(_) => format!("{} to {}", raw.r#type, names.join(" and ")),
        None => raw.r#type.clone(),
    }
}

fn redirect(raw: &aws::Redirect) -> Result<Routing, String> {
    let status = match raw.status_code.as_str() {
        "HTTP_301" => 301,
        "HTTP_302" => 302,
        other => return Err(format!("a redirect with {other:?}")),
    };
    let aws::Redirect { protocol, host, port, path, query, .. } = raw.clone();
    let redirect = Redirect::new(protocol, host, port, path, query, status);
    // These end up in a Location header.
    let parts = [&redirect.host, &redirect.path, &redirect.query];
    if let Some(part) = parts.into_iter().find(|part| !part.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(format!("a redirect with {part:?}"));
    }
    redirect.check().map_err(|error| error.to_string())?;
    Ok(Routing::Redirect(redirect))
}

fn fixed_response(raw: &aws::FixedResponse) -> Result<Routing, String> {
    let status = raw.status_code.parse().ok().filter(|status| matches!(status, 200..=299 | 400..=599));
    let status = status.ok_or_else(|| format!("a fixed response with status {:?}", raw.status_code))?;
    let content_type = raw.content_type.clone().filter(|text| !text.is_empty());
    if content_type.as_ref().is_some_and(|text| http::HeaderValue::from_str(text).is_err()) {
        return Err(format!("a fixed response with content type {content_type:?}"));
    }
    if raw.message_body.as_ref().is_some_and(|body| body.chars().count() > 1024) {
        return Err("a fixed response of more than 1024 characters".to_owned());
    }
    Ok(Routing::FixedResponse { status, content_type, body: raw.message_body.clone().filter(|body| !body.is_empty()) })
}

const DEFAULT_COOKIE: &str = SessionCookie::DEFAULT_NAME;
const LONGEST_SESSION: u64 = 7 * 24 * 60 * 60;
