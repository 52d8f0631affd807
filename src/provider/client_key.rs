//! The private key with which the gateway proves to a provider that it is the client (`private_key_jwt`).

use aws_lc_rs::digest;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::secret::{Entropy, EntropyError};
use crate::tokens::Algorithm;

/// Parsed once; signs for as long as the gateway runs.
#[derive(Debug)]
pub struct ClientKey {
    pair: Pair,
    algorithm: Algorithm,
    /// `kid` of the assertions; by default the key's thumbprint (RFC 7638).
    id: String,
}

#[derive(Debug)]
enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>, &'static str),
    Ed25519(Box<Ed25519KeyPair>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientKeyError {
    #[error("there is no private key in PEM")]
    Pem,
    #[error("the private key is none of RSA (2048 bits or more), P-256, P-384 and Ed25519")]
    Kind,
    #[error("the private key does not sign with that algorithm")]
    Algorithm,
}

impl ClientKey {
    /// PKCS#8, PKCS#1 or SEC 1 in PEM. Without an `algorithm` RS256, ES256, ES384 or EdDSA, by the kind of the key.
    pub fn parse(pem: &[u8], algorithm: Option<Algorithm>, id: Option<String>) -> Result<Self, ClientKeyError> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| ClientKeyError::Pem)?;
        let pair = Pair::parse(&key).ok_or(ClientKeyError::Kind)?;
        let algorithm = algorithm.unwrap_or_else(|| pair.usual_algorithm());
        if !pair.signs(algorithm) {
            return Err(ClientKeyError::Algorithm);
        }
        let id = id.unwrap_or_else(|| pair.thumbprint());
        Ok(Self { pair, algorithm, id })
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key as the provider wants it registered.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.pair.public_members();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm.name().into();
        jwk["kid"] = self.id.as_str().into();
        jwk
    }

    /// A JWS signature.
    pub(super) fn sign(&self, input: &[u8], entropy: &Entropy) -> Result<Vec<u8>, EntropyError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding = encoding(self.algorithm).ok_or(EntropyError)?;
                pair.sign(encoding, entropy.source(), input, &mut signature).map_err(|_| EntropyError)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair, _) => pair.sign(entropy.source(), input).map(|made| made.as_ref().to_vec()).map_err(|_| EntropyError),
            Pair::Ed25519(pair) => Ok(pair.sign(input).as_ref().to_vec()),
        }
    }
}

impl Pair {
    fn parse(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let der = key.secret_der();
        if let PrivateKeyDer::Pkcs8(_) = key
            && let Ok(pair) = Ed25519KeyPair::from_pkcs8(der)
        {
            return Some(Self::Ed25519(Box::new(pair)));
        }
        let curves: [(&EcdsaSigningAlgorithm, &str); 2] =
            [(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"), (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")];
        for (curve, name) in curves {
            let pair = match key {
                PrivateKeyDer::Pkcs8(_) => EcdsaKeyPair::from_pkcs8(curve, der).ok(),
                PrivateKeyDer::Sec1(_) => EcdsaKeyPair::from_private_key_der(curve, der).ok(),
                _ => None,
            };
            if let Some(pair) = pair {
                return Some(Self::Ecdsa(Box::new(pair), name));
            }
        }
        let rsa = match key {
            PrivateKeyDer::Pkcs8(_) => RsaKeyPair::from_pkcs8(der).ok()?,
            PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(der).ok()?,
            _ => return None,
        };
        (rsa.public_modulus_len() >= 256).then(|| Self::Rsa(Box::new(rsa)))
    }

    fn usual_algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::Ecdsa(_, "P-384") => Algorithm::Es384,
            Self::Ecdsa(..) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn signs(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa(_) => encoding(algorithm).is_some(),
            Self::Ecdsa(..) | Self::Ed25519(_) => algorithm == self.usual_algorithm(),
        }
    }

    /// The members that RFC 7638 §3.2 hashes, in the order of their names.
    fn public_members(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                let public: &rsa::PublicKey = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({"e": encode(e.big_endian_without_leading_zero()), "kty": "RSA", "n": encode(n.big_endian_without_leading_zero())})
            }
            Self::Ecdsa(pair, curve) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
                json!({"crv": curve, "kty": "EC", "x": encode(x), "y": encode(y)})
            }
            Self::Ed25519(pair) => json!({"crv": "Ed25519", "kty": "OKP", "x": encode(pair.public_key().as_ref())}),
        }
    }

    fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.public_members().to_string().as_bytes()))
    }
}

fn encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &RSA_PSS_SHA256,
        Algorithm::Ps384 => &RSA_PSS_SHA384,
        Algorithm::Ps512 => &RSA_PSS_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
    })
}
