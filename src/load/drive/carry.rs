//! From what waits to its answer: who carries it, over which connection, and what if that ends.

use std::rc::Rc;
use std::time::Instant;

use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;
use tokio::time::timeout_at;

use super::lane::{Arrival, Hand, Link};
use super::worker::Worker;
use crate::load::connection::{Reply, Trouble, http2, over_http1, over_http2};
use crate::load::dial::{DialError, Dialed};
use crate::load::plan::Version;
use crate::load::record::{Failure, note};

/// Whether a connection goes on after a request.
enum After {
    Goes,
    Ends,
}

impl Worker {
    /// Sees to it that somebody takes what waits.
    pub(super) fn provide(self: &Rc<Self>, at: usize) {
        match self.lanes[at].hand() {
            Hand::Called | Hand::Nobody => {}
            Hand::Link(link) => drop(spawn_local(self.clone().carry_over_http2(at, link))),
            Hand::NewConnection => drop(spawn_local(self.clone().open(at))),
        }
    }

    async fn open(self: Rc<Self>, at: usize) {
        self.dialed.set(self.dialed.get() + 1);
        match self.drive.dialer.dial(self.dialed.get(), self.drive.timeout).await {
            Err(error) => self.not_opened(at, &error),
            Ok(dialed) => {
                self.note_connection(&dialed);
                match dialed.version {
                    Version::Http1 => self.carry_over_http1(at, dialed).await,
                    Version::Http2 => self.link(at, dialed).await,
                }
            }
        }
    }

    fn note_connection(&self, dialed: &Dialed) {
        let mut record = self.record.borrow_mut();
        note(&mut record.tcp, dialed.tcp);
        if let Some(tls) = dialed.tls {
            note(&mut record.tls, tls);
        }
    }

    /// Where nobody else can take what waits, it fails with the connection.
    fn not_opened(self: &Rc<Self>, at: usize, error: &DialError) {
        let lane = &self.lanes[at];
        lane.without_connection();
        self.record.borrow_mut().connections_failed += 1;
        if lane.connections.get() > 0 {
            return;
        }
        let stranded = std::mem::take(&mut *lane.waiting.borrow_mut());
        for arrival in stranded {
            self.fail(&arrival, error.into());
        }
    }

    async fn carry_over_http1(self: Rc<Self>, at: usize, dialed: Dialed) {
        let lane = &self.lanes[at];
        match http1::handshake(TokioIo::new(dialed.stream)).await {
            Err(error) => return self.not_opened(at, &DialError::Connect(String::new(), error.to_string())),
            Ok((mut sender, connection)) => {
                spawn_local(connection);
                while let Some(arrival) = lane.next().await {
                    if self.is_too_late(&arrival) {
                        continue;
                    }
                    if sender.ready().await.is_err() {
                        lane.waiting.borrow_mut().push_front(arrival);
                        break;
                    }
                    let uri = self.uris[arrival.page].0.clone();
                    let now = Instant::now();
                    let body = Full::new(self.drive.body.clone());
                    let request = self.people[arrival.person].request(&self.drive, arrival.page, Version::Http1, uri, now, body);
                    let exchange = over_http1(&mut sender, request, self.keeps_body(&arrival));
                    if let After::Ends = self.ended(at, arrival, now, timeout_at(self.late(&arrival), exchange).await) {
                        break;
                    }
                }
            }
        }
        lane.without_connection();
        if !lane.waiting.borrow().is_empty() {
            self.provide(at);
        }
    }

    async fn link(self: Rc<Self>, at: usize, dialed: Dialed) {
        let lane = &self.lanes[at];
        let (sender, connection) = match http2().handshake(dialed.stream).await {
            Ok(both) => both,
            Err(error) => return self.not_opened(at, &DialError::Connect(String::new(), error.to_string())),
        };
        let link = Rc::new(Link::new(sender));
        lane.links.borrow_mut().push(link.clone());
        let worker = self.clone();
        spawn_local(async move {
            let _ = connection.await;
            worker.lanes[at].without(&link);
        });
        let waiting = lane.waiting.borrow().len();
        for _ in 0..waiting {
            self.provide(at);
        }
    }

    async fn carry_over_http2(self: Rc<Self>, at: usize, link: Rc<Link>) {
        let lane = &self.lanes[at];
        while let Some(arrival) = lane.next().await {
            if self.is_too_late(&arrival) {
                continue;
            }
            if link.is_over.get() {
                lane.waiting.borrow_mut().push_front(arrival);
                break;
            }
            let uri = self.uris[arrival.page].1.clone();
            let now = Instant::now();
            let request = self.people[arrival.person].request(&self.drive, arrival.page, Version::Http2, uri, now, ());
            let exchange = over_http2(link.sender.clone(), request, &self.drive.body, self.keeps_body(&arrival));
            // Streams that were given up leave the connection as it is.
            let outcome = timeout_at(self.late(&arrival), exchange).await;
            if matches!(outcome, Ok(Err(Trouble::Unsent))) {
                lane.without(&link);
            }
            self.ended(at, arrival, now, outcome);
            if link.is_over.get() {
                break;
            }
        }
        link.without_carrier();
        if !lane.waiting.borrow().is_empty() {
            self.provide(at);
        }
    }

    fn ended(
        self: &Rc<Self>,
        at: usize,
        arrival: Arrival,
        sent: Instant,
        outcome: Result<Result<Reply, Trouble>, tokio::time::error::Elapsed>,
    ) -> After {
        match outcome {
            Ok(Ok(reply)) => {
                self.answered(&arrival, sent, &reply);
                return After::Goes;
            }
            Ok(Err(Trouble::Unsent)) => self.again(at, arrival),
            Ok(Err(Trouble::Failed(failure))) => self.fail(&arrival, failure),
            Err(_) => self.fail(&arrival, Failure::Timeout),
        }
        After::Ends
    }

    /// For another connection, since this one has not taken it.
    fn again(self: &Rc<Self>, at: usize, mut arrival: Arrival) {
        arrival.tries += 1;
        if arrival.tries > MOST_TRIES {
            return self.fail(&arrival, Failure::Closed);
        }
        self.lanes[at].waiting.borrow_mut().push_front(arrival);
    }

    fn is_too_late(self: &Rc<Self>, arrival: &Arrival) -> bool {
        let is_late = arrival.due.elapsed() >= self.drive.timeout;
        if is_late {
            self.fail(arrival, Failure::Timeout);
        }
        is_late
    }

    fn late(&self, arrival: &Arrival) -> tokio::time::Instant {
        (arrival.due + self.drive.timeout).into()
    }

    fn keeps_body(&self, arrival: &Arrival) -> bool {
        self.people[arrival.person].needle.is_some()
    }
}

/// Connections that end while they are idle are met at most so often by one request.
const MOST_TRIES: u8 = 3;
