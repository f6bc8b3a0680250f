// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command: where its program is looked for, and its arguments.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use stockade_protocol::limits;
use stockade_protocol::text::{Argument, Program, TextFault};

use super::{ExecError, Options};
use crate::environment::Environment;
use crate::lookup;
use crate::sandbox::Sandbox;

/// Where programs are looked for if the environment does not say.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// What runs a script without `#!`, as `execvp(3)` would.
const SHELL: &str = "/bin/sh";

/// Puts the command into the sandbox.
pub(super) fn describe(
    options: &Options,
    environment: &Environment,
    sandbox: &mut Sandbox,
) -> Result<(), ExecError> {
    let payload = &mut sandbox.request.payload;
    let name = options.command.first().filter(|name| !name.is_empty());
    let name = name.ok_or(ExecError::NoCommand)?;
    let failed = |fault| ExecError::Argument { argument: name.clone(), fault };
    if name.as_bytes().contains(&b'/') {
        payload.programs = vec![Program::new(name.as_bytes()).map_err(failed)?];
    } else {
        // A directory of PATH whose name is too long has no programs.
        let path = environment.get("PATH").unwrap_or(OsStr::new(PATH));
        let candidates = lookup::candidates(name, path);
        let programs = candidates.iter().map(|path| Program::new(path.as_os_str().as_bytes()));
        payload.programs = programs.filter_map(Result::ok).take(limits::PROGRAMS).collect();
        if payload.programs.is_empty() {
            return Err(failed(TextFault::TooLong));
        }
    }
    payload.interpreter = Program::new(SHELL).ok();
    payload.arguments = options
        .command
        .iter()
        .map(|argument| {
            Argument::new(argument.as_bytes())
                .map_err(|fault| ExecError::Argument { argument: argument.clone(), fault })
        })
        .collect::<Result<_, _>>()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{options, planned};
    use crate::caller::tests::caller;
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
