//! nginx behind the gateway, over HTTP/1.1 and over HTTP/2: what a web server does with files arrives as it was.

use std::net::TcpStream;

use serde_json::json;

use crate::support::World;
use crate::support::client::connect;
use crate::support::nginx::Nginx;
use crate::support::oracles::sign_in;
use crate::support::wire::{Response, Wire};

const LARGE: usize = 24 * 1024 * 1024;

fn before(nginx: &Nginx, version: &str) -> World {
    World::start_with(|plan| {
        plan.configuration["target_groups"]["app"] = json!({"targets": [nginx.address()], "protocol_version": version});
    })
}

/// Octets without a period that a piece could be lost or moved in unseen.
fn octets(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..count.div_ceil(8)).flat_map(|_| next()).take(count).collect()
}

fn ask(wire: &mut Wire, world: &World, method: &str, path: &str, fields: &str) -> Response {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", world.gateway.authority());
    wire.send(request.as_bytes()).unwrap();
    wire.response(method).unwrap()
}

/// Both kinds of connection to nginx.
fn with_each_version(story: impl Fn(&Nginx, &World, &str)) {
    for version in ["http1", "http2"] {
        let nginx = Nginx::start(version == "http2");
        let world = before(&nginx, version);
        story(&nginx, &world, version);
    }
}

#[test]
fn large_files_of_nginx_arrive_whole_in_both_directions() {
    with_each_version(|nginx, world, version| {
        let content = octets(LARGE);
        std::fs::create_dir(nginx.file("public")).unwrap();
        std::fs::write(nginx.file("public/large"), &content).unwrap();
        let mut wire = connect(world.gateway.port);
        let response = ask(&mut wire, world, "GET", "/public/large", "");
        assert_eq!(response.get("content-length"), Some(LARGE.to_string().as_str()), "{version}");
        assert!(response.body == content, "{version}: the download differs");

        let head = format!("PUT /public/up HTTP/1.1\r\nHost: {}\r\nContent-Length: {LARGE}\r\n\r\n", world.gateway.authority());
        wire.send(&[head.as_bytes(), &content].concat()).unwrap();
        assert_eq!(wire.response("PUT").unwrap().status(), 201, "{version}");
        assert!(std::fs::read(nginx.file("public/up")).unwrap() == content, "{version}: the upload differs");

        let head = format!("PUT /public/chunks HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", world.gateway.authority());
        wire.send(head.as_bytes()).unwrap();
        for piece in content.chunks(100_003) {
            wire.send(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).unwrap();
        }
        wire.send(b"0\r\n\r\n").unwrap();
        assert_eq!(wire.response("PUT").unwrap().status(), 201, "{version}");
        assert!(std::fs::read(nginx.file("public/chunks")).unwrap() == content, "{version}: the chunked upload differs");
    });
}

#[test]
fn ranges_conditions_and_heads_of_nginx_mean_what_they_mean() {
    with_each_version(|nginx, world, version| {
        let content = octets(100_000);
        std::fs::create_dir(nginx.file("public")).unwrap();
        std::fs::write(nginx.file("public/file"), &content).unwrap();
        let mut wire = connect(world.gateway.port);
        let mut get = |method: &str, fields: &str| ask(&mut wire, world, method, "/public/file", fields);

        let part = get("GET", "Range: bytes=1000-1999\r\n");
        assert_eq!((part.status(), part.get("content-range")), (206, Some("bytes 1000-1999/100000")), "{version}");
        assert_eq!(part.body, content[1000..2000], "{version}");
        let parts = get("GET", "Range: bytes=0-9,-10\r\n");
        assert_eq!(parts.status(), 206, "{version}");
        assert!(parts.get("content-type").is_some_and(|kind| kind.starts_with("multipart/byteranges")), "{version}: {parts}");
        assert!(parts.body.windows(10).any(|window| *window == content[99_990..]), "{version}");
        assert_eq!(get("GET", "Range: bytes=100000-\r\n").status(), 416, "{version}");

        let whole = get("GET", "");
        let tag = whole.get("etag").unwrap().to_owned();
        let unchanged = get("GET", &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((unchanged.status(), unchanged.body.len(), unchanged.get("etag")), (304, 0, Some(tag.as_str())), "{version}");
        let head = get("HEAD", "");
        assert_eq!((head.status(), head.get("content-length")), (200, Some("100000")), "{version}");
        // Of the same connection: a body that came with one of those would be the beginning of this answer.
        assert_eq!(get("GET", "").body, content, "{version}");
    });
}

#[test]
fn compressed_answers_of_nginx_pass_as_they_are() {
    with_each_version(|nginx, world, version| {
        std::fs::write(nginx.file("text"), "a line of text\n".repeat(20_000)).unwrap();
        let mut wire = connect(world.gateway.port);
        let zipped = ask(&mut wire, world, "GET", "/public/zip/text", "Accept-Encoding: gzip\r\n");
        assert_eq!(zipped.get("content-encoding"), Some("gzip"), "{version}: {zipped}");
        // Its length is not known beforehand.
        assert_eq!(zipped.get("content-length"), None, "{version}");
        assert!(zipped.body.starts_with(&[0x1f, 0x8b]) && zipped.body.len() < 20_000, "{version}");
        if version == "http1" {
            let mut direct = Wire::plain(TcpStream::connect(nginx.address()).unwrap());
            let direct = ask(&mut direct, world, "GET", "/public/zip/text", "Accept-Encoding: gzip\r\n");
            assert_eq!(direct.body, zipped.body, "other octets than nginx's");
        }
        let plain = ask(&mut wire, world, "GET", "/public/zip/text", "");
        assert_eq!((plain.get("content-encoding"), plain.body.len()), (None, 300_000), "{version}");
    });
}

#[test]
fn nginx_keeps_its_connections_and_hears_who_asks() {
    with_each_version(|nginx, world, version| {
        std::fs::write(nginx.file("page"), "page").unwrap();
        let mut browser = world.browser();
        sign_in(world, &mut browser, "/page");
        let answers: Vec<Response> = (0..20).map(|_| browser.get_with("/page", &[("X-Amzn-Oidc-Identity", "root")])).collect();
        for answer in &answers {
            assert_eq!((answer.status(), answer.text().as_str()), (200, "page"), "{version}");
            assert_eq!(answer.get("x-identity"), Some("alice"), "{version}");
            assert_eq!(answer.get("x-cookies"), None, "{version}: the session at the application");
        }
        let mut connections: Vec<&str> = answers.iter().filter_map(|answer| answer.get("x-connection")).collect();
        connections.dedup();
        assert!(connections.len() <= 2, "{version}: {} connections for 20 requests one after another", connections.len());
    });
}
