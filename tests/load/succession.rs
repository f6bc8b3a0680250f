// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sandboxes one after the other.

use harness::frontend::exec;
use harness::{Case, Fixture, Outcome, case};

use super::kernel_objects::Objects;

pub(crate) const CASES: &[Case] =
    &[case!(ten_thousand_launches_leave_nothing).as_root().on_request().within(900)];

/// How many.
const LAUNCHES: u64 = 10_000;

fn ten_thousand_launches_leave_nothing(fixture: &Fixture) -> Outcome {
    let launch = || {
        let output = exec(fixture).args(["--", "true"]).run();
        output.assert_code(0);
        assert_eq!((output.text(), output.errors()), (String::new(), String::new()));
    };
    // The first ones fill caches.
    for _ in 0..100 {
        launch();
    }
    let before = Objects::count();
    for _ in 0..LAUNCHES {
        launch();
    }
    if let Some(growth) = before.growth(LAUNCHES) {
        panic!("{LAUNCHES} launches left something\n{growth}");
    }
    Outcome::Passed
}
