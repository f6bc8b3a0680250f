// SPDX-License-Identifier: MIT OR Apache-2.0
//! A caller who is root: served as by bubblewrap, which is no boundary (design section 5).

use harness::frontend::stockade;
use harness::launch::Launch;
use harness::raw::{self, RawHelper};
use harness::report::Report;
use harness::spec::Spec;
use harness::{Case, Fixture, Mode, Outcome, case};
use stockade_protocol::check::Rule;
use stockade_protocol::request::UserNamespace;
use stockade_protocol::{Event, Refusal};

pub(crate) const CASES: &[Case] = &[
    case!(root_is_announced_as_root).as_root(),
    case!(root_runs_commands_without_capabilities_unless_asked).entries(&["T13"]).as_root(),
    case!(root_may_keep_capabilities).as_root(),
    case!(root_may_have_other_ids).as_root(),
    case!(root_without_rights_of_its_own_is_lent_none)
        .entries(&["T13", "T25"])
        .as_root()
        .modes(&[Mode::FileCaps]),
    case!(two_users_do_not_meet).entries(&["T14"]).as_root().modes(Mode::PRIVILEGED),
];

fn as_root(fixture: &Fixture, spec: &Spec) -> raw::Verdict {
    RawHelper::run(Launch::new(&fixture.helper), spec)
}

fn root_is_announced_as_root(fixture: &Fixture) -> Outcome {
    let verdict = as_root(fixture, &Spec::shell("exit 7"));
    verdict.assert_exit(7);
    let ready = Event::Ready { mode: stockade_protocol::event::Mode::Root };
    assert!(verdict.events.contains(&ready), "{verdict:?}");
    Outcome::Passed
}

fn root_runs_commands_without_capabilities_unless_asked(fixture: &Fixture) -> Outcome {
    let verdict = as_root(fixture, &Spec::tool(fixture, "probe"));
    verdict.assert_exit(0);
    let report = Report::of(&verdict.output);
    assert!(report.status("Uid").starts_with("0\t0\t"));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(report.mask(set), 0, "{set}");
    }
    for mount in report.mounts() {
        assert!(mount.has("nosuid"), "{mount:?}");
    }

    let home = fixture.directory("root-home");
    let launch = stockade(fixture).without_env("HOME").env("HOME", &home).as_runner();
    let output = launch.args(["exec", "--", "sh", "-c", "id -u; exit 7"]).run();
    output.assert_code(7);
    assert_eq!(output.text(), "0\n");
    Outcome::Passed
}

fn root_may_keep_capabilities(fixture: &Fixture) -> Outcome {
    const CHOWN: u64 = 1;
    let mut spec = Spec::tool(fixture, "probe");
    spec.request.payload.capabilities = CHOWN;
    let verdict = as_root(fixture, &spec);
    verdict.assert_exit(0);
    let report = Report::of(&verdict.output);
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(report.mask(set), CHOWN, "{set}");
    }
    Outcome::Passed
}

fn root_may_have_other_ids(fixture: &Fixture) -> Outcome {
    let mut spec = Spec::shell("id -u; id -g; exit 7");
    spec.request.namespaces.user = UserNamespace::Mapped { uid: 1234, gid: 4321 };
    let verdict = as_root(fixture, &spec);
    verdict.assert_exit(7);
    assert_eq!(verdict.output.text(), "1234\n4321\n");
    Outcome::Passed
}

fn root_without_rights_of_its_own_is_lent_none(fixture: &Fixture) -> Outcome {
    // Under SECBIT_NOROOT user id 0 means nothing: what the helper has, its file lends it.
    let launch = |fixture: &Fixture| {
        let powerless = ["setpriv", "--securebits=+noroot,+noroot_locked", "--inh-caps=-all", "--"];
        Launch::new("/usr/bin/setpriv").argv(powerless).arg(&fixture.helper)
    };
    let verdict = RawHelper::run(launch(fixture), &Spec::shell("id -u; exit 7"));
    verdict.assert_exit(7);
    let ready = Event::Ready { mode: stockade_protocol::event::Mode::FileCapabilities };
    assert!(verdict.events.contains(&ready), "{verdict:?}");
    let mut spec = Spec::shell("exit 7");
    spec.request.payload.capabilities = 1 << 21;
    let verdict = RawHelper::run(launch(fixture), &spec);
    assert_eq!(verdict.refusal(), Some(Refusal::Rule(Rule::Capabilities, 0)), "{verdict:?}");
    Outcome::Passed
}

fn two_users_do_not_meet(fixture: &Fixture) -> Outcome {
    // T14: who the payload runs as is who started the helper, whoever holds the other end.
    let Some(other) = &fixture.other else {
        return Outcome::Skipped("there is no second account".to_owned());
    };
    let spec = Spec::shell("id -u; id -g; id -G");
    for account in [&fixture.user, other] {
        let verdict = RawHelper::run(Launch::new(&fixture.helper).account(account), &spec);
        verdict.assert_exit(0);
        let text = verdict.output.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], account.uid.to_string());
        assert_eq!(lines[1], account.gid.to_string());
        let mut groups: Vec<u32> = lines[2].split_whitespace().flat_map(str::parse).collect();
        groups.sort_unstable();
        assert_eq!(groups, account.groups);
    }
    Outcome::Passed
}
