//! An Amazon Cognito user pool as an identity provider: what its ARN, client and domain stand for.
//!
//! Endpoints live on the pool's domain, keys and issuer on the regional host; sign-out has its own parameters. `endpoint`
//! stands in for the regional host (an emulator, a VPC endpoint); tokens then name the emulator or AWS as their issuer.

use crate::provider::{Endpoints, Issuers};

/// `arn:aws:cognito-idp:REGION:ACCOUNT:userpool/POOL`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPoolArn {
    partition: String,
    region: String,
    pool: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the ARN of a user pool (arn:aws:cognito-idp:REGION:ACCOUNT:userpool/POOL)")]
pub struct ArnError;

impl UserPoolArn {
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let parts: Vec<&str> = text.split(':').collect();
        let [arn, partition, service, region, account, resource] = parts[..] else { return Err(ArnError) };
        let pool = resource.strip_prefix("userpool/").ok_or(ArnError)?;
        let name = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let sound = arn == "arn"
            && partition.starts_with("aws")
            && name(partition)
            && service == "cognito-idp"
            && name(region)
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && name(pool);
        sound.then(|| Self { partition: partition.to_owned(), region: region.to_owned(), pool: pool.to_owned() }).ok_or(ArnError)
    }

    /// What AWS puts into `iss`.
    #[must_use]
    pub fn issuer(&self) -> String {
        let suffix = if self.partition == "aws-cn" { ".cn" } else { "" };
        format!("https://cognito-idp.{}.amazonaws.com{suffix}/{}", self.region, self.pool)
    }

    /// The same under another host.
    #[must_use]
    pub fn issuer_at(&self, endpoint: &str) -> String {
        format!("{}/{}", endpoint.trim_end_matches('/'), self.pool)
    }

    /// The origin of the hosted pages: a whole name, or a prefix of Amazon's.
    #[must_use]
    pub fn domain(&self, domain: &str) -> String {
        if domain.contains('.') {
            format!("https://{domain}")
        } else {
            let suffix = if self.partition == "aws-cn" { ".cn" } else { "" };
            format!("https://{domain}.auth.{}.amazoncognito.com{suffix}", self.region)
        }
    }
}

/// The endpoints on the pool's domain. Set, not discovered: a pool without a domain lists endpoints that do not work, and
/// `end_session_endpoint` is missing in older documents.
#[must_use]
pub fn hosted_endpoints(origin: &str) -> Endpoints {
    let origin = origin.trim_end_matches('/');
    Endpoints {
        authorization: Some(format!("{origin}/oauth2/authorize")),
        token: Some(format!("{origin}/oauth2/token")),
        user_info: Some(format!("{origin}/oauth2/userInfo")),
        keys: None,
        end_session: Some(format!("{origin}/logout")),
        introspection: None,
        pushed_authorization: None,
        revocation: Some(format!("{origin}/oauth2/revoke")),
    }
}

/// Issuer and key set for a pool, perhaps behind an emulator's `endpoint`.
#[must_use]
pub fn issuers(pool: &UserPoolArn, endpoint: Option<&str>) -> Issuers {
    let issuers = Issuers::one(&pool.issuer());
    match endpoint {
        Some(endpoint) => issuers.or(&pool.issuer_at(endpoint)),
        None => issuers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_gives_issuer_and_domain() {
        let pool = UserPoolArn::parse("arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEf123").unwrap();
        assert_eq!(pool.issuer(), "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123");
        assert_eq!(pool.issuer_at("http://localhost:9000/"), "http://localhost:9000/eu-west-1_AbCdEf123");
        assert_eq!(pool.domain("my-prefix"), "https://my-prefix.auth.eu-west-1.amazoncognito.com");
        assert_eq!(pool.domain("login.example.com"), "https://login.example.com");
        for wrong in [
            "",
            "arn:aws:cognito-idp:eu-west-1:1:userpool/x",
            "arn:aws:s3:eu-west-1:123456789012:userpool/x",
            "arn:aws:cognito-idp:eu-west-1:123456789012:pool/x",
        ] {
            assert!(UserPoolArn::parse(wrong).is_err(), "{wrong}");
        }
    }
}
