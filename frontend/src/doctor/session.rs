// SPDX-License-Identifier: MIT OR Apache-2.0
//! The user's session: its directories, systemd's user manager, the session bus. None of it is
//! needed for a sandbox as such. Sockets are connected to and closed again; nothing is said on
//! them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::finding::{Finding, Remedy};
use super::root::Root;
use crate::bus::address::Address;
use crate::bus::program;

/// Directories the session is described by, from the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// `XDG_RUNTIME_DIR`, or what systemd would make it.
    pub(super) runtime: PathBuf,
    /// `XDG_DATA_HOME` and `XDG_DATA_DIRS`.
    pub(super) data: Vec<PathBuf>,
    /// `PATH`.
    pub(super) path: Vec<PathBuf>,
    /// `DBUS_SESSION_BUS_ADDRESS`.
    pub(super) bus: Option<OsString>,
    /// `FLATPAK_DBUSPROXY`.
    pub(super) proxy: Option<OsString>,
}

impl Session {
    /// As this process sees it.
    pub(super) fn find(uid: u32) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let list = |value: &OsStr| {
            std::env::split_paths(value).filter(|path| path.is_absolute()).collect::<Vec<_>>()
        };
        let home = variable("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
        let shared = variable("XDG_DATA_DIRS").unwrap_or("/usr/local/share:/usr/share".into());
        Self {
            runtime: variable("XDG_RUNTIME_DIR")
                .map_or_else(|| PathBuf::from(format!("/run/user/{uid}")), PathBuf::from),
            data: home.into_iter().chain(list(&shared)).collect(),
            path: variable("PATH").map(|path| list(&path)).unwrap_or_default(),
            bus: variable("DBUS_SESSION_BUS_ADDRESS"),
            proxy: variable(program::VARIABLE),
        }
    }
}

/// Whether something listens at a socket's path.
pub(super) fn listens(path: &Path) -> Result<(), Errno> {
    knock(SocketAddrUnix::new(path))
}

fn knock(address: Result<SocketAddrUnix, rustix::io::Errno>) -> Result<(), Errno> {
    // Not blocking: a full queue answers EAGAIN, which means that someone listens.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let tried = address.and_then(|address| {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &address)
    });
    match tried {
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Ok(()),
        Err(errno) => Err(Errno::from_raw(errno.raw_os_error())),
    }
}

pub(super) fn judge_systemd(listens: Result<(), Errno>, root: &Root) -> Finding {
    const NAME: &str = "systemd";
    const COST: &str = "applications get no scope of their own, and so no limits; the desktop \
                        cannot tell them apart";
    match listens {
        Ok(()) => Finding::good(NAME, "the user manager answers"),
        Err(_) if !root.exists("run/systemd/system") => {
            Finding::limited(NAME, "this machine was not started by systemd", COST)
        }
        Err(errno) => Finding::limited(NAME, format!("no user manager answers ({errno:?})"), COST)
            .mend(Remedy::new(
                "start one with the machine, then log in again",
                ["sudo loginctl enable-linger \"$USER\"".to_owned()],
            )),
    }
}

/// What knocking at the session bus gave.
pub(super) fn try_bus(session: &Session) -> Result<(), String> {
    let address = match &session.bus {
        Some(text) => Address::parse(text),
        None => Ok(Address::at(&session.runtime.join("bus"))),
    };
    let address = address.map_err(|error| error.to_string())?;
    knock(address.socket()).map_err(|errno| format!("does not answer ({errno:?})"))
}

pub(super) fn judge_bus(answer: &Result<(), String>) -> Finding {
    const NAME: &str = "session-bus";
    match answer {
        Ok(()) => Finding::good(NAME, "it answers"),
        Err(why) => Finding::limited(
            NAME,
            format!("it {why}"),
            "applications have no portals, notifications or settings",
        )
        .mend(Remedy::new("start one for a command", ["dbus-run-session -- COMMAND".to_owned()])),
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::fake::Machine;
    use super::*;

    #[test]
    fn only_a_listening_socket_answers() {
        let machine = Machine::new(&[("file", "")]);
        let path = machine.root().path("socket");
        assert_eq!(listens(&path), Err(Errno::ENOENT));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(listens(&path), Ok(()));
        drop(listener);
        assert_eq!(listens(&path), Err(Errno::ECONNREFUSED));
    }
}
