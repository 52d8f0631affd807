//! How old what a provider has said may become, and how soon it is asked again.

use std::time::Duration;

use tokio::time::sleep;

/// The time between two attempts: a provider that is down is asked again, more and more rarely (threat I02).
pub(super) struct Pace(Duration);

impl Pace {
    pub(super) fn new() -> Self {
        Self(RETRY_FIRST)
    }

    pub(super) async fn wait_after(&mut self, was_sound: bool) {
        if was_sound {
            self.0 = RETRY_FIRST;
            sleep(KEYS_FRESH).await;
        } else {
            sleep(self.0).await;
            self.0 = (self.0 * 2).min(RETRY_LAST);
        }
    }
}

/// A provider that is down is asked at most this often by people who want to sign in.
pub(super) const METADATA_COOL_DOWN: Duration = Duration::from_secs(1);
/// An unknown `kid` makes us fetch at most this often: 13 times a minute under a flood of them.
pub(super) const KEYS_COOL_DOWN: Duration = Duration::from_secs(5);
pub(super) const METADATA_FRESH: Duration = Duration::from_secs(60 * 60);
/// A key that the provider withdraws is not believed longer than this (threat I09).
const KEYS_FRESH: Duration = Duration::from_secs(5 * 60);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);
