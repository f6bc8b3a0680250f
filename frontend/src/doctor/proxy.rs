// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bus proxy: an external program, started only to tell its version.

use std::path::PathBuf;

use super::distribution::Distribution;
use super::finding::Finding;
use super::probe;
use super::session::Session;
use crate::bus::program::{NAME as PACKAGE, Program, Version, WANTED};

/// xdg-dbus-proxy as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proxy {
    Missing,
    /// It is there, but did not tell its version.
    Silent(PathBuf),
    Version(PathBuf, Version),
}

impl Proxy {
    pub(super) fn find(session: &Session) -> Self {
        let Some(program) = Program::find(session.proxy.as_deref(), &session.path) else {
            return Self::Missing;
        };
        let path = program.path().to_owned();
        let text = probe::output(&mut program.question()).map(|(text, _)| text);
        match text.ok().and_then(|text| Version::read(&text)) {
            Some(version) => Self::Version(path, version),
            None => Self::Silent(path),
        }
    }
}

pub(super) fn judge(proxy: &Proxy, distribution: Distribution) -> Finding {
    const NAME: &str = "dbus-proxy";
    const LEAKS: &str = "it lets some broadcasts through that the sandbox should not see";
    let (path, version) = match proxy {
        Proxy::Missing => {
            return Finding::limited(
                NAME,
                "xdg-dbus-proxy is not in PATH",
                "applications have no access to D-Bus, and so no portals",
            )
            .mend(distribution.install(PACKAGE));
        }
        Proxy::Silent(path) => {
            let detail = format!("{} does not tell its version", path.display());
            return Finding::limited(NAME, detail, "it is not known whether it is safe");
        }
        Proxy::Version(path, version) => (path, *version),
    };
    let detail = format!("{}, version {version}", path.display());
    if version >= WANTED {
        Finding::good(NAME, detail)
    } else {
        Finding::limited(NAME, format!("{detail}; {WANTED} is wanted"), LEAKS)
            .mend(distribution.install(PACKAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn an_old_proxy_is_a_limit() {
        let state = |text: &str| {
            let version = Version::read(text).unwrap();
            let proxy = Proxy::Version("/usr/bin/xdg-dbus-proxy".into(), version);
            judge(&proxy, Distribution::Apt).state
        };
        assert_eq!(state("xdg-dbus-proxy 0.1.8\n"), State::Good);
        assert_eq!(state("xdg-dbus-proxy 0.1.10"), State::Good);
        assert_eq!(state("0.2.0"), State::Good);
        assert_eq!(state("xdg-dbus-proxy 0.1.4"), State::Limited);
        assert_eq!(
            judge(&Proxy::Missing, Distribution::Dnf).remedy[0].commands,
            ["sudo dnf install xdg-dbus-proxy"]
        );
    }
}
