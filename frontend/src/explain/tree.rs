// SPDX-License-Identifier: MIT OR Apache-2.0
//! The places of a sandbox as a tree.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::mount::Mount;

/// A directory or a mount with what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node<'a> {
    /// The names that lead here from the node above: several, where nothing else is on the way.
    pub name: PathBuf,
    /// What is here.
    pub mount: Option<&'a Mount>,
    /// What is in it, in order of the names.
    pub children: Vec<Node<'a>>,
}

#[derive(Default)]
struct Directory<'a> {
    mount: Option<&'a Mount>,
    entries: BTreeMap<OsString, Directory<'a>>,
}

/// Most names a path may have to be drawn; no path has as many.
const DEEPEST: usize = 200;

/// The tree from the root. Of several mounts at one path the last counts.
#[must_use]
pub fn tree(mounts: &[Mount]) -> Node<'_> {
    let mut root = Directory::default();
    for mount in mounts {
        let mut here = &mut root;
        for name in names(&mount.path).take(DEEPEST) {
            here = here.entries.entry(name).or_default();
        }
        here.mount = Some(mount);
    }
    Node { name: PathBuf::from("/"), mount: root.mount, children: nodes(root.entries) }
}

fn nodes(entries: BTreeMap<OsString, Directory<'_>>) -> Vec<Node<'_>> {
    entries.into_iter().map(|(name, directory)| node(name, directory)).collect()
}

fn node(name: OsString, mut directory: Directory<'_>) -> Node<'_> {
    let mut whole = PathBuf::from(name);
    while directory.mount.is_none() && directory.entries.len() == 1 {
        let Some((name, only)) = directory.entries.pop_first() else { break };
        whole.push(name);
        directory = only;
    }
    Node { name: whole, mount: directory.mount, children: nodes(directory.entries) }
}

fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::RootDir | Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::mount::Use;

    fn drawn(node: &Node<'_>) -> String {
        let children: Vec<_> = node.children.iter().map(drawn).collect();
        let mark = if node.mount.is_some() { "*" } else { "" };
        format!("{}{mark}[{}]", node.name.display(), children.join(" "))
    }

    #[test]
    fn directories_that_only_lead_on_are_one_node() {
        let mounts =
            ["/usr", "/home/a/.var/app/x", "/home/a/Downloads", "/run/user/7/bus", "/usr/lib/x"]
                .map(|path| Mount::own(path, Use::Read, ""));
        let expected = "/[home/a[.var/app/x*[] Downloads*[]] run/user/7/bus*[] usr*[lib/x*[]]]";
        assert_eq!(drawn(&tree(&mounts)), expected);
        assert_eq!(drawn(&tree(&[])), "/[]");
        let root = [Mount::own("/", Use::Read, "")];
        assert_eq!(drawn(&tree(&root)), "/*[]");
    }
}
