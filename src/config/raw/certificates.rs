//! Certificates of a listener, from files and by ACME, and the keys of its tickets.

use super::Secret;
use crate::config::reader::Located;

section! {
    /// A certificate chain and its key, both PEM.
    pub struct ListenerCertificate {
        /// Chain, leaf first.
        certificate: Located<String>,
        /// PKCS#8, PKCS#1 or SEC 1.
        private_key: Located<String>,
        /// What the authority says of the certificate, DER: clients get it with the handshake.
        ocsp_response: Option<Located<String>>,
    }
}

section! {
    /// A certificate by ACME (RFC 8555).
    pub struct Acme {
        /// That you agree to the terms of the authority. Has to be true.
        terms_of_service_agreed: Located<bool>,
        /// A folder where account key and certificates are kept; several gateways may share it.
        cache: Located<String>,
        /// Names to be in the certificate. Default: the listener's hosts that are no wildcards.
        domains: Vec<Located<String>>,
        /// How the authority is shown that the names are yours. Default tls-alpn-01.
        challenge: Option<Located<AcmeChallenge>>,
        /// Mail addresses where the authority may reach you.
        contact: Vec<Located<String>>,
        /// Default: Let's Encrypt.
        directory_url: Option<Located<String>>,
        /// PEM; believed instead of the system's authorities when the ACME server is asked.
        ca_certificates: Option<Located<String>>,
        /// An account that the authority knows already (RFC 8555, section 7.3.4).
        external_account: Option<ExternalAccount>,
    }
}

words! {
    /// http-01: an answer on port 80; tls-alpn-01: a handshake on port 443.
    pub enum AcmeChallenge { Http01 = "http-01", TlsAlpn01 = "tls-alpn-01" }
}

section! {
    /// As the authority has given it to you.
    pub struct ExternalAccount {
        /// The name of the key.
        key_id: Located<String>,
        /// base64url.
        hmac_key: Secret,
    }
}

section! {
    /// A file with random bytes.
    pub struct TicketKey {
        /// 48 or 80 bytes, as for nginx.
        file: Located<String>,
    }
}
