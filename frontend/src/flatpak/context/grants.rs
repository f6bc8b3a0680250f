// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list of permissions as a layer has it: granted, taken back, or granted on conditions (R38-R43).

use std::collections::{BTreeMap, BTreeSet};

use super::Form;
use super::condition::{Condition, Conditions};
use crate::keyfile::can_begin_value;

/// What a layer says of one permission (R41).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// Granted whatever the conditions. Then `reset` is set and there are no conditions.
    allowed: bool,
    /// What layers below say does not count.
    reset: bool,
    /// Granted if one of them is met.
    conditions: BTreeSet<Condition>,
}

impl Permission {
    const ALLOWED: Self = Self { allowed: true, reset: true, conditions: BTreeSet::new() };
    const DENIED: Self = Self { allowed: false, reset: true, conditions: BTreeSet::new() };

    /// Whether it is granted in such a session.
    #[must_use]
    pub fn is_granted(&self, conditions: &Conditions) -> bool {
        self.allowed || self.conditions.iter().any(|condition| condition.holds(conditions))
    }

    /// Whether it is granted whatever the session.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// The conditions on which it is granted.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter()
    }

    /// Grants it on one more condition. What was granted without any is so no longer: the narrower
    /// grant came later.
    pub(super) fn allow_if(&mut self, condition: Condition) {
        self.allowed = false;
        self.conditions.insert(condition);
    }

    /// R43.
    fn merge(&mut self, upper: &Self) {
        if upper.reset {
            self.reset = true;
            self.conditions.clear();
        }
        self.allowed = upper.allowed;
        self.conditions.extend(upper.conditions.iter().cloned());
    }
}

/// A list of permissions by their names, known or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(BTreeMap<String, Permission>);

/// An item of a list.
enum Item<'a> {
    Plain(&'a str),
    Negated(&'a str),
    Conditional(&'a str, Condition),
}

impl<'a> Item<'a> {
    /// None if it names nothing, or something that could not be written again.
    fn read(item: &'a str) -> Option<Self> {
        let is_name = |name: &str| !name.is_empty() && can_begin_value(name);
        if let Some(name) = item.strip_prefix('!') {
            return is_name(name).then_some(Self::Negated(name));
        }
        let Some(rest) = item.strip_prefix("if:") else {
            return is_name(item).then_some(Self::Plain(item));
        };
        let (name, condition) = rest.split_once(':')?;
        // Such a name could not be granted by itself, and would become its own opposite.
        let odd = !is_name(name) || name.starts_with('!');
        Condition::read(condition)
            .filter(|_| !odd)
            .map(|condition| Self::Conditional(name, condition))
    }
}

impl Grants {
    /// Reads a list. Gives the items that mean nothing too.
    ///
    /// A plain name right before a conditional grant of the same name is there for implementations
    /// that do not know conditions, and is as if it were not there (R42).
    #[must_use]
    pub fn read(items: &[String]) -> (Self, Vec<&str>) {
        let mut grants = Self::default();
        let mut odd = Vec::new();
        let mut before_plain = BTreeMap::new();
        for item in items {
            match Item::read(item) {
                Some(Item::Plain(name)) => {
                    let before = grants.get(name).cloned().unwrap_or_default();
                    before_plain.entry(name).or_insert(before);
                    grants.allow(name);
                }
                Some(Item::Negated(name)) => {
                    before_plain.remove(name);
                    grants.deny(name);
                }
                Some(Item::Conditional(name, condition)) => {
                    let here = grants.0.entry(name.to_owned()).or_default();
                    if let Some(before) = before_plain.remove(name) {
                        *here = before;
                    }
                    here.allow_if(condition);
                }
                None => odd.push(item.as_str()),
            }
        }
        (grants, odd)
    }

    /// What is said of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Permission> {
        self.0.get(name)
    }

    /// Every name of which something is said, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Permission)> {
        self.0.iter().map(|(name, permission)| (name.as_str(), permission))
    }

    /// Whether a name is granted in such a session.
    #[must_use]
    pub fn is_granted(&self, name: &str, conditions: &Conditions) -> bool {
        self.get(name).is_some_and(|permission| permission.is_granted(conditions))
    }

    /// Whether layers below do not count for a name.
    #[must_use]
    pub fn resets(&self, name: &str) -> bool {
        self.get(name).is_some_and(|permission| permission.reset)
    }

    /// Grants a name.
    pub fn allow(&mut self, name: &str) {
        self.0.insert(name.to_owned(), Permission::ALLOWED);
    }

    /// Takes a name back.
    pub fn deny(&mut self, name: &str) {
        self.0.insert(name.to_owned(), Permission::DENIED);
    }

    /// Grants a name on one more condition.
    pub fn allow_if(&mut self, name: &str, condition: Condition) {
        self.0.entry(name.to_owned()).or_default().allow_if(condition);
    }

    /// Says nothing of a name any more.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Says nothing of any other name any more.
    pub fn keep_only(&mut self, name: &str) {
        self.0.retain(|known, _| known == name);
    }

    /// Puts a layer above this one (R43).
    pub fn merge(&mut self, upper: &Self) {
        for (name, above) in &upper.0 {
            self.0.entry(name.clone()).or_default().merge(above);
        }
    }

    /// As it is written, in order of the names (R52).
    #[must_use]
    pub fn items(&self, form: Form) -> Vec<String> {
        let mut items = Vec::new();
        for (name, permission) in &self.0 {
            if permission.allowed {
                items.push(name.clone());
            } else if permission.conditions.is_empty() {
                if form == Form::Stored {
                    items.push(format!("!{name}"));
                }
            } else {
                if permission.reset && form == Form::Stored {
                    items.push(format!("!{name}"));
                }
                items.push(name.clone());
                let conditions = permission.conditions.iter();
                let mut written: Vec<_> =
                    conditions.map(|condition| format!("if:{name}:{condition}")).collect();
                written.sort_unstable();
                items.append(&mut written);
            }
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Grants {
        let items: Vec<String> = list.split(';').map(str::to_owned).collect();
        let (grants, odd) = Grants::read(&items);
        assert_eq!(odd, [""; 0], "{list}");
        grants
    }

    fn stored(grants: &Grants) -> String {
        grants.items(Form::Stored).join(";")
    }

    fn merged(lower: &str, upper: &str) -> String {
        let mut grants = read(lower);
        grants.merge(&read(upper));
        stored(&grants)
    }

    #[test]
    fn r41_names_are_granted_or_taken_back() {
        let grants = read("wayland;!x11;future");
        assert!(grants.get("wayland").unwrap().is_allowed() && grants.resets("wayland"));
        assert!(!grants.get("x11").unwrap().is_allowed() && grants.resets("x11"));
        assert!(grants.get("pulseaudio").is_none());
        // R38: what is not known is kept.
        assert_eq!(stored(&grants), "future;wayland;!x11");
        assert_eq!(stored(&read("x11;!x11")), "!x11");
        assert_eq!(stored(&read("!x11;x11")), "x11");
    }

    #[test]
    fn r42_a_plain_name_before_a_condition_is_for_old_readers() {
        let only = read("x11;if:x11:!has-wayland");
        assert!(!only.resets("x11") && !only.get("x11").unwrap().is_allowed());
        let reset = read("!x11;x11;if:x11:!has-wayland");
        assert!(reset.resets("x11") && !reset.get("x11").unwrap().is_allowed());
        assert!(read("if:x11:true;x11").get("x11").unwrap().is_allowed());
        assert_eq!(stored(&read("if:x11:a;x11;if:x11:b")), "x11;if:x11:a;if:x11:b");
        // Names between them do not matter, and saying it twice changes nothing.
        assert_eq!(stored(&read("x11;x11;dri;if:x11:a")), "dri;x11;if:x11:a");
    }

    #[test]
    fn r43_layers_are_put_above_each_other() {
        assert_eq!(merged("x11;cups", "!x11"), "cups;!x11");
        assert_eq!(merged("!x11", "x11"), "x11");
        assert_eq!(merged("if:x11:a", "if:x11:b"), "x11;if:x11:a;if:x11:b");
        assert_eq!(merged("if:x11:a", "!x11;if:x11:b"), "!x11;x11;if:x11:b");
        assert_eq!(merged("if:x11:a", "x11"), "x11");
        assert_eq!(merged("x11", "if:x11:a"), "!x11;x11;if:x11:a");
    }

    #[test]
    fn r52_written_lists() {
        let grants = read("z;!y;!c;c;if:c:b;if:c:!a;if:d:a");
        assert_eq!(stored(&grants), "!c;c;if:c:!a;if:c:b;d;if:d:a;!y;z");
        let flattened = grants.items(Form::Flattened).join(";");
        assert_eq!(flattened, "c;if:c:!a;if:c:b;d;if:d:a;z");
    }

    #[test]
    fn items_that_mean_nothing_are_told() {
        // The last ones would be granted by those who read what was written.
        let items = [
            "",
            "!",
            "if:",
            "if:x11",
            "if::true",
            "if:x11:",
            "if:x11:!",
            "if:!x11:true",
            "\u{c}x11",
            "!\u{c}x11",
            "if:\u{c}x11:true",
        ];
        let items = items.map(str::to_owned);
        let (grants, odd) = Grants::read(&items);
        assert_eq!(grants, Grants::default());
        assert_eq!(odd, items);
    }
}
