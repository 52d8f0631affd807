//! How `vestibule bench` drives and counts: against servers that stall, close, hang and rotate cookies.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use html5gum::{Token, Tokenizer};
use serde_json::{Value, json};

use crate::support::bench::{Ended, Scripted, begun, bench, ended, good};
use crate::support::gateway::{eventually, write_private};

/// A second in which nobody is answered, from the given request on.
fn stalling(from: usize) -> Scripted {
    let gate = Mutex::new(());
    Scripted::start(move |_, number| {
        let _at_a_time = gate.lock().unwrap();
        if number == from {
            std::thread::sleep(Duration::from_secs(1));
        }
        good("hello")
    })
}

fn milliseconds(ended: &Ended, kind: &str, percentile: &str) -> f64 {
    ended.json()[kind][percentile].as_f64().unwrap_or_else(|| panic!("{ended:?}"))
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    write_private(&path, text);
    path.to_str().unwrap().to_owned()
}

#[test]
fn in_an_open_loop_those_who_wait_for_others_have_waited() {
    let server = stalling(40);
    let options = ["--anonymous", "--sessions", "1", "--connections", "2", "--rate", "100", "--duration", "2s", "--format", "json"];
    let ended = bench(&[&[server.url("/").as_str()], &options[..]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.json()["requests"]["as_expected"], 200);
    // Half of them were due while nothing moved. Only two were sent then, one on each connection.
    assert!(milliseconds(&ended, "response_time_ms", "max") >= 990.0, "{ended:?}");
    assert!(milliseconds(&ended, "response_time_ms", "p90") >= 600.0, "{ended:?}");
    assert!(milliseconds(&ended, "service_time_ms", "p90") <= 300.0, "{ended:?}");
    assert!(milliseconds(&ended, "service_time_ms", "max") >= 990.0, "{ended:?}");
}

#[test]
fn in_a_closed_loop_they_are_not_met_and_that_is_said() {
    let server = stalling(40);
    let options = ["--anonymous", "--concurrency", "2", "--duration", "2s", "--format", "json"];
    let ended = bench(&[&[server.url("/").as_str()], &options[..]].concat());
    let result = ended.json();
    assert!(result["requests"]["total"].as_u64().unwrap() > 200, "{result:#}");
    assert!(
        milliseconds(&ended, "response_time_ms", "p90") <= 300.0 && milliseconds(&ended, "response_time_ms", "max") >= 990.0,
        "{result:#}"
    );
    assert!(result["notes"].to_string().contains("coordinated omission"), "{result:#}");
    assert_eq!(result["load"]["concurrency"], 2);
}

#[test]
fn cookies_that_are_renewed_are_kept_for_each_person() {
    let folder = tempfile::tempdir().unwrap();
    let cookies = file(&folder, "cookies.txt", "session=a0; theme=dark\nsession=b0\n");
    // Each cookie works once, as a session does that is renewed with every answer.
    let last = Mutex::new(std::collections::HashMap::<String, u32>::new());
    let server = Scripted::start(move |request, _| {
        let cookie = request.get("cookie").unwrap_or_default();
        let session = cookie.split("; ").find_map(|pair| pair.strip_prefix("session="));
        let Some((who, number)) = session.and_then(|session| Some((session.get(..1)?, session.get(1..)?.parse::<u32>().ok()?))) else {
            return "HTTP/1.1 302 Found\r\nLocation: /login?next=1\r\nContent-Length: 0\r\n\r\n".to_owned();
        };
        let mut last = last.lock().unwrap();
        let known = last.entry(who.to_owned()).or_default();
        if *known != number || (who == "a") != cookie.contains("theme=dark") {
            return "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n".to_owned();
        }
        *known += 1;
        format!("HTTP/1.1 200 OK\r\nSet-Cookie: session={who}{known}; Path=/; HttpOnly\r\nContent-Length: 2\r\n\r\nok")
    });
    let options = ["--cookie-file", &cookies, "--concurrency", "2", "--requests", "60", "--format", "json"];
    let ended = bench(&[&[server.url("/").as_str()], &options[..]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.json()["statuses"], json!({"200": 60}), "{ended:?}");
}

#[test]
fn limits_decide_over_the_exit_status() {
    let run = |limits: &[&str]| {
        // Every fourth; the first is looked at before the load, and is good.
        let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        let server = Scripted::start(move |_, number| if number % 4 == 3 { busy.to_owned() } else { good("hello") });
        let url = server.url("/");
        let options = [url.as_str(), "--anonymous", "--sessions", "1", "--requests", "40", "--rate", "400"];
        bench(&[&options[..], limits].concat())
    };
    let kept = run(&["--fail-if", "errors>30%", "--fail-if", "max>9s", "--fail-if", "rate<1"]);
    assert_eq!(kept.status, Some(0), "{kept:?}");
    let words = ["ok    not errors>30%: 25.000 %", "10 with another status (25.00 %)"];
    assert!(words.iter().all(|words| kept.output.contains(words)), "{}", kept.output);
    let broken = run(&["--fail-if", "errors>20%", "--fail-if", "p50>=1us"]);
    assert_eq!(broken.status, Some(1), "{broken:?}");
    assert!(
        broken.output.contains("FAIL  not errors>20%: 25.000 %") && broken.output.contains("FAIL  not p50>=1us: "),
        "{}",
        broken.output
    );
}

#[test]
fn connections_are_counted_and_no_more_than_were_allowed() {
    let server = Scripted::start(|_, _| good("hello"));
    let options = ["--anonymous", "--sessions", "6", "--concurrency", "12", "--requests", "300", "--connections", "4", "--format", "json"];
    let ended = bench(&[&[server.url("/").as_str()], &options[..]].concat());
    let result = ended.json();
    assert_eq!((&result["requests"]["as_expected"], &result["connections"]["opened"]), (&json!(300), &json!(4)), "{result:#}");
    // Beside these, two that looked whether the port is open, one that looked which HTTP is spoken, and one for each first answer.
    assert_eq!(server.connections(), 4 + 3 + 6);
}

#[test]
fn servers_that_close_after_each_answer_cost_connections_and_no_errors() {
    let server = Scripted::start(|_, _| "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".to_owned());
    let options = ["--anonymous", "--sessions", "2", "--concurrency", "4", "--requests", "50", "--format", "json"];
    let ended = bench(&[&[server.url("/").as_str()], &options[..]].concat());
    let result = ended.json();
    assert_eq!((&result["requests"]["as_expected"], &result["requests"]["errors"]), (&json!(50), &json!(0)), "{result:#}");
    // One that was opened while another ended may have come too late to be used.
    let opened = result["connections"]["opened"].as_u64().unwrap();
    assert!((50..=60).contains(&opened), "{opened}");
}

#[test]
fn what_is_not_answered_is_counted_by_its_kind() {
    let server = Scripted::start(|_, number| match number {
        0..12 => good("hello"),
        12 => "nonsense\r\n\r\n".to_owned(),
        13..16 => String::new(),
        _ => {
            // Longer than anybody waits.
            std::thread::sleep(Duration::from_secs(2));
            good("hello")
        }
    });
    let options = [
        "--anonymous",
        "--sessions",
        "1",
        "--connections",
        "1",
        "--rate",
        "100",
        "--requests",
        "20",
        "--timeout",
        "400ms",
        "--format",
        "json",
    ];
    let ended = bench(&[&[server.url("/").as_str()], &options[..]].concat());
    let result = ended.json();
    assert_eq!(result["unanswered"], json!({"timeout": 5, "closed": 3, "protocol": 1}), "{result:#}");
    assert_eq!((&result["requests"]["as_expected"], &result["requests"]["total"]), (&json!(11), &json!(20)), "{result:#}");
    // Twenty requests at a hundred a second, and until the last of them was given up.
    assert!((0.2..5.0).contains(&result["measured_s"].as_f64().unwrap()), "{result:#}");
    // Whoever gave up has waited.
    assert!(milliseconds(&ended, "response_time_ms", "max") >= 400.0, "{result:#}");
}

#[test]
fn answers_are_looked_into_for_the_text_that_is_expected() {
    let server = Scripted::start(|_, number| good(if number < 5 { "hello alice" } else { "hello mallory" }));
    let url = server.url("/");
    let options = [url.as_str(), "--anonymous", "--sessions", "1", "--requests", "20", "--expect-text", "hello alice", "--format", "json"];
    let ended = bench(&options);
    let requests = ended.json()["requests"].clone();
    assert_eq!((&requests["as_expected"], &requests["other_text"]), (&json!(4), &json!(16)), "{requests:#}");
    let ended = bench(&options);
    assert_eq!(ended.status, Some(1));
    assert!(ended.said.contains("without the text that is expected"), "{}", ended.said);
}

#[test]
fn warm_up_is_driven_and_not_measured() {
    let server = Scripted::start(|_, number| if number < 10 { good("warm") } else { good("hello, world") });
    let url = server.url("/a");
    let options = [
        url.as_str(),
        "/b",
        "--anonymous",
        "--sessions",
        "1",
        "--rate",
        "50",
        "--warm-up",
        "500ms",
        "--duration",
        "1s",
        "--format",
        "json",
    ];
    let result = bench(&options).json();
    assert_eq!((&result["requests"]["warm_up"], &result["requests"]["total"]), (&json!(25), &json!(50)), "{result:#}");
    // Two answers were looked at, one for each page.
    assert_eq!(server.asked(), 2 + 25 + 50);
    assert_eq!(result["measured_s"], 1.0);
    assert_eq!(result["bytes"]["total"], 50 * 12);
}

#[test]
fn a_run_that_is_ended_early_tells_what_it_has() {
    let server = Scripted::start(|_, _| good("hello"));
    let url = server.url("/");
    for options in [["--rate", "100"], ["--concurrency", "3"]] {
        let before = server.asked();
        let run = begun(&[&[url.as_str(), "--anonymous", "--duration", "1h", "--format", "json"], &options[..]].concat(), Stdio::null());
        assert!(eventually(Duration::from_secs(20), || server.asked() > before + 40));
        assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
        let ended = ended(run);
        let result = ended.json();
        assert_eq!((ended.status, &result["ended_early"]), (Some(0), &json!(true)), "{ended:?}");
        assert_eq!(
            (&result["requests"]["total"], &result["requests"]["errors"]),
            (&json!(server.asked() - before - 10), &json!(0)),
            "{result:#}"
        );
        assert!(result["measured_s"].as_f64().unwrap() < 60.0, "{result:#}");
    }
}

#[test]
fn methods_headers_and_bodies_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let body = file(&folder, "body.json", "{\"a\":1}");
    let server = Scripted::start(|request, _| {
        let is_whole = request.method == "PUT" && request.body == b"{\"a\":1}" && request.get("content-type") == Some("application/json");
        if is_whole { "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".to_owned() } else { good("") }
    });
    let url = server.url("/");
    let options = [
        url.as_str(),
        "--anonymous",
        "--requests",
        "8",
        "--method",
        "PUT",
        "--body-file",
        &body,
        "--header",
        "Content-Type: application/json",
    ];
    let ended = bench(&[&options[..], &["--expect-status", "201,204"]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.output.contains("201 × 8"), "{}", ended.output);
}

#[test]
fn the_report_is_whole_and_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let cookies = file(&folder, "cookies.txt", "session=a-cookie-to-be-kept\n");
    let report = folder.path().join("report.html");
    std::fs::write(&report, "an older and longer one".repeat(10_000)).unwrap();
    let server = Scripted::start(|request, _| match request.get("cookie") {
        None => "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
        Some(_) => "HTTP/1.1 200 OK\r\nSet-Cookie: other=a-cookie-that-was-set\r\nContent-Length: 2\r\n\r\nok".to_owned(),
    });
    let url = server.url("/a<b>?code=a-code-of-the-query");
    let options =
        ["--cookie-file", &cookies, "--rate", "60", "--duration", "2s", "--fail-if", "p99>9s", "--report", report.to_str().unwrap()];
    let ended = bench(&[&[url.as_str()], &options[..]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let html = std::fs::read_to_string(&report).unwrap();
    for secret in ["a-cookie-to-be-kept", "a-cookie-that-was-set", "a-code-of-the-query"] {
        assert!([&html, &ended.output, &ended.said].iter().all(|text| !text.contains(secret)), "{secret}: {ended:?}");
    }
    assert!(!html.contains("older") && !html.contains("a<b>") && !html.contains("<script") && !html.contains("http-equiv=\"refresh\""));
    assert_eq!(outline(&html), Value::Null);
    assert_eq!(html.matches("<svg").count(), 4);
    assert!(html.contains("not p99&gt;9s") && html.contains("60.0&#x2f;s asked for"), "{html}");
}

/// Null where every element that is opened is closed, in order; else what is wrong.
fn outline(html: &str) -> Value {
    const VOID: [&str; 3] = ["meta", "br", "input"];
    let mut open: Vec<String> = Vec::new();
    for Ok(token) in Tokenizer::new(html) {
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8(tag.name.to_vec()).unwrap();
                if !tag.self_closing && !VOID.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => {
                let name = String::from_utf8(tag.name.to_vec()).unwrap();
                if open.pop().as_deref() != Some(name.as_str()) {
                    return json!({"closed": name, "within": open});
                }
            }
            Token::Error(error) => return json!(format!("{error:?}")),
            _ => {}
        }
    }
    if open.is_empty() { Value::Null } else { json!(open) }
}
