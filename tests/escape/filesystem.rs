// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and sockets of the caller's, in the places that were granted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use harness::frontend::{STOCKADE_FAILED, exec, intruder};
use harness::launch::Launch;
use harness::{Case, Fixture, Outcome, case};
use serde_json::Value;

pub(crate) const CASES: &[Case] = &[
    case!(t53_no_file_is_hidden_below_what_can_be_written),
    case!(t54_no_place_brings_a_socket_along).as_root(),
];

fn t53_no_file_is_hidden_below_what_can_be_written(fixture: &Fixture) -> Outcome {
    fixture.directory("home/secret");
    fixture.file("home/.netrc", "sesame\n");
    for options in [
        &["--filesystem=home", "--nofilesystem=~/secret", "--nofilesystem=~/.netrc"][..],
        &["--filesystem=host", "--nofilesystem=home"],
        &["--filesystem=home", "--filesystem=/tmp", "--name=box", "--persist=.keep"],
        &["--project", "--filesystem=~/secret:ro"],
        &["--filesystem=host", "--device=all", "--socket=x11", "--socket=wayland"],
    ] {
        let launch = exec(fixture).arg("--print-spec").args(options).args(["--", "true"]);
        let output = launch.directory(fixture.scratch.join("home/secret")).run();
        output.assert_code(0);
        let spec: Value = serde_json::from_slice(&output.stdout).expect("a spec");
        let operations = spec["operations"].as_array().expect("a list");
        assert!(operations.len() > 5);
        let mut writable: Vec<&str> = Vec::new();
        for operation in operations {
            let (kind, body) = operation.as_object().and_then(|o| o.iter().next()).expect("one");
            let Some(path) = body["destination"]["path"].as_str() else { continue };
            let below =
                writable.iter().any(|above| Path::new(path).starts_with(above) && path != *above);
            match kind.as_str() {
                "bind" if body["access"] == "read_write" => writable.push(path),
                // A directory of sockets, over which the host's own is mounted again or nothing.
                "tmpfs" if below => assert_eq!(path, "/tmp/.X11-unix", "{options:?}"),
                "file" if below => panic!("{path} hides a file: {options:?}"),
                _ => {}
            }
        }
    }
    Outcome::Passed
}

fn t54_no_place_brings_a_socket_along(fixture: &Fixture) -> Outcome {
    // A session as systemd makes it, in the places where the sockets are.
    let runtime = PathBuf::from(format!("/run/user/{}", fixture.user.uid));
    let made = !Path::new("/run/user").exists();
    fs::create_dir_all(&runtime).expect("root may");
    fixture.give(&runtime);
    let x11 = Path::new("/tmp/.X11-unix");
    let made_x11 = !x11.exists();
    fs::create_dir_all(x11).expect("root may");
    let names = [
        "bus",
        "systemd/private",
        "wayland-0",
        "pipewire-0",
        "pulse/native",
        "gnupg/S.gpg-agent",
        "ssh-agent",
    ];
    let display = x11.join(format!("X{}", 8000 + std::process::id() % 1000));
    let mut paths: Vec<PathBuf> = names.iter().map(|name| runtime.join(name)).collect();
    paths.push(display.clone());
    let mut sockets = Vec::new();
    for path in &paths {
        let parent = path.parent().expect("it has one");
        fs::create_dir_all(parent).expect("root may");
        if parent != x11 {
            fixture.give(parent);
        }
        sockets.push(UnixListener::bind(path).expect("a socket"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("root may");
    }
    let words: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let attack: Vec<&str> =
        std::iter::once("connect").chain(words.iter().map(String::as_str)).collect();
    let reached = |options: &[&str]| -> Vec<String> {
        let launch = intruder(fixture, options, &attack)
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("WAYLAND_DISPLAY", "wayland-0")
            .env("DISPLAY", format!(":{}", 8000 + std::process::id() % 1000))
            .env("SSH_AUTH_SOCK", runtime.join("ssh-agent"))
            .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/bus", runtime.display()));
        let output = launch.run();
        let failed = output.ending == harness::process::Ending::Exited(STOCKADE_FAILED);
        if failed {
            return Vec::new();
        }
        output.assert_code(0);
        let value: Value = serde_json::from_slice(&output.stdout).expect("a report");
        let table = value.as_object().expect("a table").clone();
        table.into_iter().filter(|(_, result)| result == "ok").map(|(path, _)| path).collect()
    };
    let places = [
        "host",
        "home",
        "host-os",
        "host-etc",
        "/tmp",
        "/var",
        "/srv",
        "~/.config",
        "xdg-download",
    ];
    let each = places.iter().map(|place| vec![format!("--filesystem={place}")]);
    let all: Vec<String> =
        ["host", "home", "/tmp"].iter().map(|place| format!("--filesystem={place}")).collect();
    let mut found = Vec::new();
    for options in each.chain([all]) {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let sockets = reached(&options);
        if !sockets.is_empty() {
            found.push(format!("{options:?}: {sockets:?}"));
        }
    }
    // From outside they can all be reached, else nothing was tried; with the permission for one of
    // them, no other.
    let outside = Launch::new(fixture.program("intruder")).args(&attack).account(&fixture.user);
    let outside = outside.run().text().matches("\"ok\"").count();
    let granted = reached(&["--socket=ssh-auth"]);
    drop(sockets);
    fs::remove_dir_all(&runtime).expect("root may");
    if made {
        fs::remove_dir("/run/user").expect("root may");
    }
    fs::remove_file(&display).expect("root may");
    if made_x11 {
        fs::remove_dir(x11).expect("root may");
    }
    assert_eq!(outside, paths.len());
    assert_eq!(found, Vec::<String>::new());
    let agent = granted.iter().filter(|path| path.ends_with("ssh-agent")).count();
    let other = granted.len() - agent;
    assert_eq!(other, 0, "more than was granted: {granted:?}");
    Outcome::Passed
}
