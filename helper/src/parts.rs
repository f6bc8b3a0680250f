// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the operations attach, made while the old root is in view.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use stockade_protocol::event::{Call, Failure, Object, Stage};
use stockade_protocol::request::Operation;

use crate::caps::Caps;
use crate::devices;
use crate::fault::failed;
use crate::filesystems::Kind;
use crate::sources::Source;

/// What an operation will attach.
pub(crate) enum Part {
    /// A mount.
    Mount(OwnedFd),
    /// A private `/dev`.
    Devices(devices::Parts),
}

/// Makes what an operation attaches, if it attaches anything.
pub(crate) fn prepare(
    caps: &Caps,
    asked: &Operation,
    source: Source,
    make_nodes: bool,
    object: Object,
) -> Result<Option<Part>, Failure> {
    let tree = match source {
        Source::Tree(tree) => Some(tree),
        Source::None | Source::Place(_) => None,
    };
    Ok(Some(match asked {
        Operation::Bind(_) | Operation::Data { .. } => {
            // There is one; a sandbox without it would be another one than was asked for.
            let none = failed(Stage::Build, Call::OpenTree, object)(Errno::BADF);
            Part::Mount(tree.ok_or(none)?)
        }
        // With privilege there is none.
        Operation::UserNamespace { .. } => return Ok(tree.map(Part::Mount)),
        Operation::Tmpfs { destination: _, mode, size } => {
            Part::Mount(Kind::Tmpfs { mode: *mode, size: *size }.make(caps, object)?)
        }
        Operation::Proc { .. } => Part::Mount(Kind::Proc.make(caps, object)?),
        Operation::Mqueue { .. } => Part::Mount(Kind::Mqueue.make(caps, object)?),
        Operation::Devices { .. } => {
            Part::Devices(devices::Parts::make(caps, make_nodes, tree, object)?)
        }
        Operation::Overlay { .. }
        | Operation::Directory { .. }
        | Operation::File { .. }
        | Operation::Symlink { .. }
        | Operation::Chmod { .. }
        | Operation::RemountReadOnly { .. } => return Ok(None),
    }))
}
