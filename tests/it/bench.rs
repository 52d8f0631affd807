//! `vestibule bench` against a gateway: people sign in, and what they are answered is counted as what it is.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::bearer;
use crate::support::bench::{Deployment, bench, ended};
use crate::support::certificates::certificates;
use crate::support::gateway::free_port;

const USERS: &str = "name,password\nalice,wonderland\nbob,builder\n";

#[test]
fn people_sign_in_and_every_request_is_one_of_theirs() {
    let deployment = Deployment::start();
    let users = deployment.file("users.csv", USERS);
    for (version, connections) in [("2", 3), ("1.1", 18)] {
        let before = deployment.target.count();
        let options = ["--users", &users, "--sessions", "3", "--rate", "40", "--duration", "1500ms", "--http", version, "--format", "json"];
        let ended = deployment.bench("/page?a=b", &options);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let result = ended.json();
        assert_eq!(result["requests"]["total"], 60, "{result:#}");
        assert_eq!(result["requests"]["as_expected"], 60);
        assert_eq!(result["statuses"], json!({"200": 60}));
        assert_eq!(result["sign_in"]["count"], 3);
        assert_eq!(result["target"]["http"], version);
        let opened = result["connections"]["opened"].as_u64().unwrap();
        assert!((3..=connections).contains(&opened), "{opened} connections over HTTP/{version}");
        assert!(result["notes"].as_array().unwrap().iter().all(|note| !note.as_str().unwrap().contains("needs no sign-in")), "{result:#}");

        let mut people: BTreeMap<String, usize> = BTreeMap::new();
        for request in deployment.target.since(before) {
            assert_eq!(request.target, "/page?a=b");
            *people.entry(request.get("x-auth-email").unwrap().to_owned()).or_default() += 1;
        }
        // Three landed after their sign-in and three were looked at; two of the three sessions are alice's.
        assert_eq!(people, BTreeMap::from([("alice@example.com".to_owned(), 44), ("bob@example.com".to_owned(), 22)]));
    }
}

#[test]
fn names_and_passwords_may_come_from_standard_input() {
    let deployment = Deployment::start();
    let mut run = deployment.begun("/page", &["--users", "-", "--requests", "6", "--format", "json"], Stdio::piped());
    run.stdin.take().unwrap().write_all(USERS.as_bytes()).unwrap();
    let ended = ended(run);
    assert_eq!((ended.status, &ended.json()["requests"]["as_expected"]), (Some(0), &json!(6)), "{ended:?}");
}

#[test]
fn a_wrong_password_is_told_with_its_step_and_ends_before_any_load() {
    let deployment = Deployment::start();
    let users = deployment.file("users.csv", "alice,not-her-password\n");
    let ended = deployment.bench("/page", &["--users", &users]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    for words in
        ["alice cannot sign in: at step", "after the password was given", "POST http://localhost:", "asks for the password again", "hint: "]
    {
        assert!(ended.said.contains(words), "{words}: {}", ended.said);
    }
    // What follows the path of a URL holds codes and states.
    assert!(!ended.said.contains('?') && !ended.said.contains("not-her-password"), "{}", ended.said);
    assert_eq!(deployment.target.count(), 0);
}

#[test]
fn pages_that_do_not_send_people_to_a_login_are_told_apart() {
    let deployment = Deployment::start();
    let users = deployment.file("users.csv", USERS);
    let ended = deployment.bench("/deny/x", &["--users", &users]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.said.contains("answered 401 instead of sending people to a login") && ended.said.contains("--sign-in-at"),
        "{}",
        ended.said
    );

    let ended =
        deployment.bench("/deny/x", &["--users", &users, "--sign-in-at", "/home", "--requests", "10", "--rate", "50", "--format", "json"]);
    assert_eq!(ended.json()["requests"]["as_expected"], 10, "{ended:?}");

    let ended = deployment.bench("/public", &["--users", &users]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.said.contains("answered 200 to somebody who is not signed in") && ended.said.contains("--anonymous"), "{}", ended.said);

    let ended = deployment.bench("/public", &["--anonymous", "--requests", "10", "--format", "json"]);
    assert_eq!((ended.status, &ended.json()["requests"]["as_expected"]), (Some(0), &json!(10)), "{ended:?}");

    let ended = deployment.bench("/page", &["--anonymous", "--requests", "10"]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.said.contains("answered 302 to a stranger"), "{}", ended.said);
}

#[test]
fn cookies_that_need_no_sign_in_are_noted() {
    let deployment = Deployment::start();
    let cookies = deployment.file("cookies.txt", "nothing=1\n");
    let ended = deployment.bench("/public", &["--cookie-file", &cookies, "--requests", "5", "--format", "json"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let notes = ended.json()["notes"].to_string();
    assert!(notes.contains("needs no sign-in") && notes.contains("/public answers 200 to strangers"), "{notes}");

    let ended = deployment.bench("/page", &["--cookie-file", &cookies, "--requests", "5"]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.said.contains("answered 302 to cookies 1, as to somebody who is not signed in"), "{}", ended.said);
}

#[test]
fn tokens_of_a_file_are_presented_and_never_shown() {
    let world = bearer::world();
    let tokens: Vec<String> = ["alice", "bob"].map(|name| bearer::token_with(&world, "sub", json!(name))).to_vec();
    let folder = tempfile::tempdir().unwrap();
    let (file, report) = (folder.path().join("tokens.txt"), folder.path().join("report.html"));
    std::fs::write(&file, tokens.join("\n")).unwrap();
    let (url, address) = (world.gateway.url("/api/orders?code=a-secret-of-the-query"), format!("127.0.0.1:{}", world.gateway.port));
    let authority = certificates().ca_file();
    let options =
        [url.as_str(), "--connect-to", &address, "--ca-file", authority.to_str().unwrap(), "--bearer-file", file.to_str().unwrap()];
    let more = ["--rate", "40", "--duration", "1s", "--format", "json", "--report", report.to_str().unwrap()];
    let before = world.target.count();
    let ended = bench(&[&options[..], &more].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let result = ended.json();
    assert_eq!((&result["requests"]["as_expected"], &result["load"]["sessions"]), (&json!(40), &json!(2)), "{result:#}");
    assert_eq!(world.target.since(before).len(), 42);
    let report = std::fs::read_to_string(report).unwrap();
    for text in [&report, &ended.output, &ended.said] {
        assert!(text.contains("orders") && !text.contains("a-secret-of-the-query") && !text.contains("Bearer"), "{text}");
        assert_eq!(world.secrets.leaks(text), Vec::<&str>::new());
    }
}

#[test]
fn sessions_that_end_under_load_are_signed_out_and_no_success() {
    let deployment = Deployment::start();
    let users = deployment.file("users.csv", USERS);
    let ended = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let options = ["--users", &users, "--rate", "50", "--duration", "3s", "--fail-if", "signed-out>0", "--format", "json"];
            deployment.bench("/page", &options)
        });
        // Two have landed, two were looked at: from then on it is the load.
        assert!(crate::support::gateway::eventually(std::time::Duration::from_secs(20), || deployment.target.count() > 20));
        let sessions = deployment.gateway.admin("/sessions").unwrap().json();
        for session in sessions["sessions"].as_array().unwrap() {
            let path = format!("/sessions/{}", session["id"].as_str().unwrap());
            assert_eq!(deployment.gateway.ask_admin("DELETE", &path, &[]).status(), 200);
        }
        run.join().unwrap()
    });
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let requests = &ended.json()["requests"];
    let count = |name: &str| requests[name].as_u64().unwrap();
    assert!(count("signed_out") > 0 && count("as_expected") > 0, "{requests:#}");
    assert_eq!(count("as_expected") + count("signed_out"), 150, "{requests:#}");
    assert_eq!(ended.json()["statuses"]["302"], requests["signed_out"]);
    assert_eq!(ended.json()["thresholds"][0]["holds"], false);
}

#[test]
fn what_cannot_be_reached_is_told_at_once() {
    let port = free_port();
    for (url, words) in [
        (format!("https://127.0.0.1:{port}/"), "cannot be connected to"),
        ("https://nowhere.invalid/".to_owned(), "the name nowhere.invalid cannot be resolved"),
    ] {
        let ended = bench(&[&url, "--anonymous"]);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.said.contains(words) && ended.said.contains("hint: "), "{}", ended.said);
        assert_eq!(ended.output, "");
    }
    let deployment = Deployment::start();
    let url = format!("https://127.0.0.1:{}/", deployment.gateway.port);
    let ended = bench(&[&url, "--anonymous"]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.said.contains("TLS with 127.0.0.1 fails") && ended.said.contains("--ca-file"), "{}", ended.said);
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let broken = at("broken.csv", "alice,a\nthe-only-secret\n");
    let none = at("none.csv", "# nobody\n");
    let cases: [(&[&str], &str); 10] = [
        (&["https://app.example.com/"], "who signs in?"),
        (&["https://app.example.com/", "--users", &broken], "line 2 is not a name and a password"),
        (&["https://app.example.com/", "--users", &none], "nobody is in it"),
        (&["https://app.example.com/", "--users", "/nonexistent/users.csv"], "No such file"),
        (&["app.example.com", "--anonymous"], "not an http or https URL"),
        (&["https://alice:secret@app.example.com/", "--anonymous"], "have no place in a URL"),
        (&["https://a.test/", "https://b.test/", "--anonymous"], "is not of https://a.test"),
        (&["https://a.test/", "--anonymous", "--header", "Cookie: a=secret"], "--cookie-file"),
        (&["https://a.test/", "--anonymous", "--fail-if", "p99>200"], "a time has a unit"),
        (&["https://a.test/", "--anonymous", "--report", "/nonexistent/report.html"], "the report cannot be written"),
    ];
    for (arguments, words) in cases {
        let ended = bench(arguments);
        assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.said.contains(words), "{arguments:?}: {}", ended.said);
        assert!(
            !ended.said.contains("the-only-secret") && !ended.said.contains("=secret") && !ended.said.contains(":secret"),
            "{}",
            ended.said
        );
        assert_eq!(ended.output, "");
    }
}

#[test]
fn the_result_for_programs_keeps_its_keys() {
    let deployment = Deployment::start();
    let users = deployment.file("users.csv", USERS);
    let ended = deployment.bench("/page", &["--users", &users, "--requests", "7", "--concurrency", "2", "--format", "json"]);
    let result = ended.json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(&result),
        "format started ended_early passed target load requests measured_s rate statuses unanswered bytes response_time_ms service_time_ms sign_in connections generator thresholds notes"
    );
    assert_eq!(keys(&result["requests"]), "total as_expected errors signed_out other_status other_text unanswered warm_up");
    for name in ["response_time_ms", "service_time_ms"] {
        assert_eq!(keys(&result[name]), "min mean p50 p75 p90 p95 p99 p99_9 max");
    }
    assert_eq!(keys(&result["generator"]), "keeps_up lag_ms processor");
    assert_eq!((&result["requests"]["total"], &result["load"]["loop"]), (&json!(7), &json!("closed")));
    assert_eq!(result["passed"], true);
}
