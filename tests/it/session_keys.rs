//! Session keys are rotated, and nobody signs in again for that.

use serde_json::json;

use crate::reload::{changed, configuration, reload};
use crate::support::World;
use crate::support::gateway::{SESSION_COOKIE, session_key, write_private};
use crate::support::oracles::{assert_signed_in, is_signed_out, sign_in};
use crate::support::secrets::Secrets;

fn keys(world: &World, files: &[&str]) {
    changed(world, |configuration| configuration["sessions"]["keys"] = files.iter().map(|file| json!({"file": file})).collect());
    reload(&world.gateway, "success");
}

#[test]
fn who_comes_by_while_both_keys_are_there_stays_signed_in_without_the_former() {
    for store in ["cookie", "memory"] {
        let world = World::start_with(|plan| plan.configuration["sessions"]["store"] = json!(store));
        let folder = world.gateway.configuration_file().parent().unwrap().to_owned();
        write_private(&folder.join("new.key"), &session_key(&Secrets::default()));
        let former = configuration(&world.gateway)["sessions"]["keys"][0]["file"].as_str().unwrap().to_owned();
        let (mut regular, mut away) = (world.browser(), world.browser());
        sign_in(&world, &mut regular, "/");
        sign_in(&world, &mut away, "/");
        let mut behind = away.copy();

        keys(&world, &[&former, "new.key"]);
        let response = behind.get("/");
        assert_eq!((response.status(), response.get("set-cookie")), (200, None), "{store}: the first key seals, and it has not changed");

        keys(&world, &["new.key", &former]);
        let mut copy = regular.copy();
        let response = regular.get("/");
        let resealed = response.get("set-cookie").unwrap_or_default();
        assert!(response.status() == 200 && resealed.starts_with(SESSION_COOKIE), "{store}: {response}");
        assert_eq!(regular.get("/").get("set-cookie"), None, "{store}: sealed once");
        assert_signed_in(&mut copy, store);

        keys(&world, &["new.key"]);
        assert_signed_in(&mut regular, store);
        assert!(is_signed_out(&world, &mut away), "{store}: the former key is gone, and with it what only that one opens");
    }
}
