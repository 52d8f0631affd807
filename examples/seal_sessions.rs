//! For `script/bench`: many sessions out of one, each another person's, without as many logins.
//!
//! Reads the `Cookie` header of a session of `store: cookie` on standard input, opens it with the session key, and writes a file of slots,
//! each with the length of a header line in four bytes and the line. With `--redis PORT` the sessions are put there, and the lines are
//! of references.

#![expect(clippy::print_stderr, reason = "a program without the library's output")]

use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Parser;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use vestibule::authentication::{SessionStore as _, StoredSession};
use vestibule::clients::{RedisSessions, system_entropy};
use vestibule::identity::{Marks, SessionId};
use vestibule::session::{
    EndedSessions, OpenedSession, Purpose, RedisAddress, RedisLogin, RedisServers, RedisTopology, Sealer, SessionCookie, SessionKey,
    SessionRecord, SessionReference,
};

#[derive(Parser)]
struct Arguments {
    /// File with the session key.
    #[arg(long)]
    key: String,
    /// What the session belongs to: the provider's name in the configuration.
    #[arg(long)]
    provider: String,
    #[arg(long)]
    issuer: String,
    #[arg(long)]
    client_id: String,
    #[arg(long)]
    count: usize,
    /// Bytes of one slot.
    #[arg(long)]
    slot: usize,
    #[arg(long)]
    out: String,
    /// Port of a Redis on this machine.
    #[arg(long)]
    redis: Option<u16>,
}

struct Sealing {
    arguments: Arguments,
    sealer: Sealer,
    cookie: SessionCookie,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let entropy = system_entropy();
    let key = SessionKey::parse(&std::fs::read_to_string(&arguments.key)?)?;
    let sealing =
        Sealing { sealer: Sealer::new(&[key], entropy.clone())?, cookie: SessionCookie::new(SessionCookie::DEFAULT_NAME), arguments };
    let template = sealing.template()?;
    let store = sealing
        .arguments
        .redis
        .map(|port| -> Result<RedisSessions> { Ok(RedisSessions::new(servers(port), EndedSessions::new(), &entropy, Arc::new(|_| ()))?) });
    let store = store.transpose()?;
    if let Some(store) = &store {
        store.start();
        store.try_out().await?;
    }
    let mut out = BufWriter::new(File::create(&sealing.arguments.out)?);
    for index in 0..sealing.arguments.count {
        let mut record = template.clone();
        record.id = SessionId(entropy.bytes()?);
        record.claims.insert("sub".to_owned(), format!("person-{index:07}").into());
        let line = match &store {
            None => sealing.line(Purpose::Session, &record.pack()?)?,
            Some(store) => {
                sealing.put(store, &record).await?;
                let reference = SessionReference { id: record.id, expires_at: record.expires_at };
                sealing.line(Purpose::SessionReference, &reference.pack())?
            }
        };
        ensure!(line.len() + 4 <= sealing.arguments.slot, "a line of {} bytes does not fit into the slot", line.len());
        let mut slot = vec![0; sealing.arguments.slot];
        slot[..4].copy_from_slice(&u32::try_from(line.len())?.to_le_bytes());
        slot[4..4 + line.len()].copy_from_slice(line.as_bytes());
        out.write_all(&slot)?;
    }
    out.flush()?;
    eprintln!("{} sessions", sealing.arguments.count);
    Ok(())
}

impl Sealing {
    fn binding(&self) -> [&[u8]; 4] {
        let Arguments { provider, issuer, client_id, .. } = &self.arguments;
        [self.cookie.name().as_bytes(), provider.as_bytes(), issuer.as_bytes(), client_id.as_bytes()]
    }

    fn template(&self) -> Result<SessionRecord> {
        let mut header = String::new();
        std::io::stdin().read_to_string(&mut header)?;
        let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(header.trim())?)]);
        let sealed = self.cookie.read(&headers).context("there is no session cookie on standard input")?;
        let plain = self.sealer.open(Purpose::Session, &self.binding(), sealed)?;
        Ok(OpenedSession::read(plain)?.unpack()?)
    }

    fn line(&self, purpose: Purpose, plain: &[u8]) -> Result<String> {
        let set = self.cookie.write(&self.sealer.seal(purpose, &self.binding(), plain)?).context("a session does not fit into cookies")?;
        let pairs = set.iter().filter(|cookie| !cookie.contains("Max-Age=0")).filter_map(|cookie| cookie.split(';').next());
        Ok(format!("Cookie: {}\r\n", pairs.collect::<Vec<_>>().join("; ")))
    }

    async fn put(&self, store: &RedisSessions, record: &SessionRecord) -> Result<()> {
        let [cookie, provider, issuer, client_id] = self.binding();
        let sealed = self.sealer.seal(Purpose::StoredSession, &[cookie, provider, issuer, client_id, &record.id.0], &record.pack()?)?;
        let subject = record.claims.get("sub").and_then(serde_json::Value::as_str).ok_or_else(|| anyhow!("a session without a subject"))?;
        let Arguments { issuer, client_id, .. } = &self.arguments;
        let marks = Marks::new(&record.id.hash(), (issuer, client_id), subject, None, record.signed_in_at);
        store.insert(record.id, StoredSession { generation: record.generation, sealed }, &marks, DAY).await?;
        Ok(())
    }
}

fn servers(port: u16) -> RedisServers {
    RedisServers {
        addresses: vec![RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port }],
        tls: false,
        database: 0,
        login: RedisLogin::default(),
        topology: RedisTopology::Standalone,
        authorities: None,
        client_certificate: None,
        key_prefix: "vestibule".to_owned(),
    }
}

const DAY: Duration = Duration::from_hours(24);
