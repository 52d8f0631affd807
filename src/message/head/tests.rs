use super::*;

const LIMITS: HeadLimits = HeadLimits { target: 100, bytes: 1000, fields: 5 };

fn of(head: &str, mode: DesyncMitigation) -> Result<Head, Refusal> {
    read(head.as_bytes(), mode, &LIMITS)
}

#[test]
fn a_plain_head_passes_byte_for_byte() {
    for (head, body) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", BodyLength::None),
        ("POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\n", BodyLength::Octets(5)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\n", BodyLength::Octets(5)),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n", BodyLength::Chunked),
        ("DELETE /x HTTP/1.1\r\nX-Name: J\u{fc}rgen\r\nX-Tab: a\tb\r\n\r\n", BodyLength::None),
    ] {
        let read = of(head, DesyncMitigation::Defensive).unwrap();
        assert_eq!((read.body, read.oddity, read.normal_form), (body, None, None), "{head:?}");
    }
}

#[test]
fn what_two_programs_frame_differently_is_refused() {
    for (head, oddity) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Oddity::BadUri),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Oddity::BadHeader),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Oddity::BadHeader),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", Oddity::BadHeader),
        ("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", Oddity::BadHeader),
        ("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", Oddity::BadHeader),
        ("GET / HTTP/1.1\r\nX\r\n\r\n", Oddity::BadHeader),
        ("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", Oddity::BadUri),
        ("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", Oddity::AmbiguousUri),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Oddity::NonCompliantVersion),
        ("GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", Oddity::BadVersion),
        ("PRI * HTTP/2.0\r\n\r\n", Oddity::BadVersion),
        ("GET /\r\nHost: a\r\n\r\n", Oddity::NonCompliantVersion),
        ("G\u{1}T / HTTP/1.1\r\n\r\n", Oddity::BadMethod),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Oddity::MultipleContentLength),
        ("POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", Oddity::BadContentLength),
        ("POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", Oddity::BadContentLength),
        ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", Oddity::BadContentLength),
        ("POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n", Oddity::BadContentLength),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", Oddity::BadTransferEncoding),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: \r\n\r\n", Oddity::BadTransferEncoding),
        ("GET / HTTP/1.1 \r\n\r\n", Oddity::NonCompliantVersion),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", Oddity::MultipleTransferEncodingChunked),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Oddity::UndefinedTransferEncodingSemantics),
        ("POST / HTTP/1.1\r\nTransfer_Encoding: chunked\r\n\r\n", Oddity::SuspiciousHeader),
        ("POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", Oddity::SuspiciousHeader),
        ("POST / HTTP/1.1\r\nTran\u{17f}fer-Encoding: chunked\r\n\r\n", Oddity::SuspiciousHeader),
    ] {
        for mode in [DesyncMitigation::Monitor, DesyncMitigation::Defensive, DesyncMitigation::Strictest] {
            assert_eq!(of(head, mode).unwrap_err().oddity, Some(oddity), "{head:?}");
        }
    }
}

#[test]
fn what_is_not_odd_and_cannot_be_served_is_refused_without_a_word_about_it() {
    for head in [
        "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
    ] {
        assert_eq!(of(head, DesyncMitigation::Monitor).unwrap_err().oddity, None, "{head:?}");
    }
}

#[test]
fn what_can_be_given_one_meaning_passes_in_that_form_where_the_operator_asks_for_it() {
    let end = "Host: a\r\n\r\n";
    for (head, oddity, normal) in [
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Oddity::SpaceInUri, format!("GET /a%20b HTTP/1.1\r\n{end}")),
        (
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 05\r\nHost: a\r\n\r\n",
            Oddity::DuplicateContentLength,
            format!("POST / HTTP/1.1\r\nContent-Length: 5\r\n{end}"),
        ),
        ("GET / HTTP/1.1\r\nX y: 1\r\nHost: a\r\n\r\n", Oddity::NonCompliantHeader, format!("GET / HTTP/1.1\r\n{end}")),
        ("GET / HTTP/1.1\r\n: 1\r\nHost: a\r\n\r\n", Oddity::EmptyHeader, format!("GET / HTTP/1.1\r\n{end}")),
        ("GET / HTTP/1.1\r\nX: \u{1}\r\nHost: a\r\n\r\n", Oddity::NonCompliantHeader, format!("GET / HTTP/1.1\r\n{end}")),
    ] {
        let read = of(head, DesyncMitigation::Monitor).unwrap();
        let form = read.normal_form.map(|form| String::from_utf8(form).unwrap());
        assert_eq!((read.oddity, form.as_deref()), (Some(oddity), Some(&*normal)), "{head:?}");
        let again = of(&normal, DesyncMitigation::Strictest).unwrap();
        assert_eq!((again.body, again.oddity, again.normal_form), (read.body, None, None), "{head:?}");
        for mode in [DesyncMitigation::Defensive, DesyncMitigation::Strictest] {
            assert_eq!(of(head, mode).unwrap_err().oddity, Some(oddity), "{head:?}");
        }
    }
}

#[test]
fn what_no_path_has_is_refused_and_in_a_query_escaped() {
    for path in ["/<x>", "/\"x", "/`", "/>?q=1"] {
        assert_eq!(of(&format!("GET {path} HTTP/1.1\r\n\r\n"), DesyncMitigation::Monitor), Err(Malformed::Path.into()), "{path}");
    }
    let read = of("GET /?q=<\"a\">&`{|} HTTP/1.1\r\nHost: a\r\n\r\n", DesyncMitigation::Strictest).unwrap();
    assert_eq!(read.normal_form.unwrap(), b"GET /?q=%3C%22a%22%3E&`{|} HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = b"GET /\xfc\xc3\xbc?\xa4 HTTP/1.1\r\n\r\n";
    let read = super::read(head, DesyncMitigation::Strictest, &LIMITS).unwrap();
    assert_eq!(read.normal_form.unwrap(), b"GET /%FC%C3%BC?%A4 HTTP/1.1\r\n\r\n");
}

#[test]
fn content_of_a_method_that_has_none_is_for_the_operator_to_decide() {
    for (head, oddity) in [
        ("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Oddity::GetHeadZeroContentLength),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", Oddity::UndefinedContentLengthSemantics),
        ("HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Oddity::UndefinedTransferEncodingSemantics),
    ] {
        assert_eq!(of(head, DesyncMitigation::Defensive).unwrap().oddity, Some(oddity), "{head:?}");
        assert_eq!(of(head, DesyncMitigation::Strictest).unwrap_err().oddity, Some(oddity), "{head:?}");
    }
}

#[test]
fn lines_that_end_in_different_ways_are_counted_as_they_are() {
    for count in 0..40 {
        let head = format!("GET / HTTP/1.1\r\n{}x y:z\r\n\r\n", "a:b\n".repeat(count));
        let limits = HeadLimits { fields: 100, ..LIMITS };
        for mode in [DesyncMitigation::Monitor, DesyncMitigation::Defensive, DesyncMitigation::Strictest] {
            assert_eq!(read(head.as_bytes(), mode, &limits).is_ok(), count == 0 && mode == DesyncMitigation::Monitor, "{count}");
        }
    }
}

#[test]
fn each_limit_has_its_status() {
    let fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert!(of(&fields(5), DesyncMitigation::Defensive).is_ok());
    assert_eq!(of(&fields(6), DesyncMitigation::Defensive), Err(Malformed::HeaderTooLarge.into()));
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(length - 1));
    assert!(of(&target(100), DesyncMitigation::Defensive).is_ok());
    for length in [101, 2000] {
        assert_eq!(of(&target(length), DesyncMitigation::Defensive), Err(Malformed::TargetTooLong.into()), "{length}");
    }
    let large = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(1000));
    assert_eq!(of(&large, DesyncMitigation::Defensive), Err(Malformed::HeaderTooLarge.into()));
}

#[test]
fn the_end_of_a_head_is_found_wherever_the_pieces_were_cut() {
    let octets = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
    let whole = octets.len() - 4;
    for cut in 0..=whole {
        assert_eq!(length(&octets[..cut], 0), (cut >= whole).then_some(whole));
        assert_eq!(length(octets, cut.min(whole - 1)), Some(whole), "{cut}");
    }
    assert_eq!(length(b"GET / HTTP/1.1\nHost: a\n\nrest", 0), Some(24));
}
