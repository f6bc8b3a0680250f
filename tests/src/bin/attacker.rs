// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs outside, as the user whose sandboxes start and stop meanwhile, and tries to get hold of the
//! helper or of a capability. Goes on until its standard input ends; then prints what it gained.
//!
//! Frontend and payload are processes of the same user like any other: what they hold is no gain.
//! The helper is told by its name, which it bears from its exec to the payload's.
//!
//! With `--stepping` it stops each helper for as long as it looks at it, and so sees it at every moment;
//! with `--looking` it leaves the namespaces of others alone, where it has a right to enter them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_long;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use harness::process::readable;
use harness::{sys, watch};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;

/// The helper's name as the kernel keeps it, of at most 15 bytes, and the first argument of what enters
/// namespaces for it.
const HELPERS: [&str; 2] = ["stockade-helper", "stockade-namespace-entrance"];

/// Namespaces that can be joined one by one.
const KINDS: [&str; 8] = ["user", "mnt", "net", "pid", "pid_for_children", "ipc", "uts", "cgroup"];

/// Descriptors of the helper that are tried: more than it ever has open.
const DESCRIPTORS: i32 = 64;

/// How often a helper is stopped, one time after the other.
const STEPS: u32 = 20;

/// What was tried and what came of it.
#[derive(Default)]
struct Score {
    rounds: u64,
    attempts: u64,
    helpers: BTreeSet<i32>,
    gains: BTreeMap<String, u64>,
}

impl Score {
    fn gained(&mut self, what: String) {
        *self.gains.entry(what).or_default() += 1;
    }
}

fn main() {
    let me = nix::unistd::getpid().as_raw();
    let uid = nix::unistd::getuid().as_raw().to_string();
    let own_users = fs::read_link("/proc/self/ns/user").expect("/proc is mounted");
    let [stepping, looking] =
        ["--stepping", "--looking"].map(|wanted| std::env::args().any(|word| word == wanted));
    let mut score = Score::default();
    // Processes of others are looked at once; a number that comes again is the helper's soon
    // enough.
    let mut strangers = BTreeSet::new();
    println!("ready");
    while readable(&[std::io::stdin().as_fd()], Duration::ZERO).is_none() {
        score.rounds += 1;
        if score.rounds % 512 == 0 {
            strangers.clear();
        }
        for pid in watch::pids().into_iter().rev().filter(|pid| *pid != me) {
            if strangers.contains(&pid) {
                continue;
            }
            let ids = watch::status(pid, "Uid").unwrap_or_default();
            if !ids.split_whitespace().any(|id| id == uid) {
                strangers.insert(pid);
                continue;
            }
            attack(pid, (!looking).then_some(&own_users), &mut score);
            // One that only waits is no reason to miss the others.
            for _ in 0..if stepping { STEPS } else { 0 } {
                let signal = |signal| nix::sys::signal::kill(Pid::from_raw(pid), signal).is_ok();
                if !is_helper(pid) || !signal(Signal::SIGSTOP) {
                    break;
                }
                look_inside(pid, &mut score);
                signal(Signal::SIGCONT);
            }
        }
    }
    let report = json!({
        "rounds": score.rounds, "attempts": score.attempts, "helpers": score.helpers.len(),
        "gains": score.gains,
    });
    println!("{report}");
}

fn is_helper(pid: i32) -> bool {
    // A copy in memory is called by the number of its descriptor; its first argument is the same.
    is_called(pid, "comm") || is_called(pid, "cmdline")
}

fn is_called(pid: i32, file: &str) -> bool {
    let name = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let name = name.split(|byte| [b'\n', 0].contains(byte)).next().unwrap_or_default();
    HELPERS.iter().any(|helper| helper.as_bytes() == name)
}

fn attack(pid: i32, own_users: Option<&std::path::PathBuf>, score: &mut Score) {
    let helper = is_helper(pid);
    let Ok(process) = sys::pidfd_open(pid) else { return };
    if helper {
        score.helpers.insert(pid);
        steal(pid, process.as_fd(), score);
        look_inside(pid, score);
        trace(pid, score);
    }
    if let Some(own_users) = own_users {
        join(pid, process.as_fd(), own_users, helper, score);
    }
}

/// Notes something got from the helper, if the process still is the helper: otherwise it was the
/// payload already. That may bear the helper's name for a moment, but never its arguments.
fn note(pid: i32, what: String, score: &mut Score) {
    if is_called(pid, "cmdline") {
        score.gained(what);
    }
}

fn steal(pid: i32, process: BorrowedFd<'_>, score: &mut Score) {
    for number in 0..DESCRIPTORS {
        score.attempts += 1;
        if let Ok(stolen) = sys::pidfd_getfd(process, number) {
            // 0 to 2 are the caller's own and stay so through the exec of the payload.
            if number > 2 {
                let link = format!("/proc/self/fd/{}", stolen.as_raw_fd());
                let target = fs::read_link(link).unwrap_or_default();
                note(pid, format!("descriptor {number}: {}", target.display()), score);
            }
        }
    }
}

fn look_inside(pid: i32, score: &mut Score) {
    let path = |name: &str| format!("/proc/{pid}/{name}");
    for (name, write) in [("mem", true), ("mem", false)] {
        score.attempts += 1;
        if OpenOptions::new().read(true).write(write).open(path(name)).is_ok() {
            note(pid, format!("{name}, write {write}"), score);
        }
    }
    for name in ["environ", "maps", "auxv", "syscall", "stack"] {
        score.attempts += 1;
        if fs::read(path(name)).is_ok_and(|bytes| !bytes.is_empty()) {
            note(pid, name.to_owned(), score);
        }
    }
    for name in ["root", "cwd", "exe"] {
        score.attempts += 1;
        if fs::read_link(path(name)).is_ok() {
            note(pid, name.to_owned(), score);
        }
        if fs::read_dir(path("root")).is_ok() {
            note(pid, "root directory".to_owned(), score);
        }
    }
    // That there are descriptors may be seen where fs.suid_dumpable is 1; what they are may not.
    for name in ["fd", "map_files"] {
        score.attempts += 1;
        let mut entries = fs::read_dir(path(name)).into_iter().flatten().flatten();
        if entries.any(|entry| fs::read_link(entry.path()).is_ok()) {
            note(pid, name.to_owned(), score);
        }
    }
    score.attempts += 1;
    let mut entries = fs::read_dir(path("fdinfo")).into_iter().flatten().flatten();
    if entries.any(|entry| fs::read(entry.path()).is_ok()) {
        note(pid, "fdinfo".to_owned(), score);
    }
    score.attempts += 1;
    if sys::read_memory(pid, 0x7fff_f000, 8).is_ok() {
        note(pid, "process_vm_readv".to_owned(), score);
    }
}

fn trace(pid: i32, score: &mut Score) {
    score.attempts += 1;
    let target = Pid::from_raw(pid);
    if ptrace::seize(target, ptrace::Options::empty()).is_err() {
        return;
    }
    note(pid, "ptrace".to_owned(), score);
    // Let go of it again: what was seized by mistake is the payload.
    if ptrace::interrupt(target).is_ok() {
        let stopped = waitpid(target, Some(WaitPidFlag::__WALL));
        if let Ok(WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)) = stopped {
            // It may have been killed meanwhile.
            ptrace::detach(target, None).unwrap_or_default();
        }
    }
}

/// Tries to enter the namespaces of a process, the payload's included: no capability may come of
/// it.
fn join(
    pid: i32,
    process: BorrowedFd<'_>,
    own_users: &std::path::Path,
    helper: bool,
    score: &mut Score,
) {
    for kind in KINDS {
        score.attempts += 1;
        let Ok(namespace) = File::open(format!("/proc/{pid}/ns/{kind}")) else { continue };
        if helper {
            note(pid, format!("ns/{kind}"), score);
        }
        if kind == "user" {
            let users = fs::read_link(format!("/proc/{pid}/ns/user"));
            if users.is_ok_and(|users| users != own_users) {
                join_users(namespace.as_fd(), score);
            }
        } else if setns(namespace.as_fd(), 0) {
            score.gained(format!("joined ns/{kind}"));
        }
    }
    let all = libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWPID | libc::CLONE_NEWUTS;
    for flags in [all, libc::CLONE_NEWNET, libc::CLONE_NEWPID, libc::CLONE_NEWNS] {
        score.attempts += 1;
        if setns(process, flags) {
            score.gained(format!("joined by pidfd, flags {flags:#x}"));
        }
    }
}

fn setns(fd: BorrowedFd<'_>, flags: i32) -> bool {
    let arguments = [c_long::from(fd.as_raw_fd()), c_long::from(flags), 0, 0, 0];
    // SAFETY: setns takes two numbers.
    unsafe { sys::call(libc::SYS_setns, arguments) }.is_ok()
}

/// In a child, because there is no way back.
fn join_users(namespace: BorrowedFd<'_>, score: &mut Score) {
    score.attempts += 1;
    match sys::fork() {
        Ok(None) => {
            let capable = setns(namespace, libc::CLONE_NEWUSER)
                && watch::status("self", "CapEff").is_some_and(|set| set.contains(|c| c != '0'));
            sys::exit(i32::from(capable));
        }
        Ok(Some(child)) => {
            if waitpid(Pid::from_raw(child), None)
                == Ok(WaitStatus::Exited(Pid::from_raw(child), 1))
            {
                score.gained("capabilities in a user namespace".to_owned());
            }
        }
        Err(error) => panic!("fork: {error}"),
    }
}
