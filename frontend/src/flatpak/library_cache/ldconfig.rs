// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sandbox in which the runtime's ldconfig makes a cache.
//!
//! It reads libraries that anybody may have written, so it can do no more than write into one empty
//! directory: no network, no terminal, no other process.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::signal::SigSet;
use stockade_protocol::request::{Access, Demand, Group, Operation};
use stockade_protocol::text::{Argument, Program, TextFault, Variable};

use super::LibraryCacheError;
use crate::launch::{Helper, LaunchError, Options, Outcome};
use crate::sandbox::{Sandbox, SandboxError, place, sandbox_path};
use crate::seccomp::{self, Policy};

/// Where the cache is written, in that sandbox.
const OUTPUT: &str = "/run/ld-so-cache-dir";

/// What it is called there.
pub(super) const FILE: &str = "cache";

/// What ldconfig writes before it renames that.
pub(super) const UNFINISHED: &str = "cache~";

/// Adds what ldconfig needs to a sandbox that has the runtime, the application and their extensions
/// in place (R80, R81, R89), with the configuration (R220, R227), and nothing else. `output` is the
/// directory to write to, `path` what messages call it.
pub(super) fn prepare(
    sandbox: &mut Sandbox,
    output: OwnedFd,
    path: &Path,
) -> Result<(), LibraryCacheError> {
    let namespaces = &mut sandbox.request.namespaces;
    (namespaces.pid, namespaces.ipc, namespaces.net) =
        (Demand::Required, Demand::Required, Demand::Required);
    sandbox.push(Operation::Proc { destination: place(Path::new("/proc"))?, protect: true });
    sandbox.push(Operation::Devices { destination: place(Path::new("/dev"))?, console: None });
    sandbox.bind_descriptor(output, path, Path::new(OUTPUT), Access::ReadWrite)?;

    let wrong = |fault: TextFault| SandboxError::Path { path: OUTPUT.into(), fault };
    let file = format!("{OUTPUT}/{FILE}");
    let words = ["ldconfig", "-X", "-C", &file];
    let payload = &mut sandbox.request.payload;
    payload.programs = vec![Program::new("/usr/bin/ldconfig").map_err(wrong)?];
    payload.arguments =
        words.into_iter().map(Argument::new).collect::<Result<_, _>>().map_err(wrong)?;
    payload.environment = vec![Variable::new("PATH=/usr/bin").map_err(wrong)?];
    payload.directories = vec![sandbox_path(Path::new("/"))?];
    // Without a terminal nothing can be typed into it.
    payload.group = Group::Session;
    // A 32-bit runtime has a 32-bit ldconfig.
    payload.filters = seccomp::programs(&Policy { multiarch: true, ..Policy::default() })?;
    Ok(())
}

/// Runs a sandbox to its end with a helper of its own.
///
/// # Errors
/// If the payload was not run.
pub fn run(sandbox: Sandbox) -> Result<Outcome, LaunchError> {
    let mask = SigSet::thread_get_mask();
    let outcome = Helper::start()?.run(sandbox, &Options::default());
    // The helper's are passed on by whoever waits for it, and nobody does any more.
    if let Ok(mask) = mask {
        mask.thread_set_mask().ok();
    }
    outcome
}
