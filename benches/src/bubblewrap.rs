// SPDX-License-Identifier: MIT OR Apache-2.0
//! A recording in bubblewrap's words.
//!
//! What bubblewrap has no word for is left out, which is to its favour: Landlock, the session
//! keyring, the limit on user namespaces (its `--disable-userns` makes a second one), a process
//! group of the payload's own.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::{FdFlags, fcntl_setfd};
use stockade_protocol::request::{Access, Content, Demand, Group, Operation};

use crate::recording::Recording;

/// An argument list with the files that it names by descriptor.
#[derive(Debug, Default)]
pub struct Arguments {
    /// What follows `bwrap`.
    pub list: Vec<OsString>,
    files: Vec<File>,
}

impl Arguments {
    pub(crate) fn word(&mut self, word: &str) {
        self.list.push(word.into());
    }

    fn bytes(&mut self, word: &[u8]) {
        self.list.push(OsStr::from_bytes(word).into());
    }

    fn pair(&mut self, option: &str, word: &[u8]) {
        self.word(option);
        self.bytes(word);
    }

    fn mode(&mut self, mode: u32) {
        self.pair("--perms", format!("{mode:04o}").as_bytes());
    }

    pub(crate) fn path(&mut self, path: &Path) {
        self.bytes(path.as_os_str().as_bytes());
    }

    /// Inherited bytes: an unnamed file, named by its number.
    pub(crate) fn descriptor(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fd = rustix::fs::memfd_create("bench", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut file = File::from(fd);
        file.write_all(bytes)?;
        file.rewind()?;
        self.word(&file.as_raw_fd().to_string());
        self.files.push(file);
        Ok(())
    }

    /// Makes the files readable from their beginning again, and lets programs inherit them or not:
    /// only those that were given the list may.
    ///
    /// # Errors
    /// That of `lseek(2)` or `fcntl(2)`.
    pub fn inherit(&mut self, inherit: bool) -> io::Result<()> {
        let flags = if inherit { FdFlags::empty() } else { FdFlags::CLOEXEC };
        for file in &mut self.files {
            file.rewind()?;
            fcntl_setfd(&*file, flags)?;
        }
        Ok(())
    }
}

/// The arguments of `bwrap` for a recording.
///
/// # Errors
/// If it holds something that cannot be said.
pub fn arguments(recording: &Recording) -> io::Result<Arguments> {
    let request = recording.request()?;
    let mut out = Arguments::default();
    let wanted = &request.namespaces;
    for (demand, required, optional) in [
        (wanted.pid, "--unshare-pid", "--unshare-pid"),
        (wanted.ipc, "--unshare-ipc", "--unshare-ipc"),
        (wanted.net, "--unshare-net", "--unshare-net"),
        (wanted.uts, "--unshare-uts", "--unshare-uts"),
        (wanted.cgroup, "--unshare-cgroup", "--unshare-cgroup-try"),
    ] {
        match demand {
            Demand::Share => {}
            Demand::Optional => out.word(optional),
            Demand::Required => out.word(required),
        }
    }
    if let Some(name) = &wanted.hostname {
        out.pair("--hostname", name.as_bytes());
    }
    if request.supervision.end_with_caller {
        out.word("--die-with-parent");
    }
    if request.payload.group == Group::Session {
        out.word("--new-session");
    }
    for operation in &request.operations {
        step(&mut out, recording, operation)?;
    }
    for filter in &request.payload.filters {
        out.word("--add-seccomp-fd");
        out.descriptor(filter.as_bytes())?;
    }
    out.word("--clearenv");
    for variable in &request.payload.environment {
        let (name, value) = split(variable.as_bytes());
        out.pair("--setenv", name);
        out.bytes(value);
    }
    if let Some(directory) = request.payload.directories.first() {
        out.pair("--chdir", directory.as_bytes());
    }
    out.word("--");
    let program = request.payload.programs.first();
    out.bytes(program.map_or(&b""[..], |program| program.as_bytes()));
    for argument in request.payload.arguments.iter().skip(1) {
        out.bytes(argument.as_bytes());
    }
    Ok(out)
}

fn split(variable: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = variable.splitn(2, |byte| *byte == b'=');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn step(out: &mut Arguments, recording: &Recording, operation: &Operation) -> io::Result<()> {
    match operation {
        Operation::Bind(bind) => {
            out.word(match bind.access {
                Access::ReadOnly => "--ro-bind",
                Access::ReadWrite => "--bind",
                Access::Device => "--dev-bind",
            });
            out.bytes(recording.source(bind.source)?.as_os_str().as_bytes());
            out.bytes(bind.destination.path.as_bytes());
        }
        Operation::Tmpfs { destination, mode, size } => {
            out.mode(*mode);
            if let Some(size) = size {
                out.pair("--size", size.to_string().as_bytes());
            }
            out.pair("--tmpfs", destination.path.as_bytes());
        }
        // bubblewrap covers the same files of /proc always.
        Operation::Proc { destination, protect: _ } => {
            out.pair("--proc", destination.path.as_bytes());
        }
        Operation::Devices { destination, console: _ } => {
            out.pair("--dev", destination.path.as_bytes());
        }
        Operation::Mqueue { destination } => out.pair("--mqueue", destination.path.as_bytes()),
        Operation::Directory { destination, mode } => {
            out.mode(*mode);
            out.pair("--dir", destination.path.as_bytes());
        }
        Operation::File { destination, mode, content: Content::Bytes(bytes) } => {
            out.mode(*mode);
            out.word("--file");
            out.descriptor(bytes)?;
            out.bytes(destination.path.as_bytes());
        }
        Operation::File { content: Content::Descriptor(_), .. } => {
            return Err(io::Error::other("a file from a descriptor cannot be recorded"));
        }
        Operation::Data { .. } | Operation::UserNamespace { .. } | Operation::Overlay { .. } => {
            return Err(io::Error::other("only what `exec` asks for can be recorded"));
        }
        Operation::Symlink { destination, target } => {
            out.pair("--symlink", target.as_bytes());
            out.bytes(destination.path.as_bytes());
        }
        Operation::Chmod { path, mode } => {
            out.pair("--chmod", format!("{mode:04o}").as_bytes());
            out.bytes(path.as_bytes());
        }
        Operation::RemountReadOnly { path } => out.pair("--remount-ro", path.as_bytes()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn operations_keep_their_order_and_sources() {
        let arguments = arguments(&sample::recording()).unwrap();
        let words: Vec<_> = arguments.list.iter().map(|word| word.to_str().unwrap()).collect();
        let text = words.join(" ");
        assert!(text.starts_with(
            "--unshare-ipc --unshare-net --die-with-parent --ro-bind /host/a /data/a"
        ));
        assert!(
            text.contains("--bind /host/b /data/b --perms 0700 --tmpfs /tmp --perms 0644 --file ")
        );
        assert!(text.ends_with("--clearenv --setenv A b=c --chdir / -- /bin/true"));
    }
}
