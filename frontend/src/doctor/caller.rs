// SPDX-License-Identifier: MIT OR Apache-2.0
//! The process that asks: whose it is, and what it was already forbidden.

use caps::Capability;

use super::finding::{Finding, Remedy};
use super::root::Root;

/// From `/proc/self/status` and `/proc/self/attr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) uid: u32,
    /// The kernel ignores setuid bits and file capabilities.
    pub(super) no_new_privs: bool,
    /// Every program started from here can gain these capabilities at most.
    pub(super) bounding: u64,
    /// A seccomp filter is in force.
    pub(super) filtered: bool,
    /// The AppArmor profile, if AppArmor is active and it is not `unconfined`.
    pub(super) profile: Option<String>,
    /// The process sees ids through a user namespace other than the first one.
    pub(super) mapped: bool,
    /// `/` is not the root of a mount.
    pub(super) chrooted: bool,
    /// A container manager's mark is there.
    pub(super) container: bool,
}

impl Caller {
    /// Whether the kernel gives no privilege to any program that is started from here.
    pub(super) fn is_powerless(&self) -> bool {
        let admin = Capability::CAP_SYS_ADMIN.bitmask();
        self.no_new_privs || self.bounding & admin == 0
    }

    pub(super) fn find(root: &Root, uid: u32) -> Self {
        let status = root.read("proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
        };
        let bounding = field("CapBnd").and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let map = root.read("proc/self/uid_map").unwrap_or_default();
        let identity = ["0", "0", "4294967295"];
        let mounts = root.read("proc/self/mountinfo");
        Self {
            uid,
            no_new_privs: field("NoNewPrivs") == Some("1"),
            bounding: bounding.unwrap_or(u64::MAX),
            filtered: field("Seccomp") == Some("2"),
            profile: profile(root),
            mapped: !map.is_empty() && !map.split_ascii_whitespace().eq(identity),
            // The mount point is the fifth field. Only a chroot has a root that is none; one
            // that happens to be a mount point stays undetected.
            chrooted: mounts
                .is_some_and(|text| !text.lines().any(|line| line.split(' ').nth(4) == Some("/"))),
            container: root.exists(".dockerenv") || root.exists("run/.containerenv"),
        }
    }
}

/// What the caller's own state means for every sandbox it starts.
pub(super) fn judge(caller: &Caller) -> Finding {
    const NAME: &str = "caller";
    const POWERLESS: &str = "a helper started from here gets no privilege";
    let mut words = vec![format!("uid {}", caller.uid)];
    for (holds, what) in [
        (caller.container, "in a container"),
        (caller.mapped, "in a user namespace"),
        (caller.chrooted, "in a chroot"),
        (caller.filtered, "under a seccomp filter"),
    ] {
        if holds {
            words.push(what.to_owned());
        }
    }
    words.extend(caller.profile.iter().map(|profile| format!("AppArmor profile {profile}")));
    let detail = words.join(", ");
    if caller.uid == 0 {
        return Finding::limited(
            NAME,
            detail,
            "a sandbox that root starts is no boundary, and what is found here holds for root only",
        )
        .mend(Remedy::advice("run this as the user who will start sandboxes"));
    }
    if caller.no_new_privs {
        return Finding::limited(NAME, format!("{detail}, no_new_privs is set"), POWERLESS).mend(
            Remedy::advice(
                "start it outside of this sandbox, or of the service with NoNewPrivileges=yes",
            ),
        );
    }
    if caller.is_powerless() {
        let detail = format!("{detail}, the bounding set is without cap_sys_admin");
        return Finding::limited(NAME, detail, POWERLESS)
            .mend(Remedy::advice("start it outside of this container or service"));
    }
    Finding::good(NAME, detail)
}

fn profile(root: &Root) -> Option<String> {
    // The shared attribute file may belong to SELinux; AppArmor has had its own since Linux 5.8.
    let apparmor = root.word("sys/module/apparmor/parameters/enabled").as_deref() == Some("Y");
    let label = root
        .word("proc/self/attr/apparmor/current")
        .or_else(|| root.word("proc/self/attr/current"));
    label.filter(|label| apparmor && !label.is_empty() && label != "unconfined")
}

#[cfg(test)]
mod tests {
    use super::super::root::fake::Machine;
    use super::*;

    #[test]
    fn status_is_read() {
        let machine = Machine::new(&[
            (
                "proc/self/status",
                "Name:\tx\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n",
            ),
            ("proc/self/uid_map", "         0       1000          1\n"),
            ("proc/self/mountinfo", "22 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n"),
            ("proc/self/attr/current", "firefox (enforce)\n"),
            ("sys/module/apparmor/parameters/enabled", "Y\n"),
            ("run/.containerenv", ""),
        ]);
        let caller = Caller::find(&machine.root(), 1000);
        assert_eq!(
            caller,
            Caller {
                uid: 1000,
                no_new_privs: true,
                bounding: 0xa804_25fb,
                filtered: true,
                profile: Some("firefox (enforce)".to_owned()),
                mapped: true,
                chrooted: true,
                container: true,
            }
        );
    }

    #[test]
    fn an_ordinary_process_is_restricted_by_nothing() {
        let machine = Machine::new(&[
            ("proc/self/status", "CapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n"),
            ("proc/self/uid_map", "         0          0 4294967295\n"),
            ("proc/self/mountinfo", "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"),
            ("proc/self/attr/current", "system_u:system_r:unconfined_t:s0\n"),
        ]);
        let caller = Caller::find(&machine.root(), 1000);
        assert!(!caller.no_new_privs && !caller.filtered && !caller.mapped && !caller.chrooted);
        assert_eq!((&caller.profile, caller.container), (&None, false));
        assert_eq!(judge(&caller), Finding::good("caller", "uid 1000"));
    }
}
