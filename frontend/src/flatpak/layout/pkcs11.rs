// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates and tokens of the host, through the session helper's socket (R111, R112).

use rustix::fs::FileType;

use super::{Session, add_file, show};
use crate::environment::Environment;
use crate::sandbox::{Sandbox, SandboxError};

/// Where the socket appears.
const SOCKET: &str = "/run/flatpak/p11-kit/pkcs11";

/// Has the library ask the socket instead of the runtime's own trust store.
const MODULE: (&str, &str) =
    ("/etc/pkcs11/modules/p11-kit-trust.module", "module: p11-kit-client.so\n");

/// The user's own settings name modules of the host, which the runtime does not have.
const SETTINGS: (&str, &str) = ("/etc/pkcs11/pkcs11.conf", "user-config: none\n");

/// Adds the settings, and the socket if there is one. Whether there is.
pub(super) fn prepare(
    session: Option<&Session>,
    sandbox: &mut Sandbox,
    environment: &mut Environment,
) -> Result<bool, SandboxError> {
    add_file(SETTINGS.0, SETTINGS.1, sandbox)?;
    let Some(source) = session.and_then(|session| session.pkcs11.as_deref()) else {
        return Ok(false);
    };
    if !show(source, FileType::Socket, SOCKET, sandbox)? {
        return Ok(false);
    }
    add_file(MODULE.0, MODULE.1, sandbox)?;
    environment.unset("P11_KIT_SERVER_ADDRESS".as_ref());
    Ok(true)
}
