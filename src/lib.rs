//! Vestibule: an HTTPS reverse proxy that signs people in before they reach an application.
//!
//! The modules are floors; each names lower ones only (`docs/architecture.md`).

pub mod admin;
pub mod app;
pub mod authentication;
pub mod authorization;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod cognito;
pub mod config;
pub mod demo;
pub mod gateway;
pub mod identity;
pub mod identity_headers;
pub mod import;
pub mod listener;
pub mod load;
pub mod message;
pub mod provider;
pub mod proxy;
pub mod rules;
pub mod secret;
pub mod session;
pub mod telemetry;
pub mod tokens;
