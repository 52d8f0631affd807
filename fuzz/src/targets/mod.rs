//! The targets, by name.

mod configuration;
mod decision;
mod headers;
mod message;
mod places;
mod provider;
mod proxy_protocol;
mod rules;
mod session;
mod tokens;

pub const ALL: [(&str, fn(&[u8])); 33] = [
    ("alb_import", configuration::alb_import),
    ("allowed_origins", places::allowed_origins),
    ("authority", message::authority),
    ("authorization_response", provider::authorization_response),
    ("bearer_credentials", tokens::bearer_credentials),
    ("chunked_body", message::chunked_body),
    ("claim_headers", headers::claim_headers),
    ("client_certificate", headers::client_certificate),
    ("configuration", configuration::configuration),
    ("cookies", message::cookies),
    ("decision", decision::decision),
    ("discovery", provider::discovery),
    ("email_pattern", places::email_pattern),
    ("forwarded", headers::forwarded),
    ("id_token", tokens::id_token),
    ("json", message::json),
    ("jws", tokens::jws),
    ("key_set", tokens::key_set),
    ("login_state", session::login_state),
    ("logout_token", tokens::logout_token),
    ("policy", configuration::policy),
    ("protected_headers", headers::protected_headers),
    ("provider_answer", provider::provider_answer),
    ("proxy_header", proxy_protocol::proxy_header),
    ("request_head", message::request_head),
    ("request_target", message::request_target),
    ("return_places", places::return_places),
    ("rules", rules::rules),
    ("session_cookie", session::session_cookie),
    ("session_key", session::session_key),
    ("session_record", session::session_record),
    ("transforms", places::transforms),
    ("wildcard", rules::wildcard),
];
