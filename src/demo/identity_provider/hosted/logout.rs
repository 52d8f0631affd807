//! `/logout`, which knows Cognito's parameters and not OpenID Connect's: `client_id` with `logout_uri`, or with
//! `redirect_uri` and `response_type` to sign in again.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::super::IdentityProvider;
use super::super::authorization_request::{AuthorizationRequest, PageFault, RequestFault};
use super::super::parameters::Parameters;
use super::{pages, redirect, refuse, set_cookie};

pub(in super::super) async fn logout(
    State(IdentityProvider(pool)): State<IdentityProvider>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let parameters = Parameters::parse(&query);
    let Some(client_id) = parameters.one("client_id").filter(|_| !parameters.is_repeated("client_id")) else {
        return pages::logout_fault(&pool, "Missing required parameter client_id", None);
    };
    let Some(client) = pool.settings.client(client_id) else {
        return pages::request_fault(&pool, &PageFault::UnknownClient(client_id.to_owned()));
    };
    let location = match parameters.one("logout_uri").filter(|_| !parameters.is_repeated("logout_uri")) {
        Some(uri) if client.logout_uris.iter().any(|registered| registered == uri) => uri.to_owned(),
        // To anywhere else it would be an open redirector.
        Some(uri) => return pages::logout_fault(&pool, "Invalid request: this logout_uri is not registered", Some((&client.id, uri))),
        None if parameters.one("redirect_uri").is_none() => {
            return pages::logout_fault(&pool, "Required String parameter 'redirect_uri' is not present", None);
        }
        None => match AuthorizationRequest::read(&parameters, &pool.settings) {
            Ok(_) => format!("/login?{query}"),
            Err(RequestFault::Redirect(_)) if parameters.one("response_type").is_none() => {
                return pages::logout_fault(&pool, "Required String parameter 'response_type' is not present", None);
            }
            Err(fault) => return refuse(&pool, &fault),
        },
    };
    let cookie = pool.sessions().end(&headers);
    let mut response = redirect(&location);
    set_cookie(&mut response, &cookie);
    response
}
