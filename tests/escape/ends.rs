// SPDX-License-Identifier: MIT OR Apache-2.0
//! Killed at any moment, nothing is left (I13, T24, T35).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::frontend::{exec, outer_shell};
use harness::process::{Ending, eventually, patience, slowness};
use harness::watch::{self, Seen};
use harness::{Case, Fixture, Outcome, case, sys};

use crate::hostile::dice::Dice;

pub(crate) const CASES: &[Case] = &[
    case!(t24_killed_at_a_random_moment_nothing_is_left).within(170),
    case!(t35_killed_frontends_take_their_sandbox_along).within(90),
];

/// Kills in each mode. Where only one mode is run, by an ordinary user, there are fewer.
const KILLS: u32 = 500;

/// Everything that belongs to the sandboxes of this case.
fn processes(fixture: &Fixture) -> Vec<Seen> {
    let mut seen = if fixture.is_root() {
        watch::processes_of(fixture.user.uid)
    } else {
        watch::descendants_of(nix::unistd::getpid().as_raw())
    };
    seen.retain(|seen| seen.state != 'Z');
    seen
}

/// Files where a sandbox could leave something.
fn files(fixture: &Fixture) -> BTreeSet<String> {
    let mut files = watch::tree(&fixture.scratch);
    let shared = watch::files_of(fixture.user.uid, &[]);
    files.extend(shared.into_iter().map(|path| path.display().to_string()));
    files
}

fn signal(seen: &Seen, signal: i32) {
    // It may have gone by itself.
    if let Ok(process) = sys::pidfd_open(seen.pid) {
        drop(sys::pidfd_send_signal(&process, signal));
    }
}

/// Twice as long as a sandbox takes to start and end here, in microseconds: moments within are before,
/// during and after its start.
fn start_time(fixture: &Fixture) -> u64 {
    let begun = Instant::now();
    exec(fixture).args(["--", "true"]).run().assert_code(0);
    u64::try_from(begun.elapsed().as_micros()).expect("not that long").saturating_mul(2)
}

fn t24_killed_at_a_random_moment_nothing_is_left(fixture: &Fixture) -> Outcome {
    sys::become_subreaper().expect("anybody may");
    drop(fixture.home());
    let runtime = fixture.directory("runtime");
    let mut dice = Dice::new(0x5eed_0006);
    let window = start_time(fixture).max(20_000);
    let mounts = watch::mount_table();
    let before = files(fixture);
    let mut kinds: std::collections::BTreeMap<String, u32> = std::collections::BTreeMap::new();
    let kills = if fixture.is_root() { KILLS } else { KILLS / 4 };
    for round in 0..kills / slowness() {
        let running =
            exec(fixture).env("XDG_RUNTIME_DIR", &runtime).args(["--", "sleep", "30"]).start();
        std::thread::sleep(Duration::from_micros(dice.roll() % window));
        let seen = processes(fixture);
        let Some(victim) = seen.get(dice.below(seen.len())) else {
            panic!("round {round}: nothing runs");
        };
        *kinds.entry(victim.name.clone()).or_default() += 1;
        if dice.below(3) == 0 {
            signal(victim, libc::SIGSTOP);
            std::thread::sleep(Duration::from_micros(dice.roll() % 5000));
        }
        signal(victim, libc::SIGKILL);
        let left = watch::wait_until_gone(|| processes(fixture));
        assert!(left.is_empty(), "round {round}, killed {victim:?}: {left:?}");
        let output = running.finish();
        assert_ne!(output.ending, Ending::Exited(0), "round {round}, killed {victim:?}");
    }
    println!("{kinds:?}");
    assert!(kinds.len() >= 3, "only these were ever killed: {kinds:?}");
    assert_eq!(watch::mount_table(), mounts);
    assert_eq!(files(fixture), before);
    Outcome::Passed
}

fn t35_killed_frontends_take_their_sandbox_along(fixture: &Fixture) -> Outcome {
    sys::become_subreaper().expect("anybody may");
    let mut dice = Dice::new(0x5eed_0007);
    let window = start_time(fixture).max(10_000);
    for round in 0..100 / slowness() {
        // The caller of the frontend is killed; with this option everything below it goes.
        let script =
            "$STOCKADE exec --die-with-parent -- sh -c 'trap \"\" HUP TERM; sleep 30' & wait";
        let running = outer_shell(fixture, script).start();
        // Who has lost the parent before its own first instruction cannot know.
        let begun =
            || processes(fixture).iter().any(|seen| seen.name == "stockade-helper").then_some(());
        assert!(eventually(patience(), begun).is_some(), "round {round}: no helper");
        std::thread::sleep(Duration::from_micros(dice.roll() % window));
        running.process.signal(nix::sys::signal::Signal::SIGKILL);
        let left = watch::wait_until_gone(|| processes(fixture));
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
    Outcome::Passed
}
