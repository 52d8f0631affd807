//! Terraform's spelling of a resource as AWS's.

use serde_json::{Map, Value, json};

use super::resources::Kind;
use super::unresolved::words;

pub(super) fn properties(kind: Kind, values: &Map<String, Value>) -> Map<String, Value> {
    let mut made = match kind {
        Kind::LoadBalancer => load_balancer(values),
        Kind::Listener => listener(values),
        Kind::ListenerRule => rule(values),
        Kind::ListenerCertificate => {
            let mut made = pick(values, &[("listener_arn", "ListenerArn")]);
            made.extend(single_certificate(values));
            made
        }
        Kind::TargetGroup => target_group(values),
        Kind::TargetGroupAttachment => pick(values, &[("target_group_arn", "TargetGroupArn"), ("target_id", "Id"), ("port", "Port")]),
    };
    // Where nothing is given, a state holds null and a configuration nothing.
    made.retain(|_, value| !is_nothing(value));
    made
}

fn load_balancer(values: &Map<String, Value>) -> Map<String, Value> {
    let mut made = pick(values, &[("name", "LoadBalancerName"), ("dns_name", "DNSName"), ("ip_address_type", "IpAddressType")]);
    // Known after apply, as always before the first: nobody has written it.
    made.retain(|key, value| key != "DNSName" || value.is_string());
    let mut attributes = Vec::new();
    let mut attribute = |key: &str, value: Option<&Value>| {
        attributes.extend(value.filter(|value| !is_nothing(value)).map(|value| json!({"Key": key, "Value": as_text(value)})));
    };
    attribute("idle_timeout.timeout_seconds", values.get("idle_timeout"));
    attribute("access_logs.s3.enabled", block(values, "access_logs").and_then(|block| block.get("enabled")));
    attribute("connection_logs.s3.enabled", block(values, "connection_logs").and_then(|block| block.get("enabled")));
    attribute("routing.http.xff_client_port.enabled", values.get("enable_xff_client_port"));
    attribute("routing.http.desync_mitigation_mode", values.get("desync_mitigation_mode"));
    attribute("routing.http.xff_header_processing.mode", values.get("xff_header_processing_mode"));
    let ciphers = values.get("enable_tls_version_and_cipher_suite_headers");
    attribute("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", ciphers);
    made.insert("LoadBalancerAttributes".to_owned(), attributes.into());
    made
}

fn listener(values: &Map<String, Value>) -> Map<String, Value> {
    let keys = [("load_balancer_arn", "LoadBalancerArn"), ("port", "Port"), ("protocol", "Protocol"), ("ssl_policy", "SslPolicy")];
    let mut made = pick(values, &keys);
    // The API says it of an ALB's listener; Terraform lets it be left out.
    made.entry("Protocol")
        .and_modify(|protocol| {
            if is_nothing(protocol) {
                *protocol = "HTTP".into();
            }
        })
        .or_insert_with(|| "HTTP".into());
    made.extend(single_certificate(values));
    made.insert("DefaultActions".to_owned(), blocks(values, "default_action").map(action).collect());
    if let Some(mutual) = block(values, "mutual_authentication") {
        made.insert("MutualAuthentication".to_owned(), json!({"Mode": mutual.get("mode").cloned().unwrap_or_default()}));
    }
    let headers = values.iter().filter_map(|(key, value)| {
        let (side, rest) = key.strip_prefix("routing_http_")?.split_once('_')?;
        let ends = ["_header_value", "_header_name", "_enabled"];
        let name = ends.iter().find_map(|end| rest.strip_suffix(end))?;
        let end = &rest[name.len() + 1..];
        Some(json!({"Key": format!("routing.http.{side}.{name}.{end}"), "Value": as_text(value)})).filter(|_| !is_nothing(value))
    });
    made.insert("ListenerAttributes".to_owned(), headers.collect());
    made
}

fn single_certificate(values: &Map<String, Value>) -> Option<(String, Value)> {
    let arn = values.get("certificate_arn").filter(|arn| !is_nothing(arn))?;
    Some(("Certificates".to_owned(), json!([{ "CertificateArn": arn }])))
}

fn rule(values: &Map<String, Value>) -> Map<String, Value> {
    let mut made = pick(values, &[("listener_arn", "ListenerArn"), ("priority", "Priority")]);
    made.insert("Actions".to_owned(), blocks(values, "action").map(action).collect());
    made.insert("Conditions".to_owned(), blocks(values, "condition").flat_map(conditions).collect());
    let transforms = blocks(values, "transform").map(|transform| {
        let mut made = pick(object(transform), &[("type", "Type")]);
        for (key, name) in [("host_header_rewrite_config", "HostHeaderRewriteConfig"), ("url_rewrite_config", "UrlRewriteConfig")] {
            if let Some(config) = transform.as_object().and_then(|transform| block(transform, key)) {
                let rewrites: Value = blocks(object(config), "rewrite").map(pascal).collect();
                made.insert(name.to_owned(), json!({ "Rewrites": rewrites }));
            }
        }
        marked(transform).unwrap_or(Value::Object(made))
    });
    made.insert("Transforms".to_owned(), transforms.collect());
    made
}

/// Each member of a block is a condition of its own.
fn conditions(condition: &Value) -> Vec<Value> {
    if let Some(mark) = marked(condition) {
        return vec![mark];
    }
    let mut made = Vec::new();
    for (key, value) in object(condition).iter().filter(|(_, value)| !is_nothing(value)) {
        let field = key.replace('_', "-");
        if let Some(mark) = marked(value) {
            made.push(mark);
        } else if field == "query-string" {
            let pairs: Value = blocks(object(condition), key).map(pascal).collect();
            made.push(json!({"Field": field, "QueryStringConfig": {"Values": pairs}}));
        } else if let Some(config) = block(object(condition), key) {
            made.push(json!({"Field": field, format!("{}Config", pascal_word(key)): pascal(config)}));
        }
    }
    if made.is_empty() { vec![json!({"Field": "a condition without a field"})] } else { made }
}

fn action(raw: &Value) -> Value {
    if let Some(mark) = marked(raw) {
        return mark;
    }
    let raw = object(raw);
    let mut made = pick(raw, &[("type", "Type"), ("order", "Order"), ("target_group_arn", "TargetGroupArn")]);
    made.retain(|_, value| !is_nothing(value));
    for (key, name) in [
        ("authenticate_cognito", "AuthenticateCognitoConfig"),
        ("authenticate_oidc", "AuthenticateOidcConfig"),
        ("redirect", "RedirectConfig"),
        ("fixed_response", "FixedResponseConfig"),
    ] {
        if let Some(config) = block(raw, key) {
            made.insert(name.to_owned(), pascal(config));
        }
    }
    if let Some(validation) = block(raw, "jwt_validation") {
        let mut config = pascal(validation);
        if let Some(claims) = config.as_object_mut().and_then(|config| config.remove("AdditionalClaim")) {
            config["AdditionalClaims"] = if claims.is_object() && words(&claims).is_none() { json!([claims]) } else { claims };
        }
        made.insert("JwtValidationConfig".to_owned(), config);
    }
    if let Some(forward) = block(raw, "forward") {
        let groups = blocks(object(forward), "target_group").map(|group| {
            marked(group).unwrap_or_else(|| Value::Object(pick(object(group), &[("arn", "TargetGroupArn"), ("weight", "Weight")])))
        });
        let mut config = json!({"TargetGroups": groups.collect::<Vec<_>>()});
        if let Some(sticky) = block(object(forward), "stickiness") {
            let sticky = pick(object(sticky), &[("enabled", "Enabled"), ("duration", "DurationSeconds")]);
            config["TargetGroupStickinessConfig"] = sticky.into();
        }
        made.insert("ForwardConfig".to_owned(), marked(forward).unwrap_or(config));
    }
    made.into()
}

fn target_group(values: &Map<String, Value>) -> Map<String, Value> {
    let keys = [
        ("name", "TargetGroupName"),
        ("port", "Port"),
        ("protocol", "Protocol"),
        ("protocol_version", "ProtocolVersion"),
        ("target_type", "TargetType"),
    ];
    let mut made = pick(values, &keys);
    if let Some(check) = block(values, "health_check") {
        let keys = [
            ("enabled", "HealthCheckEnabled"),
            ("path", "HealthCheckPath"),
            ("port", "HealthCheckPort"),
            ("protocol", "HealthCheckProtocol"),
            ("interval", "HealthCheckIntervalSeconds"),
            ("timeout", "HealthCheckTimeoutSeconds"),
            ("healthy_threshold", "HealthyThresholdCount"),
            ("unhealthy_threshold", "UnhealthyThresholdCount"),
        ];
        made.extend(pick(object(check), &keys));
        let code = if values.get("protocol_version").is_some_and(|version| version == "GRPC") { "GrpcCode" } else { "HttpCode" };
        if let Some(matcher) = check.get("matcher").filter(|matcher| !is_nothing(matcher)) {
            made.insert("Matcher".to_owned(), json!({ code: matcher }));
        }
    }
    made.insert("TargetGroupAttributes".to_owned(), balancing(values).into());
    made
}

fn balancing(values: &Map<String, Value>) -> Vec<Value> {
    let mut pairs = vec![
        ("deregistration_delay.timeout_seconds", values.get("deregistration_delay").cloned()),
        ("slow_start.duration_seconds", values.get("slow_start").cloned()),
        ("load_balancing.algorithm.type", values.get("load_balancing_algorithm_type").cloned()),
    ];
    if let Some(sticky) = block(values, "stickiness") {
        // A block that says nothing else switches it on.
        let enabled = sticky.get("enabled").filter(|enabled| !is_nothing(enabled)).cloned().unwrap_or(json!(true));
        let is_own = sticky.get("type").is_some_and(|kind| kind == "app_cookie");
        let lasts = if is_own { "stickiness.app_cookie.duration_seconds" } else { "stickiness.lb_cookie.duration_seconds" };
        pairs.push(("stickiness.enabled", Some(enabled)));
        pairs.push(("stickiness.type", sticky.get("type").cloned()));
        pairs.push((lasts, sticky.get("cookie_duration").cloned()));
        pairs.push(("stickiness.app_cookie.cookie_name", sticky.get("cookie_name").cloned()));
    }
    let given = pairs.into_iter().filter_map(|(key, value)| Some((key, value.filter(|value| !is_nothing(value))?)));
    given.map(|(key, value)| json!({"Key": key, "Value": as_text(&value)})).collect()
}

fn pick(values: &Map<String, Value>, keys: &[(&str, &str)]) -> Map<String, Value> {
    keys.iter().filter_map(|(key, name)| Some(((*name).to_owned(), values.get(*key)?.clone()))).collect()
}

/// Blocks of one name: a list, or in a configuration one object. A mark stands for all of them.
fn blocks<'v>(values: &'v Map<String, Value>, key: &str) -> impl Iterator<Item = &'v Value> {
    let (one, many) = match values.get(key) {
        Some(Value::Array(items)) => (None, items.as_slice()),
        one => (one.filter(|one| one.is_object()), [].as_slice()),
    };
    one.into_iter().chain(many)
}

fn block<'v>(values: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    blocks(values, key).next()
}

fn object(value: &Value) -> &Map<String, Value> {
    static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NOTHING)
}

fn marked(value: &Value) -> Option<Value> {
    words(value).map(|_| value.clone())
}

/// Members under AWS's names. What is under a name that a person chose stays.
fn pascal(value: &Value) -> Value {
    match value {
        Value::Object(_) if words(value).is_some() => value.clone(),
        Value::Object(members) => {
            let given = members.iter().filter(|(_, value)| !is_nothing(value));
            let renamed = given.map(|(key, value)| {
                let is_chosen = key == "authentication_request_extra_params";
                (pascal_word(key), if is_chosen { value.clone() } else { pascal(value) })
            });
            Value::Object(renamed.collect())
        }
        Value::Array(items) => items.iter().map(pascal).collect(),
        other => other.clone(),
    }
}

fn pascal_word(key: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    key.split('_').filter(|word| word.is_ascii() && !word.is_empty()).map(capital).collect()
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(_) | Value::Bool(_) => value.to_string().into(),
        other => other.clone(),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}
