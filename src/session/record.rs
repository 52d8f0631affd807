//! What a session holds, packed small: JWTs without their base64, all of it compressed, a short clear head so that a
//! request of a known session needs no unpacking.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::identity::SessionId;

/// Everything about a signed-in person that outlives the login.
#[derive(Clone, PartialEq)]
pub struct SessionRecord {
    pub id: SessionId,
    pub signed_in_at: UnixTime,
    /// The end, whatever happens. The cookie lives longer, so that an expired session can be told from none.
    pub expires_at: UnixTime,
    /// Counts refreshes: of two cookies of one session the one with the higher number is the newer.
    pub generation: u32,
    /// The last request, or some time before it.
    pub seen_at: UnixTime,
    /// When a refresh is due, and when it is overdue; far away where there is no refresh token.
    pub refresh_from: UnixTime,
    pub access_expires_at: UnixTime,
    /// Of the login's `nonce`.
    pub nonce: [u8; 16],
    pub claims: Map<String, Value>,
    pub access_token: String,
    /// Empty where it did not fit.
    pub id_token: String,
    /// Empty where the provider gave none.
    pub refresh_token: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the session record is of another version or damaged")]
    Damaged,
    #[error("the session record cannot be packed")]
    Packing,
}

/// A record of which only the head has been read.
#[derive(Clone)]
pub struct OpenedSession {
    pub id: SessionId,
    pub expires_at: UnixTime,
    pub generation: u32,
    pub seen_at: UnixTime,
    pub refresh_from: UnixTime,
    pub access_expires_at: UnixTime,
    /// By a key that is no longer the first: it has to be sealed again before that one is taken out.
    pub sealed_by_former: bool,
    plain: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    signed_in_at: u64,
    nonce: [u8; 16],
    #[serde(with = "serde_bytes")]
    claims: Vec<u8>,
    access_token: Packed,
    id_token: Packed,
    refresh_token: Packed,
}

#[derive(Serialize, Deserialize)]
enum Packed {
    Text(String),
    /// The parts of a JWS or JWE.
    Parts(Vec<serde_bytes::ByteBuf>),
}

impl SessionRecord {
    /// `version ‖ id ‖ expires_at ‖ generation ‖ seen_at ‖ refresh_from ‖ access_expires_at ‖ zstd(body)`
    pub fn pack(&self) -> Result<Vec<u8>, RecordError> {
        let body = Body {
            signed_in_at: self.signed_in_at.0,
            nonce: self.nonce,
            claims: serde_json::to_vec(&self.claims).map_err(|_| RecordError::Packing)?,
            access_token: Packed::from(&self.access_token),
            id_token: Packed::from(&self.id_token),
            refresh_token: Packed::from(&self.refresh_token),
        };
        let body = postcard::to_allocvec(&body).map_err(|_| RecordError::Packing)?;
        let body = zstd::bulk::compress(&body, COMPRESSION_LEVEL).map_err(|_| RecordError::Packing)?;
        let time = |time: UnixTime| time.0.to_le_bytes();
        let head = [
            &[VERSION],
            self.id.0.as_slice(),
            &time(self.expires_at),
            &self.generation.to_le_bytes(),
            &time(self.seen_at),
            &time(self.refresh_from),
            &time(self.access_expires_at),
        ];
        Ok([head.concat(), body].concat())
    }
}

impl OpenedSession {
    /// Reads the head of what `pack` made and a seal has vouched for.
    pub fn read(plain: Vec<u8>) -> Result<Self, RecordError> {
        let (&[version], rest) = plain.split_first_chunk::<1>().ok_or(RecordError::Damaged)?;
        let (id, rest) = rest.split_first_chunk::<16>().ok_or(RecordError::Damaged)?;
        if version != VERSION {
            return Err(RecordError::Damaged);
        }
        let time = |rest: &mut &[u8]| {
            let (time, after) = rest.split_first_chunk::<8>().ok_or(RecordError::Damaged)?;
            *rest = after;
            Ok(UnixTime(u64::from_le_bytes(*time)))
        };
        let (id, mut rest) = (SessionId(*id), rest);
        let expires_at = time(&mut rest)?;
        let (generation, mut rest) = rest.split_first_chunk::<4>().ok_or(RecordError::Damaged)?;
        let generation = u32::from_le_bytes(*generation);
        let (seen_at, refresh_from, access_expires_at) = (time(&mut rest)?, time(&mut rest)?, time(&mut rest)?);
        Ok(Self { id, expires_at, generation, seen_at, refresh_from, access_expires_at, sealed_by_former: false, plain })
    }

    /// The same session, seen now: packed without unpacking it.
    #[must_use]
    pub fn seen(&self, now: UnixTime) -> Vec<u8> {
        let mut plain = self.plain.clone();
        plain[SEEN_AT..SEEN_AT + 8].copy_from_slice(&now.0.to_le_bytes());
        plain
    }

    pub fn unpack(&self) -> Result<SessionRecord, RecordError> {
        let body = zstd::bulk::decompress(&self.plain[HEAD..], MAX_UNPACKED).map_err(|_| RecordError::Damaged)?;
        let body: Body = postcard::from_bytes(&body).map_err(|_| RecordError::Damaged)?;
        Ok(SessionRecord {
            id: self.id,
            signed_in_at: UnixTime(body.signed_in_at),
            expires_at: self.expires_at,
            generation: self.generation,
            seen_at: self.seen_at,
            refresh_from: self.refresh_from,
            access_expires_at: self.access_expires_at,
            nonce: body.nonce,
            claims: serde_json::from_slice(&body.claims).map_err(|_| RecordError::Damaged)?,
            access_token: body.access_token.into_text(),
            id_token: body.id_token.into_text(),
            refresh_token: body.refresh_token.into_text(),
        })
    }
}

impl Packed {
    /// Undoes the base64 of a JWS (three parts) or JWE (five; Cognito's refresh tokens) where encoding it again gives the same text.
    fn from(token: &str) -> Self {
        let parts: Result<Vec<_>, _> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).map(serde_bytes::ByteBuf::from)).collect();
        match parts {
            Ok(parts) if matches!(parts.len(), 3 | 5) => {
                let packed = Self::Parts(parts);
                if packed.text() == token { packed } else { Self::Text(token.to_owned()) }
            }
            _ => Self::Text(token.to_owned()),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect::<Vec<_>>().join("."),
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            packed @ Self::Parts(_) => packed.text(),
        }
    }
}

const VERSION: u8 = 2;
/// Version, id, end and generation.
const SEEN_AT: usize = 1 + 16 + 8 + 4;
/// Three times more.
const HEAD: usize = SEEN_AT + 3 * 8;
/// Measured: level 3 saves 1 % over level 1 on three tokens and costs a microsecond, once a login.
const COMPRESSION_LEVEL: i32 = 3;
/// Four cookies cannot hold what would unpack to more, unless somebody with our key made a bomb.
const MAX_UNPACKED: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// As Cognito makes them: ID and access token with 50 groups, signed with RS256, and a refresh token of 1.8 KB that nothing compresses.
    #[test]
    fn three_tokens_of_cognito_with_fifty_groups_fit_into_two_cookies() {
        let entropy = crate::secret::test_entropy();
        let noise = |count: usize| (0..count).flat_map(|_| entropy.bytes::<1>().unwrap()).collect::<Vec<u8>>();
        let groups: Vec<String> = (0..50).map(|index| format!("department-{}-team-{index:02}", URL_SAFE_NO_PAD.encode(noise(6)))).collect();
        let jws = |payload: &Value| {
            let header = serde_json::json!({"kid": "Z8wVpn2qYxcWgmuTjSxRbH0qGf0xJ5e7Qp1aVdQk3no=", "alg": "RS256"});
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            format!("{}.{}.{}", encode(header.to_string().as_bytes()), encode(payload.to_string().as_bytes()), encode(&noise(256)))
        };
        let person = serde_json::json!({
            "sub": "b4f8a2c6-1021-70b7-0ad3-2a2e6f2f6d11", "cognito:groups": groups, "email_verified": true, "cognito:username": "alice",
            "email": "alice.liddell@example.com", "given_name": "Alice", "family_name": "Liddell", "auth_time": 1_795_170_000,
        });
        let with = |more: Value| {
            let mut claims = person.as_object().unwrap().clone();
            claims.extend(more.as_object().unwrap().clone());
            Value::Object(claims)
        };
        let issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123";
        let id_token =
            jws(&with(serde_json::json!({"iss": issuer, "aud": "4fmvh2example", "token_use": "id", "nonce": "n", "exp": 1_795_173_600})));
        let access_token = jws(&serde_json::json!({
            "sub": "b4f8a2c6-1021-70b7-0ad3-2a2e6f2f6d11", "cognito:groups": groups, "iss": issuer, "client_id": "4fmvh2example",
            "token_use": "access", "scope": "openid email profile", "username": "alice", "exp": 1_795_173_600, "version": 2,
        }));
        let refresh_token = [noise(40), noise(256), noise(12), noise(1030), noise(16)].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        assert!(refresh_token.len() > 1_750 && id_token.len() + access_token.len() > 5_000);
        let record = SessionRecord {
            id: SessionId([7; 16]),
            signed_in_at: UnixTime(1),
            expires_at: UnixTime(2),
            generation: 0,
            seen_at: UnixTime(1),
            refresh_from: UnixTime(1),
            access_expires_at: UnixTime(1),
            nonce: [8; 16],
            claims: person.as_object().unwrap().clone(),
            access_token,
            id_token,
            refresh_token,
        };
        let key = super::super::SessionKey::parse(&super::super::SessionKey::generate(&entropy).unwrap()).unwrap();
        let sealer = super::super::Sealer::new(&[key], entropy.clone()).unwrap();
        let sealed = sealer.seal(super::super::Purpose::Session, &[], &record.pack().unwrap()).unwrap();
        let cookies = super::super::SessionCookie::new("AWSELBAuthSessionCookie").write(&sealed).unwrap();
        let shards = cookies.iter().filter(|cookie| !cookie.contains("Max-Age=0")).count();
        assert!(shards <= 2, "{shards} cookies for {} bytes", sealed.len());
    }

    #[test]
    fn a_record_survives_packing_to_the_letter() {
        // A number is the one that the provider sent however often it is written and read (serde_json needs `float_roundtrip` for that).
        let numbers = [7.777_704_444_411_112e65, 1.1e-7, 5e-324];
        let claims = serde_json::json!({"sub": "alice", "cognito:groups": ["staff"], "n": 1.5, "numbers": numbers});
        for token in
            ["opaque", "eyJhIjoxfQ.eyJiIjoyfQ.AAAA", "eyJhIjoxfQ==.eyJiIjoyfQ.AAAA", "eyJhIjoxfQ..AAAA.AAAA.AAAA", "a.b.c", "..", ""]
        {
            let record = SessionRecord {
                id: SessionId([7; 16]),
                signed_in_at: UnixTime(1),
                expires_at: UnixTime(2),
                generation: 3,
                seen_at: UnixTime(4),
                refresh_from: UnixTime(5),
                access_expires_at: UnixTime(6),
                nonce: [8; 16],
                claims: claims.as_object().unwrap().clone(),
                access_token: token.to_owned(),
                id_token: token.to_owned(),
                refresh_token: token.to_owned(),
            };
            let opened = OpenedSession::read(record.pack().unwrap()).unwrap();
            assert_eq!((opened.id, opened.expires_at), (record.id, record.expires_at));
            assert!(opened.unpack().unwrap() == record, "{token}");
            let seen = OpenedSession::read(opened.seen(UnixTime(9))).unwrap();
            assert!(seen.unpack().unwrap() == SessionRecord { seen_at: UnixTime(9), ..record }, "{token}");
        }
    }
}
