//! Pingora with empty filters: what is left when the gateway does nothing of its own. `script/bench` measures it beside the gateway.
//!
//! `bare_pingora LISTEN TARGET CERTIFICATE PRIVATE_KEY`

#![expect(clippy::unwrap_used, reason = "what is measured fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use pingora::listeners::tls::TlsSettings;
use pingora::prelude::{HttpPeer, Opt, Server};
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::configuration::ServerConf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare(SocketAddr);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.0, false, String::new());
        peer.options.idle_timeout = Some(Duration::from_secs(60));
        Ok(Box::new(peer))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, target, certificate, private_key] = arguments.as_slice() else {
        std::process::exit(2);
    };
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut server = Server::new_with_opt_and_conf(Opt::default(), ServerConf::default());
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare(target.parse().unwrap()));
    let mut tls = TlsSettings::intermediate(certificate, private_key).unwrap();
    tls.enable_h2();
    service.add_tls_with_settings(listen, None, tls);
    server.add_service(service);
    server.run_forever();
}
