// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program, the state it starts in, and who ends with it.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

use harness::filter::without_calls;
use harness::raw::{self, RawHelper};
use harness::report::Report;
use harness::spec::{Spec, sandbox_path};
use harness::{Case, Fixture, Mode, Outcome, case};
use stockade_protocol::Event;
use stockade_protocol::event::{Call, Exit, Object, Stage};
use stockade_protocol::request::{Access, Demand, Gate, Group, Init, Pass};
use stockade_protocol::text::{Filter, Program, Variable};

use crate::hostile::dice::Dice;

pub(crate) const CASES: &[Case] = &[
    case!(programs_are_tried_in_turn),
    case!(an_interpreter_runs_what_the_kernel_does_not),
    case!(a_program_that_cannot_run_is_a_failure_after_the_start),
    case!(directories_are_tried_in_turn),
    case!(the_environment_is_exactly_the_one_asked_for),
    case!(descriptors_arrive_under_any_permutation).entries(&["T20"]),
    case!(the_payload_can_be_pid_1),
    case!(the_payload_can_be_first_without_a_pid_namespace),
    case!(groups_and_sessions_are_as_asked_for),
    case!(signals_are_blocked_and_ignored_as_asked_for),
    case!(gates_hold_the_payload_back),
    case!(a_gate_that_will_not_open_is_a_failure),
    case!(init_holds_locks_and_descriptors),
    case!(init_waits_for_orphans_on_request),
    case!(init_collects_orphans).entries(&["T79"]),
    case!(the_caller_may_go_on_request),
    case!(stops_are_reported),
    case!(filters_are_installed_in_order).entries(&["T58"]),
    case!(a_filter_that_makes_no_sense_is_a_failure).entries(&["T59"]),
    case!(capabilities_can_be_had_where_they_are_ones_own).modes(Mode::UNPRIVILEGED),
    case!(a_killed_init_is_reported_with_its_signal),
];

fn program(path: &str) -> Program {
    Program::new(path).expect("a program")
}

fn programs_are_tried_in_turn(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("echo $0 runs");
    spec.request.payload.programs =
        ["/nowhere/sh", "/etc/passwd/sh", "/usr/share", "/bin/sh", "/bin/false"]
            .map(program)
            .into();
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    assert_eq!(verdict.output.text(), "/bin/sh runs\n");
    Outcome::Passed
}

fn an_interpreter_runs_what_the_kernel_does_not(fixture: &Fixture) -> Outcome {
    let script = fixture.file("script", "echo $0 $*\n");
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    fs::set_permissions(&script, mode).expect("own file");
    let mut spec = Spec::system("/script").args(["one", "two"]);
    spec.bind(&script, "/script", Access::ReadOnly);
    let verdict = RawHelper::build(fixture, &spec);
    let failed = verdict.events.last().cloned();
    assert!(matches!(failed, Some(Event::Failed(failure)) if failure.errno == 8), "{verdict:?}");
    spec.request.payload.interpreter = Some(program("/bin/sh"));
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    assert_eq!(verdict.output.text(), "/script one two\n");
    Outcome::Passed
}

fn a_program_that_cannot_run_is_a_failure_after_the_start(fixture: &Fixture) -> Outcome {
    for (path, errno) in [("/no/such/program", libc::ENOENT), ("/etc", libc::EACCES)] {
        let mut spec = Spec::system(path);
        spec.bind("/etc", "/etc", Access::ReadOnly);
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_orderly();
        let Some(Event::Failed(failure)) = verdict.events.last() else {
            panic!("{verdict:?}");
        };
        assert_eq!((failure.stage, failure.call), (Stage::Start, Call::Execve));
        assert_eq!((failure.errno, failure.object), (errno as u32, Object::Program(0)));
        assert!(verdict.output.stdout.is_empty() && verdict.output.stderr.is_empty());
    }
    Outcome::Passed
}

fn directories_are_tried_in_turn(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("pwd; echo $PWD");
    spec.request.payload.directories =
        ["/missing", "/bin/sh", "/usr/lib", "/tmp"].map(sandbox_path).into();
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    assert_eq!(verdict.output.text(), "/usr/lib\n/usr/lib\n");
    spec.request.payload.directories = vec![sandbox_path("/missing")];
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_declined();
    assert!(matches!(verdict.events.last(), Some(Event::Failed(_))), "{verdict:?}");
    Outcome::Passed
}

fn the_environment_is_exactly_the_one_asked_for(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::system("/usr/bin/env");
    spec.request.payload.set_pwd = false;
    let entries = ["A=1", "B=", "C=x=y", "LD_LIBRARY_PATH=/x", "A=2"];
    spec.request.payload.environment =
        entries.map(|entry| Variable::new(entry).expect("a variable")).into();
    let verdict = RawHelper::run(raw::helper(fixture).env("SECRET", "x").env("A", "0"), &spec);
    verdict.assert_exit(0);
    assert_eq!(verdict.output.text(), entries.join("\n") + "\n");
    Outcome::Passed
}

fn descriptors_arrive_under_any_permutation(fixture: &Fixture) -> Outcome {
    // T20: numbers that overlap those under which the helper received them.
    let mut dice = Dice::new(0x5eed_0009);
    for _ in 0..12 {
        let mut targets: Vec<u32> = (3..40).collect();
        for index in (1..targets.len()).rev() {
            targets.swap(index, dice.below(index + 1));
        }
        targets.truncate(20);
        let reads: String =
            targets.iter().map(|target| format!("cat /proc/self/fd/{target};")).collect();
        let mut spec = Spec::shell(&format!("{reads} ls /proc/self/fd | wc -l"));
        let mut expected = String::new();
        for target in &targets {
            let (reader, writer) = nix::unistd::pipe().expect("a pipe");
            if fixture.is_root() {
                // What is opened again by its number has to be the account's own.
                std::os::unix::fs::fchown(&reader, Some(fixture.user.uid), None).expect("root may");
            }
            fs::File::from(writer).write_all(format!("{target}\n").as_bytes()).expect("room");
            let source = spec.add(reader);
            spec.request.payload.pass.push(Pass { source, target: *target });
            expected.push_str(&format!("{target}\n"));
        }
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(0);
        // Three standard ones, the passed ones, and the one that `ls` lists with.
        let count = 3 + targets.len() + 1;
        assert_eq!(verdict.output.text(), format!("{expected}{count}\n"));
    }
    Outcome::Passed
}

fn the_payload_can_be_pid_1(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::tool(fixture, "probe");
    spec.request.supervision.init = Init::Payload;
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    let report = Report::of(&verdict.output);
    assert_eq!(report.number("pid"), 1);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(report.mask(set), 0, "{set}");
    }
    let numbers: Vec<String> = report.table("fds").into_keys().collect();
    assert_eq!(numbers, ["0", "1", "2"]);
    let mut spec = Spec::shell("exit 9");
    spec.request.supervision.init = Init::Payload;
    RawHelper::build(fixture, &spec).assert_exit(9);
    Outcome::Passed
}

fn groups_and_sessions_are_as_asked_for(fixture: &Fixture) -> Outcome {
    for (group, pgrp, sid) in
        [(Group::Inherit, 0, 0), (Group::Own { terminal: None }, 2, 0), (Group::Session, 2, 2)]
    {
        let mut spec = Spec::tool(fixture, "probe");
        spec.request.payload.group = group;
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(0);
        let report = Report::of(&verdict.output);
        assert_eq!((report.number("pgrp"), report.number("sid")), (pgrp, sid), "{group:?}");
    }
    // A terminal that is none.
    let mut spec = Spec::tool(fixture, "probe");
    spec.request.payload.group = Group::Own { terminal: Some(0) };
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_orderly();
    Outcome::Passed
}

fn the_payload_can_be_first_without_a_pid_namespace(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::empty("/bin/sh").args(["-c", "exit 9"]);
    spec.bind("/", "/", Access::ReadOnly);
    spec.request.namespaces.pid = Demand::Share;
    spec.request.supervision.init = Init::Payload;
    RawHelper::build(fixture, &spec).assert_exit(9);
    Outcome::Passed
}

fn signals_are_blocked_and_ignored_as_asked_for(fixture: &Fixture) -> Outcome {
    for (blocked, ignored) in [(0, 0), (1 << 9, 1), (0x8000_0000_0000_4000, 1 << 12)] {
        // Not from a shell, which blocks nothing.
        let arguments = ["-E", "^Sig(Blk|Ign)", "/proc/self/status"];
        let mut spec = Spec::system("/bin/grep").args(arguments);
        spec.request.payload.blocked_signals = blocked;
        spec.request.payload.ignored_signals = ignored;
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(0);
        let expected = format!("SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\n");
        assert_eq!(verdict.output.text(), expected);
    }
    Outcome::Passed
}

fn gates_hold_the_payload_back(fixture: &Fixture) -> Outcome {
    let (first, opens_first) = nix::unistd::pipe().expect("a pipe");
    let (second, opens_second) = nix::unistd::pipe().expect("a pipe");
    let mut spec = Spec::shell("echo ran; ls /proc/self/fd | wc -l");
    for (gate, end_opens) in [(first, false), (second, true)] {
        let source = spec.add(gate);
        spec.request.supervision.gates.push(Gate { source, end_opens });
    }
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&spec);
    spec.descriptors.clear();
    raw.started();
    let mut nothing = || raw.try_next(Duration::from_millis(300));
    assert!(nothing().is_err(), "both gates are closed");
    // One by a byte, the other by its end.
    nix::unistd::write(&opens_first, b"x").expect("somebody waits");
    assert!(nothing().is_err(), "the second gate is closed");
    drop(opens_second);
    let verdict = raw.conclude();
    verdict.assert_exit(0);
    // Three standard ones, and the one that `ls` lists with: no gate.
    assert_eq!(verdict.output.text(), "ran\n4\n");
    Outcome::Passed
}

/// A payload that is there and waits for a byte from `gate`.
#[track_caller]
fn behind_gate(fixture: &Fixture, gate: OwnedFd) -> RawHelper {
    let mut spec = Spec::shell("echo ran");
    let source = spec.add(gate);
    spec.request.supervision.gates.push(Gate { source, end_opens: false });
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&spec);
    raw.started();
    raw
}

fn a_gate_that_will_not_open_is_a_failure(fixture: &Fixture) -> Outcome {
    let (first, opens_first) = nix::unistd::pipe().expect("a pipe");
    let nobody: OwnedFd = fs::File::open("/").expect("the root directory").into();
    // The end of one that wants a byte; one that cannot be read.
    for (gate, opener) in [(first, Some(opens_first)), (nobody, None)] {
        let raw = behind_gate(fixture, gate);
        drop(opener);
        let verdict = raw.conclude();
        let failure = verdict.failure().expect("a failure");
        assert_eq!((failure.stage, failure.call), (Stage::Start, Call::Read));
        assert_eq!(verdict.output.text(), "");
    }
    // One that others made non-blocking keeps it waiting all the same.
    let (gate, opener) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).expect("a pipe");
    let mut raw = behind_gate(fixture, gate);
    assert!(raw.try_next(Duration::from_millis(300)).is_err(), "the gate is closed");
    nix::unistd::write(&opener, b"x").expect("somebody waits");
    let verdict = raw.conclude();
    verdict.assert_exit(0);
    assert_eq!(verdict.output.text(), "ran\n");
    Outcome::Passed
}

fn init_holds_locks_and_descriptors(fixture: &Fixture) -> Outcome {
    let lock = fixture.file("lock", "");
    let (alive, held) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).expect("a pipe");
    // None as long as somebody holds the other end.
    let end = || nix::unistd::read(&alive, &mut [0]).ok();
    let mut spec = Spec::shell("echo up; read line; ls /proc/self/fd | wc -l; exit 3");
    spec.bind(&lock, "/lock", Access::ReadOnly);
    spec.request.supervision.locks = vec![sandbox_path("/lock")];
    let held = spec.add(held);
    spec.request.supervision.held = vec![held];
    let (input, typed) = nix::unistd::pipe().expect("a pipe");
    let mut raw = RawHelper::start(raw::helper(fixture).descriptor(0, input));
    raw.send(&spec);
    spec.descriptors.clear();
    raw.running.read_line();
    let writable = fs::OpenOptions::new().write(true).open(&lock).expect("own file");
    let exclusive = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let take = || nix::fcntl::fcntl(&writable, nix::fcntl::FcntlArg::F_SETLK(&exclusive));
    assert!(take().is_err(), "init holds a lock");
    assert_eq!(end(), None, "init holds the descriptor");
    drop(typed);
    let verdict = raw.conclude();
    verdict.assert_exit(3);
    assert_eq!(verdict.output.text(), "4\n");
    assert_eq!(end(), Some(0), "the descriptor goes with init");
    assert!(take().is_ok(), "the lock goes with init");

    // A lock that cannot be had is a failure before there is a payload.
    let mut spec = Spec::shell("echo ran");
    spec.request.supervision.locks = vec![sandbox_path("/bin/sh"), sandbox_path("/nothing")];
    let verdict = RawHelper::build(fixture, &spec);
    let Some(Event::Failed(failure)) = verdict.events.last() else { panic!("{verdict:?}") };
    assert_eq!((failure.call, failure.object), (Call::Open, Object::Lock(1)));
    assert_eq!(verdict.output.text(), "");
    Outcome::Passed
}

fn init_collects_orphans(fixture: &Fixture) -> Outcome {
    let script = "for i in 1 2 3 4 5; do sh -c 'sleep 0.05 & exit 0'; done; sleep 0.5;
        cat /proc/[0-9]*/stat | grep -c ') Z '; exit 7";
    let verdict = RawHelper::build(fixture, &Spec::shell(script));
    verdict.assert_exit(7);
    assert_eq!(verdict.output.text(), "0\n", "they stay as zombies");
    Outcome::Passed
}

fn init_waits_for_orphans_on_request(fixture: &Fixture) -> Outcome {
    for (end, expected) in [(true, "payload\n"), (false, "payload\norphan\n")] {
        let mut spec = Spec::shell("(sleep 0.3; echo orphan) & echo payload; exit 4");
        spec.request.supervision.end_with_payload = end;
        // Else they end with the helper, which goes once it has reported the payload's end.
        spec.request.supervision.end_with_caller = end;
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(4);
        assert_eq!(verdict.output.text(), expected);
    }
    Outcome::Passed
}

fn the_caller_may_go_on_request(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("echo up; sleep 0.3; echo still; exit 0");
    spec.request.supervision.end_with_caller = false;
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&spec);
    raw.running.read_line();
    raw.hang_up();
    raw.running.process.signal(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(raw.running.read_until(|text| text.contains("still\n")), "still\n");
    Outcome::Passed
}

fn stops_are_reported(fixture: &Fixture) -> Outcome {
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&Spec::shell("kill -STOP $$; exit 6"));
    let (_, _, pidfd) = raw.started();
    match raw.hear() {
        raw::Received::Event(Event::Stopped { signal }, None) => assert_eq!(signal, 19),
        other => panic!("{other:?}"),
    }
    harness::sys::pidfd_send_signal(&pidfd, libc::SIGCONT).expect("the pidfd is the payload's");
    raw.conclude().assert_exit(6);
    Outcome::Passed
}

/// A program as bytes, as it travels.
pub(crate) fn compiled(program: &[libc::sock_filter]) -> Filter {
    let mut bytes = Vec::new();
    for step in program {
        bytes.extend(step.code.to_ne_bytes());
        bytes.extend([step.jt, step.jf]);
        bytes.extend(step.k.to_ne_bytes());
    }
    Filter::new(bytes).expect("a filter")
}

fn filters_are_installed_in_order(fixture: &Fixture) -> Outcome {
    // The second forbids prctl(2), which the third would need: order is what makes it fail.
    let harmless = compiled(&without_calls(&[libc::SYS_acct]));
    let last = compiled(&without_calls(&[libc::SYS_prctl]));
    let mut spec = Spec::shell("grep ^Seccomp: /proc/self/status | tr -d '\\t'; exit 7");
    spec.request.payload.filters = vec![harmless.clone(), harmless.clone(), last.clone()];
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(7);
    assert_eq!(verdict.output.text(), "Seccomp:2\n");
    spec.request.payload.filters = vec![harmless.clone(), last, harmless];
    let verdict = RawHelper::build(fixture, &spec);
    let Some(Event::Failed(failure)) = verdict.events.last() else { panic!("{verdict:?}") };
    assert_eq!((failure.call, failure.object), (Call::Seccomp, Object::Filter(2)));
    Outcome::Passed
}

fn a_filter_that_makes_no_sense_is_a_failure(fixture: &Fixture) -> Outcome {
    for bytes in [vec![0xff; 8], vec![0; 8], vec![0xee; 4096 * 8]] {
        let mut spec = Spec::shell("echo ran");
        spec.request.payload.filters = vec![Filter::new(bytes).expect("of a good length")];
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_orderly();
        let Some(Event::Failed(failure)) = verdict.events.last() else { panic!("{verdict:?}") };
        assert_eq!((failure.call, failure.object), (Call::Seccomp, Object::Filter(0)));
        assert_eq!(verdict.output.text(), "");
    }
    Outcome::Passed
}

fn capabilities_can_be_had_where_they_are_ones_own(fixture: &Fixture) -> Outcome {
    const NET_ADMIN: u64 = 1 << 12;
    let mut spec = Spec::tool(fixture, "probe");
    spec.request.payload.capabilities = NET_ADMIN;
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    let report = Report::of(&verdict.output);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(report.mask(set), NET_ADMIN, "{set}");
    }
    Outcome::Passed
}

fn a_killed_init_is_reported_with_its_signal(fixture: &Fixture) -> Outcome {
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&Spec::shell("sleep 100"));
    let (init, _, _) = raw.started();
    let init = harness::sys::pidfd_open(init.try_into().expect("an id")).expect("it lives");
    harness::sys::pidfd_send_signal(&init, libc::SIGKILL).expect("it may be killed");
    let verdict = raw.conclude();
    // Which was the payload's too: everything in the pid namespace is killed with init.
    assert_eq!(verdict.exit(), Some(Exit::Signal(9)), "{verdict:?}");
    Outcome::Passed
}
