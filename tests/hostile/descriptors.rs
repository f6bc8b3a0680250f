// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that are too many, too few, in the wrong place or of the wrong kind (T05, T76, T82).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use harness::raw::{self, DESCRIPTOR_MARK, RawHelper, Verdict, framed, send_descriptors};
use harness::spec::{Spec, open_path, open_read, place};
use harness::{Case, Fixture, Outcome, case};
use nix::sys::resource::Resource;
use stockade_protocol::check::Rule;
use stockade_protocol::event::{Hint, Stage};
use stockade_protocol::request::{Access, Content, FdIndex, Gate, Operation, Pass, SourceKind};
use stockade_protocol::{Refusal, VERSION, codec};

pub(crate) const CASES: &[Case] = &[
    case!(missing_descriptors_are_declined).entries(&["T76", "T82"]),
    case!(more_descriptors_than_announced_are_declined).entries(&["T76"]),
    case!(batches_of_another_size_are_refused).entries(&["T76"]),
    case!(descriptors_inside_the_request_are_not_taken).entries(&["T76"]),
    case!(many_descriptors_arrive_in_batches).entries(&["T76"]),
    case!(descriptors_that_do_not_fit_the_limit_are_a_failure).entries(&["T76"]),
    case!(unnamed_and_doubly_named_descriptors_are_refused).entries(&["T82"]),
    case!(unreadable_content_is_a_failure).entries(&["T05"]),
    case!(endless_content_is_a_failure),
    case!(odd_objects_as_sources_are_failures).entries(&["T39"]),
    case!(other_objects_than_announced_are_failures).entries(&["T39", "T82"]),
    case!(a_ruleset_that_is_none_is_a_failure).entries(&["T82"]),
    case!(a_console_that_is_no_terminal_is_a_failure).entries(&["T52", "T82"]),
];

fn spec_with(count: usize) -> Spec {
    let mut spec = Spec::shell("exit 7");
    while spec.descriptors.len() < count {
        let number = spec.descriptors.len();
        spec.bind("/dev/null", &format!("/files/{number}"), Access::ReadOnly);
    }
    spec
}

/// Sends the request with this many descriptors announced, then these batches.
#[track_caller]
fn build(fixture: &Fixture, spec: &Spec, announced: usize, batches: &[&[OwnedFd]]) -> Verdict {
    let mut raw = RawHelper::start(raw::helper(fixture));
    let body = codec::encode_request(&spec.request).expect("a small request");
    raw.send_bytes(&framed(VERSION, &body, announced));
    for batch in batches {
        let fds: Vec<BorrowedFd<'_>> = batch.iter().map(AsFd::as_fd).collect();
        // It may have gone already.
        drop(send_descriptors(raw.socket(), &[DESCRIPTOR_MARK], &fds));
    }
    raw.end_sending();
    raw.conclude()
}

fn missing_descriptors_are_declined(fixture: &Fixture) -> Outcome {
    let spec = spec_with(10);
    let count = spec.descriptors.len();
    build(fixture, &spec, count, &[]).assert_declined();
    build(fixture, &spec, count, &[&spec.descriptors[..count - 1]]).assert_declined();
    build(fixture, &spec, count + 1, &[&spec.descriptors]).assert_declined();
    let verdict = build(fixture, &spec, count - 1, &[&spec.descriptors[..count - 1]]);
    verdict.assert_declined();
    assert!(
        matches!(verdict.refusal(), Some(Refusal::Rule(Rule::DescriptorUse, _))),
        "{verdict:?}"
    );
    Outcome::Passed
}

fn more_descriptors_than_announced_are_declined(fixture: &Fixture) -> Outcome {
    let spec = spec_with(10);
    let count = spec.descriptors.len();
    let mut more: Vec<OwnedFd> = spec.descriptors.iter().map(harness::sys::duplicate).collect();
    more.push(open_read("/etc/passwd"));
    let verdict = build(fixture, &spec, count, &[&more]);
    verdict.assert_declined();
    assert_eq!(verdict.refusal(), Some(Refusal::Descriptors));
    // None announced: whatever comes is not read.
    let lone = Spec::empty("/bin/true");
    build(fixture, &lone, 0, &[&more]).assert_orderly();
    Outcome::Passed
}

fn batches_of_another_size_are_refused(fixture: &Fixture) -> Outcome {
    let spec = spec_with(10);
    let count = spec.descriptors.len();
    let (first, rest) = spec.descriptors.split_at(1);
    let verdict = build(fixture, &spec, count, &[first, rest]);
    verdict.assert_declined();
    assert_eq!(verdict.refusal(), Some(Refusal::Descriptors));
    let verdict = build(fixture, &spec, count, &[&[], &spec.descriptors]);
    verdict.assert_declined();
    assert_eq!(verdict.refusal(), Some(Refusal::Descriptors));
    // 253 is what the kernel takes in one message, 250 what the protocol does.
    let spec = spec_with(253);
    let verdict = build(fixture, &spec, 253, &[&spec.descriptors]);
    verdict.assert_declined();
    assert_eq!(verdict.refusal(), Some(Refusal::Descriptors));
    Outcome::Passed
}

fn descriptors_inside_the_request_are_not_taken(fixture: &Fixture) -> Outcome {
    let spec = spec_with(10);
    let body = codec::encode_request(&spec.request).expect("a small request");
    let bytes = framed(VERSION, &body, spec.descriptors.len());
    let fds: Vec<BorrowedFd<'_>> = spec.descriptors.iter().map(AsFd::as_fd).collect();
    for at in [0, 10, 20, 100] {
        let mut raw = RawHelper::start(raw::helper(fixture));
        raw.send_bytes(&bytes[..at]);
        send_descriptors(raw.socket(), &bytes[at..], &fds).expect("there is room");
        raw.end_sending();
        raw.conclude().assert_declined();
    }
    Outcome::Passed
}

fn many_descriptors_arrive_in_batches(fixture: &Fixture) -> Outcome {
    for count in [249, 250, 251, 500, 501] {
        RawHelper::build(fixture, &spec_with(count)).assert_exit(7);
    }
    Outcome::Passed
}

fn descriptors_that_do_not_fit_the_limit_are_a_failure(fixture: &Fixture) -> Outcome {
    let spec = spec_with(200);
    for limit in [8, 32, 128, 204] {
        let launch = raw::helper(fixture).limit(Resource::RLIMIT_NOFILE, limit, limit);
        let verdict = RawHelper::run(launch, &spec);
        verdict.assert_declined();
        // By its own name, and not as a request with too few of them.
        let errno = verdict.failure().map(|failure| failure.errno);
        assert_eq!(errno, Some(libc::EMFILE.unsigned_abs()), "NOFILE {limit}: {verdict:?}");
    }
    Outcome::Passed
}

fn unnamed_and_doubly_named_descriptors_are_refused(fixture: &Fixture) -> Outcome {
    let refused = |spec: &Spec, index| {
        let verdict = RawHelper::build(fixture, spec);
        verdict.assert_declined();
        assert_eq!(verdict.refusal(), Some(Refusal::Rule(Rule::DescriptorUse, index)));
    };
    let mut unnamed = Spec::shell("exit 7");
    let FdIndex(index) = unnamed.add(open_read("/etc/passwd"));
    refused(&unnamed, index);
    // One that is named already, and two that are not there; by every slot that there is.
    type Slot = fn(&mut Spec, FdIndex);
    let slots: [Slot; 7] = [
        |spec, source| spec.request.payload.pass.push(Pass { source, target: 9 }),
        |spec, source| spec.request.payload.landlock = Some(source),
        |spec, source| spec.request.supervision.held.push(source),
        |spec, source| spec.request.supervision.gates.push(Gate { source, end_opens: true }),
        |spec, source| spec.file("/etc/content", Content::Descriptor(source)),
        |spec, source| {
            let content = Content::Descriptor(source);
            let destination = place("/etc/data");
            spec.push(Operation::Data { destination, mode: 0o644, content, writable: false });
        },
        |spec, source| {
            spec.request.operations.retain(|step| !matches!(step, Operation::Devices { .. }));
            let destination = place("/dev");
            spec.push(Operation::Devices { destination, console: Some(source) });
        },
    ];
    for slot in slots {
        for index in [0, 99, u32::MAX] {
            let mut spec = Spec::shell("exit 7");
            slot(&mut spec, FdIndex(index));
            refused(&spec, index);
        }
    }
    Outcome::Passed
}

#[track_caller]
fn failure(fixture: &Fixture, spec: &Spec, what: &str) -> stockade_protocol::event::Failure {
    let verdict = RawHelper::build(fixture, spec);
    verdict.assert_declined();
    verdict.failure().unwrap_or_else(|| panic!("{what}: no failure: {verdict:?}"))
}

fn unreadable_content_is_a_failure(fixture: &Fixture) -> Outcome {
    // T05: nothing is opened again through /proc/self/fd, so what cannot be read stays unread.
    let secret = fixture.file("secret", "sesame");
    let write_only = std::fs::File::options().append(true).open(&secret).expect("own file");
    let contents: [(&str, OwnedFd); 6] = [
        ("O_PATH of a secret", open_path(&secret)),
        ("O_PATH of shadow", open_path("/etc/shadow")),
        ("directory", open_read("/etc")),
        ("O_PATH of a directory", open_path("/etc")),
        ("write-only", write_only.into()),
        ("namespace", open_read("/proc/self/ns/mnt")),
    ];
    for (what, fd) in contents {
        let mut spec = Spec::shell("exit 7");
        let fd = spec.add(fd);
        spec.file("/etc/content", Content::Descriptor(fd));
        let failure = failure(fixture, &spec, what);
        assert_eq!(failure.stage, Stage::Build, "{what}");
    }
    Outcome::Passed
}

fn endless_content_is_a_failure(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("exit 7");
    let zero = spec.add(open_read("/dev/zero"));
    spec.file("/etc/content", Content::Descriptor(zero));
    assert_eq!(failure(fixture, &spec, "/dev/zero").hint, Hint::ContentTooLarge);
    Outcome::Passed
}

fn odd_objects_as_sources_are_failures(fixture: &Fixture) -> Outcome {
    // T39. Which hint is not said where the kernel gives the reason itself.
    let gone = fixture.file("gone", "");
    let deleted = open_path(&gone);
    std::fs::remove_file(&gone).expect("own file");
    let gone = fixture.directory("gone-too");
    let deleted_directory = open_path(&gone);
    std::fs::remove_dir(&gone).expect("own directory");
    let objects: Vec<(&str, OwnedFd)> = vec![
        ("pipe", nix::unistd::pipe().expect("a pipe").0),
        ("socket", std::os::unix::net::UnixStream::pair().expect("a pair").0.into()),
        ("network socket", std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").into()),
        ("deleted file", deleted),
        ("deleted directory", deleted_directory),
        ("pidfd", harness::sys::pidfd_open(1).expect("there is a pid 1")),
    ];
    for (what, fd) in objects {
        for kind in [SourceKind::File, SourceKind::Directory] {
            let mut spec = Spec::shell("exit 7");
            spec.bind_descriptor(harness::sys::duplicate(&fd), kind, "/odd", Access::ReadWrite);
            let verdict = RawHelper::build(fixture, &spec);
            // A deleted file can be bound by its descriptor; that shows what was open anyway.
            if what.starts_with("deleted") && verdict.failure().is_none() {
                verdict.assert_exit(7);
            } else {
                assert!(verdict.failure().is_some(), "{what}: {verdict:?}");
                verdict.assert_declined();
            }
        }
    }
    Outcome::Passed
}

fn other_objects_than_announced_are_failures(fixture: &Fixture) -> Outcome {
    for (path, kind) in [("/etc", SourceKind::File), ("/etc/passwd", SourceKind::Directory)] {
        let mut spec = Spec::shell("exit 7");
        spec.bind_descriptor(open_path(path), kind, "/odd", Access::ReadOnly);
        failure(fixture, &spec, path);
    }
    Outcome::Passed
}

fn a_ruleset_that_is_none_is_a_failure(fixture: &Fixture) -> Outcome {
    for path in ["/etc/passwd", "/dev/null", "/proc/self/ns/mnt"] {
        let mut spec = Spec::shell("exit 7");
        spec.request.payload.landlock = Some(spec.add(open_read(path)));
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_orderly();
        let failed = matches!(verdict.events.last(), Some(stockade_protocol::Event::Failed(_)));
        assert!(failed, "{path}: {verdict:?}");
        assert_eq!(verdict.output.text(), "");
    }
    Outcome::Passed
}

fn a_console_that_is_no_terminal_is_a_failure(fixture: &Fixture) -> Outcome {
    for path in ["/etc/passwd", "/dev/null", "/dev/zero"] {
        let mut spec = Spec::empty("/bin/true");
        spec.bind("/usr", "/usr", Access::ReadOnly);
        let console = Some(spec.add(open_read(path)));
        let destination = harness::spec::place("/dev");
        spec.push(Operation::Devices { destination, console });
        assert_eq!(failure(fixture, &spec, path).hint, Hint::NotATerminal, "{path}");
    }
    Outcome::Passed
}
