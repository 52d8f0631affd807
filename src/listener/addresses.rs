//! How many connections each address has, so that one client cannot take all that there may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::message::Network;

/// Counts of open connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses(Arc<Mutex<HashMap<Network, u32>>>);

/// One connection, counted while this is there.
#[derive(Debug)]
pub(super) struct Counted(Addresses, Network);

impl Addresses {
    /// `None` if the address has as many as it may have.
    pub(super) fn count(&self, address: IpAddr, most: u32) -> Option<Counted> {
        let network = Network::of(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Counted(self.clone(), network))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}
