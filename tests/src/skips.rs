// SPDX-License-Identifier: MIT OR Apache-2.0
//! `allowed-skips.txt`: what may be skipped where. Any other skip is a failure.

use std::path::Path;

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pattern: String,
    mode: String,
    condition: String,
}

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Rule>);

impl Allowed {
    /// The list as it was when the suite was built.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(include_str!("../allowed-skips.txt")).expect("allowed-skips.txt is well-formed")
    }

    /// Reads `PATTERN MODE CONDITION` lines; `#` begins a comment, `*` stands for anything.
    ///
    /// # Errors
    /// The first line that has another form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> =
                line.split('#').next().unwrap_or("").split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [pattern, mode, condition] if holds(condition).is_some() => rules.push(Rule {
                    pattern: (*pattern).to_owned(),
                    mode: (*mode).to_owned(),
                    condition: (*condition).to_owned(),
                }),
                _ => return Err(format!("allowed-skips.txt: {line}")),
            }
        }
        Ok(Self(rules))
    }

    /// Whether the case may be skipped in this mode on this machine.
    #[must_use]
    pub fn allow(&self, name: &str, mode: &str) -> bool {
        self.0.iter().any(|rule| {
            matches(&rule.pattern, name)
                && matches(&rule.mode, mode)
                && holds(&rule.condition) == Some(true)
        })
    }
}

/// Whether a condition of the list holds here; nothing if there is no such condition.
fn holds(condition: &str) -> Option<bool> {
    Some(match condition {
        "always" => true,
        "ordinary-user" => !nix::unistd::geteuid().is_root(),
        "no-unprivileged-userns" => {
            let switch = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
            switch("/proc/sys/kernel/unprivileged_userns_clone").trim() == "0"
                || switch("/proc/sys/user/max_user_namespaces").trim() == "0"
                || switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").trim() == "1"
        }
        "mount-setattr" => kernel().is_some_and(|version| version >= (5, 12)),
        "no-landlock-tcp" => landlock_abi() < 4,
        "no-landlock-scopes" => landlock_abi() < 6,
        "no-bash" => !Path::new("/bin/bash").exists(),
        "no-compiler" => !Path::new("/usr/bin/cc").exists() && !Path::new("/usr/bin/gcc").exists(),
        "yama" => std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
            .is_ok_and(|scope| scope.trim() != "0"),
        "no-keyrings" => !Path::new("/proc/keys").exists(),
        "other-processor" => cfg!(not(target_arch = "x86_64")),
        "few-descriptors" => {
            let limit = nix::sys::resource::Resource::RLIMIT_NOFILE;
            nix::sys::resource::getrlimit(limit).is_ok_and(|(_, hard)| hard < 4096)
        }
        "fixed-quotas" => std::fs::OpenOptions::new()
            .write(true)
            .open("/proc/sys/user/max_net_namespaces")
            .is_err(),
        "no-restriction" => !restricted(),
        "no-buses" => no_buses(),
        _ => return None,
    })
}

/// Whether nothing makes a session with a bus, or filters it.
#[must_use]
pub fn no_buses() -> bool {
    let programs = ["dbus-run-session", "gdbus", "xdg-dbus-proxy", "pgrep"];
    !programs.iter().all(|name| Path::new("/usr/bin").join(name).exists())
}

/// Whether `tests/kernel/restricted.apparmor` is loaded.
#[must_use]
pub fn restricted() -> bool {
    std::fs::read_to_string("/sys/kernel/security/apparmor/profiles")
        .is_ok_and(|profiles| profiles.lines().any(|profile| profile == "restricted (enforce)"))
}

/// The first two numbers of the kernel's release.
#[must_use]
pub fn kernel() -> Option<(u32, u32)> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The newest Landlock ABI of the kernel, 0 without Landlock.
#[must_use]
pub fn landlock_abi() -> i64 {
    const VERSION: i64 = 1;
    // SAFETY: with the version flag the call takes no address.
    unsafe { crate::sys::call(libc::SYS_landlock_create_ruleset, [0, 0, VERSION, 0, 0]) }
        .unwrap_or(0)
}

/// Whether `text` fits `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && matches(rest, &text[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        assert!(matches("*", "a"));
        assert!(matches("a::*::c", "a::b::c"));
        assert!(!matches("a::*::c", "a::b::d"));
        assert!(!matches("a", "ab"));
    }

    #[test]
    fn only_listed_skips_are_allowed() {
        let list = Allowed::parse("exec::* setuid always # why\n\n# nothing\n").unwrap();
        assert!(list.allow("exec::a", "setuid"));
        assert!(!list.allow("exec::a", "file-caps"));
        assert!(!list.allow("raw::a", "setuid"));
        assert!(Allowed::parse("exec::*  setuid  moonshine").is_err());
        assert!(Allowed::parse("exec::* setuid").is_err());
    }

    #[test]
    fn the_list_of_the_repository_can_be_read() {
        assert!(!Allowed::built_in().0.is_empty());
    }
}
