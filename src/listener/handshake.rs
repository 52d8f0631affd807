//! What a handshake has settled, for the log and for targets.

use http::{HeaderName, HeaderValue};
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};

use super::service::Accepting;
use crate::identity_headers::client_certificate_headers;
use crate::message::TlsInfo;

pub(super) fn facts(session: &ServerConnection, accepting: &Accepting) -> TlsInfo {
    let version = if session.protocol_version() == Some(ProtocolVersion::TLSv1_3) { "TLSv1.3" } else { "TLSv1.2" };
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    let cipher = suite.map_or_else(|| "-".to_owned(), openssl_name);
    let mut headers = Vec::new();
    if let Some(mode) = accepting.client_certificates {
        let chain: Vec<&[u8]> = session.peer_certificates().into_iter().flatten().map(AsRef::as_ref).collect();
        headers = client_certificate_headers(mode, &chain);
    }
    if accepting.tells_tls {
        headers.push((HeaderName::from_static("x-amzn-tls-version"), HeaderValue::from_static(version)));
        headers.extend(HeaderValue::try_from(&cipher).ok().map(|cipher| (HeaderName::from_static("x-amzn-tls-cipher-suite"), cipher)));
    }
    TlsInfo { version, cipher, server_name: session.server_name().map(str::to_owned), headers }
}

/// ALB's log and headers have OpenSSL's names. Those of TLS 1.3 are IANA's.
fn openssl_name(suite: CipherSuite) -> String {
    let name = match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        other => return other.as_str().unwrap_or("-").to_owned(),
    };
    name.to_owned()
}
