//! The signature algorithms that are ever accepted (RFC 7518 §3.1, RFC 8037). `none` and HMAC are not in the type:
//! a token cannot ask for them, whatever a provider lists in its metadata.

use aws_lc_rs::signature::{self, VerificationAlgorithm};

/// A JWS `alg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    pub const ALL: [Self; 9] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512, Self::Es256, Self::Es384, Self::EdDsa];

    /// Exact spelling only: `none`, `NONE` and `rs256` are all unknown. `Ed25519` is the newer name of the one `EdDSA` that we have
    /// (RFC 9864 §2.2).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The RSA ones, with the parameters that aws-lc-rs wants. Keys below 2048 bits do not verify.
    pub(super) fn rsa(self) -> Option<&'static signature::RsaParameters> {
        match self {
            Self::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            Self::Es256 | Self::Es384 | Self::EdDsa => None,
        }
    }

    /// The curve's name in a JWK, the length of a coordinate, and the verification algorithm.
    pub(super) fn curve(self) -> Option<(&'static str, usize, &'static dyn VerificationAlgorithm)> {
        match self {
            Self::Es256 => Some(("P-256", 32, &signature::ECDSA_P256_SHA256_FIXED)),
            Self::Es384 => Some(("P-384", 48, &signature::ECDSA_P384_SHA384_FIXED)),
            _ => None,
        }
    }

    /// The hash that `at_hash` uses beside this algorithm (OIDC Core §3.1.3.6).
    #[must_use]
    pub fn hash(self) -> &'static aws_lc_rs::digest::Algorithm {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => &aws_lc_rs::digest::SHA256,
            Self::Rs384 | Self::Ps384 | Self::Es384 => &aws_lc_rs::digest::SHA384,
            Self::Rs512 | Self::Ps512 | Self::EdDsa => &aws_lc_rs::digest::SHA512,
        }
    }
}
