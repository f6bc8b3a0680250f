// SPDX-License-Identifier: MIT OR Apache-2.0
//! Namespaces and ids: no namespace is joined, none that is shared is changed, and ids map to the
//! caller's own.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use harness::frontend::{STOCKADE_FAILED, exec, stockade};
use harness::process::Process;
use harness::raw::RawHelper;
use harness::spec::{Spec, open_read, place};
use harness::{Case, Fixture, Mode, Outcome, case, sys};
use nix::sched::{CloneFlags, unshare};
use stockade_protocol::Event;
use stockade_protocol::request::{
    Access, Content, Demand, Operation, Pass, SourceKind, UserNamespace,
};
use stockade_protocol::text::Hostname;

pub(crate) const CASES: &[Case] = &[
    case!(t09_no_slot_joins_a_namespace).as_root(),
    case!(t09_no_option_joins_a_namespace),
    case!(t33_ids_map_to_the_callers_own_only).as_root().modes(&[Mode::Setuid, Mode::Unprivileged]),
    case!(t55_shared_namespaces_are_left_as_they_are),
];

const KINDS: [&str; 7] = ["mnt", "net", "pid", "user", "ipc", "uts", "cgroup"];

/// Namespace files of a process of root's that has new ones, and that process. `more` are some that
/// it has only on request.
fn foreign_namespaces(more: CloneFlags) -> (Vec<OwnedFd>, Process) {
    let (ready, go) = nix::unistd::pipe().expect("a pipe");
    let Some(child) = sys::fork().expect("a child") else {
        let all = CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP
            | more;
        unshare(all).expect("root may");
        nix::unistd::write(&go, b"x").expect("it waits");
        loop {
            nix::unistd::pause();
        }
    };
    nix::unistd::read(&ready, &mut [0]).expect("it says so");
    let files = KINDS.iter().map(|kind| open_read(format!("/proc/{child}/ns/{kind}"))).collect();
    (files, Process::adopt(child).expect("a child"))
}

fn t09_no_slot_joins_a_namespace(fixture: &Fixture) -> Outcome {
    let (foreign, holder) = foreign_namespaces(CloneFlags::empty());
    let own = KINDS.iter().map(|kind| open_read(format!("/proc/self/ns/{kind}")));
    let link = |fd: &OwnedFd| fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    type Slot = fn(&mut Spec, OwnedFd);
    let slots: [(&str, Slot); 5] = [
        ("source", |spec, fd| {
            spec.bind_descriptor(fd, SourceKind::File, "/ns", Access::ReadWrite);
        }),
        ("content", |spec, fd| {
            let content = Content::Descriptor(spec.add(fd));
            spec.file("/ns", content);
        }),
        ("ruleset", |spec, fd| spec.request.payload.landlock = Some(spec.add(fd))),
        ("user namespace", |spec, fd| {
            let last = Some(spec.add(fd));
            spec.request.namespaces.user = UserNamespace::Given { last };
        }),
        ("console", |spec, fd| {
            let console = Some(spec.add(fd));
            spec.request.operations.retain(|step| !matches!(step, Operation::Devices { .. }));
            spec.push(Operation::Devices { destination: place("/dev"), console });
        }),
    ];
    for fd in own.chain(foreign) {
        let what = link(&fd).expect("it is open").display().to_string();
        for (slot, put) in slots {
            let mut spec = Spec::shell("echo ran");
            put(&mut spec, sys::duplicate(&fd));
            let verdict = RawHelper::build(fixture, &spec);
            verdict.assert_orderly();
            let last = verdict.events.last();
            let failed = matches!(last, Some(Event::Failed(_) | Event::Refused(_)));
            assert!(failed, "{what} as {slot}: {verdict:?}");
            assert_eq!(verdict.output.text(), "", "{what} as {slot}");
        }
        // What the caller passes on to the payload is his; it is in no namespace because of it.
        let mut spec = Spec::shell("readlink /proc/self/ns/*; exit 7");
        let source = spec.add(sys::duplicate(&fd));
        spec.request.payload.pass.push(Pass { source, target: 9 });
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(7);
        let inside = verdict.output.text();
        let initial = what.starts_with("user:") && fixture.mode.is_privileged();
        assert!(initial || !inside.lines().any(|line| line == what), "{what}: {inside}");
    }
    drop(holder);
    Outcome::Passed
}

fn t09_no_option_joins_a_namespace(fixture: &Fixture) -> Outcome {
    for option in ["--userns", "--userns2", "--pidns", "--netns", "--join", "--enter"] {
        let launch = exec(fixture).arg(option).args(["3", "--", "echo", "ran"]);
        let output = launch.descriptor(3, open_read("/proc/self/ns/net")).run();
        output.assert_code(STOCKADE_FAILED);
        assert_eq!(output.text(), "");
        assert!(output.errors().contains(option), "{}", output.errors());
    }
    let refused = |option: &str, what: OwnedFd, expected: &str| {
        let launch = stockade(fixture).args(["bwrap", "--ro-bind", "/", "/", option, "3"]);
        let output = launch.args(["--", "echo", "ran"]).descriptor(3, what).run();
        assert_ne!(output.ending, harness::process::Ending::Exited(0), "{option}");
        assert_eq!(output.text(), "", "{option}");
        assert!(output.errors().contains(expected), "{option}: {}", output.errors());
    };
    // bubblewrap's own. A namespace is entered before there is a helper, by whoever may: with no
    // privilege but what its owner has in it.
    refused("--userns2", open_read("/proc/self/ns/user"), "--userns2 requires --userns");
    refused("--pidns", open_read("/proc/self/ns/net"), "Setting pidns failed: Invalid argument");
    let pids = open_read("/proc/self/ns/pid");
    refused("--pidns", pids, "Setting pidns failed: Operation not permitted");
    let (theirs, holder) = foreign_namespaces(CloneFlags::CLONE_NEWUSER);
    let no_descendant = "it might not be a descendant";
    refused("--userns", open_read("/proc/self/ns/net"), no_descendant);
    refused("--userns", open_read("/proc/self/ns/user"), "Joining");
    // Where the suite is not root's, that process is the caller's own.
    let foreign = nix::unistd::geteuid().is_root();
    let theirs = KINDS.iter().zip(theirs).filter(|(kind, _)| foreign || **kind != "user");
    for (kind, fd) in theirs {
        let expected = if *kind == "user" { "Operation not permitted" } else { no_descendant };
        refused("--userns", fd, expected);
    }
    drop(holder);
    Outcome::Passed
}

fn t33_ids_map_to_the_callers_own_only(fixture: &Fixture) -> Outcome {
    // Others may read it, the group may not, and the caller is in the group: negative permissions.
    let group = fixture.user.groups.iter().find(|group| **group != fixture.user.gid);
    let group = *group.expect("test accounts have a second group");
    let file = fixture.scratch.join("not-for-the-group");
    fs::write(&file, "sesame\n").expect("root may");
    std::os::unix::fs::chown(&file, Some(0), Some(group)).expect("root may");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).expect("root may");
    for (uid, gid) in [(0, 0), (1234, 4321), (fixture.user.uid, fixture.user.gid)] {
        let mut spec = Spec::shell(
            "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups;
             cat /file 2>/dev/null; setpriv --clear-groups cat /file 2>/dev/null;
             setpriv --groups 0 true 2>/dev/null && echo groups were set; exit 7",
        );
        spec.bind(&file, "/file", Access::ReadOnly);
        spec.request.namespaces.user = UserNamespace::Mapped { uid, gid };
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(7);
        let text = verdict.output.text();
        let words: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words.len(), 3, "{text}");
        let (uid, gid) = (uid.to_string(), gid.to_string());
        assert_eq!((words[0][0], words[0][2]), (&*uid, "1"), "{text}");
        assert_eq!((words[1][0], words[1][2]), (&*gid, "1"), "{text}");
        if fixture.mode == Mode::Setuid {
            // Seen from inside, where the parent's ids are those of the initial namespace.
            assert_eq!(words[0][1], fixture.user.uid.to_string(), "{text}");
            assert_eq!(words[1][1], fixture.user.gid.to_string(), "{text}");
        }
        assert_eq!(words[2], ["deny"], "{text}");
    }
    Outcome::Passed
}

fn t55_shared_namespaces_are_left_as_they_are(fixture: &Fixture) -> Outcome {
    let state = || {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let interfaces = read("/proc/net/dev");
        let names: BTreeSet<String> = interfaces
            .lines()
            .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
            .collect();
        let flags = read("/sys/class/net/lo/flags");
        (read("/proc/sys/kernel/hostname"), names, flags, read("/proc/net/fib_trie"))
    };
    let before = state();
    type Change = fn(&mut Spec);
    let changes: [Change; 4] = [
        |spec| spec.request.namespaces.net = Demand::Share,
        |spec| spec.request.namespaces.uts = Demand::Share,
        |spec| spec.request.namespaces.ipc = Demand::Share,
        |spec| {
            spec.request.namespaces.net = Demand::Share;
            spec.request.namespaces.uts = Demand::Share;
            spec.request.namespaces.ipc = Demand::Share;
            spec.request.namespaces.cgroup = Demand::Share;
        },
    ];
    for change in changes {
        let script = "hostname evil 2>/dev/null; ip link set lo down 2>/dev/null;
            ip link add evil type dummy 2>/dev/null; exit 7";
        let mut spec = Spec::shell(script);
        change(&mut spec);
        RawHelper::build(fixture, &spec).assert_exit(7);
        assert_eq!(state(), before);
    }
    // A name is for a namespace of one's own: the helper's rule, and nothing was changed on the way.
    let mut spec = Spec::shell("echo ran");
    spec.request.namespaces.uts = Demand::Share;
    spec.request.namespaces.hostname = Some(Hostname::new("evil").expect("a name"));
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_declined();
    assert!(verdict.refusal().is_some(), "{verdict:?}");
    assert_eq!(state(), before);
    Outcome::Passed
}
