// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes of other sandboxes, where a sandbox is made in namespaces that others live in already
//! (`--userns`, `--userns2`, `--pidns`): they see ours come and go.

use std::os::unix::fs::PermissionsExt as _;

use harness::frontend::outer_shell;
use harness::{Case, Fixture, Outcome, case};
use serde_json::Value;

pub(crate) const CASES: &[Case] = &[
    case!(t28_neighbours_that_stop_the_helper_gain_nothing).within(60),
    case!(t28_neighbours_with_capabilities_gain_nothing).within(60),
    case!(t28_neighbours_at_the_entrance_gain_nothing).within(60),
    case!(t28_neighbours_of_a_payload_that_waits_gain_nothing).within(60),
];

/// A user namespace and a pid namespace as fds 7 and 8, a user namespace below the first as fd 9, and the
/// attacker in a sandbox, as `attack` has it; it stops when fd 6 is closed.
const NEIGHBOUR: &str = r#"
    mkfifo ready stop
    unshare -Urpf --kill-child sh -c 'echo x >ready; exec sleep 50' & holder=$!
    read -r _ <ready
    exec 7<"/proc/$holder/ns/user" 8<"/proc/$holder/ns/pid_for_children"
    nsenter --user="/proc/$holder/ns/user" --preserve-credentials unshare -Ur sleep 50 & below=$!
    until [ "$(cat "/proc/$below/comm")" = sleep ]; do sleep 0.05; done
    exec 9<"/proc/$below/ns/user"
    near() { "$STOCKADE" bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib \
        --symlink usr/lib64 /lib64 --ro-bind "$TOOLS" /tools --userns 7 "$@"; }
    inside() { near --proc /proc --pidns 8 "$@"; }
    attack <stop >said & neighbour=$!
    exec 6>stop
    until grep -q ready said; do sleep 0.05; done
"#;

/// Stops everything that is the helper and looks at it.
const STEPPING: &str = "inside /tools/attacker --stepping";

/// What the attacker, started so, reports of these launches.
fn report(fixture: &Fixture, attack: &str, launches: &str) -> Value {
    let directory = fixture.home().join("neighbours");
    std::fs::remove_dir_all(&directory).ok();
    std::fs::create_dir(&directory).expect("a directory of the user's");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).expect("ours");
    let end = "exec 6>&-; wait $neighbour; kill -9 $holder $below; tail -n 1 said";
    let script = format!("attack() {{ {attack}; }}\n{NEIGHBOUR}{launches}\n{end}");
    let launch = outer_shell(fixture, &script);
    let attacker = fixture.program("attacker");
    let tools = attacker.parent().expect("it is in a directory");
    let output = launch.env("TOOLS", tools).directory(&directory).run();
    let said = serde_json::from_slice(&output.stdout);
    said.unwrap_or_else(|error| panic!("{error}: {}{}", output.text(), output.errors()))
}

fn t28_neighbours_that_stop_the_helper_gain_nothing(fixture: &Fixture) -> Outcome {
    let launches = "for _ in $(seq 20); do inside true; inside --unshare-pid true; done";
    nothing_gained(&report(fixture, STEPPING, launches), 10)
}

/// More than the helper needs, but not all: who has as much as a process may trace it. With many binds
/// it has longer to do before it hides.
fn t28_neighbours_with_capabilities_gain_nothing(fixture: &Fixture) -> Outcome {
    let attack = "inside --cap-add ALL --cap-drop CAP_SYS_PTRACE \
                  /tools/attacker --stepping --looking";
    let launches = "binds=$(printf -- '--ro-bind /usr/bin /b/%s ' $(seq 2000))
        for _ in $(seq 20); do inside $binds true; inside --unshare-pid true; done";
    nothing_gained(&report(fixture, attack, launches), 10)
}

/// What enters the namespaces has the root of the caller, also where it only tries something there. The
/// attacker owns the lower user namespace, and sees every process of the user.
fn t28_neighbours_at_the_entrance_gain_nothing(fixture: &Fixture) -> Outcome {
    let attack = "near --ro-bind /proc /proc /tools/attacker --stepping --looking";
    let launches = "for _ in $(seq 20); do
        near --userns2 9 true
        near --userns2 9 --assert-userns-disabled true
        inside --assert-userns-disabled true
    done 2>tried
    [ \"$(grep -c 'was not disabled' tried)\" = 40 ] || cat tried";
    nothing_gained(&report(fixture, attack, launches), 20)
}

/// With at least so many processes of the helper seen.
fn nothing_gained(report: &Value, least: u64) -> Outcome {
    assert_eq!(report["gains"], serde_json::json!({}), "{report}");
    let seen = report["helpers"].as_u64();
    assert!(seen.is_some_and(|seen| seen >= least), "it saw too little: {report}");
    Outcome::Passed
}

fn t28_neighbours_of_a_payload_that_waits_gain_nothing(fixture: &Fixture) -> Outcome {
    let launches = "mkfifo gate; (sleep 1; echo go >gate) & inside --block-fd 9 true 9<>gate";
    nothing_gained(&report(fixture, STEPPING, launches), 2)
}
