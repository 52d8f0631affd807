//! SIGHUP: the configuration changes under load, at once, and nobody notices more than the change.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::certificates::certificates;
use crate::support::client::{NAVIGATE, connect, raw};
use crate::support::gateway::{Gateway, eventually, free_port, rule};
use crate::support::oracles::{sign_in, sign_out};
use crate::support::raw_target::{head, target as raw_target};
use crate::support::target::Target;

pub(crate) fn configuration(gateway: &Gateway) -> Value {
    serde_json::from_slice(&std::fs::read(gateway.configuration_file()).unwrap()).unwrap()
}

pub(crate) fn write(gateway: &Gateway, configuration: &Value) {
    // As careful people do: nobody ever reads half a file.
    let file = gateway.configuration_file();
    let other = file.with_extension("new");
    std::fs::write(&other, format!("{configuration:#}\n")).unwrap();
    std::fs::rename(other, file).unwrap();
}

pub(crate) fn count(gateway: &Gateway, result: &str) -> u64 {
    let name = format!("vestibule_config_reloads_total{{result=\"{result}\"}} ");
    let text = gateway.admin("/metrics").map(|response| response.text()).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok()).unwrap_or(0)
}

pub(crate) fn hang_up(gateway: &Gateway) {
    assert!(Command::new("kill").args(["-HUP", &gateway.process_id().to_string()]).status().unwrap().success());
}

/// Waits for the end of one more reload.
pub(crate) fn reload(gateway: &Gateway, result: &str) {
    let before = count(gateway, result);
    hang_up(gateway);
    assert!(eventually(Duration::from_secs(10), || count(gateway, result) == before + 1), "no reload: {}", gateway.log());
}

pub(crate) fn changed(world: &World, change: impl FnOnce(&mut Value)) {
    let mut configuration = configuration(&world.gateway);
    change(&mut configuration);
    write(&world.gateway, &configuration);
}

#[test]
fn a_reload_changes_rules_and_keeps_people_endings_keys_and_counts() {
    let world = World::start();
    let (mut browser, mut gone) = (world.browser(), world.browser());
    sign_in(&world, &mut browser, "/");
    sign_in(&world, &mut gone, "/");
    let stolen = gone.copy();
    sign_out(&mut gone);
    let logins = "vestibule_auth_success_total{identity_provider=\"op\"} 2";
    let fetched = (world.provider.count("jwks"), world.provider.count("discovery"));
    assert_eq!(browser.get("/new").status(), 200);
    changed(&world, |configuration| {
        let rules = configuration["listeners"][0]["rules"].as_array_mut().unwrap();
        rules.push(rule(5, "/new", &json!([{"fixed_response": {"status_code": 299, "message_body": "new"}}])));
        configuration["identity_headers"]["claims"] = json!({"X-Person": "email"});
    });
    reload(&world.gateway, "success");
    assert_eq!(browser.get("/new").status(), 299, "on the connection of before");
    assert_eq!(browser.copy().get("/page").status(), 200, "still signed in");
    let seen = world.target.last();
    assert!(seen.get("x-person").is_some() && seen.get("x-auth-email").is_none(), "headers of before: {:?}", seen.head.fields);
    assert_eq!(stolen.copy().get("/page").status(), 302, "signed out before the reload, and in again after it");
    assert!(world.gateway.admin("/metrics").unwrap().text().contains(logins), "the counters began anew");
    assert_eq!((world.provider.count("jwks"), world.provider.count("discovery")), fetched, "fetched again");
    let mut later = world.browser();
    sign_in(&world, &mut later, "/");
}

#[test]
fn a_login_that_began_before_a_reload_ends_after_it_and_works_once() {
    let world = World::start();
    let mut browser = world.browser();
    let login = crate::support::oracles::start_login(&world, &mut browser, "/page");
    let callback = world.provider.approve(&login);
    reload(&world.gateway, "success");
    assert_eq!(browser.get(&callback).status(), 302);
    assert_eq!(browser.get("/page").status(), 200);
    reload(&world.gateway, "success");
    let tokens = world.provider.count("token");
    browser.get(&callback);
    assert_eq!(world.provider.count("token"), tokens, "a finished login was redeemed again");
}

#[test]
fn a_file_with_a_fault_changes_nothing_and_is_told_with_its_place() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    changed(&world, |configuration| {
        configuration["listeners"][0]["rules"] = json!([]);
        configuration["listeners"][0]["default_actions"] = json!([{"forward": "nowhere"}]);
    });
    reload(&world.gateway, "failure");
    let log = world.gateway.log();
    assert!(log.contains("was not reloaded") && log.contains("no target group is called \"nowhere\""), "{log}");
    assert!(log.contains("vestibule.yaml:"), "{log}");
    std::fs::write(world.gateway.configuration_file(), "listeners: [").unwrap();
    reload(&world.gateway, "failure");
    assert_eq!(browser.get("/page").status(), 200);
    assert_eq!(world.browser().get("/deny/x").status(), 401, "the rules of before");
}

#[test]
fn what_cannot_change_without_a_restart_is_told() {
    let world = World::start();
    let sound = configuration(&world.gateway);
    let address = format!("127.0.0.1:{}", free_port());
    changed(&world, |configuration| configuration["listeners"][0]["address"] = json!(address));
    reload(&world.gateway, "failure");
    assert!(world.gateway.log().contains(&format!("no listener is open at {address}")), "{}", world.gateway.log());
    let mut more = sound.clone();
    let mut second = more["listeners"][0].clone();
    second["address"] = json!(address);
    more["listeners"].as_array_mut().unwrap().push(second);
    write(&world.gateway, &more);
    reload(&world.gateway, "failure");
    assert_eq!(world.browser().get("/public/page").status(), 200);
    write(&world.gateway, &sound);
    changed(&world, |configuration| configuration["access_log"]["format"] = json!("alb"));
    reload(&world.gateway, "success");
    let told = "access_log has changed in the file, and changes with a restart only";
    assert!(eventually(Duration::from_secs(3), || world.gateway.log().contains(told)), "{}", world.gateway.log());
}

#[test]
fn a_new_certificate_is_shown_from_the_next_connection_on() {
    let world = World::start();
    let folder = world.gateway.configuration_file().parent().unwrap().to_owned();
    let mut kept = connect(world.gateway.port);
    let ask = format!("GET /public/x HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority());
    kept.send(ask.as_bytes()).unwrap();
    assert_eq!(kept.response("GET").unwrap().status(), 200);
    let made = rcgen::generate_simple_self_signed([crate::support::certificates::APP.to_owned()]).unwrap();
    std::fs::write(folder.join("next.pem"), made.cert.pem()).unwrap();
    crate::support::gateway::write_private(&folder.join("next.key"), &made.signing_key.serialize_pem());
    changed(&world, |configuration| {
        configuration["listeners"][0]["certificates"] =
            json!([{"certificate": folder.join("next.pem"), "private_key": folder.join("next.key")}]);
    });
    reload(&world.gateway, "success");
    let refused = crate::support::client::connect_as(world.gateway.port, certificates().client(b"http/1.1"));
    assert!(refused.is_err(), "the certificate of before is still shown");
    kept.send(ask.as_bytes()).unwrap();
    assert_eq!(kept.response("GET").unwrap().status(), 200, "a connection of before goes on");
}

#[test]
fn no_request_fails_while_targets_come_and_go_by_reloads() {
    let targets: Vec<Target> = (0..3).map(|_| Target::start()).collect();
    let addresses: Vec<String> = targets.iter().map(|target| format!("127.0.0.1:{}", target.port())).collect();
    let world = World::start_with(|plan| plan.configuration["target_groups"]["app"] = json!({"targets": [addresses[0]]}));
    let (stop, asked, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (mut browser, stop, asked, failed) = (browser.copy(), stop.clone(), asked.clone(), failed.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    // With kept connections and with new ones, with bodies and without.
                    let response = match number {
                        0 => browser.copy().get("/page"),
                        1 => browser.request("POST", "/form", NAVIGATE, &[], Some(b"a=1")),
                        _ => browser.get("/page"),
                    };
                    asked.fetch_add(1, Ordering::SeqCst);
                    if response.status() != 200 {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for round in 0..12 {
        let here: Vec<&String> =
            addresses.iter().enumerate().filter(|(index, _)| (round + index) % 3 != 0).map(|(_, address)| address).collect();
        changed(&world, |configuration| configuration["target_groups"]["app"]["targets"] = json!(here));
        reload(&world.gateway, "success");
    }
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let (asked, failed) = (asked.load(Ordering::SeqCst), failed.load(Ordering::SeqCst));
    assert!(failed == 0 && asked > 100, "{failed} of {asked} requests failed");
    assert!(targets.iter().all(|target| target.count() > 0), "a target was never asked");
    let marks: Vec<usize> = targets.iter().map(Target::count).collect();
    changed(&world, |configuration| configuration["target_groups"]["app"]["targets"] = json!([addresses[1]]));
    reload(&world.gateway, "success");
    for _ in 0..20 {
        assert_eq!(
            raw(&world.gateway, format!("GET /public/x HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority())).unwrap().status(),
            200
        );
    }
    assert_eq!(targets[0].count() + targets[2].count(), marks[0] + marks[2], "a target that has left was asked");
}

#[test]
fn visitors_stay_with_their_targets_over_a_reload() {
    let targets: Vec<Target> = (0..3).map(|_| Target::start()).collect();
    let addresses: Vec<String> = targets.iter().map(|target| format!("127.0.0.1:{}", target.port())).collect();
    let world = World::start_with(|plan| {
        plan.configuration["target_groups"]["app"] = json!({"targets": addresses, "stickiness": {"type": "lb_cookie"}});
    });
    let mut browser = world.browser();
    assert_eq!(browser.get("/public/x").status(), 200);
    let mine = targets.iter().position(|target| target.count() == 1).unwrap();
    changed(&world, |configuration| {
        let list = configuration["target_groups"]["app"]["targets"].as_array_mut().unwrap();
        list.reverse();
        configuration["target_groups"]["app"]["timeouts"] = json!({"response": "30s"});
    });
    reload(&world.gateway, "success");
    for _ in 0..6 {
        assert_eq!(browser.get("/public/x").status(), 200);
    }
    assert_eq!(targets[mine].count(), 7, "{:?}", targets.iter().map(Target::count).collect::<Vec<_>>());
}

#[test]
fn requests_at_a_target_that_has_left_may_finish_until_its_delay_is_over() {
    let leaving = raw_target(|mut stream, _| {
        loop {
            let asked = String::from_utf8_lossy(&head(&mut stream)).into_owned();
            if asked.is_empty() {
                return;
            }
            let ticks = if asked.contains("/short") { 10 } else { 100 };
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for _ in 0..ticks {
                if stream.write_all(b"2\r\n.\n\r\n").is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(150));
            }
            let _ = stream.write_all(b"0\r\n\r\n");
        }
    });
    let world = World::start_with(|plan| {
        plan.configuration["target_groups"]["app"] = json!({"targets": [leaving.to_string()], "deregistration_delay": "4s"});
    });
    let stays = Target::start();
    let opened = |path: &str| {
        let mut wire = connect(world.gateway.port);
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
        let head = wire.until(b"\r\n\r\n").unwrap();
        assert!(head.starts_with(b"HTTP/1.1 200"), "{path}");
        wire
    };
    let (mut short, mut long) = (opened("/public/short"), opened("/public/long"));
    changed(&world, |configuration| configuration["target_groups"]["app"]["targets"] = json!([format!("127.0.0.1:{}", stays.port())]));
    reload(&world.gateway, "success");
    let since = Instant::now();
    assert!(world.browser().get("/public/new").text().contains("/public/new"), "new requests go to the others");
    assert_eq!(stays.count(), 1);
    short.until(b"0\r\n\r\n").unwrap();
    long.read_timeout(Duration::from_secs(8));
    let rest = String::from_utf8(long.rest()).unwrap();
    assert!(!rest.ends_with("0\r\n\r\n"), "passed as whole");
    let after = since.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(7)).contains(&after), "ended after {after:?}");
    let lines = world.gateway.access_lines_with(1, |line| line["error_reason"] == "TargetDeregistered");
    let line = lines.first().unwrap_or_else(|| panic!("not in the log: {:?}", world.gateway.access_lines()));
    assert_eq!((&line["elb_status_code"], &line["target_port"]), (&json!(200), &json!(leaving.to_string())), "{line}");
    assert!(
        line["request"].as_str().is_some_and(|request| request.starts_with("GET https://") && request.contains("/public/long")),
        "{line}"
    );
}
