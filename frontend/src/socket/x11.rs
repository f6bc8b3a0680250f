// SPDX-License-Identifier: MIT OR Apache-2.0
//! The X server: its socket, and the one key that opens it (R187, R188).

use std::ffi::OsStr;
use std::path::PathBuf;

use super::Wiring;
use super::xauthority::{self, Host};
use crate::caller::Caller;
use crate::flatpak::directory::read_host_file;
use crate::message::{Notice, shown};
use crate::sandbox::SandboxError;

/// Where X servers listen.
pub const SOCKETS: &str = "/tmp/.X11-unix";

/// Largest file of keys that is read.
const AUTHORITY_BYTES: usize = 1024 * 1024;

/// What `DISPLAY` says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Display {
    host: Host,
    number: String,
}

impl Display {
    /// R187: parsed at the last colon, which digits follow.
    fn parse(text: &OsStr) -> Option<Self> {
        let (host, rest) = text.to_str()?.rsplit_once(':')?;
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if number.is_empty() {
            return None;
        }
        let host = match host {
            "" | "unix" => Host::Local,
            host => match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(address) => Host::Ipv6(address.to_owned()),
                None => Host::Name(host.to_owned()),
            },
        };
        Some(Self { host, number })
    }
}

impl Wiring<'_> {
    /// Gives the sandbox the caller's display; true if it is reached through an abstract socket.
    pub(super) fn x11(&mut self, network: bool) -> Result<bool, SandboxError> {
        let Some(display) = self.caller.variable("DISPLAY").and_then(Display::parse) else {
            self.without(&["DISPLAY", "XAUTHORITY"]);
            self.leave_out("x11", "DISPLAY names no display");
            return Ok(false);
        };
        let socket = PathBuf::from(format!("{SOCKETS}/X{}", display.number));
        let local = display.host == Host::Local;
        let bound = local && self.bind_quietly(&socket, &socket)?;
        if !bound && !network {
            let reached = self.caller.variable("DISPLAY").unwrap_or_default();
            self.notices.push(Notice::Warning(format!(
                "the X display {} is reached through the network, which is not shared\n\
                 add --share=network",
                shown(reached)
            )));
        }
        self.authority(&display)?;
        Ok(local && !bound)
    }

    fn authority(&mut self, display: &Display) -> Result<(), SandboxError> {
        let place = self.directory.join("Xauthority");
        let node = rustix::system::uname().nodename().to_bytes().to_vec();
        let alias = self.caller.variable("XAUTHLOCALHOSTNAME").map(OsStr::as_encoded_bytes);
        let keys = read_keys(self.caller);
        let matching =
            xauthority::filter(&keys, &display.host, display.number.as_bytes(), &node, alias);
        if matching.is_empty() {
            self.without(&["XAUTHORITY"]);
            return Ok(());
        }
        self.sandbox.file(&place, 0o400, matching)?;
        self.environment.set("XAUTHORITY", place);
        Ok(())
    }
}

/// The caller's keys; none if they cannot be read.
fn read_keys(caller: &Caller) -> Vec<u8> {
    let default = caller.home.join(".Xauthority");
    let path = caller.variable("XAUTHORITY").map_or(default, PathBuf::from);
    read_host_file(&path, AUTHORITY_BYTES).ok().flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{grant, wired};
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::permission::{Change, Share, Socket};
    use std::os::unix::net::UnixListener;

    fn parse(text: &str) -> Option<(Host, String)> {
        Display::parse(OsStr::new(text)).map(|display| (display.host, display.number))
    }

    #[test]
    fn r187_displays_are_parsed_at_the_last_colon() {
        assert_eq!(parse(":0"), Some((Host::Local, "0".into())));
        assert_eq!(parse("unix:12.1"), Some((Host::Local, "12".into())));
        assert_eq!(parse("host:1"), Some((Host::Name("host".into()), "1".into())));
        assert_eq!(parse("[::1]:10.0"), Some((Host::Ipv6("::1".into()), "10".into())));
        for text in ["", "0", ":", ":x", "host"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn r187_a_display_that_needs_the_network_is_warned_about() {
        let scratch = Scratch::new();
        let caller = caller(&scratch.0, &[("DISPLAY", "host:1")]);
        let alone = wired(&[grant(Socket::X11)], &caller);
        assert!(matches!(alone.notices.as_slice(), [Notice::Warning(_)]));
        let changes = [grant(Socket::X11), Change::Share(Share::Network, true)];
        let shared = wired(&changes, &caller);
        assert!(shared.notices.is_empty());
        assert_eq!(shared.variable("DISPLAY"), Some("host:1"));
        assert!(!shared.outcome.abstract_display);
    }

    #[test]
    fn r187_a_local_display_without_a_socket_is_abstract() {
        let scratch = Scratch::new();
        // No X server has this number.
        let caller = caller(&scratch.0, &[("DISPLAY", ":64999")]);
        let changes = [grant(Socket::X11), Change::Share(Share::Network, true)];
        assert!(wired(&changes, &caller).outcome.abstract_display);
    }

    #[test]
    fn r188_the_matching_key_is_given() {
        let scratch = Scratch::new();
        let mut keys = Vec::new();
        for number in ["64999", "7"] {
            keys.extend(0xFFFF_u16.to_be_bytes());
            for text in ["", number, "MIT-MAGIC-COOKIE-1", "secret"] {
                keys.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
                keys.extend(text.as_bytes());
            }
        }
        scratch.file(".Xauthority", &keys);
        let wired = wired(&[grant(Socket::X11)], &caller(&scratch.0, &[("DISPLAY", ":64999")]));
        assert_eq!(wired.variable("XAUTHORITY"), Some("/run/stockade/Xauthority"));
    }

    #[test]
    fn r44_r189_the_fallback_is_for_hosts_without_wayland() {
        let scratch = Scratch::new();
        let run = scratch.0.to_str().unwrap();
        let caller = caller(&scratch.0, &[("DISPLAY", "host:1"), ("XDG_RUNTIME_DIR", run)]);
        let changes = [grant(Socket::X11), grant(Socket::FallbackX11)];
        assert_eq!(wired(&changes, &caller).variable("DISPLAY"), Some("host:1"));
        let _compositor = UnixListener::bind(scratch.join("wayland-0")).unwrap();
        assert_eq!(wired(&changes, &caller).variable("DISPLAY"), None);
        assert_eq!(wired(&[grant(Socket::X11)], &caller).variable("DISPLAY"), Some("host:1"));
    }
}
