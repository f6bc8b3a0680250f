// SPDX-License-Identifier: MIT OR Apache-2.0
//! Another process of the same user against helper, monitor and init, while sandboxes start, run
//! and stop (I9, I12, T28, T31, T32).

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Duration;

use harness::frontend::shell_launch;
use harness::launch::Launch;
use harness::process::{Running, slowness};
use harness::raw::{self, RawHelper};
use harness::spec::Spec;
use harness::{Case, Fixture, Mode, Outcome, case, watch};
use serde_json::Value;
use stockade_protocol::request::UserNamespace;

use crate::hostile::dice::Dice;

pub(crate) const CASES: &[Case] = &[
    case!(t28_an_attacker_of_the_same_user_gains_nothing).modes(Mode::PRIVILEGED).within(120),
    case!(t28_nor_whatever_the_sysctl_about_dumps_says)
        .modes(Mode::PRIVILEGED)
        .as_root()
        .within(120),
    case!(t32_a_private_user_namespace_belongs_to_root).modes(&[Mode::Setuid]).within(120),
    case!(the_attacker_can_attack).modes(Mode::UNPRIVILEGED),
    case!(t28_init_and_monitor_stay_closed_for_good)
        .entries(&["T31", "T79"])
        .modes(Mode::PRIVILEGED),
];

/// An attacker at work, and the end of the pipe that stops it.
struct Attack {
    attacker: Running,
    stop: OwnedFd,
}

impl Attack {
    fn begin(fixture: &Fixture) -> Self {
        let (reader, stop) = nix::unistd::pipe().expect("a pipe");
        let launch = Launch::new(fixture.program("attacker")).account(&fixture.user);
        let mut attacker = launch.descriptor(0, reader).start();
        assert_eq!(attacker.read_line(), "ready\n");
        Self { attacker, stop }
    }

    /// Stops it and gives its report.
    #[track_caller]
    fn end(self) -> Value {
        drop(self.stop);
        let output = self.attacker.finish();
        output.assert_code(0);
        serde_json::from_slice(&output.stdout).expect("a report")
    }

    /// Stops it, and asserts that it was at work and gained nothing.
    #[track_caller]
    fn assert_in_vain(self, least: u64) {
        let report = self.end();
        let gains = report["gains"].as_object().expect("a table");
        assert!(gains.is_empty(), "{report}");
        let seen = report["helpers"].as_u64().expect("a number");
        assert!(seen >= least, "it saw too little: {report}");
    }
}

/// Starts and stops sandboxes in different ways.
fn launch_many(fixture: &Fixture, count: u32) {
    let mut dice = Dice::new(0x5eed_0008);
    let shared = fixture.directory("shared");
    let share = format!("--filesystem={}", shared.display());
    for round in 0..count {
        let options: &[&str] = match round % 3 {
            0 => &[],
            1 => &[&share, "--share=network"],
            _ => &["--name=box", "--die-with-parent"],
        };
        let running = shell_launch(fixture, options, "sleep 0.02").start();
        if dice.below(4) == 0 {
            std::thread::sleep(Duration::from_micros(dice.roll() % 10_000));
            running.process.signal(nix::sys::signal::Signal::SIGKILL);
        }
        running.finish();
    }
}

fn t28_an_attacker_of_the_same_user_gains_nothing(fixture: &Fixture) -> Outcome {
    let attack = Attack::begin(fixture);
    launch_many(fixture, 150 / slowness());
    attack.assert_in_vain(u64::from(100 / slowness()));
    Outcome::Passed
}

fn the_attacker_can_attack(fixture: &Fixture) -> Outcome {
    // Without privilege there is nothing to gain, so nothing is hidden: what the attacker finds in
    // vain elsewhere it has to find here, or the other tests prove nothing.
    if std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").is_ok_and(|s| s.trim() != "0")
    {
        return Outcome::Skipped("Yama keeps processes of one user apart".to_owned());
    }
    let attack = Attack::begin(fixture);
    launch_many(fixture, 30);
    let gains = attack.end()["gains"].to_string();
    for gain in ["capabilities in a user namespace", "descriptor ", "ptrace", "mem, write true"] {
        assert!(gains.contains(gain), "{gain} is missing: {gains}");
    }
    Outcome::Passed
}

fn t28_nor_whatever_the_sysctl_about_dumps_says(fixture: &Fixture) -> Outcome {
    const SYSCTL: &str = "/proc/sys/fs/suid_dumpable";
    let before = std::fs::read_to_string(SYSCTL).expect("/proc is mounted");
    let mut failed = None;
    for value in ["1", "2", "0"] {
        std::fs::write(SYSCTL, value).expect("root may");
        let fixture = fixture.clone();
        // In a child, so that the sysctl is put back whatever happens.
        match harness::sys::fork().expect("a child") {
            None => {
                let attack = Attack::begin(&fixture);
                launch_many(&fixture, 40 / slowness().min(10));
                attack.assert_in_vain(2);
                harness::sys::exit(0);
            }
            Some(child) => {
                let ended = harness::process::Process::adopt(child)
                    .expect("a child")
                    .wait(Duration::from_secs(60));
                if ended != Some(harness::process::Ending::Exited(0)) {
                    failed = Some(value);
                }
            }
        }
    }
    std::fs::write(SYSCTL, before.trim()).expect("root may");
    assert_eq!(failed, None, "fs.suid_dumpable");
    Outcome::Passed
}

fn t32_a_private_user_namespace_belongs_to_root(fixture: &Fixture) -> Outcome {
    let mapped = |script: &str| {
        let mut spec = Spec::shell(script);
        spec.request.namespaces.user = UserNamespace::Mapped { uid: 0, gid: 0 };
        spec
    };
    let inside = "id -u; id -g; grep -e ^Cap[IPEA] /proc/self/status | grep -vc 0000000000000000;
        unshare -n true 2>/dev/null && echo made; mount -t tmpfs x /tmp 2>/dev/null && echo mounted;
        cat /proc/self/setgroups; exit 7";
    let verdict = RawHelper::build(fixture, &mapped(inside));
    verdict.assert_exit(7);
    assert_eq!(verdict.output.text(), "0\n0\n0\ndeny\n");

    let attack = Attack::begin(fixture);
    for _ in 0..60 / slowness().min(10) {
        RawHelper::build(fixture, &mapped("sleep 0.02; exit 7")).assert_exit(7);
    }
    attack.assert_in_vain(4);

    // The payload is an ordinary process of the user otherwise; its namespace is not his.
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&mapped("sleep 60"));
    let (_, payload, _pidfd) = raw.started();
    std::thread::sleep(Duration::from_millis(50));
    let script = format!("cat /proc/{payload}/ns/user; nsenter -t {payload} -U id");
    let output = Launch::new("/bin/sh")
        .args(["-c", &script])
        .env("PATH", "/usr/bin:/bin")
        .account(&fixture.user)
        .run();
    assert_eq!(output.text(), "", "{}", output.errors());
    assert!(output.errors().contains("Permission denied"), "{}", output.errors());
    Outcome::Passed
}

fn t28_init_and_monitor_stay_closed_for_good(fixture: &Fixture) -> Outcome {
    let mut running = shell_launch(fixture, &[], "echo up; exec sleep 60").start();
    running.read_line();
    std::thread::sleep(Duration::from_millis(50));
    let attack = Attack::begin(fixture);
    std::thread::sleep(Duration::from_millis(500));
    if fixture.is_root() {
        for seen in watch::processes_of(fixture.user.uid) {
            // Without a capability in any set: there is nothing to gain even then (T31).
            for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
                let mask = watch::status(seen.pid, set);
                assert_eq!(mask.as_deref(), Some("0000000000000000"), "{seen:?} {set}");
            }
            let uid = fixture.user.uid.to_string();
            let ids = watch::status(seen.pid, "Uid").unwrap_or_default();
            assert!(ids.split_whitespace().all(|id| id == uid), "{seen:?} {ids}");
        }
    }
    attack.assert_in_vain(2);
    running.process.signal(nix::sys::signal::Signal::SIGTERM);
    let mut rest = String::new();
    if let Some(pipe) = &mut running.stdout {
        drop(File::read_to_string(pipe, &mut rest));
    }
    running.finish();
    assert_eq!(rest, "");
    Outcome::Passed
}
