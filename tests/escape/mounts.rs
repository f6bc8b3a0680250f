// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts of the host and of the sandbox, and what may pass between them. Each case has a mount
//! table of its own, so that the machine's is not touched.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use harness::frontend::{STOCKADE_FAILED, exec, probe_launch, shell, shell_launch};
use harness::process::Running;
use harness::raw::{self, RawHelper};
use harness::report::Report;
use harness::spec::{Spec, place};
use harness::{Case, Fixture, Mode, Outcome, case, watch};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use stockade_protocol::event::{Call, Hint};
use stockade_protocol::request::{Access, Operation, Propagation};
use stockade_protocol::text::SymlinkTarget;

pub(crate) const CASES: &[Case] = &[
    case!(t43_no_mount_of_ours_reaches_the_host).as_root(),
    case!(t44_later_mounts_of_the_host_do_not_appear).as_root(),
    case!(t44_a_slave_bind_shows_them_on_request).as_root(),
    case!(t45_read_only_holds_for_every_mount_below).as_root(),
    case!(t46_what_a_mount_covers_stays_covered).as_root(),
    case!(t47_flags_of_the_source_stay).as_root(),
    case!(t48_nothing_of_the_old_root_is_left),
    case!(t48_a_covered_root_of_the_caller_is_refused).modes(Mode::PRIVILEGED).as_root(),
    case!(t48_a_mount_on_a_link_to_the_root_takes_its_place),
    case!(t48_pseudo_file_systems_on_a_link_to_the_root_are_refused),
];

const NONE: Option<&str> = None;

/// A mount table of one's own in which every mount is shared, as systemd leaves it.
fn shared_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).expect("root may");
    let recursive = MsFlags::MS_REC;
    mount(NONE, "/", NONE, recursive | MsFlags::MS_PRIVATE, NONE).expect("root may");
    mount(NONE, "/", NONE, recursive | MsFlags::MS_SHARED, NONE).expect("root may");
}

fn tmpfs(path: &Path, flags: MsFlags) {
    fs::create_dir_all(path).expect("root may");
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some("mode=777")).expect("root may");
}

fn bind(source: &Path, path: &Path) {
    fs::create_dir_all(path).expect("root may");
    mount(Some(source), path, NONE, MsFlags::MS_BIND, NONE).expect("root may");
}

/// Undone so that the scratch directory can be removed; in the end the table goes with the process.
fn undo(path: &Path) {
    umount2(path, MntFlags::MNT_DETACH).expect("root may");
}

fn share(path: &Path) -> String {
    format!("--filesystem={}", path.display())
}

fn t43_no_mount_of_ours_reaches_the_host(fixture: &Fixture) -> Outcome {
    shared_mounts();
    let tree = fixture.directory("tree");
    tmpfs(&tree, MsFlags::empty());
    fs::create_dir(tree.join("point")).expect("root may");
    fixture.give(&tree.join("point"));
    let before = watch::mount_table();
    let mut running = shell_launch(fixture, &[&share(&tree)], "echo up; read line").start();
    running.read_line();
    assert_eq!(watch::mount_table(), before, "while it runs");
    running.process.signal(nix::sys::signal::Signal::SIGTERM);
    running.finish();
    assert_eq!(watch::mount_table(), before, "afterwards");

    // And through the helper directly, everything mounted inside the shared tree.
    let mut spec = Spec::shell("mount | grep -c /tree/point; exit 7");
    spec.bind(&tree, "/tree", Access::ReadWrite);
    spec.tmpfs("/tree/point");
    let destination = harness::spec::place("/tree/point/proc");
    spec.push(Operation::Proc { destination, protect: true });
    spec.bind("/usr", "/tree/point/usr", Access::ReadOnly);
    RawHelper::build(fixture, &spec).assert_exit(7);
    assert_eq!(watch::mount_table(), before);
    undo(&tree);
    Outcome::Passed
}

/// A sandbox that says what it sees in `path` once it is told to, after `change`.
fn look_after(running: &mut Running, mut keys: fs::File, change: impl FnOnce()) -> String {
    running.read_line();
    change();
    keys.write_all(b"go\n").expect("it reads");
    running.read_until(|text| text.contains("end\n"))
}

fn t44_later_mounts_of_the_host_do_not_appear(fixture: &Fixture) -> Outcome {
    shared_mounts();
    for suffix in ["", ":ro"] {
        let source = fixture.directory("source");
        let point = fixture.directory("source/point");
        fixture.file("source/point/before", "");
        let (reader, keys) = nix::unistd::pipe().expect("a pipe");
        let script = format!("echo up; read line; ls {}; echo end", point.display());
        let option = format!("{}{suffix}", share(&source));
        let mut running = shell_launch(fixture, &[&option], &script).descriptor(0, reader).start();
        let seen = look_after(&mut running, keys.into(), || tmpfs(&point, MsFlags::empty()));
        assert_eq!(seen, "before\nend\n");
        running.finish();
        undo(&point);
    }
    Outcome::Passed
}

fn t44_a_slave_bind_shows_them_on_request(fixture: &Fixture) -> Outcome {
    shared_mounts();
    let source = fixture.directory("source");
    tmpfs(&source, MsFlags::empty());
    fs::create_dir(source.join("point")).expect("root may");
    let mut spec = Spec::shell("echo up; read line; ls /source/point; echo end");
    spec.bind(&source, "/source", Access::ReadWrite);
    if let Some(Operation::Bind(bind)) = spec.request.operations.last_mut() {
        bind.propagation = Propagation::Slave;
    }
    let (reader, keys) = nix::unistd::pipe().expect("a pipe");
    let mut raw = RawHelper::start(raw::helper(fixture).descriptor(0, reader));
    raw.send(&spec);
    let seen = look_after(&mut raw.running, keys.into(), || {
        tmpfs(&source.join("point"), MsFlags::empty());
        fs::write(source.join("point/later"), "").expect("root may");
    });
    assert_eq!(seen, "later\nend\n");
    raw.conclude().assert_exit(0);
    undo(&source.join("point"));
    undo(&source);
    Outcome::Passed
}

fn t45_read_only_holds_for_every_mount_below(fixture: &Fixture) -> Outcome {
    shared_mounts();
    let source = fixture.directory("source");
    let outside = fixture.directory("outside");
    let points: Vec<PathBuf> =
        ["tmpfs", "bind", "tmpfs/deep"].iter().map(|name| source.join(name)).collect();
    tmpfs(&points[0], MsFlags::empty());
    bind(&outside, &points[1]);
    tmpfs(&points[2], MsFlags::MS_NOSUID);
    for path in points.iter().chain([&source, &outside]) {
        fixture.give(path);
    }
    let option = format!("{}:ro", share(&source));
    let launch = exec(fixture)
        .arg(&option)
        .arg("--")
        .arg(fixture.program("probe"))
        .arg("--write")
        .arg(&source)
        .args(&points);
    let report = Report::of(&launch.run());
    let tried = report.table("writable");
    assert_eq!(tried.len(), 4);
    for (path, result) in tried {
        assert!(result.contains("Read-only"), "{path}: {result}");
    }
    for point in [&points[2], &points[1], &points[0]] {
        undo(point);
    }
    Outcome::Passed
}

fn t46_what_a_mount_covers_stays_covered(fixture: &Fixture) -> Outcome {
    shared_mounts();
    let parent = fixture.directory("parent");
    let covered = fixture.directory("parent/covered");
    fixture.file("parent/covered/secret", "sesame");
    tmpfs(&covered, MsFlags::empty());
    let script = format!("ls {}; cat {0}/secret 2>/dev/null; exit 7", covered.display());
    for suffix in ["", ":ro"] {
        for place in [&parent, &covered] {
            let output = shell(fixture, &[&format!("{}{suffix}", share(place))], &script);
            output.assert_code(7);
            assert_eq!(output.text(), "");
        }
    }
    for access in [Access::ReadOnly, Access::ReadWrite, Access::Device] {
        let mut spec = Spec::shell("ls /p/covered; cat /p/covered/secret 2>/dev/null; exit 7");
        spec.bind(&parent, "/p", access);
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(7);
        assert_eq!(verdict.output.text(), "");
    }
    undo(&covered);
    Outcome::Passed
}

fn t47_flags_of_the_source_stay(fixture: &Fixture) -> Outcome {
    shared_mounts();
    let source = fixture.directory("source");
    let strict = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    tmpfs(&source, strict);
    let inner = |report: &Report, path: &str| {
        let mounts = report.mounts();
        let found = mounts.iter().find(|mount| mount.point == path).cloned();
        found.unwrap_or_else(|| panic!("{path} is not mounted: {mounts:?}"))
    };
    let report = Report::of(&probe_launch(fixture, &[&share(&source)]).run());
    let path = source.display().to_string();
    let mounted = inner(&report, &path);
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(mounted.has(flag), "{flag}: {mounted:?}");
    }
    for access in [Access::ReadOnly, Access::ReadWrite, Access::Device] {
        let mut spec = Spec::tool(fixture, "probe");
        spec.bind(&source, "/source", access);
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(0);
        let mounted = inner(&Report::of(&verdict.output), "/source");
        for flag in ["ro", "nosuid", "nodev", "noexec"] {
            assert!(mounted.has(flag), "{access:?}, {flag}: {mounted:?}");
        }
    }
    undo(&source);
    Outcome::Passed
}

fn t48_a_covered_root_of_the_caller_is_refused(fixture: &Fixture) -> Outcome {
    drop(fixture.home());
    unshare(CloneFlags::CLONE_NEWNS).expect("root may");
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, "/", NONE, private, NONE).expect("root may");
    // This process and what it starts stay below it.
    mount(Some("tmpfs"), "/", Some("tmpfs"), MsFlags::empty(), NONE).expect("root may");
    let output = exec(fixture).args(["--", "ls", "/.."]).run();
    output.assert_code(STOCKADE_FAILED);
    assert_eq!(output.text(), "");
    assert!(output.errors().contains("covered by a mount"), "{}", output.errors());
    Outcome::Passed
}

fn t48_a_mount_on_a_link_to_the_root_takes_its_place(fixture: &Fixture) -> Outcome {
    let mut spec =
        Spec::shell("ls -d /link 2>&1 || echo gone; ls -di / /.. | cut -d/ -f1 | uniq | wc -l");
    let link = Operation::Symlink {
        destination: place("/link"),
        target: SymlinkTarget::new("/").expect("a target"),
    };
    let cover = Operation::Tmpfs { destination: place("/link"), mode: 0o755, size: None };
    spec.request.operations.splice(0..0, [link, cover]);
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    assert!(verdict.output.text().ends_with("gone\n1\n"), "{}", verdict.output.text());
    Outcome::Passed
}

fn t48_pseudo_file_systems_on_a_link_to_the_root_are_refused(fixture: &Fixture) -> Outcome {
    let destination = || place("/link");
    for kind in [
        Operation::Proc { destination: destination(), protect: true },
        Operation::Proc { destination: destination(), protect: false },
        Operation::Devices { destination: destination(), console: None },
        Operation::Mqueue { destination: destination() },
    ] {
        let mut spec = Spec::shell("exit 7");
        let target = SymlinkTarget::new("/").expect("a target");
        spec.request
            .operations
            .splice(0..0, [Operation::Symlink { destination: destination(), target }, kind]);
        let verdict = RawHelper::build(fixture, &spec);
        let failure = verdict.failure().expect("the root is none of these");
        assert_eq!((failure.call, failure.hint), (Call::MoveMount, Hint::DestinationKind));
    }
    Outcome::Passed
}

fn t48_nothing_of_the_old_root_is_left(fixture: &Fixture) -> Outcome {
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&Spec::shell("exec sleep 60"));
    let (init, payload, _pidfd) = raw.started();
    std::thread::sleep(std::time::Duration::from_millis(50));
    for pid in [payload, init] {
        // Of init, which is not dumpable, only root sees this.
        let Ok(table) = fs::read_to_string(format!("/proc/{pid}/mountinfo")) else { continue };
        let mounts = harness::report::Mount::table(&table);
        let root = mounts.iter().find(|mount| mount.point == "/").expect("a root");
        assert_eq!((root.kind.as_str(), root.root.as_str()), ("tmpfs", "/"));
        let ids: Vec<u64> = mounts.iter().map(|mount| mount.id).collect();
        let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { continue };
        for fd in fds.flatten() {
            let info = fs::read_to_string(fd.path()).unwrap_or_default();
            let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
            let id: u64 = id.and_then(|id| id.trim().parse().ok()).expect("a mount id");
            let name = fd.file_name();
            let link = fs::read_link(format!("/proc/{pid}/fd/{}", name.to_string_lossy()));
            let link = link.unwrap_or_default().display().to_string();
            let nowhere = ["pipe:", "socket:", "anon_inode:"];
            // Standard input is the caller's /dev/null, a device and no way to anywhere.
            let harmless =
                nowhere.iter().any(|kind| link.starts_with(kind)) || link.ends_with("/null");
            assert!(harmless || ids.contains(&id), "{pid} holds {link}, of a mount outside");
        }
    }
    Outcome::Passed
}
