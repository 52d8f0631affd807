//! What the browser holds of a session that is kept in a store: which one, and until when.

use super::RecordError;
use crate::clock::UnixTime;
use crate::identity::SessionId;

/// Sealed under a purpose of its own: a record that was read in the store is no cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionReference {
    /// 16 random bytes, which nobody reads outside of a seal.
    pub id: SessionId,
    /// The absolute end: an expired session is told from a lost one without asking the store.
    pub expires_at: UnixTime,
}

impl SessionReference {
    /// `version ‖ id ‖ expires_at`
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        [&[VERSION], self.id.0.as_slice(), &self.expires_at.0.to_le_bytes()].concat()
    }

    /// Reads what `pack` made and a seal has vouched for.
    pub fn read(plain: &[u8]) -> Result<Self, RecordError> {
        let (&[version], rest) = plain.split_first_chunk::<1>().ok_or(RecordError::Damaged)?;
        let (id, rest) = rest.split_first_chunk::<16>().ok_or(RecordError::Damaged)?;
        let expires_at: [u8; 8] = rest.try_into().map_err(|_| RecordError::Damaged)?;
        if version != VERSION {
            return Err(RecordError::Damaged);
        }
        Ok(Self { id: SessionId(*id), expires_at: UnixTime(u64::from_le_bytes(expires_at)) })
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_survives_packing_and_nothing_else_reads_as_one() {
        let reference = SessionReference { id: SessionId([7; 16]), expires_at: UnixTime(1_795_170_000) };
        let packed = reference.pack();
        assert_eq!(SessionReference::read(&packed), Ok(reference));
        let other_version = [&[VERSION + 1], &packed[1..]].concat();
        for damaged in [&packed[..packed.len() - 1], &[packed.as_slice(), &[0]].concat(), &other_version, &[]] {
            assert_eq!(SessionReference::read(damaged), Err(RecordError::Damaged));
        }
    }
}
