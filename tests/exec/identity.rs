// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who the payload is, and what it may do.

use harness::frontend::{probe, probe_launch, shell};
use harness::report::Report;
use harness::{Case, Fixture, Mode, Outcome, case};

pub(crate) const CASES: &[Case] = &[
    case!(ids_and_groups_are_the_callers).entries(&["T26"]),
    case!(every_capability_set_is_empty).entries(&["T26"]),
    case!(no_new_privs_and_seccomp_are_on),
    case!(privilege_makes_no_user_namespace).modes(Mode::PRIVILEGED),
    case!(without_privilege_the_ids_map_to_themselves).modes(Mode::UNPRIVILEGED),
    case!(set_id_programs_gain_nothing),
];

fn ids_and_groups_are_the_callers(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    let four =
        |id: u32| [id.to_string(), id.to_string(), id.to_string(), id.to_string()].join("\t");
    assert_eq!(report.status("Uid"), four(fixture.user.uid));
    assert_eq!(report.status("Gid"), four(fixture.user.gid));
    let mut groups: Vec<u32> =
        report.status("Groups").split_whitespace().filter_map(|id| id.parse().ok()).collect();
    groups.sort_unstable();
    if fixture.mode.is_privileged() {
        assert_eq!(groups, fixture.user.groups);
    } else {
        // Groups without a mapping appear as the overflow id, 65534, and still count outside.
        let known = |group: &u32| *group == 65_534 || fixture.user.groups.contains(group);
        assert_eq!(groups.len(), fixture.user.groups.len());
        assert!(groups.iter().all(known), "{groups:?}");
    }
    Outcome::Passed
}

fn every_capability_set_is_empty(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(report.mask(set), 0, "{set}");
    }
    // I3: emptied where CAP_SETPCAP was there to do it, which file capabilities leave out.
    if fixture.mode != Mode::FileCaps {
        assert_eq!(report.mask("CapBnd"), 0);
    }
    Outcome::Passed
}

fn no_new_privs_and_seccomp_are_on(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    assert_eq!(report.status("NoNewPrivs"), "1");
    assert_eq!(report.status("Seccomp"), "2");
    Outcome::Passed
}

fn privilege_makes_no_user_namespace(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    let own = std::fs::read_link("/proc/self/ns/user").expect("/proc is mounted");
    assert_eq!(report.table("namespaces")["user"], own.to_string_lossy());
    Outcome::Passed
}

fn without_privilege_the_ids_map_to_themselves(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    // Inside, outside, count. What the middle one means depends on the namespace above.
    let map = |text: &str| -> Vec<u32> { text.split_whitespace().flat_map(str::parse).collect() };
    let (uids, gids) = (map(report.text("uid_map")), map(report.text("gid_map")));
    assert_eq!((uids.len(), uids[0], uids[2]), (3, fixture.user.uid, 1));
    assert_eq!((gids.len(), gids[0], gids[2]), (3, fixture.user.gid, 1));
    Outcome::Passed
}

fn set_id_programs_gain_nothing(fixture: &Fixture) -> Outcome {
    // Every mount is nosuid and no_new_privs is on: su's setuid bit means nothing.
    let script = "ls -l /usr/bin/su | cut -c1-4; cp /usr/bin/su /tmp/su 2>/dev/null; su -c id root";
    let output = shell(fixture, &[], script);
    assert!(!output.text().contains("uid=0"), "{}", output.text());
    let report = Report::of(&probe_launch(fixture, &[]).run());
    assert_eq!(
        report.status("Uid").split_whitespace().next(),
        Some(&*fixture.user.uid.to_string())
    );
    Outcome::Passed
}
