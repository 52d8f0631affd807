//! How old what a provider has said may become, and how soon it is asked again.

use std::time::Duration;

/// A provider that is down is asked at most this often by people who want to sign in.
pub(super) const METADATA_COOL_DOWN: Duration = Duration::from_secs(1);
/// An unknown `kid` makes us fetch at most this often: 13 times a minute under a flood of them.
pub(super) const KEYS_COOL_DOWN: Duration = Duration::from_secs(5);
pub(super) const METADATA_FRESH: Duration = Duration::from_secs(60 * 60);
/// A key that the provider withdraws is not believed longer than this (threat I09).
pub(super) const KEYS_FRESH: Duration = Duration::from_secs(5 * 60);
pub(super) const RETRY_FIRST: Duration = Duration::from_secs(1);
pub(super) const RETRY_LAST: Duration = Duration::from_secs(30);
