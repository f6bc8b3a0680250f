// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the sound server of the caller is (R193).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{configuration, is_in};
use crate::caller::Caller;

/// Files that are read: one, and those that it includes.
const FILES: usize = 32;

/// A sound server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// At this socket, which may be missing.
    Local(PathBuf),
    /// Reached through the network, under this name.
    Remote(String),
}

/// The server that the caller's programs use.
#[must_use]
pub fn find(caller: &Caller) -> Server {
    let named = caller.variable("PULSE_SERVER").and_then(OsStr::to_str).map(str::to_owned);
    named
        .or_else(|| default_server(caller))
        .and_then(|servers| first_usable(&servers))
        .unwrap_or_else(|| Server::Local(default_socket(caller)))
}

/// `default-server` of the client's configuration.
fn default_server(caller: &Caller) -> Option<String> {
    let users = match caller.path_variable("PULSE_CLIENTCONFIG") {
        Some(path) => return users_setting(path, caller),
        None => caller.config_home().join("pulse/client.conf"),
    };
    users_setting(&users, caller)
        .or_else(|| setting(Path::new("/etc/pulse/client.conf"), &mut FILES.clone()))
}

/// The same of a file that an application may be able to write.
fn users_setting(path: &Path, caller: &Caller) -> Option<String> {
    let usual =
        [caller.runtime_directory().join("pulse"), "/run/pulse".into(), "/var/run/pulse".into()];
    setting(path, &mut FILES.clone()).filter(|servers| match first_usable(servers) {
        Some(Server::Local(socket)) => is_in(&socket, &usual),
        Some(Server::Remote(_)) => true,
        None => false,
    })
}

/// The value in a file, which ends at its first section. So many files are read at most.
fn setting(path: &Path, files: &mut usize) -> Option<String> {
    *files = files.checked_sub(1)?;
    let text = configuration(path);
    let mut found = None;
    for line in text.lines().map(str::trim).take_while(|line| !line.starts_with('[')) {
        if let Some(file) = line.strip_prefix(".include") {
            let file = path.parent().unwrap_or(Path::new("/")).join(file.trim());
            found = setting(&file, files).or(found);
        } else if let Some((key, value)) = line.split_once('=')
            && key.trim() == "default-server"
            && !value.trim().is_empty()
        {
            found = Some(value.trim().to_owned());
        }
    }
    found
}

/// The first word of a list of servers that is a socket or a host.
fn first_usable(servers: &str) -> Option<Server> {
    servers.split_ascii_whitespace().find_map(|word| {
        // "{machine id or host name}" restricts a server to one machine.
        let word = match word.strip_prefix('{') {
            Some(rest) => rest.split_once('}')?.1,
            None => word,
        };
        let path = word.strip_prefix("unix:").unwrap_or(word);
        if path.starts_with('/') {
            return Some(Server::Local(PathBuf::from(path)));
        }
        let remote = ["tcp:", "tcp4:", "tcp6:"].iter().any(|scheme| word.starts_with(scheme));
        remote.then(|| Server::Remote(word.to_owned()))
    })
}

/// Where the server listens unless told otherwise.
fn default_socket(caller: &Caller) -> PathBuf {
    if let Some(directory) = caller.path_variable("PULSE_RUNTIME_PATH") {
        return directory.join("native");
    }
    let session = caller.runtime_directory().join("pulse/native");
    if session.exists() {
        return session;
    }
    let machine = ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter().find_map(|path| {
        let text = configuration(Path::new(path));
        let id = text.trim();
        (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
    });
    let old = machine.into_iter().flat_map(|machine| {
        [".pulse", ".config/pulse"]
            .map(|below| caller.home.join(below).join(format!("{machine}-runtime/native")))
    });
    let system = PathBuf::from("/var/run/pulse/native");
    // None exists: the first place is the one to name.
    old.chain([system]).find(|path| path.exists()).unwrap_or(session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;

    #[test]
    fn r193_the_first_usable_word_counts() {
        let local = |path: &str| Some(Server::Local(path.into()));
        assert_eq!(first_usable("unix:/a/b tcp:x"), local("/a/b"));
        assert_eq!(first_usable("{abc}unix:/a"), local("/a"));
        assert_eq!(first_usable("{abc}/a"), local("/a"));
        assert_eq!(first_usable("odd tcp6:x:4713 /a"), Some(Server::Remote("tcp6:x:4713".into())));
        assert_eq!(first_usable("odd {broken"), None);
        assert_eq!(first_usable(""), None);
    }

    #[test]
    fn r193_the_configuration_is_read_up_to_its_first_section() {
        let scratch = Scratch::new();
        scratch.file("more.conf", "default-server = unix:/run/pulse/native\n");
        let main = "; x\n.include more.conf\n[section]\ndefault-server = unix:/late\n";
        let path = scratch.file("client.conf", main);
        let variables = [("PULSE_CLIENTCONFIG", path.to_str().unwrap())];
        assert_eq!(
            find(&caller(&scratch.0, &variables)),
            Server::Local("/run/pulse/native".into())
        );
    }

    #[test]
    fn t68_a_file_of_the_users_names_no_other_socket() {
        let scratch = Scratch::new();
        let runtime = scratch.0.to_str().unwrap();
        for socket in
            ["/run/dbus/system_bus_socket", "/run/pulse/../dbus/x", "bus", "systemd/private"]
        {
            let socket = scratch.join(socket);
            let text = format!("default-server = unix:{}\n", socket.display());
            let path = scratch.file("client.conf", text);
            let variables =
                [("PULSE_CLIENTCONFIG", path.to_str().unwrap()), ("XDG_RUNTIME_DIR", runtime)];
            let found = find(&caller(&scratch.0, &variables));
            assert_eq!(found, Server::Local(scratch.join("pulse/native")), "{}", socket.display());
        }
    }

    #[test]
    fn r193_includes_that_go_round_end() {
        let scratch = Scratch::new();
        let path = scratch.file("client.conf", ".include client.conf\n");
        assert_eq!(setting(&path, &mut FILES.clone()), None);
        // Neither does a crowd of them take long.
        let path = scratch.file("client.conf", ".include client.conf\n".repeat(3000));
        let mut files = FILES;
        assert_eq!((setting(&path, &mut files), files), (None, 0));
    }

    #[test]
    fn r193_without_a_name_it_is_in_the_runtime_directory() {
        let scratch = Scratch::new();
        let variables =
            [("XDG_RUNTIME_DIR", scratch.0.to_str().unwrap()), ("PULSE_CLIENTCONFIG", "/none")];
        assert_eq!(
            find(&caller(&scratch.0, &variables)),
            Server::Local(scratch.join("pulse/native"))
        );
        let variables = [("PULSE_RUNTIME_PATH", "/p"), ("PULSE_CLIENTCONFIG", "/none")];
        assert_eq!(find(&caller(&scratch.0, &variables)), Server::Local("/p/native".into()));
    }
}
