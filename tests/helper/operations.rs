// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of building the root.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use harness::raw::RawHelper;
use harness::spec::{Spec, open_link, open_path, open_read, place, sandbox_path};
use harness::{Case, Fixture, Mode, Outcome, case};
use stockade_protocol::Refusal;
use stockade_protocol::check::Rule;
use stockade_protocol::event::{Call, Hint};
use stockade_protocol::request::{Access, Content, FdIndex, Operation, Upper};

pub(crate) const CASES: &[Case] = &[
    case!(binds_are_what_they_say),
    case!(a_later_bind_may_be_writable_below_a_read_only_one),
    case!(tmpfs_has_mode_and_size),
    case!(directories_and_parents_have_their_modes),
    case!(a_directory_made_in_a_bound_tree_has_its_set_id_bit),
    case!(files_are_made_from_bytes_and_descriptors),
    case!(data_files_belong_to_the_sandbox),
    case!(data_files_leave_nothing_behind),
    case!(a_mount_point_is_made_where_a_link_leads),
    case!(the_user_namespace_is_shown_where_there_is_one),
    case!(an_existing_file_is_emptied_and_keeps_its_mode),
    case!(symlinks_may_exist_if_they_say_the_same),
    case!(chmod_changes_what_exists),
    case!(remounting_read_only_holds),
    case!(proc_can_be_had_without_covers),
    case!(message_queues_work),
    case!(a_destination_of_another_kind_is_a_failure),
    case!(steps_are_taken_in_order),
    case!(thousands_of_binds_are_built).entries(&["T78"]).within(120),
    case!(layers_are_merged_and_the_topmost_wins).modes(&[Mode::Unprivileged]),
    case!(changes_to_an_overlay_go_where_they_are_to).modes(&[Mode::Unprivileged]),
    case!(a_work_directory_that_may_not_be_entered_is_used).modes(&[Mode::Unprivileged]),
    case!(as_many_layers_as_there_may_be).modes(&[Mode::Unprivileged]),
    case!(overlays_leave_nothing_behind).modes(&[Mode::Unprivileged]),
    case!(t39_layers_that_are_no_directories_are_refused).modes(&[Mode::Unprivileged]),
    case!(t10_privilege_mounts_no_overlay).modes(&[Mode::Setuid, Mode::FileCaps]),
];

#[track_caller]
fn shows(fixture: &Fixture, spec: &Spec, expected: &str) {
    let verdict = RawHelper::build(fixture, spec);
    verdict.assert_exit(0);
    assert_eq!(verdict.output.text(), expected, "{}", verdict.output.errors());
}

fn binds_are_what_they_say(fixture: &Fixture) -> Outcome {
    let directory = fixture.directory("source");
    fixture.file("source/file", "content\n");
    for (access, expected) in [
        (Access::ReadOnly, "content\n"),
        (Access::ReadWrite, "content\nwritten\n"),
        (Access::Device, "content\nwritten\n"),
    ] {
        let mut spec = Spec::shell(
            "cat /d/file; (echo x >/d/new) 2>/dev/null && echo written; rm -f /d/new 2>/dev/null;
             exit 0",
        );
        spec.bind(&directory, "/d", access);
        shows(fixture, &spec, expected);
    }
    // Device nodes work only where that was asked for.
    for (access, expected) in [(Access::Device, "usable\n"), (Access::ReadWrite, "useless\n")] {
        let mut spec =
            Spec::shell("(head -c1 /n/zero >/dev/null) 2>/dev/null && echo usable || echo useless");
        spec.bind("/dev/zero", "/n/zero", access);
        shows(fixture, &spec, expected);
    }
    Outcome::Passed
}

fn a_later_bind_may_be_writable_below_a_read_only_one(fixture: &Fixture) -> Outcome {
    let source = fixture.directory("source");
    let inner = fixture.directory("source/inner");
    let mut spec =
        Spec::shell("touch /d/x 2>/dev/null && echo outer; touch /d/inner/x && echo inner; exit 0");
    spec.bind(&source, "/d", Access::ReadOnly);
    spec.bind(&inner, "/d/inner", Access::ReadWrite);
    shows(fixture, &spec, "inner\n");
    assert!(inner.join("x").exists());
    Outcome::Passed
}

fn tmpfs_has_mode_and_size(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell(
        "stat -c %a /small; head -c 100000 /dev/zero >/small/x 2>/dev/null || echo full;
         stat -f -c %T /small; exit 0",
    );
    let destination = place("/small");
    spec.push(Operation::Tmpfs { destination, mode: 0o1750, size: Some(65_536) });
    shows(fixture, &spec, "1750\nfull\ntmpfs\n");
    Outcome::Passed
}

fn directories_and_parents_have_their_modes(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("stat -c %a /a /a/b /a/b/c; stat -c %u:%g /a/b/c");
    let mut destination = place("/a/b/c");
    destination.parents = 0o711;
    spec.push(Operation::Directory { destination, mode: 0o2750 });
    // An existing one is left as it is.
    spec.push(Operation::Directory { destination: place("/a/b"), mode: 0o700 });
    let (uid, gid) = (fixture.user.uid, fixture.user.gid);
    let modes = "711\n711\n2750\n";
    shows(fixture, &spec, &format!("{modes}{uid}:{gid}\n"));
    Outcome::Passed
}

fn a_directory_made_in_a_bound_tree_has_its_set_id_bit(fixture: &Fixture) -> Outcome {
    // A directory of the machine's disk, not of a tmpfs.
    let source = fixture.directory("source");
    let mut spec = Spec::shell("stat -c %a /d/made");
    spec.bind(&source, "/d", Access::ReadWrite);
    spec.push(Operation::Directory { destination: place("/d/made"), mode: 0o2750 });
    shows(fixture, &spec, "2750\n");
    Outcome::Passed
}

fn data(path: &str, mode: u32, content: Content, writable: bool) -> Operation {
    Operation::Data { destination: place(path), mode, content, writable }
}

fn data_files_belong_to_the_sandbox(fixture: &Fixture) -> Outcome {
    let source = fixture.file("source", "from a descriptor\n");
    let directory = fixture.directory("bound");
    let target = fixture.file("bound/target", "untouched\n");
    let mut spec = Spec::shell(
        "cat /d/bytes /bound/target; stat -c %a /d/bytes /bound/target;
         (echo x >/d/bytes) 2>/dev/null || echo read-only; echo more >>/bound/target;
         cat /bound/target; grep -c ' /d/bytes ro,nosuid,nodev' /proc/self/mountinfo",
    );
    spec.bind(&directory, "/bound", Access::ReadWrite);
    spec.push(data("/d/bytes", 0o640, Content::Bytes(b"bytes\n".to_vec()), false));
    let content = Content::Descriptor(spec.add(open_read(&source)));
    spec.push(data("/bound/target", 0o600, content, true));
    let expected = "bytes\nfrom a descriptor\n640\n600\nread-only\nfrom a descriptor\nmore\n1\n";
    shows(fixture, &spec, expected);
    assert_eq!(std::fs::read_to_string(target).expect("it is there"), "untouched\n");
    Outcome::Passed
}

fn data_files_leave_nothing_behind(fixture: &Fixture) -> Outcome {
    // I7: `..` of the root is the root. Nothing lies on top of it, neither what the files were made
    // on nor the old root.
    let mut fresh = Spec::shell("ls -di / | cut -d/ -f1; ls -di /.. | cut -d/ -f1; ls /../data");
    fresh.push(data("/data", 0o600, Content::Bytes(Vec::new()), true));
    let mut bound = Spec::empty("/bin/sh").args([
        "-c",
        "stat -c %i:%d / /..; grep -c '^[^ ]* [^ ]* [^ ]* [^ ]* / ' /proc/self/mountinfo",
    ]);
    bound.bind("/", "/", Access::ReadOnly);
    bound.push(Operation::Proc { destination: place("/proc"), protect: true });
    bound.tmpfs("/mnt");
    bound.push(data("/mnt/data", 0o600, Content::Bytes(Vec::new()), true));
    for (spec, last) in [(fresh, "/../data"), (bound, "1")] {
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(0);
        let lines: Vec<_> = verdict.output.text().lines().map(String::from).collect();
        assert_eq!((lines.len(), lines[2].as_str()), (3, last), "{lines:?}");
        assert_eq!(lines[0], lines[1], "root and what is above it");
    }
    Outcome::Passed
}

fn a_mount_point_is_made_where_a_link_leads(fixture: &Fixture) -> Outcome {
    let source = fixture.file("source", "bound\n");
    let mut spec = Spec::shell("cat /run/target; readlink /etc/link");
    spec.directory("/run");
    spec.symlink("../../run/target", "/etc/link");
    spec.bind(&source, "/etc/link", Access::ReadOnly);
    shows(fixture, &spec, "bound\n../../run/target\n");
    Outcome::Passed
}

fn the_user_namespace_is_shown_where_there_is_one(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::empty("/bin/sh").args([
        "-c",
        "test -e /tmp/x/user || echo none; [ ! -e /tmp/x/user ] || stat -f -c %T /tmp/x/user;
         [ ! -e /tmp/x/user ] || echo user:[$(stat -c %i /tmp/x/user)]; readlink /proc/self/ns/user",
    ]);
    spec.bind("/", "/", Access::ReadOnly);
    spec.push(Operation::Proc { destination: place("/proc"), protect: true });
    spec.tmpfs("/tmp");
    spec.push(Operation::UserNamespace { destination: place("/tmp/x/user") });
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    let lines: Vec<String> = verdict.output.text().lines().map(String::from).collect();
    let own = std::fs::read_link("/proc/self/ns/user").expect("procfs");
    let own = own.to_str().expect("ASCII").to_owned();
    if fixture.mode == Mode::Unprivileged {
        assert_eq!(lines.first().map(String::as_str), Some("nsfs"));
        assert_eq!(lines.get(1), lines.get(2));
        assert_ne!(lines.get(1), Some(&own));
    } else {
        assert_eq!(lines, ["none".to_owned(), own]);
    }
    Outcome::Passed
}

fn files_are_made_from_bytes_and_descriptors(fixture: &Fixture) -> Outcome {
    let source = fixture.file("source", &"0123456789".repeat(10_000));
    let mut spec = Spec::shell("cat /f/bytes; wc -c </f/read; stat -c %a /f/bytes /f/read");
    let file = |path, mode, content| Operation::File { destination: place(path), mode, content };
    spec.push(file("/f/bytes", 0o600, Content::Bytes(b"some\xff\x00bytes\n".to_vec())));
    let content = Content::Descriptor(spec.add(open_read(&source)));
    spec.push(file("/f/read", 0o444, content));
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    assert_eq!(verdict.output.stdout, b"some\xff\x00bytes\n100000\n600\n444\n");

    // From a pipe as well, to its end.
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    std::io::Write::write_all(&mut std::fs::File::from(writer), b"through a pipe\n").expect("room");
    let mut spec = Spec::shell("cat /f/pipe");
    let content = Content::Descriptor(spec.add(reader));
    spec.push(file("/f/pipe", 0o600, content));
    shows(fixture, &spec, "through a pipe\n");
    Outcome::Passed
}

fn an_existing_file_is_emptied_and_keeps_its_mode(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("cat /f; stat -c %a /f");
    for (mode, content) in [(0o640, "a long first content\n"), (0o600, "second\n")] {
        let content = Content::Bytes(content.as_bytes().to_vec());
        spec.push(Operation::File { destination: place("/f"), mode, content });
    }
    shows(fixture, &spec, "second\n640\n");
    Outcome::Passed
}

fn symlinks_may_exist_if_they_say_the_same(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("readlink /l /odd");
    spec.symlink("some/where", "/l");
    spec.symlink("some/where", "/l");
    spec.symlink("../../../.. \u{e9}", "/odd");
    shows(fixture, &spec, "some/where\n../../../.. \u{e9}\n");
    let mut spec = Spec::shell("exit 0");
    spec.symlink("some/where", "/l");
    spec.symlink("elsewhere", "/l");
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_declined();
    assert!(verdict.failure().is_some(), "{verdict:?}");
    Outcome::Passed
}

fn chmod_changes_what_exists(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("stat -c %a /a");
    spec.directory("/a");
    spec.push(Operation::Chmod { path: sandbox_path("/a"), mode: 0o1733 });
    shows(fixture, &spec, "1733\n");
    let mut spec = Spec::shell("exit 0");
    spec.push(Operation::Chmod { path: sandbox_path("/missing"), mode: 0o700 });
    RawHelper::build(fixture, &spec).assert_declined();
    Outcome::Passed
}

fn remounting_read_only_holds(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell(
        "touch /x 2>/dev/null && echo root; touch /tmp/x && echo tmp;
         touch /a/x 2>/dev/null && echo a; touch /a/b/x && echo b; exit 0",
    );
    spec.tmpfs("/a");
    spec.tmpfs("/a/b");
    spec.push(Operation::RemountReadOnly { path: sandbox_path("/a") });
    spec.push(Operation::RemountReadOnly { path: sandbox_path("/") });
    // Without what is mounted below.
    shows(fixture, &spec, "tmp\nb\n");
    let mut spec = Spec::shell("exit 0");
    spec.directory("/no-mount");
    spec.push(Operation::RemountReadOnly { path: sandbox_path("/no-mount") });
    RawHelper::build(fixture, &spec).assert_declined();
    Outcome::Passed
}

fn proc_can_be_had_without_covers(fixture: &Fixture) -> Outcome {
    for (protect, expected) in [(true, "ro\n"), (false, "rw\n")] {
        let mut spec = Spec::shell(
            "grep ' /other/sys ' /proc/self/mountinfo >/dev/null && echo ro || echo rw",
        );
        spec.push(Operation::Proc { destination: place("/other"), protect });
        shows(fixture, &spec, expected);
    }
    Outcome::Passed
}

fn message_queues_work(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("stat -f -c %t /dev/mqueue; ls -A /dev/mqueue; exit 0");
    spec.push(Operation::Mqueue { destination: place("/dev/mqueue") });
    // MQUEUE_MAGIC of linux/magic.h.
    shows(fixture, &spec, "19800202\n");
    Outcome::Passed
}

fn a_destination_of_another_kind_is_a_failure(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("exit 0");
    spec.file("/f", Content::Bytes(Vec::new()));
    spec.bind("/usr", "/f", Access::ReadOnly);
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_declined();
    let failure = verdict.failure().expect("a failure");
    assert_eq!(failure.hint, Hint::DestinationKind, "{failure:?}");

    let mut spec = Spec::shell("exit 0");
    spec.directory("/d");
    spec.bind("/etc/passwd", "/d", Access::ReadOnly);
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_declined();
    let mut spec = Spec::shell("exit 0");
    spec.file("/f", Content::Bytes(Vec::new()));
    spec.directory("/f/below");
    RawHelper::build(fixture, &spec).assert_declined();
    Outcome::Passed
}

fn steps_are_taken_in_order(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("ls /a; ls /b");
    spec.file("/a/below", Content::Bytes(Vec::new()));
    spec.tmpfs("/a");
    spec.tmpfs("/b");
    spec.file("/b/above", Content::Bytes(Vec::new()));
    shows(fixture, &spec, "above\n");
    Outcome::Passed
}

fn thousands_of_binds_are_built(fixture: &Fixture) -> Outcome {
    const MANY: usize = 3000;
    let wide = nix::sys::resource::Resource::RLIMIT_NOFILE;
    let (_, hard) = nix::sys::resource::getrlimit(wide).expect("a limit");
    if hard < 4096 {
        return Outcome::Skipped(format!("only {hard} descriptors may be open"));
    }
    // This process holds the sources as well.
    nix::sys::resource::setrlimit(wide, hard, hard).expect("up to the hard limit");
    let mut spec = Spec::shell("ls /m | wc -l; exit 0");
    for number in 0..MANY {
        spec.bind("/etc/passwd", &format!("/m/{number}"), Access::ReadOnly);
    }
    let launch = harness::raw::helper(fixture).limit(wide, hard, hard);
    let verdict = RawHelper::run(launch, &spec);
    verdict.assert_exit(0);
    assert_eq!(verdict.output.text(), format!("{MANY}\n"));
    Outcome::Passed
}

/// The directories `low`, which has `a` and `b`, and `high`, which has another `b`.
fn layers(fixture: &Fixture) -> [PathBuf; 2] {
    let layers = ["high", "low"].map(|name| fixture.directory(name));
    fixture.file("low/a", "low a\n");
    fixture.file("low/b", "low b\n");
    fixture.file("high/b", "high b\n");
    layers
}

fn overlay(spec: &mut Spec, place_: &str, lower: &[PathBuf], upper: Upper) {
    let lower: Vec<FdIndex> = lower.iter().map(|path| spec.add(open_path(path))).collect();
    spec.push(Operation::Overlay { destination: place(place_), lower, upper });
}

/// Lets a directory of mode 0 be removed.
fn open_up(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).expect("own directory");
}

fn directories(spec: &mut Spec, upper: &Path, work: &Path) -> Upper {
    Upper::Directories { upper: spec.add(open_path(upper)), work: spec.add(open_path(work)) }
}

fn layers_are_merged_and_the_topmost_wins(fixture: &Fixture) -> Outcome {
    let layers = layers(fixture);
    let mut spec = Spec::shell(
        "cat /o/a /o/b; grep -c ' / /o ro,nosuid,nodev.* - overlay' /proc/self/mountinfo;
         grep -c $PWD/low /proc/self/mountinfo; (echo x >/o/a) 2>/dev/null || echo refused",
    );
    overlay(&mut spec, "/o", &layers, Upper::None);
    shows(fixture, &spec, "low a\nhigh b\n1\n0\nrefused\n");
    Outcome::Passed
}

fn changes_to_an_overlay_go_where_they_are_to(fixture: &Fixture) -> Outcome {
    let layers = layers(fixture);
    let (upper, work) = (fixture.directory("upper"), fixture.directory("work"));
    let script = "echo new >/o/a; echo new >/o/new; rm /o/b; cat /o/a; ls /o;
         grep -c ' / /o rw,nosuid,nodev.* - overlay' /proc/self/mountinfo";
    let read = |path: &str| std::fs::read_to_string(fixture.scratch.join(path));
    for kept in [false, true] {
        let mut spec = Spec::shell(script);
        let to = if kept { directories(&mut spec, &upper, &work) } else { Upper::Temporary };
        overlay(&mut spec, "/o", &layers, to);
        shows(fixture, &spec, "new\na\nnew\n1\n");
        assert_eq!(read("low/a").expect("it is there"), "low a\n");
        assert_eq!(read("high/b").expect("it is there"), "high b\n");
        assert!(!fixture.scratch.join("high/new").exists());
        assert_eq!(read("upper/a").ok().as_deref(), kept.then_some("new\n"));
    }
    // What was kept is there the next time.
    let mut spec = Spec::shell("cat /o/a; ls /o");
    let to = directories(&mut spec, &upper, &work);
    overlay(&mut spec, "/o", &layers, to);
    shows(fixture, &spec, "new\na\nnew\n");
    open_up(&work.join("work"));
    Outcome::Passed
}

fn a_work_directory_that_may_not_be_entered_is_used(fixture: &Fixture) -> Outcome {
    // The kernel makes a directory of mode 0 in it. The payload gets no capability for that, and no
    // more than its ids allow in the layers.
    let layers = layers(fixture);
    let closed = fixture.directory("low/closed");
    std::fs::set_permissions(&closed, Permissions::from_mode(0o000)).expect("own directory");
    let (upper, work) = (fixture.directory("upper"), fixture.directory("work"));
    let mut spec = Spec::shell(
        "mv /o/a /o/c && cat /o/c; ls /o/closed 2>/dev/null || echo closed;
         grep -h ^Cap /proc/self/status /proc/1/status | cut -f2 | sort -u",
    );
    spec.request.supervision.init = stockade_protocol::request::Init::Payload;
    let to = directories(&mut spec, &upper, &work);
    overlay(&mut spec, "/o", &layers, to);
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    let text = verdict.output.text();
    open_up(&closed);
    open_up(&work.join("work"));
    let start = "low a\nclosed\n0000000000000000\n";
    assert!(text.starts_with(start), "{text} {}", verdict.output.errors());
    Outcome::Passed
}

fn as_many_layers_as_there_may_be(fixture: &Fixture) -> Outcome {
    let many: Vec<PathBuf> = (0..stockade_protocol::limits::LAYERS)
        .map(|number| {
            let layer = fixture.directory(&format!("layer{number}"));
            fixture.file(&format!("layer{number}/f{number}"), "");
            layer
        })
        .collect();
    let mut spec = Spec::shell("ls /o | wc -l");
    // Descriptors with high numbers.
    for number in 0..300 {
        spec.bind("/etc/passwd", &format!("/m/{number}"), Access::ReadOnly);
    }
    overlay(&mut spec, "/o", &many, Upper::Temporary);
    shows(fixture, &spec, &format!("{}\n", many.len()));
    Outcome::Passed
}

fn overlays_leave_nothing_behind(fixture: &Fixture) -> Outcome {
    let layers = layers(fixture);
    let mut spec = Spec::shell(
        "ls -di / | cut -d/ -f1; ls -di /.. | cut -d/ -f1; ls /proc/self/fd; pwd;
         grep -c ' - tmpfs' /proc/self/mountinfo",
    );
    overlay(&mut spec, "/o", &layers, Upper::Temporary);
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    let lines: Vec<_> = verdict.output.text().lines().map(String::from).collect();
    assert_eq!(lines.first(), lines.get(1), "root and what is above it (I7)");
    assert_eq!(
        lines.get(2..7),
        Some(&["0", "1", "2", "3", "/"].map(String::from)[..]),
        "{lines:?}"
    );
    Outcome::Passed
}

fn t39_layers_that_are_no_directories_are_refused(fixture: &Fixture) -> Outcome {
    let good = layers(fixture);
    let link = fixture.scratch.join("link");
    std::os::unix::fs::symlink("low", &link).expect("own directory");
    let replaced = fixture.directory("replaced");
    let held = open_path(&replaced);
    std::fs::remove_dir(&replaced).expect("own directory");
    // By this name the kernel knows what was there.
    fixture.directory("replaced (deleted)");
    let file = open_path(good[1].join("a"));
    let (reader, _writer) = nix::unistd::pipe().expect("a pipe");
    for (layer, expected) in [
        (open_link(&link), Some(Hint::SourceIsSymlink)),
        (open_link("/proc/self/cwd"), Some(Hint::SourceIsSymlink)),
        (open_path("/proc/self/ns/user"), Some(Hint::SourceIsNamespace)),
        (open_read("/proc/self/ns/mnt"), Some(Hint::SourceIsNamespace)),
        (reader, Some(Hint::SourceElsewhere)),
        (held, Some(Hint::SourceReplaced)),
        (file, None),
    ] {
        for position in 0..4 {
            let mut spec = Spec::shell("exit 7");
            let mut fds: Vec<_> = good.iter().chain(&good).map(open_path).collect();
            if position < 2 {
                fds.truncate(2);
            }
            if let Some(fd) = fds.get_mut(position) {
                *fd = layer.try_clone().expect("room");
            }
            let mut fds = fds.into_iter().map(|fd| spec.add(fd)).collect::<Vec<_>>();
            let upper = match fds.split_off(2)[..] {
                [upper, work] => Upper::Directories { upper, work },
                _ => Upper::Temporary,
            };
            spec.push(Operation::Overlay { destination: place("/o"), lower: fds, upper });
            let verdict = RawHelper::build(fixture, &spec);
            verdict.assert_declined();
            let failure = verdict.failure().expect("a failure");
            match expected {
                Some(hint) => assert_eq!(failure.hint, hint, "{position} {failure:?}"),
                None => assert_eq!(failure.call, Call::Fsconfig, "{position} {failure:?}"),
            }
        }
    }
    Outcome::Passed
}

fn t10_privilege_mounts_no_overlay(fixture: &Fixture) -> Outcome {
    let layers = layers(fixture);
    for upper in [Upper::None, Upper::Temporary] {
        let mut spec = Spec::shell("exit 7");
        overlay(&mut spec, "/o", &layers, upper);
        let at = u32::try_from(spec.request.operations.len() - 1).expect("not that many");
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_declined();
        assert_eq!(verdict.refusal(), Some(Refusal::Rule(Rule::Overlay, at)), "I11");
    }
    let mut spec = Spec::shell("exit 7");
    let to = directories(&mut spec, &layers[0], &layers[1]);
    overlay(&mut spec, "/o", &layers, to);
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_declined();
    assert!(matches!(verdict.refusal(), Some(Refusal::Rule(Rule::Overlay, _))), "{verdict:?}");
    Outcome::Passed
}
