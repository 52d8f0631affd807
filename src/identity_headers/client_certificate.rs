//! `x-amzn-mtls-*`: the certificate that a client has shown, in the words of an ALB (its guide, "Mutual authentication").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::message::hex;

/// Whether the gateway has verified it, or leaves that to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificateMode {
    Passthrough,
    Verify,
}

/// The chain is DER, leaf first. What cannot be said in a header is not said.
#[must_use]
pub fn client_certificate_headers(mode: ClientCertificateMode, chain: &[&[u8]]) -> Vec<(HeaderName, HeaderValue)> {
    let Some(leaf) = chain.first() else { return Vec::new() };
    let said = match mode {
        ClientCertificateMode::Passthrough => vec![("x-amzn-mtls-clientcert", encoded(chain))],
        ClientCertificateMode::Verify => {
            let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return Vec::new() };
            let validity = certificate.validity();
            vec![
                ("x-amzn-mtls-clientcert-serial-number", hex(certificate.raw_serial()).to_ascii_uppercase()),
                ("x-amzn-mtls-clientcert-issuer", distinguished_name(certificate.issuer())),
                ("x-amzn-mtls-clientcert-subject", distinguished_name(certificate.subject())),
                (
                    "x-amzn-mtls-clientcert-validity",
                    format!("NotBefore={};NotAfter={}", moment(validity.not_before), moment(validity.not_after)),
                ),
                ("x-amzn-mtls-clientcert-leaf", encoded(&chain[..1])),
            ]
        }
    };
    let header = |(name, value): (&'static str, String)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?));
    said.into_iter().filter_map(header).collect()
}

/// PEM, percent-encoded; `+`, `=` and `/` stay, as on an ALB.
fn encoded(chain: &[&[u8]]) -> String {
    const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+').remove(b'=').remove(b'/');
    let mut pem = String::new();
    for certificate in chain {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(certificate);
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    utf8_percent_encode(&pem, &KEPT).to_string()
}

fn moment(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (date, clock) = (time.date(), time.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// RFC 2253: the last part first. Octets beyond ASCII are escaped, since this is a header.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let part = |attributes: Vec<String>| attributes.join("+");
    let mut parts: Vec<String> = name.iter_rdn().map(|rdn| part(rdn.iter().map(attribute).collect())).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    // §2.3: those that have a name there; the rest by number, its value in hexadecimal.
    let name = NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
    match (name, attribute.as_str()) {
        (Some(name), Ok(value)) => format!("{name}={}", escaped(value)),
        (Some(name), Err(_)) => format!("{name}=#{}", hex(attribute.as_slice())),
        (None, Ok(value)) => format!("{oid}={}", escaped(value)),
        (None, Err(_)) => format!("{oid}=#{}", hex(attribute.as_slice())),
    }
}

/// §2.4.
fn escaped(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, byte) in value.bytes().enumerate() {
        let is_edge = (byte == b' ' && (at == 0 || at == last)) || (byte == b'#' && at == 0);
        if is_edge || b",+\"\\<>;".contains(&byte) {
            text.push('\\');
            text.push(char::from(byte));
        } else if byte == b' ' || byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            text.push('\\');
            text.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    text
}

/// RFC 2253 §2.3, and those that certificates of today have beside them, as OpenSSL names them.
const NAMES: [(&str, &str); 15] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.4", "SN"),
    ("2.5.4.42", "GN"),
    ("2.5.4.12", "title"),
    ("2.5.4.97", "organizationIdentifier"),
];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber, date_time_ymd};

    use super::*;

    fn certificate(name: &[(DnType, &str)]) -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        for (kind, value) in name {
            parameters.distinguished_name.push(kind.clone(), *value);
        }
        parameters.serial_number = Some(SerialNumber::from_slice(&[0x03, 0xa5, 0xb1]));
        parameters.not_before = date_time_ymd(2023, 9, 21);
        parameters.not_after = date_time_ymd(2034, 9, 20);
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn said(mode: ClientCertificateMode, chain: &[&[u8]]) -> Vec<(String, String)> {
        let headers = client_certificate_headers(mode, chain);
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn a_verified_certificate_is_told_as_an_alb_tells_it() {
        let name = [(DnType::CountryName, "US"), (DnType::OrganizationName, "mTLS"), (DnType::CommonName, "client_.com")];
        let leaf = certificate(&name);
        let said = said(ClientCertificateMode::Verify, &[&leaf]);
        let value = |wanted: &str| &said.iter().find(|(name, _)| name == wanted).unwrap().1;
        assert_eq!(value("x-amzn-mtls-clientcert-serial-number"), "03A5B1");
        assert_eq!(value("x-amzn-mtls-clientcert-subject"), "CN=client_.com,O=mTLS,C=US");
        assert_eq!(value("x-amzn-mtls-clientcert-issuer"), "CN=client_.com,O=mTLS,C=US");
        assert_eq!(value("x-amzn-mtls-clientcert-validity"), "NotBefore=2023-09-21T00:00:00Z;NotAfter=2034-09-20T00:00:00Z");
        let leaf = value("x-amzn-mtls-clientcert-leaf");
        assert!(leaf.starts_with("-----BEGIN%20CERTIFICATE-----%0AMII") && leaf.ends_with("%0A-----END%20CERTIFICATE-----%0A"), "{leaf}");
        assert!(leaf.contains('/') || leaf.contains('+'), "base64 has them: {leaf}");
    }

    /// What stands in a name cannot look like another part of it, or like another header.
    #[test]
    fn a_name_is_one_name_whatever_is_in_it() {
        let leaf = certificate(&[(DnType::CommonName, "a,O=b+\"c\\<d>;e\r\nX: y é ")]);
        let said = said(ClientCertificateMode::Verify, &[&leaf]);
        assert_eq!(said[2].1, r#"CN=a\,O=b\+\"c\\\<d\>\;e\0D\0AX: y \C3\A9\ "#);
    }

    #[test]
    fn a_chain_that_is_passed_through_is_whole_and_nothing_else_is_said() {
        let (leaf, authority) = (certificate(&[]), certificate(&[(DnType::CommonName, "authority")]));
        let said = said(ClientCertificateMode::Passthrough, &[&leaf, &authority]);
        assert_eq!(said.len(), 1);
        assert_eq!((said[0].0.as_str(), said[0].1.matches("BEGIN%20CERTIFICATE").count()), ("x-amzn-mtls-clientcert", 2));
        assert_eq!(super::client_certificate_headers(ClientCertificateMode::Passthrough, &[]), []);
    }
}
