//! Signed tokens of others: one verifier, one list of algorithms, one reading of key sets (RFC 7515, 7517, 7518, 8725).
//!
//! Claims are judged by whoever knows what the token is for; here it is only settled who signed it.

mod algorithm;
mod jws;
mod key_set;
mod verifier;

pub use algorithm::Algorithm;
pub use jws::{Compact, MAX_TOKEN_BYTES};
pub use key_set::{KeySet, KeySetError, MAX_KEY_SET_BYTES, MAX_KEYS, Thumbprint};
pub use verifier::{Verified, Verifier, VerifyError};
