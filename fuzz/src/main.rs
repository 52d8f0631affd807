//! One program with all fuzz targets: `VESTIBULE_FUZZ_TARGET` names the one that runs. One, because linking the gateway thirty times takes longer
//! than a short run of all of them.
//!
//! Each target states properties of what it reads, not only that it does not panic: `targets`. script/fuzz builds and runs them.

#![no_main]

mod input;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("VESTIBULE_FUZZ_TARGET").unwrap_or_default();
        let Some((_, target)) = targets::ALL.iter().find(|(known, _)| *known == name) else {
            for (name, _) in targets::ALL {
                println!("{name}");
            }
            std::process::exit(i32::from(!name.is_empty()));
        };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let _ = TARGET.set(*target);
        end_on_panics_of_this_thread();
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(data);
        }
    }
);

/// libfuzzer-sys ends the program in the hook of any panic. A policy is parsed by a library that panics, in a thread of its own that may.
fn end_on_panics_of_this_thread() {
    let before = std::panic::take_hook();
    let own = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == own {
            before(panic);
        }
    }));
}
