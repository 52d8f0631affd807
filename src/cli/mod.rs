//! The command line: what was typed, then what is meant.

mod bench;
mod check;
mod decision;
mod demo;
mod explain;
mod explained_token;
mod health;
mod identity_provider;
mod import;
mod keys;
mod output;
mod past_request;
mod policy_tests;
mod serve;
mod upgrade;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::telemetry::{LogFormat, init_log, parse_level};

/// Signs people in before they reach an application: an HTTPS reverse proxy that does what AWS's Application Load Balancer
/// does with authenticate-cognito and authenticate-oidc, for any server and any OpenID Provider.
#[derive(Parser)]
#[command(name = "vestibule", version, arg_required_else_help = true)]
struct Arguments {
    /// How much is said on standard error; wins over `log.level` of the configuration.
    #[arg(long, global = true, value_enum)]
    log_level: Option<Level>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Subcommand)]
enum Command {
    /// Everything embedded, no file needed: identity provider, sample application, gateway on https://localhost:8443
    Demo {
        /// Port of the gateway.
        #[arg(long, default_value_t = 8443)]
        port: u16,
    },
    /// Runs the gateway
    Serve {
        #[arg(long, value_name = "FILE", default_value = "config/vestibule.yaml")]
        config: PathBuf,
        /// Takes the place of the process that runs, when that one gets SIGQUIT: no connection is refused (docs/operations.md).
        #[arg(long)]
        upgrade: bool,
    },
    /// Puts this binary and the configuration as it is now in the place of a running gateway: no request fails (docs/operations.md)
    Upgrade {
        #[arg(long, value_name = "FILE", default_value = "config/vestibule.yaml")]
        config: PathBuf,
        /// The process that runs.
        #[arg(long)]
        pid: u32,
    },
    /// Asks a running gateway whether it is ready: status 0 if /readyz answers 200 within two seconds, else 1
    Health {
        /// The admin address.
        #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
        address: SocketAddr,
    },
    /// Loads and compiles a configuration, opens every certificate and secret, and prints all faults
    Check {
        #[arg(long, value_name = "FILE", default_value = "config/vestibule.yaml")]
        config: PathBuf,
        /// Also fetches discovery documents and key sets.
        #[arg(long)]
        online: bool,
        /// Also tries a table of requests, people and expected answers (docs/authorization.md).
        #[arg(long, value_name = "FILE")]
        policy_tests: Option<PathBuf>,
    },
    /// Tells what would happen to a request: which rule, why not the ones before it, who may pass, what the target receives
    Explain(explain::Explain),
    /// Measures a deployment behind a login: signs people in, drives a rate or a concurrency, and tells what they would have waited
    Bench(Box<bench::Bench>),
    /// Writes a configuration for what another gateway does today
    Import {
        #[command(subcommand)]
        from: Origin,
    },
    /// Runs the development identity provider alone, shaped like a Cognito user pool
    IdentityProvider {
        /// Users, groups, clients and colours; without it the sample users.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Makes keys
    Keys {
        #[command(subcommand)]
        kind: KeyKind,
    },
    /// Prints the JSON Schema of the configuration file
    Schema,
}

#[derive(Subcommand)]
enum Origin {
    /// From an Application Load Balancer: a configuration on standard output, what to see to on standard error
    Alb {
        /// Output of aws elbv2 describe-load-balancers, -listeners, -rules, -target-groups, -target-health, …, in any mix;
        /// Kubernetes Ingress and Service manifests.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Subcommand)]
enum KeyKind {
    /// A fresh session key: 32 bytes, base64
    Session {
        /// Writes here, readable by the owner alone, instead of standard output. An existing file is kept.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// A fresh P-256 key for private_key_jwt, and on standard output the JWK Set to register with the provider
    Client {
        /// The private key is written here, readable by the owner alone. An existing file is kept, and its JWK Set printed.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// A fresh P-256 signing key: PKCS#8, PEM
    Signing {
        /// Writes here, readable by the owner alone, instead of standard output. An existing file is kept.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Failed while running.
const FAILED: u8 = 1;
/// Usage or configuration at fault.
const AT_FAULT: u8 = 2;

/// Runs the command that was typed.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let level = arguments.log_level.map(Level::name);
    match arguments.command {
        Command::Demo { port } => {
            init_log(
                parse_level(level.unwrap_or("warn")).unwrap_or(tracing::Level::WARN),
                LogFormat::Text,
                output::has_color(&std::io::stderr()),
            );
            demo::run(port)
        }
        Command::Serve { config, upgrade } => serve::run(&config, upgrade, level),
        Command::Upgrade { config, pid } => upgrade::run(&config, pid),
        Command::Health { address } => health::run(address),
        Command::Check { config, online, policy_tests } => check::run(&config, online, policy_tests.as_deref()),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Bench(arguments) => {
            let level = parse_level(level.unwrap_or("error")).unwrap_or(tracing::Level::ERROR);
            init_log(level, LogFormat::Text, output::has_color(&std::io::stderr()));
            bench::run(&arguments)
        }
        Command::Import { from: Origin::Alb { files } } => import::alb(&files),
        Command::IdentityProvider { config } => {
            init_log(
                parse_level(level.unwrap_or("info")).unwrap_or(tracing::Level::INFO),
                LogFormat::Text,
                output::has_color(&std::io::stderr()),
            );
            identity_provider::run(config.as_deref())
        }
        Command::Keys { kind: KeyKind::Session { file } } => keys::session(file.as_deref()),
        Command::Keys { kind: KeyKind::Signing { file } } => keys::signing(file.as_deref()),
        Command::Keys { kind: KeyKind::Client { file } } => keys::client(&file),
        Command::Schema => {
            output::print(&format!("{:#}", crate::config::schema()));
            ExitCode::SUCCESS
        }
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
