//! One request over one connection, and the end of it: HTTP/1.1 by hyper, HTTP/2 by h2.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;

use super::dial::DialError;
use super::record::Failure;

/// An answer, read to its end.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) octets: u64,
    /// Where somebody looks at it.
    pub(super) body: Vec<u8>,
}

pub(super) enum Trouble {
    /// The other side has not seen it: it may go over another connection.
    Unsent,
    Failed(Failure),
}

pub(super) async fn over_http1(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    keeps_body: bool,
) -> Result<Reply, Trouble> {
    let response = sender.try_send_request(request).await.map_err(|error| match error.message() {
        Some(_) => Trouble::Unsent,
        None => Trouble::Failed(of_hyper(error.error())),
    })?;
    let (parts, mut incoming) = response.into_parts();
    let (mut octets, mut body) = (0, Vec::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| Trouble::Failed(of_hyper(&error)))?;
        if let Some(data) = frame.data_ref() {
            octets += data.len() as u64;
            keep(&mut body, data, keeps_body);
        }
    }
    Ok(Reply { status: parts.status, headers: parts.headers, octets, body })
}

pub(super) async fn over_http2(
    sender: h2::client::SendRequest<Bytes>,
    request: Request<()>,
    content: &Bytes,
    keeps_body: bool,
) -> Result<Reply, Trouble> {
    let mut sender = sender.ready().await.map_err(|_| Trouble::Unsent)?;
    let (response, mut stream) = sender.send_request(request, content.is_empty()).map_err(|error| of_h2(&error))?;
    if !content.is_empty() {
        stream.send_data(content.clone(), true).map_err(|error| of_h2(&error))?;
    }
    let (parts, mut incoming) = response.await.map_err(|error| of_h2(&error))?.into_parts();
    let (mut octets, mut body) = (0, Vec::new());
    while let Some(data) = incoming.data().await {
        let data = data.map_err(|error| of_h2(&error))?;
        octets += data.len() as u64;
        keep(&mut body, &data, keeps_body);
        incoming.flow_control().release_capacity(data.len()).map_err(|error| of_h2(&error))?;
    }
    Ok(Reply { status: parts.status, headers: parts.headers, octets, body })
}

/// With windows as wide as a browser's, so that they do not slow answers down.
pub(super) fn http2() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(4 << 20).initial_connection_window_size(16 << 20).enable_push(false);
    builder
}

fn keep(body: &mut Vec<u8>, data: &Bytes, keeps_body: bool) {
    if keeps_body && body.len() + data.len() <= LARGEST_BODY {
        body.extend_from_slice(data);
    }
}

fn of_hyper(error: &hyper::Error) -> Failure {
    if error.is_parse() { Failure::Protocol } else { Failure::Closed }
}

fn of_h2(error: &h2::Error) -> Trouble {
    let is_unseen = error.reason() == Some(h2::Reason::REFUSED_STREAM)
        || error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
    if is_unseen {
        return Trouble::Unsent;
    }
    let is_transport = error.is_io() || error.is_go_away() || error.is_reset();
    Trouble::Failed(if is_transport { Failure::Closed } else { Failure::Protocol })
}

impl From<&DialError> for Failure {
    fn from(error: &DialError) -> Self {
        match error {
            DialError::Name(_) | DialError::Connect(..) => Self::Connect,
            DialError::Tls(..) | DialError::Version(..) => Self::Tls,
            DialError::Slow(..) => Self::Timeout,
        }
    }
}

/// What a text is looked for in.
const LARGEST_BODY: usize = 4 << 20;
