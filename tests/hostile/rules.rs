// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each rule of `check`, broken alone, sent to the real helper (T01: the frontend is not trusted).

use harness::raw::{RawHelper, framed};
use harness::spec::{Spec, place, sandbox_path};
use harness::{Case, Fixture, Mode, Outcome, case};
use stockade_protocol::check::Rule;
use stockade_protocol::codec::{self, DecodeFault};
use stockade_protocol::request::{
    Access, Content, Demand, Group, Init, Limit, Operation, Pass, Propagation, Request,
    UserNamespace,
};
use stockade_protocol::text::{
    Argument, Filter, Hostname, Program, SandboxPath, SymlinkTarget, TextFault,
};
use stockade_protocol::{Refusal, VERSION, limits};

pub(crate) const CASES: &[Case] = &[
    case!(every_rule_is_enforced_by_the_helper)
        .entries(&["T01", "T20", "T44", "T49", "T55", "T82", "T83"])
        .within(120),
    case!(rules_about_privilege_are_enforced_by_the_helper).entries(&["T01", "T09"]),
    case!(paths_that_the_frontend_could_not_write_are_refused).entries(&["T83"]),
];

/// The refusal of a plain request after `change`.
#[track_caller]
fn refusal(fixture: &Fixture, what: &str, change: impl FnOnce(&mut Request)) -> Option<Refusal> {
    let mut spec = Spec::empty("/bin/true");
    change(&mut spec.request);
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_declined();
    if verdict.refusal().is_none() {
        panic!("{what} is not refused: {verdict:?}");
    }
    verdict.refusal()
}

type Change = Box<dyn FnOnce(&mut Request)>;

/// A change that breaks the rule, by the item with this index.
fn change(
    rule: Rule,
    index: u32,
    change: impl FnOnce(&mut Request) + 'static,
) -> (Rule, u32, Change) {
    (rule, index, Box::new(change))
}

fn every_rule_is_enforced_by_the_helper(fixture: &Fixture) -> Outcome {
    let mode = 0o10000;
    let empty = || Content::Bytes(Vec::new());
    let link = || SymlinkTarget::new("x").expect("a target");
    let resource = |resource, soft, hard| Limit { resource, soft, hard };
    let mut deep = place("/a");
    deep.parents = mode;
    let changes: Vec<(Rule, u32, Change)> = vec![
        change(Rule::OperationCount, 0, |r| {
            let step = Operation::RemountReadOnly { path: SandboxPath::root() };
            r.operations = vec![step; limits::OPERATIONS + 1];
        }),
        change(Rule::Mode, 0, move |r| {
            r.operations.push(Operation::Directory { destination: place("/a"), mode });
        }),
        change(Rule::Mode, 0, move |r| {
            r.operations.push(Operation::Directory { destination: deep, mode: 0 });
        }),
        change(Rule::Mode, 0, |r| {
            let destination = place("/a");
            r.operations.push(Operation::Tmpfs { destination, mode: 0o4755, size: None });
        }),
        change(Rule::Mode, 0, move |r| {
            r.operations.push(Operation::Chmod { path: sandbox_path("/"), mode });
        }),
        change(Rule::Mode, 0, |r| r.payload.umask = 0o1000),
        change(Rule::Size, 0, |r| {
            let destination = place("/a");
            r.operations.push(Operation::Tmpfs { destination, mode: 0o755, size: Some(0) });
        }),
        change(Rule::Size, 0, |r| {
            let destination = place("/a");
            r.operations.push(Operation::Tmpfs { destination, mode: 0o755, size: Some(1 << 63) });
        }),
        change(Rule::Root, 0, move |r| {
            let destination = place("/");
            r.operations.push(Operation::File { destination, mode: 0, content: empty() });
        }),
        change(Rule::Root, 0, move |r| {
            r.operations.push(Operation::Symlink { destination: place("/"), target: link() });
        }),
        change(Rule::ProcNeedsPid, 0, |r| {
            r.namespaces.pid = Demand::Share;
            r.operations.push(Operation::Proc { destination: place("/proc"), protect: true });
        }),
        change(Rule::ProcNeedsPid, 0, |r| {
            r.namespaces.pid = Demand::Optional;
            r.operations.push(Operation::Proc { destination: place("/proc"), protect: true });
        }),
        change(Rule::MqueueNeedsIpc, 0, |r| {
            r.namespaces.ipc = Demand::Share;
            r.operations.push(Operation::Mqueue { destination: place("/mq") });
        }),
        change(Rule::HostnameNeedsUts, 0, |r| {
            r.namespaces.uts = Demand::Share;
            r.namespaces.hostname = Some(Hostname::new("evil").expect("a name"));
        }),
        change(Rule::HoldingNeedsInit, 0, |r| {
            r.supervision.init = Init::Payload;
            r.supervision.locks = vec![SandboxPath::root()];
        }),
        change(Rule::LockCount, 0, |r| {
            r.supervision.locks = vec![SandboxPath::root(); limits::LOCKS + 1];
        }),
        change(Rule::IgnoredSignals, 0, |r| r.payload.ignored_signals = 1 << 8),
        change(Rule::ProgramCount, 0, |r| r.payload.programs.clear()),
        change(Rule::ProgramCount, 0, |r| {
            r.payload.programs = vec![Program::new("/a").expect("a program"); limits::PROGRAMS + 1];
        }),
        change(Rule::Arguments, 0, |r| r.payload.arguments.clear()),
        change(Rule::Arguments, 0, |r| {
            let long = Argument::new(vec![b'a'; limits::ARGUMENT_BYTES / 2]).expect("an argument");
            r.payload.arguments = vec![long; 2];
        }),
        change(Rule::Environment, 0, |r| {
            let variable = r.payload.environment[0].clone();
            r.payload.environment = vec![variable; limits::ARGUMENTS + 1];
        }),
        change(Rule::DirectoryCount, 0, |r| r.payload.directories.clear()),
        change(Rule::DirectoryCount, 0, |r| {
            r.payload.directories = vec![SandboxPath::root(); limits::DIRECTORIES + 1];
        }),
        change(Rule::Limit, 0, move |r| r.payload.limits = vec![resource(16, 0, 0)]),
        change(Rule::Limit, 0, move |r| r.payload.limits = vec![resource(7, 9, 8)]),
        change(Rule::Limit, 1, move |r| r.payload.limits = vec![resource(7, 8, 8); 2]),
        change(Rule::Terminal, 0, |r| r.payload.group = Group::Own { terminal: Some(3) }),
        change(Rule::FilterCount, 0, |r| {
            let filter = Filter::new(vec![0; 8]).expect("a filter");
            r.payload.filters = vec![filter; limits::FILTERS + 1];
        }),
        change(Rule::Ids, 0, |r| {
            r.namespaces.user = UserNamespace::Mapped { uid: u32::MAX, gid: 0 };
        }),
        change(Rule::LayerCount, 0, |r| {
            let upper = stockade_protocol::request::Upper::Temporary;
            let destination = place("/a");
            r.operations.push(Operation::Overlay { destination, lower: Vec::new(), upper });
        }),
        change(Rule::DescriptorUse, 5, |r| {
            r.payload.pass.push(Pass { source: stockade_protocol::request::FdIndex(5), target: 9 });
        }),
    ];
    for (rule, index, change) in changes {
        let what = format!("{rule:?}");
        assert_eq!(refusal(fixture, &what, change), Some(Refusal::Rule(rule, index)), "{what}");
    }

    let mut slave = Spec::empty("/bin/true");
    slave.bind("/usr", "/usr", Access::ReadOnly);
    if let Some(Operation::Bind(bind)) = slave.request.operations.first_mut() {
        bind.propagation = Propagation::Slave;
    }
    let verdict = RawHelper::build(fixture, &slave);
    verdict.assert_declined();
    assert_eq!(verdict.refusal(), Some(Refusal::Rule(Rule::SlaveReadOnly, 0)), "T44");

    let mut twice = Spec::shell("exit 7");
    for _ in 0..2 {
        let source = twice.add(harness::spec::open_read("/dev/null"));
        twice.request.payload.pass.push(Pass { source, target: 9 });
    }
    let verdict = RawHelper::build(fixture, &twice);
    verdict.assert_declined();
    assert_eq!(verdict.refusal(), Some(Refusal::Rule(Rule::Target, 0)), "T20");
    Outcome::Passed
}

fn rules_about_privilege_are_enforced_by_the_helper(fixture: &Fixture) -> Outcome {
    // I12: capabilities and, with file capabilities, any user namespace. I17: what all users share.
    let capable = |r: &mut Request| r.payload.capabilities = 1 << 21;
    let mapped = |r: &mut Request| r.namespaces.user = UserNamespace::Mapped { uid: 0, gid: 0 };
    let many = |r: &mut Request| {
        let cover = Operation::Tmpfs { destination: place("/t"), mode: 0o755, size: None };
        r.operations.extend(vec![cover; limits::FILESYSTEMS + 1]);
    };
    // T09: one that was not made for the sandbox.
    let given = |r: &mut Request| r.namespaces.user = UserNamespace::Given { last: None };
    if fixture.mode.is_privileged() {
        let expected = Some(Refusal::Rule(Rule::Capabilities, 0));
        assert_eq!(refusal(fixture, "a capability", capable), expected);
        let expected = Some(Refusal::Rule(Rule::UserNamespace, 0));
        assert_eq!(refusal(fixture, "a given user namespace", given), expected);
        let expected = Some(Refusal::Rule(Rule::FilesystemCount, 0));
        assert_eq!(refusal(fixture, "many file systems", many), expected);
    } else {
        // Nobody gave this helper anything in the namespace that it is in.
        let mut spec = Spec::empty("/bin/true");
        given(&mut spec.request);
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_declined();
        let failure = verdict.failure().expect("a failure");
        assert_eq!(failure.call, stockade_protocol::event::Call::Unshare, "{failure:?}");
    }
    if fixture.mode == Mode::FileCaps {
        let expected = Some(Refusal::Rule(Rule::UserNamespace, 0));
        assert_eq!(refusal(fixture, "a user namespace", mapped), expected);
    }
    Outcome::Passed
}

fn paths_that_the_frontend_could_not_write_are_refused(fixture: &Fixture) -> Outcome {
    // Bytes of the same length, put in the place of a path that follows the rules (T83).
    let good = b"/1234567";
    let bad: [(&[u8; 8], TextFault); 7] = [
        (b"/../../a", TextFault::Component),
        (b"/./1/2/3", TextFault::Component),
        (b"/123456/", TextFault::Component),
        (b"//123456", TextFault::Component),
        (b"12345678", TextFault::Relative),
        (b"../../..", TextFault::Relative),
        (b"/12\x004567", TextFault::Nul),
    ];
    for (path, fault) in bad {
        let mut spec = Spec::empty("/bin/true");
        spec.directory("/1234567");
        let mut body = codec::encode_request(&spec.request).expect("a small request");
        let at = body.windows(good.len()).position(|part| part == good).expect("the path");
        body[at..at + good.len()].copy_from_slice(path);
        let verdict = RawHelper::build_from_bytes(fixture, &framed(VERSION, &body, 0));
        verdict.assert_declined();
        let expected = Refusal::Decode(DecodeFault::Text(fault));
        assert_eq!(verdict.refusal(), Some(expected), "{}", path.escape_ascii());
    }
    Outcome::Passed
}
