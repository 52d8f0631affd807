//! `X-Forwarded-*` and `X-Amzn-Trace-Id` as ALB writes them, except that only a trusted proxy's are built upon.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use crate::clock::UnixTime;
use crate::message::{Scheme, hex};

/// What becomes of `X-Forwarded-For` on the way to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedForMode {
    /// The peer comes after what a trusted proxy says; a stranger stands alone.
    #[default]
    Append,
    /// What a trusted proxy says stays as it is; a stranger stands alone.
    Preserve,
    /// The target gets none.
    Remove,
}

/// How a listener takes and writes `X-Forwarded-*`.
#[derive(Debug, Clone, Default)]
pub struct ForwardedSettings {
    pub mode: ForwardedForMode,
    /// Whether the ports of peers are told. Append alone does, as on an ALB.
    pub client_port: bool,
    /// Who is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// An address in a chain, with its port where that is known.
#[derive(Clone, Copy)]
struct Hop {
    address: IpAddr,
    port: Option<u16>,
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

/// What the peer, or the trusted proxies in front of it, say of the visitor.
#[derive(Debug, Clone)]
pub struct ForwardedFor {
    /// The visitor: the last address in the chain that is no trusted proxy.
    pub client: IpAddr,
    pub scheme: Scheme,
    pub port: u16,
    /// `X-Forwarded-For` for the target, if it gets one.
    pub chain: Option<HeaderValue>,
}

impl ForwardedFor {
    /// `scheme` and `port` are the listener's own. Nothing that a peer outside of `trusted` says is believed (threats H20, H21, P18).
    #[must_use]
    pub fn read(headers: &HeaderMap, peer: SocketAddr, scheme: Scheme, port: u16, settings: &ForwardedSettings) -> Self {
        let told_port = |port: u16| Some(port).filter(|_| settings.client_port && settings.mode == ForwardedForMode::Append);
        let last_hop = Hop { address: peer.ip().to_canonical(), port: told_port(peer.port()) };
        let is_trusted = |address: &IpAddr| settings.trusted_proxies.iter().any(|network| network.contains(address));
        let is_removed = settings.mode == ForwardedForMode::Remove;
        let chain = |hops: &[Hop]| {
            let text = hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            HeaderValue::try_from(text).ok().filter(|_| !is_removed)
        };
        if !is_trusted(&last_hop.address) {
            let alone = (!is_removed).then(|| HeaderValue::try_from(last_hop.to_string()).ok()).flatten();
            return Self { client: last_hop.address, scheme, port, chain: alone };
        }
        let mut hops: Vec<Hop> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|text| hop(text.trim()))
            .map(|hop| Hop { port: hop.port.and_then(told_port), ..hop })
            .collect();
        if hops.len() > MAX_HOPS {
            hops.drain(..hops.len() - MAX_HOPS);
        }
        hops.push(last_hop);
        let client = hops.iter().rev().find(|hop| !is_trusted(&hop.address)).or(hops.first()).unwrap_or(&last_hop).address;
        let chain = if settings.mode == ForwardedForMode::Preserve { preserved(headers) } else { chain(&hops) };
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
fn hop(text: &str) -> Option<Hop> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Hop { address: address.to_canonical(), port: None });
    }
    text.parse::<SocketAddr>().ok().map(|socket| Hop { address: socket.ip().to_canonical(), port: Some(socket.port()) })
}

/// What was sent, letter for letter, in one line; `None` where nothing was.
fn preserved(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all("x-forwarded-for").iter();
    let (first, second) = (lines.next()?, lines.next());
    let Some(second) = second else { return Some(first.clone()) };
    let all: Vec<&[u8]> = [first, second].into_iter().chain(lines).map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&all.join(&b", "[..])).ok()
}

/// ALB: `Root` is kept and `Self` put in front; without a `Root` a new one begins. Anything longer than a trace id needs is
/// replaced.
#[must_use]
pub fn trace_id(headers: &HeaderMap, now: UnixTime, random: [u8; 12]) -> HeaderValue {
    let [.., a, b, c, d] = now.0.to_be_bytes();
    let (time, random) = (hex(&[a, b, c, d]), hex(&random));
    let sent = headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok()).filter(|value| value.len() <= 512);
    let text = match sent {
        Some(sent) if sent.split(';').any(|field| field.trim_start().starts_with("Root=")) => {
            let rest: Vec<&str> = sent.split(';').map(str::trim).filter(|field| !field.starts_with("Self=") && !field.is_empty()).collect();
            format!("Self=1-{time}-{random};{}", rest.join(";"))
        }
        _ => ["Root=1-", &time, "-", &random].concat(),
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
        let settings = trusting(ForwardedForMode::Append, false);
        let stranger = ForwardedFor::read(&sent, "198.51.100.1:4711".parse().unwrap(), Scheme::Http, 80, &settings);
        assert_eq!((stranger.client.to_string(), stranger.scheme, stranger.port), ("198.51.100.1".to_owned(), Scheme::Http, 80));
        assert_eq!(stranger.chain.unwrap(), "198.51.100.1");
        let proxy = ForwardedFor::read(&sent, "10.0.0.8:4711".parse().unwrap(), Scheme::Http, 80, &settings);
        assert_eq!((proxy.client.to_string(), proxy.scheme, proxy.port), ("203.0.113.9".to_owned(), Scheme::Https, 8443));
        assert_eq!(proxy.chain.unwrap(), "203.0.113.9, 10.0.0.7, 10.0.0.8");
    }

    fn trusting(mode: ForwardedForMode, client_port: bool) -> ForwardedSettings {
        ForwardedSettings { mode, client_port, trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()] }
    }

    #[test]
    fn modes_and_ports_change_the_chain_and_nobody_else() {
        use ForwardedForMode::{Append, Preserve, Remove};
        let sent = headers(&[("x-forwarded-for", "junk,203.0.113.9:99"), ("x-forwarded-for", "[2001:db8::7]:5")]);
        let none = headers(&[]);
        for (mode, port, peer, headers, client, chain) in [
            (Append, true, "10.0.0.8:4711", &sent, "203.0.113.9", Some("203.0.113.9:99, [2001:db8::7]:5, 10.0.0.8:4711")),
            (Append, false, "10.0.0.8:4711", &sent, "203.0.113.9", Some("203.0.113.9, 2001:db8::7, 10.0.0.8")),
            (Append, true, "[2001:db8::8]:4711", &none, "2001:db8::8", Some("[2001:db8::8]:4711")),
            (Append, true, "[::ffff:198.51.100.1]:4711", &sent, "198.51.100.1", Some("198.51.100.1:4711")),
            (Preserve, true, "10.0.0.8:4711", &sent, "203.0.113.9", Some("junk,203.0.113.9:99, [2001:db8::7]:5")),
            (Preserve, false, "10.0.0.8:4711", &none, "10.0.0.8", None),
            (Preserve, false, "198.51.100.1:4711", &sent, "198.51.100.1", Some("198.51.100.1")),
            (Preserve, true, "198.51.100.1:4711", &none, "198.51.100.1", Some("198.51.100.1")),
            (Remove, true, "10.0.0.8:4711", &sent, "203.0.113.9", None),
            (Remove, true, "198.51.100.1:4711", &sent, "198.51.100.1", None),
        ] {
            let read = ForwardedFor::read(headers, peer.parse().unwrap(), Scheme::Https, 443, &trusting(mode, port));
            let found = read.chain.as_ref().map(|chain| chain.to_str().unwrap());
            assert_eq!((read.client.to_string().as_str(), found), (client, chain), "{mode:?} {port} {peer}");
        }
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
