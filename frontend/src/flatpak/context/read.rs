// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contexts from key files: metadata and overrides (R27-R32, R38, R49, R53, R55).

use std::ffi::OsStr;

use super::area::Area;
use super::bus::{BusName, BusNameError, BusPolicies, BusPolicy};
use super::generic::GenericPolicies;
use super::grants::Grants;
use super::usb::Query;
use super::{Context, FALLBACK_X11, can_be_variable};
use crate::filesystem::token;
use crate::keyfile::{Group, KeyFile, ValueError};
use crate::message::{Notice, is_hidden, shown};

pub(super) const CONTEXT: &str = "Context";
pub(super) const FILESYSTEMS: &str = "filesystems";
pub(super) const PERSISTENT: &str = "persistent";
pub(super) const UNSET_ENVIRONMENT: &str = "unset-environment";
pub(super) const ENVIRONMENT: &str = "Environment";
pub(super) const SESSION_BUS: &str = "Session Bus Policy";
pub(super) const SYSTEM_BUS: &str = "System Bus Policy";
pub(super) const ACCESSIBILITY_BUS: &str = "Accessibility Bus Policy";
pub(super) const POLICY: &str = "Policy ";
pub(super) const USB: &str = "USB Devices";
pub(super) const ENUMERABLE: &str = "enumerable-devices";
pub(super) const HIDDEN: &str = "hidden-devices";

/// Why a key file holds no permissions that could be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// A value that is not of its kind.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A name that no bus has.
    #[error(transparent)]
    BusName(#[from] BusNameError),
    /// A path with characters that would hide it from whoever looks at the permissions
    /// (CVE-2023-28101).
    #[error("'{}' in '{key}' has characters that cannot be seen", shown(item))]
    Hidden {
        /// The key in `[Context]`.
        key: &'static str,
        /// The path.
        item: String,
    },
}

impl Context {
    /// Reads a layer. The notices tell what was left out.
    ///
    /// # Errors
    /// [`ContextError`].
    pub fn read(file: &KeyFile) -> Result<(Self, Vec<Notice>), ContextError> {
        let mut context = Self::default();
        let mut notices = Vec::new();
        for area in Area::ALL {
            context.read_grants(area, &file.list(CONTEXT, area.key())?, &mut notices);
        }
        context.read_places(file, &mut notices)?;
        context.read_environment(file, &mut notices)?;
        read_bus(file.group(SESSION_BUS), &mut context.session_bus, &mut notices)?;
        read_bus(file.group(SYSTEM_BUS), &mut context.system_bus, &mut notices)?;
        for group in file.groups() {
            if let Some(subsystem) = group.name().strip_prefix(POLICY) {
                read_policies(group, subsystem, &mut context.policies, &mut notices)?;
            }
        }
        context.read_usb(file, &mut notices)?;
        Ok((context, notices))
    }

    fn read_grants(&mut self, area: Area, items: &[String], notices: &mut Vec<Notice>) {
        let (mut grants, odd) = Grants::read(items);
        notices.extend(odd.into_iter().map(|item| left_out(area.key(), item, "it means nothing")));
        // R39: it is a condition itself.
        if area == Area::Sockets
            && grants
                .get(FALLBACK_X11)
                .is_some_and(|fallback| fallback.conditions().next().is_some())
        {
            grants.forget(FALLBACK_X11);
            notices.push(left_out(area.key(), FALLBACK_X11, "it cannot depend on a condition"));
        }
        *self.grants_mut(area) = grants;
    }

    fn read_places(
        &mut self,
        file: &KeyFile,
        notices: &mut Vec<Notice>,
    ) -> Result<(), ContextError> {
        for item in visible(file, FILESYSTEMS)? {
            if let Err(error) = self.filesystems.read(&item, notices) {
                notices.push(Notice::Warning(error.to_string()));
            }
        }
        for item in visible(file, PERSISTENT)? {
            match token::parse_persist(OsStr::new(&item)) {
                Ok(path) => {
                    self.persist.insert(path);
                }
                Err(error) => notices.push(Notice::Warning(error.to_string())),
            }
        }
        Ok(())
    }

    fn read_environment(
        &mut self,
        file: &KeyFile,
        notices: &mut Vec<Notice>,
    ) -> Result<(), ContextError> {
        let reason = "no variable can have such a name";
        if let Some(group) = file.group(ENVIRONMENT) {
            for name in group.keys() {
                match group.string(name) {
                    Ok(value) if can_be_variable(name) => {
                        self.environment.insert(name.to_owned(), Some(value.unwrap_or_default()));
                    }
                    Ok(_) => notices.push(left_out(ENVIRONMENT, name, reason)),
                    Err(error) => notices.push(left_out(ENVIRONMENT, name, &error.to_string())),
                }
            }
        }
        // R49: what is unset counts, for the empty value of the same name is for old readers.
        for name in file.list(CONTEXT, UNSET_ENVIRONMENT)? {
            if can_be_variable(&name) {
                self.environment.insert(name, None);
            } else {
                notices.push(left_out(UNSET_ENVIRONMENT, &name, reason));
            }
        }
        Ok(())
    }

    fn read_usb(&mut self, file: &KeyFile, notices: &mut Vec<Notice>) -> Result<(), ContextError> {
        for (key, set) in [(ENUMERABLE, &mut self.usb.enumerable), (HIDDEN, &mut self.usb.hidden)] {
            for item in file.list(USB, key)? {
                match Query::parse(&item) {
                    Ok(query) => {
                        set.insert(query);
                    }
                    Err(error) => notices.push(Notice::Warning(error.to_string())),
                }
            }
        }
        Ok(())
    }
}

/// The paths of a list (R53).
fn visible(file: &KeyFile, key: &'static str) -> Result<Vec<String>, ContextError> {
    let items = file.list(CONTEXT, key)?;
    match items.iter().find(|item| item.contains(is_hidden)) {
        Some(item) => Err(ContextError::Hidden { key, item: item.clone() }),
        None => Ok(items),
    }
}

fn read_bus(
    group: Option<&Group>,
    policies: &mut BusPolicies,
    notices: &mut Vec<Notice>,
) -> Result<(), ContextError> {
    let Some(group) = group else { return Ok(()) };
    for key in group.keys() {
        let name = BusName::new(key)?;
        let word = group.string(key)?.unwrap_or_default();
        match BusPolicy::read(&word) {
            Some(policy) => policies.set(name, policy),
            None => notices.push(left_out(group.name(), key, "its policy is not known")),
        }
    }
    Ok(())
}

fn read_policies(
    group: &Group,
    subsystem: &str,
    policies: &mut GenericPolicies,
    notices: &mut Vec<Notice>,
) -> Result<(), ContextError> {
    for key in group.keys() {
        for item in group.list(key)? {
            if !policies.read(subsystem, key, &item) {
                notices.push(left_out(group.name(), key, "it cannot be passed on"));
            }
        }
    }
    Ok(())
}

fn left_out(place: &str, item: &str, reason: &str) -> Notice {
    Notice::Warning(format!("ignoring '{}' in '{}'\n{}", shown(item), shown(place), shown(reason)))
}
