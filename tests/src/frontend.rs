// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts `stockade exec` as a user would.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use crate::process::Output;
use crate::report::Report;
use crate::{Fixture, launch::Launch};

/// What stockade exits with when it failed itself.
pub const STOCKADE_FAILED: i32 = 125;
/// When the command was found but cannot be executed.
pub const NOT_EXECUTABLE: i32 = 126;
/// When the command was not found.
pub const NOT_FOUND: i32 = 127;

/// `stockade` in the environment of a plain login, without arguments yet.
#[must_use]
pub fn stockade(fixture: &Fixture) -> Launch {
    let home = fixture.home();
    Launch::new(fixture.program("stockade"))
        .account(&fixture.user)
        .directory(&home)
        .env("HOME", &home)
        .env("USER", &fixture.user.name)
        .env("LOGNAME", &fixture.user.name)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")
        .env("LANG", "C.UTF-8")
        .env("TERM", "dumb")
        .env("STOCKADE_HELPER", &fixture.helper)
}

/// `stockade exec`, with the tests' own programs visible inside.
#[must_use]
pub fn exec(fixture: &Fixture) -> Launch {
    stockade(fixture).arg("exec").args(tools(fixture))
}

/// The option that makes the tests' own programs visible inside, if one is needed: a prefix below
/// the host's `/usr` is inside anyway.
#[must_use]
pub fn tools(fixture: &Fixture) -> Option<String> {
    let hidden = !fixture.bin.starts_with("/usr");
    hidden.then(|| format!("--filesystem={}:ro", fixture.bin.display()))
}

/// Runs a shell command inside, with these options.
#[track_caller]
pub fn shell(fixture: &Fixture, options: &[&str], script: &str) -> Output {
    shell_launch(fixture, options, script).run()
}

/// [`shell`] before it is started.
#[must_use]
pub fn shell_launch(fixture: &Fixture, options: &[&str], script: &str) -> Launch {
    exec(fixture).args(options).args(["--", "sh", "-c", script])
}

/// A shell of the user's, outside, with `stockade` in its variable `STOCKADE`.
#[must_use]
pub fn outer_shell(fixture: &Fixture, script: &str) -> Launch {
    stockade(fixture)
        .program("/bin/sh")
        .argv(["sh", "-c", script])
        .env("STOCKADE", fixture.program("stockade"))
}

/// Runs the probe inside, with these options.
#[track_caller]
#[must_use]
pub fn probe(fixture: &Fixture, options: &[&str]) -> Report {
    Report::of(&probe_launch(fixture, options).run())
}

/// [`probe`] before it is started.
#[must_use]
pub fn probe_launch(fixture: &Fixture, options: &[&str]) -> Launch {
    exec(fixture).args(options).arg("--").arg(fixture.program("probe"))
}

/// Runs the intruder inside with one of its attacks, and gives what came of each attempt.
#[track_caller]
#[must_use]
pub fn attempts<S: AsRef<OsStr>>(
    fixture: &Fixture,
    options: &[&str],
    attack: &[S],
) -> BTreeMap<String, String> {
    Report::of(&intruder(fixture, options, attack).run()).attempts()
}

/// [`attempts`] before it is started.
#[must_use]
pub fn intruder<S: AsRef<OsStr>>(fixture: &Fixture, options: &[&str], attack: &[S]) -> Launch {
    exec(fixture).args(options).arg("--").arg(fixture.program("intruder")).args(attack)
}
