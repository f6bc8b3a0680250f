// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels before 5.12, which have no `mount_setattr(2)`: refused in words, in every mode.

use harness::frontend::{STOCKADE_FAILED, shell_launch, stockade};
use harness::skips::kernel;
use harness::{Case, Fixture, Outcome, case};

pub(crate) const CASES: &[Case] =
    &[case!(exec_says_that_the_kernel_is_too_old), case!(doctor_says_that_the_kernel_is_too_old)];

/// Skipped where the kernel is new enough.
fn new_enough() -> Option<Outcome> {
    let (major, minor) = kernel().expect("the kernel's release");
    let reason = format!("Linux {major}.{minor} has mount_setattr");
    ((major, minor) >= (5, 12)).then_some(Outcome::Skipped(reason))
}

fn exec_says_that_the_kernel_is_too_old(fixture: &Fixture) -> Outcome {
    if let Some(skipped) = new_enough() {
        return skipped;
    }
    let output = shell_launch(fixture, &[], "echo inside").run();
    output.assert_code(STOCKADE_FAILED);
    assert_eq!(output.text(), "");
    let errors = output.errors();
    assert!(errors.contains("this kernel is too old") && errors.contains("5.12"), "{errors}");
    Outcome::Passed
}

fn doctor_says_that_the_kernel_is_too_old(fixture: &Fixture) -> Outcome {
    if let Some(skipped) = new_enough() {
        return skipped;
    }
    let output = stockade(fixture).arg("doctor").run();
    let text = output.text();
    assert_ne!(output.ending, harness::process::Ending::Exited(0), "{text}");
    assert!(text.contains("5.12"), "{text}");
    Outcome::Passed
}
