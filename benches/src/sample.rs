// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small recording for the tests of this crate.

use std::path::PathBuf;

use stockade_protocol::codec::encode_request;
use stockade_protocol::request::{
    Access, Bind, Content, Demand, Destination, FdIndex, Group, Init, Namespaces, Operation,
    Payload, Propagation, Request, SourceKind, Supervision, UserNamespace,
};
use stockade_protocol::text::{Argument, Program, SandboxPath, Variable};

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

/// Two binds, a tmpfs and a file in it; new IPC and network namespaces.
pub(crate) fn recording() -> Recording {
    let request = Request {
        namespaces: Namespaces {
            user: UserNamespace::Default,
            limit_user_namespaces: true,
            pid: Demand::Share,
            ipc: Demand::Required,
            net: Demand::Required,
            uts: Demand::Share,
            cgroup: Demand::Share,
            hostname: None,
        },
        operations: vec![
            bind(0, SourceKind::Directory, "/data/a", Access::ReadOnly),
            bind(1, SourceKind::File, "/data/b", Access::ReadWrite),
            Operation::Tmpfs { destination: place("/tmp"), mode: 0o700, size: None },
            Operation::File {
                destination: place("/tmp/x"),
                mode: 0o644,
                content: Content::Bytes(b"hi".to_vec()),
            },
        ],
        payload: Payload {
            programs: vec![Program::new("/bin/true").unwrap()],
            interpreter: None,
            arguments: vec![Argument::new("true").unwrap()],
            environment: vec![Variable::new("A=b=c").unwrap()],
            directories: vec![SandboxPath::root()],
            set_pwd: false,
            umask: 0o022,
            limits: Vec::new(),
            pass: Vec::new(),
            filters: Vec::new(),
            landlock: None,
            group: Group::Inherit,
            capabilities: 0,
            new_keyring: true,
            blocked_signals: 0,
            ignored_signals: 0,
        },
        supervision: Supervision {
            init: Init::Reaper,
            end_with_payload: true,
            end_with_caller: true,
            locks: Vec::new(),
            held: Vec::new(),
            gates: Vec::new(),
        },
    };
    let names = vec![PathBuf::from("/host/a"), PathBuf::from("/host/b")];
    Recording { bytes: encode_request(&request).unwrap(), names }
}
