// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an option leaves behind: a mark in [`Settings`](crate::bwrap::settings::Settings), an
//! operation, or a modifier for the next operation.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use stockade_protocol::request::Access;

use super::{Modifiers, Operands, Parser, Stop, word};
use crate::bwrap::option::{Meaning, Spelling};
use crate::bwrap::settings::{Action, CapabilityChange, Changes, Source, Step, Wish};
use crate::bwrap::{capability, number};
use crate::message::shown;

impl Parser<'_> {
    pub(super) fn apply(
        &mut self,
        spelling: &Spelling,
        operands: Operands<'_>,
    ) -> Result<(), Stop> {
        use Meaning as M;
        let name = spelling.name;
        match spelling.meaning {
            M::Help => return Err(Stop::Help),
            M::Version => return Err(Stop::Version),
            M::Arguments => self.splice(operands)?,
            M::LevelPrefix => self.parsed.settings.voice.level = true,
            M::UnshareAll
            | M::ShareNet
            | M::UnshareUser
            | M::UnshareUserTry
            | M::UnshareIpc
            | M::UnsharePid
            | M::UnshareNet
            | M::UnshareUts
            | M::UnshareCgroup
            | M::UnshareCgroupTry
            | M::DisableUserNamespaces
            | M::AssertUserNamespacesDisabled
            | M::NewSession
            | M::DieWithParent
            | M::AsPidOne
            | M::ForwardSignals
            | M::ScopeAbstractSockets
            | M::NotASecurityBoundary => self.flag(spelling.meaning),
            M::Uid => {
                let id = self.id("uid", operands)?;
                self.warn(name, self.parsed.settings.uid.is_some());
                self.parsed.settings.uid = Some(id);
            }
            M::Gid => {
                let id = self.id("gid", operands)?;
                self.warn(name, self.parsed.settings.gid.is_some());
                self.parsed.settings.gid = Some(id);
            }
            M::Hostname => {
                self.warn(name, self.parsed.settings.hostname.is_some());
                self.parsed.settings.hostname = operands.next();
            }
            M::Chdir => {
                self.warn(name, self.parsed.settings.directory.is_some());
                self.parsed.settings.directory = operands.next();
            }
            M::Argv0 => {
                if self.parsed.settings.argv0.is_some() {
                    return Err(self.fault("--argv0 used multiple times"));
                }
                self.parsed.settings.argv0 = operands.next();
            }
            M::ClearEnvironment => self.parsed.settings.environment.clear(),
            M::SetVariable => {
                let (variable, value) = (word(operands), word(operands));
                if !is_variable(&variable) {
                    return Err(self.fault("setenv failed"));
                }
                self.parsed.settings.set_variable(variable, value);
            }
            M::UnsetVariable => {
                let variable = word(operands);
                if !is_variable(&variable) {
                    return Err(self.fault("unsetenv failed"));
                }
                self.parsed.settings.unset_variable(&variable);
            }
            M::LockFile => self.parsed.settings.locks.extend(operands.next()),
            M::UserNamespace => self.descriptor(name, operands, |all| &mut all.user_namespace)?,
            M::SecondUserNamespace => {
                self.descriptor(name, operands, |all| &mut all.last_user_namespace)?
            }
            M::PidNamespace => self.descriptor(name, operands, |all| &mut all.pid_namespace)?,
            M::UserNamespaceBlockFd => self.descriptor(name, operands, |all| &mut all.map_gate)?,
            M::SyncFd => self.descriptor(name, operands, |all| &mut all.sync_fd)?,
            M::BlockFd => self.descriptor(name, operands, |all| &mut all.block_fd)?,
            M::InfoFd => self.descriptor(name, operands, |all| &mut all.info_fd)?,
            M::StatusFd => self.descriptor(name, operands, |all| &mut all.status_fd)?,
            M::Seccomp => {
                let fd = self.fd(operands)?;
                if !self.parsed.settings.filters.is_empty() {
                    return Err(self.fault("--seccomp cannot be combined with --add-seccomp-fd"));
                }
                let repeated = self.parsed.settings.seccomp.replace(fd).is_some();
                self.warn(name, repeated);
            }
            M::AddSeccomp => {
                let fd = self.fd(operands)?;
                if self.parsed.settings.seccomp.is_some() {
                    return Err(self.fault("--add-seccomp-fd cannot be combined with --seccomp"));
                }
                let read = self.descriptors.read(fd);
                let program = read.map_err(|e| self.errno("Can't read seccomp data", e))?;
                self.parsed.settings.closed.push(fd);
                self.parsed.settings.filters.push(program);
            }
            M::CapAdd | M::CapDrop => {
                let text = word(operands);
                let Some(mask) = capability::mask(&text) else {
                    return Err(self.fault(format!("unknown cap: {}", shown(&text))));
                };
                let adds = spelling.meaning == M::CapAdd;
                let change = if adds { CapabilityChange::Add } else { CapabilityChange::Drop };
                self.parsed.settings.capabilities.push(change(mask));
            }
            M::Permissions => self.modifiers.mode = Some(self.mode(name, operands)?),
            M::Size => {
                let Some(size) = number::size(&word(operands)) else {
                    return Err(self.fault("--size takes a non-zero number of bytes"));
                };
                self.modifiers.size = Some(size);
            }
            M::ExecLabel | M::FileLabel => {
                return Err(self.fault(if labels_are_on() {
                    format!("{name} is not supported: the sandbox keeps the label of its caller")
                } else {
                    String::from("labeling not supported on this system")
                }));
            }
            M::OverlaySource => self.modifiers.layers.push(word(operands)),
            M::Overlay
            | M::TemporaryOverlay
            | M::ReadOnlyOverlay
            | M::Bind
            | M::BindTry
            | M::DeviceBind
            | M::DeviceBindTry
            | M::ReadOnlyBind
            | M::ReadOnlyBindTry
            | M::BindFd
            | M::ReadOnlyBindFd
            | M::RemountReadOnly
            | M::Proc
            | M::Devices
            | M::Tmpfs
            | M::Mqueue
            | M::Directory
            | M::File
            | M::BindData
            | M::ReadOnlyBindData
            | M::Symlink
            | M::Chmod => {
                let step = self.step(spelling, operands)?;
                let action = Action { step, destination: word(operands) };
                self.parsed.settings.actions.push(action);
                self.modifiers = Modifiers::default();
            }
        }
        Ok(())
    }

    /// Options without operand that leave a mark.
    #[expect(clippy::wildcard_enum_match_arm, reason = "`apply` has sorted them")]
    fn flag(&mut self, meaning: Meaning) {
        use Meaning as M;
        let settings = &mut self.parsed.settings;
        match meaning {
            M::UnshareUser => {
                settings.user = Wish::Yes;
                self.parsed.explicit_user = true;
            }
            M::UnshareUserTry if settings.user == Wish::No => settings.user = Wish::Try,
            M::UnshareIpc => settings.ipc = true,
            M::UnsharePid => settings.pid = true,
            M::UnshareNet => settings.net = true,
            M::ShareNet => settings.net = false,
            M::UnshareUts => settings.uts = true,
            M::UnshareCgroup => settings.cgroup = Wish::Yes,
            M::UnshareCgroupTry if settings.cgroup == Wish::No => settings.cgroup = Wish::Try,
            M::UnshareAll => {
                let all = [
                    M::UnshareUserTry,
                    M::UnshareIpc,
                    M::UnsharePid,
                    M::UnshareNet,
                    M::UnshareUts,
                    M::UnshareCgroupTry,
                ];
                all.into_iter().for_each(|meaning| self.flag(meaning));
            }
            M::DisableUserNamespaces => settings.disable_user_namespaces = true,
            M::AssertUserNamespacesDisabled => settings.assert_user_namespaces_disabled = true,
            M::NewSession => settings.new_session = true,
            M::ForwardSignals => settings.forward_signals = true,
            M::ScopeAbstractSockets => settings.scope_abstract_sockets = true,
            M::DieWithParent => settings.die_with_parent = true,
            M::AsPidOne => settings.as_pid_one = true,
            // A permission to be less strict, of which no use is made; and what is said already.
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`apply` has sorted them")]
    /// What an operation does; its last operand, the destination, is left.
    fn step(&mut self, spelling: &Spelling, operands: Operands<'_>) -> Result<Step, Stop> {
        use Meaning as M;
        let bind = |source, access| Step::Bind { source, access };
        let (read_only, read_write) = (Access::ReadOnly, Access::ReadWrite);
        let Modifiers { mode, size, .. } = self.modifiers;
        Ok(match spelling.meaning {
            M::Bind => bind(Source::Path(word(operands)), read_write),
            M::BindTry => bind(Source::Optional(word(operands)), read_write),
            M::DeviceBind => bind(Source::Path(word(operands)), Access::Device),
            M::DeviceBindTry => bind(Source::Optional(word(operands)), Access::Device),
            M::ReadOnlyBind => bind(Source::Path(word(operands)), read_only),
            M::ReadOnlyBindTry => bind(Source::Optional(word(operands)), read_only),
            M::BindFd => bind(Source::Descriptor(self.fd(operands)?), read_write),
            M::ReadOnlyBindFd => bind(Source::Descriptor(self.fd(operands)?), read_only),
            M::Overlay => {
                let sources = self.layers(spelling.name, 1)?;
                let changes = Changes::Kept { upper: word(operands), work: word(operands) };
                Step::Overlay { sources, changes }
            }
            M::TemporaryOverlay => {
                let sources = self.layers(spelling.name, 1)?;
                Step::Overlay { sources, changes: Changes::Forgotten }
            }
            M::ReadOnlyOverlay => {
                let sources = self.layers(spelling.name, 2)?;
                Step::Overlay { sources, changes: Changes::Refused }
            }
            M::RemountReadOnly => Step::RemountReadOnly,
            M::Proc => Step::Proc,
            M::Devices => Step::Devices,
            M::Mqueue => Step::Mqueue,
            M::Tmpfs => Step::Tmpfs { mode, size },
            M::Directory => Step::Directory { mode },
            M::File => Step::File { fd: self.fd(operands)?, mode },
            M::BindData => Step::Data { fd: self.fd(operands)?, mode, writable: true },
            M::ReadOnlyBindData => Step::Data { fd: self.fd(operands)?, mode, writable: false },
            M::Symlink => Step::Symlink { target: word(operands) },
            M::Chmod => Step::Chmod { mode: self.mode(spelling.name, operands)? },
            _ => return Err(self.fault(format!("{} is no operation", spelling.name))),
        })
    }

    /// The layers of an overlay, which takes at least so many.
    fn layers(&mut self, name: &str, least: usize) -> Result<Vec<OsString>, Stop> {
        let layers = std::mem::take(&mut self.modifiers.layers);
        if layers.len() < least {
            let number = if least == 1 { "one" } else { "two" };
            return Err(self.fault(format!("{name} requires at least {number} --overlay-src")));
        }
        Ok(layers)
    }
}

fn is_variable(name: &OsStr) -> bool {
    !name.is_empty() && !name.as_bytes().contains(&b'=')
}

/// Whether SELinux is at work.
fn labels_are_on() -> bool {
    std::path::Path::new("/sys/fs/selinux/enforce").exists()
}
