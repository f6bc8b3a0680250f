// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runtime at `/usr`, the application at `/app`, and what may stand in their place (R80, R89,
//! R103). It also carries the sandbox in which the library cache is made (R225).

use std::path::{Path, PathBuf};

use crate::flatpak::tree::Tree;
use crate::sandbox::{Sandbox, SandboxError};

/// Directories of a runtime that programs expect in the root, each a symlink into `usr` (R89).
const LINKED: [&str; 5] = ["bin", "lib", "lib32", "lib64", "sbin"];

/// Where the true files lie while others stand in their place (R103).
const PARENT: &str = "/run/parent";

/// What stands in the place of the application's files.
#[derive(Debug)]
pub enum Substitute {
    /// Nothing at all: `/app` is empty.
    Empty,
    /// This directory.
    Tree(Tree),
}

/// The files that a sandbox runs from.
#[derive(Debug)]
pub struct Base {
    /// The runtime.
    pub runtime: Tree,
    /// The application; none if the runtime itself is run (R13).
    pub app: Option<Tree>,
    /// What `--usr-path` or `--usr-fd` puts in the runtime's place.
    pub usr_instead: Option<Tree>,
    /// What `--app-path` or `--app-fd` puts in the application's place.
    pub app_instead: Option<Substitute>,
}

impl Base {
    /// What appears at `/usr`: its `etc` feeds `/etc`, and its directories are linked in the root.
    #[must_use]
    pub fn usr(&self) -> &Tree {
        self.usr_instead.as_ref().unwrap_or(&self.runtime)
    }

    /// Where the true runtime is in the sandbox, and its extensions with it.
    #[must_use]
    pub fn runtime_prefix(&self) -> PathBuf {
        prefix(self.usr_instead.is_some(), "usr")
    }

    /// Where the true application is in the sandbox, and its extensions with it.
    #[must_use]
    pub fn app_prefix(&self) -> PathBuf {
        prefix(self.app_instead.is_some(), "app")
    }

    /// Whether anything stands in the place of something else: then there is no library cache
    /// (R224).
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.usr_instead.is_some() || self.app_instead.is_some()
    }

    /// Mounts everything. To be done before anything else is added.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn mount(&self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        let (usr, app) = (Path::new("/usr"), Path::new("/app"));
        self.usr().bind(usr, sandbox)?;
        match (&self.app_instead, &self.app) {
            (Some(Substitute::Tree(tree)), _) | (None, Some(tree)) => tree.bind(app, sandbox)?,
            (Some(Substitute::Empty), _) | (None, None) => sandbox.directory(app, 0o755)?,
        }
        link(self.usr(), Path::new("/"), sandbox)?;

        if let (Some(_), Some(app)) = (&self.app_instead, &self.app) {
            app.bind(&self.app_prefix(), sandbox)?;
        }
        if self.usr_instead.is_some() {
            let parent = Path::new(PARENT);
            self.runtime.bind(&self.runtime_prefix(), sandbox)?;
            link(&self.runtime, parent, sandbox)?;
            sandbox.symlink(Path::new("usr/etc"), &parent.join("etc"))?;
        }
        Ok(())
    }
}

fn prefix(replaced: bool, name: &str) -> PathBuf {
    Path::new(if replaced { PARENT } else { "/" }).join(name)
}

/// Adds the links to what the runtime `usr` has of these directories (R89).
///
/// # Errors
/// [`SandboxError`].
pub fn link(usr: &Tree, directory: &Path, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    for name in LINKED.into_iter().filter(|name| usr.has(name)) {
        sandbox.symlink(&Path::new("usr").join(name), &directory.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use crate::flatpak::layout::tests::lines;
    use std::os::unix::fs::symlink;

    fn base(scratch: &Scratch) -> Base {
        scratch.directory("runtime/bin");
        scratch.directory("runtime/lib");
        symlink("lib", scratch.join("runtime/lib64")).unwrap();
        scratch.directory("app");
        let open = |name| Tree::open(&scratch.join(name)).unwrap();
        Base {
            runtime: open("runtime"),
            app: Some(open("app")),
            usr_instead: None,
            app_instead: None,
        }
    }

    fn mounted(base: &Base, scratch: &Scratch) -> Vec<String> {
        let mut sandbox = Sandbox::new();
        base.mount(&mut sandbox).unwrap();
        lines(&sandbox, scratch)
    }

    #[test]
    fn r80_r89_runtime_and_app_are_read_only_and_links_follow_the_runtime() {
        let scratch = Scratch::new();
        let base = base(&scratch);
        let expected = [
            "ro /usr <- runtime",
            "ro /app <- app",
            "/bin -> usr/bin",
            "/lib -> usr/lib",
            "/lib64 -> usr/lib64",
        ];
        assert_eq!(mounted(&base, &scratch), expected);
        assert_eq!((base.app_prefix(), base.runtime_prefix()), ("/app".into(), "/usr".into()));
        assert!(!base.is_replaced());
    }

    #[test]
    fn r80_a_runtime_that_is_run_has_an_empty_app() {
        let scratch = Scratch::new();
        let base = Base { app: None, ..base(&scratch) };
        assert!(mounted(&base, &scratch).contains(&"dir 755 /app".into()));
    }

    #[test]
    fn r103_another_app_leaves_the_true_one_below_parent() {
        let scratch = Scratch::new();
        let other = Tree::open(&scratch.directory("other")).unwrap();
        let mut base = base(&scratch);
        base.app_instead = Some(Substitute::Tree(other));
        let lines = mounted(&base, &scratch);
        assert_eq!(lines[1], "ro /app <- other");
        assert_eq!(lines.last().unwrap(), "ro /run/parent/app <- app");
        assert_eq!(base.app_prefix(), Path::new("/run/parent/app"));
        assert_eq!(base.runtime_prefix(), Path::new("/usr"));
        assert!(base.is_replaced());

        base.app_instead = Some(Substitute::Empty);
        assert_eq!(mounted(&base, &scratch)[1], "dir 755 /app");
        base.app = None;
        assert!(!mounted(&base, &scratch).iter().any(|line| line.contains("parent")));
    }

    #[test]
    fn r103_another_usr_leaves_the_true_one_with_its_links_below_parent() {
        let scratch = Scratch::new();
        scratch.directory("other/sbin");
        let mut base = base(&scratch);
        base.usr_instead = Some(Tree::open(&scratch.join("other")).unwrap());
        let expected = [
            "ro /usr <- other",
            "ro /app <- app",
            "/sbin -> usr/sbin",
            "ro /run/parent/usr <- runtime",
            "/run/parent/bin -> usr/bin",
            "/run/parent/lib -> usr/lib",
            "/run/parent/lib64 -> usr/lib64",
            "/run/parent/etc -> usr/etc",
        ];
        assert_eq!(mounted(&base, &scratch), expected);
        assert_eq!(base.runtime_prefix(), Path::new("/run/parent/usr"));
    }
}
