//! `identity_providers`.

use super::Secret;
use crate::config::reader::Located;

section! {
    /// An OpenID Provider.
    pub struct IdentityProvider {
        /// oidc or cognito.
        r#type: Located<ProviderType>,
        /// What a person calls it. Default: its name here.
        display_name: Option<Located<String>>,
        /// oidc: the issuer, letter for letter; discovery fills in the rest.
        issuer: Option<Located<String>>,
        /// oidc: the client's id.
        client_id: Option<Located<String>>,
        /// The client's secret.
        client_secret: Option<Located<Secret>>,
        /// Default client_secret_basic, none without a secret.
        token_endpoint_auth_method: Option<Located<TokenEndpointAuthMethod>>,
        /// Wins over discovery.
        authorization_endpoint: Option<Located<String>>,
        /// Wins over discovery.
        token_endpoint: Option<Located<String>>,
        /// Wins over discovery.
        user_info_endpoint: Option<Located<String>>,
        /// Wins over discovery.
        jwks_uri: Option<Located<String>>,
        /// Wins over discovery.
        end_session_endpoint: Option<Located<String>>,
        /// Where opaque bearer tokens are asked about (RFC 7662). Wins over discovery.
        introspection_endpoint: Option<Located<String>>,
        /// The claim that holds a person's groups. Default groups; cognito: cognito:groups.
        groups_claim: Option<Located<String>>,
        /// PEM; believed instead of the system's authorities.
        ca_certificates: Option<Located<String>>,
        /// Accepts http:// elsewhere than on loopback. For test networks only.
        insecure_http: Option<Located<bool>>,
        /// cognito: arn:aws:cognito-idp:REGION:ACCOUNT:userpool/POOL
        user_pool_arn: Option<Located<String>>,
        /// cognito: the app client's id.
        user_pool_client_id: Option<Located<String>>,
        /// cognito: a prefix, or a whole domain name.
        user_pool_domain: Option<Located<String>>,
        /// cognito: stands in for the regional host and, if it serves them, the hosted pages: an emulator, a VPC endpoint.
        endpoint: Option<Located<String>>,
    }
    later: ["revocation_endpoint"]
}

words! {
    /// Kind of a provider.
    pub enum ProviderType { Oidc = "oidc", Cognito = "cognito" }
}

words! {
    /// How the gateway proves to the token endpoint that it is the client.
    pub enum TokenEndpointAuthMethod { ClientSecretBasic = "client_secret_basic", ClientSecretPost = "client_secret_post", None = "none" }
    later: ["private_key_jwt", "client_secret_jwt"]
}
