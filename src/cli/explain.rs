//! `vestibule explain`: what would happen to a request, and why.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::explained_token::Outcome;
use super::{AT_FAULT, decision, explained_token, output, past_request};
use crate::app::{self, Options};
use crate::authentication::{Authenticate, Decision, OnUnauthenticatedRequest, Presented, decide, is_cors_preflight};
use crate::authorization::Permit;
use crate::clock::UnixTime;
use crate::gateway::{Forward, Gateway, ListenerRules, RoutingAction, RuleActions, Sticky, for_transform};
use crate::identity::{Identity, display_name};
use crate::identity_headers::{ForwardedForMode, IdentityHeaders};
use crate::message::{Authority, RequestTarget, RequestView, Scheme};
use crate::proxy::DryRun;
use crate::secret::Secret;

/// What was typed.
#[derive(clap::Args)]
pub(super) struct Explain {
    #[arg(long, value_name = "FILE", default_value = "config/vestibule.yaml")]
    config: PathBuf,
    /// The request's URL, as a browser would have it.
    #[arg(long, required_unless_present = "request_id")]
    url: Option<String>,
    /// A past request instead: its id, or at least the first four digits of it, as the page showed them.
    #[arg(long, value_name = "ID", conflicts_with_all = ["url", "claims"])]
    request_id: Option<String>,
    /// Where to look for it; by default the access log of the configuration.
    #[arg(long, value_name = "FILE", requires = "request_id")]
    access_log: Option<PathBuf>,
    #[arg(long, default_value = "GET")]
    method: String,
    /// A header of the request; may be given again.
    #[arg(long = "header", value_name = "N: V")]
    headers: Vec<String>,
    /// JSON with the claims of a person who is signed in; without it nobody is.
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// The visitor's address.
    #[arg(long, value_name = "IP", default_value = "192.0.2.1")]
    source_ip: IpAddr,
    /// The explanation as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) const NOT_OVER_HTTP: &str = "nobody is signed in over plain http";

/// A request to be explained.
pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: HeaderMap,
    pub(super) client: IpAddr,
    /// Of the person who is signed in.
    pub(super) claims: Option<Map<String, Value>>,
    pub(super) now: UnixTime,
}

pub(super) fn run(arguments: &Explain) -> ExitCode {
    let options = Options::default();
    let (loaded, report) = app::load(&arguments.config, &options);
    let Some(loaded) = loaded else {
        output::complain(report.render(output::has_color(&std::io::stderr())).trim_end());
        return ExitCode::from(AT_FAULT);
    };
    let gateway = loaded.gateway();
    let outcome = match &arguments.request_id {
        Some(id) => past(arguments, id, loaded.access_log(), gateway, options.clock.now()),
        None => present(arguments, gateway, options.clock.now()),
    };
    match outcome {
        Ok(words) => {
            output::print(&words);
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::complain(&error);
            ExitCode::from(AT_FAULT)
        }
    }
}

fn present(arguments: &Explain, gateway: &Arc<Gateway>, now: UnixTime) -> Result<String, String> {
    let question = Question {
        method: &arguments.method,
        url: arguments.url.as_deref().unwrap_or_default(),
        headers: headers(&arguments.headers)?,
        client: arguments.source_ip,
        claims: arguments.claims.as_deref().map(read_claims).transpose()?,
        now,
    };
    let (explanation, _) = explain(question, gateway)?;
    Ok(if arguments.json { format!("{explanation:#}") } else { text(&explanation) })
}

/// A past request: what the log says, what to do, and what would happen to it today.
fn past(arguments: &Explain, id: &str, log: Option<&Path>, gateway: &Arc<Gateway>, now: UnixTime) -> Result<String, String> {
    let log = arguments
        .access_log
        .as_deref()
        .or(log)
        .ok_or("the access log of this configuration is standard output: name a file with --access-log")?;
    let entry = past_request::find(log, id)?;
    let client = entry.get("client_port").and_then(Value::as_str).and_then(|text| text.parse::<std::net::SocketAddr>().ok());
    let today = past_request::request(&entry).and_then(|(method, url)| {
        let client = client.map_or(arguments.source_ip, |client| client.ip());
        explain(Question { method: &method, url: &url, headers: HeaderMap::new(), client, claims: None, now }, gateway)
            .ok()
            .map(|(today, _)| today)
    });
    if arguments.json {
        let advice = entry.get("error_reason").and_then(Value::as_str).and_then(past_request::advice);
        let advice = advice.map(|(means, what)| json!({"means": means, "do": what}));
        return Ok(format!("{:#}", json!({"past": entry, "advice": advice, "today": today})));
    }
    let today = today.map(|today| format!("\n\nToday, without its headers and its session:\n\n{}", text(&today))).unwrap_or_default();
    Ok(past_request::text(&entry) + &today)
}

/// The explanation, and whether the request comes as far as the rule's routing action.
pub(super) fn explain(question: Question<'_>, gateway: &Arc<Gateway>) -> Result<(Value, bool), String> {
    let Question { method, url, headers, client, claims, now } = question;
    let (scheme, rest) = match url.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        _ => return Err(format!("{url}: not an http or https URL")),
    };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let authority = Authority::parse(host.as_bytes()).map_err(|error| format!("400: {error}"))?;
    let target = RequestTarget::parse(path.as_bytes()).map_err(|error| format!("400: {error}"))?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    let port = authority.port().unwrap_or(scheme.default_port());
    let listener = listener(gateway, scheme, port).ok_or("the configuration has no listener for this URL's scheme")?;
    let request =
        RequestView { method: &method, scheme, port, authority: &authority, target: &target, headers: &headers, client, request_id: "" };

    let mut explanation = json!({"request": format!("{method} {}{}", request.origin(), target.as_str()), "listener": listener.name});
    if !listener.hosts.serve(authority.host()) {
        explanation["answer"] = json!({"status": 421, "because": format!("{} is not a host of this listener", authority.host())});
        return Ok((explanation, false));
    }
    if gateway.has_endpoint(listener, &request) {
        explanation["answer"] = json!({"because": "a path of the gateway's own"});
        return Ok((explanation, false));
    }
    let tried = listener.rules.explain(&request);
    explanation["rules"] = tried
        .iter()
        .map(|tried| json!({"priority": tried.rule.priority, "matches": tried.failed.is_empty(), "failed": tried.failed.iter().map(ToString::to_string).collect::<Vec<_>>()}))
        .collect();
    let Ok(rule) = listener.rules.find(&request) else {
        let other = target.second_reading().unwrap_or_default();
        explanation["answer"] =
            json!({"status": 400, "because": format!("the path can also be read as {other}, which another rule matches")});
        return Ok((explanation, false));
    };
    explanation["rule"] = (*rule.name).into();
    let identity = match &rule.authenticate {
        None if let Some(validation) = &rule.jwt_validation => {
            match explained_token::explain(validation, claims, &request, now, &mut explanation)? {
                Outcome::Passes(identity) => identity,
                Outcome::Answered => return Ok((explanation, false)),
            }
        }
        None => {
            explanation["authentication"] = json!({"because": "the rule does not ask who it is"});
            None
        }
        Some(authenticate) => match authentication(authenticate, claims, &request, now, &mut explanation)? {
            Outcome::Passes(identity) => identity,
            Outcome::Answered => return Ok((explanation, false)),
        },
    };
    let passes = decision::authorization(rule, identity.as_deref(), &request, now, &mut explanation);
    if let Some(permit) = &passes {
        route(rule, permit.filter(|_| rule.tells_target()), &request, listener, gateway, now, &mut explanation)?;
    }
    Ok((explanation, passes.is_some()))
}

fn authentication(
    authenticate: &Arc<Authenticate>,
    claims: Option<Map<String, Value>>,
    request: &RequestView<'_>,
    now: UnixTime,
    explanation: &mut Value,
) -> Result<Outcome, String> {
    let provider = &authenticate.provider;
    let mode = match authenticate.on_unauthenticated_request {
        OnUnauthenticatedRequest::Authenticate => "authenticate",
        OnUnauthenticatedRequest::Deny => "deny",
        OnUnauthenticatedRequest::Allow => "allow",
    };
    let names: Vec<&str> = authenticate.ways().map(|way| &*way.provider.name).collect();
    let mut said = json!({"identity_provider": names.join(" or "), "mode": mode, "session_cookie_name": authenticate.cookie.name()});
    let outcome = if request.scheme == Scheme::Http {
        said["because"] = NOT_OVER_HTTP.into();
        explanation["answer"] = json!({"status": 302, "location": request.https_url()});
        Outcome::Answered
    } else if authenticate.allow_cors_preflight && is_cors_preflight(request.method, request.headers) {
        said["because"] = "a preflight passes, bare".into();
        Outcome::Passes(None)
    } else {
        let stranger = match claims.map(|claims| authenticate.requirements.judge(&claims, now).map(|()| claims)) {
            Some(Ok(claims)) => {
                said["because"] = "signed in, with the claims given".into();
                explanation["authentication"] = said;
                return Ok(Outcome::Passes(Some(Box::new(identity(authenticate, claims)?))));
            }
            Some(Err(found)) => format!("signed in, with the claims given, and not as the rule asks for: {found}"),
            None => "no session".to_owned(),
        };
        said["because"] = stranger.into();
        match decide(authenticate.on_unauthenticated_request, &Presented::Nothing, request.kind()) {
            Decision::PassAnonymously => Outcome::Passes(None),
            Decision::Redirect => {
                explanation["answer"] = json!({"status": 302, "because": format!("to sign in at {}", provider.display_name)});
                Outcome::Answered
            }
            Decision::Refuse => {
                let why = if request.kind().follows_redirects() { "the mode is deny" } else { "the request cannot follow a redirect" };
                explanation["answer"] = json!({"status": 401, "because": why});
                Outcome::Answered
            }
        }
    };
    explanation["authentication"] = said;
    Ok(outcome)
}

fn identity(authenticate: &Authenticate, mut claims: Map<String, Value>) -> Result<Identity, String> {
    let subject: Arc<str> = claims.get("sub").and_then(Value::as_str).ok_or("the claims have no sub")?.into();
    // These are kept with a session and shown to nobody.
    claims.retain(|name, _| !matches!(name.as_str(), "iss" | "sid"));
    Ok(Identity {
        provider: authenticate.provider.name.clone(),
        issuer: authenticate.provider.issuers.first().clone(),
        client_id: authenticate.provider.client_id.clone(),
        display_name: display_name(&claims).map_or_else(|| subject.clone(), Arc::from),
        subject,
        claims,
        access_token: Secret::from("THE-ACCESS-TOKEN"),
        id_token: Secret::from(""),
        session: None,
        expires_at: crate::clock::UnixTime(0),
    })
}

fn route(
    rule: &RuleActions,
    permit: Option<Permit<'_>>,
    request: &RequestView<'_>,
    listener: &ListenerRules,
    gateway: &Arc<Gateway>,
    now: UnixTime,
    explanation: &mut Value,
) -> Result<(), String> {
    match &rule.routing {
        RoutingAction::Redirect(redirect) => {
            let reply = redirect.reply(request);
            let location = reply.headers.iter().find(|(name, _)| name == "location").and_then(|(_, value)| value.to_str().ok());
            explanation["answer"] = json!({"status": reply.status, "location": location});
        }
        RoutingAction::FixedResponse(fixed) => explanation["answer"] = json!({"status": fixed.status}),
        RoutingAction::Forward(action) => {
            // Without cookies and without chance: what most visitors get.
            let Some(weighted) = action.groups.iter().rev().max_by_key(|weighted| weighted.weight) else { return Ok(()) };
            let group = &weighted.group;
            let headers = permit
                .map(|permit| IdentityHeaders::of(permit, &gateway.signer, &gateway.claim_headers, gateway.sends_access_token, now))
                .transpose()
                .map_err(|error| error.to_string())?;
            let rewritten = match rule.transforms.apply(request.authority, request.target) {
                Ok(rewritten) => rewritten,
                Err(error) => {
                    explanation["answer"] = json!({"status": for_transform(error).status, "because": error.to_string()});
                    return Ok(());
                }
            };
            let target = rewritten.target.as_ref().unwrap_or(request.target).as_str().to_owned();
            let forward = Forward {
                target_group: group.clone(),
                identity: headers.map(Arc::new),
                session: None,
                sticky: Sticky::default(),
                rewritten,
                set_cookies: Vec::new(),
                resent: None,
            };
            let told = listener.forwarded.mode != ForwardedForMode::Remove;
            let dry_run = DryRun {
                method: request.method,
                authority: request.authority,
                target: request.target,
                headers: request.headers,
                client: request.client,
                scheme: request.scheme,
                port: request.port,
                forwarded_for: told.then(|| request.client.to_string()),
            };
            let head = dry_run.target_head(gateway, forward, now).map_err(|error| error.to_string())?;
            // The signature is left out: whoever reads this could use it for two minutes.
            let shown = |name: &str, value: String| {
                if name == "x-amzn-oidc-data" {
                    value.rsplit_once('.').map_or(value.clone(), |(signed, _)| format!("{signed}.SIGNATURE"))
                } else {
                    value
                }
            };
            explanation["forward"] = json!({
                "target_group": group.name,
                "weights": action.groups.iter().map(|weighted| json!({"target_group": weighted.group.name, "weight": weighted.weight})).collect::<Vec<_>>(),
                "targets": group.targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>(),
                "request": format!("{} {target}", request.method),
                "headers": head.into_iter().map(|(name, value)| { let value = shown(&name, value); json!([name, value]) }).collect::<Vec<_>>(),
            });
        }
    }
    Ok(())
}

/// The listener of that port, or else the first that speaks the URL's scheme: a port may be mapped on the way.
fn listener(gateway: &Gateway, scheme: Scheme, port: u16) -> Option<&ListenerRules> {
    let speaks = || gateway.listeners.iter().filter(|listener| listener.scheme == scheme || !listener.forwarded.trusted_proxies.is_empty());
    speaks().find(|listener| listener.port == port).or_else(|| speaks().next())
}

pub(super) fn headers(lines: &[String]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("{line:?}: a header is written NAME: VALUE"))?;
        let name = name.trim().parse::<HeaderName>().map_err(|_| format!("{name:?} is not the name of a header"))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| format!("{value:?} is not the value of a header"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn read_claims(path: &Path) -> Result<Map<String, Value>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    crate::message::json::object(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// The same for a person.
fn text(explanation: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines = vec![word(&explanation["request"]), String::new(), format!("  listener        {}", word(&explanation["listener"]))];
    for rule in explanation["rules"].as_array().into_iter().flatten() {
        let failed: Vec<String> = rule["failed"].as_array().into_iter().flatten().map(&word).collect();
        let verdict = if failed.is_empty() { "matches".to_owned() } else { format!("no: {}", failed.join("; ")) };
        lines.push(format!("  rule {:<10} {verdict}", rule["priority"].to_string()));
    }
    if explanation["rule"] == "default" {
        lines.push("  default         no rule matches before it".to_owned());
    }
    if let Some(said) = explanation["authentication"].as_object() {
        let whom = said.get("identity_provider").map(|name| format!("{}, {}: ", word(name), word(&said["mode"]))).unwrap_or_default();
        lines.push(format!("  authentication  {whom}{}", word(&said["because"])));
    }
    if let Some(said) = explanation["authorization"].as_object() {
        lines.push(format!("  authorization   {}: {}", word(&said["decision"]).replace('_', " "), word(&said["because"])));
    }
    if let Some(answer) = explanation["answer"].as_object() {
        let more: Vec<String> =
            ["because", "location"].iter().filter_map(|name| answer.get(*name)).filter(|value| !value.is_null()).map(&word).collect();
        let said: Vec<String> =
            answer.get("status").map(&word).into_iter().chain([more.join(", ")]).filter(|words| !words.is_empty()).collect();
        lines.push(format!("  answer          {}", said.join("  ")));
    }
    if let Some(forward) = explanation["forward"].as_object() {
        let targets: Vec<String> = forward["targets"].as_array().into_iter().flatten().map(&word).collect();
        lines.push(format!("  forward         {} ({})", word(&forward["target_group"]), targets.join(", ")));
        let weights: Vec<String> = forward["weights"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| format!("{} {}", word(&one["target_group"]), one["weight"]))
            .collect();
        if weights.len() > 1 {
            lines.push(format!("  by weight       {}", weights.join(", ")));
        }
        lines.push(format!("\n  The target receives\n\n    {}", word(&forward["request"])));
        for header in forward["headers"].as_array().into_iter().flatten() {
            lines.push(format!("    {}: {}", word(&header[0]), word(&header[1])));
        }
    }
    lines.join("\n")
}
