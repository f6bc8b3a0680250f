// SPDX-License-Identifier: MIT OR Apache-2.0
//! The permission store: what the user allowed applications when a portal asked (R301-R307).

use std::collections::BTreeMap;

use zbus::OwnedVariant;

use super::{PortalError, Service, during};
use crate::bus::{BusError, Target};
use crate::caller::Caller;
use crate::message::shown;

const TARGET: Target<'_> = Target {
    destination: "org.freedesktop.impl.portal.PermissionStore",
    path: "/org/freedesktop/impl/portal/PermissionStore",
    interface: "org.freedesktop.impl.portal.PermissionStore",
};

/// The version since which single permissions can be deleted (R303).
const DELETES: u32 = 2;

/// The store.
#[derive(Debug)]
pub struct PermissionStore(Service);

/// What is stored about an object of a table (R302).
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// What each application may do.
    pub permissions: BTreeMap<String, Vec<String>>,
    /// What the portal keeps with it.
    pub data: OwnedVariant,
}

impl PermissionStore {
    /// The store of the caller's session. It is started by the first call.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn of(caller: &Caller) -> Result<Self, PortalError> {
        Ok(Self(during("reach the permission store", Service::of(caller, TARGET))?))
    }

    /// The objects of a table. One that does not exist has none.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn list(&mut self, table: &str) -> Result<Vec<String>, PortalError> {
        let listed = self.0.call("List", &(table,)).and_then(|answer| {
            let (ids,): (Vec<String>,) = answer.body()?;
            Ok(ids)
        });
        during(format!("list the permissions in the table {}", shown(table)), listed)
    }

    /// What is stored about an object.
    ///
    /// # Errors
    /// [`PortalError`], also if it is not there.
    pub fn lookup(&mut self, table: &str, id: &str) -> Result<Entry, PortalError> {
        during(task("look up", table, id), self.try_lookup(table, id))
    }

    fn try_lookup(&mut self, table: &str, id: &str) -> Result<Entry, BusError> {
        let answer = self.0.call("Lookup", &(table, id))?;
        let (permissions, data) = answer.body()?;
        Ok(Entry { permissions, data })
    }

    /// Stores what an application may do, in place of what it might before. The object is made if it is not
    /// there.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn set_permission(
        &mut self,
        table: &str,
        id: &str,
        application: &str,
        permissions: &[&str],
    ) -> Result<(), PortalError> {
        let set = self.0.call("SetPermission", &(table, true, id, application, permissions));
        during(task("set", table, id), set.map(drop))
    }

    /// Stores what belongs to an object that is there.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn set_value(
        &mut self,
        table: &str,
        id: &str,
        data: &OwnedVariant,
    ) -> Result<(), PortalError> {
        let set = self.0.call("SetValue", &(table, false, id, data));
        during(task("set", table, id), set.map(drop))
    }

    /// Removes an object.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn delete(&mut self, table: &str, id: &str) -> Result<(), PortalError> {
        let deleted = self.0.call("Delete", &(table, id));
        during(task("remove", table, id), deleted.map(drop))
    }

    /// Removes what is stored about an application; the object stays, with its data (R315, R316).
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn delete_permission(
        &mut self,
        table: &str,
        id: &str,
        application: &str,
    ) -> Result<(), PortalError> {
        let deleted = self.try_delete_permission(table, id, application);
        during(task("remove", table, id), deleted)
    }

    fn try_delete_permission(
        &mut self,
        table: &str,
        id: &str,
        application: &str,
    ) -> Result<(), BusError> {
        if self.0.version()? >= DELETES {
            return self.0.call("DeletePermission", &(table, id, application)).map(drop);
        }
        let Entry { mut permissions, data } = self.try_lookup(table, id)?;
        permissions.remove(application);
        self.0.call("Set", &(table, false, id, permissions, data)).map(drop)
    }
}

/// What is being done with an object, in words.
fn task(verb: &str, table: &str, id: &str) -> String {
    format!("{verb} the permissions for {} in the table {}", shown(id), shown(table))
}

#[cfg(test)]
pub(crate) mod tests;
