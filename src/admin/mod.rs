//! The admin address: liveness, readiness, metrics, sessions. Plain HTTP for the machine's own eyes.

mod access;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

pub use access::Access;

use crate::clients::AcmeCertificate;
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::telemetry::{AccessLog, Metrics};

/// What the pages of the admin address show.
pub struct Admin {
    pub ready: Arc<AtomicBool>,
    pub metrics: Arc<Metrics>,
    pub access_log: Arc<AccessLog>,
    pub gateway: Arc<ArcSwap<Gateway>>,
    pub clock: Arc<dyn Clock>,
    /// Of those that want to see or end sessions.
    pub access: Access,
    /// Names of the providers; a reload puts others here.
    pub providers: Arc<ArcSwap<Vec<Arc<str>>>>,
    /// Certificates that are ordered; a reload puts others here.
    pub acme: Arc<ArcSwap<Vec<Arc<AcmeCertificate>>>>,
}

/// Serves until `stop` resolves.
pub async fn serve(admin: Arc<Admin>, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    let sessions = sessions::routes().layer(from_fn_with_state(admin.clone(), access::check));
    let health = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).route("/metrics", get(metrics));
    let router = health.merge(sessions).with_state(admin);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

/// The process runs.
async fn livez() -> &'static str {
    "ok\n"
}

/// New requests are welcome. Not so before the listeners are bound and once draining has begun. An identity provider that is
/// down does not count: people who are signed in notice nothing. Nor does a certificate that is not there yet, which is only told: the
/// authority looks through the same balancer that asks here, and would find nobody.
async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    if admin.ready.load(Ordering::Relaxed) {
        let missing =
            admin.acme.load().iter().filter_map(|certificate| certificate.missing()).fold(String::new(), |all, one| all + &one + "\n");
        format!("ok\n{missing}").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response()
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    for group in &admin.gateway.load().target_groups {
        admin.metrics.healthy(&group.name, group.healthy_targets());
    }
    admin.metrics.refreshes(&admin.gateway.load().renewals.counts());
    let names = admin.providers.load();
    let providers: Vec<&str> = names.iter().map(|name| &**name).collect();
    match admin.metrics.render(&providers, admin.clock.now().0, admin.access_log.dropped()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
