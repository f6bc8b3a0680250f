// SPDX-License-Identifier: MIT OR Apache-2.0
//! A helper that is missing, of another version, or none at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::frontend::{STOCKADE_FAILED, shell_launch};
use harness::process::Output;
use harness::{Case, Fixture, Mode, Outcome, case};
use stockade_protocol::codec;
use stockade_protocol::event::{Event, Exit};

pub(crate) const CASES: &[Case] = &[
    case!(a_missing_helper_is_named).modes(Mode::UNPRIVILEGED),
    case!(a_helper_that_cannot_be_executed_is_named).modes(Mode::UNPRIVILEGED),
    case!(a_helper_of_another_version_is_told_from_a_broken_one)
        .entries(&["T84"])
        .modes(Mode::UNPRIVILEGED),
    case!(a_helper_that_says_nothing_is_an_error).modes(Mode::UNPRIVILEGED),
    case!(a_helper_that_talks_nonsense_is_an_error).modes(Mode::UNPRIVILEGED),
    case!(a_helper_that_is_killed_is_an_error).modes(Mode::UNPRIVILEGED),
    case!(a_helper_that_forges_success_gives_its_status_only).modes(Mode::UNPRIVILEGED),
    case!(nothing_runs_unconfined_without_a_helper).entries(&["T56"]).modes(Mode::UNPRIVILEGED),
];

/// Runs `echo ran` with another helper.
fn with_helper(fixture: &Fixture, helper: &Path) -> Output {
    shell_launch(fixture, &[], "echo ran")
        .without_env("STOCKADE_HELPER")
        .env("STOCKADE_HELPER", helper)
        .start()
        .finish_within(Duration::from_secs(10))
}

#[track_caller]
fn assert_mistake(output: &Output, mentioned: &str) {
    output.assert_code(STOCKADE_FAILED);
    let errors = output.errors();
    assert!(errors.starts_with("stockade: cannot "), "{errors}");
    assert!(errors.contains(mentioned), "{mentioned:?} is not mentioned: {errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    assert_eq!(output.text(), "", "something ran");
}

/// A helper that is a shell script.
fn script(fixture: &Fixture, name: &str, body: &str) -> PathBuf {
    let path = fixture.file(name, &format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own file");
    path
}

/// A shell command that writes these bytes to the socket.
fn say(bytes: &[u8]) -> String {
    let octal: Vec<String> = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("printf '{}' >&3", octal.concat())
}

fn frame(event: &Event) -> Vec<u8> {
    let body = codec::encode_event(event).expect("a small event");
    let length = u32::try_from(body.len()).expect("a small event");
    [length.to_le_bytes().to_vec(), body].concat()
}

fn a_missing_helper_is_named(fixture: &Fixture) -> Outcome {
    let output = with_helper(fixture, Path::new("/no/such/helper"));
    assert_mistake(&output, "/no/such/helper");
    Outcome::Passed
}

fn a_helper_that_cannot_be_executed_is_named(fixture: &Fixture) -> Outcome {
    for helper in ["/etc/passwd", "/usr", "/etc/shadow/x"] {
        assert_mistake(&with_helper(fixture, Path::new(helper)), helper);
    }
    let text = fixture.file("text", "no program\n");
    fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).expect("own file");
    assert_mistake(&with_helper(fixture, &text), "text");
    Outcome::Passed
}

fn a_helper_of_another_version_is_told_from_a_broken_one(fixture: &Fixture) -> Outcome {
    let unsupported = frame(&Event::Unsupported { oldest: 7, newest: 9 });
    let helper = script(fixture, "newer", &say(&unsupported));
    let output = with_helper(fixture, &helper);
    assert_mistake(&output, "version");
    for number in ["7", "9"] {
        assert!(output.errors().contains(number), "{}", output.errors());
    }
    Outcome::Passed
}

fn a_helper_that_says_nothing_is_an_error(fixture: &Fixture) -> Outcome {
    for helper in ["/bin/true", "/bin/false"] {
        assert_mistake(&with_helper(fixture, Path::new(helper)), "helper");
    }
    let helper = script(fixture, "reader", "timeout 0.2 cat <&3 >/dev/null; exit 1");
    assert_mistake(&with_helper(fixture, &helper), "helper");
    Outcome::Passed
}

fn a_helper_that_talks_nonsense_is_an_error(fixture: &Fixture) -> Outcome {
    let huge = [0xff; 64];
    let long = [&5000_u32.to_le_bytes()[..], &[0; 5000]].concat();
    let unknown = [&8_u32.to_le_bytes()[..], &[0xee; 8]].concat();
    let empty = 0_u32.to_le_bytes();
    let cut = &frame(&Event::Unsupported { oldest: 7, newest: 9 })[..9];
    for (name, bytes) in [
        ("huge", &huge[..]),
        ("long", &long),
        ("unknown", &unknown),
        ("empty", &empty),
        ("cut", cut),
    ] {
        let helper = script(fixture, name, &say(bytes));
        assert_mistake(&with_helper(fixture, &helper), "helper");
    }
    Outcome::Passed
}

fn a_helper_that_is_killed_is_an_error(fixture: &Fixture) -> Outcome {
    let helper = script(fixture, "killed", "kill -9 $$");
    assert_mistake(&with_helper(fixture, &helper), "helper");
    Outcome::Passed
}

fn a_helper_that_forges_success_gives_its_status_only(fixture: &Fixture) -> Outcome {
    // The helper is chosen by the user; what is tested is that its word ends the frontend cleanly.
    let ready = frame(&Event::Ready { mode: Mode::Unprivileged.announced() });
    let exited = frame(&Event::Exited(Exit::Code(3)));
    let helper = script(fixture, "forger", &say(&[ready, exited].concat()));
    let output = with_helper(fixture, &helper);
    assert_eq!(output.text(), "");
    assert!(matches!(output.ending, harness::process::Ending::Exited(3 | STOCKADE_FAILED)));
    Outcome::Passed
}

fn nothing_runs_unconfined_without_a_helper(fixture: &Fixture) -> Outcome {
    let trace = fixture.scratch.join("trace");
    for helper in ["/no/such/helper", "/bin/true", "/bin/sh", "/usr/bin/env"] {
        let output = shell_launch(fixture, &[], &format!("touch {}", trace.display()))
            .without_env("STOCKADE_HELPER")
            .env("STOCKADE_HELPER", helper)
            .start()
            .finish_within(Duration::from_secs(10));
        output.assert_code(STOCKADE_FAILED);
    }
    assert!(!trace.exists());
    Outcome::Passed
}
