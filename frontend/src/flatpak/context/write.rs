// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contexts to key files: overrides, `.flatpak-info`, and what people are shown (R49, R51, R52, R241).

use super::area::Area;
use super::bus::BusPolicies;
use super::read::{
    ACCESSIBILITY_BUS, CONTEXT, ENUMERABLE, ENVIRONMENT, FILESYSTEMS, HIDDEN, PERSISTENT, POLICY,
    SESSION_BUS, SYSTEM_BUS, UNSET_ENVIRONMENT, USB,
};
use super::{Context, Form};
use crate::keyfile::KeyFile;
use crate::message::shown;

impl Context {
    /// Writes this in place of what the file says of permissions. Other groups and keys stay.
    pub fn write(&self, file: &mut KeyFile, form: Form) {
        let mut list = |group: &str, key: &str, items: Vec<String>| {
            if items.is_empty() {
                file.group_mut(group).remove(key);
            } else {
                file.group_mut(group).set_list(key, items.iter().map(String::as_str));
            }
        };
        for area in Area::ALL {
            list(CONTEXT, area.key(), self.grants(area).items(form));
        }
        list(CONTEXT, FILESYSTEMS, self.filesystems.items(form));
        list(CONTEXT, PERSISTENT, self.persist.iter().map(|path| persisted(path)).collect());
        let unset = self.environment.iter().filter(|(_, value)| value.is_none());
        list(CONTEXT, UNSET_ENVIRONMENT, unset.map(|(name, _)| name.clone()).collect());
        let (enumerable, hidden) = self.usb.lists();
        list(USB, ENUMERABLE, enumerable);
        list(USB, HIDDEN, hidden);

        let groups = [ENVIRONMENT, SESSION_BUS, SYSTEM_BUS, ACCESSIBILITY_BUS];
        file.remove_groups(|name| groups.contains(&name) || name.starts_with(POLICY));
        for (name, policies) in [(SESSION_BUS, &self.session_bus), (SYSTEM_BUS, &self.system_bus)] {
            write_bus(file, name, policies, form);
        }
        // R29: nobody reads it from an override.
        if form == Form::Flattened {
            for name in &self.accessibility_bus {
                file.group_mut(ACCESSIBILITY_BUS).set_string(name.as_str(), "own");
            }
        }
        // R49: older readers know an unset variable by its empty value.
        for (name, value) in &self.environment {
            let value = value.as_deref().unwrap_or_default();
            file.group_mut(ENVIRONMENT).set_string(name, value);
        }
        for (subsystem, key, items) in self.policies.lists(form) {
            let group = file.group_mut(&format!("{POLICY}{subsystem}"));
            group.set_list(key, items.iter().map(String::as_str));
        }
        for name in [CONTEXT, USB] {
            if file.group(name).is_some_and(crate::keyfile::Group::is_empty) {
                file.remove_groups(|known| known == name);
            }
        }
    }

    /// What came of all layers, for people: the text of a key file, with what cannot be seen escaped
    /// (R53, R262).
    #[must_use]
    pub fn shown(&self) -> String {
        let mut file = KeyFile::default();
        self.write(&mut file, Form::Flattened);
        shown_lines(&file.to_string())
    }
}

/// A text of several lines for people, with what cannot be seen escaped (CVE-2023-28101).
#[must_use]
pub fn shown_lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", shown(line))).collect()
}

/// A path to keep as it is read again: empty is the whole home, and `~/` would be the home.
pub(super) fn persisted(path: &str) -> String {
    if path.is_empty() {
        ".".to_owned()
    } else if path.starts_with("~/") {
        format!("./{path}")
    } else {
        path.to_owned()
    }
}

fn write_bus(file: &mut KeyFile, group: &str, policies: &BusPolicies, form: Form) {
    for (name, policy) in policies.entries(form) {
        file.group_mut(group).set_string(name.as_str(), policy.word());
    }
}
