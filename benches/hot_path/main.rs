//! What a decision costs: rule, session or token, headers; next to the bare verification of a signature.
//!
//! `cargo bench --bench hot_path`. The network is left out: keys are in memory, nothing is forwarded.
//! What a whole request allocates is in `tests/allocations.rs`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod scene;

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::signature::{self, KeyPair as _, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Runtime;
use vestibule::clients::system_entropy;
use vestibule::message::head::{self, DesyncMitigation, HeadLimits};
use vestibule::provider::Moment;

use scene::{NOW, Scene};

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

criterion_group!(benches, heads, decisions, new_tokens);
criterion_main!(benches);
