// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may have commands of the host run: whoever is in no sandbox, and an application that was given
//! the permission to talk to this name, which is one to leave the sandbox (R213).
//!
//! The filter of its bus keeps others out already. This is looked at once more because nothing is left
//! of a sandbox otherwise.

use rustix::fs::OFlags;
use rustix::io::Errno;
use zbus::Connection;
use zbus::fdo::{self, DBusProxy};
use zbus::names::UniqueName;

use super::NAME;
use crate::flatpak::context::bus::{BusName, BusPolicy};
use crate::flatpak::context::{Context, ContextError};
use crate::flatpak::instance::file;
use crate::flatpak::instance::process::Process;
use crate::keyfile::{KeyFile, KeyFileError};
use crate::permission::Socket;

/// What every sandbox of an application has in its root, and its proxy too (R331).
const INFO: &str = ".flatpak-info";

/// Most bytes that are read of it.
const MOST: u64 = 1 << 20;

/// Why a caller gets nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum PermissionError {
    /// It is not known what it is. It is then never taken for the user.
    #[error(
        "cannot run commands for this caller\nprocess {pid} cannot be looked into: {errno}\n\
         call from a process that others of yours may look into"
    )]
    Closed { pid: u32, errno: Errno },
    /// It has ended.
    #[error("cannot run commands for this caller\nit has ended\ncall from a process that waits")]
    Gone,
    /// What it says of itself cannot be relied on.
    #[error(
        "cannot run commands for this caller\nits .flatpak-info is damaged: {0}\nstart it again"
    )]
    Damaged(String),
    /// It was not given the permission.
    #[error(
        "cannot run commands for this application\nit may not talk to {NAME}\n\
         allow it with --talk-name={NAME}: it is then in no sandbox any more"
    )]
    Denied,
}

impl From<KeyFileError> for PermissionError {
    fn from(error: KeyFileError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<ContextError> for PermissionError {
    fn from(error: ContextError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Makes sure that whoever has this name on the bus may run commands of the host.
///
/// # Errors
/// `AccessDenied`, or what the bus says.
pub(super) async fn check(connection: &Connection, caller: &UniqueName<'_>) -> fdo::Result<()> {
    let denied = |error: PermissionError| fdo::Error::AccessDenied(error.to_string());
    let bus = DBusProxy::new(connection).await?;
    let credentials = bus.get_connection_credentials(caller.clone().into()).await?;
    let pid = credentials.process_id().ok_or_else(|| denied(PermissionError::Gone))?;
    let info = info_of(pid).map_err(denied)?;
    // As long as it is connected, its number was not given to another.
    if !bus.name_has_owner(caller.clone().into()).await? {
        return Err(denied(PermissionError::Gone));
    }
    match info {
        Some(info) if !is_permitted(&info).map_err(denied)? => Err(denied(PermissionError::Denied)),
        Some(_) | None => Ok(()),
    }
}

/// What the root of a process says of it; nothing for one that is in no sandbox of an application
/// (R332).
fn info_of(pid: u32) -> Result<Option<Vec<u8>>, PermissionError> {
    let closed = |errno| PermissionError::Closed { pid, errno };
    let process = Process::open(pid).map_err(closed)?.ok_or(PermissionError::Gone)?;
    let root = process.open_part("root", OFlags::PATH | OFlags::DIRECTORY).map_err(closed)?;
    let info = match file::read(&root, INFO, MOST) {
        Err(Errno::NOENT) => None,
        read => Some(read.map_err(closed)?),
    };
    if process.lives().map_err(closed)? { Ok(info) } else { Err(PermissionError::Gone) }
}

/// Whether an application may talk to this service, by its permissions: by name, or to everybody.
fn is_permitted(info: &[u8]) -> Result<bool, PermissionError> {
    let (context, _) = Context::read(&KeyFile::parse(info)?)?;
    let unfiltered = context.sockets.get(Socket::SessionBus.word()).is_some_and(|permission| {
        permission.is_allowed() || permission.conditions().next().is_some()
    });
    let name = BusName::new(NAME).map_err(|error| PermissionError::Damaged(error.to_string()))?;
    let named = context
        .session_bus
        .granted()
        .any(|(known, policy)| known.covers(&name) && policy >= BusPolicy::Talk);
    Ok(unfiltered || named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r213_only_who_may_talk_to_it_may_run_commands() {
        let base = "[Application]\nname=org.a.B\n";
        let permitted = |text: &str| is_permitted(format!("{base}{text}").as_bytes()).unwrap();
        for text in [
            "[Session Bus Policy]\norg.freedesktop.Flatpak=talk\n",
            "[Session Bus Policy]\norg.freedesktop.Flatpak=own\n",
            "[Session Bus Policy]\norg.freedesktop.Flatpak.*=talk\n",
            "[Session Bus Policy]\norg.freedesktop.*=talk\n",
            "[Context]\nsockets=session-bus;\n",
            "[Context]\nsockets=if:session-bus:has-wayland;\n",
        ] {
            assert!(permitted(text), "{text}");
        }
        for text in [
            "",
            "[Session Bus Policy]\norg.freedesktop.Flatpak=see\n",
            "[Session Bus Policy]\norg.freedesktop.Flatpak=none\n",
            "[Session Bus Policy]\norg.freedesktop.portal.Flatpak=talk\n",
            "[Session Bus Policy]\norg.freedesktop.FlatpakX=talk\n",
            "[Session Bus Policy]\norg.freedesktop.Flatpak.Development=talk\n",
            "[System Bus Policy]\norg.freedesktop.Flatpak=talk\n",
            "[Context]\nsockets=!session-bus;system-bus;x11;\n",
        ] {
            assert!(!permitted(text), "{text}");
        }
        assert!(is_permitted(b"this is no key file").is_err());
        assert!(is_permitted(b"[Session Bus Policy]\nno name=talk\n").is_err());
    }

    #[test]
    fn r332_a_process_of_the_host_says_nothing_and_one_that_ended_is_nobody() {
        assert!(info_of(std::process::id()).unwrap().is_none());
        assert!(matches!(info_of(u32::MAX), Err(PermissionError::Gone)));
    }
}
