//! Tickets: who comes back is known without a full handshake, at other gateways of a fleet too, for as long as the key is there (K02).

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::{ClientConfig, HandshakeKind};
use serde_json::json;

use crate::reload::{changed, reload};
use crate::support::World;
use crate::support::certificates::{APP, certificates};
use crate::support::gateway::Plan;
use crate::support::handshake::{ask, handshake, kind};
use crate::support::openssl::openssl;

const FULL: HandshakeKind = HandshakeKind::Full;
const RESUMED: HandshakeKind = HandshakeKind::Resumed;

/// Somebody who remembers the tickets that they were given, and has none yet.
fn client(versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(certificates().ca_file()).unwrap();
    roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(&pem).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::new(builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth())
}

/// How the handshake went; the tickets that come after it are taken along.
fn visit(port: u16, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut connection = handshake(port, config, APP).unwrap();
    assert_eq!(ask(&mut connection, APP, "/public").unwrap(), 200);
    kind(&connection)
}

/// A folder with keys of these names and lengths.
fn keys(wanted: &[(&str, usize)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, length) in wanted {
        // As the documentation says.
        openssl(folder.path(), &["rand", "-out", name, &length.to_string()]);
        assert!(Command::new("chmod").args(["600", name]).current_dir(folder.path()).status().unwrap().success());
    }
    folder
}

fn named(folder: &Path, names: &[&str]) -> serde_json::Value {
    names.iter().map(|name| json!({"file": folder.join(name)})).collect()
}

#[test]
fn who_has_a_ticket_of_one_gateway_is_known_at_the_others_and_to_the_next_process() {
    let folder = keys(&[("first", 80), ("second", 48)]);
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let mut world = World::start_with(|plan: &mut Plan| {
            plan.listener()["session_ticket_keys"] = named(folder.path(), &["first"]);
            plan.configuration["upgrade_socket"] = json!("upgrade.sock");
        });
        let sibling = Plan::sibling(&world.gateway).start();
        let client_of = || client(versions);
        let (fleet, early) = (client_of(), client_of());
        assert_eq!((visit(world.gateway.port, &fleet), visit(sibling.port, &fleet)), (FULL, RESUMED));
        assert_eq!((visit(sibling.port, &fleet), visit(world.gateway.port, &fleet)), (RESUMED, RESUMED), "{versions:?}");
        assert_eq!(visit(world.gateway.port, &early), FULL);

        reload(&world.gateway, "success");
        assert_eq!(visit(world.gateway.port, &fleet), RESUMED, "after a reload");
        assert_eq!(world.gateway.upgrade().code(), Some(0));
        assert_eq!(visit(world.gateway.port, &fleet), RESUMED, "at the next process");

        // Rotation: the new key seals, and both open.
        changed(&world, |configuration| {
            configuration["listeners"][0]["session_ticket_keys"] = named(folder.path(), &["second", "first"]);
        });
        reload(&world.gateway, "success");
        assert_eq!(visit(world.gateway.port, &fleet), RESUMED, "by the former key");
        changed(&world, |configuration| {
            configuration["listeners"][0]["session_ticket_keys"] = named(folder.path(), &["second"]);
        });
        reload(&world.gateway, "success");
        assert_eq!(visit(world.gateway.port, &fleet), RESUMED, "by a ticket of the new key");
        assert_eq!(visit(world.gateway.port, &early), FULL, "by a key that is gone");
        // They are in nobody's log: not even their names, which everybody may know.
        let log = world.gateway.log();
        assert!(!log.contains("ticket key"), "{log}");
    }
}

#[test]
fn without_shared_keys_each_gateway_knows_its_own_and_a_reload_forgets_nobody() {
    let world = World::start();
    let sibling = Plan::sibling(&world.gateway).start();
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let visitor = client(versions);
        assert_eq!((visit(world.gateway.port, &visitor), visit(world.gateway.port, &visitor)), (FULL, RESUMED));
        reload(&world.gateway, "success");
        assert_eq!(visit(world.gateway.port, &visitor), RESUMED, "after a reload");
        assert_eq!(visit(sibling.port, &visitor), FULL, "at a gateway of which nobody has heard");
    }
}

/// OpenSSL keeps a session in a file, which is read again by another process.
#[test]
fn openssl_resumes_at_the_other_gateway() {
    let folder = keys(&[("key", 80)]);
    let world = World::start_with(|plan: &mut Plan| plan.listener()["session_ticket_keys"] = named(folder.path(), &["key"]));
    let sibling = Plan::sibling(&world.gateway).start();
    let s_client = |port, more: &[&str]| crate::support::openssl::s_client(folder.path(), port, &[&["-tls1_2"], more].concat());
    let said = s_client(world.gateway.port, &["-sess_out", "session"]);
    assert!(said.contains("New, TLSv1.2") && said.contains("TLS session ticket lifetime hint: 43200"), "{said}");
    let said = s_client(sibling.port, &["-sess_in", "session"]);
    assert!(said.contains("Reused, TLSv1.2"), "{said}");
}
