// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals sent to the frontend, and who ends with whom.

use std::time::Duration;

use harness::frontend::{outer_shell, shell_launch};
use harness::launch::Launch;
use harness::process::{Ending, Process};
use harness::{Case, Fixture, Outcome, case, watch};
use nix::sys::signal::Signal;

pub(crate) const CASES: &[Case] = &[
    case!(signals_to_the_frontend_reach_the_payload),
    case!(payloads_that_do_not_catch_signals_end_by_them),
    case!(a_payload_that_ignores_a_signal_goes_on),
    case!(the_end_of_the_frontend_is_the_end_of_the_sandbox).entries(&["T79"]),
    case!(die_with_parent_ends_the_sandbox_with_the_caller).entries(&["T35"]),
    case!(without_die_with_parent_the_caller_may_go),
    case!(signals_before_the_start_leave_nothing),
    case!(a_stopped_payload_can_be_continued),
    case!(a_stopped_payload_that_is_killed_is_no_longer_waited_for),
    case!(stop_and_kill_in_quick_succession_are_heard_both),
];

fn signals_to_the_frontend_reach_the_payload(fixture: &Fixture) -> Outcome {
    for (signal, name) in [
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGINT, "INT"),
        (Signal::SIGQUIT, "QUIT"),
    ] {
        let script =
            format!("trap 'echo caught; exit 9' {name}; echo ready; while :; do sleep 0.05; done");
        let mut running = shell_launch(fixture, &[], &script).start();
        running.read_line();
        running.process.signal(signal);
        let output = running.finish();
        output.assert_code(9);
        assert_eq!(output.text(), "caught\n", "{name}");
    }
    Outcome::Passed
}

fn payloads_that_do_not_catch_signals_end_by_them(fixture: &Fixture) -> Outcome {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut running = shell_launch(fixture, &[], "echo ready; exec sleep 1000").start();
        running.read_line();
        // The shell has said "ready" and may not have become sleep yet; both end by it.
        running.process.signal(signal);
        running.finish().assert_code(128 + signal as i32);
    }
    Outcome::Passed
}

fn a_payload_that_ignores_a_signal_goes_on(fixture: &Fixture) -> Outcome {
    let mut running =
        shell_launch(fixture, &[], "trap '' TERM; echo ready; sleep 0.3; echo on; exit 6").start();
    running.read_line();
    running.process.signal(Signal::SIGTERM);
    let output = running.finish();
    output.assert_code(6);
    assert_eq!(output.text(), "on\n");
    Outcome::Passed
}

fn the_end_of_the_frontend_is_the_end_of_the_sandbox(fixture: &Fixture) -> Outcome {
    let mut running = shell_launch(fixture, &[], "trap '' TERM; echo ready; sleep 1000").start();
    running.read_line();
    running.process.signal(Signal::SIGKILL);
    // The output ends only when the last process of the sandbox is gone.
    let output = running.finish_within(watch::gone_after());
    assert_eq!(output.ending, Ending::Killed(Signal::SIGKILL));
    Outcome::Passed
}

/// A shell that starts `stockade exec` and waits for it.
fn shell_around(fixture: &Fixture, options: &str) -> Launch {
    let inside = "echo ready; sleep 1; echo still here";
    outer_shell(fixture, &format!("$STOCKADE exec {options} -- sh -c '{inside}' & wait"))
}

fn die_with_parent_ends_the_sandbox_with_the_caller(fixture: &Fixture) -> Outcome {
    // T35.
    let mut running = shell_around(fixture, "--die-with-parent").start();
    running.read_line();
    running.process.signal(Signal::SIGKILL);
    let output = running.finish_within(watch::gone_after());
    assert_eq!(output.text(), "");
    Outcome::Passed
}

fn without_die_with_parent_the_caller_may_go(fixture: &Fixture) -> Outcome {
    let mut running = shell_around(fixture, "").start();
    running.read_line();
    running.process.signal(Signal::SIGKILL);
    let output = running.finish();
    assert_eq!(output.text(), "still here\n");
    Outcome::Passed
}

fn signals_before_the_start_leave_nothing(fixture: &Fixture) -> Outcome {
    for microseconds in [0, 200, 500, 1000, 2000, 3000, 5000, 8000, 12_000] {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let running = shell_launch(fixture, &[], "exec sleep 1000").start();
            std::thread::sleep(Duration::from_micros(microseconds));
            running.process.signal(signal);
            let output = running.finish();
            let expected = [Ending::Killed(signal), Ending::Exited(128 + signal as i32)];
            assert!(expected.contains(&output.ending), "{output:?}");
        }
    }
    Outcome::Passed
}

fn a_stopped_payload_can_be_continued(fixture: &Fixture) -> Outcome {
    let mut running =
        shell_launch(fixture, &[], "echo ready; kill -STOP $$; echo continued; exit 4").start();
    running.read_line();
    // The frontend stops as its payload did, and takes it along when it is continued.
    let stopped = |process: &Process| {
        let state = watch::status(process.pid(), "State").unwrap_or_default();
        state.starts_with('T').then_some(())
    };
    let patience = harness::process::patience();
    let stop = harness::process::eventually(patience, || stopped(&running.process));
    assert!(stop.is_some(), "the frontend did not stop with its payload");
    running.process.signal(Signal::SIGCONT);
    let output = running.finish();
    output.assert_code(4);
    assert_eq!(output.text(), "continued\n");
    Outcome::Passed
}

fn a_stopped_payload_that_is_killed_is_no_longer_waited_for(fixture: &Fixture) -> Outcome {
    // As with a command run directly, where the shell hears of the end at once.
    let mut running = shell_launch(fixture, &[], "echo ready; kill -STOP $$").start();
    running.read_line();
    let own = || watch::descendants_of(running.process.pid());
    let stopped = harness::process::eventually(harness::process::patience(), || {
        own().into_iter().find(|seen| seen.name == "sh" && seen.state == 'T')
    });
    let payload = stopped.expect("the payload has stopped itself");
    std::thread::sleep(Duration::from_millis(50));
    let process = harness::sys::pidfd_open(payload.pid).expect("it is there");
    harness::sys::pidfd_send_signal(&process, libc::SIGKILL).expect("it may be killed");
    running.finish_within(watch::gone_after()).assert_code(137);
    Outcome::Passed
}

fn stop_and_kill_in_quick_succession_are_heard_both(fixture: &Fixture) -> Outcome {
    // The frontend may be about to stop itself when the end is told.
    for microseconds in (0..60).map(|round| round * 37 % 1500) {
        let mut running = shell_launch(fixture, &[], "echo ready; exec sleep 1000").start();
        running.read_line();
        let own = watch::descendants_of(running.process.pid());
        let payload = own.iter().find(|seen| ["sh", "sleep"].contains(&&*seen.name));
        let process =
            harness::sys::pidfd_open(payload.expect("the payload").pid).expect("it lives");
        let send = |signal| {
            harness::sys::pidfd_send_signal(&process, signal).expect("it may be sent signals");
        };
        send(libc::SIGSTOP);
        std::thread::sleep(Duration::from_micros(microseconds));
        send(libc::SIGKILL);
        running.finish_within(watch::gone_after()).assert_code(137);
    }
    Outcome::Passed
}
