// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--socket`, `--share=ipc`, `--allow`, and the system calls that are refused without them.

use std::os::unix::net::UnixListener;

use harness::frontend::{attempts, probe, shell, shell_launch};
use harness::{Case, Fixture, Outcome, case};

pub(crate) const CASES: &[Case] = &[
    case!(wayland_is_shared_on_request),
    case!(the_ssh_agent_is_shared_on_request).entries(&["T73"]),
    case!(a_socket_that_is_not_there_is_left_out),
    case!(x11_is_shared_on_request).entries(&["T73"]),
    case!(ipc_is_shared_on_request),
    case!(refused_system_calls_are_refused).entries(&["T63"]),
    case!(allow_devel_allows_debugging),
    case!(unknown_words_are_errors_that_list_the_known),
];

/// A line for the shell that says whether the path in a variable is a socket.
fn is_socket(variable: &str) -> String {
    format!("test -S \"${variable}\" && echo {variable} is a socket")
}

fn wayland_is_shared_on_request(fixture: &Fixture) -> Outcome {
    let runtime = fixture.directory("runtime");
    let socket = UnixListener::bind(runtime.join("wayland-1")).expect("a socket");
    fixture.give(&runtime.join("wayland-1"));
    let script = "test -S $XDG_RUNTIME_DIR/$WAYLAND_DISPLAY && echo there; echo $WAYLAND_DISPLAY";
    let run = |options: &[&str]| {
        shell_launch(fixture, options, script)
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("WAYLAND_DISPLAY", "wayland-1")
            .run()
            .text()
    };
    assert_eq!(run(&[]), "\n");
    assert_eq!(run(&["--socket=wayland"]), "there\nwayland-1\n");
    assert_eq!(run(&["--socket=wayland", "--nosocket=wayland"]), "\n");
    drop(socket);
    Outcome::Passed
}

fn the_ssh_agent_is_shared_on_request(fixture: &Fixture) -> Outcome {
    let path = fixture.scratch.join("agent");
    let socket = UnixListener::bind(&path).expect("a socket");
    fixture.give(&path);
    let run = |options: &[&str]| {
        let script = is_socket("SSH_AUTH_SOCK");
        shell_launch(fixture, options, &script).env("SSH_AUTH_SOCK", &path).run().text()
    };
    assert_eq!(run(&[]), "");
    assert_eq!(run(&["--socket=ssh-auth"]), "SSH_AUTH_SOCK is a socket\n");
    drop(socket);
    Outcome::Passed
}

fn a_socket_that_is_not_there_is_left_out(fixture: &Fixture) -> Outcome {
    // R186: with the variables that would lead to it.
    for (socket, variable, value) in [
        ("ssh-auth", "SSH_AUTH_SOCK", "/no/such/agent"),
        ("wayland", "WAYLAND_DISPLAY", "wayland-7"),
        ("pulseaudio", "PULSE_SERVER", "unix:/no/such/server"),
    ] {
        let option = format!("--socket={socket}");
        let script = format!("echo ${variable}; exit 3");
        let output = shell_launch(fixture, &[&option], &script).env(variable, value).run();
        output.assert_code(3);
        assert_eq!(output.text(), "\n", "{socket}");
    }
    Outcome::Passed
}

fn x11_is_shared_on_request(fixture: &Fixture) -> Outcome {
    // A display that nobody uses; its socket has to be in the one place where displays are.
    let directory = std::path::Path::new("/tmp/.X11-unix");
    let made = !directory.exists();
    if made {
        std::fs::create_dir(directory).expect("/tmp is writable");
    }
    let number = 7000 + std::process::id() % 1000;
    let path = directory.join(format!("X{number}"));
    let socket = UnixListener::bind(&path).expect("a socket");
    let run = |options: &[&str]| {
        let script = "echo $DISPLAY; ls /tmp/.X11-unix 2>/dev/null";
        shell_launch(fixture, options, script).env("DISPLAY", format!(":{number}")).run().text()
    };
    let (without, with) = (run(&[]), run(&["--socket=x11"]));
    drop(socket);
    std::fs::remove_file(&path).expect("own socket");
    if made {
        std::fs::remove_dir(directory).expect("own directory");
    }
    assert_eq!(without, "\n");
    assert!(with.contains(&format!("X{number}")), "{with}");
    Outcome::Passed
}

fn ipc_is_shared_on_request(fixture: &Fixture) -> Outcome {
    let own = std::fs::read_link("/proc/self/ns/ipc").expect("/proc is mounted");
    let inside = |options: &[&str]| probe(fixture, options).table("namespaces")["ipc"].clone();
    assert_eq!(inside(&["--share=ipc"]), own.to_string_lossy());
    assert_ne!(inside(&["--share=ipc", "--unshare=ipc"]), own.to_string_lossy());
    Outcome::Passed
}

fn refused_system_calls_are_refused(fixture: &Fixture) -> Outcome {
    // R170 to R176, with the errno that programs expect.
    let results = attempts(fixture, &[], &["calls"]);
    for (call, errno) in [
        ("syslog", "EPERM"),
        ("uselib", "EPERM"),
        ("acct", "EPERM"),
        ("quotactl", "EPERM"),
        ("add_key", "EPERM"),
        ("keyctl", "EPERM"),
        ("request_key", "EPERM"),
        ("move_pages", "EPERM"),
        ("mbind", "EPERM"),
        ("get_mempolicy", "EPERM"),
        ("set_mempolicy", "EPERM"),
        ("migrate_pages", "EPERM"),
        ("unshare", "EPERM"),
        ("setns", "EPERM"),
        ("mount", "EPERM"),
        ("umount2", "EPERM"),
        ("pivot_root", "EPERM"),
        ("chroot", "EPERM"),
        ("clone-newuser", "EPERM"),
        ("clone3", "ENOSYS"),
        ("open_tree", "ENOSYS"),
        ("move_mount", "ENOSYS"),
        ("fsopen", "ENOSYS"),
        ("fsconfig", "ENOSYS"),
        ("fsmount", "ENOSYS"),
        ("fspick", "ENOSYS"),
        ("mount_setattr", "ENOSYS"),
        ("open_tree_attr", "ENOSYS"),
        ("perf_event_open", "EPERM"),
        ("ptrace", "EPERM"),
        ("personality", "EPERM"),
        ("modify_ldt", "EPERM"),
        ("socket-packet", "EAFNOSUPPORT"),
        ("socket-vsock", "EAFNOSUPPORT"),
        ("socket-alg", "EAFNOSUPPORT"),
        ("socket-bluetooth", "EAFNOSUPPORT"),
        ("socket-can", "EAFNOSUPPORT"),
        ("socket-unix", "ok"),
        ("socket-inet", "ok"),
        ("socket-netlink", "ok"),
    ] {
        assert_eq!(results.get(call).map(String::as_str), Some(errno), "{call}: {results:?}");
    }
    Outcome::Passed
}

fn allow_devel_allows_debugging(fixture: &Fixture) -> Outcome {
    let results = attempts(fixture, &["--allow=devel"], &["calls"]);
    assert_eq!(results["personality"], "ok");
    assert_ne!(results["ptrace"], "EPERM", "an errno of ptrace itself: no such process");
    let results = attempts(fixture, &["--allow=bluetooth", "--allow=canbus"], &["calls"]);
    // Allowed by the filter; whether the kernel has the family is another matter.
    let results = [&results["socket-bluetooth"], &results["socket-can"]];
    assert!(results.iter().all(|errno| *errno == "ok" || *errno == "EAFNOSUPPORT"));
    let taken_back = attempts(fixture, &["--allow=devel", "--disallow=devel"], &["calls"]);
    assert_eq!(taken_back["ptrace"], "EPERM");
    Outcome::Passed
}

fn unknown_words_are_errors_that_list_the_known(fixture: &Fixture) -> Outcome {
    for (option, known) in [
        ("--share=moon", "network"),
        ("--unshare=moon", "ipc"),
        ("--socket=moon", "wayland"),
        ("--nosocket=moon", "x11"),
        ("--device=moon", "dri"),
        ("--nodevice=moon", "kvm"),
        ("--allow=moon", "devel"),
        ("--disallow=moon", "multiarch"),
    ] {
        let output = shell(fixture, &[option], "echo ran");
        output.assert_code(harness::frontend::STOCKADE_FAILED);
        assert!(output.errors().contains("moon"), "{}", output.errors());
        assert!(output.errors().contains(known), "{}", output.errors());
        assert_eq!(output.text(), "");
    }
    Outcome::Passed
}
