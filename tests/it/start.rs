//! C01, C03, C04, C07, C08: a configuration that cannot work is refused at once, and the message says where.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use vestibule::app::{self, Options};

use crate::support::certificates::{certificates, write_signing_key};
use crate::support::gateway::{Refusal, free_port, serve_refused, session_key, vestibule, write_private};
use crate::support::secrets::Secrets;

/// A folder with keys and a configuration that would start.
struct Folder {
    folder: tempfile::TempDir,
    sound: String,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_private(&at("session.key"), &session_key(&Secrets::default()));
        std::fs::copy(certificates().certificate_file(), at("server.pem")).unwrap();
        std::fs::copy(certificates().private_key_file(), at("server.key")).unwrap();
        write_signing_key(&at("signing.key"));
        write_signing_key(&at("other.key"));
        let sound = format!(
            r#"listeners:
  - address: 127.0.0.1:{}
    protocol: https
    hosts: [app.test]
    certificates:
      - certificate: server.pem
        private_key: server.key
    rules:
      - priority: 10
        conditions:
          - path_pattern: ["/public*"]
        actions:
          - forward: app
    default_actions:
      - authenticate:
          identity_provider: corporate
          session_timeout: 1h
      - forward: app
identity_providers:
  corporate:
    type: oidc
    issuer: https://localhost:1
    client_id: gateway
    client_secret: secret-of-the-client
target_groups:
  app:
    protocol: http
    targets: ["127.0.0.1:9"]
sessions:
  keys: [{{ file: session.key }}]
  store: cookie
identity_headers:
  signer: arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/50dc6c495c0c9188
  signing_key: {{ file: signing.key }}
admin: {{ address: "127.0.0.1:{}" }}
"#,
            free_port(),
            free_port()
        );
        Self { folder, sound }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The sound configuration with one text replaced.
    fn with(&self, from: &str, to: &str) -> String {
        assert!(self.sound.contains(from), "{from:?} is not in the configuration");
        self.sound.replacen(from, to, 1)
    }
}

/// Line and column, from 1, of `text` in the configuration.
fn place(configuration: &str, text: &str) -> usize {
    let offset = configuration.find(text).unwrap();
    configuration[..offset].matches('\n').count() + 1
}

/// Whether the output names `line` of the file, with a column.
fn names(output: &str, line: usize) -> bool {
    let start = format!("vestibule.yaml:{line}:");
    output.match_indices(&start).any(|(at, _)| output[at + start.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

fn assert_refused(refusal: &Refusal, variant: &str) {
    let Refusal { status, output, elapsed } = refusal;
    assert_eq!(*status, Some(2), "{variant}: {output}");
    assert!(*elapsed < Duration::from_secs(2), "{variant}: took {elapsed:?}");
    assert!(!output.contains("panicked"), "{variant}: {output}");
    assert!(!output.contains("secret-of-the-client"), "{variant}: a secret in {output}");
}

#[test]
fn c01_fault_is_refused_with_its_place() {
    let folder = Folder::new();
    for (variant, from, to, marker) in [
        ("unknown key", "    protocol: https\n", "    protocol: https\n    protocl: https\n", "protocl"),
        ("unknown key at the top", "sessions:", "sesions: {}\nsessions:", "sesions"),
        ("duplicate key", "    client_id: gateway\n", "    client_id: gateway\n    client_id: other\n", "client_id: other"),
        ("wrong type", "priority: 10", "priority: ten", "priority: ten"),
        ("a list for a text", "client_id: gateway", "client_id: [gateway]", "client_id: [gateway]"),
        ("an unknown word", "protocol: https", "protocol: gopher", "gopher"),
        ("an unknown provider", "identity_provider: corporate", "identity_provider: corprate", "corprate"),
        ("an unknown target group", "      - forward: app\nidentity", "      - forward: apps\nidentity", "forward: apps"),
        ("a duration without end", "session_timeout: 1h", "session_timeout: 1e99s", "1e99s"),
        ("a negative duration", "session_timeout: 1h", "session_timeout: -1s", "-1s"),
        ("too long a session", "session_timeout: 1h", "session_timeout: 8d", "8d"),
        ("no session at all", "session_timeout: 1h", "session_timeout: 0s", "0s"),
        ("an address that is none", "admin: { address: \"127.0.0.1:", "admin: { address: \"127.0.0.1:9", "admin:"),
        ("certificate missing", "certificate: server.pem", "certificate: nothing.pem", "nothing.pem"),
        ("certificate that is a folder", "certificate: server.pem", "certificate: .", "certificate: ."),
        ("certificate that is none", "certificate: server.pem", "certificate: session.key", "certificate: session.key"),
        ("key of another certificate", "private_key: server.key", "private_key: other.key", "other.key"),
        ("session key missing", "file: session.key", "file: nothing.key", "nothing.key"),
        ("session key that is no key", "file: session.key", "file: server.pem", "file: server.pem"),
        ("signing key that is no key", "file: signing.key", "file: session.key }  #", "signing_key"),
        ("http issuer elsewhere", "issuer: https://localhost:1", "issuer: http://login.example.com", "http://login"),
        ("issuer with a query", "issuer: https://localhost:1", "issuer: https://localhost:1/?a=b", "?a=b"),
        ("issuer with a fragment", "issuer: https://localhost:1", "issuer: \"https://localhost:1/#a\"", "#a"),
        ("issuer that is no URL", "issuer: https://localhost:1", "issuer: localhost", "issuer: localhost"),
        ("scope without openid", "          session_timeout: 1h", "          scope: email", "scope: email"),
        ("no target", "targets: [\"127.0.0.1:9\"]", "targets: []", "targets: []"),
        ("a target that is no address", "targets: [\"127.0.0.1:9\"]", "targets: [\"127.0.0.1\"]", "targets:"),
        ("a pattern without a value", "path_pattern: [\"/public*\"]", "path_pattern: []", "path_pattern: []"),
        (
            "a rewrite that is no expression",
            "- priority: 10",
            "- transforms: {url_rewrite: {regex: \"(\", replace: x}}\n        priority: 10",
            "url_rewrite",
        ),
        (
            "a rewrite to no group",
            "- priority: 10",
            "- transforms: {host_header_rewrite: {regex: a, replace: $1}}\n        priority: 10",
            "replace: $1",
        ),
        ("broken YAML", "  corporate:\n", "  corporate: [\n", "type: oidc"),
        ("a tab", "    type: oidc", "\ttype: oidc", "\ttype"),
    ] {
        let configuration = folder.with(from, to);
        let refusal = serve_refused(folder.path(), configuration.as_bytes());
        assert_refused(&refusal, variant);
        let line = place(&configuration, marker);
        // Where YAML itself is broken, the parser may notice a line later.
        let near = if variant.contains("YAML") || variant == "a tab" { line..=line + 6 } else { line..=line };
        let named = near.into_iter().any(|line| names(&refusal.output, line));
        assert!(named, "{variant}: line {line} is not named in\n{}", refusal.output);
    }
}

#[test]
fn c01_required_part_that_is_missing_is_named() {
    let folder = Folder::new();
    for (variant, from, to, word) in [
        ("no session key", "sessions:\n  keys: [{ file: session.key }]\n  store: cookie\n", "", "keys session"),
        ("no signing key", "  signing_key: { file: signing.key }\n", "", "keys signing"),
        ("no client id", "    client_id: gateway\n", "", "client_id"),
        ("no issuer", "    issuer: https://localhost:1\n", "", "issuer"),
        ("no certificate", "    certificates:\n      - certificate: server.pem\n        private_key: server.key\n", "", "certificate"),
        ("no target groups", "target_groups:\n  app:\n    protocol: http\n    targets: [\"127.0.0.1:9\"]\n", "", "app"),
    ] {
        let refusal = serve_refused(folder.path(), folder.with(from, to).as_bytes());
        assert_refused(&refusal, variant);
        assert!(refusal.output.contains(word), "{variant}: no {word:?} in\n{}", refusal.output);
        assert!(refusal.output.contains("vestibule.yaml"), "{variant}: {}", refusal.output);
    }
}

#[test]
fn c01_file_that_is_no_configuration_is_refused() {
    let folder = Folder::new();
    let bomb: String = (1..10).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))).collect();
    let bomb = format!("a0: &a0 [x]\n{bomb}");
    for (variant, content) in [
        ("empty", Vec::new()),
        ("only a comment", b"# nothing\n".to_vec()),
        ("a list", b"- a\n- b\n".to_vec()),
        ("a text", b"hello\n".to_vec()),
        ("not UTF-8", b"listeners: \xff\xfe\n".to_vec()),
        ("NUL", b"listeners: \0\n".to_vec()),
        ("aliases that multiply", bomb.into_bytes()),
        ("very deep", "[".repeat(50_000).into_bytes()),
        ("two documents", [folder.sound.as_bytes(), b"---\n", folder.sound.as_bytes()].concat()),
    ] {
        let refusal = serve_refused(folder.path(), &content);
        assert_refused(&refusal, variant);
        assert!(refusal.output.contains("vestibule.yaml"), "{variant}: {}", refusal.output);
    }
    let missing = vestibule().args(["serve", "--config", "nothing.yaml"]).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    let message = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(message.contains("nothing.yaml"), "{message}");
}

#[test]
fn c01_all_faults_are_reported_at_once() {
    let folder = Folder::new();
    let configuration = folder
        .with("identity_provider: corporate", "identity_provider: corprate")
        .replacen("certificate: server.pem", "certificate: nothing.pem", 1)
        .replacen("session_timeout: 1h", "session_timeout: 8d", 1);
    for command in ["serve", "check"] {
        std::fs::write(folder.path().join("vestibule.yaml"), &configuration).unwrap();
        let output =
            vestibule().args([command, "--config", "vestibule.yaml"]).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command}: {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        for marker in ["corprate", "nothing.pem", "8d"] {
            let line = place(&configuration, marker);
            assert!(names(&said, line), "{command}: {marker} (line {line}) is not named in\n{said}");
        }
        assert!(said.contains("corporate"), "{command}: no hint at the right name in\n{said}");
    }
}

#[test]
fn what_was_probably_not_meant_is_warned_about() {
    let folder = Folder::new();
    let rule = |priority: u32, conditions: &str| {
        format!("      - priority: {priority}\n        conditions: [{conditions}]\n        actions: [{{forward: app}}]\n")
    };
    let rules = rule(20, "{path_pattern: [/public/open*]}") + &rule(30, "{host_header: [App.test, other.test, \"*.test\"]}");
    let configuration = folder
        .with("    default_actions:\n", &format!("{rules}    default_actions:\n"))
        .replacen("      - authenticate:\n          identity_provider: corporate\n          session_timeout: 1h\n", "", 1)
        .replacen("client_secret: secret-of-the-client", "client_secret: {file: other.key}", 1);
    std::fs::write(folder.path().join("vestibule.yaml"), &configuration).unwrap();
    let output =
        vestibule().args(["check", "--config", "vestibule.yaml"]).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for (marker, words) in [
        ("priority: 20", "rule 10 takes every such request first"),
        ("other.test", "does not serve other.test"),
        ("- forward: app\nidentity", "without signing in"),
    ] {
        assert!(names(&said, place(&configuration, marker)) && said.contains(words), "{marker}: {words} is not in\n{said}");
    }
    assert!(said.contains("3 warnings"), "{said}");
}

#[test]
fn c01_faults_of_form_and_of_meaning_are_reported_together_and_without_echoes() {
    let folder = Folder::new();
    let configuration = folder
        .with("certificate: server.pem", "certificate: nothing.pem")
        .replacen("session_timeout: 1h", "session_timeout: soon", 1)
        .replacen("targets:", "tagrets:", 1);
    std::fs::write(folder.path().join("vestibule.yaml"), &configuration).unwrap();
    let output =
        vestibule().args(["check", "--config", "vestibule.yaml"]).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for marker in ["nothing.pem", "soon", "tagrets"] {
        assert!(names(&said, place(&configuration, marker)), "{marker} is not named in\n{said}");
    }
    // The target group and the action that could not be read are missing to nobody.
    assert!(!said.contains("is called") && !said.contains("there is no action"), "an echo in\n{said}");
}

/// YAML has a carriage return for a line end: the line that is shown is the one with the fault, and not its neighbour with a secret.
#[test]
fn c06_line_ends_of_all_kinds_show_the_line_of_the_fault_and_no_secret() {
    for end in ["\n", "\r\n", "\r"] {
        let text =
            format!("# a{end}sessions:\n  redis:\n    key_prefixx: b\n    url: \"redis://:wonderland@127.0.0.1:1\"\nlisteners: []\n");
        let (loaded, report) = app::load_text(&text, Path::new(""), &Options::default());
        let said = report.render(false);
        assert!(loaded.is_none() && said.contains("    4 |     key_prefixx: b"), "{end:?}: {said}");
        assert!(!said.contains("wonderland"), "{end:?}: {said}");
    }
}

#[test]
fn c07_weak_session_key_is_refused() {
    let folder = Folder::new();
    for (variant, key) in [
        ("empty", ""),
        ("a word", "changeme"),
        ("8 octets", "AAECAwQFBgc="),
        ("16 octets", "AAECAwQFBgcICQoLDA0ODw=="),
        ("31 octets", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg=="),
        ("all the same", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("not base64", "!!!!AwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ] {
        std::fs::write(folder.path().join("session.key"), key).unwrap();
        let refusal = serve_refused(folder.path(), folder.sound.as_bytes());
        assert_refused(&refusal, variant);
        let line = place(&folder.sound, "file: session.key");
        assert!(names(&refusal.output, line), "{variant}: {}", refusal.output);
        assert!(key.is_empty() || !refusal.output.contains(key), "{variant}: the key is shown");
    }
}

#[test]
fn c08_port_that_is_taken_ends_the_start_with_a_message() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = folder.sound.lines().find(|line| line.contains("- address:")).unwrap();
    let configuration = folder.with(line, &format!("  - address: {address}"));
    let refusal = serve_refused(folder.path(), configuration.as_bytes());
    assert!(matches!(refusal.status, Some(1 | 2)), "{:?} {}", refusal.status, refusal.output);
    assert!(refusal.elapsed < Duration::from_secs(5), "took {:?}", refusal.elapsed);
    assert!(refusal.output.contains(&address), "{}", refusal.output);
    assert!(!refusal.output.contains("panicked"), "{}", refusal.output);
}

#[test]
fn sound_configuration_passes_the_check() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("vestibule.yaml"), &folder.sound).unwrap();
    let output =
        vestibule().args(["check", "--config", "vestibule.yaml"]).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
