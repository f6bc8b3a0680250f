// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kept home, in which the app has put links where directories were.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use harness::frontend::{STOCKADE_FAILED, shell};
use harness::process::{Process, slowness};
use harness::{Case, Fixture, Outcome, case, sys, watch};

pub(crate) const CASES: &[Case] = &[
    case!(t68_links_left_by_the_app_lead_nowhere),
    case!(t68_links_left_where_something_is_shared_lead_nowhere),
    case!(t68_nor_when_they_change_all_the_time).within(120),
];

/// A sandbox that keeps `.a/b`, and where that lies outside.
fn kept(fixture: &Fixture) -> ([&'static str; 2], PathBuf) {
    let options = ["--name=box", "--persist=.a/b"];
    shell(fixture, &options, "echo kept >~/.a/b/note").assert_code(0);
    let data = fixture.home().join(".local/share");
    let tree = watch::tree(&data);
    let line = tree.iter().find(|line| line.contains("/b/note ")).expect("the kept note");
    let note = PathBuf::from(line.split(' ').next().expect("its path"));
    (options, note.parent().expect("b").to_owned())
}

fn t68_links_left_by_the_app_lead_nowhere(fixture: &Fixture) -> Outcome {
    // CVE-2024-42472: each component that the app could write is a link by the next start.
    let outside = fixture.directory("outside");
    fixture.directory("outside/b");
    for name in ["outside/secret", "outside/b/secret"] {
        fixture.file(name, "sesame\n");
    }
    let (options, kept) = kept(fixture);
    let parent = kept.parent().expect("a").to_owned();
    let before = watch::tree(&outside);
    for place in [&kept, &parent] {
        for target in
            [outside.clone(), PathBuf::from("/"), PathBuf::from("../../../../../../../..")]
        {
            let aside = place.with_extension("aside");
            fs::rename(place, &aside).expect("own directory");
            symlink(&target, place).expect("own directory");
            let script =
                "cat ~/.a/b/secret ~/.a/secret 2>/dev/null; ls ~/.a/b/etc ~/.a/etc 2>/dev/null;
                touch ~/.a/b/made ~/.a/made 2>/dev/null; exit 7";
            let output = shell(fixture, &options, script);
            assert_eq!(output.text(), "", "{} -> {}", place.display(), target.display());
            fs::remove_file(place).expect("the link is still there");
            fs::rename(&aside, place).expect("own directory");
        }
    }
    assert_eq!(watch::tree(&outside), before);
    let output = shell(fixture, &options, "cat ~/.a/b/note");
    assert_eq!(output.text(), "kept\n", "{}", output.errors());
    Outcome::Passed
}

fn t68_links_left_where_something_is_shared_lead_nowhere(fixture: &Fixture) -> Outcome {
    // The app leaves a link in its kept home where a directory of the user is shared at the next start.
    let home = fixture.home();
    let home = home.file_name().and_then(|name| name.to_str()).expect("it has a name");
    fixture.directory(&format!("{home}/shared"));
    fixture.file(&format!("{home}/shared/note"), "of the user\n");
    let share = ["--name=links", "--filesystem=~/shared"];
    shell(fixture, &share, "cat ~/shared/note").assert_code(0);
    for target in ["/run", "/", "/etc", "/nowhere"] {
        let script = format!("rmdir ~/shared; ln -s {target} ~/shared && test -L ~/shared");
        shell(fixture, &["--name=links"], &script).assert_code(0);
        let seen = shell(fixture, &share, "cat /run/note /note /etc/note; ls /nowhere; exit 7");
        assert_eq!(seen.text(), "", "{target}: {}", seen.errors());
        seen.assert_code(STOCKADE_FAILED);
        assert!(seen.errors().contains("symlink in the sandbox"), "{}", seen.errors());
        shell(fixture, &["--name=links"], "rm ~/shared && mkdir ~/shared").assert_code(0);
    }
    shell(fixture, &share, "cat ~/shared/note").assert_code(0);
    Outcome::Passed
}

fn t68_nor_when_they_change_all_the_time(fixture: &Fixture) -> Outcome {
    let outside = fixture.directory("outside");
    fixture.directory("outside/b");
    for name in ["outside/secret", "outside/b/secret"] {
        fixture.file(name, "sesame\n");
    }
    let (options, kept) = kept(fixture);
    let before = watch::tree(&outside);
    let victims = [kept.clone(), kept.parent().expect("a").to_owned()];
    let Some(child) = sys::fork().expect("a child") else {
        for victim in victims.iter().cycle() {
            let aside = victim.with_extension("aside");
            drop(fs::rename(victim, &aside));
            drop(symlink(&outside, victim));
            drop(fs::remove_file(victim));
            drop(fs::rename(&aside, victim));
        }
        sys::exit(0);
    };
    let renamer = Process::adopt(child).expect("a child");
    let mut started = 0;
    for round in 0..120 / slowness() {
        let script =
            "cat ~/.a/b/secret ~/.a/secret 2>/dev/null; touch ~/.a/b/made 2>/dev/null; exit 7";
        let output = shell(fixture, &options, script);
        assert_eq!(output.text(), "", "round {round}");
        match output.ending {
            harness::process::Ending::Exited(7) => started += 1,
            harness::process::Ending::Exited(STOCKADE_FAILED) => {}
            other => panic!("round {round}: {other:?} {}", output.errors()),
        }
    }
    drop(renamer);
    assert!(started > 0, "no sandbox ever started");
    assert_eq!(watch::tree(&outside), before);
    Outcome::Passed
}
