//! `vestibule demo`: identity provider, sample application and gateway in one process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::net::TcpListener;

use super::{FAILED, output, serve};
use crate::app::{self, Options};
use crate::demo::DemoCertificates;
use crate::demo::identity_provider::{Client, IdentityProvider, Settings};
use crate::demo::sample_application::{self, SampleSettings};
use crate::identity_headers::SigningKey;
use crate::secret::{Entropy, Secret};
use crate::session::SessionKey;

pub(super) fn run(port: u16) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("the runtime cannot start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let outcome = runtime.block_on(demo(port));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

async fn demo(port: u16) -> anyhow::Result<()> {
    let options = Options { person_log: true, ..Options::default() };
    let certificates = DemoCertificates::in_folder(&folder(), options.clock.now())?;
    let origin = format!("https://localhost:{port}");
    let secret = options.entropy.token()?;

    let provider_socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let provider = identity_provider(&provider_socket, &origin, &secret, &options)?;
    let (issuer, pool) = (provider.origin().to_owned(), provider.user_pool_arn());
    tokio::spawn(async move { axum::serve(provider_socket, provider.router()).await });

    let sample_socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let sample_address = sample_socket.local_addr()?;
    let configuration = configuration(port, &certificates, &pool, &issuer, &secret, sample_address, &options.entropy)?;
    let (loaded, report) = app::load_text(&configuration, Path::new(""), &options);
    let loaded = loaded.ok_or_else(|| anyhow::anyhow!("{}", report.render(false)))?;
    let sample = SampleSettings {
        jwks_base: format!("{origin}/oauth2/keys/").parse()?,
        root_certificate: Some(certificates.authority_pem.clone()),
        signer: SIGNER.to_owned(),
    };
    let clock = options.clock.clone();
    tokio::spawn(async move { sample_application::serve(sample, sample_socket, clock, std::future::pending()).await });

    let running = app::start(loaded, options).await?;
    output::print(&welcome(&origin, &certificates.authority));
    serve::stop_signal().await;
    running.stop().await;
    Ok(())
}

fn identity_provider(socket: &TcpListener, origin: &str, secret: &str, options: &Options) -> anyhow::Result<IdentityProvider> {
    let client = Client {
        id: CLIENT.to_owned(),
        secret: Some(Secret::from(secret)),
        name: "the sample application".to_owned(),
        redirect_uris: vec![format!("{origin}/oauth2/idpresponse")],
        logout_uris: vec![format!("{origin}/oauth2/logout"), format!("{origin}/"), format!("{origin}/public")],
    };
    let settings = Settings { clients: vec![client], ..Settings::default() };
    Ok(IdentityProvider::new(settings, socket.local_addr()?, options.clock.clone(), options.entropy.clone())?)
}

/// The demo is configured as everybody else is.
fn configuration(
    port: u16,
    certificates: &DemoCertificates,
    pool: &str,
    issuer: &str,
    secret: &str,
    sample: SocketAddr,
    entropy: &Entropy,
) -> anyhow::Result<String> {
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let path = |path: &Path| std::path::absolute(path).map(|path| json(&path.display().to_string()));
    Ok(format!(
        r##"
listeners:
  - address: 127.0.0.1:{port}
    certificates: [{{ certificate: {certificate}, private_key: {private_key} }}]
    rules:
      - priority: 10
        conditions: [path_pattern: ["/optional"]]
        actions: [{{ authenticate: {{ identity_provider: demo, scope: openid email profile, on_unauthenticated_request: allow }} }}, {{ forward: demo }}]
      - priority: 20
        conditions: [path_pattern: ["/api/*"]]
        actions: [{{ authenticate: {{ identity_provider: demo, scope: openid email profile, on_unauthenticated_request: deny }} }}, {{ forward: demo }}]
      - priority: 30
        conditions: [path_pattern: ["/public", "/healthz"]]
        actions: [{{ forward: demo }}]
    default_actions:
      - authenticate: {{ identity_provider: demo, scope: openid email profile }}
      - forward: demo
identity_providers:
  demo:
    type: cognito
    display_name: Vestibule demo
    user_pool_arn: {pool}
    user_pool_client_id: {CLIENT}
    client_secret: {secret}
    endpoint: {issuer}
target_groups:
  demo: {{ targets: ["{sample}"] }}
sessions: {{ keys: [{session_key}] }}
identity_headers:
  signer: {SIGNER}
  signing_key: {signing_key}
  claims: {{ X-Auth-Email: email, X-Auth-Groups: "cognito:groups" }}
"##,
        certificate = path(&certificates.certificate)?,
        private_key = path(&certificates.private_key)?,
        pool = json(pool),
        secret = json(secret),
        issuer = json(issuer),
        session_key = json(&SessionKey::generate(entropy)?),
        signing_key = json(&SigningKey::generate(entropy)?),
    ))
}

fn welcome(origin: &str, authority: &Path) -> String {
    format!(
        "
  Vestibule is ready.

    Open        {origin}
    Sign in as  alice / wonderland   (groups: staff, admins)
                bob   / builder      (groups: staff)
    Try         /            signed-in page: who you are, and what the application received
                /optional    allow mode: works signed in or not
                /api/me      deny mode: 401 until you are signed in
                /public      no sign-in at all
    The certificate is your own: trust {}, or click through the warning.
    Your turn   config/legacy-app.yaml    docs/configuration.md
    Ctrl-C stops it.
",
        authority.display()
    )
}

/// In the repository beside the other certificates, elsewhere with the user's data.
pub(super) fn folder() -> PathBuf {
    if Path::new("certs/README.md").is_file() {
        return PathBuf::from("certs/demo");
    }
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")));
    data.unwrap_or_else(std::env::temp_dir).join("vestibule/demo")
}

const CLIENT: &str = "vestibule-demo";
const SIGNER: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/vestibule-demo/0000000000000001";
