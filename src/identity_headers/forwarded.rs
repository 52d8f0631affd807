//! `X-Forwarded-*` and `X-Amzn-Trace-Id` as ALB writes them, except that only a trusted proxy's are built upon.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use crate::clock::UnixTime;
use crate::message::{Scheme, hex};

/// What the peer, or the trusted proxies in front of it, say of the visitor.
#[derive(Debug, Clone)]
pub struct ForwardedFor {
    /// The visitor: the last address in the chain that is no trusted proxy.
    pub client: IpAddr,
    pub scheme: Scheme,
    pub port: u16,
    /// `X-Forwarded-For` for the target.
    pub chain: String,
}

impl ForwardedFor {
    /// `scheme` and `port` are the listener's own. Nothing that a peer outside of `trusted` says is believed (threats H20, H21, P18).
    #[must_use]
    pub fn read(headers: &HeaderMap, peer: IpAddr, scheme: Scheme, port: u16, trusted: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        if !is_trusted(&peer) {
            return Self { client: peer, scheme, port, chain: peer.to_string() };
        }
        let mut hops: Vec<IpAddr> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|hop| address(hop.trim()))
            .collect();
        if hops.len() > MAX_HOPS {
            hops.drain(..hops.len() - MAX_HOPS);
        }
        hops.push(peer);
        let client = hops.iter().rev().find(|hop| !is_trusted(hop)).or(hops.first()).copied().unwrap_or(peer);
        let chain = hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let said = last(headers, "x-forwarded-proto").and_then(|said| match said.to_ascii_lowercase().as_str() {
            "https" => Some(Scheme::Https),
            "http" => Some(Scheme::Http),
            _ => None,
        });
        let said_port = last(headers, "x-forwarded-port").and_then(|said| said.parse().ok());
        let port = said_port.unwrap_or_else(|| said.map_or(port, Scheme::default_port));
        Self { client, scheme: said.unwrap_or(scheme), port, chain }
    }
}

/// The nearest proxy's word: the last of a list.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

/// An address, perhaps with a port, as ALB's `xff_client_port` writes it.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip().to_canonical())
}

/// ALB: `Root` is kept and `Self` put in front; without a `Root` a new one begins. Anything longer than a trace id needs is
/// replaced.
#[must_use]
pub fn trace_id(headers: &HeaderMap, now: UnixTime, random: [u8; 12]) -> HeaderValue {
    let fresh = format!("1-{:08x}-{}", now.0 & 0xffff_ffff, hex(&random));
    let sent = headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok()).filter(|value| value.len() <= 512);
    let text = match sent {
        Some(sent) if sent.split(';').any(|field| field.trim_start().starts_with("Root=")) => {
            let rest: Vec<&str> = sent.split(';').map(str::trim).filter(|field| !field.starts_with("Self=") && !field.is_empty()).collect();
            format!("Self={fresh};{}", rest.join(";"))
        }
        _ => format!("Root={fresh}"),
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("Root=1-00000000-000000000000000000000000"))
}

/// ALB answers 463 above this; here the nearest are kept.
const MAX_HOPS: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let sent = headers(&[("x-forwarded-for", "203.0.113.9, 10.0.0.7"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "8443")]);
        let stranger = ForwardedFor::read(&sent, "198.51.100.1".parse().unwrap(), Scheme::Http, 80, &["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(
            (stranger.client.to_string(), stranger.scheme, stranger.port, stranger.chain.as_str()),
            ("198.51.100.1".to_owned(), Scheme::Http, 80, "198.51.100.1")
        );
        let proxy = ForwardedFor::read(&sent, "10.0.0.8".parse().unwrap(), Scheme::Http, 80, &["10.0.0.0/8".parse().unwrap()]);
        assert_eq!((proxy.client.to_string(), proxy.scheme, proxy.port), ("203.0.113.9".to_owned(), Scheme::Https, 8443));
        assert_eq!(proxy.chain, "203.0.113.9, 10.0.0.7, 10.0.0.8");
    }

    #[test]
    fn a_trace_keeps_its_root() {
        let fresh = trace_id(&headers(&[]), UnixTime(0x5f00_0000), [1; 12]);
        assert_eq!(fresh, "Root=1-5f000000-010101010101010101010101");
        let kept = trace_id(
            &headers(&[("x-amzn-trace-id", "Self=1-a-b;Root=1-67891233-abcdef012345678912345678;CalledFrom=app")]),
            UnixTime(0x5f00_0000),
            [1; 12],
        );
        assert_eq!(kept, "Self=1-5f000000-010101010101010101010101;Root=1-67891233-abcdef012345678912345678;CalledFrom=app");
    }
}
