// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command of a sandbox: where its program is looked for, and its arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use stockade_protocol::limits;
use stockade_protocol::text::{Argument, Program, TextFault};

use crate::environment::Environment;
use crate::lookup;
use crate::message::shown;
use crate::sandbox::Sandbox;

/// What runs a script without `#!`, as `execvp(3)` would.
const SHELL: &str = "/bin/sh";

/// Why a command cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No command, or one without a name.
    #[error("cannot run the command\nits name is empty\nname a program")]
    Nameless,
    /// An argument that `execve(2)` does not take.
    #[error("cannot pass the argument '{}' to the command\n{fault}", shown(argument))]
    Argument {
        /// As given.
        argument: OsString,
        /// What is wrong.
        fault: TextFault,
    },
}

/// Puts a command into the sandbox: its name, and its arguments. Without a slash in it, the name is
/// looked for in the `PATH` of the environment, or in `path` if that has none.
///
/// # Errors
/// [`CommandError`].
pub fn describe(
    words: &[OsString],
    path: &str,
    environment: &Environment,
    sandbox: &mut Sandbox,
) -> Result<(), CommandError> {
    let payload = &mut sandbox.request.payload;
    let name = words.first().filter(|name| !name.is_empty()).ok_or(CommandError::Nameless)?;
    let failed = |argument: &OsString| {
        let argument = argument.clone();
        |fault| CommandError::Argument { argument, fault }
    };
    if name.as_bytes().contains(&b'/') {
        payload.programs = vec![Program::new(name.as_bytes()).map_err(failed(name))?];
    } else {
        // A directory of PATH whose name is too long has no programs.
        let path = environment.get("PATH").unwrap_or(OsStr::new(path));
        let candidates = lookup::candidates(name, path);
        let programs = candidates.iter().map(|path| Program::new(path.as_os_str().as_bytes()));
        payload.programs = programs.filter_map(Result::ok).take(limits::PROGRAMS).collect();
        if payload.programs.is_empty() {
            return Err(failed(name)(TextFault::TooLong));
        }
    }
    payload.interpreter = Program::new(SHELL).ok();
    let arguments = words.iter().map(|word| Argument::new(word.as_bytes()).map_err(failed(word)));
    payload.arguments = arguments.collect::<Result<_, _>>()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::caller::tests::caller;
    use crate::exec::tests::{options, planned};
    use crate::filesystem::locate::tests::Scratch;

    #[test]
    fn a_command_with_a_slash_is_its_own_place() {
        let scratch = Scratch::new();
        let caller = caller(&scratch.0, &[("PATH", "/a::/b")]);
        let programs = |name: &str| {
            let mut options = options(&[]);
            options.command = vec![name.into(), "-x".into()];
            let payload = planned(&options, &caller).request.payload;
            assert_eq!(payload.arguments.len(), 2);
            let texts = payload.programs.iter().map(|p| p.as_c_str().to_str().unwrap().to_owned());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(programs("./x"), ["./x"]);
        assert_eq!(programs("x"), ["/a/x", "./x", "/b/x"]);
    }
}
