//! Connections on which nothing is asked, so that they can be told to close when the gateway stops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use atomic_waker::AtomicWaker;
use slab::Slab;

/// Of one listener.
#[derive(Default)]
pub struct Idle {
    closes: AtomicBool,
    wakers: Mutex<Slab<Arc<AtomicWaker>>>,
}

/// One connection among them. To wait costs it no lock: it has its place once and for all.
pub struct Member {
    all: Arc<Idle>,
    waker: Arc<AtomicWaker>,
    place: usize,
}

impl Idle {
    pub fn join(self: &Arc<Self>) -> Member {
        let waker = Arc::<AtomicWaker>::default();
        let place = self.wakers().insert(waker.clone());
        Member { all: self.clone(), waker, place }
    }

    /// From now on nobody waits for a further request.
    pub fn close(&self) {
        self.closes.store(true, Ordering::Release);
        for (_, waker) in self.wakers().iter() {
            waker.wake();
        }
    }

    fn wakers(&self) -> MutexGuard<'_, Slab<Arc<AtomicWaker>>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// Whether it is time to close; if not, the task is woken when it is.
    pub(super) fn is_to_close(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.all.closes.load(Ordering::Acquire)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.all.wakers().try_remove(self.place);
    }
}
