// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the operations attach, made while the old root is in view.

use std::os::fd::OwnedFd;

use stockade_protocol::event::{Failure, Object};
use stockade_protocol::request::Operation;

use crate::caps::Caps;
use crate::devices::{self, Nodes};
use crate::filesystems::Kind;
use crate::sources::Source;

/// What an operation will attach, made while the old root was in view.
pub(crate) enum Part {
    /// Nothing.
    None,
    /// A mount.
    Mount(OwnedFd),
    /// A private `/dev`.
    Devices(devices::Parts),
}

/// Makes what an operation attaches.
pub(crate) fn prepare(
    caps: &Caps,
    asked: &Operation,
    source: Source,
    nodes: Nodes,
    object: Object,
) -> Result<Part, Failure> {
    let tree = match source {
        Source::Tree(tree) => Some(tree),
        Source::None | Source::Place(_) => None,
    };
    Ok(match asked {
        Operation::Bind(_) | Operation::Data { .. } | Operation::UserNamespace { .. } => {
            tree.map_or(Part::None, Part::Mount)
        }
        Operation::Tmpfs { destination: _, mode, size } => {
            Part::Mount(Kind::Tmpfs { mode: *mode, size: *size }.make(caps, object)?)
        }
        Operation::Proc { .. } => Part::Mount(Kind::Proc.make(caps, object)?),
        Operation::Mqueue { .. } => Part::Mount(Kind::Mqueue.make(caps, object)?),
        Operation::Devices { .. } => {
            Part::Devices(devices::Parts::make(caps, nodes, tree, object)?)
        }
        Operation::Directory { .. }
        | Operation::File { .. }
        | Operation::Symlink { .. }
        | Operation::Chmod { .. }
        | Operation::RemountReadOnly { .. } => Part::None,
    })
}
