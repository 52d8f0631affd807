//! Conditions and actions: mappings with exactly one key, which names the kind.

use std::collections::BTreeMap;

use crate::config::node::{Content, Node};
use crate::config::raw::{BearerTokens, JwtValidation, Named};
use crate::config::reader::{FromNode, Located, Reader, Seconds};
use crate::config::report::Span;

/// One condition.
#[derive(Debug, Clone)]
pub(in crate::config) enum Condition {
    HostHeader(Vec<Located<String>>),
    HostRegex(Vec<Located<String>>),
    PathPattern(Vec<Located<String>>),
    PathRegex(Vec<Located<String>>),
    HttpRequestMethod(Vec<Located<String>>),
    HttpHeader(HttpHeader),
    QueryString(Vec<QueryPair>),
    SourceIp(Vec<Located<String>>),
}

section! {
    /// Any of the values in any header of that name, without regard to case.
    pub struct HttpHeader {
        /// Name of the header; not Host.
        name: Located<String>,
        /// ALB wildcards * and ?, escaped with a backslash.
        values: Vec<Located<String>>,
        /// Regular expressions, beside or instead of values.
        regex_values: Vec<Located<String>>,
    }
}

section! {
    /// A pair of the query, without regard to case.
    pub struct QueryPair {
        /// ALB wildcards; any key without it.
        key: Option<Located<String>>,
        /// ALB wildcards * and ?, escaped with a backslash.
        value: Located<String>,
    }
}

/// One action, with its place.
#[derive(Debug, Clone)]
pub(in crate::config) struct Action {
    pub(in crate::config) kind: ActionKind,
    pub(in crate::config) span: Span,
    pub(in crate::config) path: String,
}

#[derive(Debug, Clone)]
pub(in crate::config) enum ActionKind {
    Authenticate(Box<Authenticate>),
    JwtValidation(Box<JwtValidation>),
    Authorize(Box<Authorize>),
    Forward(Forward),
    Redirect(Box<Redirect>),
    FixedResponse(FixedResponse),
}

section! {
    /// Signs people in.
    pub struct Authenticate {
        /// A name under identity_providers. This, or identity_providers.
        identity_provider: Option<Located<String>>,
        /// Several of them: the person chooses.
        identity_providers: Located<Vec<Located<String>>>,
        /// Default authenticate.
        on_unauthenticated_request: Option<OnUnauthenticatedRequest>,
        /// Space-separated. Default openid.
        scope: Option<Located<String>>,
        /// Default AWSELBAuthSessionCookie. Applications that must not share sessions need names of their own.
        session_cookie_name: Option<Located<String>>,
        /// 1s to 7d. Default 7d.
        session_timeout: Option<Located<Seconds>>,
        /// Without a request for so long the session is over, 1m to the session timeout. Off unless given.
        idle_timeout: Option<Located<Seconds>>,
        /// Whether a session that cannot be given new tokens ends with the access token. Default false, as on an ALB.
        session_ends_with_tokens: Option<bool>,
        /// The acr of the sign-in is one of these; the most wanted first. Sent along, and checked at every request.
        acr_values: Located<Vec<Located<String>>>,
        /// How long ago people may have signed in at the provider (auth_time). Sent along, and checked at every request.
        max_age: Option<Located<Seconds>>,
        /// The sign-in used all of these methods (RFC 8176), such as mfa. Checked at every request.
        amr: Located<Vec<Located<String>>>,
        /// Added to the authorization request; at most 10.
        authentication_request_extra_params: Named<Located<String>>,
        /// A real preflight (OPTIONS, Origin, Access-Control-Request-Method) passes, bare. Default false.
        allow_cors_preflight: Option<bool>,
        /// Origins whose pages may open WebSockets with a session, beside the listener's own hosts. "*" for any.
        allowed_origins: Vec<Located<String>>,
        /// Also accepts Authorization: Bearer on this rule.
        bearer_tokens: Option<Located<BearerTokens>>,
    }
}

words! {
    /// What a request without a session gets.
    pub enum OnUnauthenticatedRequest { Authenticate = "authenticate", Deny = "deny", Allow = "allow" }
}

section! {
    /// Who of those that are signed in may pass. All that is given has to hold.
    pub struct Authorize {
        /// CEL over claims, request, identity_provider and now.
        allow: Option<Located<String>>,
        /// Any of these groups.
        groups: Option<Located<Vec<Located<String>>>>,
        /// The claim that holds the groups. Default: the provider's groups_claim.
        groups_claim: Option<Located<String>>,
        /// Any of these addresses, if the provider has verified it: bob@example.com, *@example.com, *@*.example.com.
        emails: Option<Located<Vec<Located<String>>>>,
        /// Each of these claims with any of its values.
        claims: Named<Vec<Located<String>>>,
        /// Default enforce. shadow decides, logs and counts, and lets everybody pass.
        mode: Option<AuthorizeMode>,
    }
}

words! {
    /// Whether a refusal is one.
    pub enum AuthorizeMode { Enforce = "enforce", Shadow = "shadow" }
}

/// A name, or a mapping with several.
#[derive(Debug, Clone)]
pub(in crate::config) struct Forward {
    pub(in crate::config) target_groups: Vec<WeightedTargetGroup>,
    pub(in crate::config) stickiness: Option<Located<Seconds>>,
}

section! {
    /// Several target groups, by weight.
    pub struct WeightedForward {
        /// 1 to 5.
        target_groups: Vec<WeightedTargetGroup>,
        /// How long a visitor stays with a group, 1s to 7d. Off unless given.
        stickiness: Option<Located<Seconds>>,
    }
}

section! {
    /// A target group and its share.
    pub struct WeightedTargetGroup {
        /// A name under target_groups.
        name: Located<String>,
        /// 0 to 999. Default 1.
        weight: Option<Located<u32>>,
    }
}

section! {
    /// ALB's redirect, with #{protocol}, #{host}, #{port}, #{path} and #{query}.
    pub struct Redirect {
        /// Default #{protocol}.
        protocol: Option<String>,
        /// Default #{host}.
        host: Option<String>,
        /// Default #{port}.
        port: Option<String>,
        /// Default /#{path}.
        path: Option<String>,
        /// Default #{query}.
        query: Option<String>,
        /// HTTP_301 or HTTP_302.
        status_code: RedirectStatus,
    }
}

words! {
    /// Status of a redirect.
    pub enum RedirectStatus { Http301 = "HTTP_301", Http302 = "HTTP_302" }
}

section! {
    /// An answer that is spelled out here.
    pub struct FixedResponse {
        /// 200 to 599, without 3xx.
        status_code: Located<u16>,
        /// Default text/plain.
        content_type: Option<Located<String>>,
        /// At most 1024 characters.
        message_body: Option<Located<String>>,
    }
}

impl FromNode for Condition {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        const KINDS: [&str; 8] =
            ["host_header", "host_regex", "path_pattern", "path_regex", "http_request_method", "http_header", "query_string", "source_ip"];
        let (kind, value) = one_key(node, reader, &KINDS, &[])?;
        reader.within(kind, |reader| {
            Some(match kind {
                "host_header" => Self::HostHeader(Vec::read(value, reader)?),
                "host_regex" => Self::HostRegex(Vec::read(value, reader)?),
                "path_pattern" => Self::PathPattern(Vec::read(value, reader)?),
                "path_regex" => Self::PathRegex(Vec::read(value, reader)?),
                "http_request_method" => Self::HttpRequestMethod(Vec::read(value, reader)?),
                "http_header" => Self::HttpHeader(HttpHeader::read(value, reader)?),
                "query_string" => Self::QueryString(Vec::read(value, reader)?),
                _ => Self::SourceIp(Vec::read(value, reader)?),
            })
        })
    }
}

impl FromNode for Action {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let (kind, value) =
            one_key(node, reader, &["authenticate", "jwt_validation", "authorize", "forward", "redirect", "fixed_response"], &[])?;
        let path = reader.path().to_owned();
        let kind = reader.within(kind, |reader| match kind {
            "authenticate" => Authenticate::read(value, reader).map(|action| ActionKind::Authenticate(Box::new(action))),
            "jwt_validation" => JwtValidation::read(value, reader).map(|action| ActionKind::JwtValidation(Box::new(action))),
            "authorize" => Authorize::read(value, reader).map(|action| ActionKind::Authorize(Box::new(action))),
            "forward" => Forward::read(value, reader).map(ActionKind::Forward),
            "redirect" => Redirect::read(value, reader).map(|action| ActionKind::Redirect(Box::new(action))),
            _ => FixedResponse::read(value, reader).map(ActionKind::FixedResponse),
        })?;
        Some(Self { kind, span: node.span, path })
    }
}

impl FromNode for Forward {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if matches!(node.content, Content::Mapping(_)) {
            let WeightedForward { target_groups, stickiness } = WeightedForward::read(node, reader)?;
            return Some(Self { target_groups, stickiness });
        }
        let name = Located::read(node, reader)?;
        Some(Self { target_groups: vec![WeightedTargetGroup { name, weight: None }], stickiness: None })
    }
}

fn one_key<'n>(node: &'n Node, reader: &mut Reader<'_>, known: &[&'static str], later: &[&str]) -> Option<(&'static str, &'n Node)> {
    let mapping = reader.mapping(node, known, later)?;
    let entries: Vec<_> = mapping.entries().collect();
    match entries[..] {
        [(name, _, value)] => known.iter().find(|known| **known == name).map(|known| (*known, value)),
        _ => {
            reader.fault(mapping.span(), format!("exactly one of {} is expected here", known.join(", ")));
            None
        }
    }
}

impl Authenticate {
    /// The one, or the several.
    pub(in crate::config) fn providers(&self) -> &[Located<String>] {
        self.identity_provider.as_ref().map_or(&self.identity_providers.value, std::slice::from_ref)
    }

    /// In the order of their names.
    pub(in crate::config) fn extra_params(&self) -> &BTreeMap<String, Located<Located<String>>> {
        &self.authentication_request_extra_params.sections
    }
}
