//! Headers that a listener sets on answers.

use crate::config::reader::Located;

section! {
    /// Headers that a listener sets on answers, in place of what the target says of the same name.
    pub struct ResponseHeaders {
        /// Over https only, and on the gateway's own answers too.
        strict_transport_security: Option<Located<String>>,
        /// * or one origin.
        access_control_allow_origin: Option<Located<String>>,
        /// Methods, or *.
        access_control_allow_methods: Option<Located<String>>,
        /// Names of headers, or *.
        access_control_allow_headers: Option<Located<String>>,
        /// true, or leave it out.
        access_control_allow_credentials: Option<Located<String>>,
        /// Names of headers, or *.
        access_control_expose_headers: Option<Located<String>>,
        /// Seconds.
        access_control_max_age: Option<Located<String>>,
        /// A policy as it is to stand there.
        content_security_policy: Option<Located<String>>,
        /// nosniff
        x_content_type_options: Option<Located<String>>,
        /// DENY or SAMEORIGIN.
        x_frame_options: Option<Located<String>>,
        /// false: what targets say of their software goes no further. Default true.
        server_header: Option<bool>,
    }
}
