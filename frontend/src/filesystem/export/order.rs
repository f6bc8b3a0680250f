// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order in which exports are mounted, and what each becomes in view of those above it (R69).

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use stockade_protocol::request;

use super::{Entry, Exports};
use crate::filesystem::token::Access;
use crate::sandbox::{Sandbox, SandboxError};

impl Exports {
    /// Mounts everything.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn mount(self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        // In byte order, everything that begins with the letters of a path follows it at once:
        // `/a`, `/a-b`, `/a/b`. These are the paths that the current one may still be in.
        let mut above: Vec<(PathBuf, View)> = Vec::new();
        for (path, entry) in self.entries {
            let path = PathBuf::from(path);
            while above.last().is_some_and(|(earlier, _)| !continues(earlier, &path)) {
                above.pop();
            }
            let parent = above.iter().rev().find(|(earlier, _)| path.starts_with(earlier));
            let parent = parent.map_or(View::Private, |(_, view)| *view);
            let view = match (entry, parent) {
                (Entry::Runtime, _) => View::Runtime,
                // The directory above was granted by name, and with it what is in it.
                (Entry::Private { .. } | Entry::Directory, View::Granted) => continue,
                // What is in it is seen as it was above.
                (Entry::Directory, View::Private | View::Runtime) => {
                    sandbox.directory(&path, 0o755)?;
                    continue;
                }
                (Entry::Hidden, View::Granted) => {
                    sandbox.tmpfs(&path, 0o755)?;
                    View::Private
                }
                (Entry::Hidden, View::Private | View::Runtime) => {
                    sandbox.directory(&path, 0o755)?;
                    View::Private
                }
                (Entry::Private { mode }, View::Private | View::Runtime) => {
                    sandbox.tmpfs(&path, mode)?;
                    View::Private
                }
                (Entry::Bound { object, source, access }, _) => {
                    let access = match access {
                        Access::ReadOnly => request::Access::ReadOnly,
                        Access::ReadWrite | Access::Create => request::Access::ReadWrite,
                    };
                    sandbox.bind_object(object, source, &path, access)?;
                    View::Granted
                }
                // R69: the host's own symlink is in view.
                (Entry::Symlink(_), View::Granted | View::Runtime) => continue,
                (Entry::Symlink(target), View::Private) => {
                    sandbox.symlink(&target, &path)?;
                    continue;
                }
            };
            above.push((path, view));
        }
        Ok(())
    }
}

/// Whether `path` begins with the letters of `earlier`, be it below it or not.
fn continues(earlier: &Path, path: &Path) -> bool {
    path.as_os_str().as_bytes().starts_with(earlier.as_os_str().as_bytes())
}

/// What a directory of the sandbox shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// Something of the sandbox's own.
    Private,
    /// The host's, as part of the runtime.
    Runtime,
    /// The host's, because it was granted.
    Granted,
}
