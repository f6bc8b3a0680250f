// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the helper inherits at exec: descriptors, arguments, environment, directory, umask, and
//! what it has made of it by the time it waits for the request.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use harness::process::eventually;
use harness::raw::{self, RawHelper};
use harness::report::Report;
use harness::spec::{Spec, open_path, open_read};
use harness::{Case, Fixture, Mode, Outcome, case, process, watch};
use stockade_protocol::event::{Call, Stage};

pub(crate) const CASES: &[Case] = &[
    case!(closed_standard_descriptors_are_refused_or_filled).entries(&["T19"]),
    case!(an_empty_argument_vector_is_like_one_name).entries(&["T16"]),
    case!(arguments_are_refused).entries(&["T16"]),
    case!(the_environment_changes_nothing).entries(&["T17"]),
    case!(the_environment_does_not_arrive).entries(&["T18"]),
    case!(the_working_directory_does_not_matter).entries(&["T21"]),
    case!(the_umask_of_the_caller_does_not_matter).entries(&["T22"]),
    case!(inherited_descriptors_do_not_arrive).entries(&["T20"]).as_root(),
    case!(no_new_privs_comes_before_the_request).entries(&["T15"]),
    case!(waiting_for_the_request_holds_no_effective_capability).entries(&["T04", "T15"]),
    case!(under_no_new_privs_it_finds_itself_unprivileged)
        .entries(&["T25"])
        .modes(Mode::PRIVILEGED),
    case!(its_own_name_does_not_matter).entries(&["T08"]),
];

/// Status that the payload of these tests ends with.
const MARK: u8 = 7;

fn marked() -> Spec {
    Spec::shell("exit 7")
}

fn closed_standard_descriptors_are_refused_or_filled(fixture: &Fixture) -> Outcome {
    for closed in 0..8 {
        for request in [true, false] {
            let mut launch = raw::helper(fixture);
            for number in (0..3).filter(|number| closed & (1 << number) != 0) {
                launch = launch.close(number);
            }
            let mut raw = RawHelper::start(launch);
            if request {
                // Whatever stands where one was closed is a device, and not merely what the next
                // thing that was opened left there.
                let filled = |number: &i32| closed & (1 << number) != 0;
                let script = (0..3)
                    .filter(filled)
                    .map(|number| format!("test -c /proc/self/fd/{number} || exit 8; "));
                raw.send(&Spec::shell(&format!("{}exit 7", script.collect::<String>())));
            } else {
                raw.send_bytes(b"no request, long enough to be a header of one");
            }
            let verdict = raw.conclude();
            // T19: refused, so that nothing that is opened can become the payload's stdio. The C
            // library of a set-id program opens /dev/null in their place, which is as good.
            if closed == 0 && request || verdict.exit().is_some() {
                verdict.assert_exit(MARK);
            } else {
                verdict.assert_declined();
                // Before anything was opened that could break later for want of a place.
                let failure = verdict.failure().filter(|_| request);
                let expected = (Stage::LockDown, Call::Dup);
                assert!(
                    !request || failure.is_some_and(|f| (f.stage, f.call) == expected),
                    "{verdict:?}"
                );
            }
        }
    }
    Outcome::Passed
}

fn an_empty_argument_vector_is_like_one_name(fixture: &Fixture) -> Outcome {
    let none: [&str; 0] = [];
    RawHelper::run(raw::helper(fixture).argv(none), &marked()).assert_exit(MARK);
    Outcome::Passed
}

fn arguments_are_refused(fixture: &Fixture) -> Outcome {
    let long = "x".repeat(100_000);
    let odd = OsStr::from_bytes(b"\xff\xfe");
    let vectors: [Vec<&OsStr>; 5] = [
        vec![OsStr::new("--help")],
        vec![OsStr::new("")],
        vec![odd],
        vec![OsStr::new(&long); 15],
        vec![OsStr::new("a"); 5000],
    ];
    for arguments in vectors {
        let verdict = RawHelper::run(raw::helper(fixture).args(&arguments), &marked());
        verdict.assert_declined();
        assert_eq!(verdict.events, [], "an argument was accepted");
        assert_ne!(verdict.output.ending, process::Ending::Exited(0));
    }
    Outcome::Passed
}

/// Variables that loaders, C libraries, Rust's runtime and its panic machinery look at (T17).
pub(crate) const HOSTILE: &[&str] = &[
    "LD_PRELOAD=/tmp/evil.so",
    "LD_AUDIT=/tmp/evil.so",
    "LD_LIBRARY_PATH=/tmp",
    "LD_DEBUG=all",
    "LD_DEBUG_OUTPUT=/tmp/stockade-test-ld-debug",
    "LD_SHOW_AUXV=1",
    "LD_BIND_NOW=1",
    "GLIBC_TUNABLES=glibc.malloc.check=3:glibc.malloc.perturb=165",
    "GLIBC_TUNABLES=glibc.malloc.mxfast=glibc.malloc.mxfast=A",
    "MALLOC_CHECK_=3",
    "MALLOC_PERTURB_=165",
    "MALLOC_ARENA_MAX=0",
    "MALLOC_TRACE=/tmp/stockade-test-malloc-trace",
    "RUST_BACKTRACE=full",
    "RUST_LIB_BACKTRACE=1",
    "RUST_MIN_STACK=1",
    "RUST_LOG=trace",
    "TMPDIR=/nowhere",
    "TZ=:/etc/shadow",
    "LOCPATH=/tmp",
    "LANG=../../tmp",
    "HOSTALIASES=/etc/shadow",
    "NLSPATH=/tmp/%N",
    "GCONV_PATH=/tmp",
    "GETCONF_DIR=/tmp",
    "PATH=/tmp",
    "HOME=/etc/shadow",
    "=",
    "no-equals-sign",
    "STOCKADE_HELPER=/bin/false",
    "STOCKADE_DEBUG=1",
];

fn the_environment_changes_nothing(fixture: &Fixture) -> Outcome {
    let traces = ["/tmp/stockade-test-ld-debug", "/tmp/stockade-test-malloc-trace"];
    for path in traces {
        fs::remove_file(path).ok();
    }
    let all = HOSTILE.to_vec();
    let each = HOSTILE.iter().map(|entry| vec![*entry]);
    for environment in each.chain([all]) {
        let start = || {
            let launch = raw::helper(fixture);
            RawHelper::start(environment.iter().fold(launch, |launch, entry| launch.raw_env(entry)))
        };
        let mut raw = start();
        raw.send(&marked());
        let verdict = raw.conclude();
        verdict.assert_exit(MARK);
        assert_eq!((verdict.output.text(), verdict.output.errors()), Default::default());

        let mut raw = start();
        raw.send_bytes(&[0xff; 64]);
        raw.conclude().assert_declined();
    }
    for path in traces {
        assert!(!fs::exists(path).unwrap_or(true), "{path} was written");
    }
    Outcome::Passed
}

fn the_environment_does_not_arrive(fixture: &Fixture) -> Outcome {
    let launch = raw::helper(fixture).env("SECRET", "s3cr3t-0f-th3-c4ll3r");
    let mut raw = RawHelper::start(launch);
    // T18: neither the payload's nor init's environment or arguments have it, nor does any other
    // file of /proc that can be read.
    raw.send(&Spec::shell(
        "env | grep -c s3cr3t; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null |
         tr '\\0' '\\n' | grep -v grep | grep -c '^SECRET='; exit 7",
    ));
    let verdict = raw.conclude();
    verdict.assert_exit(MARK);
    assert_eq!(verdict.output.text(), "0\n0\n");
    Outcome::Passed
}

fn the_working_directory_does_not_matter(fixture: &Fixture) -> Outcome {
    let gone = fixture.directory("gone");
    let locked = fixture.directory("locked");
    for directory in ["/proc/self/fd", "/dev/shm"] {
        RawHelper::run(raw::helper(fixture).directory(directory), &marked()).assert_exit(MARK);
    }
    // Entered while it can be, and made impossible to enter before the helper looks (T21).
    let start = |directory| RawHelper::start(raw::helper(fixture).directory(directory));
    let mut in_gone = start(&gone);
    let mut in_locked = start(&locked);
    fs::remove_dir(&gone).expect("an empty directory can be removed");
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode;
    fs::set_permissions(&locked, mode(0)).expect("its owner can lock it");
    for raw in [&mut in_gone, &mut in_locked] {
        raw.send(&marked());
    }
    in_gone.conclude().assert_exit(MARK);
    in_locked.conclude().assert_exit(MARK);
    fs::set_permissions(&locked, mode(0o700)).expect("its owner can unlock it");
    Outcome::Passed
}

fn the_umask_of_the_caller_does_not_matter(fixture: &Fixture) -> Outcome {
    for umask in [0, 0o022, 0o077, 0o777] {
        let mut spec = Spec::shell("stat -c %a /a /a/b /a/file / /tmp; umask");
        spec.directory("/a/b");
        let empty = stockade_protocol::request::Content::Bytes(Vec::new());
        spec.file("/a/file", empty);
        let verdict = RawHelper::run(raw::helper(fixture).umask(umask), &spec);
        verdict.assert_exit(0);
        assert_eq!(verdict.output.text(), "755\n755\n644\n755\n755\n0022\n", "umask {umask:o}");
    }
    Outcome::Passed
}

fn inherited_descriptors_do_not_arrive(fixture: &Fixture) -> Outcome {
    let mut launch = raw::helper(fixture);
    for number in 4..200 {
        let fd = match number % 4 {
            0 => open_path("/"),
            1 => open_read("/proc/self/ns/mnt"),
            2 => open_read("/etc"),
            _ => open_read("/etc/shadow"),
        };
        launch = launch.descriptor(number, fd);
    }
    let verdict = RawHelper::run(launch, &Spec::tool(fixture, "probe"));
    verdict.assert_exit(0);
    let report = Report::of(&verdict.output);
    let numbers: Vec<String> = report.table("fds").into_keys().collect();
    assert_eq!(numbers, ["0", "1", "2"]);

    // And neither init nor the monitor keeps one of them, seen from outside by root.
    let mut launch = raw::helper(fixture);
    for number in 4..40 {
        launch = launch.descriptor(number, open_read("/etc/shadow"));
    }
    let mut raw = RawHelper::start(launch);
    raw.send(&Spec::shell("sleep 60"));
    raw.started();
    for seen in watch::processes_of(fixture.user.uid) {
        let Ok(links) = fs::read_dir(format!("/proc/{}/fd", seen.pid)) else { continue };
        for link in links.flatten() {
            let Ok(target) = fs::read_link(link.path()) else { continue };
            let text = target.to_string_lossy();
            let plain = ["/dev/null", "pipe:", "socket:", "anon_inode:"];
            // The monitor, which has but one id, reads namespace ids from the host's /proc.
            let outside = watch::status(seen.pid, "NSpid").is_none_or(|ids| !ids.contains('\t'));
            // The payload may be loading its libraries just now.
            let library = seen.name != "stockade-helper" && text != "/etc/shadow";
            let known = plain.iter().any(|kind| text.starts_with(kind))
                || library
                || outside && text == "/proc";
            assert!(known, "{seen:?} holds {text} as {:?}", link.file_name());
        }
    }
    Outcome::Passed
}

/// A helper that waits for its request.
fn waiting(fixture: &Fixture) -> RawHelper {
    let raw = RawHelper::start(raw::helper(fixture));
    // It sleeps only where it reads the socket.
    let asleep = eventually(process::patience(), || {
        let state = watch::status(raw.running.process.pid(), "State")?;
        state.starts_with('S').then_some(())
    });
    assert!(asleep.is_some(), "it does not wait for the request");
    raw
}

fn no_new_privs_comes_before_the_request(fixture: &Fixture) -> Outcome {
    let raw = waiting(fixture);
    // I2.
    let status = watch::status(raw.running.process.pid(), "NoNewPrivs");
    assert_eq!(status.as_deref(), Some("1"));
    Outcome::Passed
}

fn waiting_for_the_request_holds_no_effective_capability(fixture: &Fixture) -> Outcome {
    let raw = waiting(fixture);
    let field = |name| watch::status(raw.running.process.pid(), name).expect("a status field");
    let mask = |name| u64::from_str_radix(&field(name), 16).expect("a mask");
    // I3; capability numbers of capabilities(7): SETGID 6, SETUID 7, NET_ADMIN 12, SYS_ADMIN 21,
    // MKNOD 27 (design section 5). No DAC bit ever (T04).
    let build = 1 << 12 | 1 << 21 | 1 << 27;
    let most = match fixture.mode {
        Mode::FileCaps => build,
        Mode::Setuid => build | 1 << 6 | 1 << 7,
        Mode::Unprivileged => 0,
    };
    assert_eq!(mask("CapEff"), 0);
    assert_eq!(mask("CapInh"), 0);
    assert_eq!(mask("CapAmb"), 0);
    assert_eq!(mask("CapPrm") & !most, 0, "permitted: {}", field("CapPrm"));
    if fixture.mode.is_privileged() {
        assert_ne!(mask("CapPrm"), 0, "the helper was given nothing");
    }
    // I8: real, effective and file-system ids are the caller's.
    let uid = fixture.user.uid.to_string();
    let uids = field("Uid");
    let uids: Vec<&str> = uids.split_whitespace().collect();
    assert_eq!([uids[0], uids[1], uids[3]], [uid.as_str(); 3]);
    Outcome::Passed
}

fn under_no_new_privs_it_finds_itself_unprivileged(fixture: &Fixture) -> Outcome {
    use stockade_protocol::Event;
    let verdict = RawHelper::run(raw::helper(fixture).no_new_privileges(), &marked());
    // T25: either complete in the mode the kernel left it, or not at all.
    let unprivileged = Event::Ready { mode: Mode::Unprivileged.announced() };
    let ready = verdict.events.iter().find(|event| matches!(event, Event::Ready { .. }));
    assert!(ready.is_none_or(|ready| *ready == unprivileged), "{verdict:?}");
    if verdict.failure().is_none() {
        verdict.assert_exit(MARK);
    } else {
        verdict.assert_declined();
    }
    Outcome::Passed
}

fn its_own_name_does_not_matter(fixture: &Fixture) -> Outcome {
    for name in ["/bin/sh", "", "-sh", "../../bin/sh", "stockade-helper\n"] {
        RawHelper::run(raw::helper(fixture).argv([name]), &marked()).assert_exit(MARK);
    }
    // T08: reached through a link, it finds nothing and needs nothing beside itself.
    let link = fixture.scratch.join("link");
    std::os::unix::fs::symlink(&fixture.helper, &link).expect("a link can be made");
    let launch = harness::launch::Launch::new(&link).account(&fixture.user);
    RawHelper::run(launch, &marked()).assert_exit(MARK);
    Outcome::Passed
}
