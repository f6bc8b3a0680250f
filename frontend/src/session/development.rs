// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands of the host for whoever may leave the sandbox (R213, R256).

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, NulError, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

use zbus::OwnedFd;
use zbus::fdo::{self, DBusProxy};
use zbus::message::Header;
use zbus::names::UniqueName;
use zbus::object_server::{ResponseDispatchNotifier, SignalEmitter};

use super::{VERSION, permission};
use crate::message::shown;
use crate::service::child::{self, Order};
use crate::service::children::{Children, Owner};

/// The object.
pub(super) const PATH: &str = "/org/freedesktop/Flatpak/Development";

/// The command gets nothing of this process's environment.
const CLEAR_ENVIRONMENT: u32 = 1;

/// The command is told to end when its caller leaves the bus.
const WATCH_BUS: u32 = 2;

/// Starts commands.
#[derive(Debug)]
pub(super) struct Development {
    children: Children,
}

impl Development {
    pub(super) fn new(children: Children) -> Self {
        Self { children }
    }
}

#[zbus::interface(name = "org.freedesktop.Flatpak.Development")]
impl Development {
    #[zbus(out_args("pid"))]
    #[expect(clippy::too_many_arguments, reason = "the interface has them")]
    async fn host_command(
        &self,
        cwd_path: Vec<u8>,
        argv: Vec<Vec<u8>>,
        fds: HashMap<u32, OwnedFd>,
        envs: HashMap<String, String>,
        flags: u32,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<ResponseDispatchNotifier<u32>> {
        let sender = sender(&header)?;
        let connection = emitter.connection().clone();
        permission::check(&connection, sender).await?;
        let order = order(cwd_path, argv, fds, envs, flags)?;
        let emitter = emitter.to_owned().set_destination(sender.to_owned().into());
        let (answer, answered) = sync_channel(1);
        let ended = move |pid, status| {
            // Nobody knows what it is about before the answer to the call.
            let Ok(answered) = answered.recv() else { return };
            zbus::block_on(async {
                answered.await;
                // The caller may have left.
                emitter.host_command_exited(pid, status).await.ok();
            });
        };
        let owner = Owner { name: sender, is_watched: flags & WATCH_BUS != 0 };
        let pid = self.children.start(order, owner, ended)?;
        if owner.is_watched {
            // It may have left before there was anything to end.
            let bus = DBusProxy::new(&connection).await?;
            if !bus.name_has_owner(sender.clone().into()).await? {
                self.children.owner_left(sender);
            }
        }
        let (response, dispatched) = ResponseDispatchNotifier::new(pid);
        answer.send(dispatched).ok();
        Ok(response)
    }

    #[zbus(out_args())]
    fn host_command_signal(
        &self,
        pid: u32,
        signal: u32,
        to_process_group: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        Ok(self.children.signal(sender(&header)?, pid, signal, to_process_group)?)
    }

    #[zbus(signal)]
    async fn host_command_exited(
        emitter: &SignalEmitter<'_>,
        pid: u32,
        exit_status: u32,
    ) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "const"), name = "version")]
    fn version(&self) -> u32 {
        VERSION
    }
}

/// Who calls. The bus says so in every message.
fn sender<'a>(header: &'a Header<'_>) -> fdo::Result<&'a UniqueName<'a>> {
    let nobody =
        "cannot run commands for nobody\nthe call has no sender\ncall through a message bus";
    header.sender().ok_or_else(|| fdo::Error::AccessDenied(nobody.to_owned()))
}

/// The command as it was asked for.
fn order(
    directory: Vec<u8>,
    words: Vec<Vec<u8>>,
    descriptors: HashMap<u32, OwnedFd>,
    variables: HashMap<String, String>,
    flags: u32,
) -> fdo::Result<Order> {
    if flags & !(CLEAR_ENVIRONMENT | WATCH_BUS) != 0 {
        return Err(fdo::Error::InvalidArgs(format!(
            "cannot run a command with the flags {flags:#x}\nonly {CLEAR_ENVIRONMENT} and {WATCH_BUS} \
             are known\nleave the others out"
        )));
    }
    let directory = text(directory)?.into_bytes();
    let directory = Some(directory).filter(|path| !path.is_empty());
    let words = words.into_iter().map(text).collect::<fdo::Result<_>>()?;
    let environment = environment(variables, flags & CLEAR_ENVIRONMENT != 0)?;
    let descriptors = descriptors.into_iter().map(|(number, fd)| (number, fd.into())).collect();
    let directory = directory.map(|path| PathBuf::from(OsString::from_vec(path)));
    Ok(Order { words, directory, environment, descriptors })
}

/// A text that travels as bytes, with a NUL at the end.
fn text(mut bytes: Vec<u8>) -> fdo::Result<CString> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    CString::new(bytes).map_err(no_nul)
}

fn no_nul(_: NulError) -> fdo::Error {
    let text =
        "cannot run a command with a NUL in a text\nno program can be given one\nleave it out";
    fdo::Error::InvalidArgs(text.to_owned())
}

/// The variables of a command: this process's own, unless they are not wanted, and those that were
/// given.
fn environment(given: HashMap<String, String>, clear: bool) -> fdo::Result<Vec<CString>> {
    let mut variables = BTreeMap::new();
    if !clear {
        variables.extend(std::env::vars_os());
    }
    for (name, value) in given {
        if name.is_empty() || name.contains('=') {
            return Err(fdo::Error::InvalidArgs(format!(
                "cannot set the variable '{}'\nno variable has such a name\nleave it out",
                shown(&name)
            )));
        }
        variables.insert(name.into(), value.into());
    }
    child::environment(variables).map_err(no_nul)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(given: &[(&str, &str)]) -> HashMap<String, String> {
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn refused(words: &[&[u8]], given: &[(&str, &str)], flags: u32) -> String {
        let words = words.iter().map(|word| word.to_vec()).collect();
        let order = order(b"/\0".to_vec(), words, HashMap::new(), variables(given), flags);
        let Err(fdo::Error::InvalidArgs(text)) = order else { panic!("{order:?}") };
        text
    }

    #[test]
    fn r256_texts_come_with_their_nul_or_without() {
        let words = vec![b"a\0".to_vec(), b"b".to_vec(), Vec::new()];
        let made = order(b"/tmp\0".to_vec(), words, HashMap::new(), HashMap::new(), 1).unwrap();
        assert_eq!(made.words, [c"a".to_owned(), c"b".to_owned(), c"".to_owned()]);
        assert_eq!(made.directory, Some("/tmp".into()));
        let made = order(b"\0".to_vec(), Vec::new(), HashMap::new(), HashMap::new(), 1).unwrap();
        assert_eq!(made.directory, None);
    }

    #[test]
    fn r256_variables_are_added_or_stand_alone() {
        let given = || variables(&[("PATH", "/x"), ("B", "b=c"), ("A", "")]);
        let alone = environment(given(), true).unwrap();
        assert_eq!(alone, [c"A=".to_owned(), c"B=b=c".to_owned(), c"PATH=/x".to_owned()]);
        let added = environment(given(), false).unwrap();
        assert!(alone.iter().all(|entry| added.contains(entry)) && added.len() > alone.len());
        let paths = added.iter().filter(|entry| entry.to_bytes().starts_with(b"PATH="));
        assert_eq!(paths.count(), 1);
    }

    #[test]
    fn r256_what_cannot_be_done_is_refused() {
        assert!(refused(&[b"true"], &[], 4).contains("0x4"));
        assert!(refused(&[b"true"], &[], 7).contains("0x7"));
        assert!(refused(&[b"a\0b"], &[], 0).contains("NUL"));
        for name in ["", "A=B", "\u{1b}="] {
            assert!(!refused(&[b"true"], &[(name, "")], 0).contains('\u{1b}'));
        }
        assert!(refused(&[b"true"], &[("A", "b\0c")], 0).contains("NUL"));
    }
}
