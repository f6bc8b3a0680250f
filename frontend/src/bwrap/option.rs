// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options, as data: how each is written, what it takes, what it does in a few words.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// One option of the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spelling {
    pub(crate) name: &'static str,
    /// What its operands are called.
    pub(crate) operands: &'static [&'static str],
    pub(crate) help: &'static str,
    pub(crate) meaning: Meaning,
}

/// What an option means, before its operands are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Help,
    Version,
    Arguments,
    Argv0,
    LevelPrefix,
    UnshareAll,
    ShareNet,
    UnshareUser,
    UnshareUserTry,
    UnshareIpc,
    UnsharePid,
    UnshareNet,
    UnshareUts,
    UnshareCgroup,
    UnshareCgroupTry,
    UserNamespace,
    SecondUserNamespace,
    PidNamespace,
    DisableUserNamespaces,
    AssertUserNamespacesDisabled,
    Uid,
    Gid,
    Hostname,
    Chdir,
    ClearEnvironment,
    SetVariable,
    UnsetVariable,
    LockFile,
    SyncFd,
    BlockFd,
    UserNamespaceBlockFd,
    InfoFd,
    StatusFd,
    Bind,
    BindTry,
    DeviceBind,
    DeviceBindTry,
    ReadOnlyBind,
    ReadOnlyBindTry,
    BindFd,
    ReadOnlyBindFd,
    RemountReadOnly,
    OverlaySource,
    Overlay,
    TemporaryOverlay,
    ReadOnlyOverlay,
    ExecLabel,
    FileLabel,
    Proc,
    Devices,
    Tmpfs,
    Mqueue,
    Directory,
    File,
    BindData,
    ReadOnlyBindData,
    Symlink,
    Seccomp,
    AddSeccomp,
    NewSession,
    DieWithParent,
    AsPidOne,
    CapAdd,
    CapDrop,
    Permissions,
    Size,
    Chmod,
    NotASecurityBoundary,
    ForwardSignals,
    ScopeAbstractSockets,
}

const fn option(
    name: &'static str,
    operands: &'static [&'static str],
    help: &'static str,
    meaning: Meaning,
) -> Spelling {
    Spelling { name, operands, help, meaning }
}

/// Every option, in the order of the help.
pub(crate) const OPTIONS: [Spelling; 70] = {
    use Meaning as M;
    [
        option("--help", &[], "Print this help and exit", M::Help),
        option("--version", &[], "Print the version and exit", M::Version),
        option("--args", &["FD"], "Read more options from FD, separated by NUL", M::Arguments),
        option("--argv0", &["VALUE"], "Let COMMAND see VALUE as its own name", M::Argv0),
        option("--level-prefix", &[], "Put <3> or <4> in front of messages", M::LevelPrefix),
        option("--unshare-all", &[], "Make every namespace that can be made", M::UnshareAll),
        option("--share-net", &[], "Keep the network namespace after all", M::ShareNet),
        option("--unshare-user", &[], "Make a new user namespace", M::UnshareUser),
        option("--unshare-user-try", &[], "The same where that is possible", M::UnshareUserTry),
        option("--unshare-ipc", &[], "Make a new IPC namespace", M::UnshareIpc),
        option("--unshare-pid", &[], "Make a new pid namespace", M::UnsharePid),
        option("--unshare-net", &[], "Make a new network namespace", M::UnshareNet),
        option("--unshare-uts", &[], "Make a new UTS namespace", M::UnshareUts),
        option("--unshare-cgroup", &[], "Make a new cgroup namespace", M::UnshareCgroup),
        option("--unshare-cgroup-try", &[], "The same where that is possible", M::UnshareCgroupTry),
        option("--userns", &["FD"], "Enter this user namespace", M::UserNamespace),
        option("--userns2", &["FD"], "Enter this one once all is set up", M::SecondUserNamespace),
        option("--disable-userns", &[], "Allow no more user namespaces", M::DisableUserNamespaces),
        option(
            "--assert-userns-disabled",
            &[],
            "Fail where more user namespaces can be made",
            M::AssertUserNamespacesDisabled,
        ),
        option("--pidns", &["FD"], "Enter this pid namespace", M::PidNamespace),
        option("--uid", &["UID"], "User id in the sandbox", M::Uid),
        option("--gid", &["GID"], "Group id in the sandbox", M::Gid),
        option("--hostname", &["NAME"], "Host name in the sandbox", M::Hostname),
        option("--chdir", &["DIR"], "Change to DIR", M::Chdir),
        option("--clearenv", &[], "Unset every variable", M::ClearEnvironment),
        option("--setenv", &["VAR", "VALUE"], "Set a variable", M::SetVariable),
        option("--unsetenv", &["VAR"], "Unset a variable", M::UnsetVariable),
        option("--lock-file", &["DEST"], "Lock DEST while the sandbox runs", M::LockFile),
        option("--sync-fd", &["FD"], "Keep FD open while the sandbox runs", M::SyncFd),
        option("--bind", &["SRC", "DEST"], "Show SRC of the host as DEST", M::Bind),
        option("--bind-try", &["SRC", "DEST"], "The same if SRC exists", M::BindTry),
        option("--dev-bind", &["SRC", "DEST"], "The same, and devices work", M::DeviceBind),
        option("--dev-bind-try", &["SRC", "DEST"], "The same if SRC exists", M::DeviceBindTry),
        option("--ro-bind", &["SRC", "DEST"], "Show SRC as DEST, read-only", M::ReadOnlyBind),
        option("--ro-bind-try", &["SRC", "DEST"], "The same if SRC exists", M::ReadOnlyBindTry),
        option("--bind-fd", &["FD", "DEST"], "Show what FD is open on as DEST", M::BindFd),
        option("--ro-bind-fd", &["FD", "DEST"], "The same, read-only", M::ReadOnlyBindFd),
        option("--remount-ro", &["DEST"], "Make the mount DEST read-only", M::RemountReadOnly),
        option("--overlay-src", &["SRC"], "A layer for the next overlay", M::OverlaySource),
        option(
            "--overlay",
            &["RWSRC", "WORKDIR", "DEST"],
            "Mount the layers on DEST, with changes going to RWSRC",
            M::Overlay,
        ),
        option("--tmp-overlay", &["DEST"], "The same, changes are forgotten", M::TemporaryOverlay),
        option("--ro-overlay", &["DEST"], "The same, read-only", M::ReadOnlyOverlay),
        option("--exec-label", &["LABEL"], "SELinux context of COMMAND", M::ExecLabel),
        option("--file-label", &["LABEL"], "SELinux context of new files", M::FileLabel),
        option("--proc", &["DEST"], "Mount a procfs on DEST", M::Proc),
        option("--dev", &["DEST"], "Mount a small /dev on DEST", M::Devices),
        option("--tmpfs", &["DEST"], "Mount an empty tmpfs on DEST", M::Tmpfs),
        option("--mqueue", &["DEST"], "Mount the message queues on DEST", M::Mqueue),
        option("--dir", &["DEST"], "Make the directory DEST", M::Directory),
        option("--file", &["FD", "DEST"], "Copy what FD holds to the file DEST", M::File),
        option("--bind-data", &["FD", "DEST"], "The same in a file that is bound", M::BindData),
        option("--ro-bind-data", &["FD", "DEST"], "The same, read-only", M::ReadOnlyBindData),
        option("--symlink", &["SRC", "DEST"], "Make a symlink DEST that says SRC", M::Symlink),
        option("--seccomp", &["FD"], "Install the seccomp program in FD", M::Seccomp),
        option("--add-seccomp-fd", &["FD"], "The same, as often as needed", M::AddSeccomp),
        option("--block-fd", &["FD"], "Wait for FD before COMMAND runs", M::BlockFd),
        option(
            "--userns-block-fd",
            &["FD"],
            "Wait for FD before the user namespace is used",
            M::UserNamespaceBlockFd,
        ),
        option("--info-fd", &["FD"], "Write about the sandbox to FD", M::InfoFd),
        option("--json-status-fd", &["FD"], "Write about start and end to FD", M::StatusFd),
        option("--new-session", &[], "Start a new terminal session", M::NewSession),
        option("--die-with-parent", &[], "End when whoever started this does", M::DieWithParent),
        option("--as-pid-1", &[], "Run COMMAND as process 1", M::AsPidOne),
        option("--cap-add", &["CAP"], "Give COMMAND a capability", M::CapAdd),
        option("--cap-drop", &["CAP"], "Take a capability from COMMAND", M::CapDrop),
        option("--perms", &["OCTAL"], "Permissions of what the next option makes", M::Permissions),
        option("--size", &["BYTES"], "Size of the next tmpfs", M::Size),
        option("--chmod", &["OCTAL", "PATH"], "Change the permissions of PATH", M::Chmod),
        option(
            "--not-a-security-boundary",
            &[],
            "Accepted; nothing is done any less strictly for it",
            M::NotASecurityBoundary,
        ),
        option(
            "--forward-signals",
            &[],
            "Pass signals that come here on to COMMAND",
            M::ForwardSignals,
        ),
        option(
            "--scope-abstract-af-unix",
            &[],
            "Keep COMMAND from abstract sockets outside",
            M::ScopeAbstractSockets,
        ),
    ]
};

/// The option that is written like this.
pub(crate) fn find(word: &OsStr) -> Option<&'static Spelling> {
    OPTIONS.iter().find(|option| option.name.as_bytes() == word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_there_once() {
        let mut names: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPTIONS.len());
        assert!(names.iter().all(|name| name.starts_with("--")));
        assert!(find(OsStr::new("--bind")).is_some());
        assert!(find(OsStr::new("--bin")).is_none());
    }
}
