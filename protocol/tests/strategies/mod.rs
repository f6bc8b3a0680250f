// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random messages.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
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

fn letters(least: usize, most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(1_u8.., least..=most)
}

fn path() -> impl Strategy<Value = SandboxPath> {
    let component = letters(1, 12)
        .prop_map(|bytes| bytes.into_iter().map(|b| if b == b'/' { b'_' } else { b }).collect())
        .prop_filter("not a special name", |bytes: &Vec<u8>| bytes != b"." && bytes != b"..");
    vec(component, 0..6).prop_map(|components: Vec<Vec<u8>>| {
        let mut bytes = Vec::new();
        for component in &components {
            bytes.push(b'/');
            bytes.extend_from_slice(component);
        }
        if bytes.is_empty() { SandboxPath::root() } else { SandboxPath::new(bytes).unwrap() }
    })
}

fn destination() -> impl Strategy<Value = Destination> {
    (path(), any::<u32>()).prop_map(|(path, parents)| Destination { path, parents })
}

fn index() -> impl Strategy<Value = FdIndex> {
    any::<u32>().prop_map(FdIndex)
}

fn bind() -> impl Strategy<Value = Operation> {
    let kind = select(vec![SourceKind::Directory, SourceKind::File]);
    let access = select(vec![Access::ReadOnly, Access::ReadWrite, Access::Device]);
    let propagation = select(vec![Propagation::Private, Propagation::Slave]);
    (index(), kind, destination(), access, propagation).prop_map(
        |(source, kind, destination, access, propagation)| {
            Operation::Bind(Bind { source, kind, destination, access, propagation })
        },
    )
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        vec(any::<u8>(), 0..64).prop_map(Content::Bytes),
        index().prop_map(Content::Descriptor)
    ]
}

fn upper() -> impl Strategy<Value = Upper> {
    prop_oneof![
        Just(Upper::None),
        Just(Upper::Temporary),
        (index(), index()).prop_map(|(upper, work)| Upper::Directories { upper, work })
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = destination;
    prop_oneof![
        bind(),
        (place(), any::<u32>(), option::of(any::<u64>()))
            .prop_map(|(destination, mode, size)| { Operation::Tmpfs { destination, mode, size } }),
        (place(), any::<bool>())
            .prop_map(|(destination, protect)| Operation::Proc { destination, protect }),
        (place(), option::of(index()))
            .prop_map(|(destination, console)| Operation::Devices { destination, console }),
        place().prop_map(|destination| Operation::Mqueue { destination }),
        (place(), any::<u32>())
            .prop_map(|(destination, mode)| Operation::Directory { destination, mode }),
        (place(), any::<u32>(), content()).prop_map(|(destination, mode, content)| {
            Operation::File { destination, mode, content }
        }),
        (place(), letters(1, 40)).prop_map(|(destination, target)| Operation::Symlink {
            destination,
            target: SymlinkTarget::new(target).unwrap()
        }),
        (path(), any::<u32>()).prop_map(|(path, mode)| Operation::Chmod { path, mode }),
        path().prop_map(|path| Operation::RemountReadOnly { path }),
        (place(), any::<u32>(), content(), any::<bool>()).prop_map(
            |(destination, mode, content, writable)| Operation::Data {
                destination,
                mode,
                content,
                writable
            }
        ),
        place().prop_map(|destination| Operation::UserNamespace { destination }),
        (place(), vec(index(), 0..5), upper()).prop_map(|(destination, lower, upper)| {
            Operation::Overlay { destination, lower, upper }
        }),
    ]
}

fn demand() -> impl Strategy<Value = Demand> {
    select(vec![Demand::Share, Demand::Optional, Demand::Required])
}

fn namespaces() -> impl Strategy<Value = Namespaces> {
    let user = prop_oneof![
        Just(UserNamespace::Default),
        option::of(index()).prop_map(|last| UserNamespace::Given { last }),
        (any::<u32>(), any::<u32>()).prop_map(|(uid, gid)| UserNamespace::Mapped { uid, gid })
    ];
    let hostname = option::of("[A-Za-z0-9.-]{1,63}".prop_map(|text| Hostname::new(text).unwrap()));
    let five = (demand(), demand(), demand(), demand(), demand());
    (user, any::<bool>(), five, hostname).prop_map(
        |(user, limit_user_namespaces, (pid, ipc, net, uts, cgroup), hostname)| Namespaces {
            user,
            limit_user_namespaces,
            pid,
            ipc,
            net,
            uts,
            cgroup,
            hostname,
        },
    )
}

fn program() -> impl Strategy<Value = Program> {
    letters(1, 40).prop_map(|bytes| Program::new(bytes).unwrap())
}

fn variable() -> impl Strategy<Value = Variable> {
    ("[A-Z]{1,8}", letters(0, 20)).prop_map(|(name, value)| {
        let mut bytes = name.into_bytes();
        bytes.push(b'=');
        bytes.extend(value);
        Variable::new(bytes).unwrap()
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    vec(any::<[u8; 8]>(), 1..5).prop_map(|program| Filter::new(program.concat()).unwrap())
}

fn payload() -> impl Strategy<Value = Payload> {
    let argument = letters(0, 30).prop_map(|bytes| Argument::new(bytes).unwrap());
    let limit = (any::<u32>(), any::<u64>(), any::<u64>())
        .prop_map(|(resource, soft, hard)| Limit { resource, soft, hard });
    let pass = (index(), any::<u32>()).prop_map(|(source, target)| Pass { source, target });
    let group = prop_oneof![
        select(vec![Group::Inherit, Group::Session]),
        option::of(any::<u32>()).prop_map(|terminal| Group::Own { terminal })
    ];
    let start = (
        vec(program(), 0..4),
        option::of(program()),
        vec(argument, 0..5),
        vec(variable(), 0..5),
        vec(path(), 0..3),
    );
    let state = (any::<bool>(), any::<u32>(), vec(limit, 0..3), vec(pass, 0..3));
    let fence = (vec(filter(), 0..3), option::of(index()), group, any::<u64>(), any::<bool>());
    let signals = (any::<u64>(), any::<u64>());
    (start, state, fence, signals).prop_map(|(start, state, fence, signals)| {
        let (programs, interpreter, arguments, environment, directories) = start;
        let (set_pwd, umask, limits, pass) = state;
        let (filters, landlock, group, capabilities, new_keyring) = fence;
        Payload {
            programs,
            interpreter,
            arguments,
            environment,
            directories,
            set_pwd,
            umask,
            limits,
            pass,
            filters,
            landlock,
            group,
            capabilities,
            new_keyring,
            blocked_signals: signals.0,
            ignored_signals: signals.1,
        }
    })
}

/// Requests whose texts are well-formed; the rules of `check` may be broken.
pub fn request() -> impl Strategy<Value = Request> {
    let ends = (select(vec![Init::Reaper, Init::Payload]), any::<bool>(), any::<bool>());
    let gate = (index(), any::<bool>()).prop_map(|(source, end_opens)| Gate { source, end_opens });
    let holds = (vec(path(), 0..3), vec(index(), 0..3), vec(gate, 0..3));
    let supervision = (ends, holds).prop_map(
        |((init, end_with_payload, end_with_caller), (locks, held, gates))| Supervision {
            init,
            end_with_payload,
            end_with_caller,
            locks,
            held,
            gates,
        },
    );
    (namespaces(), vec(operation(), 0..12), payload(), supervision, any::<bool>()).prop_map(
        |(namespaces, operations, payload, supervision, follow_links)| Request {
            namespaces,
            operations,
            payload,
            supervision,
            follow_links,
        },
    )
}

fn namespace() -> impl Strategy<Value = Namespace> {
    use Namespace::{Cgroup, Ipc, Mount, Net, Pid, User, Uts};
    select(vec![Cgroup, Ipc, Mount, Net, Pid, User, Uts])
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let faults = vec![DecodeFault::TooLarge, DecodeFault::Text(TextFault::Hostname)];
    prop_oneof![
        select(vec![HeaderFault::Magic, HeaderFault::Descriptors]).prop_map(Refusal::Header),
        select(faults).prop_map(Refusal::Decode),
        Just(Refusal::Descriptors),
        (select(vec![Rule::OperationCount, Rule::Ids]), any::<u32>())
            .prop_map(|(rule, index)| Refusal::Rule(rule, index)),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    let object = prop_oneof![
        Just(Object::None),
        any::<u32>().prop_map(Object::Operation),
        namespace().prop_map(Object::Namespace),
        any::<u32>().prop_map(Object::Directory),
        any::<u32>().prop_map(Object::Lock),
    ];
    let stage = select(vec![Stage::LockDown, Stage::Build, Stage::Start]);
    let call = select(vec![Call::Capset, Call::Execve, Call::Write]);
    let hint = select(vec![Hint::None, Hint::NotATerminal]);
    (stage, call, any::<u32>(), object, hint)
        .prop_map(|(stage, call, errno, object, hint)| Failure { stage, call, errno, object, hint })
}

/// Events.
pub fn event() -> impl Strategy<Value = Event> {
    let modes = vec![Mode::Root, Mode::SetuidRoot, Mode::FileCapabilities, Mode::Unprivileged];
    let exit = prop_oneof![
        any::<u8>().prop_map(Exit::Code),
        any::<u8>().prop_map(Exit::Signal),
        Just(Exit::Lost)
    ];
    let what = prop_oneof![
        namespace().prop_map(MissingKind::Namespace),
        Just(MissingKind::Loopback),
        Just(MissingKind::Keyring)
    ];
    let inode = (namespace(), any::<u64>()).prop_map(|(kind, inode)| NamespaceId { kind, inode });
    prop_oneof![
        (any::<u16>(), any::<u16>())
            .prop_map(|(oldest, newest)| Event::Unsupported { oldest, newest }),
        refusal().prop_map(Event::Refused),
        select(modes).prop_map(|mode| Event::Ready { mode }),
        (what, any::<u32>()).prop_map(|(what, errno)| Event::Missing(Missing { what, errno })),
        (any::<u32>(), any::<u32>(), vec(inode, 0..8)).prop_map(|(payload, init, namespaces)| {
            Event::Started { payload, init, namespaces }
        }),
        failure().prop_map(Event::Failed),
        any::<u32>().prop_map(|signal| Event::Stopped { signal }),
        exit.prop_map(Event::Exited),
    ]
}
