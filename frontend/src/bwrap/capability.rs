// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names of capabilities, as libcap knows them.

use std::ffi::OsStr;

/// By their numbers, `capabilities(7)`.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// All that there are.
pub(crate) const ALL: u64 = (1 << NAMES.len()) - 1;

/// The capability of this name as a mask; `ALL` is all of them.
pub(crate) fn mask(name: &OsStr) -> Option<u64> {
    let name = name.to_str()?.to_ascii_lowercase();
    if name == "all" {
        return Some(ALL);
    }
    let name = name.strip_prefix("cap_")?;
    let number = NAMES.iter().position(|known| *known == name)?;
    1_u64.checked_shl(u32::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_without_regard_to_case() {
        assert_eq!(mask(OsStr::new("CAP_CHOWN")), Some(1));
        assert_eq!(mask(OsStr::new("cap_net_admin")), Some(1 << 12));
        assert_eq!(mask(OsStr::new("Cap_Checkpoint_Restore")), Some(1 << 40));
        assert_eq!(mask(OsStr::new("all")), Some(ALL));
        assert_eq!(mask(OsStr::new("ALL")), Some((1 << 41) - 1));
        assert_eq!(mask(OsStr::new("CAP_")), None);
        assert_eq!(mask(OsStr::new("chown")), None);
    }
}
