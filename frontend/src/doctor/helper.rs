// SPDX-License-Identifier: MIT OR Apache-2.0
//! The helper as it is installed: owner, mode bits, file capabilities, and what makes the kernel
//! ignore them. Which mode it then runs in is found by `trial.rs`, which starts it.

use std::path::{Path, PathBuf};

use caps::Capability;
use nix::errno::Errno;
use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags};
use stockade_protocol::event::Mode;

use super::caller::Caller;
use super::distribution::Distribution;
use super::finding::{Finding, Remedy, quoted};
use super::trial::{self, Trial};
use crate::helper_path;

const NAME: &str = "helper";

/// What gives the helper its capabilities (design section 5): permitted only, so that none is in effect at its start.
const FILE_CAPABILITIES: &str = "cap_sys_admin,cap_mknod,cap_net_admin=p";

/// The package it comes in.
const PACKAGE: &str = "stockade-helper";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Helper {
    /// None, for this reason.
    Missing(String),
    Found(Installed),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) path: PathBuf,
    pub(super) uid: u32,
    pub(super) mode: u32,
    pub(super) capabilities: Option<FileCapabilities>,
    /// Its file system is mounted `nosuid`.
    pub(super) nosuid: bool,
    /// The caller may execute it.
    pub(super) executable: bool,
}

/// The attribute `security.capability`, `struct vfs_ns_cap_data` of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileCapabilities {
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
    /// They are raised at the program's start.
    pub(super) effective: bool,
}

impl FileCapabilities {
    /// `None` if the bytes are of no version that is known here (2 and 3).
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = bytes.chunks_exact(4).nth(at)?;
            Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
        };
        let magic = word(0)?;
        if !matches!((magic >> 24, bytes.len()), (2, 20) | (3, 24)) {
            return None;
        }
        Some(Self {
            permitted: word(1)? | word(3)? << 32,
            inheritable: word(2)? | word(4)? << 32,
            effective: magic & 1 != 0,
        })
    }

    fn words(self) -> String {
        let effective = if self.effective { "e" } else { "" };
        let inheritable = if self.inheritable == 0 {
            String::new()
        } else {
            format!(" {}=i", names(self.inheritable))
        };
        format!("{}={effective}p{inheritable}", names(self.permitted))
    }
}

/// Capabilities as `setcap(8)` writes them, in the order of their numbers.
fn names(mask: u64) -> String {
    let mut all: Vec<Capability> = caps::all().into_iter().collect();
    all.sort_by_key(Capability::index);
    let held = all.iter().filter(|capability| mask & capability.bitmask() != 0);
    held.map(|capability| capability.to_string().to_lowercase()).collect::<Vec<_>>().join(",")
}

impl Helper {
    pub(super) fn find() -> Self {
        let path = match helper_path::find() {
            Ok(path) => path,
            Err(error) => return Self::Missing(trial::chain(&error)),
        };
        match inspect(&path) {
            Ok(installed) => Self::Found(installed),
            Err(errno) => Self::Missing(format!("cannot look at {}: {errno}", path.display())),
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Missing(_) => None,
            Self::Found(installed) => Some(&installed.path),
        }
    }
}

/// Ways to get a helper; `needs_privilege` where it would be of no use without.
pub(super) fn install(distribution: Distribution, needs_privilege: bool) -> Vec<Remedy> {
    let mode = if needs_privilege { " HELPER_MODE=caps" } else { "" };
    vec![
        distribution.install(PACKAGE),
        Remedy::new(
            "install it from Stockade's sources",
            ["make build".to_owned(), format!("sudo make install{mode}")],
        ),
    ]
}

fn inspect(path: &Path) -> Result<Installed, Errno> {
    let errno = |errno: rustix::io::Errno| Errno::from_raw(errno.raw_os_error());
    let stat = rustix::fs::stat(path).map_err(errno)?;
    let flags = rustix::fs::statvfs(path).map_err(errno)?.f_flag;
    let mut bytes = [0_u8; 64];
    let capabilities = rustix::fs::getxattr(path, "security.capability", &mut bytes)
        .ok()
        .and_then(|length| bytes.get(..length))
        .and_then(FileCapabilities::parse);
    let executable = rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()).is_ok();
    Ok(Installed {
        path: path.to_owned(),
        uid: stat.st_uid,
        mode: stat.st_mode & 0o7777,
        capabilities,
        nosuid: flags.contains(StatVfsMountFlags::NOSUID),
        executable,
    })
}

impl Installed {
    fn setuid_root(&self) -> bool {
        self.mode & 0o4000 != 0 && self.uid == 0
    }

    fn capable(&self) -> bool {
        let admin = Capability::CAP_SYS_ADMIN.bitmask();
        self.capabilities.is_some_and(|held| held.permitted & admin != 0)
    }

    /// The privilege it is installed with, and why the kernel does not give it.
    fn privilege(&self, caller: &Caller) -> Option<(Mode, Option<&'static str>)> {
        let mode = if self.setuid_root() {
            Mode::SetuidRoot
        } else if self.capable() {
            Mode::FileCapabilities
        } else {
            return None;
        };
        let ignored = if self.nosuid {
            Some("its file system is mounted nosuid")
        } else if caller.no_new_privs {
            Some("no_new_privs is set")
        } else if caller.bounding & Capability::CAP_SYS_ADMIN.bitmask() == 0 {
            Some("the bounding set is without cap_sys_admin")
        } else {
            None
        };
        Some((mode, ignored))
    }

    /// What some of the file capabilities, without the others, are not enough for.
    fn lacking(&self) -> Option<&'static str> {
        let held = self.capabilities.filter(|_| !self.setuid_root())?;
        let lacks = |capability: Capability| held.permitted & capability.bitmask() == 0;
        if lacks(Capability::CAP_SYS_ADMIN) {
            Some("without cap_sys_admin the others are of no use, and it needs user namespaces")
        } else if lacks(Capability::CAP_NET_ADMIN) {
            Some("without cap_net_admin the loopback interface stays down in sandboxes")
        } else if lacks(Capability::CAP_MKNOD) {
            Some("without cap_mknod a private /dev takes the host's device nodes")
        } else {
            None
        }
    }

    /// The mode it should run in.
    pub(super) fn expected(&self, caller: &Caller) -> Mode {
        match self.privilege(caller) {
            _ if caller.uid == 0 => Mode::Root,
            Some((mode, None)) => mode,
            Some((_, Some(_))) | None => Mode::Unprivileged,
        }
    }

    fn words(&self) -> String {
        let owner = if self.uid == 0 { "root".to_owned() } else { format!("uid {}", self.uid) };
        let capabilities =
            self.capabilities.map_or("no file capabilities".to_owned(), FileCapabilities::words);
        let path = self.path.display();
        format!("{path}, owner {owner}, mode {:04o}, {capabilities}", self.mode)
    }
}

/// Gives the file capabilities to the helper at `path`.
pub(super) fn with_capabilities(path: &Path) -> Remedy {
    let path = quoted(&path.to_string_lossy());
    Remedy::new(
        "give the helper file capabilities",
        [
            format!("sudo chown root {path} && sudo chmod 0755 {path}"),
            format!("sudo setcap {FILE_CAPABILITIES} {path}"),
        ],
    )
}

/// Makes the helper at `path` setuid root.
pub(super) fn with_setuid(path: &Path) -> Remedy {
    let path = quoted(&path.to_string_lossy());
    Remedy::new(
        "make the helper setuid root",
        [format!("sudo chown root {path} && sudo chmod 4755 {path}")],
    )
}

/// Copies the helper at `path`, setuid root, to where packages put it.
pub(super) fn elsewhere(path: &Path) -> Remedy {
    let path = quoted(&path.to_string_lossy());
    Remedy::new(
        "put the helper on a file system that is not mounted nosuid, setuid root",
        [format!("sudo install -D -o root -g root -m 4755 {path} {}", helper_path::INSTALLED)],
    )
}

pub(super) fn judge(
    helper: &Helper,
    caller: &Caller,
    trial: &Trial,
    install: &[Remedy],
) -> Finding {
    let installed = match helper {
        Helper::Missing(why) => {
            return Finding::bad(NAME, why.clone(), "nothing else can build a sandbox")
                .mend_all(install.iter().cloned());
        }
        Helper::Found(installed) => installed,
    };
    let path = quoted(&installed.path.to_string_lossy());
    let detail = installed.words();
    if !installed.executable {
        return Finding::bad(NAME, detail, "it may not be executed")
            .mend(Remedy::new("let everyone execute it", [format!("sudo chmod a+rx {path}")]));
    }
    if installed.mode & 0o022 != 0 {
        let privileged = installed.setuid_root() || installed.capable();
        let cost = "others may change what it does";
        let finding = if privileged {
            Finding::bad(NAME, detail, cost)
        } else {
            Finding::limited(NAME, detail, cost)
        };
        return finding.mend(Remedy::new(
            "let only its owner write to it",
            [format!("sudo chmod go-w {path}")],
        ));
    }
    if installed.mode & 0o4000 != 0 && installed.uid != 0 {
        return Finding::bad(NAME, detail, "its setuid bit gives it another user's rights")
            .mend(with_setuid(&installed.path));
    }
    if let Some((_, Some(ignored))) = installed.privilege(caller) {
        let finding = Finding::limited(
            NAME,
            format!("{detail}; {ignored}"),
            "the kernel gives it no privilege, and it needs user namespaces",
        );
        return if installed.nosuid { finding.mend(elsewhere(&installed.path)) } else { finding };
    }
    if let Some(cost) = installed.lacking().filter(|_| caller.uid != 0) {
        return Finding::limited(NAME, detail, cost).mend(with_capabilities(&installed.path));
    }
    if installed.capabilities.is_some_and(|held| held.effective) {
        return Finding::limited(NAME, detail, "its capabilities are in effect from its start")
            .mend(with_capabilities(&installed.path));
    }
    let expected = installed.expected(caller);
    match trial {
        Trial::Works(mode, _) if *mode != expected => Finding::limited(
            NAME,
            format!(
                "{detail}; ran in mode {}, though {} was to be expected",
                trial::word(*mode),
                trial::word(expected)
            ),
            "something on this machine changes the rights of programs when they start",
        ),
        Trial::Works(..) | Trial::Fails(_) | Trial::NotTried => Finding::good(NAME, detail),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::finding::State;
    use super::super::root::fake::Machine;
    use super::*;

    /// An unprivileged helper at the place where packages put it.
    pub(in crate::doctor) fn installed() -> Installed {
        Installed {
            path: "/usr/libexec/stockade/stockade-helper".into(),
            uid: 0,
            mode: 0o755,
            capabilities: None,
            nosuid: false,
            executable: true,
        }
    }

    pub(in crate::doctor) const PERMITTED: FileCapabilities = FileCapabilities {
        permitted: 1 << 21 | 1 << 27 | 1 << 12,
        inheritable: 0,
        effective: false,
    };

    fn user() -> Caller {
        Caller::find(&Machine::new(&[]).root(), 1000)
    }

    fn judged(installed: Installed, caller: &Caller) -> Finding {
        judge(&Helper::Found(installed), caller, &Trial::NotTried, &[])
    }

    #[test]
    fn file_capabilities_are_read() {
        // setcap cap_sys_admin,cap_mknod,cap_net_admin=p
        let bytes = [0, 0, 0, 2, 0, 0x10, 0x20, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(FileCapabilities::parse(&bytes), Some(PERMITTED));
        assert_eq!(PERMITTED.words(), "cap_net_admin,cap_sys_admin,cap_mknod=p");
        assert_eq!(FileCapabilities::parse(&bytes[..12]), None);
        let mut raised = bytes;
        raised[0] = 1;
        assert!(FileCapabilities::parse(&raised).unwrap().effective);
    }

    #[test]
    fn the_mode_follows_from_bits_capabilities_and_caller() {
        let plain = installed();
        let setuid = Installed { mode: 0o4755, ..installed() };
        let capable = Installed { capabilities: Some(PERMITTED), ..installed() };
        let nosuid = Installed { nosuid: true, ..setuid.clone() };
        let foreign = Installed { uid: 1000, ..setuid.clone() };
        assert_eq!(plain.expected(&user()), Mode::Unprivileged);
        assert_eq!(setuid.expected(&user()), Mode::SetuidRoot);
        assert_eq!(capable.expected(&user()), Mode::FileCapabilities);
        assert_eq!(nosuid.expected(&user()), Mode::Unprivileged);
        assert_eq!(foreign.expected(&user()), Mode::Unprivileged);
        assert_eq!(plain.expected(&Caller { uid: 0, ..user() }), Mode::Root);
        let locked = Caller { no_new_privs: true, ..user() };
        assert_eq!(setuid.expected(&locked), Mode::Unprivileged);
        let bounded = Caller { bounding: 0, ..user() };
        assert_eq!(capable.expected(&bounded), Mode::Unprivileged);
    }

    #[test]
    fn unsafe_installations_are_bad() {
        let open = judged(Installed { mode: 0o4775, ..installed() }, &user());
        assert_eq!(open.state, State::Bad);
        let build = judged(Installed { mode: 0o775, uid: 1000, ..installed() }, &user());
        assert_eq!(build.state, State::Limited);
        let foreign = judged(Installed { mode: 0o4755, uid: 5, ..installed() }, &user());
        assert_eq!(
            foreign.remedy[0].commands,
            ["sudo chown root /usr/libexec/stockade/stockade-helper && \
              sudo chmod 4755 /usr/libexec/stockade/stockade-helper"]
        );
    }

    #[test]
    fn a_missing_capability_is_named() {
        let with = |permitted| {
            let some = FileCapabilities { permitted, ..PERMITTED };
            judged(Installed { capabilities: Some(some), ..installed() }, &user())
        };
        assert_eq!(with(PERMITTED.permitted).state, State::Good);
        for (gone, name) in [(21, "cap_sys_admin"), (12, "cap_net_admin"), (27, "cap_mknod")] {
            let finding = with(PERMITTED.permitted & !(1 << gone));
            assert_eq!(finding.state, State::Limited);
            assert!(finding.cost.unwrap().starts_with(&format!("without {name} ")));
        }
        let finding = with(1 << 21);
        assert_eq!(
            finding.remedy[0].commands[1],
            "sudo setcap cap_sys_admin,cap_mknod,cap_net_admin=p \
             /usr/libexec/stockade/stockade-helper"
        );
    }

    #[test]
    fn a_mode_that_was_not_to_be_expected_is_told() {
        let trial = Trial::Works(Mode::SetuidRoot, Vec::new());
        let finding = judge(&Helper::Found(installed()), &user(), &trial, &[]);
        assert_eq!(finding.state, State::Limited);
    }
}
