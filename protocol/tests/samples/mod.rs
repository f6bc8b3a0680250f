// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that together use every variant of the protocol, with names for the golden files.

use stockade_protocol::check::{Refusal, Rule};
use stockade_protocol::codec::DecodeFault;
use stockade_protocol::event::{
    Call, Event, Exit, Failure, Hint, Missing, MissingKind, Mode, Namespace, NamespaceId, Object,
    Stage,
};
use stockade_protocol::header::HeaderFault;
use stockade_protocol::request::{
    Access, Bind, Content, Demand, Destination, FdIndex, Gate, Group, Init, Limit, Namespaces,
    Operation, Pass, Payload, Propagation, Request, SourceKind, Supervision, Upper, UserNamespace,
};
use stockade_protocol::text::{
    Argument, Filter, Hostname, Program, SandboxPath, SymlinkTarget, TextFault, Variable,
};

/// The smallest request that the rules allow.
pub fn smallest() -> Request {
    Request {
        namespaces: Namespaces {
            user: UserNamespace::Default,
            limit_user_namespaces: false,
            pid: Demand::Share,
            ipc: Demand::Share,
            net: Demand::Share,
            uts: Demand::Share,
            cgroup: Demand::Share,
            hostname: None,
        },
        operations: Vec::new(),
        payload: Payload {
            programs: vec![Program::new("/bin/true").unwrap()],
            interpreter: None,
            arguments: vec![Argument::new("true").unwrap()],
            environment: Vec::new(),
            directories: vec![SandboxPath::root()],
            set_pwd: false,
            umask: 0,
            limits: Vec::new(),
            pass: Vec::new(),
            filters: Vec::new(),
            landlock: None,
            group: Group::Inherit,
            capabilities: 0,
            new_keyring: false,
            blocked_signals: 0,
            ignored_signals: 0,
        },
        supervision: Supervision {
            init: Init::Reaper,
            end_with_payload: false,
            end_with_caller: false,
            locks: Vec::new(),
            held: Vec::new(),
            gates: Vec::new(),
        },
        follow_links: false,
    }
}

/// A destination whose parents are made with 0755.
pub fn place(path: &str) -> Destination {
    Destination { path: SandboxPath::new(path).unwrap(), parents: 0o755 }
}

/// Every operation but overlays, every option of it at least once; uses the descriptors 0 to 4 and 7.
pub fn operations() -> Vec<Operation> {
    let bind = |source: u32, kind, path: &str, access, propagation| {
        let destination = place(path);
        Operation::Bind(Bind { source: FdIndex(source), kind, destination, access, propagation })
    };
    let destination = place;
    vec![
        bind(0, SourceKind::Directory, "/usr", Access::ReadOnly, Propagation::Private),
        bind(1, SourceKind::Directory, "/home/a", Access::ReadWrite, Propagation::Slave),
        bind(2, SourceKind::File, "/dev/dri/card0", Access::Device, Propagation::Private),
        Operation::Tmpfs { destination: destination("/tmp"), mode: 0o1777, size: None },
        Operation::Tmpfs { destination: destination("/run"), mode: 0o755, size: Some(1 << 40) },
        Operation::Proc { destination: destination("/proc"), protect: true },
        Operation::Devices { destination: destination("/dev"), console: None },
        Operation::Devices { destination: destination("/other/dev"), console: Some(FdIndex(3)) },
        Operation::Mqueue { destination: destination("/dev/mqueue") },
        Operation::Directory { destination: destination("/var/lib"), mode: 0o700 },
        Operation::File {
            destination: destination("/etc/passwd"),
            mode: 0o644,
            content: Content::Bytes(b"root:x:0:0::/:/bin/sh\n".to_vec()),
        },
        Operation::File {
            destination: destination("/etc/group"),
            mode: 0o600,
            content: Content::Descriptor(FdIndex(4)),
        },
        Operation::Symlink {
            destination: destination("/bin"),
            target: SymlinkTarget::new("usr/bin").unwrap(),
        },
        Operation::Chmod { path: SandboxPath::new("/run").unwrap(), mode: 0o555 },
        Operation::RemountReadOnly { path: SandboxPath::root() },
        Operation::Data {
            destination: destination("/.flatpak-info"),
            mode: 0o600,
            content: Content::Descriptor(FdIndex(7)),
            writable: true,
        },
        Operation::UserNamespace { destination: destination("/run/.userns") },
    ]
}

/// Overlays of every kind; uses the descriptors 0 to 7.
pub fn overlays() -> Request {
    let overlay = |path: &str, lower: &[u32], upper| {
        let lower = lower.iter().copied().map(FdIndex).collect();
        Operation::Overlay { destination: place(path), lower, upper }
    };
    let mut request = smallest();
    request.operations = vec![
        overlay("/kept", &[0, 1], Upper::Directories { upper: FdIndex(2), work: FdIndex(3) }),
        overlay("/forgotten", &[4], Upper::Temporary),
        overlay("/fixed", &[6, 5, 7], Upper::None),
    ];
    request
}

/// A request with something in every field; uses the descriptors 0 to 9.
pub fn fullest() -> Request {
    let instruction = [6, 0, 0, 0, 0, 0, 0xff, 0x7f];
    Request {
        namespaces: Namespaces {
            user: UserNamespace::Mapped { uid: 1000, gid: 100 },
            limit_user_namespaces: true,
            pid: Demand::Required,
            ipc: Demand::Required,
            net: Demand::Optional,
            uts: Demand::Required,
            cgroup: Demand::Optional,
            hostname: Some(Hostname::new("box-1.example").unwrap()),
        },
        operations: operations(),
        payload: Payload {
            programs: vec![
                Program::new("/usr/bin/env").unwrap(),
                Program::new("bin/\u{fc}nv").unwrap(),
            ],
            interpreter: Some(Program::new("/bin/sh").unwrap()),
            arguments: vec![Argument::new("env").unwrap(), Argument::new("").unwrap()],
            environment: vec![
                Variable::new("PATH=/usr/bin").unwrap(),
                Variable::new(&b"ODD=\xff\x01"[..]).unwrap(),
            ],
            directories: vec![SandboxPath::new("/home/a").unwrap(), SandboxPath::root()],
            set_pwd: true,
            umask: 0o077,
            limits: vec![
                Limit { resource: 7, soft: 1024, hard: 4096 },
                Limit { resource: 4, soft: 0, hard: u64::MAX },
            ],
            pass: vec![Pass { source: FdIndex(5), target: 9 }],
            filters: vec![
                Filter::new(instruction.to_vec()).unwrap(),
                Filter::new(instruction.repeat(3)).unwrap(),
            ],
            landlock: Some(FdIndex(6)),
            group: Group::Own { terminal: Some(2) },
            capabilities: 1 << 13,
            new_keyring: true,
            blocked_signals: 1 << 14,
            ignored_signals: 1 << 12,
        },
        supervision: Supervision {
            init: Init::Reaper,
            end_with_payload: true,
            end_with_caller: true,
            locks: vec![SandboxPath::new("/usr/.ref").unwrap()],
            held: vec![FdIndex(8)],
            gates: vec![Gate { source: FdIndex(9), end_opens: true }],
        },
        follow_links: true,
    }
}

/// Requests of the golden files.
pub fn requests() -> Vec<(&'static str, Request)> {
    let mut session = smallest();
    session.payload.group = Group::Session;
    session.supervision.init = Init::Payload;
    session.namespaces.user = UserNamespace::Mapped { uid: 0, gid: 0 };
    let mut given = smallest();
    given.namespaces.user = UserNamespace::Given { last: Some(FdIndex(0)) };
    vec![
        ("request-given", given),
        ("request-overlays", overlays()),
        ("request-smallest", smallest()),
        ("request-fullest", fullest()),
        ("request-session", session),
    ]
}

/// Events of the golden files.
pub fn events() -> Vec<(&'static str, Event)> {
    let missing = |what, errno| Event::Missing(Missing { what, errno });
    let inode = |kind, inode| NamespaceId { kind, inode };
    vec![
        ("event-unsupported", Event::Unsupported { oldest: 1, newest: 3 }),
        ("event-refused-header", Event::Refused(Refusal::Header(HeaderFault::Magic))),
        ("event-refused-bytes", Event::Refused(Refusal::Decode(DecodeFault::Trailing))),
        (
            "event-refused-text",
            Event::Refused(Refusal::Decode(DecodeFault::Text(TextFault::Component))),
        ),
        ("event-refused-descriptors", Event::Refused(Refusal::Descriptors)),
        ("event-refused-rule", Event::Refused(Refusal::Rule(Rule::DescriptorUse, 41))),
        ("event-ready-root", Event::Ready { mode: Mode::Root }),
        ("event-ready-setuid", Event::Ready { mode: Mode::SetuidRoot }),
        ("event-ready-capabilities", Event::Ready { mode: Mode::FileCapabilities }),
        ("event-ready-unprivileged", Event::Ready { mode: Mode::Unprivileged }),
        ("event-missing-namespace", missing(MissingKind::Namespace(Namespace::Cgroup), 1)),
        ("event-missing-loopback", missing(MissingKind::Loopback, 0)),
        ("event-missing-keyring", missing(MissingKind::Keyring, 38)),
        (
            "event-started",
            Event::Started {
                payload: 4_194_303,
                init: 4711,
                namespaces: vec![
                    inode(Namespace::Mount, 4_026_532_000),
                    inode(Namespace::Pid, 4_026_532_001),
                    inode(Namespace::User, u64::MAX),
                ],
            },
        ),
        (
            "event-failed",
            Event::Failed(Failure {
                stage: Stage::Clone,
                call: Call::OpenTree,
                errno: 22,
                object: Object::Operation(12),
                hint: Hint::SourceElsewhere,
            }),
        ),
        (
            "event-failed-last-variants",
            Event::Failed(Failure {
                stage: Stage::Start,
                call: Call::Write,
                errno: 4095,
                object: Object::Lock(7),
                hint: Hint::NotATerminal,
            }),
        ),
        (
            "event-failed-setns",
            Event::Failed(Failure {
                stage: Stage::Drop,
                call: Call::Setns,
                errno: 1,
                object: Object::Namespace(Namespace::User),
                hint: Hint::RestrictedProc,
            }),
        ),
        ("event-stopped", Event::Stopped { signal: 20 }),
        ("event-exited-code", Event::Exited(Exit::Code(255))),
        ("event-exited-signal", Event::Exited(Exit::Signal(9))),
        ("event-exited-lost", Event::Exited(Exit::Lost)),
    ]
}
