// SPDX-License-Identifier: MIT OR Apache-2.0
//! Message buses: the names that were granted, through a proxy that is no more than it has to be.

use std::path::Path;

use harness::frontend::{STOCKADE_FAILED, outer_shell};
use harness::process::Output;
use harness::{Case, Fixture, Outcome, case, skips};

pub(crate) const CASES: &[Case] = &[
    case!(t73_no_bus_is_shared_unasked),
    case!(t74_only_names_that_were_granted_are_there),
    case!(t74_services_see_an_application_without_permissions).entries(&["T38"]),
    case!(t72_the_proxy_has_an_environment_of_its_own),
    case!(the_proxy_ends_with_the_frontend).entries(&["T79"]),
    case!(a_command_outlives_its_proxy),
    case!(without_a_proxy_nothing_is_run),
];

/// What a call of a method of the bus is for people.
const CALL: &str = "gdbus call --session --dest org.freedesktop.DBus --object-path / \
                    --method org.freedesktop.DBus";

/// Waits for the proxy of the one sandbox that this user has, and says its number.
const PROXY: &str = "n=0; until p=$(pgrep -u $(id -u) -nx xdg-dbus-proxy) && [ -e ready ]; do \
                     n=$((n + 1)); [ $n -lt 600 ] || exit 99; sleep 0.1; done";

/// Runs a script of a shell outside in a session with a bus, in which `$S` stands for `stockade exec`. None
/// if there is nothing that makes such a session.
fn session(fixture: &Fixture, script: &str) -> Option<Output> {
    if skips::no_buses() {
        return None;
    }
    let runtime = fixture.directory("runtime");
    let script = format!("S=\"$STOCKADE exec\"; cd {}; {script}", fixture.home().display());
    let launch = outer_shell(fixture, "exec dbus-run-session -- sh -c \"$SCRIPT\"");
    Some(launch.env("SCRIPT", script).env("XDG_RUNTIME_DIR", runtime).run())
}

fn skipped() -> Outcome {
    Outcome::Skipped("dbus-run-session, gdbus or xdg-dbus-proxy is not installed".to_owned())
}

fn t73_no_bus_is_shared_unasked(fixture: &Fixture) -> Outcome {
    let script = format!("{CALL}.GetId && $S --share=network -- {CALL}.GetId");
    let Some(output) = session(fixture, &script) else { return skipped() };
    // Outside it is there.
    assert_eq!(output.text().lines().count(), 1, "{output:?}");
    output.assert_code(1);
    Outcome::Passed
}

fn t74_only_names_that_were_granted_are_there(fixture: &Fixture) -> Outcome {
    // Somebody else is there to be seen: the sandbox beside it, whose name both may have.
    let beside = format!(
        "$S --own-name=org.stockade.Beside -- sh -c \"{CALL}.RequestName org.stockade.Beside 0; \
         {CALL}.ListNames\""
    );
    let script = format!(
        "{beside}; $S --talk-name=org.stockade.Beside -- sh -c \"{CALL}.ListNames; \
         {CALL}.RequestName org.stockade.Beside 0; {CALL}.RequestName org.stockade.Other 0; \
         {CALL}.ListActivatableNames\"; {CALL}.ListActivatableNames"
    );
    let Some(output) = session(fixture, &script) else { return skipped() };
    let (text, errors) = (output.text(), output.errors());
    let lines: Vec<&str> = text.lines().collect();
    let [requested, owner, listed, activatable, outside] = lines.as_slice() else {
        panic!("{output:?}");
    };
    assert_eq!(*requested, "(uint32 1,)");
    for list in [owner, listed] {
        assert!(list.starts_with("(['org.freedesktop.DBus', ':1."), "{list}");
        assert_eq!(list.matches(", '").count(), 1, "{list}");
    }
    assert_eq!(*activatable, "(['org.freedesktop.DBus'],)");
    assert_ne!(outside, activatable);
    assert!(errors.contains("AccessDenied") && errors.contains("ServiceUnknown"), "{errors}");
    Outcome::Passed
}

fn t74_services_see_an_application_without_permissions(fixture: &Fixture) -> Outcome {
    let script = format!(
        "$S --talk-name=a.b --filesystem=$PWD -- sh -c \"echo >ready; sleep 1000\" & \
         {PROXY}; cat /proc/$p/root/.flatpak-info; ls /proc/$p/root/; kill $!; wait"
    );
    let Some(output) = session(fixture, &script) else { return skipped() };
    let text = output.text();
    assert!(text.starts_with("[Application]\nname=org.stockade.Exec\n"), "{output:?}");
    for hidden in ["\nhome\n", "\nproc\n", "\nroot\n", "\nvar\n", "\ntmp\n"] {
        assert!(!text.contains(hidden), "{text}");
    }
    Outcome::Passed
}

fn t72_the_proxy_has_an_environment_of_its_own(fixture: &Fixture) -> Outcome {
    let script = format!(
        "LD_LIBRARY_PATH=/x GIO_MODULE_DIR=/x $S --talk-name=a.b --filesystem=$PWD \
         --env=LD_PRELOAD=/x --env=G_DEBUG=all -- sh -c \"echo >ready; sleep 1000\" & \
         {PROXY}; tr \"\\\\0\" \"\\\\n\" </proc/$p/environ; kill $!; wait"
    );
    let Some(output) = session(fixture, &script) else { return skipped() };
    let text = output.text();
    let names: Vec<_> = text.lines().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(names, ["PATH", "LC_ALL", "PWD"], "{output:?}");
    Outcome::Passed
}

fn the_proxy_ends_with_the_frontend(fixture: &Fixture) -> Outcome {
    for signal in ["KILL", "TERM"] {
        let script = format!(
            "rm -f ready; $S --talk-name=a.b --filesystem=$PWD -- sh -c \"echo >ready; exec sleep 1000\" & \
             {PROXY}; ls -A $XDG_RUNTIME_DIR/.dbus-proxy; kill -{signal} $!; wait; n=0; \
             while kill -0 $p; do n=$((n + 1)); [ $n -lt 100 ] || exit 98; sleep 0.1; done; echo gone"
        );
        let Some(output) = session(fixture, &script) else { return skipped() };
        // Its socket had no name any more, either.
        assert_eq!(output.text(), "gone\n", "{output:?}");
    }
    Outcome::Passed
}

fn a_command_outlives_its_proxy(fixture: &Fixture) -> Outcome {
    let script = format!(
        "$S --talk-name=a.b --filesystem=$PWD -- sh -c \"echo >ready; \
         while [ -e ready ]; do sleep 0.1; done; echo alive; exit 7\" & \
         {PROXY}; kill -KILL $p; while kill -0 $p; do sleep 0.1; done; sleep 0.3; rm ready; wait $!"
    );
    let Some(output) = session(fixture, &script) else { return skipped() };
    output.assert_code(7);
    assert_eq!(output.text(), "alive\n");
    let errors = output.errors();
    assert!(errors.contains("stockade: the D-Bus proxy was killed by signal 9"), "{errors}");
    Outcome::Passed
}

fn without_a_proxy_nothing_is_run(fixture: &Fixture) -> Outcome {
    let script = "FLATPAK_DBUSPROXY=/nonexistent $S --talk-name=a.b -- echo run";
    let Some(output) = session(fixture, script) else { return skipped() };
    output.assert_code(STOCKADE_FAILED);
    assert_eq!(output.text(), "");
    assert!(output.errors().contains("install the package xdg-dbus-proxy"), "{output:?}");
    assert!(!Path::new("/nonexistent").exists());
    Outcome::Passed
}
