// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets of the session and of the system that a sandbox may reach, one by one (R186-R201).
//!
//! Each is opened, checked to be a socket, and bound below [`DIRECTORY`] or where programs look for
//! it. What the host does not have is left out together with the variables that would name it.

pub mod pulse;
pub mod x11;
pub mod xauthority;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::FileType;
use stockade_protocol::request::Access;

use crate::bus::kind::Kind;
use crate::caller::Caller;
use crate::device;
use crate::environment::Environment;
use crate::flatpak::directory::read_host_file;
use crate::message::{Notice, shown};
use crate::object::Object;
use crate::permission::{Permissions, Socket};
use crate::sandbox::{Sandbox, SandboxError, open_path};

/// Where a sandbox of `exec` keeps what Stockade gives it. Reserved: nothing granted can cover it.
pub const DIRECTORY: &str = "/run/stockade";

/// Largest configuration file that is read.
const CONFIGURATION_BYTES: usize = 64 * 1024;

/// What sockets are added to.
#[derive(Debug)]
pub struct Wiring<'a> {
    /// The user and the process that called.
    pub caller: &'a Caller,
    /// The request.
    pub sandbox: &'a mut Sandbox,
    /// The environment of the payload.
    pub environment: &'a mut Environment,
    /// What the user should know.
    pub notices: &'a mut Vec<Notice>,
    /// The sandbox has the host's `/tmp`.
    pub temporary_is_shared: bool,
    /// Where sockets are bound, below `/run`.
    pub directory: &'static Path,
    /// What of that belongs into `XDG_RUNTIME_DIR` too (R93); others make the symlinks.
    pub members: &'a mut BTreeSet<String>,
}

/// What came of the sockets, for those who come after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The X display is reached through an abstract socket.
    pub abstract_display: bool,
}

/// Adds everything that is granted, and removes the variables of everything that is not.
///
/// # Errors
/// [`SandboxError`].
pub fn prepare(permissions: &Permissions, wiring: &mut Wiring) -> Result<Outcome, SandboxError> {
    let granted = |socket| permissions.sockets.contains(&socket);
    let network = permissions.network();
    let mut outcome = Outcome::default();

    // Whoever gives a bus sets its variable afterwards.
    for kind in Kind::ALL {
        wiring.without(&[kind.variable()]);
    }

    if granted(Socket::Wayland) {
        wiring.wayland()?;
    } else {
        wiring.without(&["WAYLAND_DISPLAY", "WAYLAND_SOCKET"]);
    }

    // R97: a granted /tmp is no way around the permission.
    let own = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    if wiring.temporary_is_shared && own(Path::new(x11::SOCKETS)) {
        wiring.sandbox.tmpfs(Path::new(x11::SOCKETS), 0o755)?;
    }

    // R44: with Wayland at hand the fallback gives nothing, even next to `x11`.
    let x11 = if granted(Socket::FallbackX11) {
        !has_wayland(wiring.caller)
    } else {
        granted(Socket::X11)
    };
    if x11 {
        outcome.abstract_display = wiring.x11(network)?;
    } else {
        wiring.without(&["DISPLAY", "XAUTHORITY"]);
    }

    if granted(Socket::Pulseaudio) {
        wiring.pulseaudio(network)?;
    } else {
        wiring.without(&["PULSE_SERVER", "PULSE_CLIENTCONFIG"]);
    }
    if granted(Socket::SshAuth) {
        wiring.ssh_auth()?;
    } else {
        wiring.without(&["SSH_AUTH_SOCK"]);
    }
    if granted(Socket::Pcsc) {
        wiring.pcsc()?;
    } else {
        wiring.without(&["PCSCLITE_CSOCK_NAME"]);
    }
    if granted(Socket::Cups) {
        wiring.cups()?;
    }
    if granted(Socket::GpgAgent) {
        wiring.gpg_agent()?;
    }
    wiring.system(network)?;
    Ok(outcome)
}

/// Lets what is in [`DIRECTORY`] appear in the sandbox's own `XDG_RUNTIME_DIR` too (R93).
///
/// # Errors
/// [`SandboxError`].
pub fn link(
    members: &BTreeSet<String>,
    caller: &Caller,
    sandbox: &mut Sandbox,
) -> Result<(), SandboxError> {
    // /run/user/UID is two levels below /run.
    let directory = Path::new("../..").join(DIRECTORY.strip_prefix("/run/").unwrap_or(DIRECTORY));
    for name in members {
        let path = caller.sandbox_runtime_directory().join(name);
        sandbox.symlink(&directory.join(name), &path)?;
    }
    Ok(())
}

/// R40: whether there is a compositor, granted or not.
#[must_use]
pub fn has_wayland(caller: &Caller) -> bool {
    let inherited = caller.variable("WAYLAND_SOCKET").and_then(OsStr::to_str);
    inherited.is_some_and(|number| number.parse::<u32>().is_ok())
        || caller.runtime_directory().join(wayland_name(caller)).exists()
}

/// R190. The name becomes part of a path, so nothing else is believed (T72).
fn wayland_name(caller: &Caller) -> &OsStr {
    let fits = |name: &&OsStr| {
        name.as_bytes().starts_with(b"wayland-") && !name.as_bytes().contains(&b'/')
    };
    caller.variable("WAYLAND_DISPLAY").filter(fits).unwrap_or(OsStr::new("wayland-0"))
}

impl Wiring<'_> {
    /// R186: programs must not try what they cannot reach.
    fn without(&mut self, variables: &[&str]) {
        for name in variables {
            self.environment.unset_inherited(name);
        }
    }

    /// Something that was asked for is not there.
    pub(crate) fn leave_out(&mut self, what: &str, why: &str) {
        self.notices.push(Notice::Detail(format!("left out {what}: {why}")));
    }

    /// Binds the socket at `source` to `destination`; false, and a notice, if there is none.
    pub(crate) fn bind(
        &mut self,
        what: &str,
        source: &Path,
        destination: &Path,
    ) -> Result<bool, SandboxError> {
        let bound = self.bind_quietly(source, destination)?;
        if !bound {
            self.leave_out(what, &format!("there is no socket at {}", shown(source)));
        }
        Ok(bound)
    }

    fn bind_quietly(&mut self, source: &Path, destination: &Path) -> Result<bool, SandboxError> {
        let Ok(object) = open_path(source) else {
            return Ok(false);
        };
        let Ok(object) = Object::new(object) else {
            return Ok(false);
        };
        if object.kind() != FileType::Socket {
            return Ok(false);
        }
        // Read-only does not stop talking, and keeps the socket's mode as it is (T54).
        self.sandbox.bind_object(object, source.to_owned(), destination, Access::ReadOnly)?;
        Ok(true)
    }

    /// R190, R192.
    fn wayland(&mut self) -> Result<(), SandboxError> {
        self.without(&["WAYLAND_SOCKET"]);
        let name = wayland_name(self.caller).to_owned();
        let source = self.caller.runtime_directory().join(&name);
        if self.bind("wayland", &source, &self.directory.join(&name))? {
            self.members.insert(name.to_string_lossy().into_owned());
            self.environment.set("WAYLAND_DISPLAY", name);
        } else {
            self.without(&["WAYLAND_DISPLAY"]);
        }
        Ok(())
    }

    /// R196.
    fn ssh_auth(&mut self) -> Result<(), SandboxError> {
        let destination = self.directory.join("ssh-auth");
        let Some(source) = self.caller.variable("SSH_AUTH_SOCK").map(PathBuf::from) else {
            self.without(&["SSH_AUTH_SOCK"]);
            self.leave_out("ssh-auth", "SSH_AUTH_SOCK is not set");
            return Ok(());
        };
        if self.bind("ssh-auth", &source, &destination)? {
            self.environment.set("SSH_AUTH_SOCK", destination);
        } else {
            self.without(&["SSH_AUTH_SOCK"]);
        }
        Ok(())
    }

    /// R197.
    fn pcsc(&mut self) -> Result<(), SandboxError> {
        let place = Path::new("/run/pcscd/pcscd.comm");
        let source =
            self.caller.variable("PCSCLITE_CSOCK_NAME").map_or(place, Path::new).to_owned();
        if self.bind("pcsc", &source, place)? {
            self.environment.set("PCSCLITE_CSOCK_NAME", place);
        } else {
            self.without(&["PCSCLITE_CSOCK_NAME"]);
        }
        Ok(())
    }

    /// R201. The server is named by a variable, because the client's configuration file may name
    /// a place that only the host has.
    fn cups(&mut self) -> Result<(), SandboxError> {
        let place = Path::new("/run/cups/cups.sock");
        let source = cups_server(self.caller).unwrap_or_else(|| place.to_owned());
        if self.bind("cups", &source, place)? {
            self.environment.set("CUPS_SERVER", place);
        }
        Ok(())
    }

    /// R198.
    fn gpg_agent(&mut self) -> Result<(), SandboxError> {
        let Some(source) = gpg_agent_socket(self.caller) else {
            self.leave_out("gpg-agent", "gpgconf does not tell where its socket is");
            return Ok(());
        };
        // GnuPG does not trust a directory that others may look into.
        let directory = self.caller.sandbox_runtime_directory().join("gnupg");
        self.sandbox.directory(&directory, 0o700)?;
        self.bind("gpg-agent", &source, &directory.join("S.gpg-agent"))?;
        Ok(())
    }

    /// R200: the log always, the resolver with the network.
    fn system(&mut self, network: bool) -> Result<(), SandboxError> {
        let log = ["/run/systemd/journal/socket", "/run/systemd/journal/stdout"];
        let resolver = network.then_some("/run/systemd/resolve/io.systemd.Resolve");
        for path in log.into_iter().chain(resolver) {
            self.bind_quietly(Path::new(path), Path::new(path))?;
        }
        Ok(())
    }

    /// R185, R193, R194.
    fn pulseaudio(&mut self, network: bool) -> Result<(), SandboxError> {
        let directory = self.directory.join("pulse");
        match pulse::find(self.caller) {
            pulse::Server::Remote(server) => {
                if !network {
                    let text = "the sound server is remote, and the network is not shared\n\
                                add --share=network";
                    self.notices.push(Notice::Warning(text.into()));
                }
                self.environment.set("PULSE_SERVER", server);
                return Ok(());
            }
            pulse::Server::Local(source) => {
                let socket = directory.join("native");
                if self.bind("pulseaudio", &source, &socket)? {
                    let config = directory.join("config");
                    self.sandbox.file(&config, 0o444, b"enable-shm=no\n".to_vec())?;
                    let server = [OsStr::new("unix:"), socket.as_os_str()].join(OsStr::new(""));
                    self.environment.set("PULSE_SERVER", server);
                    self.environment.set("PULSE_CLIENTCONFIG", config);
                    self.members.insert("pulse".to_owned());
                } else {
                    self.without(&["PULSE_SERVER", "PULSE_CLIENTCONFIG"]);
                }
            }
        }
        device::bind("/dev/snd", self.sandbox)
    }
}

/// The text of a small configuration file; nothing if it cannot be read, or is no file.
fn configuration(path: &Path) -> String {
    let text = read_host_file(path, CONFIGURATION_BYTES).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

/// Whether a file of the user's may name this socket as a server that keeps its own below one of these
/// directories. An application may be able to write that file, and would have a bus or an agent for the
/// asking otherwise (T68). What the environment or the system names is nobody's but the caller's.
fn is_in(socket: &Path, directories: &[PathBuf]) -> bool {
    let upwards = socket.components().any(|part| part == std::path::Component::ParentDir);
    !upwards && directories.iter().any(|directory| socket.starts_with(directory))
}

/// A server that is a local socket: an absolute path without a port.
fn cups_server(caller: &Caller) -> Option<PathBuf> {
    let local = |server: &str| {
        (server.starts_with('/') && !server.contains(':')).then(|| PathBuf::from(server))
    };
    if let Some(server) = caller.variable("CUPS_SERVER").and_then(OsStr::to_str).and_then(local) {
        return Some(server);
    }
    let named = |file: &Path| {
        configuration(file).lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            words.next().filter(|word| word.eq_ignore_ascii_case("ServerName"))?;
            words.next().and_then(local)
        })
    };
    let usual = ["/run/cups", "/var/run/cups"].map(PathBuf::from);
    let users = named(&caller.home.join(".cups/client.conf"));
    users
        .filter(|server| is_in(server, &usual))
        .or_else(|| named(Path::new("/etc/cups/client.conf")))
}

/// What `gpgconf` says, run with an environment of its own (T72).
fn gpg_agent_socket(caller: &Caller) -> Option<PathBuf> {
    let mut command = Command::new("gpgconf");
    command.args(["--list-dir", "agent-socket"]).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &caller.home);
    if let Some(home) = caller.path_variable("GNUPGHOME") {
        command.env("GNUPGHOME", home);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let path = Path::new(OsStr::from_bytes(output.stdout.trim_ascii_end()));
    (output.status.success() && path.is_absolute()).then(|| path.to_owned())
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
pub(crate) mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::permission::Change;
    use std::os::unix::net::UnixListener;
    use stockade_protocol::request::Operation;

    /// What `prepare` does for this caller.
    pub(crate) struct Wired {
        pub(crate) operations: Vec<Operation>,
        pub(crate) environment: Environment,
        pub(crate) notices: Vec<Notice>,
        pub(crate) outcome: Outcome,
    }

    pub(crate) fn wired(changes: &[Change], caller: &Caller) -> Wired {
        let mut permissions = Permissions::default();
        changes.iter().cloned().for_each(|change| permissions.apply(change));
        let mut sandbox = Sandbox::new();
        let mut environment = Environment::inherited(&caller.environment);
        let mut notices = Vec::new();
        let mut members = BTreeSet::new();
        let mut wiring = Wiring {
            caller,
            sandbox: &mut sandbox,
            environment: &mut environment,
            notices: &mut notices,
            temporary_is_shared: false,
            directory: Path::new(DIRECTORY),
            members: &mut members,
        };
        let outcome = prepare(&permissions, &mut wiring).unwrap();
        link(&members, caller, &mut sandbox).unwrap();
        Wired { operations: sandbox.request.operations, environment, notices, outcome }
    }

    impl Wired {
        pub(crate) fn binds(&self, path: &str) -> bool {
            self.operations.iter().any(|operation| match operation {
                Operation::Bind(bind) => {
                    bind.destination.path.as_bytes() == path.as_bytes()
                        && bind.access == Access::ReadOnly
                }
                _ => false,
            })
        }

        pub(crate) fn links(&self, path: &str, to: &str) -> bool {
            self.operations.iter().any(|operation| match operation {
                Operation::Symlink { destination, target } => {
                    destination.path.as_bytes() == path.as_bytes()
                        && target.as_bytes() == to.as_bytes()
                }
                _ => false,
            })
        }

        pub(crate) fn variable(&self, name: &str) -> Option<&str> {
            self.environment.get(name).and_then(OsStr::to_str)
        }
    }

    pub(crate) fn grant(socket: Socket) -> Change {
        Change::Socket(socket, true)
    }

    #[test]
    fn r157_without_permission_the_variables_vanish() {
        let names = [
            "DISPLAY",
            "XAUTHORITY",
            "WAYLAND_DISPLAY",
            "WAYLAND_SOCKET",
            "PULSE_SERVER",
            "PULSE_CLIENTCONFIG",
            "SSH_AUTH_SOCK",
            "PCSCLITE_CSOCK_NAME",
            "DBUS_SESSION_BUS_ADDRESS",
            "DBUS_SYSTEM_BUS_ADDRESS",
            "AT_SPI_BUS_ADDRESS",
        ];
        let scratch = Scratch::new();
        let wired = wired(&[], &caller(&scratch.0, &names.map(|name| (name, "/x"))));
        for name in names {
            assert_eq!(wired.variable(name), None, "{name}");
        }
    }

    #[test]
    fn r190_the_wayland_socket_is_bound_and_a_member_of_the_runtime_directory() {
        let scratch = Scratch::new();
        let _socket = UnixListener::bind(scratch.join("wayland-7")).unwrap();
        let run = scratch.0.to_str().unwrap();
        let variables =
            [("XDG_RUNTIME_DIR", run), ("WAYLAND_DISPLAY", "wayland-7"), ("WAYLAND_SOCKET", "5")];
        let wired = wired(&[grant(Socket::Wayland)], &caller(&scratch.0, &variables));
        assert!(wired.binds("/run/stockade/wayland-7"));
        assert!(wired.links("/run/user/1000/wayland-7", "../../stockade/wayland-7"));
        assert_eq!(wired.variable("WAYLAND_DISPLAY"), Some("wayland-7"));
        assert_eq!(wired.variable("WAYLAND_SOCKET"), None);
    }

    #[test]
    fn r190_only_plain_names_are_believed() {
        let scratch = Scratch::new();
        for name in ["../wayland-0", "wayland-/../x", "x", ""] {
            let caller = caller(&scratch.0, &[("WAYLAND_DISPLAY", name)]);
            assert_eq!(wayland_name(&caller), "wayland-0", "{name}");
        }
    }

    #[test]
    fn r186_what_is_no_socket_is_left_out() {
        let scratch = Scratch::new();
        scratch.file("wayland-0", "");
        scratch.file("agent", "");
        let run = scratch.0.to_str().unwrap();
        let agent = scratch.join("agent");
        let variables = [
            ("XDG_RUNTIME_DIR", run),
            ("WAYLAND_DISPLAY", "wayland-0"),
            ("SSH_AUTH_SOCK", agent.to_str().unwrap()),
        ];
        let changes = [grant(Socket::Wayland), grant(Socket::SshAuth)];
        let wired = wired(&changes, &caller(&scratch.0, &variables));
        assert!(!wired.binds("/run/stockade/wayland-0") && !wired.binds("/run/stockade/ssh-auth"));
        assert_eq!(wired.variable("WAYLAND_DISPLAY"), None);
        assert_eq!(wired.variable("SSH_AUTH_SOCK"), None);
        assert_eq!(wired.notices.len(), 2);
    }

    #[test]
    fn r196_r197_agents_get_a_place_and_a_variable() {
        let scratch = Scratch::new();
        let _agent = UnixListener::bind(scratch.join("agent")).unwrap();
        let agent = scratch.join("agent");
        let agent = agent.to_str().unwrap();
        let variables = [("SSH_AUTH_SOCK", agent), ("PCSCLITE_CSOCK_NAME", agent)];
        let changes = [grant(Socket::SshAuth), grant(Socket::Pcsc)];
        let wired = wired(&changes, &caller(&scratch.0, &variables));
        assert!(wired.binds("/run/stockade/ssh-auth") && wired.binds("/run/pcscd/pcscd.comm"));
        assert_eq!(wired.variable("SSH_AUTH_SOCK"), Some("/run/stockade/ssh-auth"));
        assert_eq!(wired.variable("PCSCLITE_CSOCK_NAME"), Some("/run/pcscd/pcscd.comm"));
    }

    #[test]
    fn r201_the_print_server_is_a_local_path_or_the_default() {
        let scratch = Scratch::new();
        scratch.file(".cups/client.conf", "# x\nservername /run/cups/other.sock\n");
        let from = |server: &str| cups_server(&caller(&scratch.0, &[("CUPS_SERVER", server)]));
        assert_eq!(from("/a/b"), Some("/a/b".into()));
        assert_eq!(from("/a:631"), Some("/run/cups/other.sock".into()));
        assert_eq!(from("host"), Some("/run/cups/other.sock".into()));
        // T68: an application may have written it.
        scratch.file(".cups/client.conf", "ServerName /run/dbus/system_bus_socket\n");
        assert_ne!(from(""), Some("/run/dbus/system_bus_socket".into()));

        let _server = UnixListener::bind(scratch.join("cups")).unwrap();
        let path = scratch.join("cups");
        let caller = caller(&scratch.0, &[("CUPS_SERVER", path.to_str().unwrap())]);
        let wired = wired(&[grant(Socket::Cups)], &caller);
        assert!(wired.binds("/run/cups/cups.sock"));
        assert_eq!(wired.variable("CUPS_SERVER"), Some("/run/cups/cups.sock"));
    }

    #[test]
    fn r194_the_sound_server_has_a_socket_and_a_configuration() {
        let scratch = Scratch::new();
        scratch.directory("pulse");
        let _server = UnixListener::bind(scratch.join("pulse/native")).unwrap();
        let caller = caller(&scratch.0, &[("XDG_RUNTIME_DIR", scratch.0.to_str().unwrap())]);
        let wired = wired(&[grant(Socket::Pulseaudio)], &caller);
        assert!(wired.binds("/run/stockade/pulse/native"));
        assert!(wired.links("/run/user/1000/pulse", "../../stockade/pulse"));
        assert_eq!(wired.variable("PULSE_SERVER"), Some("unix:/run/stockade/pulse/native"));
        assert_eq!(wired.variable("PULSE_CLIENTCONFIG"), Some("/run/stockade/pulse/config"));
    }

    #[test]
    fn r193_a_remote_sound_server_needs_the_network() {
        let scratch = Scratch::new();
        let caller = caller(&scratch.0, &[("PULSE_SERVER", "tcp:host")]);
        let changes = [grant(Socket::Pulseaudio)];
        let alone = wired(&changes, &caller);
        assert!(matches!(alone.notices.as_slice(), [Notice::Warning(_)]));
        assert_eq!(alone.variable("PULSE_SERVER"), Some("tcp:host"));
    }
}
