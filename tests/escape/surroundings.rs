// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machines in a bad state, or with an administrator who changes them meanwhile. Each case has a
//! mount table of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::frontend::{STOCKADE_FAILED, exec, shell, shell_launch, stockade};
use harness::process::{Ending, slowness};
use harness::raw::{self, RawHelper};
use harness::report::Report;
use harness::spec::{Spec, place};
use harness::{Case, Fixture, Mode, Outcome, case, watch};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use stockade_protocol::event::Hint;
use stockade_protocol::request::{Access, Operation};

pub(crate) const CASES: &[Case] = &[
    case!(t07_shared_directories_need_not_be_usable).as_root(),
    case!(t13_what_root_runs_cannot_change_the_kernel).as_root(),
    case!(t25_where_the_bit_is_ignored_the_sandbox_is_whole_or_none).as_root(),
    case!(t41_mounts_that_come_and_go_disturb_nobody).as_root().within(120),
    case!(t52_a_false_device_of_the_host_is_not_taken).as_root(),
    case!(t78_multiplied_mounts_are_built_or_refused).as_root().within(170),
];

const NONE: Option<&str> = None;

/// Gives this process a mount table of its own.
fn private_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).expect("root may");
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).expect("root may");
}

fn tmpfs(path: &Path, flags: MsFlags, options: &str) {
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options)).expect("root may");
}

fn t07_shared_directories_need_not_be_usable(fixture: &Fixture) -> Outcome {
    let home = fixture.home();
    let places = ["/tmp", "/var/tmp", "/run", "/dev/shm", "/mnt"];
    // Read-only; full; and with a link of the old predictable name in it.
    for kind in ["read-only", "full", "linked"] {
        private_mounts();
        for path in places {
            let path = Path::new(path);
            match kind {
                "read-only" => tmpfs(path, MsFlags::MS_RDONLY, "mode=555"),
                "full" => tmpfs(path, MsFlags::empty(), "mode=1777,size=4k,nr_inodes=1"),
                _ => {
                    tmpfs(path, MsFlags::empty(), "mode=1777");
                    let name = path.join(format!(".stockade-{}", fixture.user.uid));
                    std::os::unix::fs::symlink(&home, name).expect("root may");
                }
            }
        }
        let mut spec = Spec::shell("exit 7");
        spec.tmpfs("/made");
        RawHelper::build(fixture, &spec).assert_exit(7);
        let output =
            shell(fixture, &[], "touch /tmp/x /run/user/*/x 2>/dev/null; echo inside; exit 7");
        output.assert_code(7);
        assert_eq!(output.text(), "inside\n", "{kind}");
        if kind == "linked" {
            for path in places {
                assert_eq!(fs::read_dir(path).expect("it is there").count(), 1, "left in {path}");
            }
        }
        for path in places {
            umount2(path, MntFlags::MNT_DETACH).expect("root may");
        }
    }
    assert_eq!(fs::read_dir(&home).expect("own home").count(), 0);
    Outcome::Passed
}

fn t13_what_root_runs_cannot_change_the_kernel(fixture: &Fixture) -> Outcome {
    // Only opened: what could be opened for writing is enough.
    let script = "id -u; for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe \
        /proc/sysrq-trigger /proc/sys/kernel/hostname /proc/1/exe /proc/1/mem /proc/kcore; do
        (: >>$f) 2>/dev/null && echo $f can be written; done; exit 7";
    let home = fixture.directory("root-home");
    let launch = stockade(fixture).without_env("HOME").env("HOME", &home).as_runner();
    let output = launch.args(["exec", "--", "sh", "-c", script]).run();
    output.assert_code(7);
    assert_eq!(output.text(), "0\n", "{}", output.errors());
    // The same without the frontend's filter.
    let verdict = RawHelper::run(raw::helper(fixture).as_runner(), &Spec::shell(script));
    verdict.assert_exit(7);
    assert_eq!(verdict.output.text(), "0\n");
    Outcome::Passed
}

/// Asserts that what came is the refusal of the frontend, or the report of a probe in a whole
/// sandbox.
#[track_caller]
fn assert_whole_or_none(fixture: &Fixture, output: &harness::process::Output, what: &str) {
    if output.ending == Ending::Exited(STOCKADE_FAILED) {
        assert_eq!(output.text(), "", "{what}: something ran");
        assert_ne!(output.errors(), "", "{what}: nothing is said");
        return;
    }
    let report = Report::of(output);
    assert_eq!(report.list("pids"), ["1", "2"], "{what}");
    assert_eq!(report.status("NoNewPrivs"), "1", "{what}");
    assert_eq!(report.status("Seccomp"), "2", "{what}");
    assert_eq!(report.mask("CapEff"), 0, "{what}");
    let uid = [fixture.user.uid.to_string().as_str(); 4].join("\t");
    assert_eq!(report.status("Uid"), uid, "{what}");
    let inside = report.table("namespaces");
    for kind in ["mnt", "pid", "net", "ipc", "uts"] {
        let outside = fs::read_link(format!("/proc/self/ns/{kind}")).expect("/proc is mounted");
        assert_ne!(inside[kind], outside.to_string_lossy(), "{what}: {kind}");
    }
    let root = report.mounts().into_iter().find(|mount| mount.point == "/").expect("a root");
    assert_eq!(root.kind, "tmpfs", "{what}");
}

fn t25_where_the_bit_is_ignored_the_sandbox_is_whole_or_none(fixture: &Fixture) -> Outcome {
    let probe = fixture.program("probe");
    let run = || exec(fixture).arg("--").arg(&probe);
    assert_whole_or_none(fixture, &run().run(), "as usual");
    assert_whole_or_none(fixture, &run().no_new_privileges().run(), "no_new_privs");
    let refused = run().filter(harness::filter::without_user_namespaces()).no_new_privileges();
    let output = refused.run();
    assert_whole_or_none(fixture, &output, "no_new_privs without user namespaces");
    output.assert_code(STOCKADE_FAILED);

    // A sandbox in a sandbox: no_new_privs is on, and namespaces are refused.
    let inner = format!(
        "STOCKADE_HELPER={} {} exec -- echo inner",
        fixture.helper.display(),
        fixture.program("stockade").display()
    );
    let output = shell(fixture, &[], &inner);
    output.assert_code(STOCKADE_FAILED);
    assert_eq!(output.text(), "");

    // Where the helper lies on a file system mounted without set-id programs.
    private_mounts();
    let directory = fixture.helper.parent().expect("it has one");
    mount(Some(directory), directory, NONE, MsFlags::MS_BIND, NONE).expect("root may");
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID;
    mount(NONE, directory, NONE, flags, NONE).expect("root may");
    let output = run().run();
    umount2(directory, MntFlags::MNT_DETACH).expect("root may");
    assert_whole_or_none(fixture, &output, "nosuid");
    Outcome::Passed
}

fn t41_mounts_that_come_and_go_disturb_nobody(fixture: &Fixture) -> Outcome {
    private_mounts();
    let (source, point) = (fixture.directory("source"), fixture.directory("point"));
    let Some(child) = harness::sys::fork().expect("a child") else {
        loop {
            let flags = MsFlags::MS_BIND;
            mount(Some(&source), &point, NONE, flags, NONE).unwrap_or_default();
            umount2(&point, MntFlags::MNT_DETACH).unwrap_or_default();
        }
    };
    let child = harness::process::Process::adopt(child).expect("a child");
    let mut spec = Spec::shell("test -d /host/usr && exit 7");
    spec.bind("/", "/host", Access::ReadOnly);
    let share = format!("--filesystem={}", fixture.scratch.display());
    for round in 0..150 / slowness() {
        let verdict = RawHelper::build(fixture, &spec);
        assert_eq!(verdict.output.ending, Ending::Exited(0), "round {round}: {verdict:?}");
        verdict.assert_exit(7);
        if round % 5 == 0 {
            let output = shell(fixture, &[&share, "--filesystem=host"], "exit 7");
            assert_eq!(output.ending, Ending::Exited(7), "round {round}: {}", output.errors());
        }
    }
    drop(child);
    // It may have been killed between its two calls.
    umount2(&point, MntFlags::MNT_DETACH).unwrap_or_default();
    Outcome::Passed
}

fn t52_a_false_device_of_the_host_is_not_taken(fixture: &Fixture) -> Outcome {
    private_mounts();
    let file = fixture.file("full", "no device");
    let random = "/dev/urandom";
    // A file for one node (CVE-2025-31133), another device for another.
    for (source, node) in [(file.as_path(), "/dev/full"), (Path::new("/dev/zero"), random)] {
        mount(Some(source), node, NONE, MsFlags::MS_BIND, NONE).expect("root may");
        let name = node.rsplit('/').next().expect("a name");
        let mut spec = Spec::system("/bin/stat").args(["-c", "%t:%T", node]);
        spec.request.operations.retain(|step| !matches!(step, Operation::Devices { .. }));
        spec.push(Operation::Devices { destination: place("/dev"), console: None });
        let verdict = RawHelper::build(fixture, &spec);
        umount2(node, MntFlags::MNT_DETACH).expect("root may");
        if fixture.mode == Mode::Unprivileged {
            verdict.assert_declined();
            let hint = verdict.failure().map(|failure| failure.hint);
            assert_eq!(hint, Some(Hint::NotTheDevice), "{name}: {verdict:?}");
        } else {
            // Made by number, whatever the host's node is.
            verdict.assert_exit(0);
            let expected = if name == "full" { "1:7\n" } else { "1:9\n" };
            assert_eq!(verdict.output.text(), expected, "{name}");
        }
    }
    Outcome::Passed
}

fn t78_multiplied_mounts_are_built_or_refused(fixture: &Fixture) -> Outcome {
    const MOUNTS: usize = 1000;
    private_mounts();
    let wide = fixture.directory("wide");
    tmpfs(&wide, MsFlags::empty(), "mode=755");
    for number in 0..MOUNTS {
        let path = wide.join(number.to_string());
        fs::create_dir(&path).expect("root may");
        mount(Some("/usr/share"), &path, NONE, MsFlags::MS_BIND, NONE).expect("root may");
    }
    let before = watch::mount_table();
    let multiplied = |times: usize| {
        let mut spec = Spec::shell("wc -l </proc/self/mountinfo; exit 7");
        for number in 0..times {
            spec.bind(&wide, &format!("/wide/{number}"), Access::ReadOnly);
        }
        spec
    };
    // Three times is built whole.
    let verdict = RawHelper::build(fixture, &multiplied(3));
    verdict.assert_exit(7);
    let lines: usize = verdict.output.text().trim().parse().expect("a number");
    assert!(lines > 3 * MOUNTS, "{lines}");
    // More than fs.mount-max is refused by the name of the limit, with nothing left.
    let most = fs::read_to_string("/proc/sys/fs/mount-max").expect("/proc is mounted");
    let most: usize = most.trim().parse().expect("a number");
    if most <= 200 * MOUNTS {
        let verdict = RawHelper::build(fixture, &multiplied(most / MOUNTS + 1));
        verdict.assert_declined();
        let hint = verdict.failure().map(|failure| failure.hint);
        assert_eq!(hint, Some(Hint::MountLimit), "{verdict:?}");
    }
    // Several at once, while somebody else starts an ordinary one.
    let many: Vec<_> = (0..4)
        .map(|_| {
            let mut raw = RawHelper::start(raw::helper(fixture));
            raw.send(&multiplied(3));
            raw
        })
        .collect();
    let begun = Instant::now();
    let output = shell_launch(fixture, &[], "exit 7").run();
    output.assert_code(7);
    assert!(begun.elapsed() < Duration::from_secs(20) * slowness(), "{:?}", begun.elapsed());
    for raw in many {
        raw.conclude().assert_exit(7);
    }
    assert_eq!(watch::mount_table(), before);
    umount2(&wide, MntFlags::MNT_DETACH).expect("root may");
    let mode = fs::metadata(&wide).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    Outcome::Passed
}
