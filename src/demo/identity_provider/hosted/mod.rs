//! What a person meets in the browser: authorization, sign-in, sign-out, and the pages in between.

mod logout;
mod pages;
mod sign_in;

pub(super) use logout::logout;
pub(super) use pages::{not_found, overview};
pub(super) use sign_in::{authorize, login_page, sign_in};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Pool;
use super::authorization_request::RequestFault;

/// 302, also after a form post, as Cognito has it: browsers follow it with GET and leave the password behind.
fn redirect(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn refuse(pool: &Pool, fault: &RequestFault) -> Response {
    match fault {
        RequestFault::Page(fault) => pages::request_fault(pool, fault),
        RequestFault::Redirect(location) => redirect(location),
    }
}
