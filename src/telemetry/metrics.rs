//! Prometheus metrics (docs/operations.md). No label takes a value from a request.

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::Entry;
use crate::gateway::{AuthenticationEvent, RefreshCounts, TokenEvent};

/// All of them, in a registry of their own.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_duration: Histogram,
    auth_success: IntCounterVec,
    auth_failure: IntCounterVec,
    auth_error: IntCounterVec,
    auth_latency: HistogramVec,
    authorize: IntCounterVec,
    claims_too_large: IntCounter,
    jwt_validation: IntCounterVec,
    logout_tokens: IntCounterVec,
    token_cache: IntCounterVec,
    session_store: IntCounterVec,
    auth_refresh: IntCounterVec,
    jwks_refresh: IntCounterVec,
    jwks_fetched_at: GaugeVec,
    jwks_age: GaugeVec,
    pub active_connections: IntGauge,
    pub refused_connections: IntCounter,
    odd_requests: IntCounterVec,
    connect_errors: IntCounterVec,
    healthy_targets: IntGaugeVec,
    certificate_expiry: GaugeVec,
    acme_orders: IntCounterVec,
    session_cache: IntCounterVec,
    sessions_revoked: IntCounter,
    token_revocations: IntCounterVec,
    dropped_log_lines: Gauge,
    config_reloads: IntCounterVec,
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("vestibule".to_owned()), None)?;
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let request_duration = Histogram::with_opts(
            HistogramOpts::new("request_duration_seconds", "Time from the request's head to the end of the answer")
                .buckets(BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(request_duration.clone()))?;
        let auth_latency = HistogramVec::new(
            HistogramOpts::new("auth_latency_seconds", "Time that a call to the identity provider took").buckets(BUCKETS.to_vec()),
            &["identity_provider", "endpoint"],
        )?;
        registry.register(Box::new(auth_latency.clone()))?;
        let claims_too_large =
            IntCounter::new("auth_user_claims_size_exceeded_total", "Logins whose claims and tokens fit into no session")?;
        registry.register(Box::new(claims_too_large.clone()))?;
        let sessions_revoked = IntCounter::new("sessions_revoked_total", "Sessions that were ended before their time")?;
        registry.register(Box::new(sessions_revoked.clone()))?;
        let active_connections = IntGauge::new("active_connections", "Connections from clients")?;
        registry.register(Box::new(active_connections.clone()))?;
        let refused_connections =
            IntCounter::new("refused_connections_total", "Connections that were closed because their address had too many")?;
        registry.register(Box::new(refused_connections.clone()))?;
        let healthy_targets = IntGaugeVec::new(Opts::new("healthy_targets", "Targets that may receive requests"), &["target_group"])?;
        registry.register(Box::new(healthy_targets.clone()))?;
        let dropped_log_lines = Gauge::new("access_log_dropped_lines", "Access log lines that could not be written")?;
        registry.register(Box::new(dropped_log_lines.clone()))?;
        Ok(Self {
            requests: counters("requests_total", "Requests", &["listener", "rule", "status_class"])?,
            request_duration,
            auth_success: counters("auth_success_total", "Finished logins", &["identity_provider"])?,
            auth_failure: counters(
                "auth_failure_total",
                "Logins that the person, the browser or the provider's answer made fail",
                &["identity_provider", "reason"],
            )?,
            auth_error: counters("auth_error_total", "Logins that failed because the provider did", &["identity_provider", "reason"])?,
            auth_latency,
            authorize: counters(
                "authorize_total",
                "Decisions of authorize actions; would_refuse is shadow mode",
                &["listener", "rule", "decision", "reason"],
            )?,
            claims_too_large,
            jwt_validation: counters("jwt_validation_total", "Bearer tokens that were judged", &["result", "reason"])?,
            logout_tokens: counters("logout_tokens_total", "Back-channel logout requests", &["result", "reason"])?,
            token_cache: counters("token_cache_total", "Bearer tokens that had, or had not, been judged before", &["result"])?,
            session_store: counters("session_store_requests_total", "Exchanges with the store of the sessions", &["result"])?,
            auth_refresh: counters("auth_refresh_total", "Sessions that were given new tokens, or could not be", &["result"])?,
            jwks_refresh: counters("jwks_refresh_total", "Attempts to fetch a key set", &["result"])?,
            jwks_fetched_at: gauges("jwks_fetched_timestamp_seconds", "When the key set in use was fetched", &["identity_provider"])?,
            jwks_age: gauges("jwks_age_seconds", "Age of the key set in use", &["identity_provider"])?,
            active_connections,
            refused_connections,
            odd_requests: counters(
                "desync_requests_total",
                "Requests that could be read in two ways, or nearly",
                &["listener", "classification", "reason"],
            )?,
            connect_errors: counters("upstream_connect_errors_total", "Connections to targets that failed", &["target_group"])?,
            healthy_targets,
            certificate_expiry: gauges("certificate_expiry_timestamp_seconds", "When a certificate expires", &["certificate"])?,
            acme_orders: counters("acme_orders_total", "Certificates that were ordered, or could not be", &["result"])?,
            session_cache: counters(
                "session_cache_total",
                "Requests with a session whose person was, or was not, still in memory",
                &["result"],
            )?,
            config_reloads: counters("config_reloads_total", "Attempts to reload the configuration", &["result"])?,
            sessions_revoked,
            token_revocations: counters(
                "token_revocations_total",
                "Tokens that providers were asked to revoke",
                &["identity_provider", "result"],
            )?,
            dropped_log_lines,
            registry,
        })
    }

    /// Counts a finished request.
    pub fn request(&self, entry: &Entry<'_>) {
        let record = entry.record;
        let class = ["1xx", "2xx", "3xx", "4xx", "5xx"].get(usize::from(entry.status / 100).wrapping_sub(1)).copied().unwrap_or("none");
        let rule = record.rule.as_deref().unwrap_or("none");
        self.requests.with_label_values(&[entry.listener, rule, class]).inc();
        self.request_duration.observe(entry.elapsed.as_secs_f64());
        if let Some(oddity) = entry.oddity {
            self.odd_requests.with_label_values(&[entry.listener, oddity.tier().as_str(), oddity.as_str()]).inc();
        }
        for (counter, event) in [(&self.jwt_validation, record.token), (&self.logout_tokens, record.logout_token)] {
            let (result, reason) = match event {
                Some(TokenEvent::Success) => ("success", ""),
                Some(TokenEvent::Failure) => ("failure", record.error_reason.unwrap_or("unknown")),
                None => continue,
            };
            counter.with_label_values(&[result, reason]).inc();
        }
        if let Some(known) = record.token_was_known {
            self.token_cache.with_label_values(&[if known { "hit" } else { "miss" }]).inc();
        }
        if let Some(known) = record.session_was_known {
            self.session_cache.with_label_values(&[if known { "hit" } else { "miss" }]).inc();
        }
        if let Some(authorized) = &record.authorized {
            let reason = authorized.reason.unwrap_or("none");
            self.authorize.with_label_values(&[entry.listener, rule, authorized.decision, reason]).inc();
        }
        self.sessions_revoked.inc_by(record.revoked);
        let provider = record.identity_provider.as_deref().unwrap_or("unknown");
        let reason = record.error_reason.unwrap_or("unknown");
        match record.event {
            Some(AuthenticationEvent::Success) => self.auth_success.with_label_values(&[provider]).inc(),
            Some(AuthenticationEvent::Failure) => self.auth_failure.with_label_values(&[provider, reason]).inc(),
            Some(AuthenticationEvent::Error) => self.auth_error.with_label_values(&[provider, reason]).inc(),
            Some(AuthenticationEvent::ClaimsTooLarge) => {
                self.auth_failure.with_label_values(&[provider, reason]).inc();
                self.claims_too_large.inc();
            }
            None => {}
        }
    }

    /// A call to a provider ended.
    pub fn provider_call(&self, provider: &str, endpoint: &str, seconds: f64) {
        self.auth_latency.with_label_values(&[provider, endpoint]).observe(seconds);
    }

    /// A key set was asked for; `now` is in seconds since 1970.
    pub fn key_set(&self, provider: &str, fetched: bool, now: u64) {
        self.jwks_refresh.with_label_values(&[if fetched { "success" } else { "failure" }]).inc();
        if fetched {
            self.jwks_fetched_at.with_label_values(&[provider]).set(seconds(now));
            self.jwks_age.with_label_values(&[provider]).set(0.0);
        }
    }

    /// Sessions were ended by somebody who is not a request.
    pub fn sessions_revoked(&self, count: u64) {
        self.sessions_revoked.inc_by(count);
    }

    /// A provider was asked to revoke a token.
    pub fn token_revocation(&self, provider: &str, is_good: bool) {
        self.token_revocations.with_label_values(&[provider, if is_good { "success" } else { "failure" }]).inc();
    }

    /// An exchange with the store of the sessions.
    pub fn session_store_call(&self, was_answered: bool) {
        self.session_store.with_label_values(&[if was_answered { "success" } else { "failure" }]).inc();
    }

    pub fn connect_error(&self, target_group: &str) {
        self.connect_errors.with_label_values(&[target_group]).inc();
    }

    pub fn reloaded(&self, is_good: bool) {
        self.config_reloads.with_label_values(&[if is_good { "success" } else { "failure" }]).inc();
    }

    pub fn healthy(&self, target_group: &str, count: usize) {
        self.healthy_targets.with_label_values(&[target_group]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// An authority was asked for a certificate.
    pub fn acme_order(&self, is_good: bool) {
        self.acme_orders.with_label_values(&[if is_good { "success" } else { "failure" }]).inc();
    }

    pub fn certificate(&self, name: &str, expires_at: i64) {
        self.certificate_expiry.with_label_values(&[name]).set(seconds(u64::try_from(expires_at).unwrap_or_default()));
    }

    /// How often refreshes of sessions came to each end, since the start.
    pub fn refreshes(&self, counts: &RefreshCounts) {
        for (result, total) in counts {
            let counter = self.auth_refresh.with_label_values(&[result]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }

    /// Text exposition format. `providers` are those whose key set has an age.
    pub fn render(&self, providers: &[&str], now: u64, dropped_log_lines: u64) -> Result<String, prometheus::Error> {
        self.dropped_log_lines.set(seconds(dropped_log_lines));
        for provider in providers {
            let fetched_at = self.jwks_fetched_at.with_label_values(&[provider]).get();
            if fetched_at > 0.0 {
                self.jwks_age.with_label_values(&[provider]).set((seconds(now) - fetched_at).max(0.0));
            }
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds stay exact in a double for 285 million years")]
fn seconds(value: u64) -> f64 {
    value as f64
}

const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
