// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes of other sandboxes, where a sandbox is made in namespaces that others live in already
//! (`--userns`, `--userns2`, `--pidns`): they see ours come and go.

use std::os::unix::fs::PermissionsExt as _;

use harness::frontend::outer_shell;
use harness::{Case, Fixture, Outcome, case};
use serde_json::Value;

pub(crate) const CASES: &[Case] = &[
    case!(t28_neighbours_that_stop_the_helper_gain_nothing).within(60),
    case!(t28_neighbours_of_a_payload_that_waits_gain_nothing).within(60),
];

/// A user namespace and a pid namespace as fds 7 and 8, and the attacker in a sandbox in them; it stops
/// when fd 6 is closed.
const NEIGHBOUR: &str = r#"
    mkfifo ready stop
    unshare -Urpf --kill-child sh -c 'echo x >ready; exec sleep 50' & holder=$!
    read -r _ <ready
    exec 7<"/proc/$holder/ns/user" 8<"/proc/$holder/ns/pid_for_children"
    inside() { "$STOCKADE" bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib \
        --symlink usr/lib64 /lib64 --proc /proc --ro-bind "$TOOLS" /tools --userns 7 --pidns 8 "$@"; }
    inside /tools/attacker --stepping <stop >said & neighbour=$!
    exec 6>stop
    until grep -q ready said; do sleep 0.05; done
"#;

/// What the attacker reports of these launches.
fn report(fixture: &Fixture, launches: &str) -> Value {
    let directory = fixture.home().join("neighbours");
    std::fs::remove_dir_all(&directory).ok();
    std::fs::create_dir(&directory).expect("a directory of the user's");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).expect("ours");
    let end = "exec 6>&-; wait $neighbour; kill -9 $holder; tail -n 1 said";
    let launch = outer_shell(fixture, &format!("{NEIGHBOUR}{launches}\n{end}"));
    let attacker = fixture.program("attacker");
    let tools = attacker.parent().expect("it is in a directory");
    let output = launch.env("TOOLS", tools).directory(&directory).run();
    let said = serde_json::from_slice(&output.stdout);
    said.unwrap_or_else(|error| panic!("{error}: {}{}", output.text(), output.errors()))
}

fn t28_neighbours_that_stop_the_helper_gain_nothing(fixture: &Fixture) -> Outcome {
    let launches = "for _ in $(seq 20); do inside true; inside --unshare-pid true; done";
    let report = report(fixture, launches);
    assert_eq!(report["gains"], serde_json::json!({}), "{report}");
    assert!(
        report["helpers"].as_u64().is_some_and(|seen| seen >= 10),
        "it saw too little: {report}"
    );
    Outcome::Passed
}

fn t28_neighbours_of_a_payload_that_waits_gain_nothing(fixture: &Fixture) -> Outcome {
    let launches = "mkfifo gate; (sleep 1; echo go >gate) & inside --block-fd 9 true 9<>gate";
    let report = report(fixture, launches);
    assert_eq!(report["gains"], serde_json::json!({}), "{report}");
    assert!(
        report["helpers"].as_u64().is_some_and(|seen| seen >= 2),
        "it saw too little: {report}"
    );
    Outcome::Passed
}
