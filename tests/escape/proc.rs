// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/proc`: what is seen through it from inside and from outside, and what may be put over it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::filter::without_looks;
use harness::frontend::{STOCKADE_FAILED, shell, shell_launch};
use harness::launch::Launch;
use harness::process::{eventually, patience, slowness};
use harness::raw::{self, RawHelper};
use harness::spec::{Spec, open_path, place};
use harness::{Case, Fixture, Mode, Outcome, case, watch};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use stockade_protocol::event::{Call, Hint};
use stockade_protocol::request::{Access, Content, Operation, SourceKind, UserNamespace};
use stockade_protocol::text::Hostname;

pub(crate) const CASES: &[Case] = &[
    case!(t37_no_way_leads_through_a_process_of_the_host),
    case!(t38_the_payload_can_be_looked_into_from_outside),
    case!(t49_a_new_procfs_shows_nothing_that_is_covered_outside).modes(Mode::PRIVILEGED).as_root(),
    case!(t49_a_new_procfs_shows_nothing_that_is_left_out_outside)
        .modes(Mode::PRIVILEGED)
        .as_root(),
    case!(t49_what_hides_proc_sys_is_named_where_other_ids_need_it)
        .modes(&[Mode::Setuid])
        .as_root(),
    case!(t49_a_look_that_is_refused_is_taken_another_way).modes(Mode::PRIVILEGED).as_root(),
    case!(t49_mounts_on_empty_directories_of_proc_hide_nothing).modes(Mode::PRIVILEGED).as_root(),
    case!(t50_decoys_over_proc_get_nothing),
    case!(t51_nothing_of_the_covered_proc_can_be_written).within(120),
];

const NONE: Option<&str> = None;

/// A mount namespace of this process's own, for the rest of its life.
fn own_mounts(fixture: &Fixture) {
    drop(fixture.home());
    unshare(CloneFlags::CLONE_NEWNS).expect("root may");
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).expect("root may");
}

fn t49_a_new_procfs_shows_nothing_that_is_covered_outside(fixture: &Fixture) -> Outcome {
    own_mounts(fixture);
    mount(Some("/dev/null"), "/proc/cmdline", NONE, MsFlags::MS_BIND, NONE).expect("root may");
    let output = shell(fixture, &[], "cat /proc/cmdline");
    output.assert_code(STOCKADE_FAILED);
    assert_eq!(output.text(), "");
    assert!(output.errors().contains("parts of /proc are covered"), "{}", output.errors());
    // Who asks for no procfs gets the rest.
    let mut spec = Spec::shell("exit 7");
    spec.request.operations.retain(|asked| !matches!(asked, Operation::Proc { .. }));
    RawHelper::build(fixture, &spec).assert_exit(7);
    Outcome::Passed
}

fn t49_a_new_procfs_shows_nothing_that_is_left_out_outside(fixture: &Fixture) -> Outcome {
    own_mounts(fixture);
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), Some("subset=pid"))
        .expect("root may");
    let output = shell(fixture, &[], "cat /proc/cmdline");
    output.assert_code(STOCKADE_FAILED);
    assert_eq!(output.text(), "");
    Outcome::Passed
}

fn t49_what_hides_proc_sys_is_named_where_other_ids_need_it(fixture: &Fixture) -> Outcome {
    own_mounts(fixture);
    let place = Some("/proc/sys");
    mount(place, "/proc/sys", NONE, MsFlags::MS_BIND, NONE).expect("root may");
    let mut spec = Spec::shell("exit 7");
    spec.request.operations.retain(|asked| !matches!(asked, Operation::Proc { .. }));
    spec.request.namespaces.user = UserNamespace::Mapped { uid: 77, gid: 77 };
    let failure = RawHelper::build(fixture, &spec).failure().expect("a failure");
    assert_eq!((failure.call, failure.hint), (Call::Write, Hint::RestrictedProc));
    Outcome::Passed
}

fn t49_a_look_that_is_refused_is_taken_another_way(fixture: &Fixture) -> Outcome {
    let build = || {
        let filter = without_looks(libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT);
        let mut raw = RawHelper::start(raw::helper(fixture).filter(filter));
        raw.send(&Spec::shell("test -s /proc/cmdline && exit 7"));
        raw.conclude()
    };
    build().assert_exit(7);
    own_mounts(fixture);
    mount(Some("/dev/null"), "/proc/cmdline", NONE, MsFlags::MS_BIND, NONE).expect("root may");
    assert_eq!(build().failure().map(|failure| failure.hint), Some(Hint::RestrictedProc));
    Outcome::Passed
}

fn t49_mounts_on_empty_directories_of_proc_hide_nothing(fixture: &Fixture) -> Outcome {
    own_mounts(fixture);
    let place = "/proc/sys/fs/binfmt_misc";
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), NONE).expect("root may");
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), NONE).expect("root may");
    shell(fixture, &[], "test -n \"$(cat /proc/cmdline)\"").assert_code(0);
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
