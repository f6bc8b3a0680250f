// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the operations attach, made while the old root is in view.

use std::os::fd::OwnedFd;

use stockade_protocol::event::{Failure, Object};
use stockade_protocol::request::Operation;

use crate::caps::Caps;
use crate::devices;
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
    let tree = if let Source::Tree(tree) = source { Some(tree) } else { None };
    Ok(Some(match asked {
        // There is one; without it nothing is built (`Root::perform`). With privilege there is none of
        // the last kind.
        Operation::Bind(_)
        | Operation::Data { .. }
        | Operation::Overlay { .. }
        | Operation::UserNamespace { .. } => return Ok(tree.map(Part::Mount)),
        Operation::Tmpfs { destination: _, mode, size } => {
            Part::Mount(Kind::Tmpfs { mode: *mode, size: *size }.make(caps, object)?)
        }
        Operation::Proc { .. } => Part::Mount(Kind::Proc.make(caps, object)?),
        Operation::Mqueue { .. } => Part::Mount(Kind::Mqueue.make(caps, object)?),
        Operation::Devices { .. } => {
            Part::Devices(devices::Parts::make(caps, make_nodes, tree, object)?)
        }
        Operation::Directory { .. }
        | Operation::File { .. }
        | Operation::Symlink { .. }
        | Operation::Chmod { .. }
        | Operation::RemountReadOnly { .. } => return Ok(None),
    }))
}
