//! The PROXY header, against the parser of the crate `ppp`.

use std::net::{IpAddr, SocketAddr};

use vestibule::listener::{ParsedHeader, ProxyHeader, parse_proxy_header};

pub fn proxy_header(data: &[u8]) {
    let Ok(parsed) = parse_proxy_header(data) else { return };
    let ParsedHeader::Whole { header, length } = parsed else {
        let ParsedHeader::Incomplete(wanted) = parsed else { return };
        assert!(wanted > 0 && data.len() + wanted <= 16 + 4096);
        return;
    };
    assert!((15..=16 + 4096).contains(&length) && length <= data.len());
    let whole = &data[..length];
    // What follows says nothing, and a reader that asks for as much as it is told never takes a byte of it.
    assert_eq!(parse_proxy_header(whole).ok(), Some(parsed));
    for cut in 0..length {
        match parse_proxy_header(&whole[..cut]) {
            Ok(ParsedHeader::Incomplete(wanted)) => assert!(wanted > 0 && cut + wanted <= length, "at {cut} of {length}: {wanted}"),
            other => panic!("at {cut} of {length}: {other:?}"),
        }
    }
    let ProxyHeader::Client { source, destination } = header else { return };
    assert_eq!((source.ip().to_canonical(), destination.ip().to_canonical()), (source.ip(), destination.ip()));
    assert_eq!(theirs(whole), Some((source, destination)));
    // Ports have one spelling, and so have addresses of version 4; `ppp` is laxer there.
    if let Some(line) = std::str::from_utf8(whole).ok().and_then(|line| line.strip_prefix("PROXY ")) {
        let words: Vec<&str> = line.strip_suffix("\r\n").unwrap().split(' ').collect();
        assert_eq!(words[3..], [source.port().to_string(), destination.port().to_string()]);
        assert!(words[0] != "TCP4" || words[1..3] == [source.ip().to_string(), destination.ip().to_string()]);
    }
}

fn theirs(header: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let socket = |address: IpAddr, port| SocketAddr::new(address.to_canonical(), port);
    let (source, destination) = if header.starts_with(b"PROXY") {
        match ppp::v1::Header::try_from(header).ok()?.addresses {
            ppp::v1::Addresses::Tcp4(four) => {
                (socket(four.source_address.into(), four.source_port), socket(four.destination_address.into(), four.destination_port))
            }
            ppp::v1::Addresses::Tcp6(six) => {
                (socket(six.source_address.into(), six.source_port), socket(six.destination_address.into(), six.destination_port))
            }
            ppp::v1::Addresses::Unknown => return None,
        }
    } else {
        match ppp::v2::Header::try_from(header).ok()?.addresses {
            ppp::v2::Addresses::IPv4(four) => {
                (socket(four.source_address.into(), four.source_port), socket(four.destination_address.into(), four.destination_port))
            }
            ppp::v2::Addresses::IPv6(six) => {
                (socket(six.source_address.into(), six.source_port), socket(six.destination_address.into(), six.destination_port))
            }
            ppp::v2::Addresses::Unspecified | ppp::v2::Addresses::Unix(_) => return None,
        }
    };
    Some((source, destination))
}
