//! The demo's certificates: an authority of its own, whose key is thrown away as soon as it has signed one certificate.
//! Kept between runs, so that trusting it once is enough.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::clock::UnixTime;

/// Files that a listener can be given.
#[derive(Debug, Clone)]
pub struct DemoCertificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub private_key: PathBuf,
    /// The authority in PEM, for the sample application's own requests to the gateway.
    pub authority_pem: String,
}

#[derive(Debug, thiserror::Error)]
pub enum DemoCertificatesError {
    #[error("the demo's certificates cannot be kept: {0}")]
    Io(#[from] std::io::Error),
    #[error("the demo's certificates cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

impl DemoCertificates {
    /// Takes those in `folder`, or makes them when there are none or they are about to expire.
    pub fn in_folder(folder: &Path, now: UnixTime) -> Result<Self, DemoCertificatesError> {
        let (authority, certificate, private_key) = (folder.join("ca.pem"), folder.join("server.pem"), folder.join("server.key"));
        if !private_key.is_file() || !is_valid(&certificate, now) || !authority.is_file() {
            fs::create_dir_all(folder)?;
            make(&authority, &certificate, &private_key, now)?;
        }
        let authority_pem = fs::read_to_string(&authority)?;
        Ok(Self { authority, certificate, private_key, authority_pem })
    }
}

fn make(authority: &Path, certificate: &Path, private_key: &Path, now: UnixTime) -> Result<(), DemoCertificatesError> {
    let today = day(now.0 / 86_400);
    let next_year = day(now.0 / 86_400 + DAYS);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Vestibule demo");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(today.0, today.1, today.2), rcgen::date_time_ymd(next_year.0, next_year.1, next_year.2));
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(today.0, today.1, today.2), rcgen::date_time_ymd(next_year.0, next_year.1, next_year.2));
    let key = KeyPair::generate()?;
    let leaf = params.signed_by(&key, &issuer)?;

    fs::write(authority, issuer.pem())?;
    fs::write(certificate, leaf.pem())?;
    let _ = fs::remove_file(private_key);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(private_key)?;
    file.write_all(key.serialize_pem().as_bytes())?;
    Ok(())
}

fn is_valid(certificate: &Path, now: UnixTime) -> bool {
    let Ok(pem) = fs::read(certificate) else { return false };
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(&pem) else { return false };
    X509Certificate::from_der(&pem.contents).is_ok_and(|(_, certificate)| {
        let expires = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
        expires > now.0 + 86_400
    })
}

/// Year, month and day of a day since 1970.
fn day(days: u64) -> (i32, u8, u8) {
    let date = jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(i64::try_from(days).unwrap_or(0)));
    (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
}

/// Browsers refuse server certificates of more than 398 days.
const DAYS: u64 = 365;
