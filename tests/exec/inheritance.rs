// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the payload has from its caller: descriptors, environment, directory, umask, limits.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use harness::frontend::{STOCKADE_FAILED, exec, probe, probe_launch, shell, shell_launch};
use harness::launch::Launch;
use harness::report::Report;
use harness::spec::{open_path, open_read};
use harness::{Case, Fixture, Outcome, case};
use nix::sys::resource::Resource;
use nix::sys::signal::Signal;
use serde_json::Value;

pub(crate) const CASES: &[Case] = &[
    case!(no_descriptor_beyond_2_arrives).entries(&["T20"]),
    case!(standard_descriptors_are_the_callers),
    case!(passed_descriptors_keep_their_numbers),
    case!(descriptors_that_are_not_open_cannot_be_passed).entries(&["T20"]),
    case!(signals_are_as_in_a_fresh_login).entries(&["T23"]),
    case!(ordinary_variables_arrive_and_desktop_ones_do_not),
    case!(variables_can_be_set_unset_and_cleared),
    case!(variables_that_set_id_programs_lose_arrive).entries(&["T18"]),
    case!(the_working_directory_is_kept_if_it_is_there),
    case!(cwd_chooses_the_directory),
    case!(a_caller_in_a_deleted_directory_is_served).entries(&["T21"]),
    case!(the_umask_is_kept).entries(&["T22"]),
    case!(the_limits_are_kept),
    case!(the_payload_has_a_process_group_of_its_own).entries(&["T65"]),
    case!(new_session_gives_a_session),
    case!(the_hostname_can_be_set),
    case!(status_is_reported_as_json),
    case!(tiny_limits_of_the_caller_give_a_result).entries(&["T22"]),
];

fn no_descriptor_beyond_2_arrives(fixture: &Fixture) -> Outcome {
    // T20.
    let mut launch = probe_launch(fixture, &[]);
    for number in 3..60 {
        let fd = match number % 3 {
            0 => open_path("/"),
            1 => open_read("/proc/self/ns/mnt"),
            _ => open_read("/etc/passwd"),
        };
        launch = launch.descriptor(number, fd);
    }
    let report = Report::of(&launch.run());
    let numbers: Vec<String> = report.table("fds").into_keys().collect();
    assert_eq!(numbers, ["0", "1", "2"]);
    Outcome::Passed
}

fn standard_descriptors_are_the_callers(fixture: &Fixture) -> Outcome {
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    File::from(writer).write_all(b"from outside\n").expect("there is room");
    let output = shell_launch(fixture, &[], "cat; echo out; echo err >&2").descriptor(0, reader);
    let output = output.run();
    output.assert_code(0);
    assert_eq!(output.text(), "from outside\nout\n");
    assert_eq!(output.errors(), "err\n");
    Outcome::Passed
}

fn passed_descriptors_keep_their_numbers(fixture: &Fixture) -> Outcome {
    let (mut reader, writer) = pipe();
    let (other, mut filler) = pipe();
    filler.write_all(b"through 9").expect("there is room");
    drop(filler);
    let options = ["--pass-fd=7", "--pass-fd=9"];
    let script = "echo to 7 >&7; cat <&9; ls /proc/self/fd | tr '\\n' ' '";
    let output = shell_launch(fixture, &options, script)
        .descriptor(7, writer.into())
        .descriptor(8, open_read("/etc"))
        .descriptor(9, other.into())
        .run();
    output.assert_code(0);
    // `ls` has one more, for the directory it lists.
    assert_eq!(output.text(), "through 90 1 2 3 7 9 ");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("a pipe can be read");
    assert_eq!(text, "to 7\n");
    Outcome::Passed
}

fn pipe() -> (File, File) {
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    (reader.into(), writer.into())
}

fn descriptors_that_are_not_open_cannot_be_passed(fixture: &Fixture) -> Outcome {
    for number in ["99999", "4294967295", "-1", "x"] {
        let output = exec(fixture).args([&format!("--pass-fd={number}"), "--", "true"]).run();
        output.assert_code(STOCKADE_FAILED);
        assert!(output.errors().contains(number), "{}", output.errors());
    }
    // Nor one that happens to be the number of something the frontend has opened itself: an O_PATH
    // descriptor of a host directory would lead out of the sandbox (T20, CVE-2024-21626).
    for number in 3..40 {
        for option in [format!("--pass-fd={number}"), format!("--json-status-fd={number}")] {
            let output = exec(fixture).args([&option, "--", "ls", "-l", "/proc/self/fd"]).run();
            output.assert_code(STOCKADE_FAILED);
            assert!(output.errors().contains(&number.to_string()), "{}", output.errors());
        }
    }
    Outcome::Passed
}

fn signals_are_as_in_a_fresh_login(fixture: &Fixture) -> Outcome {
    let launch = [Signal::SIGUSR1, Signal::SIGPIPE, Signal::SIGCHLD]
        .into_iter()
        .fold(probe_launch(fixture, &[]), Launch::block);
    for launch in [probe_launch(fixture, &[]), launch] {
        let report = Report::of(&launch.run());
        // I14.
        for field in ["SigBlk", "SigIgn", "SigCgt", "SigPnd"] {
            assert_eq!(report.mask(field), 0, "{field}");
        }
    }
    Outcome::Passed
}

fn ordinary_variables_arrive_and_desktop_ones_do_not(fixture: &Fixture) -> Outcome {
    let report = Report::of(
        &probe_launch(fixture, &[])
            .env("FRUIT", "apple=pear")
            .env("EMPTY", "")
            .env("DISPLAY", ":0")
            .env("WAYLAND_DISPLAY", "wayland-0")
            .env("SSH_AUTH_SOCK", "/tmp/agent")
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/tmp/bus")
            .run(),
    );
    let environment = report.table("env");
    assert_eq!(environment["FRUIT"], "apple=pear");
    assert_eq!(environment["EMPTY"], "");
    assert_eq!(environment["USER"], fixture.user.name);
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS"] {
        assert!(!environment.contains_key(name), "{name} leads to what was not granted");
    }
    Outcome::Passed
}

fn variables_can_be_set_unset_and_cleared(fixture: &Fixture) -> Outcome {
    let options = ["--env=A=1=2", "--env=B=", "--env=C=c", "--unset-env=C", "--unset-env=FRUIT"];
    let report = Report::of(&probe_launch(fixture, &options).env("FRUIT", "apple").run());
    let environment = report.table("env");
    assert_eq!((&*environment["A"], &*environment["B"]), ("1=2", ""));
    assert!(!environment.contains_key("C") && !environment.contains_key("FRUIT"));

    let report =
        Report::of(&probe_launch(fixture, &["--clear-env", "--env=A=1"]).env("FRUIT", "x").run());
    let environment = report.table("env");
    assert_eq!(environment["A"], "1");
    assert!(!environment.contains_key("FRUIT"), "{environment:?}");
    Outcome::Passed
}

fn variables_that_set_id_programs_lose_arrive(fixture: &Fixture) -> Outcome {
    // T18: the loader takes these away from a set-id program; they travel in the spec.
    let report = Report::of(
        &probe_launch(fixture, &["--env=TMPDIR=/tmp", "--env=LD_LIBRARY_PATH=/x"])
            .env("MALLOC_ARENA_MAX", "2")
            .run(),
    );
    let environment = report.table("env");
    assert_eq!(environment["TMPDIR"], "/tmp");
    assert_eq!(environment["LD_LIBRARY_PATH"], "/x");
    assert_eq!(environment["MALLOC_ARENA_MAX"], "2");
    Outcome::Passed
}

fn the_working_directory_is_kept_if_it_is_there(fixture: &Fixture) -> Outcome {
    let kept = probe_launch(fixture, &[]).directory("/usr/share");
    assert_eq!(Report::of(&kept.run()).text("cwd"), "/usr/share");
    let missing = fixture.directory("not-shared");
    let report = Report::of(&probe_launch(fixture, &[]).directory(&missing).run());
    let cwd = report.text("cwd");
    assert!(cwd == fixture.home().to_string_lossy() || cwd == "/", "{cwd}");
    assert_eq!(report.table("env")["PWD"], cwd);
    Outcome::Passed
}

fn cwd_chooses_the_directory(fixture: &Fixture) -> Outcome {
    assert_eq!(probe(fixture, &["--cwd=/usr/lib"]).text("cwd"), "/usr/lib");
    let output = exec(fixture).args(["--cwd=/no/such/directory", "--", "true"]).run();
    output.assert_code(STOCKADE_FAILED);
    assert!(output.errors().contains("/no/such/directory"), "{}", output.errors());
    Outcome::Passed
}

fn a_caller_in_a_deleted_directory_is_served(fixture: &Fixture) -> Outcome {
    // T21: started by a shell that has removed its own directory.
    let doomed = fixture.directory("doomed");
    let script = format!(
        "rmdir {}; exec \"$0\" exec -- sh -c 'pwd; ls -d ../../../../../../../../../../usr'",
        doomed.display()
    );
    let output = Launch::new("/bin/sh")
        .args(["-c", &script])
        .arg(fixture.program("stockade"))
        .account(&fixture.user)
        .directory(&doomed)
        .env("HOME", fixture.home())
        .env("PATH", "/usr/bin:/bin")
        .env("STOCKADE_HELPER", &fixture.helper)
        .run();
    output.assert_code(0);
    assert!(!output.text().contains("unreachable"), "{}", output.text());
    Outcome::Passed
}

fn the_umask_is_kept(fixture: &Fixture) -> Outcome {
    for umask in [0o000, 0o022, 0o077, 0o777] {
        let output = shell_launch(fixture, &[], "umask").umask(umask).run();
        output.assert_code(0);
        assert_eq!(output.text(), format!("{umask:04o}\n"));
    }
    Outcome::Passed
}

fn the_limits_are_kept(fixture: &Fixture) -> Outcome {
    let report = Report::of(
        &probe_launch(fixture, &[])
            .limit(Resource::RLIMIT_NOFILE, 300, 500)
            .limit(Resource::RLIMIT_CORE, 0, 1 << 20)
            .limit(Resource::RLIMIT_STACK, 4 << 20, 8 << 20)
            .run(),
    );
    let limits = report.table("limits");
    assert_eq!(limits["Max open files"], "300 500");
    assert_eq!(limits["Max core file size"], "0 1048576");
    assert_eq!(limits["Max stack size"], "4194304 8388608");
    Outcome::Passed
}

fn the_payload_has_a_process_group_of_its_own(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    assert_eq!(report.number("pgrp"), 2, "the payload leads its group");
    // The session is the caller's, which has no id in this pid namespace.
    assert_eq!(report.number("sid"), 0);
    Outcome::Passed
}

fn new_session_gives_a_session(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &["--new-session"]);
    assert_eq!((report.number("pgrp"), report.number("sid")), (2, 2));
    Outcome::Passed
}

fn the_hostname_can_be_set(fixture: &Fixture) -> Outcome {
    assert_eq!(probe(fixture, &["--hostname=box.example"]).text("hostname"), "box.example");
    let outside = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("/proc is mounted");
    assert_ne!(outside.trim(), "box.example");
    let output = exec(fixture).args(["--hostname=bad name", "--", "true"]).run();
    output.assert_code(STOCKADE_FAILED);
    Outcome::Passed
}

fn status_is_reported_as_json(fixture: &Fixture) -> Outcome {
    let (mut reader, writer) = pipe();
    let writer = OwnedFd::from(writer);
    let launch = shell_launch(fixture, &["--json-status-fd=5"], "ls /proc/self/fd; exit 3");
    let output = launch.descriptor(5, writer).run();
    output.assert_code(3);
    assert!(!output.text().contains('5'), "the status descriptor arrived: {}", output.text());
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("a pipe can be read");
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    let lines = lines.unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(lines.len() >= 2, "start and end: {text}");
    assert!(text.contains('3'), "the status of the payload: {text}");
    Outcome::Passed
}

fn tiny_limits_of_the_caller_give_a_result(fixture: &Fixture) -> Outcome {
    for (name, resource, limit) in [
        ("NOFILE 16", Resource::RLIMIT_NOFILE, 16),
        ("NOFILE 64", Resource::RLIMIT_NOFILE, 64),
        ("FSIZE 0", Resource::RLIMIT_FSIZE, 0),
        ("NPROC 1", Resource::RLIMIT_NPROC, 1),
        ("CORE 0", Resource::RLIMIT_CORE, 0),
    ] {
        let output = shell_launch(fixture, &[], "exit 7").limit(resource, limit, limit).run();
        let code = match output.ending {
            harness::process::Ending::Exited(code) => code,
            other => panic!("{name}: {other:?} {}", output.errors()),
        };
        assert!([7, STOCKADE_FAILED].contains(&code), "{name}: {code} {}", output.errors());
        assert_eq!(code == 7, output.errors().is_empty(), "{name}: {}", output.errors());
    }
    // More than enough for both, and still small.
    shell(fixture, &[], "exit 7").assert_code(7);
    Outcome::Passed
}
