// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--name` and `--persist`: homes that are kept.

use std::fs;

use harness::frontend::{STOCKADE_FAILED, exec, shell};
use harness::{Case, Fixture, Outcome, case};

pub(crate) const CASES: &[Case] = &[
    case!(a_named_home_is_kept),
    case!(names_do_not_share_homes),
    case!(the_kept_home_is_below_the_data_directory),
    case!(bad_names_are_refused).entries(&["T69"]),
    case!(persist_keeps_only_these_paths),
    case!(a_kept_home_that_became_a_symlink_leads_nowhere).entries(&["T68"]),
];

fn a_named_home_is_kept(fixture: &Fixture) -> Outcome {
    shell(fixture, &["--name", "box"], "echo one >~/note; mkdir -p ~/a/b").assert_code(0);
    let output = shell(fixture, &["--name=box"], "cat ~/note; ls ~");
    output.assert_code(0);
    assert_eq!(output.text(), "one\na\nnote\n");
    shell(fixture, &[], "test -e ~/note").assert_code(1);
    Outcome::Passed
}

fn names_do_not_share_homes(fixture: &Fixture) -> Outcome {
    shell(fixture, &["--name=one"], "echo one >~/note").assert_code(0);
    shell(fixture, &["--name=two"], "test -e ~/note").assert_code(1);
    Outcome::Passed
}

fn the_kept_home_is_below_the_data_directory(fixture: &Fixture) -> Outcome {
    shell(fixture, &["--name=box"], "echo one >~/note").assert_code(0);
    let data = fixture.home().join(".local/share");
    let notes: Vec<String> =
        harness::watch::tree(&data).into_iter().filter(|line| line.contains("/note ")).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("box"), "{notes:?}");
    Outcome::Passed
}

fn bad_names_are_refused(fixture: &Fixture) -> Outcome {
    for name in ["", ".", "..", "a/b", "../up", "/abs", "a\nb"] {
        let output = exec(fixture).arg(format!("--name={name}")).args(["--", "true"]).run();
        output.assert_code(STOCKADE_FAILED);
        assert_eq!(output.text(), "");
    }
    Outcome::Passed
}

fn persist_keeps_only_these_paths(fixture: &Fixture) -> Outcome {
    let options = ["--name=box", "--persist=.keep"];
    shell(fixture, &options, "echo one >~/.keep/note; echo two >~/gone").assert_code(0);
    let output = shell(fixture, &options, "cat ~/.keep/note; ls ~");
    output.assert_code(0);
    assert_eq!(output.text(), "one\n");
    for path in ["..", "../x", "a/../../x"] {
        let output =
            exec(fixture).args(["--name=box", &format!("--persist={path}"), "--", "true"]).run();
        output.assert_code(STOCKADE_FAILED);
    }
    Outcome::Passed
}

fn a_kept_home_that_became_a_symlink_leads_nowhere(fixture: &Fixture) -> Outcome {
    // T68, CVE-2024-42472: what the last run left in its own home is not followed by the next.
    let outside = fixture.directory("outside");
    fs::write(outside.join("secret"), "sesame\n").expect("own directory");
    let options = ["--name=box", "--persist=.keep"];
    shell(fixture, &options, "true").assert_code(0);
    let data = fixture.home().join(".local/share");
    let tree = harness::watch::tree(&data);
    let line = tree.iter().find(|line| line.contains("/.keep ")).expect("the kept directory");
    let kept = line.split(' ').next().expect("its path");
    fs::remove_dir(kept).expect("it is empty");
    std::os::unix::fs::symlink(&outside, kept).expect("its parent is writable");
    let output = shell(fixture, &options, "cat ~/.keep/secret");
    assert!(!output.text().contains("sesame"), "{}", output.text());
    Outcome::Passed
}
