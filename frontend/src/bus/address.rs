// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses of message buses, as environment variables have them
//! (<https://dbus.freedesktop.org/doc/dbus-specification.html#addresses>).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use crate::caller::Caller;

/// Where a system bus listens if nothing says otherwise.
const SYSTEM: &str = "/run/dbus/system_bus_socket";

/// A bus of this machine: the text that libraries understand, and the socket that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: OsString,
    socket: Socket,
}

/// A local socket.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Socket {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

/// An address of a kind that is not known here: none of its servers is a local socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has an address that is not a local socket: {}", crate::message::shown(text))]
pub struct AddressError {
    /// As it was given.
    pub text: OsString,
}

impl Address {
    /// The first server of an address that is a local socket.
    ///
    /// # Errors
    /// [`AddressError`], if none is.
    pub fn parse(text: &OsStr) -> Result<Self, AddressError> {
        let mut servers = text.as_bytes().split(|byte| *byte == b';');
        let found = servers.find_map(|server| {
            let pairs = server.strip_prefix(b"unix:")?.split(|byte| *byte == b',');
            let mut pairs = pairs.filter_map(|pair| {
                let (key, value) = pair.split_at_checked(pair.iter().position(|b| *b == b'=')?)?;
                Some((key, unescaped(value.get(1..)?)))
            });
            let socket = pairs.find_map(|(key, value)| match key {
                b"path" => Some(Socket::Path(PathBuf::from(OsString::from_vec(value)))),
                b"abstract" => Some(Socket::Abstract(value)),
                _ => None,
            })?;
            Some(Self { text: OsStr::from_bytes(server).to_owned(), socket })
        });
        found.ok_or_else(|| AddressError { text: text.to_owned() })
    }

    /// The bus that listens at a path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let mut text = OsString::from("unix:path=");
        text.push(OsString::from_vec(escaped(path.as_os_str().as_bytes())));
        Self { text, socket: Socket::Path(path.to_owned()) }
    }

    /// The caller's session bus: `DBUS_SESSION_BUS_ADDRESS`, or the socket `bus` of the runtime directory
    /// (R202, R205).
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn session(caller: &Caller) -> Result<Self, AddressError> {
        caller
            .variable("DBUS_SESSION_BUS_ADDRESS")
            .map_or_else(|| Ok(Self::at(&caller.runtime_directory().join("bus"))), Self::parse)
    }

    /// The system bus: `DBUS_SYSTEM_BUS_ADDRESS`, or where it is by convention (R211).
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn system(caller: &Caller) -> Result<Self, AddressError> {
        caller
            .variable("DBUS_SYSTEM_BUS_ADDRESS")
            .map_or_else(|| Ok(Self::at(Path::new(SYSTEM))), Self::parse)
    }

    /// As libraries and programs take it.
    #[must_use]
    pub fn text(&self) -> &OsStr {
        &self.text
    }

    /// The path of the socket, if it has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.socket {
            Socket::Path(path) => Some(path),
            Socket::Abstract(_) => None,
        }
    }

    /// As the kernel takes it.
    ///
    /// # Errors
    /// `ENAMETOOLONG`, `EINVAL`.
    pub fn socket(&self) -> Result<SocketAddrUnix, Errno> {
        match &self.socket {
            Socket::Path(path) => SocketAddrUnix::new(path),
            Socket::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
        }
    }
}

/// Undoes the `%XX` of addresses.
fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        let coded = match (byte, after) {
            (b'%', [high, low, ..]) => hexadecimal(*high, *low),
            _ => None,
        };
        bytes.push(coded.unwrap_or(byte));
        rest = if coded.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes
}

fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some((digit(high)? << 4) | digit(low)?)
}

/// Writes with `%XX` what an address cannot have as it is.
fn escaped(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(byte) {
            bytes.push(*byte);
        } else {
            bytes.extend(format!("%{byte:02x}").bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use proptest::prelude::*;

    fn socket(text: &str) -> SocketAddrUnix {
        Address::parse(OsStr::new(text)).unwrap().socket().unwrap()
    }

    #[test]
    fn the_first_local_server_counts() {
        let expected = SocketAddrUnix::new("/tmp/a b").unwrap();
        assert_eq!(socket("unix:path=/tmp/a%20b,guid=12"), expected);
        let expected = SocketAddrUnix::new_abstract_name(b"/tmp/dbus-1").unwrap();
        assert_eq!(socket("tcp:host=x;unix:guid=1,abstract=/tmp/dbus-1"), expected);
        let address = Address::parse(OsStr::new("tcp:host=x;unix:path=/a;unix:path=/b")).unwrap();
        assert_eq!(
            (address.text(), address.path()),
            (OsStr::new("unix:path=/a"), Some("/a".as_ref()))
        );
        for text in ["", "tcp:host=x", "unix:guid=1", "unix:path", "autolaunch:"] {
            assert!(Address::parse(OsStr::new(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn r202_the_session_bus_is_the_users_own_where_nothing_is_said() {
        let caller = |variables: &[(&str, &str)]| caller(Path::new("/home/u"), variables);
        let said = Address::session(&caller(&[("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x")]));
        assert_eq!(said.unwrap().path(), Some(Path::new("/x")));
        let found = Address::session(&caller(&[("XDG_RUNTIME_DIR", "/run/u")])).unwrap();
        assert_eq!(found.path(), Some(Path::new("/run/u/bus")));
        let found = Address::system(&caller(&[])).unwrap();
        assert_eq!(found.path(), Some(Path::new(SYSTEM)));
    }

    proptest! {
        #[test]
        fn a_path_comes_back(path in prop::collection::vec(1_u8.., 1..90)) {
            let path = PathBuf::from(OsString::from_vec(path));
            let address = Address::at(&path);
            prop_assert_eq!(Address::parse(address.text()).unwrap(), address);
        }

        #[test]
        fn any_text_is_read(text in ".*") {
            Address::parse(OsStr::new(&text)).ok();
        }
    }
}
