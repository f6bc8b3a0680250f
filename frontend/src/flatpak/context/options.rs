// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contexts as options of the command line (R236, R240, R265).

use super::Context;
use super::area::Area;
use super::bus::{BusPolicies, BusPolicy};
use super::filesystems;
use super::write::persisted;

impl Context {
    /// The options that say the same, in an order in which they may be given. Names of permissions
    /// that are not known are left out: options refuse them (R38).
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        let mut say = |option: &str, value: &str| options.push(format!("--{option}={value}"));
        for area in Area::ALL {
            let known = area.words();
            let names = || self.grants(area).iter().filter(|(name, _)| known.contains(name));
            // First, because taking X11 back takes the fallback back.
            for (name, permission) in names() {
                if self.grants(area).resets(name) && !permission.is_allowed() {
                    say(area.deny_option(), name);
                }
            }
            for (name, permission) in names() {
                if permission.is_allowed() {
                    say(area.grant_option(), name);
                }
                for condition in permission.conditions().filter(|condition| condition.is_known()) {
                    say(&format!("{}-if", area.grant_option()), &format!("{name}:{condition}"));
                }
            }
        }
        if self.filesystems.resets() {
            say("nofilesystem", "host:reset");
        }
        for place in self.filesystems.denied() {
            say("nofilesystem", &place.to_string());
        }
        for (place, access) in self.filesystems.granted() {
            say("filesystem", &filesystems::granted(place, access));
        }
        for path in &self.persist {
            say("persist", &persisted(path));
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => say("env", &format!("{name}={value}")),
                None => say("unset-env", name),
            }
        }
        bus_options(&self.session_bus, ["own-name", "talk-name", "no-talk-name"], &mut say);
        let system = ["system-own-name", "system-talk-name", "system-no-talk-name"];
        bus_options(&self.system_bus, system, &mut say);
        for name in &self.accessibility_bus {
            say("a11y-own-name", name.as_str());
        }
        for (subsystem, key, value, granted) in self.policies.iter() {
            let option = if granted { "add-policy" } else { "remove-policy" };
            say(option, &format!("{subsystem}.{key}={value}"));
        }
        let (enumerable, hidden) = self.usb.lists();
        let hidden: Vec<_> = hidden.iter().map(|query| format!("!{query}")).collect();
        // R265: an empty list says nothing, and versions before 1.16, whose portal may start the next
        // instance, do not know the option.
        for list in [enumerable.join(";"), hidden.join(";")] {
            if !list.is_empty() {
                say("usb-list", &list);
            }
        }
        options
    }
}

/// No option gives `see`, so no command line has it.
fn bus_options(policies: &BusPolicies, names: [&str; 3], say: &mut impl FnMut(&str, &str)) {
    let [own, talk, none] = names;
    for (name, policy) in policies.iter() {
        let option = match policy {
            BusPolicy::Own => own,
            BusPolicy::Talk => talk,
            BusPolicy::None => none,
            BusPolicy::See => continue,
        };
        say(option, name.as_str());
    }
}
