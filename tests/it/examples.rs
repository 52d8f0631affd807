//! The files that people copy and the pages that they look things up in say what the program does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const VESTIBULE: &str = env!("CARGO_BIN_EXE_vestibule");

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn vestibule(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(VESTIBULE)
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("CORPORATE_CLIENT_SECRET", "of the environment")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The example in a folder of its own, with everything that it names, made as its comments say.
fn folder_of(example: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for part in ["config/pages", "certs"] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    fs::copy(repository(&format!("config/{example}")), root.join("config").join(example)).unwrap();

    let names = ["localhost".to_owned(), "app.example.com".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let session_key = vestibule(root, &["keys", "session"]);
    for part in ["config", "certs"] {
        let part = root.join(part);
        fs::write(part.join("server.pem"), certified.cert.pem()).unwrap();
        write_secret(&part.join("server.key"), certified.signing_key.serialize_pem().as_bytes());
        write_secret(&part.join("session.key"), &session_key.stdout);
        let signing_key = part.join("signing.key");
        assert!(vestibule(root, &["keys", "signing", signing_key.to_str().unwrap()]).status.success());
    }
    assert!(vestibule(root, &["keys", "client", "config/partner-client.key"]).status.success());
    fs::write(root.join("config/corporate-ca.pem"), certified.cert.pem()).unwrap();
    for name in ["client-secret", "cognito-client-secret"] {
        write_secret(&root.join("config").join(name), b"of a file\n");
    }
    write_secret(&root.join("config/admin.token"), b"a-token-of-32-characters-or-more\n");
    folder
}

fn write_secret(path: &Path, contents: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn check(example: &str) -> (Option<i32>, String) {
    let folder = folder_of(example);
    let output = vestibule(folder.path(), &["check", "--config", &format!("config/{example}")]);
    (output.status.code(), text(&output.stdout))
}

#[test]
fn reference_configuration_is_usable_and_has_nothing_to_warn_of() {
    assert_eq!(check("vestibule.yaml"), (Some(0), "config/vestibule.yaml is usable\n".to_owned()));
}

#[test]
fn example_for_cognito_is_usable_and_has_nothing_to_warn_of() {
    assert_eq!(check("cognito.yaml"), (Some(0), "config/cognito.yaml is usable\n".to_owned()));
}

#[test]
fn example_for_a_legacy_application_is_usable_and_warns_of_its_written_secret_only() {
    let (status, report) = check("legacy-app.yaml");
    assert_eq!(status, Some(0), "{report}");
    assert!(report.starts_with("config/legacy-app.yaml is usable: 1 warning\n"), "{report}");
    assert!(report.contains("identity_providers.local.client_secret") && !report.contains("development-only"), "{report}");
}

/// It is read as the program reads it: the address is taken, so that it ends by itself.
#[test]
fn example_for_the_development_identity_provider_is_read() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = folder_of("identity-provider.yaml");
    let path = folder.path().join("config/identity-provider.yaml");
    let here = fs::read_to_string(&path).unwrap().replace("127.0.0.1:9000", &taken.local_addr().unwrap().to_string());
    fs::write(&path, here).unwrap();
    let output = vestibule(folder.path(), &["identity-provider", "--config", "config/identity-provider.yaml"]);
    let said = text(&output.stderr);
    assert!(!said.contains("is not usable") && said.contains(&taken.local_addr().unwrap().to_string()), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}

#[test]
fn example_without_its_keys_says_what_makes_them() {
    let folder = folder_of("cognito.yaml");
    for name in ["session.key", "signing.key"] {
        fs::write(folder.path().join("config").join(name), "AAAA").unwrap();
    }
    let output = vestibule(folder.path(), &["check", "--config", "config/cognito.yaml"]);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{report}");
    assert!(report.contains("vestibule keys session > session.key") && report.contains("vestibule keys signing > signing.key"), "{report}");
}

/// Mistake after mistake, first of form and then of meaning, each with its place in the file.
#[test]
fn three_mistakes_are_reported_at_once_with_their_places() {
    let folder = folder_of("legacy-app.yaml");
    let path = folder.path().join("config/legacy-app.yaml");
    let sound = fs::read_to_string(&path).unwrap();
    let of_form = sound
        .replace("address: 127.0.0.1:8443\n", "address: 127.0.0.1:8443\n    protocol: gopher\n")
        .replace("          scope:", "          scop:")
        .replace("          - forward: app", "          - forwrd: app");
    expect_faults(folder.path(), &path, &of_form, &["protocol: gopher", "scop:", "forwrd: app"]);

    let of_meaning = sound
        .replace("identity_provider: local", "identity_provider: locl")
        .replace("session.key", "sesion.key")
        .replace("session_timeout: 12h", "session_timeout: 8d");
    expect_faults(folder.path(), &path, &of_meaning, &["locl", "{ file: sesion.key", "8d"]);
}

/// `places` are texts of the file at or just before which a fault is expected, and no more than these.
fn expect_faults(folder: &Path, path: &Path, contents: &str, places: &[&str]) {
    fs::write(path, contents).unwrap();
    let output = vestibule(folder, &["check", "--config", "config/legacy-app.yaml"]);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{report}");
    assert!(report.starts_with(&format!("config/legacy-app.yaml is not usable: {} errors", places.len())), "{report}");
    for place in places {
        let (number, line) =
            contents.lines().enumerate().find(|(_, line)| line.contains(place) && !line.trim_start().starts_with('#')).unwrap();
        let column = line.find(place).unwrap() + 1;
        let shown = report.lines().find(|shown| shown.contains(&format!("legacy-app.yaml:{}:", number + 1)));
        let shown_column: usize =
            shown.and_then(|shown| shown.rsplit(':').next()?.parse().ok()).unwrap_or_else(|| panic!("{place}\n{report}"));
        assert!((column..column + place.len()).contains(&shown_column), "{place}: {shown_column}\n{report}");
    }
}

fn schema() -> Value {
    serde_json::from_str(&read("config/vestibule.schema.json")).unwrap()
}

#[test]
fn schema_in_the_repository_is_what_the_program_prints() {
    let output = vestibule(&repository(""), &["schema"]);
    assert!(
        text(&output.stdout) == read("config/vestibule.schema.json"),
        "config/vestibule.schema.json is stale. Refresh it with: cargo run -- schema > config/vestibule.schema.json"
    );
}

/// Headings of docs/configuration.md and the definition of the schema whose keys stand below them. `None`: the root.
const SECTIONS: [(&str, Option<&str>); 41] = [
    ("## Top level", None),
    ("## `listeners[]`", Some("Listener")),
    ("### `certificates[]`", Some("ListenerCertificate")),
    ("### `acme`", Some("Acme")),
    ("### `external_account`", Some("ExternalAccount")),
    ("### `session_ticket_keys[]`", Some("TicketKey")),
    ("### `security_policy`", Some("SecurityPolicy")),
    ("### `mutual_authentication`", Some("MutualAuthentication")),
    ("### `proxy_protocol`", Some("ProxyProtocol")),
    ("### `response_headers`", Some("ResponseHeaders")),
    ("### `limits`", Some("Limits")),
    ("### `http2`", Some("Http2Limits")),
    ("### `rules[]`", Some("Rule")),
    ("### Conditions", Some("Condition")),
    ("## Actions", Some("Action")),
    ("### `authenticate`", Some("Authenticate")),
    ("### `bearer_tokens`", Some("BearerTokens")),
    ("### `introspection`", Some("Introspection")),
    ("### `jwt_validation`", Some("JwtValidation")),
    ("### `additional_claims[]`", Some("AdditionalClaim")),
    ("### `resource_metadata`", Some("ResourceMetadata")),
    ("### `authorize`", Some("Authorize")),
    ("### `forward`", Some("WeightedForward")),
    ("### `forward.target_groups[]`", Some("WeightedTargetGroup")),
    ("### `redirect`", Some("Redirect")),
    ("### `fixed_response`", Some("FixedResponse")),
    ("### `http_header`", Some("HttpHeader")),
    ("### `query_string`", Some("QueryPair")),
    ("## `identity_providers.*`", Some("IdentityProvider")),
    ("## `target_groups.*`", Some("TargetGroup")),
    ("### `stickiness`", Some("Stickiness")),
    ("### `health_check`", Some("HealthCheck")),
    ("### `timeouts`", Some("Timeouts")),
    ("## `sessions`", Some("Sessions")),
    ("### `redis`", Some("Redis")),
    ("### `sentinel`", Some("Sentinel")),
    ("## `identity_headers`", Some("IdentityHeaders")),
    ("## `endpoints`", Some("Endpoints")),
    ("## `admin`", Some("Admin")),
    ("## `access_log`", Some("AccessLog")),
    ("## `log`", Some("Log")),
];

/// Rows of the first table below a heading: the key, and whether it is required.
fn documented(page: &str, heading: &str) -> Vec<(String, bool)> {
    let (_, below) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("docs/configuration.md has no {heading}"));
    let table = below.lines().skip_while(|line| !line.starts_with("| key ")).skip(2);
    table
        .take_while(|line| line.starts_with('|'))
        .map(|row| {
            let key = row.split('`').nth(1).unwrap().to_owned();
            (key, row.split(" | ").nth(2).is_some_and(|cell| cell.trim() == "required"))
        })
        .collect()
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let (schema, page) = (schema(), read("docs/configuration.md"));
    for (heading, definition) in SECTIONS.into_iter().chain([("## `pages`", Some("Pages"))]) {
        let section = definition.map_or(&schema, |name| &schema["$defs"][name]);
        let known: BTreeSet<&str> = section["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let rows = documented(&page, heading);
        assert_eq!(rows.iter().map(|(key, _)| key.as_str()).collect::<BTreeSet<_>>(), known, "{heading}");
        let required: BTreeSet<&str> = section["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert_eq!(
            rows.iter().filter(|(_, required)| *required).map(|(key, _)| key.as_str()).collect::<BTreeSet<_>>(),
            required,
            "{heading}"
        );
    }
}

#[test]
fn every_word_is_documented_and_every_key_stands_in_the_reference() {
    let (schema, page, reference) = (schema(), read("docs/configuration.md"), read("config/vestibule.yaml"));
    for definition in schema["$defs"].as_object().unwrap().values() {
        for word in definition["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(page.contains(&format!("`{word}`")) || page.contains(&format!("`\"{word}\"`")), "{word}");
        }
        for key in definition["properties"].as_object().into_iter().flat_map(|properties| properties.keys()) {
            assert!(reference.contains(&format!("{key}:")), "{key} does not stand in config/vestibule.yaml");
        }
    }
}

/// What an editor that follows the schema says of our own examples: nothing.
#[test]
fn examples_satisfy_the_schema() {
    let schema = schema();
    for example in ["vestibule.yaml", "cognito.yaml", "legacy-app.yaml"] {
        let mut reader = YamlReader::default();
        saphyr_parser::Parser::new_from_str(&read(&format!("config/{example}"))).load(&mut reader, false).unwrap();
        assert_eq!(objection(&reader.document.unwrap(), &schema, &schema, example.to_owned()), None);
    }
}

/// YAML without anchors and tags as JSON.
#[derive(Default)]
struct YamlReader {
    open: Vec<(bool, Vec<Value>)>,
    document: Option<Value>,
}

impl saphyr_parser::EventReceiver<'_> for YamlReader {
    fn on_event(&mut self, event: saphyr_parser::Event<'_>) {
        use saphyr_parser::{Event, ScalarStyle};
        let value = match event {
            Event::SequenceStart(..) => return self.open.push((false, Vec::new())),
            Event::MappingStart(..) => return self.open.push((true, Vec::new())),
            Event::Scalar(text, ScalarStyle::Plain, ..) => serde_json::from_str(&text).unwrap_or_else(|_| text.into_owned().into()),
            Event::Scalar(text, ..) => text.into_owned().into(),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop().unwrap() {
                (false, items) => items.into(),
                (true, items) => {
                    let text = |key: &Value| key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                    items.chunks(2).map(|pair| (text(&pair[0]), pair[1].clone())).collect::<serde_json::Map<_, _>>().into()
                }
            },
            _ => return,
        };
        match self.open.last_mut() {
            Some((_, items)) => items.push(value),
            None => self.document = Some(value),
        }
    }
}

/// The first objection of a schema, as far as ours goes: references, types, members, items, alternatives, words.
fn objection(value: &Value, schema: &Value, root: &Value, path: String) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return objection(value, root.pointer(&reference[1..]).unwrap(), root, path);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let objections: Vec<_> = choices.iter().map(|choice| objection(value, choice, root, path.clone())).collect();
        return if objections.contains(&None) { None } else { objections.into_iter().flatten().last() };
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        Some("boolean") => value.is_boolean(),
        other => panic!("{path}: the schema has a type that this test does not know: {other:?}"),
    };
    let known_word = schema["enum"].as_array().is_none_or(|words| words.contains(value));
    if !fits || !known_word {
        return Some(format!("{path}: {value} does not fit {schema}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            return Some(format!("{path}: {name} is missing"));
        }
    }
    let members = value.as_object().into_iter().flatten().map(|(name, member)| {
        let known = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
        (format!("{path}.{name}"), member, known)
    });
    let items = value.as_array().into_iter().flatten().map(|item| (format!("{path}[]"), item, &schema["items"]));
    members.chain(items).find_map(|(path, value, schema)| match schema {
        Value::Bool(false) | Value::Null => Some(format!("{path} is not known")),
        schema => objection(value, schema, root, path),
    })
}
