// SPDX-License-Identifier: MIT OR Apache-2.0
//! The environment of the payload, built as data (R152-R160).
//!
//! Nothing in it ever becomes the environment of a program that runs outside the sandbox
//! (CVE-2021-21261): it travels in the request.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use stockade_protocol::text::{TextFault, Variable};

use crate::message::shown;

/// Variables that describe the host rather than the user, and are not taken over (R154).
const HOST_ONLY: [&str; 41] = [
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LD_AUDIT",
    "TEMP",
    "TEMPDIR",
    "TMP",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "container",
    "TZDIR",
    "PYTHONPATH",
    "PYTHONPYCACHEPREFIX",
    "PERLLIB",
    "PERL5LIB",
    "XCURSOR_PATH",
    "GST_PLUGIN_PATH_1_0",
    "GST_REGISTRY",
    "GST_REGISTRY_1_0",
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_PLUGIN_SCANNER",
    "GST_PLUGIN_SCANNER_1_0",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
    "GST_PRESET_PATH",
    "GST_PTP_HELPER",
    "GST_PTP_HELPER_1_0",
    "GST_INSTALL_PLUGINS_HELPER",
    "KRB5CCNAME",
    "XKB_CONFIG_ROOT",
    "GIO_EXTRA_MODULES",
    "GDK_BACKEND",
    "VK_ADD_DRIVER_FILES",
    "VK_ADD_LAYER_PATH",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "VK_LAYER_PATH",
    "__EGL_EXTERNAL_PLATFORM_CONFIG_DIRS",
    "__EGL_EXTERNAL_PLATFORM_CONFIG_FILENAMES",
    "__EGL_VENDOR_LIBRARY_DIRS",
    "__EGL_VENDOR_LIBRARY_FILENAMES",
    // Set anew by the helper for the directory the payload starts in (R158).
    "PWD",
];

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The caller's environment.
    Inherited,
    /// An option or Stockade itself.
    Given,
}

/// The environment of a payload while it is being built.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<OsString, (OsString, Origin)>);

/// A variable that cannot be passed.
#[derive(Debug, thiserror::Error)]
#[error("cannot pass the environment variable {} to the sandbox\n{fault}", shown(name))]
pub struct EnvironmentError {
    /// Its name.
    pub name: OsString,
    /// What is wrong.
    pub fault: TextFault,
}

impl Environment {
    /// The caller's environment without what makes sense on the host only (R154).
    #[must_use]
    pub fn inherited(variables: &[(OsString, OsString)]) -> Self {
        let kept = variables.iter().filter(|(name, _)| !HOST_ONLY.iter().any(|host| name == host));
        let entry = |(name, value): &(OsString, OsString)| {
            (name.clone(), (value.clone(), Origin::Inherited))
        };
        Self(kept.map(entry).collect())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), (value.into(), Origin::Given));
    }

    /// Sets a variable that is not set.
    pub fn set_default(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.entry(name.into()).or_insert_with(|| (value.into(), Origin::Given));
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &OsStr) {
        self.0.remove(name);
    }

    /// Removes a variable that names something the sandbox does not have (R157), unless an option
    /// set it: whoever does that has provided the thing by other means.
    pub fn unset_inherited(&mut self, name: &str) {
        if self.0.get(OsStr::new(name)).is_some_and(|(_, origin)| *origin == Origin::Inherited) {
            self.0.remove(OsStr::new(name));
        }
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(|(value, _)| value.as_os_str())
    }

    /// The environment as it travels, in order of the names.
    ///
    /// # Errors
    /// A variable that the protocol does not carry.
    pub fn variables(&self) -> Result<Vec<Variable>, EnvironmentError> {
        let variable = |(name, (value, _)): (&OsString, &(OsString, Origin))| {
            let bytes = [name.as_bytes(), b"=", value.as_bytes()].concat();
            Variable::new(bytes).map_err(|fault| EnvironmentError { name: name.clone(), fault })
        };
        self.0.iter().map(variable).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherited(variables: &[(&str, &str)]) -> Environment {
        let owned: Vec<_> = variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Environment::inherited(&owned)
    }

    #[test]
    fn r154_variables_of_the_host_stay_outside() {
        let environment = inherited(&[("LD_PRELOAD", "x"), ("TMPDIR", "/t"), ("LANG", "C")]);
        let variables = environment.variables().unwrap();
        assert_eq!(variables, [Variable::new(&b"LANG=C"[..]).unwrap()]);
    }

    #[test]
    fn r157_only_inherited_variables_vanish_with_their_socket() {
        let mut environment = inherited(&[("DISPLAY", ":0"), ("WAYLAND_DISPLAY", "wayland-0")]);
        environment.set("DISPLAY", "host:1");
        environment.unset_inherited("DISPLAY");
        environment.unset_inherited("WAYLAND_DISPLAY");
        assert_eq!(environment.get("DISPLAY"), Some(OsStr::new("host:1")));
        assert_eq!(environment.get("WAYLAND_DISPLAY"), None);
    }

    #[test]
    fn variables_the_protocol_refuses_are_errors() {
        let mut environment = Environment::default();
        environment.set("A", OsStr::from_bytes(b"b\0c"));
        assert_eq!(environment.variables().unwrap_err().fault, TextFault::Nul);
    }
}
