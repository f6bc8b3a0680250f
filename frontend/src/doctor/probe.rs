// SPDX-License-Identifier: MIT OR Apache-2.0
//! Things that can only be tried in a process that is thrown away afterwards: it is this program
//! again, with a hidden subcommand. It writes a line `STEP NUMBER` for each step, where the number
//! is an errno (0 is success) unless the step says otherwise, and stops at the first step that
//! makes the next ones pointless. It must leave nothing behind.

use std::io::{self, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{landlock, seccomp, user_namespaces};

/// The hidden subcommand.
pub(super) const COMMAND: &str = "doctor-probe";

/// This program, even where its file was replaced or cannot be seen any more.
pub(super) const OURSELVES: &str = "/proc/self/exe";

/// Longer than any of it takes on a machine that works.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a probe's steps go.
pub(super) struct Lines<'a>(&'a mut dyn Write);

impl Lines<'_> {
    /// Tells how a step went, and whether it went well.
    pub(super) fn step(&mut self, name: &str, result: Result<(), Errno>) -> io::Result<bool> {
        // The numbers of errnos are those of the kernel.
        self.number(name, result.err().map_or(0, |errno| errno as i32))?;
        Ok(result.is_ok())
    }

    pub(super) fn number(&mut self, name: &str, number: i32) -> io::Result<()> {
        // One write for each line: a step may share the stream with a child of its own.
        self.0.write_all(format!("{name} {number}\n").as_bytes())?;
        self.0.flush()
    }
}

/// Runs the probe `name` in this process and tells its steps on standard output. The status to
/// exit with: 2 for a name that is none, 1 if the steps could not be told.
#[must_use]
pub fn probe(name: &str) -> u8 {
    let mut out = io::stdout();
    let mut lines = Lines(&mut out);
    let told = match name {
        "user-namespace" => user_namespaces::probe(&mut lines),
        "proc" => user_namespaces::probe_proc(&mut lines),
        "seccomp" => seccomp::probe(&mut lines),
        "landlock" => landlock::probe(&mut lines),
        _ => return 2,
    };
    u8::from(told.is_err())
}

/// What a probe told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    steps: Vec<(String, i32)>,
    /// The signal that killed it.
    pub(super) signal: Option<i32>,
}

impl Answer {
    fn parse(text: &str, status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let steps = text.lines().filter_map(|line| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        });
        Self { steps: steps.collect(), signal: status.signal() }
    }

    /// The number of a step that was taken.
    pub(super) fn number(&self, step: &str) -> Option<i32> {
        self.steps.iter().find_map(|(name, number)| (name == step).then_some(*number))
    }

    /// How a step went, if it was taken.
    pub(super) fn step(&self, step: &str) -> Option<Result<(), Errno>> {
        let number = self.number(step)?;
        Some(if number == 0 { Ok(()) } else { Err(Errno::from_raw(number)) })
    }

    #[cfg(test)]
    pub(super) fn told(steps: &[(&str, i32)]) -> Self {
        let steps = steps.iter().map(|(name, number)| ((*name).to_owned(), *number));
        Self { steps: steps.collect(), signal: None }
    }
}

/// Runs a probe in a child and collects what it tells.
pub(super) fn ask(name: &str) -> io::Result<Answer> {
    let mut command = Command::new(OURSELVES);
    command.args([COMMAND, name]);
    let (text, status) = output(&mut command)?;
    Ok(Answer::parse(&text, status))
}

/// What a command that says little prints; it is killed when it takes too long.
pub(super) fn output(command: &mut Command) -> io::Result<(String, ExitStatus)> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // Little fits into the pipe, so nothing was lost by reading only now.
    let output = child.wait_with_output()?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_probe_tells_is_understood() {
        let mut written = Vec::new();
        let mut lines = Lines(&mut written);
        assert!(lines.step("unshare", Ok(())).unwrap());
        assert!(!lines.step("maps", Err(Errno::EPERM)).unwrap());
        lines.number("abi", 7).unwrap();
        let answer = Answer::parse(&String::from_utf8(written).unwrap(), ExitStatus::default());
        assert_eq!(answer.step("unshare"), Some(Ok(())));
        assert_eq!(answer.step("maps"), Some(Err(Errno::EPERM)));
        assert_eq!(answer.number("abi"), Some(7));
        assert_eq!(answer.step("proc"), None);
    }

    #[test]
    fn an_unknown_probe_is_refused() {
        assert_eq!(probe("nothing"), 2);
    }

    #[test]
    fn a_command_that_ends_is_read() {
        let (text, status) = output(Command::new("echo").arg("0.1.8")).unwrap();
        assert_eq!(text, "0.1.8\n");
        assert!(status.success());
    }
}
