//! `jwt_validation` and `bearer_tokens`.

use crate::config::reader::{Located, Seconds};

section! {
    /// Lets pass who brings a JWT of this issuer (ALB: jwt-validation).
    pub struct JwtValidation {
        /// Letter for letter as the tokens' iss.
        issuer: Located<String>,
        /// URL of the issuer's JWK Set.
        jwks_endpoint: Located<String>,
        /// At most 10 claims that a token has to have beside iss and exp.
        additional_claims: Located<Vec<AdditionalClaim>>,
        /// A token's acr is one of these; the most wanted first.
        acr_values: Located<Vec<Located<String>>>,
        /// How long ago the person behind a token may have signed in (auth_time).
        max_age: Option<Located<Seconds>>,
        /// A token's amr holds all of these methods (RFC 8176).
        amr: Located<Vec<Located<String>>>,
        /// Default all: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA.
        algorithms: Vec<Located<String>>,
        /// PEM; believed instead of the system's authorities.
        ca_certificates: Option<Located<String>>,
        /// Accepts http:// elsewhere than on loopback. For test networks only.
        insecure_http: Option<Located<bool>>,
        /// Tells the target who it is, as after a login. Default false: the target gets the token as it came, as from an ALB.
        identity_headers: Option<Located<bool>>,
        /// A real preflight (OPTIONS, Origin, Access-Control-Request-Method) passes, bare. Default false.
        allow_cors_preflight: Option<bool>,
        /// Serves Protected Resource Metadata (RFC 9728), and names it in the 401.
        resource_metadata: Option<Located<ResourceMetadata>>,
    }
}

section! {
    /// A claim, its form, and what it has to hold.
    pub struct AdditionalClaim {
        /// Not exp, iss, nbf or iat, which are always checked.
        name: Located<String>,
        /// How the claim is written.
        format: ClaimFormat,
        /// At most 10. A single string is one of them; a list holds all of them.
        values: Located<Vec<Located<String>>>,
        /// all or any: how many of the values a list has to hold. Default all.
        r#match: Option<ClaimMatch>,
    }
}

words! {
    /// How a claim is written.
    pub enum ClaimFormat {
        SingleString = "single_string",
        StringArray = "string_array",
        SpaceSeparatedValues = "space_separated_values",
    }
}

words! {
    /// How many values a list has to hold.
    pub enum ClaimMatch { All = "all", Any = "any" }
}

section! {
    /// Access tokens of the rule's identity provider that are as good as a session.
    pub struct BearerTokens {
        /// A token's aud holds one of these.
        audiences: Located<Vec<Located<String>>>,
        /// A token was issued to one of these clients: for tokens without aud, as Cognito's are.
        client_ids: Vec<Located<String>>,
        /// Issuers beside the provider's own; Entra ID's version 1 tokens have another.
        issuers: Vec<Located<String>>,
        /// access, id. Default access.
        token_use: Vec<TokenUse>,
        /// typ of a token's header. Default JWT, at+jwt or none.
        types: Vec<Located<String>>,
        /// A token has all of these.
        scopes: Vec<Located<String>>,
        /// Default all: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA.
        algorithms: Vec<Located<String>>,
        /// At most 10 claims that a token has to have beside these.
        additional_claims: Located<Vec<AdditionalClaim>>,
        /// Asks the provider about tokens that are no JWT (RFC 7662). Off unless given.
        introspection: Option<Introspection>,
        /// Serves Protected Resource Metadata (RFC 9728), and names it in the 401.
        resource_metadata: Option<Located<ResourceMetadata>>,
    }
}

words! {
    /// What a token was made for.
    pub enum TokenUse { Access = "access", Id = "id" }
}

section! {
    /// Opaque tokens.
    pub struct Introspection {
        /// How long an answer is believed, 0s to 1h, and never past the token's end. Default 60s.
        max_age: Option<Located<Seconds>>,
    }
}

section! {
    /// What a client may know of this resource.
    pub struct ResourceMetadata {
        /// Its identifier, an https URL. The document is at /.well-known/oauth-protected-resource, followed by the path.
        resource: Located<String>,
        /// Default: the issuer.
        authorization_servers: Vec<Located<String>>,
        /// Default: the scopes that the rule asks for.
        scopes_supported: Vec<Located<String>>,
        /// For people.
        resource_name: Option<Located<String>>,
        /// URL of a page for developers.
        resource_documentation: Option<Located<String>>,
    }
}
