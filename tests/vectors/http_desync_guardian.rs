//! D01: the test cases of AWS's http-desync-guardian, as octets on a connection to a running gateway.
//!
//! A severe case is refused or made harmless, a compliant one is forwarded, and in between nothing ambiguous arrives.

use std::time::Duration;

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value, json};

use crate::support::World;
use crate::support::client::connect;
use crate::support::wire::octets;

const FILES: [&str; 10] = [
    include_str!("http-desync-guardian/acceptable.yaml"),
    include_str!("http-desync-guardian/ambiguous.yaml"),
    include_str!("http-desync-guardian/bad-header-characters.yaml"),
    include_str!("http-desync-guardian/edge-cases.yaml"),
    include_str!("http-desync-guardian/more-compliant-tests.yaml"),
    include_str!("http-desync-guardian/real-life-test-cases.yaml"),
    include_str!("http-desync-guardian/rfc-compliant.yaml"),
    include_str!("http-desync-guardian/severe.yaml"),
    include_str!("http-desync-guardian/single-case.yaml"),
    include_str!("http-desync-guardian/uri-specific-test-cases.yaml"),
];

/// Sequences, mappings and scalars, the latter always as text.
fn read(events: &mut impl Iterator<Item = Event<'static>>) -> Option<Value> {
    match events.next()? {
        Event::Scalar(text, ..) => Some(json!(text)),
        Event::SequenceStart(..) => Some(Value::Array(std::iter::from_fn(|| read(events)).collect())),
        Event::MappingStart(..) => {
            let mut mapping = Map::new();
            while let Some(Value::String(name)) = read(events) {
                mapping.insert(name, read(events)?);
            }
            Some(Value::Object(mapping))
        }
        Event::SequenceEnd | Event::MappingEnd => None,
        _ => read(events),
    }
}

struct Case {
    name: String,
    tier: String,
    reason: String,
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    request: Vec<u8>,
}

fn cases(world: &World) -> Vec<Case> {
    let documents = FILES.iter().flat_map(|file| {
        let mut events = Parser::new_from_str(file).map(|event| event.unwrap().0);
        read(&mut events).unwrap().as_array().unwrap().clone()
    });
    documents.map(|case| Case::new(&case, &world.gateway.authority())).collect()
}

impl Case {
    fn new(case: &Value, authority: &str) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let listed = case["headers"].as_array().cloned().unwrap_or_default();
        let headers: Vec<_> = listed.iter().map(|header| (text(&header["name"]), text(&header["value"]))).collect();
        let mut head = format!("{} {} {}\r\n", text(&case["method"]), text(&case["uri"]), text(&case["version"]));
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: {authority}\r\n"));
        }
        for (name, value) in &headers {
            // The hosts of the cases are not ours.
            let value = if name.eq_ignore_ascii_case("host") { authority } else { value };
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut request = octets(&head);
        request.extend(body(&headers));
        Self {
            name: text(&case["name"]),
            tier: text(&case["expected"]["tier"]),
            reason: text(&case["expected"]["reason"]),
            method: text(&case["method"]),
            uri: text(&case["uri"]),
            headers,
            request,
        }
    }
}

impl Case {
    /// Where this gateway refuses what the library lets pass: transfer codings beside `chunked` (an HTTP/1.1 server need
    /// not have them, RFC 9112 section 7), fragments, empty targets, and control characters in any spelling.
    fn is_refused_here(&self) -> bool {
        let codings = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        let other_codings = codings.filter(|(_, value)| !value.trim().eq_ignore_ascii_case("chunked")).count() > 0;
        let controls = ["%09", "%0A", "%0D"].iter().any(|control| self.uri.to_uppercase().contains(control));
        other_codings || controls || self.uri.is_empty() || self.uri.contains('#')
    }

    fn exchange(&self, world: &World) -> u16 {
        let mut wire = connect(world.gateway.port);
        // What is refused early may be refused while it is still being sent.
        let _ = wire.send(&self.request);
        wire.read_timeout(Duration::from_secs(10));
        wire.response(&self.method).map_or(400, |response| response.status())
    }
}

/// What a client that means well would send after such headers.
fn body(headers: &[(String, String)]) -> Vec<u8> {
    let of = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim());
    match (of("transfer-encoding"), of("content-length")) {
        (Some(_), _) => b"0\r\n\r\n".to_vec(),
        (None, Some(length)) => vec![b'x'; length.parse().unwrap_or(10_usize).min(4_000_000)],
        (None, None) => Vec::new(),
    }
}

#[test]
fn d01_cases_of_http_desync_guardian_are_refused_or_made_unambiguous() {
    let world = World::start_with(|plan| plan.listener()["default_actions"] = json!([{"forward": "app"}]));
    let cases = cases(&world);
    assert_eq!(cases.len(), 159, "the files are not those that were counted");
    let mut wrong = Vec::new();
    for case in cases {
        let mark = world.target.count();
        let status = case.exchange(&world);
        let seen = world.target.since(mark);
        let name = format!("{} ({}): {status}", case.name, case.tier);
        if !matches!(status, 200 | 400 | 405 | 431 | 501 | 505) || seen.len() > 1 || (status == 200) != (seen.len() == 1) {
            wrong.push(format!("{name}, {} arrived", seen.len()));
        }
        for request in &seen {
            let framing = request.head.all("content-length").len() + request.head.all("transfer-encoding").len();
            if framing > 1 || !request.trailers.is_empty() {
                wrong.push(format!("{name}: arrived with {framing} framings"));
            }
            if case.tier == "Severe" {
                let text = String::from_utf8_lossy(&request.raw).to_lowercase();
                let verbatim = case.headers.iter().all(|(name, value)| text.contains(&format!("{name}: {value}\r\n").to_lowercase()));
                if verbatim {
                    wrong.push(format!("{name}: forwarded as it was"));
                }
            }
        }
        if case.tier == "Compliant" && (status != 200) != case.is_refused_here() {
            wrong.push(format!("{name}: a compliant request"));
        }
    }
    assert!(wrong.is_empty(), "{} cases: {wrong:#?}", wrong.len());
}

/// What the access log calls each case is what AWS's library calls it, save where a case is another one as soon as it is on a wire.
#[test]
fn d01_log_classifies_the_cases_as_http_desync_guardian_does() {
    let world = World::start_with(|plan| plan.listener()["default_actions"] = json!([{"forward": "app"}]));
    let mut wrong = Vec::new();
    for case in cases(&world) {
        let lines = world.gateway.access_lines().len();
        case.exchange(&world);
        let line = world.gateway.access_lines_with(lines + 1, |_| true).pop().unwrap_or_default();
        let said = (line["classification"].as_str().unwrap_or_default(), line["classification_reason"].as_str().unwrap_or_default());
        let expected = if case.tier == "Compliant" { ("-", "-") } else { (case.tier.as_str(), case.reason.as_str()) };
        // What a line break ends on the wire are two fields, or two lines, to everybody.
        let is_cut = ["CRLF", "\\n in value is bad", "\\n in URI", "Request Smuggling in URI"].contains(&case.name.as_str());
        if said != expected && !(is_cut && said.0 != "-") {
            wrong.push(format!("{}: {expected:?}, and the log says {said:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} cases: {wrong:#?}", wrong.len());
}
