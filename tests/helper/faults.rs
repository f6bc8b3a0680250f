// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel that says no: each call the helper makes fails in turn. What comes of it is an error,
//! or a sandbox with everything that was asked for; never something in between (I15, T03, T56).
//!
//! The calls are made to fail by a seccomp program which only root can lay under a helper with
//! privilege.

use std::ffi::c_long;

use harness::filter::{lying_about, without_calls};
use harness::inject;
use harness::process::Ending;
use harness::raw::{self, RawHelper, Verdict};
use harness::report::Report;
use harness::spec::Spec;
use harness::{Case, Fixture, Outcome, case};
use nix::errno::Errno;
use stockade_protocol::event::Hint;
use stockade_protocol::request::{Access, Content};

pub(crate) const CASES: &[Case] = &[
    case!(t56_a_missing_call_gives_an_error_or_a_whole_sandbox).as_root().within(120),
    case!(each_call_in_turn_may_fail).entries(&["T56"]).as_root().within(240),
    case!(each_call_in_turn_may_fail_in_any_way)
        .entries(&["T56"])
        .as_root()
        .on_request()
        .within(1800),
    case!(kernels_before_5_12_are_named).entries(&["T41"]).as_root(),
    case!(t29_calls_that_lie_give_no_privilege_away).as_root().within(120),
];

/// Every call that the helper has a use for before its payload's exec.
const CALLS: &[(&str, c_long)] = &[
    ("capset", libc::SYS_capset),
    ("capget", libc::SYS_capget),
    ("clone", libc::SYS_clone),
    ("clone3", libc::SYS_clone3),
    ("fork", libc::SYS_fork),
    ("vfork", libc::SYS_vfork),
    ("close_range", libc::SYS_close_range),
    ("fcntl", libc::SYS_fcntl),
    ("dup2", libc::SYS_dup2),
    ("dup3", libc::SYS_dup3),
    ("fsconfig", libc::SYS_fsconfig),
    ("fsmount", libc::SYS_fsmount),
    ("fsopen", libc::SYS_fsopen),
    ("mount_setattr", libc::SYS_mount_setattr),
    ("move_mount", libc::SYS_move_mount),
    ("open_tree", libc::SYS_open_tree),
    ("openat2", libc::SYS_openat2),
    ("openat", libc::SYS_openat),
    ("pivot_root", libc::SYS_pivot_root),
    ("umount2", libc::SYS_umount2),
    ("unshare", libc::SYS_unshare),
    ("prctl", libc::SYS_prctl),
    ("setresuid", libc::SYS_setresuid),
    ("setresgid", libc::SYS_setresgid),
    ("seccomp", libc::SYS_seccomp),
    ("mkdirat", libc::SYS_mkdirat),
    ("mknodat", libc::SYS_mknodat),
    ("symlinkat", libc::SYS_symlinkat),
    ("readlinkat", libc::SYS_readlinkat),
    ("fstatfs", libc::SYS_fstatfs),
    ("statx", libc::SYS_statx),
    ("newfstatat", libc::SYS_newfstatat),
    ("fchmod", libc::SYS_fchmod),
    ("fchdir", libc::SYS_fchdir),
    ("chdir", libc::SYS_chdir),
    ("chroot", libc::SYS_chroot),
    ("umask", libc::SYS_umask),
    ("setsid", libc::SYS_setsid),
    ("setpgid", libc::SYS_setpgid),
    ("rt_sigaction", libc::SYS_rt_sigaction),
    ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
    ("setitimer", libc::SYS_setitimer),
    ("recvmsg", libc::SYS_recvmsg),
    ("recvfrom", libc::SYS_recvfrom),
    ("sendmsg", libc::SYS_sendmsg),
    ("sendto", libc::SYS_sendto),
    ("socketpair", libc::SYS_socketpair),
    ("getsockopt", libc::SYS_getsockopt),
    ("poll", libc::SYS_poll),
    ("ppoll", libc::SYS_ppoll),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("wait4", libc::SYS_wait4),
    ("waitid", libc::SYS_waitid),
    ("keyctl", libc::SYS_keyctl),
    ("sethostname", libc::SYS_sethostname),
    ("prlimit64", libc::SYS_prlimit64),
    ("socket", libc::SYS_socket),
    ("ioctl", libc::SYS_ioctl),
    ("getpid", libc::SYS_getpid),
    ("getppid", libc::SYS_getppid),
    ("splice", libc::SYS_splice),
    ("sendfile", libc::SYS_sendfile),
    ("copy_file_range", libc::SYS_copy_file_range),
];

/// A request that needs most of them, and a payload that tells what became of it.
fn spec(fixture: &Fixture) -> Spec {
    let source = fixture.directory("source");
    let mut spec = Spec::tool(fixture, "probe");
    spec.bind(&source, "/source", Access::ReadWrite);
    spec.bind("/etc", "/etc", Access::ReadOnly);
    spec.file("/file", Content::Bytes(b"content".to_vec()));
    spec.symlink("usr", "/link");
    spec.request.payload.new_keyring = true;
    spec = spec.args(["--write", "/etc", "/usr", "/source"]);
    spec
}

fn build(fixture: &Fixture, filter: Vec<libc::sock_filter>) -> Verdict {
    let mut raw = RawHelper::start(raw::helper(fixture).filter(filter));
    raw.send(&spec(fixture));
    raw.conclude_even_killed()
}

/// Asserts that a payload that reported lives in exactly what was asked for.
fn assert_whole(fixture: &Fixture, verdict: &Verdict, what: &str) {
    if verdict.output.stdout.is_empty() {
        return;
    }
    // A probe whose own calls fail says less, or nothing that can be read.
    let Ok(value) = serde_json::from_slice(&verdict.output.stdout) else { return };
    let report = Report(value);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(report.mask(set), 0, "{what}: {set}");
    }
    assert_eq!(report.status("NoNewPrivs"), "1", "{what}");
    let uid = fixture.user.uid.to_string();
    let gid = fixture.user.gid.to_string();
    for (field, own) in [("Uid", uid), ("Gid", gid)] {
        let ids: Vec<&str> = report.status(field).split_whitespace().collect();
        assert!(ids.iter().all(|id| *id == own), "{what}: {field} {ids:?}");
    }
    let writable = report.table("writable");
    assert_ne!(writable["/etc"], "yes", "{what}");
    assert_ne!(writable["/usr"], "yes", "{what}");
    for mount in report.mounts() {
        assert!(mount.has("nosuid"), "{what}: {mount:?}");
    }
    let numbers: Vec<String> = report.table("fds").into_keys().collect();
    assert!(
        numbers.iter().all(|number| ["0", "1", "2"].contains(&number.as_str())),
        "{what}: {numbers:?}"
    );
    for kind in ["mnt", "pid", "net", "ipc", "uts"] {
        let outside =
            std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("/proc is mounted");
        if let Some(inside) = report.table("namespaces").get(kind) {
            assert_ne!(*inside, outside.to_string_lossy(), "{what}: {kind}");
        }
    }
}

fn t56_a_missing_call_gives_an_error_or_a_whole_sandbox(fixture: &Fixture) -> Outcome {
    let whole = build(fixture, without_calls(&[libc::SYS_acct]));
    whole.assert_exit(0);
    for (name, call) in CALLS {
        let verdict = build(fixture, without_calls(&[*call]));
        if verdict.exit().is_none() {
            // Not a crash: the helper says which call it was, or could not even do that.
            let ending = verdict.output.ending;
            let ended = matches!(ending, harness::process::Ending::Exited(_));
            assert!(ended, "{name}: {verdict:?}");
        }
        assert_whole(fixture, &verdict, name);
    }
    Outcome::Passed
}

/// What a call that fails gives.
const ERRNOS: [Errno; 6] =
    [Errno::ENOSYS, Errno::EPERM, Errno::ENOMEM, Errno::EINTR, Errno::EMFILE, Errno::ENOSPC];

/// Builds once more for each call of the helper, which fails then, until there is none left. Gives
/// how many there were.
#[track_caller]
fn fail_in_turn(fixture: &Fixture, errno: impl Fn(usize) -> Errno) -> usize {
    for nth in 0.. {
        let mut raw = RawHelper::start(raw::helper(fixture).traced());
        raw.send(&spec(fixture));
        let Some(failed) = inject::fail(&mut raw.running.process, nth, errno(nth)) else {
            raw.conclude().assert_exit(0);
            return nth;
        };
        let verdict = raw.conclude_even_killed();
        let what = format!("call {nth}, {}: {}", failed.number, errno(nth));
        // Not a crash, whoever of them it was.
        let ended = matches!(verdict.output.ending, Ending::Exited(_));
        assert!(ended, "{what}: {verdict:?}");
        assert_whole(fixture, &verdict, &what);
    }
    unreachable!("the helper makes calls without end")
}

fn each_call_in_turn_may_fail(fixture: &Fixture) -> Outcome {
    if cfg!(not(target_arch = "x86_64")) {
        return Outcome::Skipped("calls are made to fail by x86-64's registers".to_owned());
    }
    let calls = fail_in_turn(fixture, |nth| ERRNOS[nth % ERRNOS.len()]);
    assert!(calls > 150, "only {calls} calls were seen");
    Outcome::Passed
}

fn each_call_in_turn_may_fail_in_any_way(fixture: &Fixture) -> Outcome {
    for errno in ERRNOS {
        let calls = fail_in_turn(fixture, |_| errno);
        println!("{errno}: {calls} calls");
    }
    Outcome::Passed
}

fn kernels_before_5_12_are_named(fixture: &Fixture) -> Outcome {
    let verdict = build(fixture, without_calls(&[libc::SYS_mount_setattr]));
    verdict.assert_declined();
    let failure = verdict.failure().expect("a failure");
    assert_eq!(failure.hint, Hint::OldKernel, "{failure:?}");
    Outcome::Passed
}

fn t29_calls_that_lie_give_no_privilege_away(fixture: &Fixture) -> Outcome {
    // A call that reports success and does nothing: whoever does not look again believes it.
    let calls = [
        ("setresuid", libc::SYS_setresuid),
        ("setresgid", libc::SYS_setresgid),
        ("capset", libc::SYS_capset),
        ("close_range", libc::SYS_close_range),
    ];
    for (name, call) in calls {
        let verdict = build(fixture, lying_about(&[call]));
        if name != "close_range" {
            assert_whole(fixture, &verdict, name);
        }
    }
    Outcome::Passed
}
