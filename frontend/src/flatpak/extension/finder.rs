// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks for the extensions that belong to the places of an application or runtime (R215, R216).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::condition::Circumstances;
use super::point::Point;
use super::{Extension, Shelf, left_out, unmaintained};
use crate::flatpak::beneath::{self, Links};
use crate::flatpak::deploy::Deploy;
use crate::flatpak::reference::{Arch, Branch, Id, Kind, Reference};
use crate::message::{Notice, shown};

/// The priority of extensions that say none, because nobody deployed them (R219).
const UNMAINTAINED: i32 = 1000;

/// Looks for extensions and collects them.
pub(super) struct Finder<'a> {
    arch: &'a Arch,
    prefix: &'a Path,
    shelf: &'a dyn Shelf,
    circumstances: &'a Circumstances,
    notices: &'a mut Vec<Notice>,
    list: Vec<Extension>,
}

impl<'a> Finder<'a> {
    /// Looks for extensions of an architecture, for files that are mounted at `prefix`.
    pub(super) fn new(
        arch: &'a Arch,
        prefix: &'a Path,
        shelf: &'a dyn Shelf,
        circumstances: &'a Circumstances,
        notices: &'a mut Vec<Notice>,
    ) -> Self {
        Self { arch, prefix, shelf, circumstances, notices, list: Vec::new() }
    }

    /// Gives the extensions that there are for these places, in the order of the places.
    pub(super) fn look_for(mut self, points: &[Point]) -> Vec<Extension> {
        for point in points {
            self.look_for_one(point);
        }
        self.list
    }

    /// Looks for what belongs to one place (R216).
    fn look_for_one(&mut self, point: &Point) {
        let place = point.directory.under(self.prefix);
        for branch in &point.branches {
            if let Some(found) = self.find(&point.name, branch) {
                if self.circumstances.allow(&point.conditions, &point.name) {
                    self.add(point, point.name.clone(), branch, place.clone(), false, found);
                }
                continue;
            }
            if !point.subdirectories {
                continue;
            }
            let prefix = format!("{}.", point.name);
            let installations = self.shelf.installations();
            let mut ids = self.shelf.names(&prefix, Kind::Runtime, self.arch, branch);
            ids.extend(unmaintained::names(&installations, &prefix));
            ids.sort();
            ids.dedup();
            for id in ids {
                // What is left of a checked name has no slash and is not `..`.
                let Some(rest) = id.as_str().strip_prefix(&prefix) else { continue };
                let place = place.join(rest);
                if !self.circumstances.allow(&point.conditions, &id) {
                    continue;
                }
                if let Some(found) = self.find(&id, branch) {
                    self.add(point, id, branch, place, true, found);
                }
            }
        }
    }

    fn add(
        &mut self,
        point: &Point,
        id: Id,
        branch: &Branch,
        place: PathBuf,
        is_one_of_several: bool,
        found: Found,
    ) {
        self.list.push(Extension {
            declared: point.name.clone(),
            id,
            branch: branch.clone(),
            commit: found.commit,
            priority: found.priority,
            files: found.files,
            path: found.path,
            place,
            suffix: point.suffix.clone(),
            is_one_of_several,
            library_path: point.library_path.clone(),
            merge: point.merge.clone(),
        });
    }

    /// The extension of this name: one that nobody deployed, or a deployed one.
    fn find(&mut self, id: &Id, branch: &Branch) -> Option<Found> {
        let installations = self.shelf.installations();
        if let Some(found) = unmaintained::find(&installations, id, self.arch, branch) {
            let (files, path) = (found.directory, found.path);
            return Some(Found { commit: None, priority: UNMAINTAINED, files, path });
        }
        let (arch, branch) = (self.arch.clone(), branch.clone());
        let name = Reference { kind: Kind::Runtime, id: id.clone(), arch, branch };
        let opened = self.shelf.open(&name).map_err(|error| error.to_string());
        let found = opened.and_then(|deploy| deploy.map(deployed).transpose());
        found.unwrap_or_else(|error| {
            self.notices.push(left_out(id, None, &error));
            None
        })
    }
}

/// A deployed extension with its files.
fn deployed(deploy: Deploy) -> Result<Found, String> {
    let flags = OFlags::PATH.union(OFlags::DIRECTORY);
    let failed =
        |errno: Errno| format!("its files in {} cannot be used: {errno}", shown(&deploy.path));
    let files = beneath::open(&deploy.directory, Path::new("files"), flags, Links::Refused)
        .map_err(failed)?;
    let group = deploy.metadata.group("ExtensionOf");
    let priority = group.map_or(Ok(None), |group| group.integer("priority"));
    Ok(Found {
        priority: priority.map_err(|error| error.to_string())?.unwrap_or_default(),
        commit: Some(deploy.commit),
        files,
        path: deploy.path.join("files"),
    })
}

/// An extension as it was found.
struct Found {
    commit: Option<String>,
    priority: i32,
    files: OwnedFd,
    path: PathBuf,
}
