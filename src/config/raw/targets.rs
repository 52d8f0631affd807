//! `target_groups`.

use super::{Certificate, Protocol};
use crate::config::node::{Content, Node};
use crate::config::reader::{FromNode, Located, Reader, Seconds};

section! {
    /// Targets that do the same.
    pub struct TargetGroup {
        /// Default http.
        protocol: Option<Protocol>,
        /// Default http1.
        protocol_version: Option<ProtocolVersion>,
        /// HOST:PORT or unix:PATH.
        targets: Located<Vec<Target>>,
        /// Default round_robin.
        load_balancing_algorithm: Option<Located<LoadBalancingAlgorithm>>,
        /// 30s to 15m, or 0: how long a target that is back takes to get its whole share. Default 0.
        slow_start: Option<Located<Seconds>>,
        /// How long requests may go on at a target that has left, by a reload or because its name leads elsewhere. 0 to 1h. Default 5m.
        deregistration_delay: Option<Located<Seconds>>,
        /// Keeps a visitor with a target. Off unless given.
        stickiness: Option<Stickiness>,
        /// Off unless given.
        health_check: Option<HealthCheck>,
        /// Time limits towards targets.
        timeouts: Option<Timeouts>,
        /// https: whether the target's certificate is checked. Default true.
        verify: Option<Located<bool>>,
        /// https: PEM; believed instead of the system's authorities.
        ca_certificates: Option<Located<String>>,
        /// https: shown to targets that ask for one.
        client_certificate: Option<Located<Certificate>>,
    }
}

words! {
    /// What is spoken to targets.
    pub enum ProtocolVersion { Http1 = "http1", Http2 = "http2", Grpc = "grpc" }
}

words! {
    /// Which target is next.
    pub enum LoadBalancingAlgorithm {
        RoundRobin = "round_robin",
        LeastOutstandingRequests = "least_outstanding_requests",
        WeightedRandom = "weighted_random",
    }
}

section! {
    /// Keeps a visitor with a target, by a cookie.
    pub struct Stickiness {
        /// Whose cookie it goes by.
        r#type: Located<StickinessType>,
        /// app_cookie: the cookie of the application.
        cookie_name: Option<Located<String>>,
        /// 1s to 7d, counted anew with every request. Default 1d.
        duration: Option<Located<Seconds>>,
    }
}

words! {
    /// Whose cookie keeps a visitor with a target.
    pub enum StickinessType { LbCookie = "lb_cookie", AppCookie = "app_cookie" }
}

section! {
    /// ALB's active health check.
    pub struct HealthCheck {
        /// Default /; with grpc /AWS.ALB/healthcheck.
        path: Option<Located<String>>,
        /// 5s to 300s. Default 30s.
        interval: Option<Located<Seconds>>,
        /// 2s to 120s. Default 5s.
        timeout: Option<Located<Seconds>>,
        /// 2 to 10. Default 5.
        healthy_threshold: Option<Located<u32>>,
        /// 2 to 10. Default 2.
        unhealthy_threshold: Option<Located<u32>>,
        /// Accepted status codes: "200", "200,204" or "200-299". Default "200"; with grpc codes of gRPC, default "12".
        matcher: Option<Located<String>>,
    }
}

section! {
    /// Time limits towards targets.
    pub struct Timeouts {
        /// To connect, TLS included. Default 10s.
        connect: Option<Located<Seconds>>,
        /// To the first byte of an answer, and between two pieces of it. Default 60s.
        response: Option<Located<Seconds>>,
        /// How long an unused connection is kept. Default 60s.
        idle: Option<Located<Seconds>>,
    }
}

/// One target: a text, or a mapping with its address and its weight.
#[derive(Debug, Clone)]
pub(in crate::config) struct Target {
    pub(in crate::config) address: Located<String>,
    pub(in crate::config) weight: Option<Located<u32>>,
}

impl FromNode for Target {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if !matches!(node.content, Content::Mapping(_)) {
            return Some(Self { address: Located::read(node, reader)?, weight: None });
        }
        let mapping = reader.mapping(node, &["address", "weight"], &[])?;
        let (address, weight) = (mapping.take("address", reader), mapping.take("weight", reader));
        Some(Self { address: address?, weight: weight? })
    }
}
