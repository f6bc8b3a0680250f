// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `stockade exec` exits with.

use harness::frontend::{NOT_EXECUTABLE, NOT_FOUND, STOCKADE_FAILED, exec, shell};
use harness::{Case, Fixture, Outcome, case};

pub(crate) const CASES: &[Case] = &[
    case!(the_payloads_own_status_is_passed_on),
    case!(death_by_signal_is_128_and_the_signal),
    case!(a_command_that_does_not_exist_is_127),
    case!(a_command_that_cannot_be_executed_is_126),
    case!(failures_of_stockade_are_125),
    case!(the_first_child_decides_and_orphans_do_not).entries(&["T36"]),
    case!(orphans_end_with_the_payload),
    case!(a_script_without_a_first_line_is_run_by_a_shell),
    case!(the_command_is_found_along_path_inside),
    case!(words_behind_the_command_are_its_own).entries(&["T67"]),
];

fn the_payloads_own_status_is_passed_on(fixture: &Fixture) -> Outcome {
    for code in [0, 1, 42, 125, 126, 127, 128, 255] {
        shell(fixture, &[], &format!("exit {code}")).assert_code(code);
    }
    Outcome::Passed
}

fn death_by_signal_is_128_and_the_signal(fixture: &Fixture) -> Outcome {
    for (name, number) in [("KILL", 9), ("TERM", 15), ("INT", 2), ("SEGV", 11), ("USR1", 10)] {
        shell(fixture, &[], &format!("ulimit -c 0; kill -{name} $$")).assert_code(128 + number);
    }
    Outcome::Passed
}

fn a_command_that_does_not_exist_is_127(fixture: &Fixture) -> Outcome {
    for command in ["no-such-command-anywhere", "/usr/bin/no-such-command", "./no-such-command"] {
        let output = exec(fixture).args(["--", command]).run();
        output.assert_code(NOT_FOUND);
        assert!(output.errors().contains(command), "{}", output.errors());
        assert_eq!(output.text(), "");
    }
    Outcome::Passed
}

fn a_command_that_cannot_be_executed_is_126(fixture: &Fixture) -> Outcome {
    for command in ["/etc/passwd", "/usr/bin", "/"] {
        let output = exec(fixture).args(["--", command]).run();
        output.assert_code(NOT_EXECUTABLE);
        assert!(output.errors().contains(command), "{}", output.errors());
    }
    Outcome::Passed
}

fn failures_of_stockade_are_125(fixture: &Fixture) -> Outcome {
    for arguments in [&["--no-such-option", "true"][..], &[], &["--share=moon", "true"]] {
        let output = exec(fixture).args(arguments).run();
        output.assert_code(STOCKADE_FAILED);
        assert_ne!(output.errors(), "");
    }
    Outcome::Passed
}

fn the_first_child_decides_and_orphans_do_not(fixture: &Fixture) -> Outcome {
    // T36: an orphan that init reaps first must not lend its status.
    let script = "(sh -c 'exit 0' &) ; (sh -c 'kill -9 $$' &) ; sleep 0.1; exit 42";
    shell(fixture, &[], script).assert_code(42);
    Outcome::Passed
}

fn orphans_end_with_the_payload(fixture: &Fixture) -> Outcome {
    // The output stays open as long as one of them lives.
    let script = "setsid sleep 1000 & (sleep 1000 &) ; exit 3";
    shell(fixture, &[], script).assert_code(3);
    Outcome::Passed
}

fn a_script_without_a_first_line_is_run_by_a_shell(fixture: &Fixture) -> Outcome {
    let directory = fixture.directory("project");
    let script = fixture.file("project/script", "echo $0 $1; exit 5\n");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("own file");
    let output = exec(fixture)
        .arg(format!("--project={}", directory.display()))
        .args(["--", "./script", "word"])
        .run();
    output.assert_code(5);
    assert_eq!(output.text(), "./script word\n");
    Outcome::Passed
}

fn the_command_is_found_along_path_inside(fixture: &Fixture) -> Outcome {
    let output = exec(fixture).args(["--env=PATH=/nowhere:/usr/bin", "--", "sh", "-c", "echo ok"]);
    let output = output.run();
    output.assert_code(0);
    assert_eq!(output.text(), "ok\n");
    let output = exec(fixture).args(["--env=PATH=/nowhere", "--", "sh", "-c", "echo ok"]).run();
    output.assert_code(NOT_FOUND);
    Outcome::Passed
}

fn words_behind_the_command_are_its_own(fixture: &Fixture) -> Outcome {
    // T67.
    let words = ["--share=network", "--", "-x", "@@", "a\nb", "", "--help"];
    let script = "for word; do printf '<%s>' \"$word\"; done";
    let output = exec(fixture).args(["sh", "-c", script, "sh"]).args(words).run();
    output.assert_code(0);
    assert_eq!(output.text(), "<--share=network><--><-x><@@><a\nb><><--help>");
    Outcome::Passed
}
