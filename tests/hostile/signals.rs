// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signal dispositions, masks and timers that a caller leaves behind (T23).

use std::ffi::c_int;
use std::time::Duration;

use harness::process::slowness;
use harness::raw::{self, RawHelper};
use harness::report::Report;
use harness::spec::Spec;
use harness::{Case, Fixture, Outcome, case};
use nix::sys::signal::Signal;

pub(crate) const CASES: &[Case] = &[
    case!(ignored_signals_change_nothing).entries(&["T23"]),
    case!(blocked_signals_change_nothing).entries(&["T23"]),
    case!(running_timers_are_stopped).entries(&["T23"]),
    case!(the_payload_starts_with_default_signals).entries(&["T23"]),
];

fn signals() -> impl Iterator<Item = Signal> {
    Signal::iterator().filter(|one| !matches!(one, Signal::SIGKILL | Signal::SIGSTOP))
}

fn ignored_signals_change_nothing(fixture: &Fixture) -> Outcome {
    let launch = signals().fold(raw::helper(fixture), |launch, one| launch.ignore(one));
    RawHelper::run(launch, &Spec::shell("sleep 0.05; exit 7")).assert_exit(7);
    Outcome::Passed
}

fn blocked_signals_change_nothing(fixture: &Fixture) -> Outcome {
    let launch = signals().fold(raw::helper(fixture), |launch, one| launch.block(one));
    RawHelper::run(launch, &Spec::shell("sleep 0.05; exit 7")).assert_exit(7);
    Outcome::Passed
}

fn running_timers_are_stopped(fixture: &Fixture) -> Outcome {
    // Long enough for the helper to start, short enough to go off while it waits for the request: from
    // there on it has a use for alarm(2) itself, and its children have none of its timers.
    let period = Duration::from_millis(100) * slowness();
    let timers: [c_int; 3] =
        [libc::ITIMER_REAL as c_int, libc::ITIMER_VIRTUAL as c_int, libc::ITIMER_PROF as c_int];
    for which in timers {
        let mut raw = RawHelper::start(raw::helper(fixture).timer(which, period));
        std::thread::sleep(period * 3);
        raw.send(&Spec::shell(&format!(
            "sleep {}; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 7",
            0.2 * f64::from(slowness())
        )));
        raw.conclude().assert_exit(7);
    }
    Outcome::Passed
}

fn the_payload_starts_with_default_signals(fixture: &Fixture) -> Outcome {
    let ignoring = signals().fold(raw::helper(fixture), |launch, one| launch.ignore(one));
    let blocking = signals().fold(raw::helper(fixture), |launch, one| launch.block(one));
    for launch in [raw::helper(fixture), ignoring, blocking] {
        let verdict = RawHelper::run(launch, &Spec::tool(fixture, "probe"));
        verdict.assert_exit(0);
        let report = Report::of(&verdict.output);
        // I14: nothing blocked, ignored or pending.
        for field in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"] {
            assert_eq!(report.mask(field), 0, "{field}");
        }
    }
    Outcome::Passed
}
