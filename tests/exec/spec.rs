// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--print-spec`: the whole sandbox as JSON, and nothing else.

use harness::frontend::{STOCKADE_FAILED, exec};
use harness::{Case, Fixture, Outcome, case};
use serde_json::Value;

pub(crate) const CASES: &[Case] = &[
    case!(the_spec_is_valid_json),
    case!(printing_the_spec_starts_nothing),
    case!(the_spec_shows_what_was_asked_for).entries(&["T70"]),
    case!(the_spec_names_no_host_path_that_was_not_granted),
    case!(a_full_device_is_an_error),
];

fn spec(fixture: &Fixture, options: &[&str]) -> Value {
    let output = exec(fixture).arg("--print-spec").args(options).args(["--", "true"]).run();
    output.assert_code(0);
    assert_eq!(output.errors(), "");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", output.text()))
}

fn the_spec_is_valid_json(fixture: &Fixture) -> Outcome {
    let spec = spec(fixture, &[]);
    for key in ["namespaces", "operations", "payload", "supervision"] {
        assert!(spec.get(key).is_some(), "{key} is missing");
    }
    // Bytes that are no text do not break it.
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"--env=ODD=\xff\x1b[2J\"");
    let output = exec(fixture).arg("--print-spec").arg(odd).args(["--", "true"]).run();
    output.assert_code(0);
    assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok(), "{}", output.text());
    assert!(!output.stdout.contains(&0x1b), "an escape sequence reached the terminal");
    Outcome::Passed
}

fn printing_the_spec_starts_nothing(fixture: &Fixture) -> Outcome {
    let trace = fixture.scratch.join("trace");
    let fake = fixture.file("helper", &format!("#!/bin/sh\ntouch {}\n", trace.display()));
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&fake, mode).expect("own file");
    for helper in [fake.as_path(), std::path::Path::new("/no/such/helper")] {
        let output = exec(fixture)
            .without_env("STOCKADE_HELPER")
            .env("STOCKADE_HELPER", helper)
            .args(["--print-spec", "--", "no-such-command"])
            .run();
        output.assert_code(0);
        assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok());
    }
    assert!(!trace.exists(), "the helper was started");
    Outcome::Passed
}

fn the_spec_shows_what_was_asked_for(fixture: &Fixture) -> Outcome {
    let shared = fixture.directory("shared");
    let option = format!("--filesystem={}:ro", shared.display());
    let spec = spec(fixture, &[&option, "--share=network", "--hostname=box", "--env=A=b"]);
    let text = spec.to_string();
    assert_eq!(spec["namespaces"]["net"], "share");
    assert_eq!(spec["namespaces"]["hostname"], "box");
    assert!(text.contains(&shared.display().to_string()), "{text}");
    assert!(text.contains("A=b"), "{text}");
    Outcome::Passed
}

fn the_spec_names_no_host_path_that_was_not_granted(fixture: &Fixture) -> Outcome {
    let secret = fixture.directory("home/secret");
    let text = spec(fixture, &[]).to_string();
    assert!(!text.contains(&secret.display().to_string()), "{text}");
    Outcome::Passed
}

fn a_full_device_is_an_error(fixture: &Fixture) -> Outcome {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("there is one");
    let launch = exec(fixture).args(["--print-spec", "--", "true"]).descriptor(1, full.into());
    let output = launch.run();
    output.assert_code(STOCKADE_FAILED);
    assert!(output.errors().contains("No space left"), "{}", output.errors());
    Outcome::Passed
}
