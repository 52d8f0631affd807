//! The connections of a group of people, and what waits for them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

/// A request that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) due: Instant,
    pub(super) person: usize,
    pub(super) page: usize,
    /// How often a connection ended before it had taken it.
    pub(super) tries: u8,
}

#[derive(Default)]
pub(super) struct Lane {
    pub(super) waiting: RefCell<VecDeque<Arrival>>,
    /// At most so many connections.
    pub(super) most: usize,
    /// Open, or being opened.
    pub(super) connections: Cell<usize>,
    /// Carriers that have nothing to do and were not called.
    idle: Cell<usize>,
    calls: Notify,
    pub(super) links: RefCell<Vec<Rc<Link>>>,
    closed: Cell<bool>,
}

/// A connection over HTTP/2.
pub(super) struct Link {
    pub(super) sender: h2::client::SendRequest<Bytes>,
    carriers: Cell<usize>,
    pub(super) is_over: Cell<bool>,
}

/// Who is to take what has just arrived.
pub(super) enum Hand {
    /// Somebody was idle and is called.
    Called,
    Link(Rc<Link>),
    NewConnection,
    /// Everybody is busy: the next who is not takes it.
    Nobody,
}

impl Lane {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Finds somebody for one more that waits.
    pub(super) fn hand(&self) -> Hand {
        if self.idle.get() > 0 {
            self.idle.set(self.idle.get() - 1);
            // The one that was busy last: as few connections as will do, as in a browser.
            self.calls.notify_last();
            return Hand::Called;
        }
        let links = self.links.borrow();
        if let Some(link) = links.iter().find(|link| link.has_room()) {
            link.carriers.set(link.carriers.get() + 1);
            return Hand::Link(link.clone());
        }
        if self.connections.get() < self.most {
            self.connections.set(self.connections.get() + 1);
            return Hand::NewConnection;
        }
        Hand::Nobody
    }

    /// The next that waits, as soon as there is one. `None` when the run is over.
    pub(super) async fn next(&self) -> Option<Arrival> {
        loop {
            if let Some(arrival) = self.waiting.borrow_mut().pop_front() {
                return Some(arrival);
            }
            if self.closed.get() {
                return None;
            }
            self.idle.set(self.idle.get() + 1);
            self.calls.notified().await;
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&self) -> VecDeque<Arrival> {
        self.closed.set(true);
        self.idle.set(0);
        self.calls.notify_waiters();
        std::mem::take(&mut *self.waiting.borrow_mut())
    }

    /// One connection less.
    pub(super) fn without_connection(&self) {
        self.connections.set(self.connections.get().saturating_sub(1));
    }

    /// A connection over HTTP/2 that takes nothing more.
    pub(super) fn without(&self, link: &Rc<Link>) {
        if !link.is_over.replace(true) {
            self.links.borrow_mut().retain(|other| !Rc::ptr_eq(other, link));
            self.without_connection();
        }
    }
}

impl Link {
    pub(super) fn new(sender: h2::client::SendRequest<Bytes>) -> Self {
        Self { sender, carriers: Cell::new(0), is_over: Cell::new(false) }
    }

    fn has_room(&self) -> bool {
        self.carriers.get() < self.sender.current_max_send_streams().min(MOST_STREAMS)
    }

    pub(super) fn without_carrier(&self) {
        self.carriers.set(self.carriers.get().saturating_sub(1));
    }
}

/// As browsers have them.
const MOST_STREAMS: usize = 100;
