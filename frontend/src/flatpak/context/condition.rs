// SPDX-License-Identifier: MIT OR Apache-2.0
//! On what a permission may depend (R39, R40).

use std::ffi::OsString;
use std::fmt;

use crate::permission::WordError;

/// What a session has, as far as conditions ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `has-wayland`: there is a Wayland compositor, whether it is granted or not.
    pub has_wayland: bool,
    /// `has-usb-portal`: the USB portal answers.
    pub has_usb_portal: bool,
}

impl Conditions {
    /// Every session there can be.
    pub const ALL: [Self; 4] = [
        Self { has_wayland: false, has_usb_portal: false },
        Self { has_wayland: false, has_usb_portal: true },
        Self { has_wayland: true, has_usb_portal: false },
        Self { has_wayland: true, has_usb_portal: true },
    ];
}

/// The conditions there are.
const WORDS: [&str; 6] =
    ["true", "false", "has-input-device", "has-usb-device", "has-wayland", "has-usb-portal"];

/// A condition, known or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    name: String,
    negated: bool,
}

impl Condition {
    /// Reads `NAME` or `!NAME`. None if there is no name.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (name, negated) = text.strip_prefix('!').map_or((text, false), |name| (name, true));
        (!name.is_empty()).then(|| Self { name: name.to_owned(), negated })
    }

    /// Reads one that must be known.
    ///
    /// # Errors
    /// [`WordError::Unknown`], with the words there are.
    pub fn parse(text: &str) -> Result<Self, WordError> {
        Self::read(text).filter(Self::is_known).ok_or_else(|| WordError::Unknown {
            word: OsString::from(text),
            kind: "condition",
            valid: WORDS.join(", "),
        })
    }

    /// Without a compositor: what `fallback-x11` stands for (R44).
    #[must_use]
    pub fn without_wayland() -> Self {
        Self { name: "has-wayland".to_owned(), negated: true }
    }

    /// Whether this implementation knows it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        WORDS.contains(&self.name.as_str())
    }

    /// Whether it is met. One that is not known is not, negated or not.
    #[must_use]
    pub fn holds(&self, conditions: &Conditions) -> bool {
        let holds = match self.name.as_str() {
            // The devices are permissions that this implementation knows, which is what is asked.
            "true" | "has-input-device" | "has-usb-device" => true,
            "false" => false,
            "has-wayland" => conditions.has_wayland,
            "has-usb-portal" => conditions.has_usb_portal,
            _ => return false,
        };
        holds != self.negated
    }
}

/// As it is written.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negated { "!" } else { "" }, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH_WAYLAND: Conditions = Conditions { has_wayland: true, has_usb_portal: false };

    fn holds(text: &str, conditions: &Conditions) -> bool {
        Condition::read(text).unwrap().holds(conditions)
    }

    #[test]
    fn r40_conditions_are_met_or_not() {
        let nothing = Conditions::default();
        for text in ["true", "has-input-device", "has-usb-device", "!false", "!has-wayland"] {
            assert!(holds(text, &nothing), "{text}");
        }
        for text in ["false", "!true", "!has-input-device", "has-wayland", "has-usb-portal"] {
            assert!(!holds(text, &nothing), "{text}");
        }
        assert!(holds("has-wayland", &WITH_WAYLAND) && !holds("!has-wayland", &WITH_WAYLAND));
    }

    #[test]
    fn t71_unknown_conditions_are_never_met() {
        for text in ["has-telepathy", "!has-telepathy", "!!true", "TRUE", " true"] {
            assert!(Conditions::ALL.iter().all(|conditions| !holds(text, conditions)), "{text}");
        }
    }

    #[test]
    fn r38_conditions_of_options_are_known_ones() {
        assert_eq!(Condition::parse("!has-wayland"), Ok(Condition::without_wayland()));
        for text in ["", "!", "has-x"] {
            let error = Condition::parse(text).unwrap_err().to_string();
            assert!(error.contains("has-usb-portal"), "{error}");
        }
    }
}
