// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the helper asks the kernel for, call by call, with the credentials it has just then. Root
//! follows it; the caller is the throw-away account as ever.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use harness::launch::Launch;
use harness::raw::{self, RawHelper, Verdict};
use harness::spec::{Spec, open_path, open_read, place};
use harness::trace::{self, Call};
use harness::{Case, Fixture, Mode, Outcome, case};
use stockade_protocol::request::{Access, Content, Operation};

pub(crate) const CASES: &[Case] = &[
    case!(t02_no_path_of_the_caller_is_looked_up_with_privilege).modes(Mode::PRIVILEGED).as_root(),
    case!(t05_nothing_is_opened_again).as_root(),
    case!(t06_nothing_is_written_to_what_the_caller_gave).as_root(),
    case!(t07_nothing_is_made_in_a_file_system_of_the_host).as_root(),
    case!(t08_what_lies_beside_the_helper_is_not_looked_at).as_root(),
    case!(t10_four_file_systems_with_numbers_for_options).as_root(),
    case!(t11_one_exec_without_any_privilege).as_root(),
    case!(t12_only_literal_places_of_the_host_are_opened).as_root(),
    case!(t15_each_stage_has_no_more_than_the_table_says).as_root(),
    case!(t17_the_environment_changes_no_call).as_root(),
    case!(t30_signals_go_by_descriptor_or_to_children).as_root(),
];

/// Part of every path that the caller chooses here.
const CHOSEN: &str = "chosen-by-the-caller";

/// Places that the helper may name, `/..` to see that nothing of the old root is left above the new
/// one, and the two that the static C library asks about before `main`: whether there is the one
/// (which decides what becomes of variables that are dropped anyway), where the other leads.
const LITERALS: &[&str] = &["/", "/..", "/proc", "/dev", "/etc/suid-debug", "/proc/self/exe"];

/// A request with everything in it, whose every path has [`CHOSEN`] in it but for the usual ones.
fn everything(fixture: &Fixture) -> Spec {
    let source = fixture.directory(&format!("source-{CHOSEN}"));
    let content = fixture.file(&format!("content-{CHOSEN}"), "content\n");
    let mut spec = Spec::shell(&format!("cat /{CHOSEN}/made/read; exit 7"));
    spec.bind(&source, &format!("/{CHOSEN}/bind"), Access::ReadWrite);
    spec.directory(&format!("/{CHOSEN}/bind/deep/{CHOSEN}"));
    spec.bind("/etc/passwd", &format!("/{CHOSEN}/file"), Access::ReadOnly);
    spec.tmpfs(&format!("/{CHOSEN}/made"));
    spec.file(&format!("/{CHOSEN}/made/bytes"), Content::Bytes(b"bytes".to_vec()));
    let read = Content::Descriptor(spec.add(open_read(&content)));
    spec.file(&format!("/{CHOSEN}/made/read"), read);
    spec.symlink(CHOSEN, &format!("/{CHOSEN}/link"));
    let mqueue = place(&format!("/{CHOSEN}/mqueue"));
    spec.push(Operation::Mqueue { destination: mqueue });
    spec
}

/// Builds the sandbox and gives every call that was noted.
#[track_caller]
fn build(launch: Launch, spec: &Spec) -> (Vec<Call>, Verdict) {
    let mut raw = RawHelper::start(launch.traced());
    raw.send(spec);
    let calls = trace::follow(&mut raw.running.process);
    (calls, raw.conclude())
}

/// The calls of the helper while it builds [`everything`].
#[track_caller]
fn calls(fixture: &Fixture) -> Vec<Call> {
    let (calls, verdict) = build(raw::helper(fixture), &everything(fixture));
    verdict.assert_exit(7);
    assert_eq!(verdict.output.text(), "content\n");
    let calls: Vec<Call> = calls.into_iter().filter(Call::is_helpers).collect();
    // A tracer that sees nothing would find nothing wrong.
    for number in [libc::SYS_openat2, libc::SYS_pivot_root, libc::SYS_execve, libc::SYS_recvmsg] {
        assert!(calls.iter().any(|call| call.number == number), "no call {number} was seen");
    }
    calls
}

fn t02_no_path_of_the_caller_is_looked_up_with_privilege(fixture: &Fixture) -> Outcome {
    /// `RESOLVE_IN_ROOT` and `RESOLVE_BENEATH`, `RESOLVE_NO_MAGICLINKS` of `linux/openat2.h`.
    const INSIDE: u64 = 0x10 | 0x08;
    const NO_MAGIC: u64 = 0x02;
    let calls = calls(fixture);
    let gone = calls.iter().position(|call| call.number == libc::SYS_umount2);
    let gone = gone.expect("the old root is unmounted");
    let mut chosen = 0;
    for (index, call) in calls.iter().enumerate() {
        let Some(path) = &call.text else { continue };
        if path.contains(CHOSEN) {
            chosen += 1;
            // I7, I8: with the caller's rights, when nothing of the host is there any more.
            assert!(!call.is_mighty(), "with privilege: {call:?}");
            assert!(index > gone, "before the old root is gone: {call:?}");
            let single = !path.contains('/');
            let inside = call.resolve & INSIDE != 0 && call.resolve & NO_MAGIC != 0;
            let execs = call.number == libc::SYS_execve || call.number == libc::SYS_chdir;
            assert!(single || inside || execs && !call.has_privilege(), "not beneath: {call:?}");
        } else if call.is_mighty() {
            let literal = LITERALS.contains(&path.as_str()) || !path.starts_with('/');
            assert!(literal && !path.contains(".."), "with privilege: {call:?}");
        }
    }
    assert!(chosen > 5, "the paths of the request were not seen");
    Outcome::Passed
}

fn t05_nothing_is_opened_again(fixture: &Fixture) -> Outcome {
    let calls = calls(fixture);
    let opened: Vec<&Call> = calls.iter().filter(|call| call.opens()).collect();
    assert!(!opened.is_empty());
    for call in opened {
        let path = call.text.as_deref().unwrap_or_default();
        let again =
            path.starts_with("fd") || path.contains("/fd") || call.descriptor.ends_with("/fd");
        assert!(!again, "a descriptor is opened by its number: {call:?}");
    }
    // And what cannot be read as it came is not read at all.
    let mut spec = Spec::shell("exit 7");
    let secret = Content::Descriptor(spec.add(open_path("/etc/shadow")));
    spec.file("/secret", secret);
    let (calls, verdict) = build(raw::helper(fixture), &spec);
    verdict.assert_declined();
    let failure = verdict.failure().expect("a failure");
    assert_eq!(failure.errno, libc::EBADF.unsigned_abs(), "{failure:?}");
    let shadow = |call: &Call| call.opens() && call.descriptor.contains("shadow");
    assert!(!calls.iter().any(shadow));
    Outcome::Passed
}

fn t06_nothing_is_written_to_what_the_caller_gave(fixture: &Fixture) -> Outcome {
    let given: Vec<_> = ["in", "out", "err"]
        .map(|name| fixture.file(&format!("given-{name}"), ""))
        .into_iter()
        .map(|path| File::options().read(true).write(true).open(path).expect("own file"))
        .collect();
    for spec in [everything(fixture), Spec::system("/no/such/program")] {
        let launch = (0..3).zip(&given).fold(raw::helper(fixture), |launch, (number, file)| {
            launch.descriptor(number, harness::sys::duplicate(file))
        });
        let (calls, _) = build(launch, &spec);
        let written: Vec<&Call> =
            calls.iter().filter(|call| call.is_helpers() && call.writes()).collect();
        assert!(written.iter().any(|call| call.descriptor.starts_with("socket:")));
        for call in written {
            // Its channels, and the files that it made in the new root itself.
            let channel = call.descriptor.starts_with("socket:");
            let own = call.descriptor.contains(CHOSEN) && !call.descriptor.contains("content-");
            let map = ["uid_map", "gid_map", "setgroups"]
                .iter()
                .any(|name| call.descriptor.ends_with(name));
            assert!(channel || own || map, "written to {}: {call:?}", call.descriptor);
        }
    }
    for name in ["in", "err"] {
        let path = fixture.scratch.join(format!("given-{name}"));
        assert_eq!(fs::read_to_string(path).expect("own file"), "");
    }
    Outcome::Passed
}

fn t07_nothing_is_made_in_a_file_system_of_the_host(fixture: &Fixture) -> Outcome {
    // Without the one bind that may be written to.
    let mut spec = everything(fixture);
    let tree = format!("/{CHOSEN}/bind");
    spec.request.operations.retain(|operation| match operation {
        Operation::Directory { destination, .. } => {
            !destination.path.as_bytes().starts_with(tree.as_bytes())
        }
        _ => true,
    });
    let host = trace::devices_of_the_host();
    let (calls, verdict) = build(raw::helper(fixture), &spec);
    verdict.assert_exit(7);
    let made: Vec<&Call> =
        calls.iter().filter(|call| call.is_helpers() && call.creates()).collect();
    assert!(made.len() > 5, "{made:?}");
    for call in made {
        assert!(!host.contains(&call.device), "made in {}: {call:?}", call.descriptor);
    }
    let locks = ["/run", "/var", "/tmp", "/dev/shm"];
    for call in calls.iter().filter(|call| call.is_helpers()) {
        let path = call.text.as_deref().unwrap_or_default();
        let early = call.has_privilege() && locks.iter().any(|place| path.starts_with(place));
        assert!(!early || call.resolve != 0, "{call:?}");
    }
    Outcome::Passed
}

fn t08_what_lies_beside_the_helper_is_not_looked_at(fixture: &Fixture) -> Outcome {
    // A hard link elsewhere, as fs.protected_hardlinks=0 would let the caller make, a copy, and a
    // symlink, each amid decoys with the names that a launcher may look for.
    let beside = fixture.helper.with_file_name(format!("beside-{}", std::process::id()));
    fs::create_dir(&beside).expect("root may");
    for name in ["sh", "stockade", "stockade-init", "libc.so.6", "stockade.conf"] {
        fs::write(beside.join(name), "decoy").expect("root may");
    }
    let hard = beside.join("stockade-helper");
    fs::hard_link(&fixture.helper, &hard).expect("root may");
    let copy = fixture.scratch.join("stockade-helper");
    fs::copy(&fixture.helper, &copy).expect("root may");
    let link = fixture.directory("links").join("stockade-helper");
    std::os::unix::fs::symlink(&fixture.helper, &link).expect("own directory");
    let by_number = open_read(&fixture.helper);
    let number = std::os::fd::AsRawFd::as_raw_fd(&by_number);
    let by_number = Path::new("/proc/self/fd").join(number.to_string());
    let paths = |launch: Launch| -> BTreeSet<String> {
        let (calls, verdict) = build(launch, &Spec::shell("exit 7"));
        // A copy has lost its privilege, and works as it can.
        assert!(verdict.exit().is_some() || verdict.failure().is_some(), "{verdict:?}");
        verdict.assert_orderly();
        let helpers = calls.iter().filter(|call| call.is_helpers());
        helpers.filter_map(|call| call.text.clone()).collect()
    };
    let usual = paths(raw::helper(fixture));
    let others = [
        ("hard link", raw::helper(fixture).program(&hard)),
        ("hard link as sh", raw::helper(fixture).program(&hard).argv(["/bin/sh"])),
        ("symlink", raw::helper(fixture).program(&link)),
        ("relative", raw::helper(fixture).program("./stockade-helper").directory(beside.as_path())),
        ("copy", raw::helper(fixture).program(&copy)),
    ];
    let mut seen = Vec::new();
    for (what, launch) in others {
        seen.push((what, paths(launch)));
    }
    fs::remove_dir_all(&beside).expect("root may");
    assert!(fs::metadata(&by_number).is_ok());
    for (what, paths) in seen {
        // A copy without privilege looks the sources up by their paths.
        let unusual: Vec<&String> = paths
            .difference(&usual)
            .filter(|path| what != "copy" || path.contains("stockade"))
            .collect();
        assert!(unusual.is_empty(), "{what}: {unusual:?}");
    }
    Outcome::Passed
}

fn t10_four_file_systems_with_numbers_for_options(fixture: &Fixture) -> Outcome {
    /// `FSCONFIG_SET_STRING` and `FSCONFIG_CMD_CREATE` of `linux/mount.h`.
    const COMMANDS: [u64; 2] = [1, 6];
    let calls = calls(fixture);
    let of = |number| calls.iter().filter(move |call| call.number == number);
    let opened: BTreeSet<&str> =
        of(libc::SYS_fsopen).filter_map(|call| call.text.as_deref()).collect();
    assert_eq!(opened, BTreeSet::from(["devpts", "mqueue", "proc", "tmpfs"]));
    for call in of(libc::SYS_fsconfig) {
        assert!(COMMANDS.contains(&call.arguments[1]), "{call:?}");
        let (Some(key), Some(value)) = (call.text.as_deref(), call.value.as_deref()) else {
            continue;
        };
        let number = value.bytes().all(|byte| byte.is_ascii_digit());
        let name = key == "source" && opened.contains(value);
        let known = ["mode", "size", "ptmxmode", "hidepid", "nr_inodes", "uid", "gid"];
        assert!(name || known.contains(&key) && number, "{call:?}");
    }
    assert_eq!(of(libc::SYS_mount).count(), 0, "mount(2) takes strings");
    Outcome::Passed
}

fn t11_one_exec_without_any_privilege(fixture: &Fixture) -> Outcome {
    for _ in 0..10 / harness::process::slowness().min(10) {
        let calls = calls(fixture);
        let execs: Vec<&Call> = calls
            .iter()
            .filter(|call| [libc::SYS_execve, libc::SYS_execveat].contains(&call.number))
            .collect();
        let [exec] = execs.as_slice() else { panic!("{execs:?}") };
        assert_eq!(exec.uids, [fixture.user.uid; 4], "{exec:?}");
        assert_eq!((exec.permitted, exec.effective, exec.others), (0, 0, 0), "{exec:?}");
        assert!(exec.no_new_privileges, "{exec:?}");
    }
    Outcome::Passed
}

/// The absolute paths of a helper that has nothing to bind.
fn places(fixture: &Fixture, launch: Launch) -> BTreeSet<String> {
    let mut spec = Spec::empty("/bin/true");
    spec.push(Operation::Devices { destination: place("/dev"), console: None });
    spec.push(Operation::Proc { destination: place("/proc"), protect: true });
    let (calls, verdict) = build(launch, &spec);
    verdict.assert_orderly();
    assert_eq!(verdict.output.errors(), "", "{:?}", fixture.mode);
    let helpers = calls.iter().filter(|call| call.is_helpers() && call.number != libc::SYS_execve);
    let paths = helpers.filter_map(|call| call.text.clone());
    paths.filter(|path| path.starts_with('/')).collect()
}

fn t12_only_literal_places_of_the_host_are_opened(fixture: &Fixture) -> Outcome {
    let places = places(fixture, raw::helper(fixture));
    let unknown: Vec<&String> =
        places.iter().filter(|path| !LITERALS.contains(&path.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    // Neither a loader nor a library: there is no PT_INTERP (3) among the program headers.
    let image = fs::read(&fixture.helper).expect("the helper can be read");
    let word = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| u16::from_le_bytes(image[at..at + 2].try_into().expect("2 bytes"));
    let table = usize::try_from(word(0x20)).expect("an offset");
    let (size, count) = (usize::from(half(0x36)), usize::from(half(0x38)));
    for index in 0..count {
        let at = table + index * size;
        let kind = u32::from_le_bytes(image[at..at + 4].try_into().expect("4 bytes"));
        assert_ne!(kind, 3, "the helper wants a loader");
    }
    assert!(count > 0);
    Outcome::Passed
}

fn t15_each_stage_has_no_more_than_the_table_says(fixture: &Fixture) -> Outcome {
    // Capability numbers of capabilities(7): SETGID 6, SETUID 7, NET_ADMIN 12, SYS_ADMIN 21, MKNOD
    // 27. Design section 5; no DAC bit ever (T04).
    let build = 1 << 12 | 1 << 21 | 1 << 27;
    let most = match fixture.mode {
        Mode::FileCaps => build,
        Mode::Setuid => build | 1 << 6 | 1 << 7,
        Mode::Unprivileged => u64::MAX,
    };
    let calls = calls(fixture);
    let begin = calls
        .iter()
        .position(|call| call.number == libc::SYS_recvmsg || call.number == libc::SYS_read);
    let begin = begin.expect("it reads the request");
    let mut held: std::collections::BTreeMap<i32, u64> = std::collections::BTreeMap::new();
    for call in &calls[begin..] {
        assert!(call.no_new_privileges, "I2: {call:?}");
        assert_eq!(call.permitted & !most, 0, "permitted: {call:?}");
        assert_eq!(call.effective & !call.permitted, 0, "{call:?}");
        assert_eq!(call.others, 0, "inheritable or ambient: {call:?}");
        assert_eq!(call.uids[0], fixture.user.uid, "the real id: {call:?}");
        // A new user namespace gives everything in it, once; else the set only shrinks (I3).
        let before = held.insert(call.pid, call.permitted).unwrap_or(u64::MAX);
        let grown = call.permitted & !before;
        assert!(grown == 0 || fixture.mode == Mode::Unprivileged, "grown: {call:?}");
        // I3: raised for single calls, and those are not the ones that talk.
        let talks = [libc::SYS_recvmsg, libc::SYS_read, libc::SYS_sendmsg, libc::SYS_sendto];
        assert!(!talks.contains(&call.number) || call.effective == 0, "{call:?}");
        assert!(call.effective.count_ones() <= 2, "more than a call needs: {call:?}");
    }
    // What init forks when the sandbox is built, and what becomes the payload, never had anything.
    let exec = calls.iter().find(|call| call.number == libc::SYS_execve).expect("one exec");
    let last: Vec<&Call> = calls.iter().filter(|call| call.pid == exec.pid).collect();
    assert!(last.len() > 2, "it goes somewhere, says that it starts, and is executed: {last:?}");
    for call in last {
        assert_eq!(call.permitted | call.effective, 0, "in the last process: {call:?}");
        assert_eq!(call.uids, [fixture.user.uid; 4], "in the last process: {call:?}");
    }
    let raised = calls[begin..].iter().filter(|call| call.effective != 0).count();
    assert!(raised > 0, "nothing was ever raised");
    Outcome::Passed
}

fn t17_the_environment_changes_no_call(fixture: &Fixture) -> Outcome {
    let usual = places(fixture, raw::helper(fixture));
    let hostile = crate::hostile::entry::HOSTILE.iter();
    let launch = hostile.fold(raw::helper(fixture), |launch, entry| launch.raw_env(entry));
    assert_eq!(places(fixture, launch), usual);
    // Nor when there is something to complain about.
    let hostile = crate::hostile::entry::HOSTILE.iter();
    let launch = hostile.fold(raw::helper(fixture), |launch, entry| launch.raw_env(entry));
    let mut raw = RawHelper::start(launch.traced());
    raw.send_bytes(&[0xff; 64]);
    let calls = trace::follow(&mut raw.running.process);
    raw.conclude().assert_declined();
    let opened: Vec<&Call> = calls.iter().filter(|call| call.opens()).collect();
    assert!(opened.is_empty(), "{opened:?}");
    Outcome::Passed
}

fn t30_signals_go_by_descriptor_or_to_children(fixture: &Fixture) -> Outcome {
    // `timeout` sends its signal to the frontend, which passes it on; and one sandbox that ends by
    // itself, whose payload is gone when the next signal comes.
    let mut sent = 0;
    for script in ["exec sleep 60", "kill -TERM $$", "kill -KILL $$"] {
        let launch = harness::frontend::stockade(fixture)
            .program("/usr/bin/timeout")
            .argv(["timeout", "--foreground", "-s", "TERM"])
            // Later than the start of the payload: until then init is killed by its number.
            .arg(format!("{}", 0.5 * f64::from(harness::process::slowness())))
            .arg(fixture.program("stockade"))
            .args(["exec", "--", "sh", "-c", script]);
        let mut running = launch.traced().start();
        let calls = trace::follow(&mut running.process);
        running.finish();
        for call in calls.iter().filter(|call| call.name.starts_with("stockade")) {
            match call.number {
                libc::SYS_pidfd_send_signal => sent += 1,
                libc::SYS_kill | libc::SYS_tkill | libc::SYS_tgkill => {
                    // To itself, to end as the payload did; never to 0 or -1, and to nobody else.
                    let target = call.arguments[0] as i32;
                    assert_eq!(target, call.pid, "by number: {call:?}");
                }
                _ => {}
            }
        }
    }
    assert!(sent > 0, "no signal was passed on");
    // Own ids only, so that the runner's search for survivors finds the sandboxes of this case.
    assert_ne!(fs::metadata(&fixture.scratch).expect("it exists").uid(), 0);
    Outcome::Passed
}
