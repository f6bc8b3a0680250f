// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options that do not go together, in the order in which callers expect to hear of it.

use super::message::Fault;
use super::parse::Parsed;
use super::settings::{Settings, Wish};

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Checks the combination, and settles what follows from it. None if there is no command.
pub(crate) fn check(parsed: Parsed, ids: Ids) -> Result<Option<Settings>, Fault> {
    let Parsed { mut settings, explicit_user } = parsed;
    let fault = |text: &str| Err(Fault::new(text));
    let given = settings.user_namespace.is_some();
    let mapped = settings.map_gate.is_some();
    if mapped && !explicit_user {
        return fault("--userns-block-fd requires --unshare-user");
    }
    if mapped && settings.info_fd.is_none() {
        return fault("--userns-block-fd requires --info-fd");
    }
    if given && explicit_user {
        return fault("--userns not compatible --unshare-user");
    }
    if given && settings.user == Wish::Try {
        return fault("--userns not compatible --unshare-user-try");
    }
    if settings.disable_user_namespaces && !explicit_user {
        return fault("--disable-userns requires --unshare-user");
    }
    if settings.disable_user_namespaces && mapped {
        return fault("--disable-userns is not compatible with  --userns-block-fd");
    }
    if settings.last_user_namespace.is_some() && !given {
        return fault("--userns2 requires --userns");
    }
    if ids.uid != 0 && !given {
        settings.user = Wish::Yes;
    }
    if settings.user == Wish::Try {
        settings.user = if kernel_can() { Wish::Yes } else { Wish::No };
    }
    if settings.command.is_empty() {
        return Ok(None);
    }
    let own = settings.user == Wish::Yes || given;
    if settings.uid.is_some_and(|uid| uid != ids.uid) && !own {
        return fault("Specifying --uid requires --unshare-user or --userns");
    }
    if settings.gid.is_some_and(|gid| gid != ids.gid) && !own {
        return fault("Specifying --gid requires --unshare-user or --userns");
    }
    if settings.hostname.is_some() && !settings.uts {
        return fault("Specifying --hostname requires --unshare-uts");
    }
    if settings.as_pid_one && !settings.pid {
        return fault("Specifying --as-pid-1 requires --unshare-pid");
    }
    if settings.as_pid_one && !settings.locks.is_empty() {
        return fault("Specifying --as-pid-1 and --lock-file is not permitted");
    }
    Ok(Some(settings))
}

/// Whether the kernel has user namespaces and allows one at all.
fn kernel_can() -> bool {
    let limit = std::fs::read_to_string("/proc/sys/user/max_user_namespaces");
    std::path::Path::new("/proc/self/ns/user").exists()
        && limit.map_or(true, |limit| limit.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn checked(arguments: &[&str], uid: u32) -> Result<Option<Settings>, String> {
        struct None;
        impl super::super::descriptors::Descriptors for None {
            fn read(&mut self, _: u32) -> Result<Vec<u8>, rustix::io::Errno> {
                Ok(Vec::new())
            }
        }
        let words = arguments.iter().map(OsString::from).collect();
        let parsed = super::super::parse::parse(words, Vec::new(), &mut None).unwrap();
        check(parsed, Ids { uid, gid: 5 }).map_err(|fault| fault.text().to_owned())
    }

    #[test]
    fn impossible_combinations_are_refused() {
        for (arguments, text) in [
            (&["--disable-userns", "x"][..], "--disable-userns requires --unshare-user"),
            (&["--userns", "9", "--unshare-user", "x"], "--userns not compatible --unshare-user"),
            (
                &["--userns", "9", "--unshare-all", "x"],
                "--userns not compatible --unshare-user-try",
            ),
            (
                &["--userns", "9", "--disable-userns", "x"],
                "--disable-userns requires --unshare-user",
            ),
            (&["--userns2", "9", "x"], "--userns2 requires --userns"),
            (
                &["--userns-block-fd", "9", "--info-fd", "8", "x"],
                "--userns-block-fd requires --unshare-user",
            ),
            (
                &["--userns-block-fd", "9", "--unshare-user", "x"],
                "--userns-block-fd requires --info-fd",
            ),
            (&["--hostname", "a", "x"], "Specifying --hostname requires --unshare-uts"),
            (&["--as-pid-1", "x"], "Specifying --as-pid-1 requires --unshare-pid"),
            (
                &["--unshare-pid", "--as-pid-1", "--lock-file", "/a", "x"],
                "Specifying --as-pid-1 and --lock-file is not permitted",
            ),
        ] {
            assert_eq!(checked(arguments, 7).unwrap_err(), text);
        }
        let text = "Specifying --uid requires --unshare-user or --userns";
        assert_eq!(checked(&["--uid", "7", "x"], 0).unwrap_err(), text);
        assert!(checked(&["--uid", "8", "x"], 7).is_ok(), "implied for ordinary users");
        assert!(checked(&["--userns", "9", "--uid", "7", "x"], 0).is_ok());
        assert!(checked(&["--gid", "5", "x"], 0).is_ok(), "nothing changes");
    }

    #[test]
    fn no_command_is_found_out_after_the_first_checks() {
        assert_eq!(checked(&["--hostname", "a"], 7), Ok(None));
        assert!(checked(&["--disable-userns"], 7).is_err());
    }
}
