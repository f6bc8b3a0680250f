// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places for extensions, as an application or a runtime declares them (R33, R215).

use super::relative::{Relative, RelativeError};
use crate::flatpak::reference::{Branch, Id, ReferenceError};
use crate::keyfile::{Group, KeyFile, ValueError};
use crate::message::{Notice, shown};

/// What begins the name of a group that declares one.
const GROUP: &str = "Extension ";

/// A place for extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The extension that belongs there, or what the names of several begin with.
    pub name: Id,
    /// What tells several places for one extension apart.
    pub tag: Option<String>,
    /// Its branches, in the order in which they are looked for.
    pub branches: Vec<Branch>,
    /// Where it appears, below the files of the application or runtime.
    pub directory: Relative,
    /// Whether extensions whose names go on behind `name` may appear below `directory` instead.
    pub subdirectories: bool,
    /// What is appended to each mount point.
    pub suffix: Option<Relative>,
    /// Where libraries are in the extension.
    pub library_path: Option<Relative>,
    /// Directories of the extension whose entries appear beside the extensions.
    pub merge: Vec<Relative>,
    /// When to use it: if one of these holds, or there are none.
    pub conditions: Vec<String>,
}

/// Why a place is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum PointError {
    #[error("it does not say in which directory")]
    Nowhere,
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("{key}: {fault}")]
    Path { key: &'static str, fault: RelativeError },
    #[error(transparent)]
    Name(#[from] ReferenceError),
}

impl Point {
    /// The places that these metadata declare, in their order. `branch` is that of the application
    /// or runtime itself. A place that breaks a rule is left out, with a notice.
    pub fn all(metadata: &KeyFile, branch: &Branch, notices: &mut Vec<Notice>) -> Vec<Self> {
        let mut points = Vec::new();
        for group in metadata.groups() {
            let Some(name) = group.name().strip_prefix(GROUP) else { continue };
            match Self::read(name, group, branch) {
                Ok(point) => points.push(point),
                Err(error) => notices.push(Notice::Warning(format!(
                    "leaving out the extensions '{}' of the metadata\n{error}",
                    shown(name)
                ))),
            }
        }
        points
    }

    fn read(name: &str, group: &Group, branch: &Branch) -> Result<Self, PointError> {
        let (name, tag) = match name.split_once('@') {
            Some((name, tag)) => (name, Some(tag.to_owned())),
            None => (name, None),
        };
        let path = |key: &'static str, text: Option<String>| {
            let path = text.map(|text| Relative::new(&text)).transpose();
            path.map_err(|fault| PointError::Path { key, fault })
        };
        let directory = group.string("directory")?.ok_or(PointError::Nowhere)?;
        let merge = group.list("merge-dirs")?;
        let merge: Result<_, _> = merge.iter().map(|text| Relative::new(text)).collect();
        Ok(Self {
            name: Id::new(name)?,
            tag,
            branches: branches(group, branch)?,
            directory: Relative::below(&directory)
                .map_err(|fault| PointError::Path { key: "directory", fault })?,
            subdirectories: group.boolean("subdirectories")?.unwrap_or(false),
            suffix: path("subdirectory-suffix", group.string("subdirectory-suffix")?)?,
            library_path: path("add-ld-path", group.string("add-ld-path")?)?,
            merge: merge.map_err(|fault| PointError::Path { key: "merge-dirs", fault })?,
            conditions: group.list("enable-if")?,
        })
    }
}

/// Which branches of an extension will do (R215).
fn branches(group: &Group, own: &Branch) -> Result<Vec<Branch>, PointError> {
    let several = group.list("versions")?;
    if !several.is_empty() {
        return Ok(several.iter().map(Branch::new).collect::<Result<_, _>>()?);
    }
    match group.string("version")? {
        Some(one) => Ok(vec![Branch::new(one)?]),
        None => Ok(vec![own.clone()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn points(text: &str) -> (Vec<Point>, Vec<Notice>) {
        let mut notices = Vec::new();
        let metadata = KeyFile::parse(text.as_bytes()).unwrap();
        let points = Point::all(&metadata, &Branch::new("own").unwrap(), &mut notices);
        (points, notices)
    }

    fn names(point: &Point) -> Vec<&str> {
        point.branches.iter().map(Branch::as_str).collect()
    }

    #[test]
    fn r215_branches_come_from_the_list_the_key_or_the_parent() {
        let (read, notices) = points(
            "[Application]\nname=a.b.c\n\
             [Extension a.b.One]\ndirectory=one\nversions=2;1\nversion=3\n\
             [Extension a.b.Two@tag]\ndirectory=two/\nversion=3\n\
             [Extension a.b.Three]\ndirectory=./three\nversions=\n",
        );
        assert_eq!(notices, []);
        let seen: Vec<_> = read
            .iter()
            .map(|point| (point.name.as_str(), names(point), point.directory.as_path()))
            .collect();
        let expected = [
            ("a.b.One", vec!["2", "1"], Path::new("one")),
            ("a.b.Two", vec!["3"], Path::new("two")),
            ("a.b.Three", vec!["own"], Path::new("three")),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn r33_all_that_matters_for_running_is_read() {
        let (read, _) = points(
            "[Extension a.b.C]\ndirectory=lib/x\nsubdirectories=true\nsubdirectory-suffix=s\n\
             add-ld-path=.\nmerge-dirs=a;b/c\nenable-if=x;y\nautodelete=nonsense\n",
        );
        let point = &read[0];
        assert!(point.subdirectories);
        assert_eq!(point.suffix, Some(Relative::new("s").unwrap()));
        assert_eq!(point.library_path, Some(Relative::new(".").unwrap()));
        assert_eq!(point.merge, [Relative::new("a").unwrap(), Relative::new("b/c").unwrap()]);
        assert_eq!(point.conditions, ["x", "y"]);
    }

    #[test]
    fn r223_places_that_break_a_rule_are_left_out() {
        for wrong in [
            "[Extension a.b.C]\n",
            "[Extension a.b.C]\ndirectory=\n",
            "[Extension a.b.C]\ndirectory=.\n",
            "[Extension a.b.C]\ndirectory=/etc\n",
            "[Extension a.b.C]\ndirectory=../../etc\n",
            "[Extension a.b.C]\ndirectory=x\\q\n",
            "[Extension a.b.C]\ndirectory=x\nsubdirectory-suffix=..\n",
            "[Extension a.b.C]\ndirectory=x\nsubdirectory-suffix=\n",
            "[Extension a.b.C]\ndirectory=x\nadd-ld-path=/lib\n",
            "[Extension a.b.C]\ndirectory=x\nadd-ld-path=a/../../b\n",
            "[Extension a.b.C]\ndirectory=x\nmerge-dirs=a;../b\n",
            "[Extension a.b.C]\ndirectory=x\nmerge-dirs=a;;b\n",
            "[Extension a.b.C]\ndirectory=x\nversion=../1\n",
            "[Extension a.b.C]\ndirectory=x\nversions=1;\\s\n",
            "[Extension a.b.C]\ndirectory=x\nsubdirectories=perhaps\n",
            "[Extension ../../a.b.C]\ndirectory=x\n",
            "[Extension @tag]\ndirectory=x\n",
            "[Extension a.b]\ndirectory=x\n",
        ] {
            let text = format!("{wrong}[Extension a.b.Good]\ndirectory=good\n");
            let (read, notices) = points(&text);
            let names: Vec<_> = read.iter().map(|point| point.name.as_str()).collect();
            assert_eq!(names, ["a.b.Good"], "{wrong}");
            assert!(matches!(notices.as_slice(), [Notice::Warning(_)]), "{wrong}");
        }
    }
}
