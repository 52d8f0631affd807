//! Certificates by ACME (RFC 8555), made by Pebble, which Let's Encrypt tests clients with: it refuses one good nonce in twenty, and
//! names its resources as nobody else does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::reload::{changed, reload};
use crate::support::World;
use crate::support::certificates::{APP, certificates};
use crate::support::gateway::{Plan, eventually, free_port, vestibule, write_private};
use crate::support::handshake::{Connection, ask, handshake, leaf};
use crate::support::pebble::{Wanted, cache, client_of};

/// A gateway whose only certificate is to be made by an authority.
pub(crate) fn without_files(plan: &mut Plan, authority: &Wanted, cache: &Path) {
    plan.listener()["certificates"] = json!([]);
    plan.listener()["acme"] = authority.acme(cache);
}

/// Comes about sooner or later, for the name that is in the certificate.
pub(crate) fn connected(world: &World, config: &Arc<ClientConfig>) -> Connection {
    let mut connection = None;
    let there = eventually(Duration::from_secs(30), || {
        connection = handshake(world.gateway.port, config, APP).ok();
        connection.is_some()
    });
    assert!(there, "no certificate:\n{}", world.gateway.log());
    connection.unwrap()
}

fn metric(world: &World, line: &str) -> Option<f64> {
    let text = world.gateway.admin("/metrics")?.text();
    text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

pub(crate) fn ordered(world: &World, result: &str) -> f64 {
    metric(world, &format!("vestibule_acme_orders_total{{result=\"{result}\"}}")).unwrap_or(0.0)
}

fn expiry(world: &World) -> i64 {
    let seconds = metric(world, &format!("vestibule_certificate_expiry_timestamp_seconds{{certificate=\"acme:{APP}\"}}"));
    format!("{:.0}", seconds.unwrap()).parse().unwrap()
}

fn ends_at(certificate: &CertificateDer<'_>) -> i64 {
    X509Certificate::from_der(certificate).unwrap().1.validity().not_after.timestamp()
}

/// What of the files in a folder others than the owner could read.
fn readable_by_others(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let open = entries.filter(|entry| entry.metadata().unwrap().permissions().mode() & 0o077 != 0);
    open.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_gateway_starts_without_a_certificate_and_serves_once_the_authority_has_made_one() {
    let (_kept, cache) = cache();
    let mut wanted = None;
    let mut world = World::start_with(|plan| {
        let authority = wanted.insert(Wanted::looking_at(plan.port, free_port()));
        without_files(plan, authority, &cache);
    });
    // Nobody is there yet who makes one.
    assert!(handshake(world.gateway.port, &certificates().client(b"http/1.1"), APP).is_err());
    let ready = world.gateway.admin("/readyz").unwrap();
    assert_eq!(ready.status(), 200, "the authority may have to come through the balancer that asks");
    assert!(ready.text().contains(&format!("no certificate yet for {APP}")), "{}", ready.text());
    assert!(eventually(Duration::from_secs(10), || world.gateway.log().contains("no certificate was obtained")), "{}", world.gateway.log());
    assert!(ordered(&world, "failure") > 0.0);

    let online = || vestibule().args(["check", "--online", "--config"]).arg(world.gateway.configuration_file()).output().unwrap();
    let said = online();
    assert!(said.status.code() == Some(1) && String::from_utf8_lossy(&said.stdout).contains("error  acme of 127.0.0.1"), "{said:?}");

    let authority = wanted.unwrap().start();
    let said = online();
    let found = String::from_utf8_lossy(&said.stdout).contains("terms of service: data:text/plain,Do%20what%20thou%20wilt");
    assert!(said.status.success() && found, "{said:?}");
    let client = authority.client();
    let mut connection = connected(&world, &client);
    assert_eq!(ask(&mut connection, &world.gateway.authority(), "/public").unwrap(), 200);
    assert_eq!(world.gateway.admin("/readyz").unwrap().text(), "ok\n");
    assert_eq!((ordered(&world, "success"), authority.orders()), (1.0, 1), "{}", authority.log());
    assert_eq!(expiry(&world), ends_at(&leaf(&connection)));
    assert!(world.gateway.log().contains("a certificate was obtained"));

    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(readable_by_others(&cache), Vec::<String>::new());
    for entry in std::fs::read_dir(&cache).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        text.lines().filter(|line| line.len() > 40).for_each(|line| world.secrets.add(line, "a file of the ACME cache"));
    }

    // A reload orders nothing.
    let shown = leaf(&connection);
    changed(&world, |configuration| configuration["drain_timeout"] = json!("7s"));
    reload(&world.gateway, "success");
    assert_eq!(leaf(&connected(&world, &client)), shown);
    assert_eq!(ask(&mut connection, &world.gateway.authority(), "/public").unwrap(), 200, "on the connection of before");
    assert_eq!(authority.orders(), 1);

    // Nor does a restart, which needs no authority at all.
    let root = authority.root();
    drop(authority);
    world.gateway.restart();
    assert_eq!(leaf(&handshake(world.gateway.port, &client_of(&root), APP).unwrap()), shown);
}

#[test]
fn a_certificate_is_renewed_before_its_end_and_no_connection_notices() {
    let (_kept, cache) = cache();
    let mut authority = None;
    let world = World::start_with(|plan| {
        let mut wanted = Wanted::looking_at(plan.port, free_port());
        wanted.settings["certificateValidityPeriod"] = json!(18);
        without_files(plan, &wanted, &cache);
        authority = Some(wanted.start());
    });
    let authority = authority.unwrap();
    let client = authority.client();
    let mut connection = connected(&world, &client);
    let first = leaf(&connection);
    let mut shown = vec![first];
    // Twice renewed, with a request every time that somebody looks, on the connection of before the first.
    let renewed_twice = eventually(Duration::from_secs(90), || {
        assert_eq!(ask(&mut connection, &world.gateway.authority(), "/public").unwrap(), 200);
        let now = leaf(&handshake(world.gateway.port, &client, APP).expect("a handshake meets a certificate that is good"));
        if shown.last() != Some(&now) {
            shown.push(now);
        }
        shown.len() == 3
    });
    assert!(renewed_twice, "{}", world.gateway.log());
    let ends: Vec<i64> = shown.iter().map(ends_at).collect();
    assert!(ends.is_sorted_by(|a, b| a < b), "{ends:?}");
    assert!(eventually(Duration::from_secs(5), || expiry(&world) >= ends[2]), "the metric stays behind");
}

/// An authority that has lost everything knows neither the account nor what it has signed.
#[test]
fn an_authority_that_forgets_the_account_is_given_a_new_one() {
    let (_kept, cache) = cache();
    let (mut wanted, mut authority) = (None, None);
    let world = World::start_with(|plan| {
        let mut first = Wanted::looking_at(plan.port, free_port());
        first.settings["certificateValidityPeriod"] = json!(18);
        without_files(plan, &first, &cache);
        authority = Some(first.start());
        wanted = Some(first);
    });
    connected(&world, &authority.take().unwrap().client());
    let authority = wanted.unwrap().start();
    connected(&world, &authority.client());
    assert_eq!(ordered(&world, "success"), 2.0, "{}", world.gateway.log());
}

#[test]
fn what_the_authority_refuses_is_told_in_its_words_and_what_is_there_goes_on() {
    let (_kept, cache) = cache();
    let mut authority = None;
    let world = World::start_with(|plan| {
        // It looks where nobody is.
        let wanted = Wanted::looking_at(free_port(), free_port());
        plan.listener()["acme"] = wanted.acme(&cache);
        authority = Some(wanted.start());
    });
    assert!(eventually(Duration::from_secs(30), || ordered(&world, "failure") == 1.0), "{}", world.gateway.log());
    let log = world.gateway.log();
    let told = log.lines().find(|line| line.contains("the authority makes no certificate")).unwrap_or_else(|| panic!("{log}"));
    assert!(told.contains("urn:ietf:params:acme:error:unauthorized") && told.contains("Failed to connect to 127.0.0.1"), "{told}");
    let ready = world.gateway.admin("/readyz").unwrap();
    assert!(ready.status() == 200 && ready.text().contains("urn:ietf:params:acme:error:unauthorized"), "{}", ready.text());
    // The certificate from a file serves on; and who has been refused is patient.
    let client = certificates().client(b"http/1.1");
    let mut connection = handshake(world.gateway.port, &client, APP).unwrap();
    assert_eq!(ask(&mut connection, &world.gateway.authority(), "/public").unwrap(), 200);
    thread::sleep(Duration::from_secs(5));
    assert_eq!((authority.unwrap().orders(), ordered(&world, "failure")), (1, 1.0));
}

/// RFC 8555 §7.3.4: authorities that make certificates for their customers only.
#[test]
fn an_account_is_bound_to_one_that_the_authority_knows() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let (kept, cache) = cache();
    let mut authority = None;
    let key = kept.path().join("hmac.key");
    write_private(&key, KEY);
    let world = World::start_with(|plan| {
        let mut wanted = Wanted::looking_at(plan.port, free_port());
        wanted.settings["externalAccountBindingRequired"] = json!(true);
        wanted.settings["externalAccountMACKeys"] = json!({"kid-1": KEY});
        without_files(plan, &wanted, &cache);
        authority = Some(wanted.start());
    });
    let authority = authority.unwrap();
    world.secrets.add(KEY, "HMAC key of an external account");
    assert!(eventually(Duration::from_secs(10), || ordered(&world, "failure") == 1.0));
    assert!(world.gateway.log().contains("externalAccountRequired"), "{}", world.gateway.log());
    // What is wanted otherwise is begun anew, at once.
    changed(&world, |configuration| {
        configuration["listeners"][0]["acme"]["external_account"] = json!({"key_id": "kid-1", "hmac_key": {"file": key}});
        configuration["listeners"][0]["acme"]["contact"] = json!(["operator@app.test"]);
    });
    reload(&world.gateway, "success");
    connected(&world, &authority.client());
}

/// The folder is shared: whoever holds the lock orders, and the others take what it has got.
#[test]
fn gateways_that_share_a_folder_order_one_after_another_and_once() {
    let (_kept, cache) = cache();
    std::fs::create_dir(&cache).unwrap();
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o700)).unwrap();
    let turn = std::fs::File::create(cache.join("lock")).unwrap();
    turn.lock().unwrap();
    let mut authority = None;
    let world = World::start_with(|plan| {
        let wanted = Wanted::looking_at(plan.port, free_port());
        without_files(plan, &wanted, &cache);
        authority = Some(wanted.start());
    });
    let authority = authority.unwrap();
    thread::sleep(Duration::from_secs(5));
    assert_eq!(authority.orders(), 0, "ordered although it is somebody else's turn");
    drop(turn);
    let client = authority.client();
    let shown = leaf(&connected(&world, &client));
    let sibling = Plan::sibling(&world.gateway).start();
    assert_eq!(leaf(&handshake(sibling.port, &client, APP).unwrap()), shown);
    assert_eq!(authority.orders(), 1);
}

/// A name more is another certificate. The one of before is shown until it is there.
#[test]
fn names_that_change_cost_nobody_a_handshake() {
    let (_kept, cache) = cache();
    let (mut wanted, mut authority) = (None, None);
    let world = World::start_with(|plan| {
        let first = Wanted::looking_at(plan.port, free_port());
        without_files(plan, &first, &cache);
        authority = Some(first.start());
        wanted = Some(first);
    });
    let client = authority.as_ref().unwrap().client();
    let before = leaf(&connected(&world, &client));
    drop(authority);
    changed(&world, |configuration| configuration["listeners"][0]["acme"]["domains"] = json!([APP, "more.test"]));
    reload(&world.gateway, "success");
    assert_eq!(leaf(&handshake(world.gateway.port, &client, APP).unwrap()), before);
    let ready = world.gateway.admin("/readyz").unwrap().text();
    assert!(ready.contains(&format!("no certificate yet for {APP}, more.test")), "{ready}");
    let authority = wanted.unwrap().start();
    let client = authority.client();
    connected(&world, &client);
    handshake(world.gateway.port, &client, "more.test").unwrap();
}
