//! What a decision costs: rule, session or token, headers; next to the bare verification of a signature.
//!
//! `cargo bench --bench hot_path`. The network is left out: keys are in memory, nothing is forwarded.
//! What a whole request allocates is in `tests/allocations.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panicking")]

#[expect(dead_code, reason = "a test of what a request allocates has more to ask of it")]
mod scene;

use std::hint::black_box;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use allocation_counter::measure;
use aws_lc_rs::signature::{self, KeyPair as _, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Runtime;
use vestibule::authentication::Presented;
use vestibule::clients::system_entropy;
use vestibule::gateway::Record;
use vestibule::message::head::{self, DesyncMitigation, HeadLimits};
use vestibule::message::{Authority, RequestTarget, RequestView};
use vestibule::provider::Moment;
use vestibule::session::SessionCookie;
use vestibule::telemetry::Entry;

use scene::{NOW, Scene, request};

fn decisions(criterion: &mut Criterion) {
    let scene = Scene::new();
    let runtime = Runtime::new().unwrap();
    let bearer = |token: &str| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap())]);
    let forged = {
        let token = scene.issuer.access_token("RS256");
        let (input, _) = token.rsplit_once('.').unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode([7; 256]))
    };
    let signed_in = runtime.block_on(scene.session());
    let cases = [
        ("rule without authentication", "/public/x", HeaderMap::new(), true),
        ("session cookie", "/page", signed_in, true),
        ("token seen: RS256", "/api/x", bearer(&scene.issuer.access_token("RS256")), true),
        ("token seen: ES256", "/api/x", bearer(&scene.issuer.access_token("ES256")), true),
        ("token forged: one verification that fails", "/api/x", bearer(&forged), false),
        ("token that is junk", "/api/x", bearer(&"junk.".repeat(200)), false),
        ("token without signature", "/api/x", bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."), false),
    ];
    let mut group = criterion.benchmark_group("decision");
    for (name, path, headers, passes) in &cases {
        assert_eq!(runtime.block_on(scene.decide(path, headers)).is_none(), *passes, "{name}");
        group.bench_function(*name, |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let begin = Instant::now();
                    for _ in 0..times {
                        black_box(scene.decide(path, headers).await);
                    }
                    begin.elapsed()
                })
            });
        });
    }
    group.finish();
}

/// What a browser sends, a session among it, as it is read before the parser has it.
fn heads(criterion: &mut Criterion) {
    let head = format!(
        "GET /app/page?x=1 HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.7\r\nAccept-Encoding: gzip, br\r\n\
         Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nConnection: keep-alive\r\nCookie: AWSELBAuthSessionCookie-0={}\r\n\r\n",
        "x".repeat(1200)
    );
    let limits = HeadLimits { target: 16 * 1024, bytes: 64 * 1024, fields: 128 };
    criterion.bench_function("head of a request: found and read", |bencher| {
        bencher.iter(|| {
            let length = head::length(black_box(head.as_bytes()), 0)?;
            head::read(&head.as_bytes()[..length], DesyncMitigation::Defensive, &limits).ok()
        });
    });
}

/// What a decision and the line about it are made of.
fn parts(criterion: &mut Criterion) {
    let scene = Scene::new();
    let runtime = Runtime::new().unwrap();
    let headers = runtime.block_on(scene.session());
    let listener = &scene.gateway.listeners[0];
    let authority = Authority::parse(b"localhost").unwrap();
    let target = RequestTarget::parse(b"/app/page?x=1").unwrap();
    let request = request(&authority, &target, &headers);
    let cookie = SessionCookie::new(SessionCookie::DEFAULT_NAME);
    let authenticate = listener.rules.find(&request).unwrap().authenticate.clone().unwrap();
    let entry = entry(&request);
    let mut group = criterion.benchmark_group("part");
    let mut part = |name: &str, run: &mut dyn FnMut()| {
        run();
        let used = measure(|| (0..1000).for_each(|_| run()));
        group.bench_function(format!("{name} ({} allocations, {} octets)", used.count_total / 1000, used.bytes_total / 1000), |bencher| {
            bencher.iter(&mut *run);
        });
    };
    part("host and target read", &mut || {
        black_box((Authority::parse(black_box(b"localhost")).unwrap(), RequestTarget::parse(black_box(b"/app/page?x=1")).unwrap()));
    });
    part("rule found", &mut || {
        black_box(listener.rules.find(black_box(&request)).unwrap());
    });
    part("session cookie found and decoded", &mut || {
        black_box(cookie.read(black_box(&headers)).unwrap());
    });
    part("session found, decoded and opened", &mut || {
        let mut presented = pin!(scene.gateway.authentication.presented(&authenticate, &headers, NOW));
        let presented = presented.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(presented, Poll::Ready(Presented::Session(_))));
    });
    part("the whole decision about somebody signed in", &mut || {
        let mut decision = pin!(scene.decide("/page", &headers));
        assert!(matches!(decision.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(None)));
    });
    let mut line = Vec::new();
    part("line of the access log", &mut || {
        line.clear();
        black_box(&entry).json(&mut line);
    });
    group.finish();
}

/// Of a request as most are.
fn entry<'a>(request: &RequestView<'a>) -> Entry<'a> {
    static RECORD: LazyLock<Record> = LazyLock::new(|| Record {
        rule: Some("default".into()),
        rule_priority: Some(0),
        actions: vec!["authenticate", "forward"],
        identity_provider: Some("op".into()),
        subject: Some("8c1d3a52-4f0e-4a57-9d3b-3d5b2f6f3c11".into()),
        session: Some("c9a84ee7e87bc64b".into()),
        outcome: Some("session"),
        ..Record::default()
    });
    Entry {
        record: &RECORD,
        listener: "0.0.0.0:443",
        kind: "https",
        finished_at: NOW.0 * 1_000_000,
        elapsed: Duration::from_micros(1234),
        client: ([192, 0, 2, 1], 51234).into(),
        target: Some("10.0.0.1:8080"),
        target_group: Some("app"),
        target_time: Some(Duration::from_micros(1100)),
        status: 200,
        target_status: Some(200),
        received_bytes: 0,
        sent_bytes: 1024,
        method: request.method.as_str(),
        url: "https://app.example.com:443/app/page?x=1".to_owned(),
        redirect_url: None,
        transformed_host: None,
        transformed_uri: None,
        version: "HTTP/1.1",
        user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)".into(),
        tls_cipher: Some("TLS_AES_256_GCM_SHA384"),
        tls_version: Some("TLSv1.3"),
        server_name: Some("app.example.com"),
        trace_id: Some("Root=1-6b0d2f5c-0123456789abcdef01234567"),
        request_id: request.request_id,
        oddity: None,
    }
}

/// A token that nobody has seen, next to nothing but its signature.
fn new_tokens(criterion: &mut Criterion) {
    let scene = Scene::new();
    let (gateway, issuer) = (&scene.gateway, &scene.issuer);
    let runtime = Runtime::new().unwrap();
    let rule = gateway.listeners[0].rules.all().find(|rule| rule.bearer_tokens().is_some()).unwrap();
    let tokens = rule.bearer_tokens().unwrap();
    let entropy = system_entropy();
    let point = issuer.ec.public_key().as_ref();
    let ec = ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).unwrap();
    let rsa = ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, issuer.rsa.public_key().as_ref()).unwrap();
    let mut group = criterion.benchmark_group("new token");
    for (algorithm, key) in [("RS256", &rsa), ("ES256", &ec)] {
        let token = issuer.access_token(algorithm);
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        group.bench_function(format!("{algorithm}: aws-lc-rs alone"), |bencher| {
            bencher.iter(|| key.verify_sig(black_box(input.as_bytes()), &signature).unwrap());
        });
        group.bench_function(format!("{algorithm}: judged"), |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let begin = Instant::now();
                    for _ in 0..times {
                        let moment = Moment { entropy: &entropy, now: NOW };
                        assert!(tokens.judge(black_box(&token), moment).await.is_ok());
                    }
                    begin.elapsed()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, heads, parts, decisions, new_tokens);
criterion_main!(benches);
