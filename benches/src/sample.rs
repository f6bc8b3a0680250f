// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small recording for the tests of this crate.

use std::path::PathBuf;

use stockade_protocol::codec::{decode_request, encode_request};
use stockade_protocol::request::{
    Access, Bind, Content, Demand, Destination, FdIndex, Operation, Propagation, SourceKind,
};
use stockade_protocol::text::{SandboxPath, Variable};

use crate::recording::Recording;

fn place(path: &str) -> Destination {
    Destination { path: SandboxPath::new(path).unwrap(), parents: 0o755 }
}

fn bind(source: u32, kind: SourceKind, path: &str, access: Access) -> Operation {
    Operation::Bind(Bind {
        source: FdIndex(source),
        kind,
        destination: place(path),
        access,
        propagation: Propagation::Private,
    })
}

/// Two binds, a tmpfs and a file in it; new IPC and network namespaces. The rest is as in the smallest
/// request there is: `true` in the root directory.
pub(crate) fn recording() -> Recording {
    let smallest = include_bytes!("../../protocol/tests/golden/request-smallest.bin");
    let mut request = decode_request(smallest).unwrap();
    request.namespaces.ipc = Demand::Required;
    request.namespaces.net = Demand::Required;
    request.operations = vec![
        bind(0, SourceKind::Directory, "/data/a", Access::ReadOnly),
        bind(1, SourceKind::File, "/data/b", Access::ReadWrite),
        Operation::Tmpfs { destination: place("/tmp"), mode: 0o700, size: None },
        Operation::File {
            destination: place("/tmp/x"),
            mode: 0o644,
            content: Content::Bytes(b"hi".to_vec()),
        },
    ];
    request.payload.environment = vec![Variable::new("A=b=c").unwrap()];
    request.supervision.end_with_caller = true;
    let names = vec![PathBuf::from("/host/a"), PathBuf::from("/host/b")];
    Recording { bytes: encode_request(&request).unwrap(), names }
}
