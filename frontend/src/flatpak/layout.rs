// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every application finds in its sandbox, whatever its permissions are (flatpak-run.md
//! sections 8 to 10).
//!
//! [`base::Base`] comes first, then what extensions add to it, then [`prepare`], then data
//! directories and what is granted by name. All of it is new, the runtime's, or named here (R105);
//! nothing of the host is writable.

pub mod account;
pub mod base;
mod etc;
mod fonts;
mod icons;
mod network;
mod pkcs11;
mod system;
pub(crate) mod zone;

use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use stockade_protocol::request::{Access, Content, Operation};

use crate::caller::Caller;
use crate::environment::Environment;
use crate::message::Notice;
use crate::object::Object;
use crate::sandbox::{Sandbox, SandboxError, open_path, place};
use account::Account;
use base::Base;

use super::tree::Tree;

/// The host as the layout needs it.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// The user and the process that called.
    pub caller: &'a Caller,
    /// Who the user is to the programs inside.
    pub account: &'a Account,
    /// The root of the host's own files: `/`.
    pub root: &'a Path,
    /// What the session helper provides, if it answers.
    pub session: Option<&'a Session>,
}

/// What the session helper provides (R254).
#[derive(Debug)]
pub struct Session {
    /// The directory in which it keeps copies of the host's network files and time zone.
    pub monitor: Tree,
    /// Its socket for the certificates and tokens of the host.
    pub pkcs11: Option<PathBuf>,
}

impl Session {
    /// Where that directory is, below the user's runtime directory (R254).
    pub const PLACE: [&str; 2] = [".flatpak-helper", "monitor"];
}

/// What came of it, for those who come after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// `p11-kit` is to be a member of the runtime directory (R93, R111).
    pub pkcs11: bool,
}

/// Adds everything of the layout but the base, which is there already. Files of `/etc` that are in
/// `without` are left to whoever provides them (R114).
///
/// # Errors
/// [`SandboxError`].
pub fn prepare(
    base: &Base,
    host: &Host<'_>,
    without: &[&str],
    sandbox: &mut Sandbox,
    environment: &mut Environment,
    notices: &mut Vec<Notice>,
) -> Result<Outcome, SandboxError> {
    system::prepare(host, sandbox)?;
    etc::prepare(base.usr(), host, without, sandbox)?;
    network::prepare(host, sandbox)?;
    let pkcs11 = pkcs11::prepare(host.session, sandbox, environment)?;
    zone::show(base.usr(), host, sandbox)?;
    system::describe(host, sandbox)?;
    system::link_sources(sandbox)?;
    fonts::prepare(host, sandbox, notices)?;
    icons::prepare(host, sandbox, notices)?;
    Ok(Outcome { pkcs11 })
}

/// Adds what a build has of the layout (R263): nothing that would make it come out otherwise on another
/// host. Where all of `usr` is part of what is built, its `etc` is `/etc`, and nothing is put into it.
///
/// # Errors
/// [`SandboxError`].
pub fn prepare_for_build(
    usr: &Tree,
    built: bool,
    host: &Host<'_>,
    sandbox: &mut Sandbox,
    environment: &mut Environment,
) -> Result<(), SandboxError> {
    system::prepare(host, sandbox)?;
    if built {
        sandbox.symlink(Path::new("usr/etc"), Path::new("/etc"))?;
    } else {
        etc::prepare(usr, host, &[], sandbox)?;
        network::prepare(host, sandbox)?;
        pkcs11::prepare(host.session, sandbox, environment)?;
        zone::name(usr, host, sandbox)?;
    }
    system::describe(host, sandbox)?;
    fonts::without(sandbox)
}

/// Adds a file that nobody can change.
fn add_file(
    path: &str,
    text: impl Into<Vec<u8>>,
    sandbox: &mut Sandbox,
) -> Result<(), SandboxError> {
    let (destination, content) = (place(Path::new(path))?, Content::Bytes(text.into()));
    sandbox.push(Operation::Data { destination, mode: 0o644, content, writable: false });
    Ok(())
}

/// Shows an object of the host read-only, if it exists and is of this kind. Whether it did.
fn show(
    source: &Path,
    kind: FileType,
    destination: &str,
    sandbox: &mut Sandbox,
) -> Result<bool, SandboxError> {
    let object = open_path(source).ok().and_then(|descriptor| Object::new(descriptor).ok());
    let Some(object) = object.filter(|object| object.kind() == kind) else {
        return Ok(false);
    };
    sandbox.bind_object(object, source.to_owned(), Path::new(destination), Access::ReadOnly)?;
    Ok(true)
}

/// Shows the directory `name` of one of the user's directories read-only, if it exists. Whether it
/// did.
///
/// An application may be allowed to write to the user's directory, and could put a symlink there
/// that leads to what it may not read: the last step is taken to a real directory only (R73).
fn show_users(
    directory: &Path,
    name: &str,
    destination: &str,
    sandbox: &mut Sandbox,
    notices: &mut Vec<Notice>,
) -> Result<bool, SandboxError> {
    use rustix::io::Errno;
    let Ok(above) = open_path(directory) else {
        return Ok(false);
    };
    match Tree::within(above, directory, name) {
        Ok(tree) => tree.bind(Path::new(destination), sandbox).map(|()| true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => {
            let path = directory.join(name);
            let text = format!(
                "left out {}: {errno}, and symlinks there are not followed",
                crate::message::shown(&path)
            );
            notices.push(Notice::Detail(text));
            Ok(false)
        }
    }
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for some kinds of operation")]
pub(crate) mod tests;
