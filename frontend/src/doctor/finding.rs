// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was found out, as data. Words for one thing each; how they are laid out is `text.rs`'s and
//! `json.rs`'s business.

use serde::Serialize;

/// How good a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Nothing to do.
    Good,
    /// Sandboxes work, but something is lost; `cost` says what.
    Limited,
    /// This alone keeps sandboxes from working, or makes the installation unsafe.
    Bad,
}

/// One way to mend something. Where a finding has several, each is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Remedy {
    /// What it does, as a phrase.
    pub(super) what: String,
    /// The commands, to be given to a shell in this order; none where no command can do it.
    pub(super) commands: Vec<String>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Its stable name.
    pub(super) name: &'static str,
    pub(super) state: State,
    /// What was seen.
    pub(super) detail: String,
    /// What the user loses.
    pub(super) cost: Option<String>,
    pub(super) remedy: Vec<Remedy>,
}

impl Finding {
    pub(super) fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Good, detail: detail.into(), cost: None, remedy: Vec::new() }
    }

    pub(super) fn limited(
        name: &'static str,
        detail: impl Into<String>,
        cost: impl Into<String>,
    ) -> Self {
        Self { state: State::Limited, cost: Some(cost.into()), ..Self::good(name, detail) }
    }

    pub(super) fn bad(
        name: &'static str,
        detail: impl Into<String>,
        cost: impl Into<String>,
    ) -> Self {
        Self { state: State::Bad, cost: Some(cost.into()), ..Self::good(name, detail) }
    }

    pub(super) fn mend(mut self, remedy: Remedy) -> Self {
        self.remedy.push(remedy);
        self
    }

    pub(super) fn mend_all(mut self, remedies: impl IntoIterator<Item = Remedy>) -> Self {
        self.remedy.extend(remedies);
        self
    }
}

impl Remedy {
    pub(super) fn new<const N: usize>(what: impl Into<String>, commands: [String; N]) -> Self {
        Self { what: what.into(), commands: commands.into() }
    }

    /// Something that only the user or the administrator can decide how to do.
    pub(super) fn advice(what: impl Into<String>) -> Self {
        Self { what: what.into(), commands: Vec::new() }
    }

    /// Sets a kernel setting now and for every later start.
    pub(super) fn sysctl(what: impl Into<String>, setting: &str) -> Self {
        Self::new(
            what,
            [
                format!("sudo sysctl -w {setting}"),
                format!("echo {setting} | sudo tee -a /etc/sysctl.d/60-stockade.conf"),
            ],
        )
    }
}

/// `text` as one word of a shell command.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell_stay_one_word() {
        assert_eq!(quoted("/usr/libexec/a-b.c"), "/usr/libexec/a-b.c");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; rm"), r"'it'\''s; rm'");
        assert_eq!(quoted(""), "''");
    }
}
