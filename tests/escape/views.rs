// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be seen and reached: identities, `/proc`, sockets, the caller's files, and what the
//! app may have changed about them.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use harness::frontend::{STOCKADE_FAILED, exec, intruder, shell, shell_launch, stockade};
use harness::launch::Launch;
use harness::process::{Process, eventually, patience, slowness};
use harness::raw::{self, RawHelper};
use harness::spec::{Spec, open_path, open_read, place};
use harness::{Case, Fixture, Mode, Outcome, case, sys, watch};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use stockade_protocol::event::Call;
use stockade_protocol::request::{
    Access, Content, Demand, Operation, Pass, SourceKind, UserNamespace,
};
use stockade_protocol::text::Hostname;

pub(crate) const CASES: &[Case] = &[
    case!(t09_no_slot_joins_a_namespace).as_root(),
    case!(t09_no_option_joins_a_namespace),
    case!(t33_ids_map_to_the_callers_own_only).as_root().modes(&[Mode::Setuid, Mode::Unprivileged]),
    case!(t37_no_way_leads_through_a_process_of_the_host),
    case!(t38_the_payload_can_be_looked_into_from_outside),
    case!(t50_decoys_over_proc_get_nothing),
    case!(t51_nothing_of_the_covered_proc_can_be_written).within(120),
    case!(t53_no_file_is_hidden_below_what_can_be_written),
    case!(t54_no_place_brings_a_socket_along).as_root(),
    case!(t55_shared_namespaces_are_left_as_they_are),
    case!(t68_links_left_by_the_app_lead_nowhere),
    case!(t68_nor_when_they_change_all_the_time).within(120),
    case!(t72_the_apps_variables_reach_no_other_program).as_root(),
    case!(t79_every_process_is_its_callers).as_root(),
];

const KINDS: [&str; 7] = ["mnt", "net", "pid", "user", "ipc", "uts", "cgroup"];

/// Namespace files of a process that has new ones, and that process.
fn foreign_namespaces() -> (Vec<OwnedFd>, Process) {
    let (ready, go) = nix::unistd::pipe().expect("a pipe");
    let Some(child) = sys::fork().expect("a child") else {
        let all = CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP;
        unshare(all).expect("root may");
        nix::unistd::write(&go, b"x").expect("it waits");
        loop {
            nix::unistd::pause();
        }
    };
    nix::unistd::read(&ready, &mut [0]).expect("it says so");
    let files = KINDS.iter().map(|kind| open_read(format!("/proc/{child}/ns/{kind}"))).collect();
    (files, Process::adopt(child).expect("a child"))
}

fn t09_no_slot_joins_a_namespace(fixture: &Fixture) -> Outcome {
    let (foreign, holder) = foreign_namespaces();
    let own = KINDS.iter().map(|kind| open_read(format!("/proc/self/ns/{kind}")));
    let link = |fd: &OwnedFd| fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    type Slot = fn(&mut Spec, OwnedFd);
    let slots: [(&str, Slot); 4] = [
        ("source", |spec, fd| {
            spec.bind_descriptor(fd, SourceKind::File, "/ns", Access::ReadWrite);
        }),
        ("content", |spec, fd| {
            let content = Content::Descriptor(spec.add(fd));
            spec.file("/ns", content);
        }),
        ("ruleset", |spec, fd| spec.request.payload.landlock = Some(spec.add(fd))),
        ("console", |spec, fd| {
            let console = Some(spec.add(fd));
            spec.request.operations.retain(|step| !matches!(step, Operation::Devices { .. }));
            spec.push(Operation::Devices { destination: place("/dev"), console });
        }),
    ];
    for fd in own.chain(foreign) {
        let what = link(&fd).expect("it is open").display().to_string();
        for (slot, put) in slots {
            let mut spec = Spec::shell("echo ran");
            put(&mut spec, sys::duplicate(&fd));
            let verdict = RawHelper::build(fixture, &spec);
            verdict.assert_orderly();
            let failed = matches!(verdict.events.last(), Some(stockade_protocol::Event::Failed(_)));
            assert!(failed, "{what} as {slot}: {verdict:?}");
            assert_eq!(verdict.output.text(), "", "{what} as {slot}");
        }
        // What the caller passes on to the payload is his; it is in no namespace because of it.
        let mut spec = Spec::shell("readlink /proc/self/ns/*; exit 7");
        let source = spec.add(sys::duplicate(&fd));
        spec.request.payload.pass.push(Pass { source, target: 9 });
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(7);
        let inside = verdict.output.text();
        let initial = what.starts_with("user:") && fixture.mode.is_privileged();
        assert!(initial || !inside.lines().any(|line| line == what), "{what}: {inside}");
    }
    drop(holder);
    Outcome::Passed
}

fn t09_no_option_joins_a_namespace(fixture: &Fixture) -> Outcome {
    for option in ["--userns", "--userns2", "--pidns", "--netns", "--join", "--enter"] {
        let launch = exec(fixture).arg(option).args(["3", "--", "echo", "ran"]);
        let output = launch.descriptor(3, open_read("/proc/self/ns/net")).run();
        output.assert_code(STOCKADE_FAILED);
        assert_eq!(output.text(), "");
        assert!(output.errors().contains(option), "{}", output.errors());
    }
    // bubblewrap's own, which the helper has no place for.
    for option in ["--userns", "--userns2", "--pidns"] {
        let launch = stockade(fixture).args(["bwrap", "--ro-bind", "/", "/", option, "3"]);
        let launch = launch.args(["--", "echo", "ran"]);
        let output = launch.descriptor(3, open_read("/proc/self/ns/net")).run();
        assert_ne!(output.ending, harness::process::Ending::Exited(0), "{option}");
        assert_eq!(output.text(), "");
        assert!(output.errors().contains(option), "{}", output.errors());
    }
    Outcome::Passed
}

fn t33_ids_map_to_the_callers_own_only(fixture: &Fixture) -> Outcome {
    // Others may read it, the group may not, and the caller is in the group: negative permissions.
    let group = fixture.user.groups.iter().find(|group| **group != fixture.user.gid);
    let group = *group.expect("test accounts have a second group");
    let file = fixture.scratch.join("not-for-the-group");
    fs::write(&file, "sesame\n").expect("root may");
    std::os::unix::fs::chown(&file, Some(0), Some(group)).expect("root may");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).expect("root may");
    for (uid, gid) in [(0, 0), (1234, 4321), (fixture.user.uid, fixture.user.gid)] {
        let mut spec = Spec::shell(
            "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups;
             cat /file 2>/dev/null; setpriv --clear-groups cat /file 2>/dev/null;
             setpriv --groups 0 true 2>/dev/null && echo groups were set; exit 7",
        );
        spec.bind(&file, "/file", Access::ReadOnly);
        spec.request.namespaces.user = UserNamespace::Mapped { uid, gid };
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(7);
        let text = verdict.output.text();
        let words: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words.len(), 3, "{text}");
        let (uid, gid) = (uid.to_string(), gid.to_string());
        assert_eq!((words[0][0], words[0][2]), (&*uid, "1"), "{text}");
        assert_eq!((words[1][0], words[1][2]), (&*gid, "1"), "{text}");
        if fixture.mode == Mode::Setuid {
            // Seen from inside, where the parent's ids are those of the initial namespace.
            assert_eq!(words[0][1], fixture.user.uid.to_string(), "{text}");
            assert_eq!(words[1][1], fixture.user.gid.to_string(), "{text}");
        }
        assert_eq!(words[2], ["deny"], "{text}");
    }
    Outcome::Passed
}

fn t37_no_way_leads_through_a_process_of_the_host(fixture: &Fixture) -> Outcome {
    let script = "for p in /proc/[0-9]*; do
            for w in root cwd; do stat -L -c %d:%i $p/$w/. 2>/dev/null; done;
            ls $p/root 2>/dev/null | grep -x -e boot -e srv; done | sort -u;
        echo own; stat -c %d:%i / .; ls -d /proc/[0-9]* | wc -l";
    for options in [&[][..], &["--allow=devel"], &["--share=network", "--share=ipc"]] {
        let output = shell_launch(fixture, options, script).directory("/usr").run();
        output.assert_code(0);
        let text = output.text();
        let (found, own) = text.split_once("own\n").expect("both parts");
        let mut own: Vec<&str> = own.lines().collect();
        let count: u32 = own.pop().and_then(|line| line.parse().ok()).expect("a number");
        assert!(count < 8, "processes of the host are seen: {text}");
        assert!(found.lines().count() > 0, "{text}");
        for place in found.lines() {
            assert!(own.contains(&place), "{place} is neither the root nor the directory: {text}");
        }
    }
    // Neither by number: this process is not there.
    let me = std::process::id();
    shell(fixture, &[], &format!("test ! -e /proc/{me} && ! kill -0 {me} 2>/dev/null"))
        .assert_code(0);
    Outcome::Passed
}

fn t38_the_payload_can_be_looked_into_from_outside(fixture: &Fixture) -> Outcome {
    // As a portal does with /.flatpak-info, in the caller's session.
    let mut raw = RawHelper::start(raw::helper(fixture));
    let mut spec = Spec::shell("echo up; exec sleep 60");
    spec.file("/identity", Content::Bytes(b"org.example.App\n".to_vec()));
    raw.send(&spec);
    let (_, payload, _pidfd) = raw.started();
    raw.running.read_line();
    let named = || watch::status(payload, "Name").filter(|name| name == "sleep");
    assert!(eventually(patience(), named).is_some());
    let output = Launch::new("/bin/cat")
        .arg(format!("/proc/{payload}/root/identity"))
        .account(&fixture.user)
        .run();
    output.assert_code(0);
    assert_eq!(output.text(), "org.example.App\n");
    Outcome::Passed
}

fn t50_decoys_over_proc_get_nothing(fixture: &Fixture) -> Outcome {
    let fifo = fixture.scratch.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o666))
        .expect("own directory");
    fixture.give(&fifo);
    let file = fixture.file("decoy", "as it was");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("own file");
    let directory = fixture.directory("decoys");
    for name in ["uid_map", "gid_map", "setgroups", "sys", "self", "attr"] {
        fixture.file(&format!("decoys/{name}"), "as it was");
    }
    let before = watch::tree(&directory);
    let points =
        ["/proc", "/proc/sys", "/proc/self", "/proc/1", "/proc/thread-self", "/proc/sys/user"];
    let files =
        ["/proc/uptime", "/proc/sys/kernel/hostname", "/proc/1/attr/current", "/proc/1/uid_map"];
    type Step<'a> = (&'a str, Box<dyn Fn(&mut Spec) + 'a>);
    let mut decoys: Vec<Step<'_>> = Vec::new();
    for point in points {
        decoys.push((point, Box::new(move |spec: &mut Spec| spec.tmpfs(point))));
        let directory = &directory;
        decoys.push((point, Box::new(move |spec| spec.bind(directory, point, Access::ReadWrite))));
    }
    for point in files {
        for source in [&fifo, &file] {
            decoys.push((
                point,
                Box::new(move |spec| {
                    spec.bind_descriptor(
                        open_path(source),
                        SourceKind::File,
                        point,
                        Access::ReadWrite,
                    );
                }),
            ));
        }
    }
    for (point, put) in decoys {
        for mapped in [false, true] {
            if mapped && fixture.mode == Mode::FileCaps {
                continue;
            }
            let mut spec = Spec::shell("id -u; exit 7");
            put(&mut spec);
            // What could be fooled by them comes behind.
            spec.push(Operation::Proc { destination: place("/other"), protect: true });
            spec.push(Operation::Devices { destination: place("/dev2"), console: None });
            spec.request.namespaces.hostname = Some(Hostname::new("box").expect("a name"));
            spec.request.payload.new_keyring = true;
            if mapped {
                spec.request.namespaces.user = UserNamespace::Mapped { uid: 77, gid: 77 };
                spec.request.namespaces.limit_user_namespaces = true;
            }
            let verdict = RawHelper::build(fixture, &spec);
            verdict.assert_orderly();
            if verdict.failure().is_some() {
                verdict.assert_declined();
                assert_ne!(verdict.failure().map(|f| f.call), Some(Call::Wait), "{point} hangs");
            } else {
                verdict.assert_exit(7);
                let uid = if mapped { 77 } else { fixture.user.uid };
                assert_eq!(verdict.output.text(), format!("{uid}\n"), "{point}");
            }
        }
    }
    assert_eq!(fs::read_to_string(&file).expect("own file"), "as it was");
    assert_eq!(watch::tree(&directory), before);
    for name in ["uid_map", "gid_map", "setgroups", "sys", "self", "attr"] {
        let text = fs::read_to_string(directory.join(name)).expect("own file");
        assert_eq!(text, "as it was", "{name}");
    }
    Outcome::Passed
}

fn t51_nothing_of_the_covered_proc_can_be_written(fixture: &Fixture) -> Outcome {
    // Opened only, each of them; the payload is the caller, or root in its own namespace.
    let script = "ls /proc/sys >/dev/null && find /proc/sys /proc/sysrq-trigger /proc/irq /proc/bus
            /proc/acpi /proc/scsi /proc/fs -type f 2>/dev/null >/tmp/list; wc -l </tmp/list;
        while read f; do (: >>\"$f\") 2>/dev/null && echo \"$f\"; done </tmp/list; exit 7";
    let script = script.replace("\n            /proc/acpi", " /proc/acpi");
    for mapped in [false, true] {
        if mapped && fixture.mode == Mode::FileCaps {
            continue;
        }
        let mut spec = Spec::shell(&script);
        if mapped {
            spec.request.namespaces.user = UserNamespace::Mapped { uid: 0, gid: 0 };
        }
        let mut raw = RawHelper::start(raw::helper(fixture));
        raw.send(&spec);
        let patience = std::time::Duration::from_secs(40) * slowness();
        assert!(
            harness::process::readable(
                &[std::os::fd::AsFd::as_fd(raw.running.stdout.as_ref().expect("a pipe"))],
                patience
            )
            .is_some()
        );
        let verdict = raw.conclude();
        verdict.assert_exit(7);
        let text = verdict.output.text();
        let mut lines = text.lines();
        let count: u32 = lines.next().and_then(|line| line.trim().parse().ok()).expect("a number");
        assert!(count > 100, "only {count} files were tried");
        assert_eq!(lines.next(), None, "{text}");
    }
    Outcome::Passed
}

fn t53_no_file_is_hidden_below_what_can_be_written(fixture: &Fixture) -> Outcome {
    fixture.directory("home/secret");
    fixture.file("home/.netrc", "sesame\n");
    for options in [
        &["--filesystem=home", "--nofilesystem=~/secret", "--nofilesystem=~/.netrc"][..],
        &["--filesystem=host", "--nofilesystem=home"],
        &["--filesystem=home", "--filesystem=/tmp", "--name=box", "--persist=.keep"],
        &["--project", "--filesystem=~/secret:ro"],
        &["--filesystem=host", "--device=all", "--socket=x11", "--socket=wayland"],
    ] {
        let launch = exec(fixture).arg("--print-spec").args(options).args(["--", "true"]);
        let output = launch.directory(fixture.scratch.join("home/secret")).run();
        output.assert_code(0);
        let spec: Value = serde_json::from_slice(&output.stdout).expect("a spec");
        let operations = spec["operations"].as_array().expect("a list");
        assert!(operations.len() > 5);
        let mut writable: Vec<&str> = Vec::new();
        for operation in operations {
            let (kind, body) = operation.as_object().and_then(|o| o.iter().next()).expect("one");
            let Some(path) = body["destination"]["path"].as_str() else { continue };
            let below =
                writable.iter().any(|above| Path::new(path).starts_with(above) && path != *above);
            match kind.as_str() {
                "bind" if body["access"] == "read_write" => writable.push(path),
                // A directory of sockets, over which the host's own is mounted again or nothing.
                "tmpfs" if below => assert_eq!(path, "/tmp/.X11-unix", "{options:?}"),
                "file" if below => panic!("{path} hides a file: {options:?}"),
                _ => {}
            }
        }
    }
    Outcome::Passed
}

fn t54_no_place_brings_a_socket_along(fixture: &Fixture) -> Outcome {
    // A session as systemd makes it, in the places where the sockets are.
    let runtime = PathBuf::from(format!("/run/user/{}", fixture.user.uid));
    let made = !Path::new("/run/user").exists();
    fs::create_dir_all(&runtime).expect("root may");
    fixture.give(&runtime);
    let x11 = Path::new("/tmp/.X11-unix");
    let made_x11 = !x11.exists();
    fs::create_dir_all(x11).expect("root may");
    let names = [
        "bus",
        "systemd/private",
        "wayland-0",
        "pipewire-0",
        "pulse/native",
        "gnupg/S.gpg-agent",
        "ssh-agent",
    ];
    let display = x11.join(format!("X{}", 8000 + std::process::id() % 1000));
    let mut paths: Vec<PathBuf> = names.iter().map(|name| runtime.join(name)).collect();
    paths.push(display.clone());
    let mut sockets = Vec::new();
    for path in &paths {
        let parent = path.parent().expect("it has one");
        fs::create_dir_all(parent).expect("root may");
        if parent != x11 {
            fixture.give(parent);
        }
        sockets.push(UnixListener::bind(path).expect("a socket"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("root may");
    }
    let words: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let attack: Vec<&str> =
        std::iter::once("connect").chain(words.iter().map(String::as_str)).collect();
    let reached = |options: &[&str]| -> Vec<String> {
        let launch = intruder(fixture, options, &attack)
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("WAYLAND_DISPLAY", "wayland-0")
            .env("DISPLAY", format!(":{}", 8000 + std::process::id() % 1000))
            .env("SSH_AUTH_SOCK", runtime.join("ssh-agent"))
            .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/bus", runtime.display()));
        let output = launch.run();
        let failed = output.ending == harness::process::Ending::Exited(STOCKADE_FAILED);
        if failed {
            return Vec::new();
        }
        output.assert_code(0);
        let value: Value = serde_json::from_slice(&output.stdout).expect("a report");
        let table = value.as_object().expect("a table").clone();
        table.into_iter().filter(|(_, result)| result == "ok").map(|(path, _)| path).collect()
    };
    let places = [
        "host",
        "home",
        "host-os",
        "host-etc",
        "/tmp",
        "/var",
        "/srv",
        "~/.config",
        "xdg-download",
    ];
    let each = places.iter().map(|place| vec![format!("--filesystem={place}")]);
    let all: Vec<String> =
        ["host", "home", "/tmp"].iter().map(|place| format!("--filesystem={place}")).collect();
    let mut found = Vec::new();
    for options in each.chain([all]) {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let sockets = reached(&options);
        if !sockets.is_empty() {
            found.push(format!("{options:?}: {sockets:?}"));
        }
    }
    // From outside they can all be reached, else nothing was tried; with the permission for one of
    // them, no other.
    let outside = Launch::new(fixture.program("intruder")).args(&attack).account(&fixture.user);
    let outside = outside.run().text().matches("\"ok\"").count();
    let granted = reached(&["--socket=ssh-auth"]);
    drop(sockets);
    fs::remove_dir_all(&runtime).expect("root may");
    if made {
        fs::remove_dir("/run/user").expect("root may");
    }
    fs::remove_file(&display).expect("root may");
    if made_x11 {
        fs::remove_dir(x11).expect("root may");
    }
    assert_eq!(outside, paths.len());
    assert_eq!(found, Vec::<String>::new());
    let agent = granted.iter().filter(|path| path.ends_with("ssh-agent")).count();
    let other = granted.len() - agent;
    assert_eq!(other, 0, "more than was granted: {granted:?}");
    Outcome::Passed
}

fn t55_shared_namespaces_are_left_as_they_are(fixture: &Fixture) -> Outcome {
    let state = || {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let interfaces = read("/proc/net/dev");
        let names: BTreeSet<String> = interfaces
            .lines()
            .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
            .collect();
        let flags = read("/sys/class/net/lo/flags");
        (read("/proc/sys/kernel/hostname"), names, flags, read("/proc/net/fib_trie"))
    };
    let before = state();
    type Change = fn(&mut Spec);
    let changes: [Change; 4] = [
        |spec| spec.request.namespaces.net = Demand::Share,
        |spec| spec.request.namespaces.uts = Demand::Share,
        |spec| spec.request.namespaces.ipc = Demand::Share,
        |spec| {
            spec.request.namespaces.net = Demand::Share;
            spec.request.namespaces.uts = Demand::Share;
            spec.request.namespaces.ipc = Demand::Share;
            spec.request.namespaces.cgroup = Demand::Share;
        },
    ];
    for change in changes {
        let script = "hostname evil 2>/dev/null; ip link set lo down 2>/dev/null;
            ip link add evil type dummy 2>/dev/null; exit 7";
        let mut spec = Spec::shell(script);
        change(&mut spec);
        RawHelper::build(fixture, &spec).assert_exit(7);
        assert_eq!(state(), before);
    }
    // A name is for a namespace of one's own: the helper's rule, and nothing was changed on the way.
    let mut spec = Spec::shell("echo ran");
    spec.request.namespaces.uts = Demand::Share;
    spec.request.namespaces.hostname = Some(Hostname::new("evil").expect("a name"));
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_declined();
    assert!(verdict.refusal().is_some(), "{verdict:?}");
    assert_eq!(state(), before);
    Outcome::Passed
}

/// A sandbox that keeps `.a/b`, and where that lies outside.
fn kept(fixture: &Fixture) -> ([&'static str; 2], PathBuf) {
    let options = ["--name=box", "--persist=.a/b"];
    shell(fixture, &options, "echo kept >~/.a/b/note").assert_code(0);
    let data = fixture.home().join(".local/share");
    let tree = watch::tree(&data);
    let line = tree.iter().find(|line| line.contains("/b/note ")).expect("the kept note");
    let note = PathBuf::from(line.split(' ').next().expect("its path"));
    (options, note.parent().expect("b").to_owned())
}

fn t68_links_left_by_the_app_lead_nowhere(fixture: &Fixture) -> Outcome {
    // CVE-2024-42472: each component that the app could write is a link by the next start.
    let outside = fixture.directory("outside");
    fixture.directory("outside/b");
    for name in ["outside/secret", "outside/b/secret"] {
        fixture.file(name, "sesame\n");
    }
    let (options, kept) = kept(fixture);
    let parent = kept.parent().expect("a").to_owned();
    let before = watch::tree(&outside);
    for place in [&kept, &parent] {
        for target in
            [outside.clone(), PathBuf::from("/"), PathBuf::from("../../../../../../../..")]
        {
            let aside = place.with_extension("aside");
            fs::rename(place, &aside).expect("own directory");
            symlink(&target, place).expect("own directory");
            let script =
                "cat ~/.a/b/secret ~/.a/secret 2>/dev/null; ls ~/.a/b/etc ~/.a/etc 2>/dev/null;
                touch ~/.a/b/made ~/.a/made 2>/dev/null; exit 7";
            let output = shell(fixture, &options, script);
            assert_eq!(output.text(), "", "{} -> {}", place.display(), target.display());
            fs::remove_file(place).expect("the link is still there");
            fs::rename(&aside, place).expect("own directory");
        }
    }
    assert_eq!(watch::tree(&outside), before);
    let output = shell(fixture, &options, "cat ~/.a/b/note");
    assert_eq!(output.text(), "kept\n", "{}", output.errors());
    Outcome::Passed
}

fn t68_nor_when_they_change_all_the_time(fixture: &Fixture) -> Outcome {
    let outside = fixture.directory("outside");
    fixture.directory("outside/b");
    for name in ["outside/secret", "outside/b/secret"] {
        fixture.file(name, "sesame\n");
    }
    let (options, kept) = kept(fixture);
    let before = watch::tree(&outside);
    let victims = [kept.clone(), kept.parent().expect("a").to_owned()];
    let Some(child) = sys::fork().expect("a child") else {
        for victim in victims.iter().cycle() {
            let aside = victim.with_extension("aside");
            drop(fs::rename(victim, &aside));
            drop(symlink(&outside, victim));
            drop(fs::remove_file(victim));
            drop(fs::rename(&aside, victim));
        }
        sys::exit(0);
    };
    let renamer = Process::adopt(child).expect("a child");
    let mut started = 0;
    for round in 0..120 / slowness() {
        let script =
            "cat ~/.a/b/secret ~/.a/secret 2>/dev/null; touch ~/.a/b/made 2>/dev/null; exit 7";
        let output = shell(fixture, &options, script);
        assert_eq!(output.text(), "", "round {round}");
        match output.ending {
            harness::process::Ending::Exited(7) => started += 1,
            harness::process::Ending::Exited(STOCKADE_FAILED) => {}
            other => panic!("round {round}: {other:?} {}", output.errors()),
        }
    }
    drop(renamer);
    assert!(started > 0, "no sandbox ever started");
    assert_eq!(watch::tree(&outside), before);
    Outcome::Passed
}

fn t72_the_apps_variables_reach_no_other_program(fixture: &Fixture) -> Outcome {
    let marks = ["LD_PRELOAD", "GIO_MODULE_DIR", "WAYLAND_DISPLAY", "LANG", "PATH", "GCONV_PATH"];
    let options: Vec<String> =
        marks.iter().map(|name| format!("--env={name}=../../mark-of-the-app")).collect();
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.push("--socket=wayland");
    let launch = exec(fixture)
        .args(&options)
        .arg("--env=PATH=/usr/bin:/mark-of-the-app")
        .args(["--", "/usr/bin/sleep", "60"])
        .env("SECRET", "mark-of-the-caller");
    let running = launch.start();
    let sleeping = || {
        let seen = watch::processes_of(fixture.user.uid);
        seen.into_iter().find(|seen| seen.name == "sleep")
    };
    let payload = eventually(patience(), sleeping).expect("the payload");
    std::thread::sleep(std::time::Duration::from_millis(50));
    let environment = |pid: i32| fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let holds = |pid: i32, mark: &str| String::from_utf8_lossy(&environment(pid)).contains(mark);
    assert!(holds(payload.pid, "LD_PRELOAD=../../mark-of-the-app"), "the payload has them");
    let others = watch::processes_of(fixture.user.uid);
    let others: Vec<_> = others.into_iter().filter(|seen| seen.pid != payload.pid).collect();
    assert!(others.len() >= 3, "frontend, monitor, init: {others:?}");
    for seen in others {
        assert!(!holds(seen.pid, "mark-of-the-app"), "{seen:?}");
        // The helper has not even its caller's.
        let helper = seen.name == "stockade-helper";
        assert!(!helper || !holds(seen.pid, "mark-of-the-caller"), "{seen:?}");
    }
    running.process.signal(nix::sys::signal::Signal::SIGTERM);
    running.finish();
    Outcome::Passed
}

fn t79_every_process_is_its_callers(fixture: &Fixture) -> Outcome {
    let mut running = shell_launch(fixture, &[], "echo up; sleep 60").start();
    running.read_line();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let seen = watch::processes_of(fixture.user.uid);
    assert!(seen.len() >= 4, "frontend, monitor, init, payload: {seen:?}");
    let read = |pid: &str, name: &str| {
        fs::read_to_string(format!("/proc/{pid}/{name}")).expect("it lives")
    };
    for seen in &seen {
        let pid = seen.pid.to_string();
        // In the caller's control group and process limit, as likely to be killed as anything.
        assert_eq!(read(&pid, "cgroup"), read("self", "cgroup"), "{seen:?}");
        assert_eq!(read(&pid, "oom_score_adj"), read("self", "oom_score_adj"), "{seen:?}");
        let ids = watch::status(seen.pid, "Uid").expect("it lives");
        assert!(ids.split_whitespace().all(|id| id == fixture.user.uid.to_string()), "{ids}");
        // Its owner may kill it, as the kernel tells without a signal.
        let may =
            Launch::new("/bin/sh").args(["-c", "kill -0 $0", &pid]).account(&fixture.user).run();
        may.assert_code(0);
    }
    // And nothing of the sandbox is anybody else's.
    for below in watch::descendants_of(running.process.pid()) {
        assert!(seen.iter().any(|seen| seen.pid == below.pid), "{below:?} is not the caller's");
    }
    running.process.signal(nix::sys::signal::Signal::SIGKILL);
    running.finish();
    let alive = || {
        let seen = watch::processes_of(fixture.user.uid).into_iter();
        seen.filter(|seen| seen.state != 'Z').collect::<Vec<_>>()
    };
    let left = watch::wait_until_gone(alive);
    assert!(left.is_empty(), "{left:?}");
    Outcome::Passed
}
