//! nginx as somebody else's application: a process of its own, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::gateway::{eventually, free_port};

pub(crate) struct Nginx {
    folder: tempfile::TempDir,
    process: Child,
    pub(crate) port: u16,
}

impl Nginx {
    /// Serves and takes files; `http2` in the clear, with prior knowledge.
    pub(crate) fn start(http2: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let port = free_port();
        std::fs::write(folder.path().join("nginx.conf"), configuration(port, http2)).unwrap();
        let process = Command::new(program())
            .args(["-p", ".", "-c", "nginx.conf", "-e", "error.log"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is missing: script/bootstrap installs it");
        let mut nginx = Self { folder, process, port };
        let up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(eventually(Duration::from_secs(10), || nginx.process.try_wait().unwrap().is_some() || up()), "nginx does not start");
        if nginx.process.try_wait().unwrap().is_none() {
            return nginx;
        }
        let log = std::fs::read_to_string(nginx.folder.path().join("error.log")).unwrap_or_default();
        assert!(log.contains("in use"), "nginx does not start:\n{log}");
        // Somebody was faster.
        Self::start(http2)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Debian puts it where only root's path leads.
fn program() -> &'static Path {
    let system = Path::new("/usr/sbin/nginx");
    if system.exists() { system } else { Path::new("nginx") }
}

fn configuration(port: u16, http2: bool) -> String {
    let version = if http2 { " http2" } else { "" };
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\nevents {{}}\nhttp {{\n\
         access_log off; default_type text/plain; keepalive_requests 10000; client_max_body_size 0;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{\n listen 127.0.0.1:{port}{version};\n root files;\n\
         add_header X-Connection $connection always; add_header X-Identity $http_x_amzn_oidc_identity always;\n\
         add_header X-Cookies $http_cookie always; add_header X-Host $http_host always;\n\
         location / {{ dav_methods PUT DELETE; create_full_put_path on; }}\n\
         location /public/zip/ {{ gzip on; gzip_types *; gzip_min_length 0; gzip_proxied any; alias files/; }}\n\
         }}\n}}\n"
    )
}
