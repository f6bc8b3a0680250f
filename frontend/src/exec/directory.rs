// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directories that the user names or is in: the project, and where the command may start.

use std::path::{Component, Path, PathBuf};

use stockade_protocol::text::SandboxPath;

use super::{ExecError, Options};
use crate::caller::Caller;
use crate::filesystem::export::Exports;
use crate::filesystem::grant;
use crate::filesystem::locate::tidy;
use crate::filesystem::token::Access;
use crate::sandbox::sandbox_path;

/// Shares the project and gives its path in the sandbox.
pub(super) fn share_project(
    directory: &Path,
    caller: &Caller,
    exports: &mut Exports,
) -> Result<PathBuf, ExecError> {
    let absolute = absolute(directory, caller)?;
    // `..` cannot be shared as it is written; what it leads to can.
    let path = if absolute.components().any(|component| component == Component::ParentDir) {
        std::fs::canonicalize(&absolute)
            .map_err(|reason| ExecError::Path { path: absolute.clone(), reason })?
    } else {
        tidy(&absolute)
    };
    if path == Path::new("/") {
        return Err(ExecError::Project { path, what: "the whole system" });
    }
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(ExecError::ProjectKind { path }),
        Err(reason) => return Err(ExecError::Path { path, reason }),
    }
    let real = exports.share(&path, Access::ReadWrite)?;
    let home = grant::real_home(&caller.home).unwrap_or_else(|_| caller.home.clone());
    if home.starts_with(&real) {
        return Err(ExecError::Project { path: real, what: "your whole home" });
    }
    Ok(real)
}

/// `path` as seen from the caller's directory.
fn absolute(path: &Path, caller: &Caller) -> Result<PathBuf, ExecError> {
    match &caller.directory {
        _ if path.is_absolute() => Ok(path.to_owned()),
        Some(directory) => Ok(directory.join(path)),
        None => Err(ExecError::Nowhere { path: path.to_owned() }),
    }
}

/// Where the command may start (R158). What was named must be there; otherwise the first of the
/// usual places that exists inside.
pub(super) fn starting_points(
    options: &Options,
    project: Option<PathBuf>,
    caller: &Caller,
) -> Result<Vec<SandboxPath>, ExecError> {
    if let Some(directory) = &options.directory {
        let path = match &project {
            Some(project) => project.join(directory),
            None => absolute(directory, caller)?,
        };
        return Ok(vec![sandbox_path(&tidy(&path))?]);
    }
    if let Some(project) = project {
        return Ok(vec![sandbox_path(&project)?]);
    }
    Ok(caller.starting_points())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{options, planned, text, writable};
    use super::super::{inherit, plan};
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_project_is_shared_and_worked_in() {
        let scratch = Scratch::new();
        let real = scratch.directory("home/real");
        symlink("real", scratch.join("home/link")).unwrap();
        let mut caller = caller(&scratch.join("home"), &[]);
        caller.directory = Some(scratch.join("home/link"));
        for (given, expected) in [(".", &real), ("../real", &real)] {
            let mut options = options(&[]);
            options.project = Some(given.into());
            let sandbox = planned(&options, &caller);
            assert_eq!(writable(&sandbox), [expected.to_str().unwrap()], "{given}");
            let directories = &sandbox.request.payload.directories;
            let directories: Vec<_> = directories.iter().map(text).collect();
            assert_eq!(directories, [expected.to_str().unwrap()], "{given}");
        }
    }

    #[test]
    fn a_project_is_neither_the_home_nor_the_root() {
        let scratch = Scratch::new();
        let home = scratch.directory("home");
        let file = scratch.file("home/file", "");
        let caller = caller(&home, &[]);
        for given in [Path::new("/"), &home, &scratch.0, &file, Path::new("/usr/share")] {
            let mut options = options(&[]);
            options.project = Some(given.to_owned());
            let error = inherit(&options.pass)
                .and_then(|passed| plan(&options, &caller, passed))
                .unwrap_err();
            assert!(error.to_string().starts_with("cannot "), "{error}");
        }
    }

    #[test]
    fn r158_the_command_starts_where_it_was_called_or_at_home() {
        let scratch = Scratch::new();
        let mut caller = caller(&scratch.0, &[]);
        caller.directory = Some("/srv".into());
        let directories = |options: &Options| {
            let payload = planned(options, &caller).request.payload;
            payload.directories.iter().map(|path| text(path).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(directories(&options(&[])), ["/srv", scratch.0.to_str().unwrap(), "/"]);
        let mut named = options(&[]);
        named.directory = Some("sub/".into());
        assert_eq!(directories(&named), ["/srv/sub"]);
    }
}
