//! Redis as people run it: with TLS and a user of few rights, behind sentinels, as a cluster.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::certificates::certificates;
use crate::support::client::{Browser, ask_as_script};
use crate::support::gateway::{Gateway, Plan, eventually, free_port, vestibule};
use crate::support::oracles::{assert_signed_in, is_signed_out, sign_in, sign_in_as, sign_out};
use crate::support::redis::Redis;
use crate::support::secrets::random;

fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    sign_in(world, &mut browser, "/");
    browser
}

fn settings(plan: &mut Plan, redis: &Arc<Redis>, settings: Value) {
    plan.keep_in(redis, "");
    plan.configuration["sessions"]["redis"] = settings;
}

/// What every story here tells at the end: in, out, and out at another gateway too.
fn works(world: &World, what: &str) {
    let other = Plan::sibling(&world.gateway).start();
    let mut browser = signed_in(world);
    assert_signed_in(&mut browser, what);
    let copy = browser.copy();
    let status = |gateway: &Gateway| ask_as_script(gateway.port, &world.gateway.authority(), &copy.cookie_header(), "/page");
    assert_eq!(status(&other), 200, "{what}: at another gateway");
    sign_out(&mut browser);
    assert!(is_signed_out(world, &mut copy.copy()), "{what}");
    assert!(eventually(Duration::from_secs(1), || status(&other) == 401), "{what}: at another gateway, a second later");
}

/// Everything that a gateway needs, and nothing else (docs/sessions.md).
fn few_rights(user: &str, password: &str) -> Vec<String> {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sessions.md")).unwrap();
    let rule = document.lines().find(|line| line.starts_with("ACL SETUSER vestibule ")).expect("the rule stands in docs/sessions.md");
    let words = rule.replace("vestibule on", &format!("{user} on")).replace(">PASSWORD", &format!(">{password}"));
    words.split(' ').map(str::to_owned).collect()
}

#[test]
fn with_tls_a_certificate_of_its_own_and_a_user_of_few_rights() {
    let (certificate, key) = (certificates().certificate_file(), certificates().private_key_file());
    let authority = certificates().ca_file();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let tls_port = free_port().to_string();
    let redis = Arc::new(Redis::start_with(&[
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        &text(&certificate),
        "--tls-key-file",
        &text(&key),
        "--tls-ca-cert-file",
        &text(&authority),
        "--tls-auth-clients",
        "yes",
    ]));
    let password = random(24);
    let rule = few_rights("edge", &password);
    let _: String = redis.ask(&rule.iter().map(String::as_str).collect::<Vec<_>>());
    let _: String = redis.ask(&["ACL", "SETUSER", "default", "off"]);
    let password_file = certificates().secret_file("redis-password", &password);
    let (own_certificate, own_key) = certificates().client_files();
    let world = World::start_with(|plan| {
        let url = format!("rediss://localhost:{tls_port}/0");
        let login = json!({
            "url": url, "username": "edge", "password": {"file": password_file}, "ca_certificates": authority,
            "client_certificate": {"certificate": own_certificate, "private_key": own_key},
        });
        settings(plan, &redis, login);
    });
    world.secrets.add(&password, "password of Redis");
    works(&world, "TLS and a user of few rights");
    // The same file tells beforehand whether all of this is right.
    let checked = || {
        let output = vestibule().args(["check", "--online", "--config"]).arg(world.gateway.configuration_file()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let words = checked();
    assert!(words.contains("ok     sessions.redis"), "{words}");
    let file = world.gateway.configuration_file();
    let configuration = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, configuration.replace("\"username\": \"edge\"", "\"username\": \"nobody\"")).unwrap();
    let words = checked();
    assert!(words.contains("error  sessions.redis"), "{words}");
    assert!(!words.contains(&password), "{words}");
}

struct Cluster(Vec<Arc<Redis>>);

impl Cluster {
    fn start() -> Self {
        let nodes: Vec<Arc<Redis>> = (0..3)
            .map(|_| {
                let flags = ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000"];
                Arc::new(Redis::start_with(&flags))
            })
            .collect();
        for (node, slots) in nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]) {
            let _: String = node.ask(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]);
            let _: String = node.ask(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port.to_string()]);
        }
        let is_whole = |node: &Arc<Redis>| {
            let info: String = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") && info.contains("cluster_slots_ok:16384")
        };
        assert!(eventually(Duration::from_secs(30), || nodes.iter().all(is_whole)), "the cluster does not form");
        Self(nodes)
    }
}

#[test]
fn as_a_cluster() {
    let cluster = Cluster::start();
    let urls: Vec<String> = cluster.0.iter().map(|node| node.url()).collect();
    let password = random(24);
    let password_file = certificates().secret_file("cluster-password", &password);
    let rule = few_rights("edge", &password);
    for node in &cluster.0 {
        let words: Vec<&str> = rule.iter().map(String::as_str).chain(["+cluster|slots", "+spublish", "+ssubscribe"]).collect();
        let _: String = node.ask(&words);
    }
    let login = json!({"url": urls, "cluster": true, "username": "edge", "password": {"file": password_file}});
    let world = World::start_with(|plan| settings(plan, &cluster.0[0], login));
    world.secrets.add(&password, "password of Redis");
    works(&world, "a cluster");
    let mut people: Vec<Browser> = (0..12).map(|_| signed_in(&world)).collect();
    let used = cluster.0.iter().filter(|node| !node.keys("vestibule:session:*").is_empty()).count();
    assert!(used > 1, "all sessions are at one node");
    people.iter_mut().for_each(|browser| assert_signed_in(browser, "a cluster"));
}

#[test]
fn behind_sentinels_through_a_failover() {
    let master = Arc::new(Redis::start());
    let replica = Redis::start_with(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
    let sentinel = Redis::sentinel(&format!(
        "sentinel monitor edge 127.0.0.1 {} 1\nsentinel down-after-milliseconds edge 800\nsentinel failover-timeout edge 4000\n",
        master.port
    ));
    let has_replica = || replica.ask::<String>(&["INFO", "replication"]).contains("master_link_status:up");
    assert!(eventually(Duration::from_secs(20), has_replica), "the replica does not follow");
    let is_known = || sentinel.ask::<String>(&["INFO", "sentinel"]).contains("slaves=1");
    assert!(eventually(Duration::from_secs(30), is_known), "the sentinel knows of no replica");
    let password = random(24);
    let password_file = certificates().secret_file("sentinels-password", &password);
    let rule = few_rights("edge", &password);
    for server in [&*master, &replica] {
        let _: String = server.ask(&rule.iter().map(String::as_str).chain(["+role"]).collect::<Vec<_>>());
    }
    let login = json!({"url": sentinel.url(), "sentinel": {"service": "edge"}, "username": "edge", "password": {"file": password_file}});
    let world = World::start_with(|plan| settings(plan, &master, login));
    world.secrets.add(&password, "password of Redis");
    works(&world, "sentinels");
    let mut alice = signed_in(&world);
    let mut bob = world.browser();
    sign_in_as(&world, &mut bob, "/", "bob");
    let is_copied = || replica.keys("vestibule:session:*").len() >= 2;
    assert!(eventually(Duration::from_secs(10), is_copied), "the replica has not got the sessions");
    master.end();
    let is_well = |browser: &Browser| browser.copy().fetch("/page").status() == 200;
    assert!(eventually(Duration::from_secs(30), || is_master(&replica)), "no failover");
    assert!(eventually(Duration::from_secs(10), || is_well(&alice)), "not well after the failover");
    assert_signed_in(&mut alice, "after the failover");
    assert_signed_in(&mut bob, "after the failover");
    assert_eq!(world.provider.count("token"), 3, "somebody had to sign in again");
    let gone = alice.copy();
    sign_out(&mut alice);
    assert!(is_signed_out(&world, &mut gone.copy()));
}

fn is_master(redis: &Redis) -> bool {
    redis.ask::<String>(&["INFO", "replication"]).contains("role:master")
}

#[test]
fn a_setting_that_cannot_work_is_refused_with_its_place() {
    let world = World::start();
    let text = std::fs::read_to_string(world.gateway.configuration_file()).unwrap();
    let configuration: Value = serde_json::from_str(&text).unwrap();
    let secret = random(20);
    for (redis, message) in [
        (json!(null), "nobody says where the Redis is"),
        (json!({}), "there is no url"),
        (json!({"url": "http://127.0.0.1"}), "not the URL of a Redis"),
        (json!({"url": format!("redis://:{secret}@127.0.0.1:x")}), "not a URL"),
        (json!({"url": "redis://127.0.0.1/first"}), "number of a database"),
        (json!({"url": "redis://127.0.0.1/?a=b"}), "has no ?"),
        (json!({"url": ["redis://127.0.0.1", "rediss://127.0.0.1"]}), "reached in one way"),
        (json!({"url": "redis://127.0.0.1/1", "cluster": true}), "database 0 only"),
        (json!({"url": "redis://127.0.0.1", "cluster": true, "sentinel": {"service": "a"}}), "no sentinels"),
        (json!({"url": "redis://127.0.0.1", "key_prefix": "a{b}"}), "letters, digits"),
        (json!({"url": "redis://127.0.0.1", "ca_certificates": "nowhere.pem"}), "nowhere.pem"),
        (json!({"url": "redis://127.0.0.1", "sentinel": {}}), "service"),
        (json!({"url": "redis://127.0.0.1", "clustr": true}), "clustr"),
    ] {
        let mut configuration = configuration.clone();
        configuration["sessions"]["store"] = json!("redis");
        if !redis.is_null() {
            configuration["sessions"]["redis"] = redis.clone();
        }
        let file = world.gateway.configuration_file().with_file_name("other.yaml");
        std::fs::write(&file, format!("{configuration:#}\n")).unwrap();
        let output = vestibule().args(["check", "--config"]).arg(&file).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{redis}: {words}");
        assert!(words.contains(message) && words.contains("sessions") && words.contains("other.yaml:"), "{redis}: {words}");
        assert!(!words.contains(&secret), "{words}");
    }
}
