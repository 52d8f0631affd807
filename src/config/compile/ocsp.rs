//! `ocsp_response`: what an authority says of a certificate (RFC 6960), read as far as it takes to know whether it is worth sending on.
//!
//! Its signature is for clients to check.

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use x509_parser::asn1_rs::{Any, Class};
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};

use super::context::Context;
use crate::config::reader::Located;

/// A response that clients may be given.
#[derive(Debug, Clone)]
pub struct OcspResponse {
    pub der: Vec<u8>,
    /// Seconds since 1970; after that it says nothing any more. `None`: there may be a newer one at any time.
    pub until: Option<i64>,
}

/// `None` where there is nothing to be sent; what is wrong is told.
pub(super) fn open(context: &mut Context<'_>, at: &Located<String>, chain: &[CertificateDer<'_>]) -> Option<OcspResponse> {
    let der = context.file(at)?;
    let found = match read(&der, chain) {
        Ok(found) => found,
        Err(fault) => {
            context.error(at, format!("{}: {fault}", at.value));
            return None;
        }
    };
    let now = i64::try_from(context.now.0).unwrap_or(i64::MAX);
    if found.until.is_some_and(|until| until <= now) {
        context.warn(at, format!("{} is out of date, and is not sent to clients", at.value), "fetch a new one");
        return None;
    }
    if found.begins_at > now + CLOCKS_DIFFER {
        context.warn(at, format!("{} is not valid yet, and is not sent to clients", at.value), "look at the clock of this machine");
        return None;
    }
    if found.is_revoked {
        context.warn(at, format!("{} says that the certificate is revoked: clients will refuse it", at.value), "get another certificate");
    }
    if found.is_unknown {
        context.warn(
            at,
            format!("{} does not know the certificate, and is not sent to clients", at.value),
            "ask the authority of this certificate",
        );
        return None;
    }
    Some(OcspResponse { der, until: found.until })
}

struct Found {
    is_revoked: bool,
    is_unknown: bool,
    begins_at: i64,
    until: Option<i64>,
}

fn read(der: &[u8], chain: &[CertificateDer<'_>]) -> Result<Found, &'static str> {
    let leaf = chain.first().and_then(|leaf| X509Certificate::from_der(leaf).ok()).ok_or("there is no certificate")?.1;
    let mut response = Elements(der).inner(SEQUENCE)?;
    if response.next(ENUMERATED)? != [0] {
        return Err("the authority had no answer");
    }
    let mut bytes = response.inner(CONTEXT_0)?.inner(SEQUENCE)?;
    if bytes.next(OBJECT_IDENTIFIER)? != BASIC {
        return Err("a response of a kind that is not known");
    }
    let mut data = Elements(bytes.next(OCTET_STRING)?).inner(SEQUENCE)?.inner(SEQUENCE)?;
    data.skip(CONTEXT_0);
    // Who has signed, by name or by key.
    data.any()?;
    data.any()?;
    let mut responses = data.inner(SEQUENCE)?;
    while !responses.0.is_empty() {
        let mut single = responses.inner(SEQUENCE)?;
        let is_ours = is_for(single.inner(SEQUENCE)?, &leaf)?;
        let status = single.any()?.0;
        let begins_at = single.time()?;
        let until = if single.peeks(CONTEXT_0) { Some(single.inner(CONTEXT_0)?.time()?) } else { None };
        if is_ours {
            let (is_revoked, is_unknown) = (status == (Class::ContextSpecific, 1), status == (Class::ContextSpecific, 2));
            return Ok(Found { is_revoked, is_unknown, begins_at, until });
        }
    }
    Err("it is about another certificate")
}

/// Issuer and serial number.
fn is_for(mut id: Elements<'_>, leaf: &X509Certificate<'_>) -> Result<bool, &'static str> {
    let algorithm = match id.inner(SEQUENCE)?.next(OBJECT_IDENTIFIER)? {
        SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        SHA256 => &digest::SHA256,
        _ => return Err("it names the issuer by a digest that is not known"),
    };
    let issuer = id.next(OCTET_STRING)?;
    id.next(OCTET_STRING)?;
    let serial = id.next(INTEGER)?;
    Ok(serial == leaf.raw_serial() && issuer == digest::digest(algorithm, leaf.issuer().as_raw()).as_ref())
}

/// What is left of a row of DER elements.
struct Elements<'d>(&'d [u8]);

type Tag = (Class, u32);

impl<'d> Elements<'d> {
    fn any(&mut self) -> Result<(Tag, &'d [u8]), &'static str> {
        let (rest, element) = Any::from_der(self.0).map_err(|_| NOT_DER)?;
        self.0 = rest;
        Ok(((element.class(), element.tag().0), element.data))
    }

    fn next(&mut self, wanted: Tag) -> Result<&'d [u8], &'static str> {
        let (tag, content) = self.any()?;
        if tag == wanted { Ok(content) } else { Err(NOT_DER) }
    }

    fn inner(&mut self, wanted: Tag) -> Result<Self, &'static str> {
        self.next(wanted).map(Self)
    }

    fn peeks(&self, wanted: Tag) -> bool {
        Self(self.0).any().is_ok_and(|(tag, _)| tag == wanted)
    }

    fn skip(&mut self, wanted: Tag) {
        if self.peeks(wanted) {
            let _ = self.any();
        }
    }

    fn time(&mut self) -> Result<i64, &'static str> {
        let (rest, time) = ASN1Time::from_der(self.0).map_err(|_| NOT_DER)?;
        self.0 = rest;
        Ok(time.timestamp())
    }
}

const INTEGER: Tag = (Class::Universal, 2);
const OCTET_STRING: Tag = (Class::Universal, 4);
const OBJECT_IDENTIFIER: Tag = (Class::Universal, 6);
const ENUMERATED: Tag = (Class::Universal, 10);
const SEQUENCE: Tag = (Class::Universal, 16);
const CONTEXT_0: Tag = (Class::ContextSpecific, 0);

/// id-pkix-ocsp-basic
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const NOT_DER: &str = "it is no OCSP response in DER";
const CLOCKS_DIFFER: i64 = 300;
