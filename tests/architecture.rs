//! The floors of `docs/architecture.md`, read from the sources: who may name whom, and what must not happen below the line.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. A module names modules of lower floors.
const FLOORS: [&[&str]; 9] = [
    &["message", "identity", "secret", "clock"],
    &["rules", "tokens"],
    &["provider", "session"],
    &["authorization", "cognito"],
    &["authentication", "identity_headers"],
    &["gateway"],
    &["config", "clients", "telemetry"],
    &["proxy", "listener", "admin", "demo", "import", "load"],
    &["cli", "app"],
];

/// Neighbours on one floor that may name each other, in this direction only.
const DRAWN: [(&str, &str); 5] =
    [("identity", "message"), ("identity", "secret"), ("identity", "clock"), ("proxy", "listener"), ("cli", "app")];

/// Floors 0 to 4 decide and do not act; floor 5 is the snapshot that they are put together in.
const BELOW_THE_LINE: usize = 5;

/// What acting looks like.
const ACTS: [&str; 16] = [
    "pingora",
    "reqwest",
    "rustls::",
    "axum",
    "tokio::net",
    "tokio::fs",
    "tokio::time",
    "tokio::spawn",
    "std::fs",
    "std::env",
    "std::process",
    "std::io",
    "TcpStream",
    "SystemTime",
    "Instant",
    "SystemRandom::new",
];

struct Source {
    path: PathBuf,
    module: String,
    code: String,
}

/// Every file under `src/`, without its comments.
fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).expect("under src");
            let first = inside.components().next().expect("a name").as_os_str().to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("a source is UTF-8");
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
            Source { path: inside.to_owned(), module, code }
        })
        .filter(|source| !matches!(source.module.as_str(), "lib" | "main"))
        .collect()
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The modules that a piece of code names as `crate::module`, also within braces.
fn named(code: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name: String = name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            modules.insert(name);
        }
    }
    modules
}

#[test]
fn every_module_stands_on_a_floor() {
    let without: BTreeSet<String> = sources().into_iter().map(|source| source.module).filter(|module| floor(module).is_none()).collect();
    assert!(without.is_empty(), "modules that no floor has: {without:?}");
}

#[test]
fn modules_name_only_lower_floors() {
    let mut wrong = Vec::new();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        for other in named(&source.code) {
            let (Some(from), Some(to)) = (floor(&source.module), floor(&other)) else { continue };
            if source.module == other {
                continue;
            }
            edges.entry(source.module.clone()).or_default().insert(other.clone());
            if to >= from && !DRAWN.contains(&(source.module.as_str(), other.as_str())) {
                wrong.push(format!("{} (floor {from}) names {other} (floor {to})", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "upward or sideways:\n{}", wrong.join("\n"));
    // The floors alone make cycles impossible; the drawn neighbours must not make one.
    for (from, to) in DRAWN {
        assert!(!edges.get(to).is_some_and(|names| names.contains(from)), "{from} and {to} name each other");
    }
    assert!(edges.len() > 10, "hardly any import was found: the scan itself is broken");
}

#[test]
fn below_the_line_nothing_acts() {
    let mut wrong = Vec::new();
    for source in sources() {
        if floor(&source.module).is_none_or(|floor| floor > BELOW_THE_LINE) {
            continue;
        }
        for act in ACTS {
            if source.code.contains(act) && !(act == "SystemRandom::new" && source.path.ends_with("secret/entropy.rs")) {
                wrong.push(format!("{} uses {act}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "files, sockets, clock or randomness below the line:\n{}", wrong.join("\n"));
}

#[test]
fn pingora_lives_in_proxy_and_listener() {
    let strangers: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.code.contains("pingora::") && !matches!(source.module.as_str(), "proxy" | "listener" | "app"))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[test]
fn there_are_no_drawers() {
    let drawers: Vec<String> = sources()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| {
            path.components().any(|part| {
                matches!(
                    part.as_os_str().to_string_lossy().trim_end_matches(".rs"),
                    "util" | "utils" | "common" | "types" | "helpers" | "http"
                )
            })
        })
        .map(|path| path.display().to_string())
        .collect();
    assert!(drawers.is_empty(), "{drawers:?}");
}

#[test]
fn no_file_tells_more_than_one_story() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|source| (source.path.display().to_string(), source.code.lines().count()))
        .filter(|(_, lines)| *lines > 400)
        .map(|(path, lines)| format!("{path} ({lines})"))
        .collect();
    assert!(long.is_empty(), "over 400 lines: {long:?}");
}

#[test]
fn failures_become_answers_in_one_file_and_without_a_catch_all() {
    let reply = sources().into_iter().find(|source| source.path.ends_with("gateway/reply.rs")).expect("gateway/reply.rs");
    let matches = reply.code.split("fn for_callback").nth(1).expect("for_callback");
    assert!(!matches.contains("_ =>"), "a match over failures has a catch-all arm");
    assert!(reply.code.contains("CallbackError::AccessDenied"));
}
