//! `identity_providers`.

use super::{Certificate, Named, Secret};
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
        /// private_key_jwt: the client's private key, PEM: RSA, P-256, P-384 or Ed25519.
        client_private_key: Option<Located<Secret>>,
        /// private_key_jwt: kid of the client's assertions. Default: the key's thumbprint (RFC 7638).
        client_key_id: Option<Located<String>>,
        /// tls_client_auth: shown to the provider. private_key_jwt: instead of client_private_key, known by its x5t#S256.
        client_certificate: Option<Located<Certificate>>,
        /// Default RS256, ES256, ES384 or EdDSA, by the kind of the key.
        client_assertion_algorithm: Option<Located<String>>,
        /// token_endpoint (default) or issuer: aud of the client's assertions.
        client_assertion_audience: Option<Located<AssertionAudience>>,
        /// auto (default: where the provider offers it), always or never (RFC 9126).
        pushed_authorization_requests: Option<Located<PushedRequests>>,
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
        /// Wins over discovery.
        pushed_authorization_request_endpoint: Option<Located<String>>,
        /// Where opaque bearer tokens are asked about (RFC 7662). Wins over discovery.
        introspection_endpoint: Option<Located<String>>,
        /// Where tokens are revoked when somebody signs out (RFC 7009). Wins over discovery.
        revocation_endpoint: Option<Located<String>>,
        /// oidc: tenants (GUIDs) that may sign in, where the issuer is one of many tenants: Entra ID's common, organizations or {tenantid}.
        allowed_tenants: Vec<Located<String>>,
        /// oidc: Google's hd: only accounts of these organisations may sign in.
        hosted_domains: Vec<Located<String>>,
        /// Whether the UserInfo endpoint is asked at a login. Default true.
        user_info: Option<bool>,
        /// oidc: where a sign-out leads, with {client_id} and {return_to}, instead of end_session_endpoint.
        logout_url: Option<Located<String>>,
        /// The claim that holds a person's groups. Default groups; cognito: cognito:groups.
        groups_claim: Option<Located<String>>,
        /// Added to each authorization request of this provider; at most 10. A rule's own win.
        authentication_request_extra_params: Named<Located<String>>,
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
}

words! {
    /// Kind of a provider.
    pub enum ProviderType { Oidc = "oidc", Cognito = "cognito" }
}

words! {
    /// How the gateway proves to the token endpoint that it is the client.
    pub enum TokenEndpointAuthMethod {
        ClientSecretBasic = "client_secret_basic",
        ClientSecretPost = "client_secret_post",
        ClientSecretJwt = "client_secret_jwt",
        PrivateKeyJwt = "private_key_jwt",
        TlsClientAuth = "tls_client_auth",
        SelfSignedTlsClientAuth = "self_signed_tls_client_auth",
        None = "none",
    }
}

words! {
    /// Whom an assertion of the client is for.
    pub enum AssertionAudience { TokenEndpoint = "token_endpoint", Issuer = "issuer" }
}

words! {
    /// Whether authorization requests are pushed.
    pub enum PushedRequests { Auto = "auto", Always = "always", Never = "never" }
}
