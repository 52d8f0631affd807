//! What `aws elbv2 describe-…` prints, as far as it matters here. Fields that are not known are left alone: AWS adds some every year.

use serde::Deserialize;
use serde_json::{Map, Value};

macro_rules! shapes {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(rename_all = "PascalCase")]
        pub(super) struct $name { $($(#[$field_meta])* pub(super) $field: $type),* }
    )*};
}

shapes! {
    pub struct LoadBalancer {
        load_balancer_arn: String,
        #[serde(default)]
        load_balancer_name: String,
        #[serde(rename = "DNSName")]
        #[serde(default)]
        dns_name: String,
        #[serde(default)]
        ip_address_type: String,
    }

    pub struct Listener {
        listener_arn: String,
        #[serde(default)]
        load_balancer_arn: String,
        #[serde(default)]
        port: u16,
        protocol: String,
        #[serde(default)]
        certificates: Vec<Certificate>,
        #[serde(default)]
        ssl_policy: String,
        default_actions: Vec<Action>,
        mutual_authentication: Option<MutualAuthentication>,
    }

    pub struct Certificate {
        certificate_arn: String,
        #[serde(default)]
        is_default: bool,
    }

    pub struct MutualAuthentication {
        mode: String,
    }

    pub struct Rule {
        rule_arn: String,
        /// A number as a text, or `default`.
        priority: String,
        conditions: Vec<Condition>,
        actions: Vec<Action>,
        #[serde(default)]
        transforms: Vec<Transform>,
        /// What conditions and transforms refer to and no file tells. Only templates have it.
        #[serde(default)]
        unresolved: Vec<String>,
    }

    pub struct Condition {
        field: String,
        #[serde(default)]
        values: Vec<String>,
        host_header_config: Option<Values>,
        path_pattern_config: Option<Values>,
        http_header_config: Option<HttpHeader>,
        http_request_method_config: Option<Values>,
        query_string_config: Option<QueryString>,
        source_ip_config: Option<Values>,
        #[serde(default)]
        regex_values: Vec<String>,
    }

    pub struct Values {
        #[serde(default)]
        values: Vec<String>,
        #[serde(default)]
        regex_values: Vec<String>,
    }

    pub struct HttpHeader {
        http_header_name: String,
        #[serde(default)]
        values: Vec<String>,
        #[serde(default)]
        regex_values: Vec<String>,
    }

    pub struct QueryString {
        values: Vec<Pair>,
    }

    pub struct Pair {
        key: Option<String>,
        value: String,
    }

    pub struct Transform {
        r#type: String,
        host_header_rewrite_config: Option<Rewrites>,
        url_rewrite_config: Option<Rewrites>,
    }

    pub struct Rewrites {
        #[serde(default)]
        rewrites: Vec<Rewrite>,
    }

    pub struct Rewrite {
        regex: String,
        #[serde(default)]
        replace: String,
    }

    pub struct Action {
        r#type: String,
        #[serde(default)]
        order: u32,
        target_group_arn: Option<String>,
        forward_config: Option<Forward>,
        redirect_config: Option<Redirect>,
        fixed_response_config: Option<FixedResponse>,
        authenticate_cognito_config: Option<Cognito>,
        authenticate_oidc_config: Option<Oidc>,
        jwt_validation_config: Option<JwtValidation>,
        /// What the action refers to and no file tells. Only templates have it.
        #[serde(default)]
        unresolved: Vec<String>,
        #[serde(default)]
        remarks: Vec<String>,
    }

    pub struct Forward {
        target_groups: Vec<Weighted>,
        target_group_stickiness_config: Option<Sticky>,
    }

    pub struct Sticky {
        enabled: Option<bool>,
        duration_seconds: Option<u64>,
    }

    pub struct Weighted {
        target_group_arn: String,
        weight: Option<u32>,
    }

    pub struct Redirect {
        protocol: Option<String>,
        host: Option<String>,
        port: Option<String>,
        path: Option<String>,
        query: Option<String>,
        status_code: String,
    }

    pub struct FixedResponse {
        message_body: Option<String>,
        status_code: String,
        content_type: Option<String>,
    }

    pub struct Cognito {
        user_pool_arn: String,
        user_pool_client_id: String,
        user_pool_domain: String,
        #[serde(flatten)]
        session: Session,
    }

    pub struct Oidc {
        issuer: String,
        authorization_endpoint: String,
        token_endpoint: String,
        user_info_endpoint: String,
        client_id: String,
        #[serde(flatten)]
        session: Session,
    }

    pub struct JwtValidation {
        jwks_endpoint: String,
        issuer: String,
        #[serde(default)]
        additional_claims: Vec<AdditionalClaim>,
    }

    pub struct AdditionalClaim {
        name: String,
        format: String,
        #[serde(default)]
        values: Vec<String>,
    }

    /// What the two ways to authenticate have in common.
    pub struct Session {
        session_cookie_name: Option<String>,
        session_timeout: Option<u64>,
        scope: Option<String>,
        #[serde(default)]
        authentication_request_extra_params: std::collections::BTreeMap<String, String>,
        on_unauthenticated_request: Option<String>,
    }

    pub struct TargetGroup {
        target_group_arn: String,
        target_group_name: String,
        #[serde(default)]
        target_type: String,
        #[serde(default)]
        protocol: String,
        #[serde(default)]
        protocol_version: String,
        port: Option<u16>,
        health_check_enabled: Option<bool>,
        #[serde(default)]
        health_check_protocol: String,
        #[serde(default)]
        health_check_port: String,
        health_check_path: Option<String>,
        health_check_interval_seconds: Option<u64>,
        health_check_timeout_seconds: Option<u64>,
        healthy_threshold_count: Option<u32>,
        unhealthy_threshold_count: Option<u32>,
        matcher: Option<Matcher>,
        #[serde(default)]
        remarks: Vec<String>,
    }

    pub struct Matcher {
        http_code: Option<String>,
        grpc_code: Option<String>,
    }

    pub struct TargetHealthDescription {
        target: Target,
        target_health: Option<TargetHealth>,
    }

    pub struct Target {
        id: String,
        port: Option<u16>,
    }

    pub struct TargetHealth {
        #[serde(default)]
        state: String,
    }

    pub struct Attribute {
        key: String,
        value: String,
    }
}

/// The list under a name, or what is wrong with it and where.
pub(super) fn list<T: serde::de::DeserializeOwned>(object: &mut Map<String, Value>, name: &str) -> Result<Option<Vec<T>>, String> {
    let Some(value) = object.remove(name) else { return Ok(None) };
    let Value::Array(items) = value else { return Err(format!("{name} is not a list")) };
    let item = |(index, item)| serde_json::from_value(item).map_err(|error| format!("{name}[{index}]: {error}"));
    items.into_iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
}
