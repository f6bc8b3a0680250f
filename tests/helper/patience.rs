// SPDX-License-Identifier: MIT OR Apache-2.0
//! Things that never answer: how long they hold a launch up, and who can end it meanwhile (T77).

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use harness::raw::{self, RawHelper};
use harness::spec::{Spec, place};
use harness::{Case, Fixture, Mode, Outcome, case, watch};
use stockade_protocol::event::Call;
use stockade_protocol::request::{Content, Operation, UserNamespace};

pub(crate) const CASES: &[Case] = &[
    case!(t77_what_never_answers_is_given_up).modes(&[Mode::FileCaps, Mode::Setuid]).within(90),
    case!(t77_an_unfinished_sandbox_ends_with_its_caller),
];

/// A sandbox with a file that is filled from a pipe into which nobody writes.
fn hanging() -> (Spec, OwnedFd) {
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    let mut spec = Spec::shell("exit 7");
    let content = Content::Descriptor(spec.add(reader));
    spec.push(Operation::File { destination: place("/f/pipe"), mode: 0o600, content });
    (spec, writer)
}

fn t77_what_never_answers_is_given_up(fixture: &Fixture) -> Outcome {
    let (mut spec, writer) = hanging();
    if fixture.mode == Mode::Setuid {
        // There the monitor waits for init's namespace first.
        spec.request.namespaces.user = UserNamespace::Mapped { uid: 0, gid: 0 };
    }
    let started = Instant::now();
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&spec);
    // Longer than the client's own patience: its end comes meanwhile.
    std::thread::sleep(Duration::from_secs(28));
    let verdict = raw.conclude();
    let failure = verdict.failure().expect("a failure");
    assert_eq!((failure.call, failure.errno), (Call::Wait, libc::ETIMEDOUT.unsigned_abs()));
    let taken = started.elapsed();
    assert!((29..45).contains(&taken.as_secs()), "{taken:?}");
    drop(writer);
    Outcome::Passed
}

fn t77_an_unfinished_sandbox_ends_with_its_caller(fixture: &Fixture) -> Outcome {
    for (follow, mapped) in [(true, false), (false, false), (true, true), (false, true)] {
        if mapped && fixture.mode == Mode::FileCaps {
            continue;
        }
        let (mut spec, writer) = hanging();
        spec.request.supervision.end_with_caller = follow;
        if mapped {
            spec.request.namespaces.user = UserNamespace::Mapped { uid: 0, gid: 0 };
        }
        let mut raw = RawHelper::start(raw::helper(fixture));
        raw.send(&spec);
        std::thread::sleep(Duration::from_millis(150));
        raw.hang_up();
        // Ours to reap, some of them: dead is enough.
        let alive = || {
            let all = watch::processes_of(fixture.user.uid);
            all.into_iter()
                .filter(|seen| seen.name == "stockade-helper" && seen.state != 'Z')
                .collect::<Vec<_>>()
        };
        let gone =
            harness::process::eventually(watch::gone_after(), || alive().is_empty().then_some(()));
        assert!(gone.is_some(), "follow {follow}, mapped {mapped}: {:?}", alive());
        drop(writer);
    }
    Outcome::Passed
}
