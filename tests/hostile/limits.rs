// SPDX-License-Identifier: MIT OR Apache-2.0
//! Resource limits too small to work with (T22).

use std::fs;
use std::os::unix::fs::MetadataExt;

use harness::process::{Ending, eventually, patience};
use harness::raw::{self, RawHelper, Verdict};
use harness::spec::Spec;
use harness::{Case, Fixture, Outcome, case, watch};
use nix::sys::resource::{RLIM_INFINITY, Resource};
use stockade_protocol::Event;
use stockade_protocol::request::Content;

pub(crate) const CASES: &[Case] = &[
    case!(tiny_limits_give_a_whole_sandbox_or_none).entries(&["T22"]),
    case!(a_core_limit_of_the_caller_gives_no_core).entries(&["T27"]),
    case!(the_payload_gets_the_limits_of_the_caller).entries(&["T22"]),
];

/// Asserts that what came is either an answer that says no, or a sandbox whose payload started. How
/// the payload fares under its limits is its own matter.
#[track_caller]
fn assert_whole_or_none(verdict: &Verdict, limit: &str) {
    assert!(matches!(verdict.output.ending, Ending::Exited(_)), "{limit}: {verdict:?}");
    let started = verdict.events.iter().any(|event| matches!(event, Event::Started { .. }));
    if started {
        let ended = matches!(verdict.events.last(), Some(Event::Exited(_) | Event::Failed(_)));
        assert!(ended, "{limit}: {verdict:?}");
    } else {
        assert_eq!((verdict.output.text(), verdict.output.errors()), Default::default(), "{limit}");
        let last = verdict.events.last();
        assert!(matches!(last, None | Some(Event::Failed(_) | Event::Refused(_))), "{verdict:?}");
    }
}

fn tiny_limits_give_a_whole_sandbox_or_none(fixture: &Fixture) -> Outcome {
    let small: &[(&str, Resource, u64)] = &[
        ("NOFILE 0", Resource::RLIMIT_NOFILE, 0),
        ("NOFILE 4", Resource::RLIMIT_NOFILE, 4),
        ("NOFILE 5", Resource::RLIMIT_NOFILE, 5),
        ("NOFILE 8", Resource::RLIMIT_NOFILE, 8),
        ("NOFILE 16", Resource::RLIMIT_NOFILE, 16),
        ("NOFILE 64", Resource::RLIMIT_NOFILE, 64),
        ("FSIZE 0", Resource::RLIMIT_FSIZE, 0),
        ("FSIZE 1", Resource::RLIMIT_FSIZE, 1),
        ("NPROC 0", Resource::RLIMIT_NPROC, 0),
        ("NPROC 1", Resource::RLIMIT_NPROC, 1),
        ("NPROC 2", Resource::RLIMIT_NPROC, 2),
        ("AS 1M", Resource::RLIMIT_AS, 1 << 20),
        ("AS 4M", Resource::RLIMIT_AS, 4 << 20),
        ("AS 16M", Resource::RLIMIT_AS, 16 << 20),
        ("DATA 0", Resource::RLIMIT_DATA, 0),
        ("STACK 64K", Resource::RLIMIT_STACK, 64 << 10),
        ("STACK unlimited", Resource::RLIMIT_STACK, RLIM_INFINITY),
        ("MEMLOCK 0", Resource::RLIMIT_MEMLOCK, 0),
        ("SIGPENDING 0", Resource::RLIMIT_SIGPENDING, 0),
        ("MSGQUEUE 0", Resource::RLIMIT_MSGQUEUE, 0),
        ("CPU 1", Resource::RLIMIT_CPU, 1),
    ];
    for (name, resource, limit) in small {
        for with_file in [false, true] {
            let mut spec = Spec::shell("exit 7");
            if with_file {
                // Larger than the limits on file size above.
                spec.file("/etc/big", Content::Bytes(vec![b'x'; 10_000]));
            }
            let launch = raw::helper(fixture).limit(*resource, *limit, *limit);
            // An address space too small for the program itself is the kernel's to refuse.
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
            let Ok(running) = launch.descriptor(raw::SOCKET, theirs.into()).try_start() else {
                continue;
            };
            let mut raw = RawHelper::adopt(running, ours);
            raw.send(&spec);
            let verdict = raw.conclude_even_killed();
            if matches!(verdict.output.ending, Ending::Killed(_)) {
                // By the kernel during exec or by the C library before main: there was not memory
                // enough for the program itself.
                let memory = [Resource::RLIMIT_AS, Resource::RLIMIT_DATA];
                assert!(memory.contains(resource), "{name}: {verdict:?}");
                assert_eq!(verdict.events, [], "{name}");
                continue;
            }
            assert_whole_or_none(&verdict, name);
        }
    }
    Outcome::Passed
}

fn a_core_limit_of_the_caller_gives_no_core(fixture: &Fixture) -> Outcome {
    let directory = fixture.directory("cwd");
    for bytes in [&b"garbage that is long enough for a header"[..], b"stockade", b""] {
        let launch = raw::helper(fixture).directory(&directory).limit(
            Resource::RLIMIT_CORE,
            RLIM_INFINITY,
            RLIM_INFINITY,
        );
        let mut raw = RawHelper::start(launch);
        raw.send_bytes(bytes);
        raw.end_sending();
        raw.conclude().assert_declined();
    }
    // T27: killed by a signal that dumps, it leaves nothing either.
    for signal in [nix::sys::signal::Signal::SIGABRT, nix::sys::signal::Signal::SIGSEGV] {
        let launch = raw::helper(fixture).directory(&directory).limit(
            Resource::RLIMIT_CORE,
            RLIM_INFINITY,
            RLIM_INFINITY,
        );
        let raw = RawHelper::start(launch);
        let pid = raw.running.process.pid();
        let asleep = || watch::status(pid, "State").filter(|state| state.starts_with('S'));
        assert!(eventually(patience(), asleep).is_some(), "it does not wait for the request");
        if fixture.mode.is_privileged() {
            // The kernel dumps no process whose files in /proc are root's, and where a core would go,
            // if not to the working directory, is not for this test to say.
            let owner = fs::metadata(format!("/proc/{pid}/maps")).expect("it waits").uid();
            assert_eq!(owner, 0, "it would leave a core");
        }
        raw.running.process.signal(signal);
        let verdict = raw.conclude_even_killed();
        if fixture.mode.is_privileged() {
            assert!(!matches!(verdict.output.ending, Ending::Dumped(_)), "{verdict:?}");
        }
    }
    if fixture.mode.is_privileged() {
        assert_eq!(fs::read_dir(&directory).expect("it exists").count(), 0);
    }
    Outcome::Passed
}

fn the_payload_gets_the_limits_of_the_caller(fixture: &Fixture) -> Outcome {
    let launch = raw::helper(fixture)
        .limit(Resource::RLIMIT_NOFILE, 77, 99)
        .limit(Resource::RLIMIT_CORE, 0, 12_345_000)
        .limit(Resource::RLIMIT_FSIZE, 1_000_000, 2_000_000);
    let mut raw = RawHelper::start(launch);
    let mut spec = Spec::shell("ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hf; ulimit -Ss");
    let limit = |resource, soft, hard| stockade_protocol::request::Limit { resource, soft, hard };
    // RLIMIT_STACK is 3 on Linux, everywhere.
    spec.request.payload.limits.push(limit(3, 1 << 20, 2 << 20));
    raw.send(&spec);
    let verdict = raw.conclude();
    verdict.assert_exit(0);
    // 12,345,000 bytes in blocks of 512; the shell rounds down.
    assert_eq!(verdict.output.text(), "77\n99\n0\n3906\n1024\n");
    Outcome::Passed
}
