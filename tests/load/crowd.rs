// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sandboxes of two users at once.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;

use harness::account::Account;
use harness::frontend::shell_launch;
use harness::process::Running;
use harness::{Case, Fixture, Outcome, case, watch};

use super::kernel_objects::Objects;

pub(crate) const CASES: &[Case] =
    &[case!(two_hundred_of_two_users_run_at_once).as_root().on_request().within(300)];

/// How many each of the two users starts.
const EACH: usize = 100;

/// Says in which namespace it runs and since when, then waits for the end of standard input.
const SCRIPT: &str =
    "echo $(readlink /proc/self/ns/pid) $(cut -d' ' -f1 /proc/uptime); read -r end || true";

fn two_hundred_of_two_users_run_at_once(fixture: &Fixture) -> Outcome {
    let other = fixture.other.as_ref().expect("root makes a second user");
    let before = Objects::count();
    let (wait, hold) = nix::unistd::pipe().expect("a pipe");
    let homes = [&fixture.user, other].map(|user| home(fixture, user));
    let [first, second] = thread::scope(|scope| {
        let users = [(&fixture.user, &homes[0]), (other, &homes[1])];
        users
            .map(|(user, home)| scope.spawn(|| start(fixture, user, home, &wait)))
            .map(|thread| thread.join().expect("all started"))
    });

    let mut namespaces: Vec<&str> =
        first.iter().chain(&second).map(|guest| guest.namespace.as_str()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    assert_eq!(namespaces.len(), 2 * EACH, "every sandbox has a namespace of its own");
    for user in [&fixture.user, other] {
        let processes = watch::processes_of(user.uid).len();
        assert!(processes >= 3 * EACH, "{processes} processes of {}", user.name);
    }
    // Neither user holds anything that the other waits for.
    let (mine, theirs) = (median(&first), median(&second));
    assert!(mine < theirs * 2.0 && theirs < mine * 2.0, "launches took {mine} s and {theirs} s");

    drop(hold);
    for guest in first.into_iter().chain(second) {
        guest.running.finish().assert_code(0);
    }
    if let Some(growth) = before.growth(2 * EACH as u64) {
        panic!("a crowd left something\n{growth}");
    }
    Outcome::Passed
}

/// A sandbox that runs.
struct Guest {
    running: Running,
    namespace: String,
    /// Seconds from its start to its first words.
    took: f64,
}

/// Starts the sandboxes of one user without waiting for any of them, then listens to each.
fn start(fixture: &Fixture, user: &Account, home: &Path, input: &OwnedFd) -> Vec<Guest> {
    let begun: Vec<(f64, Running)> = (0..EACH)
        .map(|_| {
            let launch = shell_launch(fixture, &[], SCRIPT).account(user).directory(home);
            let launch = launch.env("HOME", home).descriptor(0, harness::sys::duplicate(input));
            (uptime(), launch.start())
        })
        .collect();
    begun
        .into_iter()
        .map(|(start, mut running)| {
            let line = running.read_line();
            let (namespace, end) = line.trim().split_once(' ').expect("two words");
            let took = end.parse::<f64>().expect("seconds") - start;
            Guest { running, namespace: namespace.to_owned(), took }
        })
        .collect()
}

/// A home for a user.
fn home(fixture: &Fixture, user: &Account) -> PathBuf {
    let home = fixture.scratch.join(&user.name);
    fs::create_dir(&home).expect("a new directory");
    std::os::unix::fs::chown(&home, Some(user.uid), Some(user.gid)).expect("root may");
    home
}

/// Seconds since the machine started, to the hundredth.
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").expect("/proc is mounted");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("seconds")
}

/// Seconds that half of them took at most.
fn median(guests: &[Guest]) -> f64 {
    let mut times: Vec<f64> = guests.iter().map(|guest| guest.took).collect();
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
