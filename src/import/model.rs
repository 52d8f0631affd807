//! A configuration as it will be written. `comments` stand above the thing that they belong to.

/// Whole.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    pub(super) comments: Vec<String>,
    pub(super) listeners: Vec<Listener>,
    pub(super) providers: Vec<Provider>,
    pub(super) groups: Vec<Group>,
    /// The load balancer's ARN: applications compare it.
    pub(super) signer: Option<String>,
    pub(super) alb_access_log: bool,
}

impl Configuration {
    /// Sessions and stickiness are sealed.
    pub(super) fn needs_session_key(&self) -> bool {
        let sticks = |actions: &Actions| matches!(actions.routing, Routing::Forward { stickiness: Some(_), .. });
        let in_listener =
            |listener: &Listener| sticks(&listener.default_actions) || listener.rules.iter().any(|rule| sticks(&rule.actions));
        !self.providers.is_empty() || self.groups.iter().any(|group| group.is_sticky) || self.listeners.iter().any(in_listener)
    }
}

#[derive(Debug, Default)]
pub(super) struct Listener {
    pub(super) comments: Vec<String>,
    pub(super) address: String,
    pub(super) is_https: bool,
    /// Empty: the names in the certificates.
    pub(super) hosts: Vec<String>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) tls13_only: bool,
    /// `mutual_authentication: { mode: passthrough }`.
    pub(super) passes_client_certificates: bool,
    pub(super) tells_tls: bool,
    /// `preserve` or `remove`.
    pub(super) x_forwarded_for: Option<&'static str>,
    pub(super) tells_ports: bool,
    /// `monitor` or `strictest`.
    pub(super) desync_mitigation: Option<&'static str>,
    /// Keys and values of `response_headers`.
    pub(super) response_headers: Vec<(&'static str, String)>,
    pub(super) drops_server: bool,
    pub(super) rules_left_out: Vec<String>,
    pub(super) rules: Vec<Rule>,
    pub(super) default_actions: Actions,
}

/// Its files are `certs/NAME.pem` and `certs/NAME.key`.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) comments: Vec<String>,
    pub(super) name: String,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) comments: Vec<String>,
    pub(super) priority: u32,
    pub(super) conditions: Vec<Condition>,
    pub(super) actions: Actions,
    pub(super) transforms: Vec<Transform>,
}

#[derive(Debug)]
pub(super) enum Condition {
    /// `host_header`, `path_pattern`, …: a key and a list of texts.
    Texts(&'static str, Vec<String>),
    HttpHeader {
        name: String,
        values: Vec<String>,
        regex_values: Vec<String>,
    },
    QueryString(Vec<(Option<String>, String)>),
}

#[derive(Debug, Default)]
pub(super) struct Actions {
    pub(super) comments: Vec<String>,
    pub(super) authenticate: Option<Authenticate>,
    pub(super) jwt_validation: Option<JwtValidation>,
    pub(super) routing: Routing,
}

#[derive(Debug)]
pub(super) struct Authenticate {
    pub(super) provider: String,
    pub(super) on_unauthenticated_request: &'static str,
    pub(super) scope: String,
    pub(super) session_cookie_name: String,
    pub(super) session_timeout: u64,
    pub(super) extra_params: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct JwtValidation {
    pub(super) issuer: String,
    pub(super) jwks_endpoint: String,
    /// Name, form, values.
    pub(super) claims: Vec<(String, &'static str, Vec<String>)>,
}

#[derive(Debug, Default)]
pub(super) enum Routing {
    /// What stood here is not known here. Whoever was kept out before must not come in now, so nobody does.
    #[default]
    Closed,
    Forward {
        /// Names with weights.
        groups: Vec<(String, u32)>,
        /// Seconds.
        stickiness: Option<u64>,
    },
    Redirect(crate::gateway::Redirect),
    FixedResponse {
        status: u16,
        content_type: Option<String>,
        body: Option<String>,
    },
}

#[derive(Debug)]
pub(super) struct Provider {
    pub(super) comments: Vec<String>,
    pub(super) name: String,
    /// Keys and values, in order; without the secret, which is in `secrets/NAME`.
    pub(super) entries: Vec<(&'static str, String)>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) comments: Vec<String>,
    pub(super) name: String,
    pub(super) is_https: bool,
    /// Keys and values as they stand in the file.
    pub(super) settings: Vec<(&'static str, String)>,
    /// Its cookies are sealed, for which there has to be a session key.
    pub(super) is_sticky: bool,
    /// Addresses with what is to be said of each.
    pub(super) targets: Vec<(String, Option<String>)>,
    /// Keys and values as they stand in the file; `None` without a health check.
    pub(super) health_check: Option<Vec<(&'static str, String)>>,
    pub(super) response_timeout: Option<u64>,
}

/// What a person is told on standard error. Everything that is a comment in the file is a line here.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    pub(super) fn say(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }

    /// A comment where it belongs, and a line that says where that is.
    pub(super) fn leave(&mut self, comments: &mut Vec<String>, place: &str, what: impl Into<String>) {
        let what = what.into();
        self.0.push(format!("{place}: {what}"));
        comments.push(what);
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.0.iter().map(|line| super::yaml::one_line(line)).collect()
    }
}

/// `host_header_rewrite` or `url_rewrite`, the expression, and what stands in its place.
pub(super) type Transform = (&'static str, String, String);
