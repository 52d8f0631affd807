//! The PROXY protocol, versions 1 and 2, as HAProxy defines it (doc/proxy-protocol.txt): what a balancer says of the client in front of the
//! first byte of TLS or HTTP.
//!
//! A header is read only from peers that are named, and from them there has to be one. To find out whether there is one would let any client of a
//! balancer that sends none write it itself. Not a byte beyond the header is taken: TLS follows.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The balancer speaks for itself (`LOCAL`: a health check), or of a client without an address (`UNKNOWN`, a unix socket).
    Local,
    /// Whom it speaks for, and where that client has connected to.
    Client { source: SocketAddr, destination: SocketAddr },
}

/// How far the bytes go that have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParsedHeader {
    Whole {
        header: ProxyHeader,
        length: usize,
    },
    /// At least so many more belong to it.
    Incomplete(usize),
}

#[derive(Debug, thiserror::Error)]
pub enum ProxyHeaderError {
    #[error("there is no PROXY header")]
    Absent,
    #[error("the PROXY header is malformed: {0}")]
    Malformed(&'static str),
    #[error("the connection ended within the PROXY header")]
    Ended,
    #[error("the connection failed: {0}")]
    Failed(io::Error),
}

/// Reads a header to its end and no further. `None`: nothing came at all, as when a balancer looks whether the port is open.
pub async fn read_proxy_header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    let mut bytes = Vec::with_capacity(SIGNATURE.len() + 64);
    loop {
        let wanted = match parse_proxy_header(&bytes)? {
            ParsedHeader::Whole { header, .. } => return Ok(Some(header)),
            ParsedHeader::Incomplete(wanted) => wanted,
        };
        let start = bytes.len();
        bytes.resize(start + wanted, 0);
        let mut filled = start;
        while filled < bytes.len() {
            match stream.read(&mut bytes[filled..]).await {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(ProxyHeaderError::Ended),
                Ok(count) => filled += count,
                Err(error) => return Err(ProxyHeaderError::Failed(error)),
            }
            // What is no header is told from one that is slow: a client that speaks first is not kept until the deadline.
            if start == 0 && !may_begin(&bytes[..filled]) {
                return Err(ProxyHeaderError::Absent);
            }
        }
    }
}

/// Reads what has come. For every beginning of a header it tells how many bytes are wanted at least, and never more than the header has.
pub fn parse_proxy_header(bytes: &[u8]) -> Result<ParsedHeader, ProxyHeaderError> {
    if !may_begin(bytes) {
        return Err(ProxyHeaderError::Absent);
    }
    match bytes.get(..SIGNATURE.len()) {
        None => Ok(ParsedHeader::Incomplete(SIGNATURE.len() - bytes.len())),
        Some(begin) if begin == SIGNATURE => version_2(bytes),
        Some(_) => version_1(bytes),
    }
}

fn may_begin(bytes: &[u8]) -> bool {
    let agrees = |with: &[u8]| bytes.iter().zip(with).all(|(found, wanted)| found == wanted);
    agrees(SIGNATURE) || agrees(WORD)
}

fn version_1(bytes: &[u8]) -> Result<ParsedHeader, ProxyHeaderError> {
    let Some(end) = memchr::memchr(b'\n', &bytes[..bytes.len().min(MAX_LINE)]) else {
        // Up to the end of the line there is a carriage return, if there has been none, and a line feed.
        let wanted = if bytes.ends_with(b"\r") { 1 } else { 2 };
        let stray = bytes[..bytes.len() - 1].contains(&b'\r');
        return if bytes.len() + wanted > MAX_LINE {
            Err(ProxyHeaderError::Malformed("a line of more than 107 bytes"))
        } else if stray {
            Err(ProxyHeaderError::Malformed("a carriage return within the line"))
        } else {
            Ok(ParsedHeader::Incomplete(wanted))
        };
    };
    let line = bytes[..end].strip_suffix(b"\r").filter(|line| !line.contains(&b'\r'));
    let line = line.ok_or(ProxyHeaderError::Malformed("the line does not end in CR LF"))?;
    let line = std::str::from_utf8(line).map_err(|_| ProxyHeaderError::Malformed("not ASCII"))?;
    let mut words = line.split(' ').skip(1);
    let header = match words.next() {
        // What follows is not looked at.
        Some("UNKNOWN") => ProxyHeader::Local,
        Some("TCP4") => client(&mut words, |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::from))?,
        Some("TCP6") => client(&mut words, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::from))?,
        _ => return Err(ProxyHeaderError::Malformed("a protocol other than TCP4, TCP6 and UNKNOWN")),
    };
    Ok(ParsedHeader::Whole { header, length: end + 1 })
}

fn client<'a>(
    words: &mut impl Iterator<Item = &'a str>,
    address: impl Fn(&str) -> Option<IpAddr>,
) -> Result<ProxyHeader, ProxyHeaderError> {
    let mut next_address = || words.next().and_then(&address).ok_or(ProxyHeaderError::Malformed("no address of this family"));
    let (source, destination) = (next_address()?, next_address()?);
    let mut next_port = || words.next().and_then(port).ok_or(ProxyHeaderError::Malformed("no port"));
    let (source_port, destination_port) = (next_port()?, next_port()?);
    if words.next().is_some() {
        return Err(ProxyHeaderError::Malformed("more than two addresses and two ports"));
    }
    Ok(between((source, source_port), (destination, destination_port)))
}

/// Decimal, without a sign or zeros in front.
fn port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port.to_string() == text).then_some(port)
}

fn between(source: (IpAddr, u16), destination: (IpAddr, u16)) -> ProxyHeader {
    // `::ffff:192.0.2.1` is the address that rules and limits know as 192.0.2.1.
    let socket = |(address, port): (IpAddr, u16)| SocketAddr::new(address.to_canonical(), port);
    ProxyHeader::Client { source: socket(source), destination: socket(destination) }
}

fn version_2(bytes: &[u8]) -> Result<ParsedHeader, ProxyHeaderError> {
    let Some(&[version_and_command, family, high, low]) = bytes.get(SIGNATURE.len()..).and_then(<[u8]>::first_chunk) else {
        return Ok(ParsedHeader::Incomplete(HEAD - bytes.len()));
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_REST {
        return Err(ProxyHeaderError::Malformed("more than 4096 bytes after the head"));
    }
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyHeaderError::Malformed("another version than 2, or another command than LOCAL and PROXY")),
    };
    let addresses = match family {
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        // Also datagrams: this connection is none.
        _ => return Err(ProxyHeaderError::Malformed("a family or transport that a stream cannot have")),
    };
    if !is_local && length < addresses {
        return Err(ProxyHeaderError::Malformed("shorter than its addresses"));
    }
    let Some(rest) = bytes.get(HEAD..HEAD + length) else {
        return Ok(ParsedHeader::Incomplete(HEAD + length - bytes.len()));
    };
    let whole = |header| Ok(ParsedHeader::Whole { header, length: HEAD + length });
    if is_local {
        // §2.2: addresses and extensions of such a one are to be passed over.
        return whole(ProxyHeader::Local);
    }
    let (addresses, extensions) = rest.split_at(addresses);
    check_extensions(&bytes[..HEAD + length], extensions)?;
    whole(match addresses {
        [source @ .., _, _, _, _] if family == 0x11 => {
            let [a, b, c, d, e, f, g, h] = *source.first_chunk().ok_or(SHORT)?;
            let ports = ports(addresses).ok_or(SHORT)?;
            between((Ipv4Addr::new(a, b, c, d).into(), ports.0), (Ipv4Addr::new(e, f, g, h).into(), ports.1))
        }
        both if family == 0x21 => {
            let (source, rest) = both.split_first_chunk::<16>().ok_or(SHORT)?;
            let (destination, _) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
            let ports = ports(addresses).ok_or(SHORT)?;
            between((Ipv6Addr::from(*source).into(), ports.0), (Ipv6Addr::from(*destination).into(), ports.1))
        }
        _ => ProxyHeader::Local,
    })
}

/// The last four bytes.
fn ports(addresses: &[u8]) -> Option<(u16, u16)> {
    let [a, b, c, d] = *addresses.last_chunk()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// Extensions say nothing that is used here. They have to fill the rest exactly, and a checksum among them has to be right (§2.2.3).
fn check_extensions(header: &[u8], extensions: &[u8]) -> Result<(), ProxyHeaderError> {
    let mut rest = extensions;
    while let [kind, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let value = tail.get(..length).ok_or(ProxyHeaderError::Malformed("an extension that is longer than the header"))?;
        if *kind == PP2_TYPE_CRC32C {
            let sum: [u8; 4] = value.try_into().map_err(|_| ProxyHeaderError::Malformed("a checksum that is not of four bytes"))?;
            let at = header.len() - tail.len();
            if crc32c(header, at..at + sum.len()) != u32::from_be_bytes(sum) {
                return Err(ProxyHeaderError::Malformed("a checksum that is wrong"));
            }
        }
        rest = &tail[length..];
    }
    if rest.is_empty() { Ok(()) } else { Err(ProxyHeaderError::Malformed("an extension without its length")) }
}

/// CRC-32C (RFC 9260, appendix A), the bytes of the sum itself taken for zero.
fn crc32c(bytes: &[u8], sum: std::ops::Range<usize>) -> u32 {
    let of_byte = |register: u32, (at, byte): (usize, &u8)| {
        let byte = if sum.contains(&at) { 0 } else { *byte };
        (0..8).fold(register ^ u32::from(byte), |register, _| if register & 1 == 1 { register >> 1 ^ 0x82f6_3b78 } else { register >> 1 })
    };
    !bytes.iter().enumerate().fold(u32::MAX, of_byte)
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const WORD: &[u8] = b"PROXY ";
const HEAD: usize = SIGNATURE.len() + 4;
/// §2.1.
const MAX_LINE: usize = 107;
/// Addresses have 216 bytes at most; the rest is what a balancer adds, such as a certificate's name.
const MAX_REST: usize = 4096;
const PP2_TYPE_CRC32C: u8 = 3;
const SHORT: ProxyHeaderError = ProxyHeaderError::Malformed("shorter than its addresses");

#[cfg(test)]
mod tests {
    use super::*;

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        [SIGNATURE, &[command, family], &u16::try_from(rest.len()).unwrap().to_be_bytes(), rest].concat()
    }

    const FOUR: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];

    fn said(bytes: &[u8]) -> String {
        match parse_proxy_header(bytes) {
            Ok(ParsedHeader::Whole { header: ProxyHeader::Client { source, destination }, length }) => {
                format!("{source} {destination} {}", bytes.len() - length)
            }
            Ok(ParsedHeader::Whole { header: ProxyHeader::Local, length }) => format!("local {}", bytes.len() - length),
            Ok(ParsedHeader::Incomplete(wanted)) => format!("{wanted} more"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn both_versions_say_who_the_client_is() {
        let six = [Ipv6Addr::LOCALHOST.octets().as_slice(), &Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().octets(), &[0, 1, 0, 2]].concat();
        let extended = [FOUR.as_slice(), &[0xea, 0, 3, 1, 2, 3, 4, 0, 0]].concat();
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\nGET".to_vec(), "192.0.2.1:4711 198.51.100.1:443 3"),
            (b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n".to_vec(), "[2001:db8::1]:0 [::1]:65535 0"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "local 0"),
            (b"PROXY UNKNOWN ffff:: whatever 1\r\nx".to_vec(), "local 1"),
            (version_2(0x21, 0x11, &FOUR), "192.0.2.1:4711 198.51.100.1:443 0"),
            (version_2(0x21, 0x11, &extended), "192.0.2.1:4711 198.51.100.1:443 0"),
            (version_2(0x21, 0x21, &six), "[::1]:1 192.0.2.7:2 0"),
            (version_2(0x20, 0, &[]), "local 0"),
            // What a health check has beside is passed over, whatever it is.
            (version_2(0x20, 0x11, &[1]), "local 0"),
            (version_2(0x21, 0, &[]), "local 0"),
            (version_2(0x21, 0x31, &[7; 216]), "local 0"),
        ] {
            assert_eq!(said(&bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_whole_header_is_malformed() {
        let line = |text: &str| text.as_bytes().to_vec();
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        assert_eq!((long.len(), said(long.as_bytes())), (108, "the PROXY header is malformed: a line of more than 107 bytes".to_owned()));
        assert_eq!(said(&long.as_bytes()[1..]), "there is no PROXY header");
        for (bytes, fault) in [
            (line("GET / HTTP/1.1\r\n"), "there is no"),
            (line("proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n"), "there is no"),
            (line("PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\n"), "does not end in CR LF"),
            (line("PROXY TCP4 192.0.2.1\r198.51.100.1 4711 443"), "a carriage return within"),
            (line("PROXY TCP4 ::1 ::1 1 1\r\n"), "of this family"),
            (line("PROXY TCP6 192.0.2.1 192.0.2.1 1 1\r\n"), "of this family"),
            (line("PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n"), "of this family"),
            (line("PROXY TCP4 192.0.2.01 192.0.2.1 1 1\r\n"), "of this family"),
            (line("PROXY TCP4 192.0.2.1 192.0.2.1 65536 1\r\n"), "no port"),
            (line("PROXY TCP4 192.0.2.1 192.0.2.1 +1 1\r\n"), "no port"),
            (line("PROXY TCP4 192.0.2.1 192.0.2.1 01 1\r\n"), "no port"),
            (line("PROXY TCP4 192.0.2.1 192.0.2.1 1\r\n"), "no port"),
            (line("PROXY TCP4 192.0.2.1 192.0.2.1 1 1 \r\n"), "more than two"),
            (line("PROXY TCP4  192.0.2.1 192.0.2.1 1 1\r\n"), "of this family"),
            (line("PROXY UDP4 192.0.2.1 192.0.2.1 1 1\r\n"), "a protocol other"),
            (b"PROXY \xff\xff\xff\xff\xff\xff\r\n".to_vec(), "not ASCII"),
            (version_2(0x11, 0x11, &FOUR), "another version"),
            (version_2(0x22, 0x11, &FOUR), "another version"),
            (version_2(0x21, 0x12, &FOUR), "a stream cannot have"),
            (version_2(0x21, 0x41, &FOUR), "a stream cannot have"),
            (version_2(0x21, 0x11, &FOUR[..11]), "shorter than its addresses"),
            (version_2(0x21, 0x21, &FOUR), "shorter than its addresses"),
            (version_2(0x21, 0x11, &[FOUR.as_slice(), &[4]].concat()), "without its length"),
            (version_2(0x21, 0x11, &[FOUR.as_slice(), &[4, 0, 2, 1]].concat()), "longer than the header"),
            (version_2(0x21, 0x11, &[0; 4097]), "more than 4096"),
        ] {
            assert!(said(&bytes).contains(fault), "{}: {}", bytes.escape_ascii(), said(&bytes));
        }
    }

    #[test]
    fn a_checksum_that_is_there_is_right() {
        // RFC 3720, B.4: 32 bytes of zeros, of ones, and ascending.
        assert_eq!(crc32c(&[0; 32], 0..0), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32], 0..0), 0x62a8_ab43);
        assert_eq!(crc32c(&std::array::from_fn::<u8, 32, _>(|at| u8::try_from(at).unwrap()), 0..0), 0x46dd_794e);
        let mut header = version_2(0x21, 0x11, &[FOUR.as_slice(), &[3, 0, 4, 0, 0, 0, 0]].concat());
        let end = header.len();
        let sum = crc32c(&header, 0..0);
        header[end - 4..].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(said(&header), "192.0.2.1:4711 198.51.100.1:443 0");
        header[17] ^= 1;
        assert!(said(&header).contains("a checksum that is wrong"));
    }

    /// A reader that asks as it is told takes the header and nothing of what follows, at whatever byte the header is cut.
    #[tokio::test]
    async fn a_header_is_read_to_its_end_and_no_further() {
        for header in [
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n".to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            version_2(0x21, 0x11, &FOUR),
            version_2(0x20, 0, &[0; 20]),
        ] {
            for cut in 0..header.len() {
                let Ok(ParsedHeader::Incomplete(wanted)) = parse_proxy_header(&header[..cut]) else { panic!("{cut}") };
                assert!(wanted > 0 && cut + wanted <= header.len(), "{cut}: {wanted}");
                let ended = read_proxy_header(&mut &header[..cut]).await;
                assert!(if cut == 0 { matches!(ended, Ok(None)) } else { matches!(ended, Err(ProxyHeaderError::Ended)) }, "{cut}");
            }
            let all = [header.as_slice(), b"PROXY TCP4 203.0.113.1"].concat();
            let mut stream = all.as_slice();
            assert!(read_proxy_header(&mut stream).await.unwrap().is_some());
            assert_eq!(stream, b"PROXY TCP4 203.0.113.1");
        }
    }
}
