//! S10, S11, E11: when a session ends, with a clock that the test moves; days pass in no time.

use serde_json::json;

use crate::support::in_process::InProcess;

/// 2026-11-20.
const START: u64 = 1_795_170_000;
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

#[test]
fn s10_a_session_ends_when_nobody_uses_it() {
    let mut browser = InProcess::start(START, &json!({"idle_timeout": "30m"}));
    browser.sign_in();
    browser.at(START + 29 * MINUTE);
    assert_eq!(browser.get("/page").status, None, "29 minutes");
    browser.at(START + 58 * MINUTE);
    assert_eq!(browser.get("/page").status, None, "29 minutes after the last one");
    browser.at(START + 88 * MINUTE);
    let over = browser.get("/page");
    assert_eq!((over.status, over.reason), (Some(302), Some("AuthExpiredCookie")), "30 minutes after it");
}

/// The cookie says when the session was last seen, and is not written for each request.
#[test]
fn the_cookie_is_written_now_and_then_only() {
    let mut browser = InProcess::start(START, &json!({"idle_timeout": "40m"}));
    browser.sign_in();
    let mut written = 0;
    for second in 1..=600 {
        browser.at(START + second);
        let seen = browser.get("/page");
        assert_eq!(seen.status, None);
        written += usize::from(seen.sets_session);
    }
    assert_eq!(written, 2, "in ten minutes with an idle timeout of forty");
}

/// The copy of a cookie tells its own time: it cannot be kept alive by what another browser does, nor forever by anything.
#[test]
fn s10_the_gateway_enforces_the_end_whatever_the_browser_keeps() {
    let mut browser = InProcess::start(START, &json!({"idle_timeout": "30m", "session_timeout": "1d"}));
    browser.sign_in();
    let copy = browser.cookies.clone();
    browser.at(START + 20 * MINUTE);
    assert_eq!(browser.get("/page").status, None);
    let current = std::mem::replace(&mut browser.cookies, copy);
    browser.at(START + 31 * MINUTE);
    assert_eq!(browser.get("/page").status, Some(302), "the copy has not been used for 31 minutes");
    browser.cookies = current;
    assert_eq!(browser.get("/page").status, None, "the browser's own has");
}

/// Where it is asked for: nobody goes on with tokens that have ended.
#[test]
fn a_session_that_is_tied_to_its_tokens_ends_with_them() {
    let start = |settings: &serde_json::Value, lifetime: u64| {
        let mut browser = InProcess::start(START, settings);
        browser.refreshable(lifetime);
        browser.sign_in();
        browser
    };
    let (tied, free) = (json!({"session_ends_with_tokens": true}), json!({}));
    // Without a refresh token; the provider has not said for how long, and five minutes are believed.
    let mut browser = start(&tied, 0);
    browser.at(START + 5 * MINUTE - 1);
    assert_eq!(browser.get("/page").status, None);
    browser.at(START + 5 * MINUTE);
    let over = browser.get("/page");
    assert_eq!((over.status, over.reason), (Some(302), Some("AuthExpiredCookie")));
    let mut browser = start(&free, 0);
    browser.at(START + 6 * DAY);
    assert_eq!(browser.get("/page").status, None, "as on an ALB");
    // With one, it goes on for as long as there are new tokens.
    for (settings, expected) in [(&tied, (Some(302), Some("AuthRefreshFailed"))), (&free, (None, None))] {
        let mut browser = start(settings, 3600);
        for hour in 1..10 {
            browser.at(START + hour * 60 * MINUTE);
            assert_eq!(browser.get("/page").status, None, "{settings}: {hour} h");
        }
        browser.provider_is_down();
        browser.at(START + 10 * 60 * MINUTE - 10);
        assert_eq!(browser.get("/page").status, None, "{settings}: the tokens are good for ten seconds more");
        browser.at(START + 10 * 60 * MINUTE + 10);
        let answer = browser.get("/page");
        assert_eq!((answer.status, answer.reason), expected, "{settings}");
    }
}

/// A page that asks once a minute keeps no session alive past its end (E11).
#[test]
fn e11_activity_does_not_move_the_absolute_end() {
    let mut browser = InProcess::start(START, &json!({"idle_timeout": "30m", "session_timeout": "12h"}));
    browser.refreshable(3600);
    browser.sign_in();
    let mut minute = 1;
    while minute < 12 * 60 {
        browser.at(START + minute * MINUTE);
        assert_eq!(browser.get("/page").status, None, "minute {minute}");
        minute += 1;
    }
    assert!(browser.refreshes() >= 11, "{} refreshes", browser.refreshes());
    browser.at(START + 12 * 60 * MINUTE);
    assert_eq!(browser.get("/page").status, Some(302));
}

#[test]
fn s11_a_clock_that_jumps_makes_no_eternal_session_and_no_loop() {
    let mut browser = InProcess::start(START, &json!({"idle_timeout": "30m", "session_timeout": "1d"}));
    browser.refreshable(3600);
    browser.sign_in();
    // An hour back: an honest correction. Nobody is signed out for it, and the session lasts no longer than it may.
    browser.at(START - 60 * MINUTE);
    assert_eq!(browser.get("/page").status, None, "an hour back");
    browser.at(START + 5 * MINUTE);
    assert_eq!(browser.get("/page").status, None, "and forward again");
    // A day forward: over, and a new one can be had.
    browser.at(START + DAY);
    assert_eq!(browser.get("/page").status, Some(302), "a day forward");
    browser.sign_in();
    assert_eq!(browser.get("/page").status, None, "a new session");
    // Back again: the new one is no better for it.
    browser.at(START);
    assert_eq!(browser.get("/page").status, None);
    browser.at(START + 2 * DAY);
    assert_eq!(browser.get("/page").status, Some(302));
}

/// 32 bits of seconds end on 2038-01-19 and on 2106-02-07.
#[test]
fn s11_sessions_last_over_the_ends_of_32_bits() {
    for edge in [i64::from(i32::MAX), i64::from(u32::MAX)] {
        let edge = u64::try_from(edge).unwrap();
        let mut browser = InProcess::start(edge - 10 * MINUTE, &json!({"idle_timeout": "30m", "session_timeout": "1h"}));
        browser.sign_in();
        for minute in 1..60 {
            browser.at(edge - 10 * MINUTE + minute * MINUTE);
            assert_eq!(browser.get("/page").status, None, "minute {minute} at {edge}");
        }
        browser.at(edge + 50 * MINUTE);
        assert_eq!(browser.get("/page").status, Some(302), "{edge}");
    }
}

/// A refresh in a world whose clock went back is neither skipped for ever nor repeated.
#[test]
fn s11_refreshes_go_on_over_a_jump() {
    let mut browser = InProcess::start(START, &json!({"session_timeout": "7d"}));
    browser.refreshable(600);
    browser.sign_in();
    for (at, expected) in [(600, 1), (700, 1), (100, 1), (1250, 2), (1250, 2), (3000, 3)] {
        browser.at(START + at);
        assert_eq!(browser.get("/page").status, None, "{at}");
        assert_eq!(browser.refreshes(), expected, "{at}");
    }
}
