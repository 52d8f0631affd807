//! Everything around a gateway under test: provider, target, clients, and what must hold after each story.

pub(crate) mod answer;
pub(crate) mod bearer;
pub(crate) mod behaviour;
pub(crate) mod bench;
pub(crate) mod canary;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod gateway;
pub(crate) mod h2;
pub(crate) mod h2_target;
pub(crate) mod handshake;
pub(crate) mod haproxy;
pub(crate) mod in_process;
pub(crate) mod jose;
pub(crate) mod logout_token;
pub(crate) mod nginx;
pub(crate) mod openssl;
pub(crate) mod oracles;
pub(crate) mod pebble;
pub(crate) mod provider;
pub(crate) mod raw_target;
pub(crate) mod redis;
pub(crate) mod secrets;
pub(crate) mod target;
pub(crate) mod wire;

use client::Browser;
use gateway::{Gateway, Plan};
use provider::Provider;
use secrets::Secrets;
use target::Target;

/// A gateway between a provider and a target. When it goes, ALIVE and NOLEAK are asserted.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) provider: Provider,
    pub(crate) target: Target,
    pub(crate) secrets: Secrets,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// With a change to the configuration.
    pub(crate) fn start_with(change: impl FnOnce(&mut Plan)) -> Self {
        let secrets = Secrets::default();
        let provider = Provider::start(&secrets);
        Self::around(provider, secrets, change)
    }

    /// With a provider that behaves as `prepare` says from the first request on.
    pub(crate) fn prepared(prepare: impl FnOnce(&mut behaviour::Behaviour)) -> Self {
        let secrets = Secrets::default();
        let provider = Provider::start(&secrets);
        provider.set(prepare);
        Self::around(provider, secrets, |_| {})
    }

    /// With a provider that was prepared before the gateway asks it anything.
    pub(crate) fn around(provider: Provider, secrets: Secrets, change: impl FnOnce(&mut Plan)) -> Self {
        let target = Target::start();
        let mut plan = Plan::new(target.port(), &provider.configuration(), &secrets);
        change(&mut plan);
        Self { gateway: plan.start(), provider, target, secrets }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(&self.gateway, &self.secrets)
    }

    /// NOLEAK over both logs.
    pub(crate) fn assert_no_leak(&self) {
        for (name, text) in [("log", self.gateway.log()), ("access log", self.gateway.access_log())] {
            let leaks = self.secrets.leaks(&text);
            assert!(leaks.is_empty(), "in the {name}: {leaks:?}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.gateway.assert_alive();
            self.assert_no_leak();
        }
    }
}
