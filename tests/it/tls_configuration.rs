//! What `check` says of `acme`, `session_ticket_keys` and certificates that do not fit together.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::gateway::{vestibule, write_private};

/// Everything that a listener may name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(["app.test".to_owned()]).unwrap();
    std::fs::write(at("server.pem"), made.cert.pem()).unwrap();
    write_private(&at("server.key"), &made.signing_key.serialize_pem());
    for (name, length, first) in [("48", 48, 1), ("80", 80, 2), ("47", 47, 3), ("32", 32, 4), ("same", 48, 1)] {
        write_private(&at(&format!("ticket-{name}.key")), &char::from(first).to_string().repeat(length));
    }
    write_private(&at("hmac"), "bm90aGluZyBzZWNyZXQ");
    write_private(&at("not-hmac"), "not base64url!");
    std::fs::create_dir(at("private")).unwrap();
    std::fs::set_permissions(at("private"), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::create_dir(at("open")).unwrap();
    std::fs::set_permissions(at("open"), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn check(folder: &Path, listener: &str, more: &str) -> (Option<i32>, String) {
    let configuration = format!(
        "listeners:
  - address: 127.0.0.1:8443
    {listener}
    default_actions: [{{ fixed_response: {{ status_code: 200 }} }}]
{more}"
    );
    std::fs::write(folder.join("vestibule.yaml"), configuration).unwrap();
    let output = vestibule().args(["check", "--config", "vestibule.yaml"]).current_dir(folder).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A listener's `acme` with what is given, and everything else that it needs.
fn acme(given: &str) -> String {
    let default = |key: &str, value: &str| if given.contains(key) { String::new() } else { format!(", {key}: {value}") };
    let defaults = default("cache", "private") + &default("terms_of_service_agreed", "true") + &default("domains", "[app.test]");
    format!("acme: {{ {} }}", format!("{given}{defaults}").trim_start_matches(", "))
}

#[test]
fn orders_that_could_never_be_met_are_refused_with_their_place() {
    let folder = folder();
    for (given, message) in [
        ("terms_of_service_agreed: false", "without it the authority makes no certificate"),
        ("domains: [\"*.app.test\"]", "wildcards need the challenge dns-01, which is not there"),
        ("domains: [192.0.2.1]", "\"192.0.2.1\" is not a name for which a certificate can be ordered"),
        ("domains: [\"app.test:443\"]", "is not a name for which a certificate can be ordered"),
        ("domains: [\"-a.test\"]", "is not a name for which a certificate can be ordered"),
        ("domains: [\"\"]", "is not a name for which a certificate can be ordered"),
        ("domains: []", "nobody says which names the certificate is for"),
        ("directory_url: http://127.0.0.1/dir", "is not the URL of an ACME directory"),
        ("directory_url: letsencrypt", "is not the URL of an ACME directory"),
        ("contact: [nobody]", "\"nobody\" is not a mail address"),
        ("contact: [\"a@app.test?subject=x\"]", "is not a mail address"),
        ("challenge: dns-01", "\"dns-01\" is not one of: http-01, tls-alpn-01"),
        ("challenge: http-01", "http-01 is answered by an http listener, and there is none"),
        ("cache: server.pem", "server.pem is not a folder"),
        ("ca_certificates: server.key", "server.key holds no certificate in PEM"),
        ("external_account: { key_id: k, hmac_key: { file: not-hmac } }", "hmac_key is not base64url"),
        ("external_account: { key_id: k, hmac_key: { file: none } }", "none: No such file"),
    ] {
        let (status, report) = check(folder.path(), &acme(given), "");
        assert_eq!(status, Some(2), "{given}: {report}");
        assert!(report.contains(message) && report.contains("vestibule.yaml:3:"), "{given}: {report}");
    }
    // Neither is left out by accident.
    for missing in ["cache", "terms_of_service_agreed"] {
        let (status, report) = check(folder.path(), &acme("").replace(missing, "contact: [], x-"), "");
        assert_eq!(status, Some(2));
        assert!(report.contains(&format!("{missing} is missing")), "{report}");
    }
    let (status, report) = check(folder.path(), &format!("protocol: http\n    {}", acme("")), "");
    assert!(status == Some(2) && report.contains("an http listener has no certificates"), "{report}");
}

#[test]
fn orders_that_can_be_met_are_usable_and_what_others_may_see_is_warned_of() {
    let folder = folder();
    let http = "  - { address: 127.0.0.1:8080, protocol: http, default_actions: [{ redirect: { protocol: HTTPS, port: \"443\", status_code: HTTP_301 } }] }\n";
    for (listener, more) in [
        (acme(""), ""),
        // Names of the hosts; wildcards among them are served, and not ordered.
        ("hosts: [app.test, \"*.app.test\"]\n    acme: { cache: later, terms_of_service_agreed: true }".to_owned(), ""),
        (acme("challenge: http-01"), http),
        (acme("contact: [a@app.test, \"mailto:b@app.test\"], external_account: { key_id: k, hmac_key: { file: hmac } }"), ""),
        (format!("certificates: [{{ certificate: server.pem, private_key: server.key }}]\n    {}", acme("ca_certificates: server.pem")), ""),
        ("certificates: [{ certificate: server.pem, private_key: server.key }]\n    session_ticket_keys: [{ file: ticket-48.key }, { file: ticket-80.key }]".to_owned(), ""),
    ] {
        let (status, report) = check(folder.path(), &listener, more);
        assert_eq!((status, report.as_str()), (Some(0), "vestibule.yaml is usable\n"), "{listener}");
    }
    let (status, report) = check(folder.path(), &acme("cache: open"), "");
    assert!(status == Some(0) && report.contains("others on this machine may look into open"), "{report}");
    // A secret that is written there is covered.
    let (status, report) = check(folder.path(), &acme("external_account: { key_id: k, hmac_key: bm90aGluZyBzZWNyZXQ }"), "");
    assert!(status == Some(0) && report.contains("a secret is written") && !report.contains("bm90aGluZ"), "{report}");
}

#[test]
fn keys_for_tickets_that_are_none_are_refused() {
    let folder = folder();
    let certificates = "certificates: [{ certificate: server.pem, private_key: server.key }]\n    ";
    for (listener, message) in [
        (
            format!("{certificates}session_ticket_keys: [{{ file: ticket-47.key }}]"),
            "ticket-47.key has 47 bytes; a key for tickets has 48 or 80",
        ),
        (format!("{certificates}session_ticket_keys: [{{ file: ticket-32.key }}]"), "openssl rand 80 > ticket-32.key"),
        (format!("{certificates}session_ticket_keys: [{{ file: none }}]"), "none: No such file"),
        (
            format!("{certificates}session_ticket_keys: [{{ file: ticket-48.key }}, {{ file: same }}]").replace("same", "ticket-same.key"),
            "ticket-same.key has the name of another key",
        ),
        (
            "protocol: http\n    hosts: [app.test]\n    session_ticket_keys: [{ file: ticket-48.key }]".to_owned(),
            "an http listener has no handshakes",
        ),
    ] {
        let (status, report) = check(folder.path(), &listener, "");
        assert!(status == Some(2) && report.contains(message), "{listener}: {report}");
    }
    let asks = "mutual_authentication: { mode: verify, trust_store: server.pem }\n    session_ticket_keys: [{ file: ticket-48.key }]";
    let (status, report) = check(folder.path(), &format!("{certificates}{asks}"), "");
    assert!(status == Some(0) && report.contains("where clients show certificates, each connection shows one"), "{report}");
    std::fs::set_permissions(folder.path().join("ticket-48.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (status, report) = check(folder.path(), &format!("{certificates}session_ticket_keys: [{{ file: ticket-48.key }}]"), "");
    assert!(status == Some(0) && report.contains("everybody on this machine may read ticket-48.key"), "{report}");
}
