//! `vestibule`: see `vestibule --help`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything else touches TLS: pingora would install ring.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    vestibule::cli::run()
}
