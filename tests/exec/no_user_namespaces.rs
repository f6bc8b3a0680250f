// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels that refuse user namespaces: what Stockade is made for.
//!
//! Where the kernel allows them, a seccomp program refuses them to everything the case starts.

use std::fs;

use harness::frontend::{STOCKADE_FAILED, shell_launch, stockade};
use harness::launch::Launch;
use harness::process::Output;
use harness::{Case, Fixture, Mode, Outcome, case, filter};

pub(crate) const CASES: &[Case] = &[
    case!(with_privilege_none_is_needed).entries(&["T25"]).modes(Mode::PRIVILEGED).as_root(),
    case!(without_privilege_the_error_names_the_switch_and_the_ways_out)
        .entries(&["T25"])
        .modes(Mode::UNPRIVILEGED)
        .as_root()
        .even_without_user_namespaces(),
    case!(doctor_names_the_switch_as_well)
        .modes(Mode::UNPRIVILEGED)
        .as_root()
        .even_without_user_namespaces(),
];

/// The switch by which the kernel refuses them already.
fn switch() -> Option<&'static str> {
    let is_off = |path: &str| fs::read_to_string(path).is_ok_and(|value| value.trim() == "0");
    ["user/max_user_namespaces", "kernel/unprivileged_userns_clone"]
        .into_iter()
        .find(|name| is_off(&format!("/proc/sys/{name}")))
        .and_then(|name| name.rsplit('/').next())
}

/// Runs it where user namespaces are refused.
fn run(launch: Launch) -> Output {
    match switch() {
        Some(_) => launch.run(),
        None => launch.filter(filter::without_user_namespaces()).run(),
    }
}

fn with_privilege_none_is_needed(fixture: &Fixture) -> Outcome {
    let output = run(shell_launch(fixture, &[], "echo inside; ls /proc | grep -c '^[0-9]'"));
    output.assert_code(0);
    assert!(output.text().starts_with("inside\n"), "{}", output.text());
    Outcome::Passed
}

fn without_privilege_the_error_names_the_switch_and_the_ways_out(fixture: &Fixture) -> Outcome {
    let output = run(shell_launch(fixture, &[], "echo inside"));
    output.assert_code(STOCKADE_FAILED);
    assert_eq!(output.text(), "");
    let errors = output.errors();
    let switch = switch().unwrap_or("namespaces");
    assert!(errors.contains(switch), "{switch} is not named: {errors}");
    // The other two ways: file capabilities or setuid root, with the commands.
    assert!(errors.contains("setcap") && errors.contains("chmod"), "{errors}");
    Outcome::Passed
}

fn doctor_names_the_switch_as_well(fixture: &Fixture) -> Outcome {
    let output = run(stockade(fixture).arg("doctor"));
    let text = output.text();
    let switch = switch().unwrap_or("namespaces");
    assert_ne!(output.ending, harness::process::Ending::Exited(0), "{text}");
    assert!(text.contains(switch), "{switch} is not named: {text}");
    Outcome::Passed
}
