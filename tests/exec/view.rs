// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the payload sees: mounts, processes, network, names.

use std::fs;

use harness::frontend::{exec, probe, shell, shell_launch};
use harness::report::Mount;
use harness::{Case, Fixture, Mode, Outcome, case, watch};

pub(crate) const CASES: &[Case] = &[
    case!(every_mount_is_nosuid).entries(&["T47"]),
    case!(only_the_private_dev_lacks_nodev),
    case!(the_system_is_read_only_in_all_submounts),
    case!(the_root_is_our_own).entries(&["T48"]),
    case!(host_processes_are_invisible).entries(&["T37"]),
    case!(all_namespaces_are_new).entries(&["T55"]),
    case!(the_network_is_a_loopback_that_works),
    case!(the_home_is_empty_and_writable),
    case!(tmp_and_run_are_private),
    case!(nothing_of_the_runtime_directory_is_there).entries(&["T54", "T73"]),
    case!(the_host_mount_table_is_unchanged_while_it_runs).entries(&["T43"]),
    case!(writable_corners_of_proc_are_covered).entries(&["T51"]),
    case!(a_compiler_works).within(90),
];

fn every_mount_is_nosuid(fixture: &Fixture) -> Outcome {
    let mounts = probe(fixture, &[]).mounts();
    assert!(mounts.len() > 3, "{mounts:?}");
    for mount in &mounts {
        assert!(mount.has("nosuid"), "{mount:?}");
    }
    Outcome::Passed
}

fn only_the_private_dev_lacks_nodev(fixture: &Fixture) -> Outcome {
    for mount in probe(fixture, &[]).mounts() {
        // I5: the private /dev, its devpts, and without privilege the host's nodes bound into it.
        if !mount.is_below("/dev") {
            assert!(mount.has("nodev"), "{mount:?}");
        }
    }
    Outcome::Passed
}

fn the_system_is_read_only_in_all_submounts(fixture: &Fixture) -> Outcome {
    let system = ["/usr", "/etc", "/opt", "/bin", "/lib", "/lib64", "/sbin", "/sys"];
    let mut options = vec!["--write"];
    options.extend(["/usr", "/usr/bin", "/usr/lib", "/usr/local", "/etc", "/etc/passwd", "/opt"]);
    let launch = exec(fixture).arg("--").arg(fixture.program("probe")).args(&options);
    let report = harness::report::Report::of(&launch.run());
    for mount in report.mounts() {
        if system.iter().any(|path| mount.is_below(path)) {
            assert!(mount.has("ro"), "{mount:?}");
        }
    }
    for (path, writable) in report.table("writable") {
        assert_ne!(writable, "yes", "{path}");
    }
    Outcome::Passed
}

fn the_root_is_our_own(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    let mounts = report.mounts();
    let root = mounts.iter().find(|mount| mount.point == "/").expect("there is a root");
    assert_eq!(root.kind, "tmpfs");
    // T48: every mount hangs below it, nothing of the old root is left.
    let ids: Vec<u64> = mounts.iter().map(|mount| mount.id).collect();
    for mount in &mounts {
        assert!(mount.id == root.id || ids.contains(&mount.parent), "{mount:?}");
        assert!(mount.tags.iter().all(|tag| !tag.starts_with("shared:")), "{mount:?}");
    }
    let mut seen = report.list("root");
    seen.retain(|name| name != "usr");
    for name in ["root", "boot", "srv", "mnt", "media"] {
        assert!(!seen.iter().any(|have| have == name), "/{name} is there");
    }
    Outcome::Passed
}

fn host_processes_are_invisible(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    assert_eq!(report.list("pids"), ["1", "2"]);
    assert_eq!(report.number("pid"), 2);
    Outcome::Passed
}

fn all_namespaces_are_new(fixture: &Fixture) -> Outcome {
    let inside = probe(fixture, &[]).table("namespaces");
    let mut kinds = vec!["mnt", "pid", "net", "ipc", "uts", "cgroup"];
    if fixture.mode == Mode::Unprivileged {
        kinds.push("user");
    }
    for kind in kinds {
        let outside = fs::read_link(format!("/proc/self/ns/{kind}")).expect("/proc is mounted");
        assert_ne!(inside[kind], outside.to_string_lossy(), "{kind}");
    }
    Outcome::Passed
}

fn the_network_is_a_loopback_that_works(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    assert_eq!(report.list("interfaces"), ["lo"]);
    assert_eq!(report.0["loopback"], true);
    Outcome::Passed
}

fn the_home_is_empty_and_writable(fixture: &Fixture) -> Outcome {
    fs::write(fixture.home().join("secret"), "sesame").expect("own home");
    let script = "echo $HOME; ls -A $HOME; touch $HOME/new && echo writable";
    let output = shell(fixture, &[], script);
    output.assert_code(0);
    assert_eq!(output.text(), format!("{}\nwritable\n", fixture.home().display()));
    let mut left: Vec<_> =
        fs::read_dir(fixture.home()).expect("own home").flatten().map(|e| e.file_name()).collect();
    left.sort();
    assert_eq!(left, ["secret"]);
    Outcome::Passed
}

fn tmp_and_run_are_private(fixture: &Fixture) -> Outcome {
    let name = format!("stockade-test-{}", std::process::id());
    let outside = std::path::Path::new("/tmp").join(&name);
    fs::write(&outside, "outside").expect("/tmp is writable");
    let script = format!(
        "ls -A /tmp; echo in >/tmp/{name}-inside && echo in >/var/tmp/{name}-inside;
         cat /tmp/{name}*;
         stat -c %a /tmp /var/tmp; ls -A /run | grep -v -e user -e host -e current-system"
    );
    let output = shell(fixture, &[], &script);
    fs::remove_file(&outside).expect("own file");
    assert_eq!(output.text(), "in\n1777\n1777\n", "{}", output.errors());
    for directory in ["/tmp", "/var/tmp"] {
        assert!(!fs::exists(format!("{directory}/{name}-inside")).unwrap_or(true));
    }
    Outcome::Passed
}

fn nothing_of_the_runtime_directory_is_there(fixture: &Fixture) -> Outcome {
    let runtime = fixture.directory("runtime");
    let socket = std::os::unix::net::UnixListener::bind(runtime.join("bus")).expect("a socket");
    let output = shell_launch(fixture, &[], "ls -A $XDG_RUNTIME_DIR; env | grep -c DBUS_SESSION")
        .env("XDG_RUNTIME_DIR", &runtime)
        .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/bus", runtime.display()))
        .run();
    drop(socket);
    assert!(!output.text().contains("bus"), "{}", output.text());
    Outcome::Passed
}

fn the_host_mount_table_is_unchanged_while_it_runs(fixture: &Fixture) -> Outcome {
    let before = watch::mount_table();
    let mut running = shell_launch(fixture, &[], "echo up; read line").start();
    running.read_line();
    assert_eq!(watch::mount_table(), before, "while it runs");
    running.process.signal(nix::sys::signal::Signal::SIGTERM);
    running.finish();
    assert_eq!(watch::mount_table(), before, "after it ended");
    Outcome::Passed
}

fn writable_corners_of_proc_are_covered(fixture: &Fixture) -> Outcome {
    // T51.
    let corners = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/irq",
        "/proc/bus",
        "/proc/sys",
    ];
    let launch = exec(fixture).arg("--").arg(fixture.program("probe")).arg("--write").args(corners);
    let report = harness::report::Report::of(&launch.run());
    for (path, writable) in report.table("writable") {
        assert_ne!(writable, "yes", "{path}");
    }
    let covered: Vec<Mount> =
        report.mounts().into_iter().filter(|mount| mount.point.starts_with("/proc/")).collect();
    let corners = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"];
    for path in corners.into_iter().filter(|path| fs::exists(path).unwrap_or(true)) {
        let cover = covered.iter().find(|mount| mount.point == path);
        assert!(cover.is_some_and(|mount| mount.has("ro")), "{path}: {covered:?}");
    }
    Outcome::Passed
}

fn a_compiler_works(fixture: &Fixture) -> Outcome {
    let Some(compiler) =
        ["/usr/bin/cc", "/usr/bin/gcc"].into_iter().find(|p| fs::exists(p).unwrap_or(false))
    else {
        return Outcome::Skipped("there is no C compiler".to_owned());
    };
    let project = fixture.directory("project");
    fs::write(project.join("a.c"), "int main(void) { return 42; }").expect("own directory");
    fixture.give(&project.join("a.c"));
    let launch = exec(fixture)
        .arg(format!("--project={}", project.display()))
        .args(["--", "sh", "-c"])
        .arg(format!("{compiler} -o a a.c && ./a"));
    launch.run().assert_code(42);
    assert!(project.join("a").exists(), "what was built is outside as well");
    Outcome::Passed
}
