//! The file of `vestibule identity-provider`.

use super::{Named, Secret};
use crate::config::reader::{Located, Seconds};

section! {
    /// The development identity provider.
    pub struct IdentityProviderFile {
        /// Default 127.0.0.1:9000.
        address: Option<Located<String>>,
        /// Lets it listen where other machines reach it. Whoever reaches it can sign in as anyone. Default false.
        allow_any_address: Option<bool>,
        /// Scheme, host and port that browsers use. Default http://localhost:PORT.
        origin: Option<Located<String>>,
        /// Default local.
        region: Option<Located<String>>,
        /// REGION_NAME. Default local_Vestibule.
        pool_id: Option<Located<String>>,
        /// Look of the pages.
        branding: Option<Branding>,
        /// App clients. Default: one for the gateway on localhost.
        clients: Option<Vec<Client>>,
        /// Users by name. Default: alice and bob.
        users: Option<Named<User>>,
        /// Lists the users on the sign-in page. Default true.
        show_users: Option<bool>,
        /// Of access and ID tokens. Default 1h.
        token_validity: Option<Seconds>,
        /// Default 30d.
        refresh_token_validity: Option<Seconds>,
        /// Default false.
        rotate_refresh_tokens: Option<bool>,
        /// New signing keys after this time. Default never.
        key_rotation_interval: Option<Seconds>,
    }
}

section! {
    /// Look of the pages.
    pub struct Branding {
        /// Default Vestibule.
        title: Option<String>,
        /// An inline SVG or a data:image/ URL.
        logo: Option<String>,
        /// #rrggbb
        primary_color: Option<String>,
        /// #rrggbb
        background_color: Option<String>,
    }
}

section! {
    /// An app client.
    pub struct Client {
        /// Its id.
        id: String,
        /// Without one it is a public client.
        secret: Option<Secret>,
        /// What the sign-in page calls it.
        name: Option<String>,
        /// Compared to the letter.
        redirect_uris: Vec<String>,
        /// Compared to the letter.
        logout_uris: Vec<String>,
    }
}

section! {
    /// A user.
    pub struct User {
        /// Of a sample user: may be written here.
        password: String,
        /// Default USERNAME@example.com.
        email: Option<String>,
        /// Default true.
        email_verified: Option<bool>,
        /// First name.
        given_name: Option<String>,
        /// Last name.
        family_name: Option<String>,
        /// Names of groups.
        groups: Vec<String>,
        /// Further attributes: name, custom:department.
        attributes: Named<String>,
    }
}
