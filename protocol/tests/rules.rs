// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each rule of `check`, broken alone in a request that follows all others.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::tests_outside_test_module,
    reason = "this is a test"
)]

#[allow(dead_code, reason = "shared with the golden files")]
mod samples;

use stockade_protocol::event::Mode;
use stockade_protocol::request::{
    Access, Bind, Content, Demand, FdIndex, Gate, Group, Init, Limit, Operation, Pass, Propagation,
    Request, SourceKind, Upper, UserNamespace,
};
use stockade_protocol::text::{Argument, Filter, Hostname, Program, SandboxPath, SymlinkTarget};
use stockade_protocol::{Refusal, check, check::Rule, limits};

const ALL_MODES: [Mode; 4] =
    [Mode::Root, Mode::SetuidRoot, Mode::FileCapabilities, Mode::Unprivileged];

/// The refusal of the smallest request after `change`, with this many descriptors.
fn refusal(descriptors: usize, change: impl FnOnce(&mut Request)) -> Option<Refusal> {
    let mut request = samples::smallest();
    change(&mut request);
    check(request, descriptors).err()
}

fn operation(operation: Operation) -> Option<Refusal> {
    refusal(0, |request| request.operations.push(operation))
}

fn broken(rule: Rule) -> Option<Refusal> {
    Some(Refusal::Rule(rule, 0))
}

fn gate(index: u32) -> Gate {
    Gate { source: FdIndex(index), end_opens: false }
}

#[test]
fn the_samples_follow_the_rules() {
    assert!(check(samples::smallest(), 0).is_ok());
    assert!(check(samples::fullest(), 10).is_ok());
    assert!(check(samples::overlays(), 8).is_ok());
}

#[test]
fn operations_beyond_the_limit_are_refused() {
    let many = vec![Operation::RemountReadOnly { path: SandboxPath::root() }; limits::OPERATIONS];
    assert_eq!(refusal(0, |r| r.operations.clone_from(&many)), None);
    let more = [many, vec![Operation::RemountReadOnly { path: SandboxPath::root() }]].concat();
    assert_eq!(refusal(0, |r| r.operations = more), broken(Rule::OperationCount));
}

#[test]
fn odd_permission_bits_are_refused() {
    let place = || samples::place("/a");
    assert_eq!(refusal(0, |r| r.payload.umask = 0o1000), broken(Rule::Mode));
    let mode = 0o10000;
    let tmpfs = Operation::Tmpfs { destination: place(), mode: 0o2000, size: None };
    let file = Operation::File { destination: place(), mode, content: Content::Bytes(vec![]) };
    let chmod = Operation::Chmod { path: SandboxPath::root(), mode };
    let mut parents = place();
    parents.parents = mode;
    let parents = Operation::Mqueue { destination: parents };
    for odd in [tmpfs, file, chmod, parents, Operation::Directory { destination: place(), mode }] {
        assert_eq!(operation(odd.clone()), broken(Rule::Mode), "{odd:?}");
    }
}

#[test]
fn impossible_tmpfs_sizes_are_refused() {
    for size in [0, 1 << 63, u64::MAX] {
        let destination = samples::place("/a");
        let tmpfs = Operation::Tmpfs { destination, mode: 0o755, size: Some(size) };
        assert_eq!(operation(tmpfs), broken(Rule::Size), "{size}");
    }
}

#[test]
fn the_root_cannot_become_a_file_or_a_link() {
    let destination = || samples::place("/");
    let content = Content::Bytes(vec![]);
    let file = Operation::File { destination: destination(), mode: 0o644, content };
    assert_eq!(operation(file), broken(Rule::Root));
    let target = SymlinkTarget::new("a").unwrap();
    let link = Operation::Symlink { destination: destination(), target };
    assert_eq!(operation(link), broken(Rule::Root));
}

#[test]
fn pseudo_file_systems_need_a_namespace_of_their_own() {
    let destination = || samples::place("/a");
    for kept in [Demand::Share, Demand::Optional] {
        let proc = refusal(0, |r| {
            r.namespaces.pid = kept;
            r.operations.push(Operation::Proc { destination: destination(), protect: false });
        });
        assert_eq!(proc, broken(Rule::ProcNeedsPid), "T49");
        let mqueue = refusal(0, |r| {
            r.namespaces.ipc = kept;
            r.operations.push(Operation::Mqueue { destination: destination() });
        });
        assert_eq!(mqueue, broken(Rule::MqueueNeedsIpc), "T49");
        let hostname = refusal(0, |r| {
            r.namespaces.uts = kept;
            r.namespaces.hostname = Some(Hostname::new("a").unwrap());
        });
        assert_eq!(hostname, broken(Rule::HostnameNeedsUts), "T55");
    }
}

#[test]
fn what_is_held_needs_somebody_to_hold_it() {
    let lock = SandboxPath::new("/a").unwrap();
    let without_init = |change: &dyn Fn(&mut Request)| {
        refusal(1, |r| {
            r.supervision.init = Init::Payload;
            change(r);
        })
    };
    let locked = without_init(&|r| {
        r.supervision.locks = vec![lock.clone()];
        r.supervision.gates = vec![gate(0)];
    });
    assert_eq!(locked, broken(Rule::HoldingNeedsInit));
    let held = without_init(&|r| r.supervision.held = vec![FdIndex(0)]);
    assert_eq!(held, broken(Rule::HoldingNeedsInit));
    assert_eq!(without_init(&|r| r.supervision.gates = vec![gate(0)]), None);
    let many = refusal(0, |r| r.supervision.locks = vec![lock.clone(); limits::LOCKS + 1]);
    assert_eq!(many, broken(Rule::LockCount));
    let gates = u32::try_from(limits::GATES).unwrap();
    let many = refusal(5, |r| r.supervision.gates = (0..=gates).map(gate).collect());
    assert_eq!(many, broken(Rule::GateCount));
}

#[test]
fn what_cannot_be_ignored_is_not_to_be() {
    for signal in [9, 19] {
        let ignored = refusal(0, |r| r.payload.ignored_signals = 1 << (signal - 1));
        assert_eq!(ignored, broken(Rule::IgnoredSignals), "signal {signal}");
    }
    assert_eq!(refusal(0, |r| r.payload.blocked_signals = u64::MAX), None);
}

#[test]
fn a_slave_bind_is_never_read_only() {
    let slave = |access| Bind {
        source: FdIndex(0),
        kind: SourceKind::Directory,
        destination: samples::place("/a"),
        access,
        propagation: Propagation::Slave,
    };
    let refused = |bind| refusal(1, |r| r.operations.push(Operation::Bind(bind)));
    assert_eq!(refused(slave(Access::ReadOnly)), broken(Rule::SlaveReadOnly), "T44");
    assert_eq!(refused(slave(Access::ReadWrite)), None);
    assert_eq!(refused(slave(Access::Device)), None);
}

#[test]
fn lists_of_the_payload_have_their_limits() {
    let program = Program::new("/a").unwrap();
    let argument = Argument::new("a").unwrap();
    let filter = Filter::new(vec![0; 8]).unwrap();
    let none = refusal(0, |r| r.payload.programs.clear());
    assert_eq!(none, broken(Rule::ProgramCount));
    let many = refusal(0, |r| r.payload.programs = vec![program; limits::PROGRAMS + 1]);
    assert_eq!(many, broken(Rule::ProgramCount));
    assert_eq!(refusal(0, |r| r.payload.arguments.clear()), broken(Rule::Arguments), "T16");
    let many = refusal(0, |r| r.payload.arguments = vec![argument; limits::ARGUMENTS + 1]);
    assert_eq!(many, broken(Rule::Arguments));
    let half = Argument::new(vec![b'a'; limits::ARGUMENT_BYTES / 2]).unwrap();
    let long = refusal(0, |r| r.payload.arguments = vec![half.clone(), half]);
    assert_eq!(long, broken(Rule::Arguments));
    let none = refusal(0, |r| r.payload.directories.clear());
    assert_eq!(none, broken(Rule::DirectoryCount));
    let many = vec![SandboxPath::root(); limits::DIRECTORIES + 1];
    assert_eq!(refusal(0, |r| r.payload.directories = many), broken(Rule::DirectoryCount));
    let many = vec![filter; limits::FILTERS + 1];
    assert_eq!(refusal(0, |r| r.payload.filters = many), broken(Rule::FilterCount));
}

fn overlay(layers: u32, upper: Upper) -> Operation {
    let lower = (0..layers).map(FdIndex).collect();
    Operation::Overlay { destination: samples::place("/a"), lower, upper }
}

#[test]
fn overlays_have_enough_layers_and_not_too_many() {
    let refused = |layers: u32, upper, more: usize| {
        let descriptors = usize::try_from(layers).unwrap() + more;
        refusal(descriptors, |r| r.operations.push(overlay(layers, upper)))
    };
    let given = |first: u32| Upper::Directories { upper: FdIndex(first), work: FdIndex(first + 1) };
    let most = u32::try_from(limits::LAYERS).unwrap();
    let wrong = broken(Rule::LayerCount);
    assert_eq!(refused(0, Upper::Temporary, 0), wrong);
    assert_eq!(refused(0, given(0), 2), wrong);
    assert_eq!(refused(1, Upper::None, 0), wrong);
    assert_eq!(refused(most + 1, Upper::Temporary, 0), wrong);
    for (layers, upper, more) in
        [(1, Upper::Temporary, 0), (1, given(1), 2), (2, Upper::None, 0), (most, given(most), 2)]
    {
        assert_eq!(refused(layers, upper, more), None, "{layers} {upper:?}");
    }
    assert_eq!(refused(2, given(1), 1), Some(Refusal::Rule(Rule::DescriptorUse, 1)), "T82");
}

#[test]
fn senseless_resource_limits_are_refused() {
    let limit = |resource, soft, hard| Limit { resource, soft, hard };
    let refused = |limits| refusal(0, |r| r.payload.limits = limits);
    assert_eq!(refused(vec![limit(16, 0, 0)]), broken(Rule::Limit));
    assert_eq!(refused(vec![limit(7, 2, 1)]), broken(Rule::Limit));
    let twice = Some(Refusal::Rule(Rule::Limit, 1));
    assert_eq!(refused(vec![limit(7, 1, 1), limit(7, 1, 1)]), twice);
}

#[test]
fn descriptor_numbers_of_the_payload_are_low_and_unique() {
    let pass = |source, target| Pass { source: FdIndex(source), target };
    let refused = |list| refusal(2, |r| r.payload.pass = list);
    assert_eq!(refused(vec![pass(0, 3), pass(1, 4)]), None);
    assert_eq!(refused(vec![pass(0, 3), pass(1, 3)]), broken(Rule::Target));
    let high = limits::TARGET_DESCRIPTOR;
    assert_eq!(refused(vec![pass(0, 3), pass(1, high)]), broken(Rule::Target));
}

#[test]
fn each_descriptor_is_named_exactly_once() {
    let named = |count, list: &[u32]| {
        let pass =
            (7..).zip(list).map(|(target, source)| Pass { source: FdIndex(*source), target });
        refusal(count, |r| r.payload.pass = pass.collect())
    };
    let refused = |index| Some(Refusal::Rule(Rule::DescriptorUse, index));
    assert_eq!(named(2, &[1, 0]), None);
    assert_eq!(named(2, &[0, 0]), refused(0), "T82: doubly referenced");
    assert_eq!(named(2, &[0]), refused(1), "T82: left over");
    assert_eq!(named(2, &[0, 2]), refused(2), "T82: out of range");
    assert_eq!(named(1, &[u32::MAX]), refused(u32::MAX), "T82: far out of range");
    assert_eq!(named(0, &[0]), refused(0), "T82: none came");
}

#[test]
fn the_terminal_is_a_standard_descriptor() {
    let refused = |number| refusal(0, |r| r.payload.group = Group::Own { terminal: Some(number) });
    assert_eq!(refused(2), None);
    assert_eq!(refused(3), broken(Rule::Terminal), "the helper's socket is no terminal");
    assert_eq!(refused(u32::MAX), broken(Rule::Terminal));
}

#[test]
fn no_id_of_minus_one_is_mapped() {
    for (uid, gid) in [(u32::MAX, 0), (0, u32::MAX)] {
        let user = UserNamespace::Mapped { uid, gid };
        assert_eq!(refusal(0, |r| r.namespaces.user = user), broken(Rule::Ids));
    }
}

#[test]
fn privilege_lends_no_capability_and_no_namespace_of_the_callers_own() {
    let permitted = |change: fn(&mut Request)| {
        let mut request = samples::smallest();
        change(&mut request);
        let descriptors = request.operations.len();
        let checked = check(request, descriptors).unwrap();
        ALL_MODES.map(|mode| checked.permits(mode).err())
    };
    assert_eq!(permitted(|_| ()), [None, None, None, None]);
    let capabilities = broken(Rule::Capabilities);
    assert_eq!(
        permitted(|request| request.payload.capabilities = 1),
        [None, capabilities, capabilities, None],
        "I12"
    );
    assert_eq!(
        permitted(|request| request.namespaces.user = UserNamespace::Mapped { uid: 0, gid: 0 }),
        [None, None, broken(Rule::UserNamespace), None],
        "I12, T32"
    );
    let refused = broken(Rule::UserNamespace);
    assert_eq!(
        permitted(|request| request.namespaces.user = UserNamespace::Given { last: None }),
        [refused, refused, refused, None],
        "T09"
    );
    let refused = broken(Rule::Overlay);
    assert_eq!(
        permitted(|request| request.operations.push(overlay(1, Upper::Temporary))),
        [None, refused, refused, None],
        "I11, T10"
    );
}

#[test]
fn file_systems_are_counted_where_all_users_share_them() {
    let tmpfs = || Operation::Tmpfs { destination: samples::place("/a"), mode: 0o755, size: None };
    let devices = || Operation::Devices { destination: samples::place("/dev"), console: None };
    let filled = |last: Operation| {
        let mut request = samples::smallest();
        request.operations = vec![tmpfs(); limits::FILESYSTEMS - 1];
        request.operations.push(last);
        let checked = check(request, 0).unwrap();
        ALL_MODES.map(|mode| checked.permits(mode).err())
    };
    assert_eq!(filled(tmpfs()), [None; 4]);
    let many = broken(Rule::FilesystemCount);
    assert_eq!(filled(devices()), [None, many, many, None], "a /dev is two");
}
