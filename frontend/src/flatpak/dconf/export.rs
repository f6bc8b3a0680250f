// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values as GLib's key file backend reads them: a group for each directory.

use std::collections::BTreeMap;
use std::fmt;

use crate::flatpak::gvariant::Value;
use crate::keyfile::{can_be_group, can_be_key};

/// Values by directory and name.
#[derive(Debug, Default)]
pub(super) struct Export(BTreeMap<String, BTreeMap<String, String>>);

impl Export {
    /// Adds values with their paths, in the place of those that are there. What could not be written as a
    /// line is left out.
    pub(super) fn add<'a>(&mut self, values: impl Iterator<Item = (&'a str, Value<'a>)>) {
        for (path, value) in values {
            let Some((directory, name)) = path.rsplit_once('/') else { continue };
            let group = directory.trim_start_matches('/');
            if !can_be_group(group) || !can_be_key(name) {
                continue;
            }
            if let Some(text) = value.to_text() {
                self.0.entry(group.to_owned()).or_default().insert(name.to_owned(), text);
            }
        }
    }
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (group, values)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            writeln!(f, "[{group}]")?;
            for (name, text) in values {
                writeln!(f, "{name}={text}")?;
            }
        }
        Ok(())
    }
}
