//! `vestibule import`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{AT_FAULT, output};
use crate::import::{self, Input};

pub(super) fn alb(paths: &[PathBuf]) -> ExitCode {
    match read_and_translate(paths) {
        Ok(imported) => {
            output::print(imported.configuration.trim_end());
            for note in imported.notes {
                output::complain(&note);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::complain(&error);
            ExitCode::from(AT_FAULT)
        }
    }
}

fn read_and_translate(paths: &[PathBuf]) -> Result<import::Imported, String> {
    let files = paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<Input<'_>> = files.iter().map(|(name, bytes)| Input { name, bytes }).collect();
    import::alb(&inputs).map_err(|error| error.to_string())
}

/// Pipes too: `vestibule import alb <(aws elbv2 describe-listeners …)`.
fn read(path: &Path) -> Result<(String, Vec<u8>), String> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(format!("{name}: {error}")),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => Err(format!("{name}: larger than 16 MiB")),
        Ok(_) => Ok((name, bytes)),
    }
}

const MAX_BYTES: u64 = 16 * 1024 * 1024;
