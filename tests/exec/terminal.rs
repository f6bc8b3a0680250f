// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys, windows and jobs: as if the command had been run directly.

use std::time::Duration;

use harness::frontend::{exec, outer_shell, shell_launch, stockade};
use harness::process::{Ending, eventually};
use harness::pty::Terminal;
use harness::{Case, Fixture, Outcome, case};
use nix::sys::signal::Signal;

pub(crate) const CASES: &[Case] = &[
    case!(the_payload_is_in_the_foreground),
    case!(ctrl_c_reaches_the_payload),
    case!(ctrl_c_ends_a_payload_that_does_not_catch_it),
    case!(ctrl_backslash_reaches_the_payload),
    case!(the_size_of_the_window_is_seen_and_followed),
    case!(the_foreground_comes_back),
    case!(the_foreground_comes_back_after_violent_ends),
    case!(ctrl_z_stops_the_job_and_fg_continues_it),
    case!(a_background_job_does_not_take_the_terminal),
    case!(a_background_job_that_reads_is_stopped_until_fg),
    case!(bg_continues_a_stopped_job),
    case!(a_job_behind_a_pipe_can_read_the_terminal),
    case!(a_hangup_ends_the_sandbox),
    case!(new_session_has_no_terminal),
    case!(the_terminal_is_the_console),
];

/// What a shell prints when it waits for a command. Typed commands never contain it as it is.
const PROMPT: &str = "PROMPT> ";

/// Gives a shell the time to start what follows its last word: a key between two commands is lost
/// to dash, with and without a sandbox around it.
fn settle() {
    std::thread::sleep(Duration::from_millis(200));
}

fn the_payload_is_in_the_foreground(fixture: &Fixture) -> Outcome {
    let mut terminal = Terminal::open(fixture);
    let script = "tty -s && [ -t 0 ] && echo terminal; read line; echo got $line";
    let running = terminal.start(shell_launch(fixture, &[], script));
    terminal.expect("terminal");
    terminal.send("hello\n");
    terminal.expect("got hello");
    running.finish().assert_code(0);
    Outcome::Passed
}

fn ctrl_c_reaches_the_payload(fixture: &Fixture) -> Outcome {
    let mut terminal = Terminal::open(fixture);
    let script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let running = terminal.start(shell_launch(fixture, &[], script));
    terminal.expect("ready");
    terminal.send("\x03");
    terminal.expect("caught");
    running.finish().assert_code(9);
    Outcome::Passed
}

fn ctrl_c_ends_a_payload_that_does_not_catch_it(fixture: &Fixture) -> Outcome {
    for options in [&[][..], &["--die-with-parent"]] {
        let mut terminal = Terminal::open(fixture);
        let running =
            terminal.start(shell_launch(fixture, options, "echo ready; sleep 1000; echo no"));
        terminal.expect("ready");
        settle();
        terminal.send("\x03");
        let output = running.finish();
        let expected = [Ending::Exited(130), Ending::Killed(Signal::SIGINT)];
        assert!(expected.contains(&output.ending), "{output:?}");
    }
    Outcome::Passed
}

fn ctrl_backslash_reaches_the_payload(fixture: &Fixture) -> Outcome {
    let mut terminal = Terminal::open(fixture);
    let script = "trap 'echo caught; exit 8' QUIT; echo ready; while :; do sleep 0.05; done";
    let running = terminal.start(shell_launch(fixture, &[], script));
    terminal.expect("ready");
    terminal.send("\x1c");
    terminal.expect("caught");
    running.finish().assert_code(8);
    Outcome::Passed
}

fn the_size_of_the_window_is_seen_and_followed(fixture: &Fixture) -> Outcome {
    let mut terminal = Terminal::open(fixture);
    terminal.resize(31, 97);
    let script = "stty size; trap 'stty size; exit 0' WINCH; echo ready;
                  while :; do sleep 0.05; done";
    let running = terminal.start(shell_launch(fixture, &[], script));
    terminal.expect("31 97");
    terminal.expect("ready");
    terminal.resize(43, 111);
    terminal.expect("43 111");
    running.finish().assert_code(0);
    Outcome::Passed
}

/// A shell without job control on the terminal: it shares its group with what it runs.
fn shell_on(fixture: &Fixture, terminal: &Terminal, script: &str) -> harness::process::Running {
    terminal.start(outer_shell(fixture, script))
}

fn the_foreground_comes_back(fixture: &Fixture) -> Outcome {
    let mut terminal = Terminal::open(fixture);
    // With the terminal in other hands `read` would stop the shell.
    let script = "for code in 0 3; do $STOCKADE exec -- sh -c \"exit $code\"; echo was $?; done;
                  $STOCKADE exec -- no-such-command; echo was $?;
                  read line; echo got $line";
    let running = shell_on(fixture, &terminal, script);
    terminal.expect("was 0");
    terminal.expect("was 3");
    terminal.expect("was 127");
    terminal.send("hello\n");
    terminal.expect("got hello");
    assert_eq!(terminal.foreground().map(|_| ()), Some(()));
    running.finish().assert_code(0);
    Outcome::Passed
}

fn the_foreground_comes_back_after_violent_ends(fixture: &Fixture) -> Outcome {
    for victim in ["payload", "other"] {
        let mut terminal = Terminal::open(fixture);
        let script = "$STOCKADE exec -- sh -c 'echo ready; sleep 1000'; echo was $?;
                      read line; echo got $line";
        let running = shell_on(fixture, &terminal, script);
        terminal.expect("ready");
        let seen = harness::watch::descendants_of(running.process.pid());
        // The youngest process is the payload, or its sleep; "other" is the helper's init above it.
        let named = |name: &str| {
            seen.iter().filter(|seen| seen.name.starts_with(name)).map(|s| s.pid).max()
        };
        let pid = if victim == "payload" { named("sh") } else { named("stockade-helper") };
        let pid = pid.expect("the processes of the sandbox");
        let process = harness::sys::pidfd_open(pid).expect("it lives");
        harness::sys::pidfd_send_signal(&process, libc::SIGKILL).expect("it may be killed");
        terminal.expect("was ");
        terminal.send("hello\n");
        terminal.expect("got hello");
        running.finish().assert_code(0);
    }
    Outcome::Passed
}

/// An interactive shell with job control.
fn bash(fixture: &Fixture) -> Option<(Terminal, harness::process::Running)> {
    if !std::fs::exists("/bin/bash").unwrap_or(false) {
        return None;
    }
    let mut terminal = Terminal::open(fixture);
    let launch = stockade(fixture)
        .program("/bin/bash")
        .argv(["bash", "--norc", "--noprofile", "--noediting", "-i"])
        .env("PS1", PROMPT)
        .env("STOCKADE", fixture.program("stockade"));
    let running = terminal.start(launch);
    terminal.expect(PROMPT);
    Some((terminal, running))
}

fn no_bash() -> Outcome {
    Outcome::Skipped("there is no bash".to_owned())
}

#[track_caller]
fn leave(mut terminal: Terminal, running: harness::process::Running) -> Outcome {
    terminal.send("exit 0\n");
    running.finish().assert_code(0);
    Outcome::Passed
}

fn ctrl_z_stops_the_job_and_fg_continues_it(fixture: &Fixture) -> Outcome {
    let Some((mut terminal, running)) = bash(fixture) else { return no_bash() };
    terminal.send("$STOCKADE exec -- sh -c 'echo ready; exec cat'; echo status $?\n");
    terminal.expect("ready");
    settle();
    for round in ["one", "two"] {
        terminal.send("\x1a");
        terminal.expect("Stopped");
        terminal.expect(PROMPT);
        terminal.send("fg\n");
        terminal.expect("exec cat");
        terminal.send(&format!("{round}\n"));
        terminal.expect(&format!("{round}\r\n"));
    }
    terminal.send("\x04");
    terminal.expect(PROMPT);
    terminal.send("jobs; echo none left\n");
    let listed = terminal.expect("none left\r\n");
    assert!(!listed.contains("Stopped"), "{listed}");
    leave(terminal, running)
}

fn a_background_job_does_not_take_the_terminal(fixture: &Fixture) -> Outcome {
    let Some((mut terminal, running)) = bash(fixture) else { return no_bash() };
    let shell = terminal.foreground();
    terminal.send("$STOCKADE exec -- sh -c 'sleep 0.5; echo from-behind; sleep 0.5' &\n");
    terminal.expect(PROMPT);
    terminal.expect("from-behind");
    assert_eq!(terminal.foreground(), shell);
    terminal.send("echo typed; wait; echo waited $?\n");
    terminal.expect("typed");
    terminal.expect("waited 0");
    assert_eq!(terminal.foreground(), shell);
    leave(terminal, running)
}

fn a_background_job_that_reads_is_stopped_until_fg(fixture: &Fixture) -> Outcome {
    let Some((mut terminal, running)) = bash(fixture) else { return no_bash() };
    terminal.send("$STOCKADE exec -- cat &\n");
    terminal.expect(PROMPT);
    let stopped = eventually(harness::process::patience(), || {
        terminal.send("jobs\n");
        terminal.expect_within("Stopped", Duration::from_millis(200)).map(drop)
    });
    assert!(stopped.is_some(), "it reads in the background: {:?}", terminal.unread());
    terminal.send("fg\n");
    terminal.expect("exec -- cat");
    terminal.send("hello\n");
    terminal.expect("hello\r\n");
    terminal.send("\x04");
    terminal.expect(PROMPT);
    leave(terminal, running)
}

fn bg_continues_a_stopped_job(fixture: &Fixture) -> Outcome {
    let Some((mut terminal, running)) = bash(fixture) else { return no_bash() };
    terminal.send("$STOCKADE exec -- sh -c 'echo ready; sleep 1; echo finished'\n");
    terminal.expect("ready");
    settle();
    terminal.send("\x1a");
    terminal.expect("Stopped");
    terminal.expect(PROMPT);
    terminal.send("bg\n");
    terminal.expect("finished");
    terminal.send("wait; echo waited\n");
    terminal.expect("waited");
    leave(terminal, running)
}

fn a_job_behind_a_pipe_can_read_the_terminal(fixture: &Fixture) -> Outcome {
    let Some((mut terminal, running)) = bash(fixture) else { return no_bash() };
    // As with a pager: the second half of the pipeline reads keys, while the first is still there.
    terminal.send(
        "$STOCKADE exec -- sh -c 'echo text; sleep 1' | \
         (read a; read b </dev/tty; echo got $a $b)\n",
    );
    std::thread::sleep(Duration::from_millis(400));
    terminal.send("key\n");
    terminal.expect("got text key");
    terminal.expect(PROMPT);
    leave(terminal, running)
}

fn a_hangup_ends_the_sandbox(fixture: &Fixture) -> Outcome {
    let mut terminal = Terminal::open(fixture);
    let running = terminal.start(shell_launch(fixture, &[], "echo ready; sleep 1000"));
    terminal.expect("ready");
    drop(terminal);
    let output = running.finish();
    let expected = [Ending::Exited(129), Ending::Killed(Signal::SIGHUP)];
    assert!(expected.contains(&output.ending), "{output:?}");
    Outcome::Passed
}

fn new_session_has_no_terminal(fixture: &Fixture) -> Outcome {
    let mut terminal = Terminal::open(fixture);
    let script = "(: </dev/tty) 2>/dev/null && echo reachable || echo no-terminal; sleep 0.1";
    let running = terminal.start(shell_launch(fixture, &["--new-session"], script));
    terminal.expect("no-terminal");
    running.finish().assert_code(0);
    Outcome::Passed
}

fn the_terminal_is_the_console(fixture: &Fixture) -> Outcome {
    let mut terminal = Terminal::open(fixture);
    let script = "echo through console >/dev/console && stat -c %F /dev/console";
    let running = terminal.start(shell_launch(fixture, &[], script));
    terminal.expect("through console");
    terminal.expect("character special file");
    running.finish().assert_code(0);
    // Without one there is none.
    let output = exec(fixture).args(["--", "test", "-e", "/dev/console"]).run();
    output.assert_code(1);
    Outcome::Passed
}
