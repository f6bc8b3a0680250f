// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which namespaces are made, and what an optional one becomes.

use std::fs;

use harness::raw::RawHelper;
use harness::report::Report;
use harness::spec::Spec;
use harness::{Case, Fixture, Mode, Outcome, case};
use stockade_protocol::Event;
use stockade_protocol::event::{Hint, Namespace};
use stockade_protocol::request::{Access, Demand, UserNamespace};
use stockade_protocol::text::Hostname;

pub(crate) const CASES: &[Case] = &[
    case!(each_namespace_can_be_shared_or_new).entries(&["T55"]),
    case!(the_inode_numbers_are_reported),
    case!(the_hostname_is_set_inside_only).entries(&["T55"]),
    case!(other_ids_can_be_had_where_they_are_harmless)
        .entries(&["T33"])
        .modes(&[Mode::Setuid, Mode::Unprivileged]),
    case!(t75_namespaces_count_against_the_callers_quota).modes(Mode::PRIVILEGED).as_root(),
    case!(the_limit_on_user_namespaces_holds)
        .entries(&["T57", "T75"])
        .modes(&[Mode::Setuid, Mode::Unprivileged]),
];

fn demand<'a>(spec: &'a mut Spec, kind: &str) -> &'a mut Demand {
    let namespaces = &mut spec.request.namespaces;
    match kind {
        "ipc" => &mut namespaces.ipc,
        "net" => &mut namespaces.net,
        "uts" => &mut namespaces.uts,
        "cgroup" => &mut namespaces.cgroup,
        other => panic!("{other}"),
    }
}

fn each_namespace_can_be_shared_or_new(fixture: &Fixture) -> Outcome {
    for kind in ["ipc", "net", "uts", "cgroup"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).expect("/proc is mounted");
        for (asked, shared) in
            [(Demand::Share, true), (Demand::Optional, false), (Demand::Required, false)]
        {
            let mut spec = Spec::tool(fixture, "probe");
            *demand(&mut spec, kind) = asked;
            let verdict = RawHelper::build(fixture, &spec);
            verdict.assert_exit(0);
            let inside = Report::of(&verdict.output).table("namespaces")[kind].clone();
            assert_eq!(inside == own.to_string_lossy(), shared, "{kind} {asked:?}");
        }
    }
    Outcome::Passed
}

fn the_inode_numbers_are_reported(fixture: &Fixture) -> Outcome {
    let verdict = RawHelper::build(fixture, &Spec::tool(fixture, "probe"));
    verdict.assert_exit(0);
    let inside = Report::of(&verdict.output).table("namespaces");
    let started = verdict.events.iter().find_map(|event| match event {
        Event::Started { namespaces, .. } => Some(namespaces),
        _ => None,
    });
    let namespaces = started.expect("a start");
    let mut names = Vec::new();
    for id in namespaces {
        let name = match id.kind {
            Namespace::Cgroup => "cgroup",
            Namespace::Ipc => "ipc",
            Namespace::Mount => "mnt",
            Namespace::Net => "net",
            Namespace::Pid => "pid",
            Namespace::User => "user",
            Namespace::Uts => "uts",
        };
        assert_eq!(inside[name], format!("{name}:[{}]", id.inode));
        names.push(name);
    }
    names.sort_unstable();
    let mut expected = vec!["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    if fixture.mode == Mode::Unprivileged {
        expected.insert(5, "user");
    }
    assert_eq!(names, expected);
    Outcome::Passed
}

fn the_hostname_is_set_inside_only(fixture: &Fixture) -> Outcome {
    let before = fs::read("/proc/sys/kernel/hostname").expect("/proc is mounted");
    let mut spec = Spec::shell("cat /proc/sys/kernel/hostname; cat /proc/sys/kernel/domainname");
    spec.request.namespaces.hostname = Some(Hostname::new("box-7").expect("a name"));
    let verdict = RawHelper::build(fixture, &spec);
    verdict.assert_exit(0);
    assert!(verdict.output.text().starts_with("box-7\n"), "{}", verdict.output.text());
    assert_eq!(fs::read("/proc/sys/kernel/hostname").expect("/proc is mounted"), before);
    Outcome::Passed
}

fn other_ids_can_be_had_where_they_are_harmless(fixture: &Fixture) -> Outcome {
    for (uid, gid) in [(0, 0), (1234, 4321)] {
        let shared = fixture.directory(&format!("shared-{uid}"));
        let mut spec = Spec::shell(
            "id -u; id -g; touch /d/made; stat -c %u:%g /d/made;
             grep ^CapEff /proc/self/status | grep -c 0000000000000000",
        );
        spec.bind(&shared, "/d", Access::ReadWrite);
        spec.request.namespaces.user = UserNamespace::Mapped { uid, gid };
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(0);
        let expected = format!("{uid}\n{gid}\n{uid}:{gid}\n1\n");
        assert_eq!(verdict.output.text(), expected, "{}", verdict.output.errors());
        // Outside, everything is the caller's as ever.
        let made = fs::metadata(shared.join("made")).expect("it was made");
        use std::os::unix::fs::MetadataExt;
        assert_eq!((made.uid(), made.gid()), (fixture.user.uid, fixture.user.gid));
    }
    Outcome::Passed
}

fn the_limit_on_user_namespaces_holds(fixture: &Fixture) -> Outcome {
    for asked in [true, false] {
        let mut spec = Spec::shell("unshare -U true 2>/dev/null && echo made; exit 0");
        spec.request.namespaces.user = UserNamespace::Mapped { uid: 0, gid: 0 };
        spec.request.namespaces.limit_user_namespaces = asked;
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(0);
        // Below a namespace of root's, everything would count against root's quotas.
        let none = asked || fixture.mode == Mode::Setuid;
        assert_eq!(verdict.output.text(), if none { "" } else { "made\n" });
    }
    Outcome::Passed
}

/// I17: with a quota of three a user gets three sandboxes, the fourth is refused by the name of the
/// limit, and root still gets its own.
fn t75_namespaces_count_against_the_callers_quota(fixture: &Fixture) -> Outcome {
    const QUOTA: &str = "/proc/sys/user/max_net_namespaces";
    let before = fs::read_to_string(QUOTA).expect("/proc is mounted");
    if let Err(error) = fs::write(QUOTA, "3") {
        return Outcome::Skipped(format!("{QUOTA}: {error}"));
    }
    let running: Vec<_> = (0..3)
        .map(|_| {
            let mut raw = RawHelper::start(harness::raw::helper(fixture));
            raw.send(&Spec::shell("sleep 100"));
            raw.started();
            raw
        })
        .collect();
    let fourth = RawHelper::build(fixture, &Spec::shell("exit 7"));
    let roots = std::process::Command::new("unshare").args(["--net", "true"]).status();
    fs::write(QUOTA, before.trim()).expect("root may");
    drop(running);
    assert_eq!(fourth.failure().map(|failure| failure.hint), Some(Hint::NamespaceLimit));
    assert!(roots.expect("it is in util-linux").success(), "root has lost its quota");
    RawHelper::build(fixture, &Spec::shell("exit 7")).assert_exit(7);
    Outcome::Passed
}
