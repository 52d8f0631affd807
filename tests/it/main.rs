//! Stories over a running gateway: threats by their ids, one module a group.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

mod alb_behaviours;
mod authorization_request;
mod authorization_response;
mod authorize;
mod authorize_configuration;
mod backchannel_logout;
mod bearer_tokens;
mod behind_proxy;
mod choose_provider;
mod chunks;
mod client_authentication;
mod conditions;
mod discovery;
mod examples;
mod explain;
mod failing_targets;
mod forwarded_headers;
mod framing;
mod http2_requests;
mod http2_targets;
mod id_token_claims;
mod id_token_header;
mod id_token_signature;
mod identity_claims;
mod identity_headers;
mod import;
mod import_kubernetes;
mod import_properties;
mod import_templates;
mod interim_answers;
mod introspection;
mod json_torture;
mod jwt_validation;
mod key_sets;
mod known_tokens;
mod late_callback;
mod listener;
mod logs;
mod mixed_up_response;
mod nginx_target;
mod operator;
mod own_answers;
mod parity;
mod paths;
mod provider_faults;
mod provider_quirks;
mod redirects;
mod refresh;
mod reload;
mod session_ends;
mod session_shards;
mod session_time;
mod sessions;
mod sign_out;
mod start;
mod step_up;
mod step_up_configuration;
mod step_up_programs;
mod step_up_providers;
mod stopping;
mod streaming;
mod target_groups;
mod targets;
mod tls_targets;
mod token_keys;
mod transforms;
mod user_info;
mod websockets;

#[path = "../vectors/mod.rs"]
mod vectors;
