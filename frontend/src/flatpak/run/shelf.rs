// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extensions are looked for in all installations (R216).

use std::error::Error;

use crate::flatpak::deploy::{self, Deploy};
use crate::flatpak::extension::Shelf;
use crate::flatpak::installation::{Installation, Installations};
use crate::flatpak::reference::{Arch, Branch, Id, Kind, Reference};

impl Shelf for Installations {
    fn installations(&self) -> Vec<&Installation> {
        self.iter().collect()
    }

    fn open(&self, name: &Reference) -> Result<Option<Deploy>, Box<dyn Error + Send + Sync>> {
        for installation in self.iter() {
            if let Some(found) = Deploy::open(installation, name, None)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn names(&self, prefix: &str, kind: Kind, arch: &Arch, branch: &Branch) -> Vec<Id> {
        // An installation that cannot be read has been told of when the application was looked for.
        let all = self.iter().filter_map(|one| deploy::installed(one, kind).ok()).flatten();
        let fits = |found: &Reference| {
            found.id.as_str().starts_with(prefix) && found.arch == *arch && found.branch == *branch
        };
        all.filter(fits).map(|found| found.id).collect()
    }
}
