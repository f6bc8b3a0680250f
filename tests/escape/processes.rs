// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processes of a sandbox, as they are seen from outside: whose they are, and what they were
//! given.

use std::fs;

use harness::frontend::{exec, shell_launch};
use harness::launch::Launch;
use harness::process::{eventually, patience};
use harness::{Case, Fixture, Outcome, case, watch};

pub(crate) const CASES: &[Case] = &[
    case!(t72_the_apps_variables_reach_no_other_program).as_root(),
    case!(t79_every_process_is_its_callers).as_root(),
];

fn t72_the_apps_variables_reach_no_other_program(fixture: &Fixture) -> Outcome {
    let marks = ["LD_PRELOAD", "GIO_MODULE_DIR", "WAYLAND_DISPLAY", "LANG", "PATH", "GCONV_PATH"];
    let options: Vec<String> =
        marks.iter().map(|name| format!("--env={name}=../../mark-of-the-app")).collect();
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.push("--socket=wayland");
    let launch = exec(fixture)
        .args(&options)
        .arg("--env=PATH=/usr/bin:/mark-of-the-app")
        .args(["--", "/usr/bin/sleep", "60"])
        .env("SECRET", "mark-of-the-caller");
    let running = launch.start();
    let sleeping = || {
        let seen = watch::processes_of(fixture.user.uid);
        seen.into_iter().find(|seen| seen.name == "sleep")
    };
    let payload = eventually(patience(), sleeping).expect("the payload");
    std::thread::sleep(std::time::Duration::from_millis(50));
    let environment = |pid: i32| fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let holds = |pid: i32, mark: &str| String::from_utf8_lossy(&environment(pid)).contains(mark);
    assert!(holds(payload.pid, "LD_PRELOAD=../../mark-of-the-app"), "the payload has them");
    let others = watch::processes_of(fixture.user.uid);
    let others: Vec<_> = others.into_iter().filter(|seen| seen.pid != payload.pid).collect();
    assert!(others.len() >= 3, "frontend, monitor, init: {others:?}");
    for seen in others {
        assert!(!holds(seen.pid, "mark-of-the-app"), "{seen:?}");
        // The helper has not even its caller's.
        let helper = seen.name == "stockade-helper";
        assert!(!helper || !holds(seen.pid, "mark-of-the-caller"), "{seen:?}");
    }
    running.process.signal(nix::sys::signal::Signal::SIGTERM);
    running.finish();
    Outcome::Passed
}

fn t79_every_process_is_its_callers(fixture: &Fixture) -> Outcome {
    let mut running = shell_launch(fixture, &[], "echo up; sleep 60").start();
    running.read_line();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let seen = watch::processes_of(fixture.user.uid);
    assert!(seen.len() >= 4, "frontend, monitor, init, payload: {seen:?}");
    let read = |pid: &str, name: &str| {
        fs::read_to_string(format!("/proc/{pid}/{name}")).expect("it lives")
    };
    for seen in &seen {
        let pid = seen.pid.to_string();
        // In the caller's control group and process limit, as likely to be killed as anything.
        assert_eq!(read(&pid, "cgroup"), read("self", "cgroup"), "{seen:?}");
        assert_eq!(read(&pid, "oom_score_adj"), read("self", "oom_score_adj"), "{seen:?}");
        let ids = watch::status(seen.pid, "Uid").expect("it lives");
        assert!(ids.split_whitespace().all(|id| id == fixture.user.uid.to_string()), "{ids}");
        // Its owner may kill it, as the kernel tells without a signal.
        let may =
            Launch::new("/bin/sh").args(["-c", "kill -0 $0", &pid]).account(&fixture.user).run();
        may.assert_code(0);
    }
    // And nothing of the sandbox is anybody else's.
    for below in watch::descendants_of(running.process.pid()) {
        assert!(seen.iter().any(|seen| seen.pid == below.pid), "{below:?} is not the caller's");
    }
    running.process.signal(nix::sys::signal::Signal::SIGKILL);
    running.finish();
    let alive = || {
        let seen = watch::processes_of(fixture.user.uid).into_iter();
        seen.filter(|seen| seen.state != 'Z').collect::<Vec<_>>()
    };
    let left = watch::wait_until_gone(alive);
    assert!(left.is_empty(), "{left:?}");
    Outcome::Passed
}
