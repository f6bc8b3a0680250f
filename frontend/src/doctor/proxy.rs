// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bus proxy: an external program, started only to tell its version.

use std::path::PathBuf;
use std::process::Command;

use super::distribution::Distribution;
use super::finding::Finding;
use super::probe;
use super::session::Session;

/// xdg-dbus-proxy as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proxy {
    Missing,
    /// It is there, but did not tell its version.
    Silent(PathBuf),
    Version(PathBuf, [u32; 3]),
}

impl Proxy {
    pub(super) fn find(session: &Session) -> Self {
        let candidates = session.path.iter().map(|directory| directory.join("xdg-dbus-proxy"));
        let executable =
            |path: &PathBuf| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
        let Some(path) = candidates.filter(|path| path.is_file()).find(executable) else {
            return Self::Missing;
        };
        let text = probe::output(Command::new(&path).arg("--version")).map(|(text, _)| text);
        match text.ok().and_then(|text| version(&text)) {
            Some(version) => Self::Version(path, version),
            None => Self::Silent(path),
        }
    }
}

/// The last word of `xdg-dbus-proxy 0.1.8` as numbers.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.split_ascii_whitespace().last()?.split('.');
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

pub(super) fn judge(proxy: &Proxy, distribution: Distribution) -> Finding {
    const NAME: &str = "dbus-proxy";
    // Older ones let messages through that the rules should stop: GHSA-r7hp-698j-2h6c.
    const WANTED: [u32; 3] = [0, 1, 8];
    const LEAKS: &str = "it lets some broadcasts through that the sandbox should not see";
    let (path, [major, minor, patch]) = match proxy {
        Proxy::Missing => {
            return Finding::limited(
                NAME,
                "xdg-dbus-proxy is not in PATH",
                "applications have no access to D-Bus, and so no portals",
            )
            .mend(distribution.install("xdg-dbus-proxy"));
        }
        Proxy::Silent(path) => {
            let detail = format!("{} does not tell its version", path.display());
            return Finding::limited(NAME, detail, "it is not known whether it is safe");
        }
        Proxy::Version(path, version) => (path, *version),
    };
    let detail = format!("{}, version {major}.{minor}.{patch}", path.display());
    if [major, minor, patch] >= WANTED {
        Finding::good(NAME, detail)
    } else {
        Finding::limited(NAME, format!("{detail}; 0.1.8 is wanted"), LEAKS)
            .mend(distribution.install("xdg-dbus-proxy"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn an_old_proxy_is_a_limit() {
        let state = |text: &str| {
            let proxy = Proxy::Version("/usr/bin/xdg-dbus-proxy".into(), version(text).unwrap());
            judge(&proxy, Distribution::Apt).state
        };
        assert_eq!(state("xdg-dbus-proxy 0.1.8\n"), State::Good);
        assert_eq!(state("xdg-dbus-proxy 0.1.10"), State::Good);
        assert_eq!(state("0.2.0"), State::Good);
        assert_eq!(state("xdg-dbus-proxy 0.1.4"), State::Limited);
        assert_eq!(version("unknown option"), None);
        assert_eq!(
            judge(&Proxy::Missing, Distribution::Dnf).remedy[0].commands,
            ["sudo dnf install xdg-dbus-proxy"]
        );
    }
}
