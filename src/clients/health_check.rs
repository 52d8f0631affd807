//! Active health checks as ALB's: one GET an interval to each target (with gRPC one call), consecutive answers decide.

use std::sync::{Arc, Weak};

use http_body::Body as _;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::gateway::{HealthCheck, ProtocolVersion, Target, TargetAddress, TargetGroup};

/// Hears of a target group, a target and whether it has become healthy.
pub type HealthObserver = Arc<dyn Fn(&str, &str, bool) + Send + Sync>;

/// Checks every target of every group that wants it, for as long as `tasks` are there. `changed` hears of each change.
pub fn check_targets(groups: &[Arc<TargetGroup>], clock: &Arc<dyn Clock>, changed: &HealthObserver, tasks: &mut JoinSet<()>) {
    for group in groups {
        let Some(check) = &group.health_check else { continue };
        for index in 0..group.targets.len() {
            tasks.spawn(watch(Arc::downgrade(group), index, check.clone(), clock.clone(), changed.clone()));
        }
    }
}

async fn watch(group: Weak<TargetGroup>, index: usize, check: HealthCheck, clock: Arc<dyn Clock>, changed: HealthObserver) {
    let Some(client) = group.upgrade().and_then(|group| client(&group, &group.targets[index], &check)) else { return };
    let (mut good, mut bad) = (0, 0);
    let mut first = true;
    loop {
        let Some(group) = group.upgrade() else { return };
        let target = &group.targets[index];
        if is_good(&client, &group, target, &check).await {
            (good, bad) = (good + 1, 0);
        } else {
            (good, bad) = (0, bad + 1);
        }
        let healthy = target.health.is_healthy();
        // A target that answers its first check is in at once (ALB: one success for a new target).
        let turns = if healthy { bad >= check.unhealthy_threshold } else { good >= check.healthy_threshold || (first && good > 0) };
        if turns {
            target.health.set(!healthy, clock.now());
            changed(&group.name, &target.name, !healthy);
        }
        first = false;
        drop(group);
        sleep(check.interval).await;
    }
}

fn client(group: &TargetGroup, target: &Target, check: &HealthCheck) -> Option<reqwest::Client> {
    let verifies = group.tls.as_ref().is_none_or(|tls| tls.verify);
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .user_agent(concat!("Vestibule-HealthChecker/", env!("CARGO_PKG_VERSION")))
        .tls_danger_accept_invalid_certs(!verifies)
        .timeout(check.timeout);
    let tls = group.tls.as_ref();
    if let Some(authorities) = tls.and_then(|tls| tls.authorities.as_ref()) {
        let certificates: Result<Vec<_>, _> = authorities.iter().map(|der| reqwest::Certificate::from_der(der)).collect();
        builder = builder.tls_certs_only(certificates.ok()?);
    }
    if let Some(certificate) = tls.and_then(|tls| tls.client_certificate.as_ref()) {
        builder = builder.identity(reqwest::Identity::from_pem(certificate.pem.expose()).ok()?);
    }
    builder = match group.protocol_version {
        ProtocolVersion::Http1 => builder.http1_only(),
        ProtocolVersion::Http2 | ProtocolVersion::Grpc => builder.http2_prior_knowledge(),
    };
    if let TargetAddress::Unix(path) = &target.address {
        builder = builder.unix_socket(path.clone());
    }
    builder.build().ok()
}

async fn is_good(client: &reqwest::Client, group: &TargetGroup, target: &Target, check: &HealthCheck) -> bool {
    let authority = match &target.address {
        TargetAddress::Inet { .. } => target.name.as_str(),
        TargetAddress::Unix(_) => "localhost",
    };
    let scheme = if group.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{authority}{}", check.path);
    let code = match group.protocol_version {
        ProtocolVersion::Http1 | ProtocolVersion::Http2 => client.get(url).send().await.ok().map(|answer| answer.status().as_u16()),
        ProtocolVersion::Grpc => call(client, &url).await,
    };
    code.is_some_and(|code| check.matcher.iter().any(|(from, to)| (*from..=*to).contains(&code)))
}

/// The status of one call with an empty message; it stands in the head of an answer without messages, else in the trailers.
async fn call(client: &reqwest::Client, url: &str) -> Option<u16> {
    const EMPTY_MESSAGE: [u8; 5] = [0; 5];
    let request = client.post(url).header("content-type", "application/grpc").header("te", "trailers").body(EMPTY_MESSAGE.to_vec());
    let answer = request.send().await.ok()?;
    let status = |headers: &http::HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse::<u16>().ok();
    if let Some(status) = status(answer.headers()) {
        return Some(status);
    }
    let mut body = http::Response::<reqwest::Body>::from(answer).into_body();
    // The client's timeout covers the body too, and a target that talks on is no healthy one.
    for _ in 0..MOST_FRAMES {
        let frame = std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await?.ok()?;
        if let Some(trailers) = frame.trailers_ref() {
            return status(trailers);
        }
    }
    None
}

const MOST_FRAMES: usize = 100;
