// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bad input: a clear error each time, nothing run, nothing lost.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use harness::frontend::{STOCKADE_FAILED, exec, shell_launch};
use harness::launch::Launch;
use harness::process::Output;
use harness::{Case, Fixture, Outcome, case, watch};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

pub(crate) const CASES: &[Case] = &[
    case!(unknown_options_are_named),
    case!(a_missing_command_is_an_error),
    case!(missing_sources_are_named),
    case!(relative_and_dotted_places_are_refused).entries(&["T69", "T83"]),
    case!(symlink_loops_are_refused),
    case!(namespace_files_are_refused).entries(&["T39"]),
    case!(reserved_places_are_refused),
    case!(too_many_sources_are_an_error).entries(&["T78"]).within(120),
    case!(an_unreadable_proc_is_an_error).as_root(),
    case!(a_full_disk_is_an_error_and_loses_nothing).as_root(),
    case!(messages_are_escaped).entries(&["T70"]),
    case!(bad_environment_entries_are_refused).entries(&["T83"]),
];

/// Asserts that nothing was run and the error is one for people: the program's name first, no
/// panic.
#[track_caller]
fn assert_mistake(output: &Output, mentioned: &str) {
    output.assert_code(STOCKADE_FAILED);
    let errors = output.errors();
    assert!(errors.starts_with("stockade: "), "{errors}");
    assert!(errors.contains(mentioned), "{mentioned} is not mentioned: {errors}");
    for word in ["panicked", "RUST_BACKTRACE", "unwrap", "Os {", "Err("] {
        assert!(!errors.contains(word), "{errors}");
    }
    assert_eq!(output.text(), "", "something ran");
}

fn run(fixture: &Fixture, options: &[&str]) -> Launch {
    shell_launch(fixture, options, "echo ran")
}

fn unknown_options_are_named(fixture: &Fixture) -> Outcome {
    for option in ["--no-such-option", "--filesytem=/tmp", "-x", "--share"] {
        let output = exec(fixture).arg(option).run();
        assert_mistake(&output, option.split('=').next().unwrap_or(option));
    }
    Outcome::Passed
}

fn a_missing_command_is_an_error(fixture: &Fixture) -> Outcome {
    assert_mistake(&exec(fixture).run(), "--help");
    assert_mistake(&exec(fixture).arg("--").run(), "--help");
    let output = exec(fixture).args(["--", ""]).run();
    assert_ne!(output.errors(), "");
    assert_eq!(output.text(), "");
    Outcome::Passed
}

fn missing_sources_are_named(fixture: &Fixture) -> Outcome {
    let missing = fixture.scratch.join("no-such-directory");
    for suffix in ["", ":ro", ":rw"] {
        let option = format!("--filesystem={}{suffix}", missing.display());
        assert_mistake(&run(fixture, &[&option]).run(), "no-such-directory");
    }
    let option = format!("--project={}", missing.display());
    assert_mistake(&run(fixture, &[&option]).run(), "no-such-directory");
    assert!(!missing.exists());
    Outcome::Passed
}

fn relative_and_dotted_places_are_refused(fixture: &Fixture) -> Outcome {
    for place in [
        "relative",
        "relative/path",
        "../up",
        "/usr/../etc",
        "~/../x",
        "home/..",
        "/",
        "",
        "xdg-run",
    ] {
        let option = format!("--filesystem={place}");
        assert_mistake(&run(fixture, &[&option]).run(), place);
    }
    for option in ["--filesystem=/srv:moon", "--filesystem=/srv:reset"] {
        let output = run(fixture, &[option]).run();
        assert_ne!(output.errors(), "", "{option}: nothing is said");
    }
    Outcome::Passed
}

fn symlink_loops_are_refused(fixture: &Fixture) -> Outcome {
    symlink("two", fixture.scratch.join("one")).expect("own directory");
    symlink("one", fixture.scratch.join("two")).expect("own directory");
    symlink(".", fixture.scratch.join("dot")).expect("own directory");
    let option = format!("--filesystem={}/one", fixture.scratch.display());
    assert_mistake(&run(fixture, &[&option]).run(), "one");
    // Not a loop, only a long way round.
    let long = format!("--filesystem={}{}", fixture.scratch.display(), "/dot".repeat(50));
    let output = run(fixture, &[&long]).run();
    assert!(output.errors().is_empty() || output.errors().starts_with("stockade: "));
    Outcome::Passed
}

fn namespace_files_are_refused(fixture: &Fixture) -> Outcome {
    assert_mistake(&run(fixture, &["--filesystem=/proc/self/ns/net"]).run(), "/proc");
    // Reached through a link, which hides that it is below /proc.
    let link = fixture.scratch.join("namespace");
    symlink("/proc/self/ns/net", &link).expect("own directory");
    let option = format!("--filesystem={}", link.display());
    assert_mistake(&run(fixture, &[&option]).run(), "/proc");
    Outcome::Passed
}

fn reserved_places_are_refused(fixture: &Fixture) -> Outcome {
    // R66.
    for place in ["/usr", "/usr/share", "/etc", "/dev", "/proc", "/run", "/bin", "/lib"] {
        let option = format!("--filesystem={place}");
        assert_mistake(&run(fixture, &[&option]).run(), place);
    }
    Outcome::Passed
}

fn too_many_sources_are_an_error(fixture: &Fixture) -> Outcome {
    // More than the 16,384 operations of the protocol.
    const MANY: u32 = 16_500;
    let many = fixture.directory("many");
    for number in 0..MANY {
        fs::write(many.join(number.to_string()), "").expect("own directory");
    }
    let options = (0..MANY).map(|number| format!("--filesystem={}/{number}:ro", many.display()));
    let launch = exec(fixture).args(options.collect::<Vec<_>>());
    let output = launch.args(["--", "echo", "ran"]).start();
    let output = output.finish_within(std::time::Duration::from_secs(60));
    assert_mistake(&output, "16384");
    Outcome::Passed
}

/// Gives this process a mount table of its own.
fn private_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).expect("root may");
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).expect("root may");
}

fn tmpfs(path: &Path, options: &str) {
    let flags = MsFlags::MS_NOSUID;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options)).expect("root may");
}

fn an_unreadable_proc_is_an_error(fixture: &Fixture) -> Outcome {
    let ready = run(fixture, &[]);
    private_mounts();
    tmpfs(Path::new("/proc"), "mode=755");
    let output = ready.run();
    assert_mistake(&output, "/proc");
    Outcome::Passed
}

fn a_full_disk_is_an_error_and_loses_nothing(fixture: &Fixture) -> Outcome {
    let home = fixture.home();
    private_mounts();
    tmpfs(&home, "size=64k,mode=700");
    fixture.give(&home);
    fs::write(home.join("letter"), "dear\n").expect("there is room yet");
    let filler = home.join("filler");
    let mut size = 0_usize;
    while fs::write(home.join(format!("filler-{size}")), vec![0; 4096]).is_ok() {
        size += 1;
    }
    drop(fs::write(filler, [0; 1]));
    let inodes = || watch::tree(&home);
    let before = inodes();

    // Directories of a tmpfs cost no space; what is full is what is written into.
    let output = shell_launch(fixture, &["--name=box"], "echo text >~/note && cat ~/note").run();
    assert_ne!(output.errors(), "", "{output:?}");
    let option = format!("--filesystem={}/made:create", home.display());
    let output = shell_launch(fixture, &[&option], "echo text >~/made/note").run();
    assert_ne!(output.ending, harness::process::Ending::Exited(0), "{output:?}");
    assert_eq!(fs::read_to_string(home.join("letter")).expect("own file"), "dear\n");
    assert!(before.is_subset(&inodes()), "something was lost");

    // And a disk without a single inode left: the home that is to be kept cannot be made.
    let fresh = fixture.directory("no-inodes");
    tmpfs(&fresh, "size=64k,nr_inodes=2,mode=700");
    fixture.give(&fresh);
    fs::write(fresh.join("last"), "").expect("one inode is left");
    let output = run(fixture, &["--name=box"]).without_env("HOME").env("HOME", &fresh).run();
    assert_mistake(&output, "No space left");
    Outcome::Passed
}

fn messages_are_escaped(fixture: &Fixture) -> Outcome {
    // T70: what is printed cannot steer the terminal.
    let evil = "/no/such/\x1b[2J\x07\u{202e}place";
    for arguments in [vec![format!("--filesystem={evil}")], vec!["--".into(), evil.into()]] {
        let output = exec(fixture).args(&arguments).arg("true").run();
        assert_ne!(output.errors(), "");
        assert!(
            !output.stderr.contains(&0x1b) && !output.stderr.contains(&7),
            "{}",
            output.errors()
        );
    }
    Outcome::Passed
}

fn bad_environment_entries_are_refused(fixture: &Fixture) -> Outcome {
    for option in ["--env=NOVALUE", "--env==x", "--unset-env=", "--unset-env=A=B"] {
        assert_mistake(&run(fixture, &[option]).run(), "VARIABLE");
    }
    // Of the caller's own, those that are no variables are left out rather than fatal.
    let output = run(fixture, &[]).raw_env("nonsense").raw_env("=x").run();
    output.assert_code(0);
    Outcome::Passed
}
