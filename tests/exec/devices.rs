// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/dev` and `--device` (R180 to R184).

use std::fs;

use harness::frontend::{probe, shell};
use harness::{Case, Fixture, Outcome, case};

pub(crate) const CASES: &[Case] = &[
    case!(the_private_dev_has_the_usual_nodes_and_no_more).entries(&["T52"]),
    case!(the_nodes_work),
    case!(a_new_devpts_is_there),
    case!(shm_is_private),
    case!(shm_can_be_shared),
    case!(all_devices_can_be_shared),
    case!(devices_that_are_not_there_are_left_out),
    case!(nodes_cannot_be_made).entries(&["T52"]),
];

fn the_private_dev_has_the_usual_nodes_and_no_more(fixture: &Fixture) -> Outcome {
    let dev = probe(fixture, &[]).table("dev");
    // T52: numbers of Documentation/admin-guide/devices.txt.
    for (name, number) in [
        ("null", "1:3"),
        ("zero", "1:5"),
        ("full", "1:7"),
        ("random", "1:8"),
        ("urandom", "1:9"),
        ("tty", "5:0"),
    ] {
        assert!(dev[name].starts_with(&format!("c {number} ")), "{name}: {}", dev[name]);
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("core", "/proc/kcore"),
        ("ptmx", "pts/ptmx"),
    ] {
        assert_eq!(dev[name], format!("-> {target}"), "{name}");
    }
    let known = [
        "null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr",
        "core", "ptmx", "pts", "shm", "mqueue", "console", "ntsync",
    ];
    let more: Vec<&String> = dev.keys().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(more.is_empty(), "{more:?}");
    Outcome::Passed
}

fn the_nodes_work(fixture: &Fixture) -> Outcome {
    let script =
        "set -e; echo x >/dev/null; test \"$(head -c2 /dev/zero | od -An -tx1)\" = ' 00 00';
        ! (echo x >/dev/full) 2>/dev/null; test $(head -c 8 /dev/urandom | wc -c) = 8;
        test $(head -c 8 /dev/random | wc -c) = 8; echo ok >/dev/stdout; ls /dev/fd >/dev/null";
    let output = shell(fixture, &[], script);
    output.assert_code(0);
    assert_eq!(output.text(), "ok\n");
    Outcome::Passed
}

fn a_new_devpts_is_there(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    let mounts = report.mounts();
    let pts = mounts.iter().find(|mount| mount.point == "/dev/pts").expect("there is a devpts");
    assert_eq!(pts.kind, "devpts");
    assert!(pts.has("noexec") && pts.has("nosuid"), "{pts:?}");
    // Empty, whatever terminals the host has; and a terminal can be opened in it.
    let script = "ls /dev/pts; script -qc 'tty' /dev/null </dev/null | tr -d '\\r'";
    if fs::exists("/usr/bin/script").unwrap_or(false) {
        let output = shell(fixture, &[], script);
        assert_eq!(output.text(), "ptmx\n/dev/pts/0\n", "{}", output.errors());
    }
    Outcome::Passed
}

fn shm_is_private(fixture: &Fixture) -> Outcome {
    let name = format!("stockade-test-{}", std::process::id());
    let outside = std::path::Path::new("/dev/shm").join(&name);
    fs::write(&outside, "outside").expect("/dev/shm is writable");
    let output = shell(fixture, &[], "ls -A /dev/shm; touch /dev/shm/x && stat -c %a /dev/shm");
    fs::remove_file(&outside).expect("own file");
    assert_eq!(output.text(), "1777\n");
    Outcome::Passed
}

fn shm_can_be_shared(fixture: &Fixture) -> Outcome {
    let name = format!("stockade-test-{}", std::process::id());
    let outside = std::path::Path::new("/dev/shm").join(&name);
    fs::write(&outside, "outside").expect("/dev/shm is writable");
    let output = shell(fixture, &["--device=shm"], &format!("cat /dev/shm/{name}"));
    let taken_back = shell(fixture, &["--device=shm", "--nodevice=shm"], "ls -A /dev/shm");
    fs::remove_file(&outside).expect("own file");
    assert_eq!(output.text(), "outside", "{}", output.errors());
    assert_eq!(taken_back.text(), "");
    Outcome::Passed
}

fn all_devices_can_be_shared(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &["--device=all"]);
    let dev = report.table("dev");
    for entry in fs::read_dir("/dev").expect("the host has a /dev").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(dev.contains_key(&name), "/dev/{name} is missing");
    }
    for mount in report.mounts() {
        assert!(mount.has("nosuid"), "{mount:?}");
    }
    // R184: but not what others share.
    let script = "ls -A /dev/shm; echo x >/dev/null && echo usable";
    assert_eq!(shell(fixture, &["--device=all"], script).text(), "usable\n");
    Outcome::Passed
}

fn devices_that_are_not_there_are_left_out(fixture: &Fixture) -> Outcome {
    // R181, R182: if they exist.
    for device in ["dri", "kvm", "input", "usb"] {
        shell(fixture, &[&format!("--device={device}")], "exit 3").assert_code(3);
    }
    Outcome::Passed
}

fn nodes_cannot_be_made(fixture: &Fixture) -> Outcome {
    for place in ["/dev/evil", "/tmp/evil", "/evil"] {
        let output = shell(fixture, &[], &format!("mknod {place} c 1 1 && echo made"));
        assert_eq!(output.text(), "");
    }
    Outcome::Passed
}
