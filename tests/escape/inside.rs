// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hostile payload against init, the terminal, its caller's group, and the kernel.

use harness::frontend::{attempts, exec, intruder, outer_shell, probe, shell, tools};
use harness::launch::Launch;
use harness::pty::Terminal;
use harness::raw::RawHelper;
use harness::report::Report;
use harness::spec::Spec;
use harness::{Case, Fixture, Outcome, case, watch};
use serde_json::Value;

pub(crate) const CASES: &[Case] = &[
    case!(t21_the_root_is_the_end_of_every_way_up),
    case!(t26_inherited_capabilities_do_not_arrive).as_root(),
    case!(t34_init_is_closed_to_the_payload),
    case!(t34_init_is_no_stronger_than_the_payload),
    case!(t36_the_payload_cannot_forge_its_status),
    case!(t57_no_user_namespace_can_be_made),
    case!(t60_nothing_can_be_typed_for_the_user),
    case!(t65_signals_to_groups_stay_inside),
    case!(t45_nothing_written_inside_is_seen_in_the_system),
];

fn t21_the_root_is_the_end_of_every_way_up(fixture: &Fixture) -> Outcome {
    let inside = "stat -L -c %i / /.. /../.. /proc/self/root /proc/self/root/.. | sort -u | wc -l;
        cd /usr/share && stat -c %i ../../../../..; stat -c %i /; pwd -P";
    for directory in ["/", "/proc/self/fd", "/dev/shm", "/tmp"] {
        let output = exec(fixture).args(["--", "sh", "-c", inside]).directory(directory).run();
        output.assert_code(0);
        let text = output.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "1", "{directory}: {text}");
        assert_eq!(lines[1], lines[2], "{directory}: {text}");
        assert_eq!(lines[3], "/usr/share");
    }
    let outside = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata("/").expect("a root"));
    let output = shell(fixture, &[], "stat -c %i:%d /..");
    let device = std::os::unix::fs::MetadataExt::dev(&std::fs::metadata("/").expect("a root"));
    assert_ne!(output.text().trim(), format!("{outside}:{device}"));
    Outcome::Passed
}

fn t26_inherited_capabilities_do_not_arrive(fixture: &Fixture) -> Outcome {
    // As a container manager may leave them: inheritable and ambient.
    let launch = Launch::new("/usr/bin/setpriv")
        .arg(format!("--reuid={}", fixture.user.uid))
        .arg(format!("--regid={}", fixture.user.gid))
        .args(["--init-groups", "--inh-caps=+net_raw,+chown", "--ambient-caps=+net_raw,+chown"])
        .arg(&fixture.helper);
    let verdict = RawHelper::run(launch, &Spec::tool(fixture, "probe"));
    verdict.assert_exit(0);
    let report = Report::of(&verdict.output);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(report.mask(set), 0, "{set}");
    }
    let first = |field: &str| report.status(field).split_whitespace().next().map(str::to_owned);
    assert_eq!(first("Uid"), Some(fixture.user.uid.to_string()));
    Outcome::Passed
}

fn t34_init_is_closed_to_the_payload(fixture: &Fixture) -> Outcome {
    // Debugging is allowed here: it is not the filter that has to hold.
    let results = attempts(fixture, &["--allow=devel"], &["init"]);
    assert!(results.len() > 15, "{results:?}");
    for (attempt, result) in results {
        assert_ne!(result, "ok", "{attempt}");
    }
    let output = shell(fixture, &["--allow=devel"], "cat /proc/1/environ /proc/1/cmdline | wc -c");
    let count: u32 = output.text().trim().parse().expect("a number");
    assert!(count < 64, "init's memory shows {count} bytes of arguments and environment");
    Outcome::Passed
}

fn t34_init_is_no_stronger_than_the_payload(fixture: &Fixture) -> Outcome {
    let report = probe(fixture, &[]);
    let init = |field: &str| report.0["init"][field].as_str().unwrap_or("").to_owned();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(init(set), "0000000000000000", "{set}");
    }
    assert_eq!(init("NoNewPrivs"), "1");
    assert_eq!(report.status("Seccomp"), "2");
    for field in ["Seccomp", "Seccomp_filters"] {
        assert_eq!(init(field), report.status(field), "{field}");
    }
    assert_eq!(init("Uid"), report.status("Uid"));
    assert_eq!(init("Gid"), report.status("Gid"));
    Outcome::Passed
}

fn t36_the_payload_cannot_forge_its_status(fixture: &Fixture) -> Outcome {
    let Report(results) =
        Report::of(&intruder(fixture, &["--allow=devel"], &["descriptors"]).run());
    assert_eq!(results["own"], Value::Array(Vec::new()), "it has a descriptor that can be written");
    assert_eq!(results["foreign"], Value::Array(Vec::new()));
    let attack = fixture.program("intruder");
    let script = format!("{} descriptors >/dev/null; (exit 0) & exit 42", attack.display());
    shell(fixture, &[], &script).assert_code(42);
    shell(fixture, &[], "(sleep 0.01; exit 0) & kill -9 $$").assert_code(137);
    Outcome::Passed
}

fn t57_no_user_namespace_can_be_made(fixture: &Fixture) -> Outcome {
    for options in [&[][..], &["--allow=devel"], &["--share=network", "--share=ipc"]] {
        for (attempt, result) in attempts(fixture, options, &["namespaces"]) {
            assert_ne!(result, "ok", "{attempt} with {options:?}");
        }
    }
    Outcome::Passed
}

fn t60_nothing_can_be_typed_for_the_user(fixture: &Fixture) -> Outcome {
    for options in ["", "--allow=devel", "--new-session"] {
        let mut terminal = Terminal::open(fixture);
        let script = format!(
            "$STOCKADE exec $TOOLS {options} -- {} terminal; echo over; read line; echo got $line",
            fixture.program("intruder").display()
        );
        let launch = outer_shell(fixture, &script);
        let running = terminal.start(launch.env("TOOLS", tools(fixture).unwrap_or_default()));
        let said = terminal.expect("over");
        assert!(!said.contains("\"ok\""), "{said}");
        terminal.send("real\n");
        terminal.expect("got real");
        running.finish().assert_code(0);
    }
    Outcome::Passed
}

fn t65_signals_to_groups_stay_inside(fixture: &Fixture) -> Outcome {
    // The shell outside shares its group with the frontend, as in a script.
    for options in ["", "--new-session"] {
        let script = format!(
            "trap 'echo hit' TERM; $STOCKADE exec $TOOLS {options} -- {} signals; echo survived $?",
            fixture.program("intruder").display()
        );
        let launch = outer_shell(fixture, &script);
        let output = launch.env("TOOLS", tools(fixture).unwrap_or_default()).run();
        let text = output.text();
        assert!(text.ends_with("survived 0\n"), "{text}{}", output.errors());
        assert!(!text.contains("hit"), "{text}");
    }
    Outcome::Passed
}

fn t45_nothing_written_inside_is_seen_in_the_system(fixture: &Fixture) -> Outcome {
    let mark = watch::mark();
    let script = format!(
        "for d in / /usr /etc /opt /tmp /var /var/tmp /run /dev /dev/shm /home /sys /proc; do
        touch $d/{mark} 2>/dev/null; done; exit 0"
    );
    shell(fixture, &[], &script).assert_code(0);
    for directory in ["/", "/usr", "/etc", "/opt", "/tmp", "/var", "/var/tmp", "/run", "/dev/shm"] {
        let mark = std::path::Path::new(directory).join(&mark);
        assert!(!mark.exists(), "{}", mark.display());
    }
    Outcome::Passed
}
