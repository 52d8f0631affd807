//! O01, O02, O04: a store that does not answer, lies, or forgets. Nobody passes without proof, and nobody is led in a circle.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use vestibule::authentication::{SessionStore, SessionStoreError, StoredSession};
use vestibule::identity::{Marks, SessionId};
use vestibule::session::Ending;

use crate::support::in_process::InProcess;

/// 2026-11-20.
const START: u64 = 1_795_170_000;

/// Keeps what it gets, and does what a test says.
#[derive(Default)]
struct Scripted {
    sessions: Mutex<HashMap<SessionId, StoredSession>>,
    is_down: AtomicBool,
    takes_nothing: AtomicBool,
    /// Somebody else ends each session as soon as it has been read.
    ends_what_is_read: AtomicBool,
    calls: AtomicUsize,
    longest: Mutex<Duration>,
}

impl Scripted {
    fn call(&self) -> Result<(), SessionStoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.is_down.load(Ordering::Relaxed) { Err(SessionStoreError("connection refused".to_owned())) } else { Ok(()) }
    }

    fn down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn keeps(&self, lifetime: Duration) {
        let mut longest = self.longest.lock().unwrap();
        *longest = lifetime.max(*longest);
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<SessionId, StoredSession>)) {
        change(&mut self.sessions.lock().unwrap());
    }
}

#[async_trait]
impl SessionStore for Scripted {
    async fn load(&self, id: SessionId) -> Result<Option<Vec<u8>>, SessionStoreError> {
        self.call()?;
        let mut sessions = self.sessions.lock().unwrap();
        let found = sessions.get(&id).map(|session| session.sealed.clone());
        if self.ends_what_is_read.load(Ordering::Relaxed) {
            sessions.remove(&id);
        }
        Ok(found)
    }

    async fn insert(&self, id: SessionId, session: StoredSession, _: &Marks, lifetime: Duration) -> Result<(), SessionStoreError> {
        self.call()?;
        self.keeps(lifetime);
        self.sessions.lock().unwrap().insert(id, session);
        Ok(())
    }

    async fn replace(&self, id: SessionId, generation: u32, session: StoredSession, lifetime: Duration) -> Result<bool, SessionStoreError> {
        self.call()?;
        if self.takes_nothing.load(Ordering::Relaxed) {
            return Err(SessionStoreError("READONLY".to_owned()));
        }
        self.keeps(lifetime);
        match self.sessions.lock().unwrap().get_mut(&id).filter(|known| known.generation == generation) {
            Some(known) => {
                *known = session;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn remove(&self, id: SessionId, _: Ending) -> Result<(), SessionStoreError> {
        self.call()?;
        self.sessions.lock().unwrap().remove(&id);
        Ok(())
    }
}

fn start(settings: &serde_json::Value) -> (InProcess, Arc<Scripted>) {
    let store = Arc::<Scripted>::default();
    (InProcess::start_with_store(START, settings, store.clone()), store)
}

#[test]
fn o01_a_store_that_does_not_answer_is_no_session_and_no_way_to_sign_in_in_every_mode() {
    for mode in ["authenticate", "deny", "allow"] {
        let (mut browser, store) = start(&json!({"on_unauthenticated_request": mode}));
        browser.sign_in_at("/oauth2/login");
        assert_eq!(browser.get("/page").status, None, "{mode}");
        let cookies = browser.cookies.clone();
        store.down(true);
        for path in ["/page", "/oauth2/session", "/oauth2/logout"] {
            let refused = browser.get(path);
            assert_eq!((refused.status, refused.reason), (Some(503), Some("AuthSessionStoreFailed")), "{mode}: {path}");
            assert_eq!(refused.retry_after.as_deref(), Some("30"), "{mode}: {path}");
            assert_eq!(browser.cookies, cookies, "{mode}: {path} took the session away");
        }
        // Back again: nobody has lost anything.
        store.down(false);
        assert_eq!(browser.get("/page").status, None, "{mode}: the store is back");
    }
}

#[test]
fn o01_what_needs_no_session_does_not_ask_the_store() {
    let (mut browser, store) = start(&json!({}));
    store.down(true);
    assert_eq!(browser.get("/public/page").status, None);
    assert_eq!(browser.get("/page").status, Some(302), "whoever shows no session may begin to sign in");
    assert_eq!(store.calls(), 0);
    store.down(false);
    browser.sign_in();
    let calls = store.calls();
    assert_eq!(browser.get("/public/page").status, None, "with a session");
    assert_eq!(store.calls(), calls);
    // What the reference itself tells.
    browser.at(START + 8 * 24 * 3600);
    store.down(true);
    let expired = browser.get("/page");
    assert_eq!((expired.status, expired.reason), (Some(302), Some("AuthExpiredCookie")));
    assert_eq!(store.calls(), calls);
}

#[test]
fn o01_a_sign_in_that_cannot_be_kept_ends_with_503_and_no_cookie() {
    let (mut browser, store) = start(&json!({}));
    let callback = browser.callback("/");
    store.down(true);
    let refused = browser.get(&callback);
    assert_eq!((refused.status, refused.reason, refused.sets_session), (Some(503), Some("AuthSessionStoreFailed"), false));
    store.down(false);
    browser.sign_in();
    assert_eq!(browser.get("/page").status, None);
}

#[test]
fn o02_a_store_that_has_lost_everything_asks_for_one_sign_in() {
    let (mut browser, store) = start(&json!({}));
    browser.sign_in();
    store.change(HashMap::clear);
    let lost = browser.get("/page");
    assert_eq!((lost.status, lost.reason), (Some(302), Some("AuthUnknownSession")));
    browser.sign_in();
    assert_eq!(browser.get("/page").status, None);
}

#[test]
fn o04_what_was_changed_in_the_store_is_no_session() {
    let (mut alice, store) = start(&json!({}));
    alice.sign_in();
    let alices = alice.cookies.clone();
    let first = *store.sessions.lock().unwrap().keys().next().unwrap();
    alice.cookies.clear();
    alice.sign_in();
    let others = std::mem::replace(&mut alice.cookies, alices);
    let second = *store.sessions.lock().unwrap().keys().find(|id| **id != first).unwrap();
    let kept = store.sessions.lock().unwrap().clone();
    // Somebody else's, under this one's id.
    store.change(|sessions| {
        let other = sessions[&second].clone();
        sessions.insert(first, other);
    });
    let mut copy = alice.cookies.clone();
    let refused = alice.get("/page");
    assert_eq!((refused.status, refused.reason), (Some(302), Some("AuthInvalidCookie")), "another session's value");
    for (variant, sealed) in [
        ("one bit", {
            let mut sealed = kept[&first].sealed.clone();
            *sealed.last_mut().unwrap() ^= 1;
            sealed
        }),
        ("cut", kept[&first].sealed[..40].to_vec()),
        ("empty", Vec::new()),
        ("other words", b"-LOADING".to_vec()),
    ] {
        store.change(|sessions| sessions.get_mut(&first).unwrap().sealed = sealed);
        alice.cookies.clone_from(&copy);
        let refused = alice.get("/page");
        assert_eq!((refused.status, refused.reason), (Some(302), Some("AuthInvalidCookie")), "{variant}");
    }
    store.change(|sessions| *sessions = kept);
    for cookies in [&mut copy, &mut others.clone()] {
        alice.cookies = std::mem::take(cookies);
        assert_eq!(alice.get("/page").status, None, "as it was");
    }
}

/// Whoever can read the store gains no cookie by it.
#[test]
fn o04_a_value_of_the_store_is_no_cookie() {
    use base64::Engine as _;
    let (mut browser, store) = start(&json!({}));
    browser.sign_in();
    let sealed = store.sessions.lock().unwrap().values().next().unwrap().sealed.clone();
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&sealed);
    assert!(!sealed.windows(5).any(|window| window == b"alice"), "in the clear");
    for (name, value) in &mut browser.cookies {
        if name.ends_with("-0") {
            *value = format!("1{text}");
        }
    }
    let refused = browser.get("/page");
    assert_eq!((refused.status, refused.reason), (Some(302), Some("AuthInvalidCookie")));
}

#[test]
fn o06_nothing_is_kept_for_longer_than_its_session_lasts() {
    let (mut browser, store) = start(&json!({"session_timeout": "12h", "idle_timeout": "1h"}));
    browser.refreshable(600);
    browser.sign_in();
    assert_eq!(*store.longest.lock().unwrap(), Duration::from_secs(12 * 3600));
    *store.longest.lock().unwrap() = Duration::ZERO;
    // The access token is over: whoever comes now waits for the new one.
    browser.at(START + 601);
    assert_eq!(browser.get("/page").status, None);
    assert_eq!(browser.refreshes(), 1);
    let after_refresh = *store.longest.lock().unwrap();
    assert_eq!(after_refresh, Duration::from_secs(12 * 3600 - 601));
}

/// Signed out at another instance while the refresh went on here.
#[test]
fn s12_a_refresh_brings_no_session_back_that_has_ended_meanwhile() {
    let (mut browser, store) = start(&json!({}));
    browser.refreshable(600);
    browser.sign_in();
    browser.at(START + 601);
    store.ends_what_is_read.store(true, Ordering::Relaxed);
    let over = browser.get("/page");
    assert_eq!((over.status, over.reason), (Some(302), Some("AuthRefreshRefused")));
    assert!(store.sessions.lock().unwrap().is_empty(), "the session is back");
}

/// The provider takes a second use of a refresh token for a theft: what it has given is kept until the store takes it.
#[test]
fn o01_new_tokens_that_the_store_does_not_take_are_written_later_and_not_asked_for_again() {
    let (mut browser, store) = start(&json!({"idle_timeout": "1d"}));
    browser.refreshable(600);
    browser.sign_in();
    let before = store.sessions.lock().unwrap().clone();
    store.takes_nothing.store(true, Ordering::Relaxed);
    for second in [601, 602, 610, 660] {
        browser.at(START + second);
        assert_eq!(browser.get("/page").status, None, "{second}");
        assert_eq!(browser.refreshes(), 1, "{second}");
    }
    assert_eq!(*store.sessions.lock().unwrap(), before);
    store.takes_nothing.store(false, Ordering::Relaxed);
    for second in [700, 701] {
        browser.at(START + second);
        assert_eq!(browser.get("/page").status, None, "{second}");
        assert_eq!(browser.refreshes(), 1, "{second}");
    }
    assert!(store.sessions.lock().unwrap().values().all(|session| session.generation == 1), "never written");
    // The next one begins with the tokens that were written.
    browser.at(START + 700 + 601);
    assert_eq!(browser.get("/page").status, None);
    assert_eq!(browser.refreshes(), 2);
}
