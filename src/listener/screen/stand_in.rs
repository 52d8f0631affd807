//! What the parser gets in place of a request that is refused.

/// A request that asks for the refusal, in the form that the client understands.
pub(super) fn stand_in(head: &[u8]) -> Vec<u8> {
    let line_end = memchr::memchr(b'\n', head).unwrap_or(head.len());
    let method = head[..line_end].split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_plain = !method.is_empty() && method.len() <= 64 && method.iter().all(u8::is_ascii_uppercase) && method != b"CONNECT";
    let mut stand_in = if is_plain { method.to_vec() } else { b"GET".to_vec() };
    let mut told = 0;
    stand_in.extend_from_slice(b" / HTTP/1.1\r\nHost: refused.invalid\r\nConnection: close\r\n");
    for line in head.split(|byte| *byte == b'\n').skip(1).map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if told == MOST_TOLD {
            break;
        }
        let is_told = TOLD.iter().any(|told| name.eq_ignore_ascii_case(told.as_bytes()));
        if is_told && name.len() < line.len() && line.len() < LONGEST_TOLD && line.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            stand_in.extend_from_slice(line);
            stand_in.extend_from_slice(b"\r\n");
            told += 1;
        }
    }
    stand_in.extend_from_slice(b"\r\n");
    stand_in
}

/// What decides the form of an answer, and whose line it is.
const TOLD: [&str; 7] =
    ["accept", "accept-language", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site", "user-agent", "x-requested-with"];
const LONGEST_TOLD: usize = 1024;
const MOST_TOLD: usize = 10;
