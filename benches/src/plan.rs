// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan of the floor (`floor.c`): a recording as a flat list of NUL-terminated words, so that
//! reading it costs nothing.
//!
//! In order: number of binds, `CLONE_*` flags, host name, for each bind the mount attributes and the
//! source; the operations, ended by `.`; whether a Landlock ruleset is made; umask, directory,
//! arguments and environment (each counted), program; number of filters, each with its length in
//! front of its bytes.

use std::collections::HashSet;
use std::io;
use std::os::unix::ffi::OsStrExt;

use stockade_protocol::request::{
    Access, Content, Demand, Destination, Operation, Request, SourceKind,
};
use stockade_protocol::text::SandboxPath;

use crate::recording::Recording;

const CLONE_NEWCGROUP: u64 = 0x0200_0000;
const CLONE_NEWUTS: u64 = 0x0400_0000;
const CLONE_NEWIPC: u64 = 0x0800_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
const CLONE_NEWNET: u64 = 0x4000_0000;

const MOUNT_ATTR_RDONLY: u64 = 1;
const MOUNT_ATTR_NOSUID: u64 = 2;
const MOUNT_ATTR_NODEV: u64 = 4;

/// In place of what was in a descriptor.
const STAND_IN: &[u8] = &[b'x'; 500];

/// Words under construction.
#[derive(Default)]
struct Words(Vec<u8>);

impl Words {
    fn word(&mut self, word: impl AsRef<[u8]>) {
        self.0.extend_from_slice(word.as_ref());
        self.0.push(0);
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        self.word(number.to_string());
    }

    /// Directories on the way to `place` that no earlier operation has made.
    fn parents(&mut self, place: &Destination, known: &mut HashSet<Vec<u8>>) {
        let mut components: Vec<&[u8]> = place.path.components().collect();
        components.pop();
        let mut parent = Vec::new();
        for component in components {
            parent.push(b'/');
            parent.extend_from_slice(component);
            if known.insert(parent.clone()) {
                self.word("d");
                self.number(place.parents);
                self.word(&parent);
            }
        }
        known.insert(place.path.as_bytes().to_vec());
    }

    fn file(&mut self, path: &SandboxPath, mode: u32, bytes: &[u8]) {
        self.word("f");
        self.number(mode);
        self.number(bytes.len());
        self.word(path.as_bytes());
        self.0.extend_from_slice(bytes);
    }
}

/// The plan of a recording.
///
/// # Errors
/// If it holds something that the floor does not do.
pub fn plan(recording: &Recording) -> io::Result<Vec<u8>> {
    let request = recording.request()?;
    let mut words = Words::default();
    let binds: Vec<_> = request
        .operations
        .iter()
        .filter_map(|operation| match operation {
            Operation::Bind(bind) => Some(bind),
            Operation::Tmpfs { .. }
            | Operation::Proc { .. }
            | Operation::Devices { .. }
            | Operation::Mqueue { .. }
            | Operation::Directory { .. }
            | Operation::File { .. }
            | Operation::Symlink { .. }
            | Operation::Chmod { .. }
            | Operation::Data { .. }
            | Operation::UserNamespace { .. }
            | Operation::Overlay { .. }
            | Operation::RemountReadOnly { .. } => None,
        })
        .collect();
    words.number(binds.len());
    words.number(flags(&request));
    words.word(request.namespaces.hostname.as_ref().map_or(&b""[..], |name| name.as_bytes()));
    for bind in binds {
        words.number(match bind.access {
            Access::ReadOnly => MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
            Access::ReadWrite => MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
            Access::Device => MOUNT_ATTR_NOSUID,
        });
        words.word(recording.source(bind.source)?.as_os_str().as_bytes());
    }
    operations(&request, &mut words)?;
    payload(&request, &mut words)?;
    Ok(words.0)
}

fn flags(request: &Request) -> u64 {
    let wanted = &request.namespaces;
    [
        (wanted.pid, CLONE_NEWPID),
        (wanted.ipc, CLONE_NEWIPC),
        (wanted.net, CLONE_NEWNET),
        (wanted.uts, CLONE_NEWUTS),
        (wanted.cgroup, CLONE_NEWCGROUP),
    ]
    .into_iter()
    .filter(|(demand, _)| *demand != Demand::Share)
    .fold(0, |flags, (_, flag)| flags | flag)
}

fn operations(request: &Request, words: &mut Words) -> io::Result<()> {
    let mut known = HashSet::new();
    for operation in &request.operations {
        match operation {
            Operation::Bind(bind) => {
                words.parents(&bind.destination, &mut known);
                words.word("b");
                words.word(if bind.kind == SourceKind::Directory { "d" } else { "f" });
                words.word(bind.destination.path.as_bytes());
            }
            Operation::Tmpfs { destination, mode, size } => {
                words.parents(destination, &mut known);
                words.word("t");
                words.number(mode);
                words.word(size.map(|size| size.to_string()).unwrap_or_default());
                words.word(destination.path.as_bytes());
            }
            Operation::Proc { destination, protect } => {
                words.parents(destination, &mut known);
                words.word("p");
                words.number(u8::from(*protect));
                words.word(destination.path.as_bytes());
            }
            Operation::Devices { destination, console: _ } => {
                words.parents(destination, &mut known);
                words.word("D");
                words.word(destination.path.as_bytes());
            }
            // The least that shows a user namespace there is to leave it out.
            Operation::UserNamespace { .. } => {}
            Operation::Overlay { .. } => {
                return Err(io::Error::other("overlays are not compared"));
            }
            Operation::Mqueue { destination } => {
                words.parents(destination, &mut known);
                words.word("m");
                words.word(destination.path.as_bytes());
            }
            Operation::Directory { destination, mode } => {
                words.parents(destination, &mut known);
                words.word("d");
                words.number(mode);
                words.word(destination.path.as_bytes());
            }
            Operation::File { destination, mode, content: Content::Bytes(bytes) } => {
                words.parents(destination, &mut known);
                words.file(&destination.path, *mode, bytes);
            }
            // What a descriptor held is not recorded. Data is made where it is to be seen: a mount is
            // not necessary for that.
            Operation::File { destination, mode, content: Content::Descriptor(_) }
            | Operation::Data { destination, mode, .. } => {
                words.parents(destination, &mut known);
                words.file(&destination.path, *mode, STAND_IN);
            }
            Operation::Symlink { destination, target } => {
                words.parents(destination, &mut known);
                words.word("s");
                words.word(target.as_bytes());
                words.word(destination.path.as_bytes());
            }
            Operation::Chmod { path, mode } => {
                words.word("c");
                words.number(mode);
                words.word(path.as_bytes());
            }
            Operation::RemountReadOnly { path } => {
                words.word("r");
                words.word(path.as_bytes());
            }
        }
    }
    words.word(".");
    Ok(())
}

fn payload(request: &Request, words: &mut Words) -> io::Result<()> {
    let payload = &request.payload;
    let missing = || io::Error::other("a request without program or directory");
    words.number(u8::from(payload.landlock.is_some()));
    words.number(payload.umask);
    words.word(payload.directories.first().ok_or_else(missing)?.as_bytes());
    words.number(payload.arguments.len());
    for argument in &payload.arguments {
        words.word(argument.as_bytes());
    }
    words.number(payload.environment.len());
    for variable in &payload.environment {
        words.word(variable.as_bytes());
    }
    words.word(payload.programs.first().ok_or_else(missing)?.as_bytes());
    words.number(payload.filters.len());
    for filter in &payload.filters {
        words.number(filter.as_bytes().len());
        words.0.extend_from_slice(filter.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn plan_makes_each_parent_once() {
        let words = plan(&sample::recording()).unwrap();
        let words = String::from_utf8(words).unwrap();
        let words: Vec<&str> = words.split('\0').collect();
        assert_eq!(words[..3], ["2", (CLONE_NEWIPC | CLONE_NEWNET).to_string().as_str(), ""]);
        assert_eq!(words[3..7], ["7", "/host/a", "6", "/host/b"]);
        let operations = [
            "d", "493", "/data", "b", "d", "/data/a", "b", "f", "/data/b", "t", "448", "", "/tmp",
            "f", "420", "2", "/tmp/x",
        ];
        assert_eq!(words[7..7 + operations.len()], operations);
    }
}
