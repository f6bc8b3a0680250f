// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machines where a security module takes the capabilities away that a user namespace gives, as
//! Ubuntu's `kernel.apparmor_restrict_unprivileged_userns` does.
//!
//! `tests/kernel/restricted.apparmor` imitates that; the kernel matrix loads it.

use harness::frontend::{STOCKADE_FAILED, shell_launch, stockade};
use harness::process::Ending;
use harness::{Case, Fixture, Mode, Outcome, case, skips};

pub(crate) const CASES: &[Case] = &[
    case!(with_privilege_everything_works).entries(&["T25"]).modes(Mode::PRIVILEGED).as_root(),
    case!(without_privilege_the_error_names_the_module_and_the_ways_out)
        .entries(&["T25"])
        .modes(Mode::UNPRIVILEGED)
        .as_root()
        .even_without_user_namespaces(),
    case!(doctor_names_the_profile)
        .modes(Mode::UNPRIVILEGED)
        .as_root()
        .even_without_user_namespaces(),
];

/// Why nothing can be tried here.
fn unrestricted() -> Option<Outcome> {
    let reason = "AppArmor does not restrict the programs under test";
    (!skips::restricted()).then(|| Outcome::Skipped(reason.to_owned()))
}

fn with_privilege_everything_works(fixture: &Fixture) -> Outcome {
    if let Some(skipped) = unrestricted() {
        return skipped;
    }
    let output = shell_launch(fixture, &[], "cat /proc/self/attr/current").run();
    output.assert_code(0);
    // The frontend is confined. What it asks a privileged helper for is not.
    assert_eq!(output.text(), "unconfined\n");
    Outcome::Passed
}

fn without_privilege_the_error_names_the_module_and_the_ways_out(fixture: &Fixture) -> Outcome {
    if let Some(skipped) = unrestricted() {
        return skipped;
    }
    let output = shell_launch(fixture, &[], "echo inside").run();
    output.assert_code(STOCKADE_FAILED);
    assert_eq!(output.text(), "");
    let errors = output.errors();
    for word in ["kernel.apparmor_restrict_unprivileged_userns", "setcap", "chmod"] {
        assert!(errors.contains(word), "{word} is not named: {errors}");
    }
    Outcome::Passed
}

fn doctor_names_the_profile(fixture: &Fixture) -> Outcome {
    if let Some(skipped) = unrestricted() {
        return skipped;
    }
    let output = stockade(fixture).arg("doctor").run();
    let text = output.text();
    assert_ne!(output.ending, Ending::Exited(0), "{text}");
    assert!(text.contains("AppArmor profile restricted"), "the profile is not named: {text}");
    Outcome::Passed
}
