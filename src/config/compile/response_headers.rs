//! `response_headers` of a listener.

use super::context::Context;
use crate::config::raw::{self, Protocol};
use crate::gateway::{RESPONSE_HEADERS, ResponseHeaders};

pub(super) fn compile(
    context: &mut Context<'_>,
    raw: Option<&raw::ResponseHeaders>,
    protocol: Protocol,
    is_behind_proxy: bool,
) -> Option<ResponseHeaders> {
    let Some(raw) = raw else { return Some(ResponseHeaders::new([], true)) };
    let given = [
        &raw.strict_transport_security,
        &raw.access_control_allow_origin,
        &raw.access_control_allow_methods,
        &raw.access_control_allow_headers,
        &raw.access_control_allow_credentials,
        &raw.access_control_expose_headers,
        &raw.access_control_max_age,
        &raw.content_security_policy,
        &raw.x_content_type_options,
        &raw.x_frame_options,
    ];
    let mut made = Vec::new();
    let mut sound = true;
    for (at, header) in given.into_iter().zip(&RESPONSE_HEADERS) {
        let Some(at) = at else { continue };
        if let Some(value) = header.value(&at.value) {
            made.push((header.name.clone(), value));
        } else {
            context.error_hint(at, format!("{:?} is no value of {}", at.value, header.name), format!("write {}", header.example));
            sound = false;
        }
    }
    if let Some(at) = raw.strict_transport_security.as_ref().filter(|_| protocol == Protocol::Http && !is_behind_proxy) {
        context.warn(at, "is never sent: this listener speaks http", "set it on the https listener");
    }
    let is_everybody = raw.access_control_allow_origin.as_ref().is_some_and(|at| at.value == "*");
    if let Some(at) = raw.access_control_allow_credentials.as_ref().filter(|_| is_everybody) {
        context.warn(at, "has no effect where every origin is allowed: browsers refuse such an answer", "name the origin");
    }
    sound.then(|| ResponseHeaders::new(made, raw.server_header.unwrap_or(true)))
}
