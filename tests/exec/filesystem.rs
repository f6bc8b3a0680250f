// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--filesystem`, `--nofilesystem` and `--project`.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use harness::frontend::{exec, shell, shell_launch};
use harness::{Case, Fixture, Outcome, case};

pub(crate) const CASES: &[Case] = &[
    case!(a_shared_directory_can_be_read_and_written),
    case!(ro_is_read_only),
    case!(create_makes_the_directory),
    case!(a_single_file_can_be_shared),
    case!(the_home_can_be_shared),
    case!(the_later_word_counts).entries(&["T71"]),
    case!(a_path_through_a_symlink_is_followed_once),
    case!(host_leaves_out_what_holds_sockets).entries(&["T54"]),
    case!(host_os_and_host_etc_are_below_run_host),
    case!(configured_directories_have_names),
    case!(a_project_is_shared_alone),
    case!(the_whole_home_is_no_project),
    case!(files_keep_owner_and_mode),
    case!(odd_names_are_taken_as_they_are).entries(&["T67"]),
];

fn a_shared_directory_can_be_read_and_written(fixture: &Fixture) -> Outcome {
    let shared = fixture.directory("shared");
    fixture.directory("beside");
    fs::write(shared.join("file"), "outside").expect("own directory");
    let script = format!(
        "cat {0}/file; echo inside >{0}/new; ls {1}",
        shared.display(),
        fixture.scratch.display()
    );
    let output = shell(fixture, &[&format!("--filesystem={}", shared.display())], &script);
    output.assert_code(0);
    assert!(output.text().starts_with("outside"), "{}", output.text());
    assert!(!output.text().contains("beside"), "{}", output.text());
    assert_eq!(fs::read_to_string(shared.join("new")).expect("it was made"), "inside\n");
    Outcome::Passed
}

fn ro_is_read_only(fixture: &Fixture) -> Outcome {
    let shared = fixture.directory("shared");
    fs::write(shared.join("file"), "outside").expect("own directory");
    let script = format!(
        "cat {0}/file && ! touch {0}/new 2>/dev/null && ! rm -f {0}/file 2>/dev/null",
        shared.display()
    );
    shell(fixture, &[&format!("--filesystem={}:ro", shared.display())], &script).assert_code(0);
    assert!(shared.join("file").exists() && !shared.join("new").exists());
    Outcome::Passed
}

fn create_makes_the_directory(fixture: &Fixture) -> Outcome {
    let wanted = fixture.scratch.join("made/deep");
    let script = format!("touch {}/new", wanted.display());
    let output = shell(fixture, &[&format!("--filesystem={}:create", wanted.display())], &script);
    output.assert_code(0);
    assert!(wanted.join("new").exists());
    assert_eq!(fs::metadata(&wanted).expect("it was made").uid(), fixture.user.uid);
    assert_eq!(fs::metadata(&wanted).expect("it was made").mode() & 0o777, 0o755);
    Outcome::Passed
}

fn a_single_file_can_be_shared(fixture: &Fixture) -> Outcome {
    fixture.directory("shared");
    let file = fixture.file("shared/file", "one\n");
    fixture.file("shared/other", "two\n");
    let option = format!("--filesystem={}", file.display());
    let script = format!(
        "cat {0}/shared/file; echo more >>{0}/shared/file; ls {0}/shared",
        fixture.scratch.display()
    );
    let output = shell(fixture, &[&option], &script);
    output.assert_code(0);
    assert_eq!(output.text(), "one\nfile\n");
    assert_eq!(fs::read_to_string(&file).expect("own file"), "one\nmore\n");
    Outcome::Passed
}

fn the_home_can_be_shared(fixture: &Fixture) -> Outcome {
    fs::write(fixture.home().join("letter"), "dear\n").expect("own home");
    for option in ["--filesystem=home", "--filesystem=~", "--filesystem=home:ro"] {
        let output = shell(fixture, &[option], "cat ~/letter");
        output.assert_code(0);
        assert_eq!(output.text(), "dear\n", "{option}");
    }
    let output = shell(fixture, &["--filesystem=~/letter:ro"], "cat ~/letter; ls -A ~");
    output.assert_code(0);
    assert_eq!(output.text(), "dear\nletter\n");
    Outcome::Passed
}

fn the_later_word_counts(fixture: &Fixture) -> Outcome {
    fs::write(fixture.home().join("letter"), "dear\n").expect("own home");
    let taken_back = ["--filesystem=home", "--nofilesystem=home"];
    shell(fixture, &taken_back, "test -e ~/letter").assert_code(1);
    let given_again = ["--filesystem=home", "--nofilesystem=home", "--filesystem=home:ro"];
    shell(fixture, &given_again, "test -e ~/letter && ! touch ~/new").assert_code(0);
    let reset = ["--filesystem=home", "--filesystem=/srv", "--nofilesystem=host:reset"];
    shell(fixture, &reset, "test -e ~/letter").assert_code(1);
    // R48: a narrower place stays.
    let narrower = ["--filesystem=~/letter", "--nofilesystem=home"];
    shell(fixture, &narrower, "test -e ~/letter").assert_code(0);
    Outcome::Passed
}

fn a_path_through_a_symlink_is_followed_once(fixture: &Fixture) -> Outcome {
    let target = fixture.directory("target");
    fs::write(target.join("file"), "behind the link\n").expect("own directory");
    let link = fixture.scratch.join("link");
    symlink("target", &link).expect("own directory");
    let output = shell(
        fixture,
        &[&format!("--filesystem={}", link.display())],
        &format!("cat {0}/file; cat {1}/file", link.display(), target.display()),
    );
    output.assert_code(0);
    assert_eq!(output.text(), "behind the link\nbehind the link\n");
    Outcome::Passed
}

fn host_leaves_out_what_holds_sockets(fixture: &Fixture) -> Outcome {
    // R57, T54. The home is part of it wherever it is.
    fs::write(fixture.home().join("letter"), "dear\n").expect("own home");
    let known = "-e '^user$' -e '^host$' -e '^media$' -e '^current'";
    let script =
        format!("cat ~/letter; ls -A /run | grep -v {known}; ls -d /root /boot 2>/dev/null");
    let output = shell(fixture, &["--filesystem=host"], &script);
    assert_eq!(output.text(), "dear\n", "{}", output.errors());
    Outcome::Passed
}

fn host_os_and_host_etc_are_below_run_host(fixture: &Fixture) -> Outcome {
    let script = "test -x /run/host/usr/bin/env && ! touch /run/host/usr/x 2>/dev/null && echo os;
                  test -e /run/host/etc/passwd && echo etc";
    assert_eq!(shell(fixture, &["--filesystem=host-os:ro"], script).text(), "os\n");
    let both = ["--filesystem=host-os:ro", "--filesystem=host-etc:ro"];
    assert_eq!(shell(fixture, &both, script).text(), "os\netc\n");
    Outcome::Passed
}

fn configured_directories_have_names(fixture: &Fixture) -> Outcome {
    for directory in ["home", "home/.config", "home/Papers"] {
        fixture.directory(directory);
    }
    fixture.file("home/.config/user-dirs.dirs", "XDG_DOCUMENTS_DIR=\"$HOME/Papers\"\n");
    fixture.file("home/Papers/letter", "dear\n");
    let output = shell(fixture, &["--filesystem=xdg-documents:ro"], "cat ~/Papers/letter");
    output.assert_code(0);
    assert_eq!(output.text(), "dear\n");
    // Set to nothing here.
    let output = shell(fixture, &["--filesystem=xdg-music"], "true");
    assert!(!output.errors().is_empty());
    Outcome::Passed
}

fn a_project_is_shared_alone(fixture: &Fixture) -> Outcome {
    let project = fixture.directory("home/code/project");
    fixture.give(project.parent().expect("it has one"));
    fixture.file("home/code/project/Makefile", "all:\n");
    fixture.file("home/code/secret", "sesame\n");
    let script = "pwd; ls; touch built; ls -A ..; ls -A ~";
    let expected = format!("{}\nMakefile\nproject\ncode\n", project.display());
    let output = shell_launch(fixture, &["--project"], script).directory(&project).run();
    output.assert_code(0);
    assert_eq!(output.text(), expected);
    assert!(project.join("built").exists());
    fs::remove_file(project.join("built")).expect("own directory");

    let option = format!("--project={}", project.display());
    let output = shell_launch(fixture, &[&option], script).run();
    output.assert_code(0);
    assert_eq!(output.text(), expected);
    Outcome::Passed
}

fn the_whole_home_is_no_project(fixture: &Fixture) -> Outcome {
    for directory in [fixture.home().as_path(), Path::new("/")] {
        let output = exec(fixture).args(["--project", "--", "true"]).directory(directory).run();
        output.assert_code(harness::frontend::STOCKADE_FAILED);
        assert!(output.errors().contains("project"), "{}", output.errors());
    }
    Outcome::Passed
}

fn files_keep_owner_and_mode(fixture: &Fixture) -> Outcome {
    let shared = fixture.directory("shared");
    let script = format!(
        "umask 027; cd {}; touch file; mkdir dir; stat -c '%u %a' file dir",
        shared.display()
    );
    let output = shell(fixture, &[&format!("--filesystem={}", shared.display())], &script);
    output.assert_code(0);
    let uid = fixture.user.uid;
    assert_eq!(output.text(), format!("{uid} 640\n{uid} 750\n"));
    let file = fs::metadata(shared.join("file")).expect("it was made");
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (uid, fixture.user.gid, 0o640));
    Outcome::Passed
}

fn odd_names_are_taken_as_they_are(fixture: &Fixture) -> Outcome {
    for name in
        ["with space", "a,b=c", "-dash", "ünïcode", "quote'\"", "back\\slash", "dollar$HOME"]
    {
        let directory = fixture.directory(name);
        fs::write(directory.join("file"), "found\n").expect("own directory");
        let output = exec(fixture)
            .arg(format!("--filesystem={}", directory.display()))
            .args(["--", "cat"])
            .arg(directory.join("file"))
            .run();
        output.assert_code(0);
        assert_eq!(output.text(), "found\n", "{name}");
    }
    Outcome::Passed
}
