// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the caller supplies: directories full of links, places he may not enter, odd objects.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use harness::raw::{self, RawHelper, Verdict};
use harness::spec::{Spec, open_link, open_path, open_read};
use harness::{Case, Fixture, Mode, Outcome, case, sys, watch};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use stockade_protocol::event::Hint;
use stockade_protocol::request::{Access, Content, SourceKind};

pub(crate) const CASES: &[Case] = &[
    case!(t03_links_in_supplied_directories_lead_nowhere),
    case!(t03_parents_that_can_only_be_searched_are_passed).as_root(),
    case!(t04_locked_directories_stay_locked).as_root(),
    case!(t39_symlinks_are_refused_as_sources),
    case!(t39_namespaces_are_refused_as_sources),
    case!(t40_very_deep_directories_are_refused),
    case!(t42_objects_of_another_mount_namespace_are_refused).as_root(),
];

fn t03_links_in_supplied_directories_lead_nowhere(fixture: &Fixture) -> Outcome {
    let supplied = fixture.directory("supplied");
    for (name, target) in [
        ("root", "/"),
        ("up", "../../../../.."),
        ("proc", "/proc/self/root"),
        ("one", "/proc/1/root"),
        ("cwd", "/proc/self/cwd"),
        ("fd", "/proc/self/fd/5"),
        ("home", "/home"),
    ] {
        symlink(target, supplied.join(name)).expect("own directory");
    }
    let mark = &watch::mark();
    type Step = fn(&mut Spec, &str);
    let steps: [Step; 4] = [
        Spec::directory,
        Spec::tmpfs,
        |spec, path| spec.file(path, Content::Bytes(b"x".to_vec())),
        |spec, path| spec.bind("/etc", path, Access::ReadOnly),
    ];
    let before = watch::tree(&supplied);
    for link in ["root", "up", "proc", "one", "cwd", "fd", "home"] {
        for step in steps {
            for below in ["", "etc/", "tmp/", "home/", "var/lib/"] {
                let mut spec = Spec::shell("exit 7");
                spec.bind(&supplied, "/d", Access::ReadWrite);
                step(&mut spec, &format!("/d/{link}/{below}{mark}"));
                let verdict = RawHelper::build(fixture, &spec);
                // Inside, or not at all.
                assert!(verdict.failure().is_some() || verdict.exit().is_some(), "{verdict:?}");
                verdict.assert_orderly();
            }
        }
    }
    for place in ["/", "/etc", "/tmp", "/home", "/var/lib", "/usr", "/proc"] {
        let path = Path::new(place).join(mark);
        assert!(fs::symlink_metadata(&path).is_err(), "{} was made", path.display());
    }
    assert_eq!(watch::tree(&supplied), before);
    Outcome::Passed
}

fn t03_parents_that_can_only_be_searched_are_passed(fixture: &Fixture) -> Outcome {
    // As with /home/other of mode 0711: search permission is enough (the first fix of
    // CVE-2026-87766 opened parents for reading).
    let parent = fixture.scratch.join("parent");
    fs::create_dir_all(parent.join("own")).expect("root may");
    fixture.give(&parent.join("own"));
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o711)).expect("root may");
    let mut spec = Spec::shell("test -d /p/own/made && ! ls /p >/dev/null 2>&1 && exit 7");
    spec.bind(&parent, "/p", Access::ReadWrite);
    spec.tmpfs("/p/own");
    spec.directory("/p/own/made");
    RawHelper::build(fixture, &spec).assert_exit(7);
    Outcome::Passed
}

fn t04_locked_directories_stay_locked(fixture: &Fixture) -> Outcome {
    let locked = fixture.scratch.join("locked");
    fs::create_dir_all(locked.join("existing")).expect("root may");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).expect("root may");
    let before = watch::tree(&locked);
    let answer = |change: fn(&mut Spec)| {
        let mut spec = Spec::shell("exit 7");
        spec.bind(&locked, "/x", Access::ReadWrite);
        change(&mut spec);
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_declined();
        let failure = verdict.failure().expect("a typed answer");
        (failure.stage, failure.errno, failure.hint)
    };
    // No answer tells what is there and what is not.
    let answers = [
        answer(|spec| spec.directory("/x/new")),
        answer(|spec| spec.directory("/x/existing")),
        answer(|spec| spec.tmpfs("/x/existing")),
        answer(|spec| spec.tmpfs("/x/missing")),
        answer(|spec| spec.file("/x/existing/file", Content::Bytes(Vec::new()))),
        answer(|spec| spec.file("/x/file", Content::Bytes(Vec::new()))),
        answer(|spec| spec.symlink("a", "/x/link")),
    ];
    assert!(answers.iter().all(|other| *other == answers[0]), "{answers:?}");
    assert_eq!(answers[0].1, libc::EACCES as u32);
    assert_eq!(watch::tree(&locked), before);
    Outcome::Passed
}

#[track_caller]
fn bind(fixture: &Fixture, fd: &OwnedFd, kind: SourceKind) -> Verdict {
    let mut spec = Spec::shell("exit 7");
    spec.bind_descriptor(sys::duplicate(fd), kind, "/odd", Access::ReadWrite);
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_orderly();
    verdict
}

#[track_caller]
fn assert_hint(fixture: &Fixture, fd: &OwnedFd, hint: Hint) {
    for kind in [SourceKind::File, SourceKind::Directory] {
        let verdict = bind(fixture, fd, kind);
        verdict.assert_declined();
        assert_eq!(verdict.failure().map(|failure| failure.hint), Some(hint), "{verdict:?}");
    }
}

fn t39_symlinks_are_refused_as_sources(fixture: &Fixture) -> Outcome {
    for (name, target) in [("a", "/etc/shadow"), ("b", "/proc/self/ns/mnt"), ("c", "no-such-file")]
    {
        let link = fixture.scratch.join(name);
        symlink(target, &link).expect("own directory");
        assert_hint(fixture, &open_link(&link), Hint::SourceIsSymlink);
    }
    // Magic links of /proc are symlinks as well.
    assert_hint(fixture, &open_link("/proc/self/exe"), Hint::SourceIsSymlink);
    Outcome::Passed
}

fn t39_namespaces_are_refused_as_sources(fixture: &Fixture) -> Outcome {
    for kind in ["mnt", "net", "pid", "user", "ipc", "uts", "cgroup"] {
        let path = format!("/proc/self/ns/{kind}");
        assert_hint(fixture, &open_read(&path), Hint::SourceIsNamespace);
        assert_hint(fixture, &open_path(&path), Hint::SourceIsNamespace);
    }
    Outcome::Passed
}

fn t40_very_deep_directories_are_refused(fixture: &Fixture) -> Outcome {
    // 20 names of 255 bytes: more than PATH_MAX, made step by step.
    let top = fixture.directory("deep");
    let name = "d".repeat(255);
    let mut here = open_path(&top);
    for _ in 0..20 {
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o755);
        nix::sys::stat::mkdirat(&here, name.as_str(), mode).expect("own directory");
        let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC;
        here = nix::fcntl::openat(&here, name.as_str(), flags, mode).expect("own directory");
    }
    assert_hint(fixture, &here, Hint::SourceTooDeep);
    Outcome::Passed
}

/// Descriptors opened in another mount namespace: of a tree that is here as well, and of a file
/// system that is only there.
fn from_elsewhere() -> (OwnedFd, OwnedFd) {
    let (here, there) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let child = sys::fork().expect("a child");
    if child.is_none() {
        drop(here);
        unshare(CloneFlags::CLONE_NEWNS).expect("root may");
        let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).expect("root may");
        let tmpfs = Some("tmpfs");
        mount(tmpfs, "/mnt", tmpfs, MsFlags::empty(), None::<&str>).expect("root may");
        let (known, unknown) = (open_path("/usr"), open_path("/mnt"));
        raw::send_descriptors(&there, b"x", &[known.as_fd(), unknown.as_fd()]).expect("room");
        // The namespace lives until the descriptors are used.
        drop(std::io::Read::read(&mut &there, &mut [0]));
        sys::exit(0);
    }
    drop(there);
    let mut received = raw::receive_descriptors(&here).expect("two descriptors");
    let unknown = received.pop().expect("two");
    let known = received.pop().expect("two");
    (known, unknown)
}

fn t42_objects_of_another_mount_namespace_are_refused(fixture: &Fixture) -> Outcome {
    // With the namespace alive, and gone: `from_elsewhere` lets go of it when the socket closes.
    let (known, unknown) = from_elsewhere();
    let verdict = bind(fixture, &unknown, SourceKind::Directory);
    verdict.assert_declined();
    let hint = verdict.failure().map(|failure| failure.hint);
    assert!(matches!(hint, Some(Hint::SourceElsewhere | Hint::SourceReplaced)), "{verdict:?}");
    let verdict = bind(fixture, &known, SourceKind::Directory);
    if fixture.mode == Mode::Unprivileged {
        // Without privilege the same object is found by its path, as the caller could find it
        // himself.
        assert!(verdict.failure().is_some() || verdict.exit().is_some());
    } else {
        verdict.assert_declined();
        let hint = verdict.failure().map(|failure| failure.hint);
        assert_eq!(hint, Some(Hint::SourceElsewhere), "{verdict:?}");
    }
    Outcome::Passed
}
