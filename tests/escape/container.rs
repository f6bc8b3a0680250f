// SPDX-License-Identifier: MIT OR Apache-2.0
//! In a container: root there, and with it the helper, has rights in a user namespace of the
//! container's, to which the mounts of its runtime belong as well.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;

use harness::frontend::{STOCKADE_FAILED, shell};
use harness::process::Ending;
use harness::{Case, Fixture, Mode, Outcome, case, sys};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

pub(crate) const CASES: &[Case] = &[
    case!(t49_what_its_runtime_covers_stays_covered).modes(Mode::PRIVILEGED).as_root(),
    case!(t49_what_its_runtime_leaves_out_is_not_added).modes(Mode::PRIVILEGED).as_root(),
    case!(t52_devices_are_those_that_it_has).as_root(),
];

const NONE: Option<&str> = None;

/// Runs the closure in one, with a procfs of its own. What it says is wrong is given back.
fn contained(fixture: &Fixture, inside: impl FnOnce() -> String) -> String {
    drop(fixture.home());
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
    if sys::fork().expect("a child").is_some() {
        drop(theirs);
        let mut said = String::new();
        ours.read_to_string(&mut said).expect("it ends");
        return said;
    }
    drop(ours);
    let this = std::process::id();
    let (ready, go) = nix::unistd::pipe().expect("a pipe");
    let Some(writer) = sys::fork().expect("a child") else {
        let maps = ["uid_map", "gid_map"].map(|map| format!("/proc/{this}/{map}"));
        nix::unistd::read(&ready, &mut [0]).expect("it is told");
        // The ids are the same; that makes no difference to what is looked at.
        let written = maps.iter().all(|map| fs::write(map, "0 0 65536\n").is_ok());
        sys::exit(i32::from(!written));
    };
    let new = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    unshare(new).expect("root may");
    nix::unistd::write(&go, b"x").expect("it waits");
    let writer = nix::unistd::Pid::from_raw(writer);
    nix::sys::wait::waitpid(writer, None).expect("it is a child");
    // The first process of a pid namespace is the next child.
    if sys::fork().expect("a child").is_none() {
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).expect("it may");
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), NONE).expect("it may");
        let said = inside();
        (&theirs).write_all(said.as_bytes()).expect("somebody listens");
        sys::exit(0);
    }
    nix::sys::wait::wait().expect("it ends");
    sys::exit(0)
}

/// What is wrong unless no sandbox is made that shows the kernel's command line.
fn refused(fixture: &Fixture, reason: &str) -> String {
    let output = shell(fixture, &[], "cat /proc/cmdline");
    let (text, errors) = (output.text(), output.errors());
    let fine = output.ending == Ending::Exited(STOCKADE_FAILED)
        && text.is_empty()
        && errors.contains(reason);
    if fine { String::from("fine") } else { format!("{:?}: {text}{errors}", output.ending) }
}

fn t49_what_its_runtime_covers_stays_covered(fixture: &Fixture) -> Outcome {
    let said = contained(fixture, || {
        mount(Some("/dev/null"), "/proc/cmdline", NONE, MsFlags::MS_BIND, NONE).expect("it may");
        refused(fixture, "parts of /proc are covered")
    });
    assert_eq!(said, "fine");
    Outcome::Passed
}

fn t49_what_its_runtime_leaves_out_is_not_added(fixture: &Fixture) -> Outcome {
    let said = contained(fixture, || {
        let part = Some("subset=pid");
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), part).expect("it may");
        refused(fixture, "/proc")
    });
    assert_eq!(said, "fine");
    Outcome::Passed
}

fn t52_devices_are_those_that_it_has(fixture: &Fixture) -> Outcome {
    let said = contained(fixture, || {
        // Nobody makes a node here, root of the container neither.
        let made = Command::new("mknod").args(["/dev/shm/node", "c", "1", "3"]).status();
        let made = made.is_ok_and(|status| status.success());
        let script = "test -c /dev/null && echo x >/dev/null && head -c 4 /dev/zero | wc -c";
        let output = shell(fixture, &[], script);
        format!("{made} {:?}: {}{}", output.ending, output.text(), output.errors())
    });
    assert_eq!(said, "false Exited(0): 4\n");
    Outcome::Passed
}
