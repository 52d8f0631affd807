//! What is sealed: whatever a stranger sends does not open, and what was sealed comes back as it was.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use vestibule::authentication::{LOGIN_LIFETIME, LoginState, LogoutState};
use vestibule::clients::system_entropy;
use vestibule::clock::UnixTime;
use vestibule::identity::SessionId;
use vestibule::message::json;
use vestibule::session::{
    MAX_COOKIE_BYTES, MAX_SHARDS, OpenedSession, Purpose, Sealer, SessionCookie, SessionKey, SessionRecord, SessionReference,
};

static SEALER: LazyLock<Sealer> = LazyLock::new(|| {
    let key: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    Sealer::new(&[SessionKey::parse(&STANDARD.encode(key)).unwrap()], system_entropy()).unwrap()
});
const CONTEXT: [&[u8]; 2] = [b"AWSELBAuthSessionCookie", b"op"];

fn never_opens(sealed: &[u8]) {
    for purpose in [Purpose::Session, Purpose::SessionReference, Purpose::StoredSession, Purpose::LoginState, Purpose::KeptForm] {
        assert!(SEALER.open(purpose, &CONTEXT, sealed.to_vec()).is_err(), "it opens as {purpose:?}");
    }
}

/// At a place that the input chooses.
fn tampered(sealed: &[u8], data: &[u8]) -> Vec<u8> {
    let number = data.iter().fold(0usize, |number, byte| number.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut tampered = sealed.to_vec();
    tampered[number % sealed.len()] ^= 1 << (number / sealed.len() % 8);
    tampered
}

pub fn session_cookie(data: &[u8]) {
    let cookie = SessionCookie::new(SessionCookie::DEFAULT_NAME);
    let sent = |text: &[u8]| HeaderValue::from_bytes(text).ok().map(|value| HeaderMap::from_iter([(COOKIE, value)]));
    if let Some(sealed) = sent(data).and_then(|headers| cookie.read(&headers)) {
        never_opens(&sealed);
    }
    let sealed = SEALER.seal(Purpose::Session, &CONTEXT, data).unwrap();
    let Some(set) = cookie.write(&sealed) else {
        assert!(sealed.len() > 3 * 3800, "{} bytes fit", sealed.len());
        return;
    };
    assert_eq!(set.len(), MAX_SHARDS);
    assert!(set.iter().all(|line| line.len() <= MAX_COOKIE_BYTES && HeaderValue::from_str(line).is_ok()));
    let pairs: Vec<&str> = set.iter().filter(|line| !line.contains("Max-Age=0")).map(|line| line.split(';').next().unwrap()).collect();
    // In any order, among others, and with one left over from before behind them.
    let mut turned = pairs.clone();
    turned.rotate_left(data.len() % pairs.len());
    let header = format!("a=1; {}; b=\"2\"; {}-3=x", turned.join("; "), SessionCookie::DEFAULT_NAME);
    let headers = sent(header.as_bytes()).unwrap();
    assert_eq!(cookie.read(&headers).as_ref(), Some(&sealed));
    assert_eq!(SEALER.open(Purpose::Session, &CONTEXT, sealed.clone()).unwrap(), data);
    never_opens(&tampered(&sealed, data));
    assert!(SEALER.open(Purpose::SessionReference, &CONTEXT, sealed.clone()).is_err());
    assert!(SEALER.open(Purpose::Session, &[CONTEXT[0], b"other"], sealed.clone()).is_err());
    assert!(SEALER.open(Purpose::Session, &[b"AWSELBAuthSessionCookieo", b"p"], sealed).is_err());
}

pub fn login_state(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(LoginState::open(&SEALER, text).is_err() && LogoutState::open(&SEALER, text, UnixTime(0)).is_err());
    }
    let Ok(state) = postcard::from_bytes::<LoginState>(data) else { return };
    let sealed = state.seal(&SEALER).unwrap();
    assert_eq!(LoginState::open(&SEALER, &sealed).unwrap(), state);
    assert!(LogoutState::open(&SEALER, &sealed, UnixTime(0)).is_err(), "a login is a logout");
    let other = tampered(sealed.as_bytes(), data);
    if let Ok(other) = std::str::from_utf8(&other)
        && other != sealed
    {
        assert!(LoginState::open(&SEALER, other).is_err());
    }
    let lifetime = LOGIN_LIFETIME.as_secs();
    let started = state.started_at.0;
    for now in
        [0, started.saturating_sub(lifetime + 1), started, started.saturating_add(lifetime - 1), started.saturating_add(lifetime), u64::MAX]
    {
        // At the end of all times everything is over.
        let age = i128::from(now) - i128::from(started);
        let is_late = now == u64::MAX || age >= i128::from(lifetime) || age < -i128::from(lifetime);
        assert_eq!(state.is_late(UnixTime(now)), is_late, "{started} at {now}");
    }
}

pub fn session_record(data: &[u8]) {
    match SessionReference::read(data) {
        Ok(reference) => assert_eq!(reference.pack(), data),
        Err(_) => assert!(data.len() != 25 || data[0] != 1),
    }
    if let Ok(opened) = OpenedSession::read(data.to_vec()) {
        let seen = OpenedSession::read(opened.seen(UnixTime(7))).unwrap();
        assert_eq!(
            (seen.seen_at, seen.id, seen.expires_at, seen.generation),
            (UnixTime(7), opened.id, opened.expires_at, opened.generation)
        );
        if let Ok(record) = opened.unpack() {
            comes_back(&record);
        }
    }
    let [claims, access_token, id_token, refresh_token] = crate::input::lines(data);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Ok(claims) = json::object(claims) else { return };
    comes_back(&SessionRecord {
        id: SessionId([7; 16]),
        signed_in_at: UnixTime(1),
        expires_at: UnixTime(u64::MAX),
        generation: u32::MAX,
        seen_at: UnixTime(3),
        refresh_from: UnixTime(4),
        access_expires_at: UnixTime(5),
        nonce: [9; 16],
        claims,
        access_token: text(access_token),
        id_token: text(id_token),
        refresh_token: text(refresh_token),
    });
}

fn comes_back(record: &SessionRecord) {
    let packed = record.pack().unwrap();
    let again = OpenedSession::read(packed).unwrap().unpack().unwrap();
    assert!(again == *record, "{:?} became {:?}", record.claims, again.claims);
}

/// A key is 32 bytes of base64 and nothing else is.
pub fn session_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = SessionKey::parse(text) {
        assert_eq!(text.trim().len(), 44);
        assert!(!format!("{key:?}").contains(text.trim()));
        let sealer = Sealer::new(&[key], system_entropy()).unwrap();
        let sealed = sealer.seal(Purpose::Session, &[], b"x").unwrap();
        assert_eq!(sealer.open(Purpose::Session, &[], sealed.clone()).unwrap(), b"x");
        assert!(!sealer.is_former(&sealed));
        never_opens(&sealed);
    }
}
