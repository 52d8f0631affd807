//! Every test that `docs/alb-parity.md` names exists: a claim whose test was renamed or removed fails here.
use std::path::Path;

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "node_modules") {
                sources(&path, text);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "mjs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_parity_table_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("src"), &mut text);
    sources(&root.join("tests"), &mut text);
    let text = text.replace("\\'", "'");
    let table = std::fs::read_to_string(root.join("docs/alb-parity.md")).unwrap();
    let rows = table.lines().filter_map(|line| line.split(" | ").nth(3)).filter(|cell| cell.starts_with('`'));
    for name in rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        let wanted = if name.contains(' ') { name.to_owned() } else { format!("fn {name}(") };
        assert!(text.contains(&wanted), "docs/alb-parity.md names {name:?}");
    }
}
