// SPDX-License-Identifier: MIT OR Apache-2.0
use super::limit::Limit;
use super::mock::{job_removed, manager, reply};
use super::*;
use crate::bus::message::Message;
use crate::bus::mock::Mock;
use crate::filesystem::locate::tests::Scratch;
use std::ffi::OsStr;
use std::os::unix::net::UnixListener;
use std::time::Duration;

const JOB: &str = "/org/freedesktop/systemd1/job/20";

fn scope() -> Scope {
    Scope::new("flatpak", OsStr::new("org.example.App"), "12")
}

fn limited() -> Limits {
    let mut limits = Limits::default();
    limits.set(Limit::Tasks(7));
    limits
}

fn nobody(scratch: &Scratch) -> Manager {
    let socket = scratch.join("run/systemd/private");
    Manager { socket, uid: 1000, pid: 7, patience: Duration::from_secs(60) }
}

fn answering(result: &'static str) -> Mock<Message> {
    Mock::new(move |peer| {
        peer.authenticate();
        let call = peer.call();
        peer.say(&reply(JOB));
        peer.say(&job_removed(JOB, scope().name(), result));
        call
    })
}

/// A machine on which this process is in the scope, and this is its limit of tasks.
fn machine(tasks: &str) -> Scratch {
    let scratch = Scratch::new();
    let unit = scope();
    let unit = unit.name();
    scratch.file("proc/self/cgroup", format!("0::/app.slice/{unit}\n"));
    scratch.file(&format!("sys/fs/cgroup/app.slice/{unit}/pids.max"), tasks);
    scratch
}

#[test]
fn r151_without_systemd_nothing_happens() {
    let scratch = Scratch::new();
    for make in [false, true] {
        if make {
            // Somebody listened once.
            scratch.directory("run/systemd");
            drop(UnixListener::bind(scratch.join("run/systemd/private")).unwrap());
        }
        let joined = join_at(&nobody(&scratch), &scratch.0, &scope(), &Limits::default());
        assert_eq!(joined.unwrap(), None);
    }
}

#[test]
fn limits_without_a_manager_are_an_error_that_says_what_to_do() {
    let scratch = Scratch::new();
    let error = join_at(&nobody(&scratch), &scratch.0, &scope(), &limited()).unwrap_err();
    assert!(matches!(error, SystemdError::Absent { .. }));
    let text = error.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "cannot reach systemd's manager of your units, which keeps limits");
    assert!(lines[1].contains("run/systemd/private: No such file or directory"), "{text}");
    assert!(lines[2].contains("loginctl enable-linger"), "{text}");
}

#[test]
fn r151_a_failure_without_limits_is_a_detail() {
    let mock = answering("failed");
    let joined = join_at(&manager(&mock), Path::new("/"), &scope(), &Limits::default());
    let text = "cannot have systemd make the scope app-flatpak-org.example.App-12.scope\n\
                the job of starting it ended with 'failed'";
    assert_eq!(joined.unwrap(), Some(Notice::Detail(text.into())));
}

#[test]
fn a_failure_with_limits_is_an_error() {
    let mock = answering("failed");
    let error = join_at(&manager(&mock), Path::new("/"), &scope(), &limited()).unwrap_err();
    assert!(matches!(error, SystemdError::Manager { .. }), "{error}");
}

#[test]
fn limits_hold_or_are_an_error() {
    let mock = answering("done");
    let kept = machine("7\n");
    assert_eq!(join_at(&manager(&mock), &kept.0, &scope(), &limited()).unwrap(), None);
    let mock = answering("done");
    let loose = machine("max\n");
    let error = join_at(&manager(&mock), &loose.0, &scope(), &limited()).unwrap_err();
    assert!(matches!(error, SystemdError::Group { .. }), "{error}");
    assert!(error.to_string().contains("\nthe limit tasks=7 does not hold"), "{error}");
}

#[test]
fn r151_without_limits_no_controller_is_needed() {
    let mock = answering("done");
    let empty = Scratch::new();
    assert_eq!(join_at(&manager(&mock), &empty.0, &scope(), &Limits::default()).unwrap(), None);
}

#[test]
fn what_a_manager_says_is_shown_without_its_escape_sequences() {
    let reason = ManagerError::Job("\x1b[2K\nok".into());
    let text = SystemdError::Manager { unit: "a.scope".into(), reason }.to_string();
    assert_eq!(text.lines().count(), 3);
    assert!(!text.contains('\x1b'));
}
