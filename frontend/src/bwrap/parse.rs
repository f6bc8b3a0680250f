// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line as typed becomes [`Settings`]. Order counts: operations are collected in
//! order, the environment is edited as the options are met, `--args` is spliced in at its place.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::io::Errno;
use stockade_protocol::request::Access;

use super::capability;
use super::message::{Fault, Voice};
use super::number;
use super::option::{self, Meaning, Spelling};
use super::settings::{Action, CapabilityChange, Settings, Source, Step, Wish};
use crate::message::shown;

/// Most words, those of `--args` included. Anything that a Linux command line holds fits.
const WORDS: usize = 1_000_000;

/// Why parsing stopped early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Something was wrong. How to say so depends on what was parsed before.
    Fault(Fault, Voice),
    /// `--help`.
    Help,
    /// `--version`.
    Version,
}

/// Reads descriptors that the caller left open, once each.
pub(crate) trait Descriptors {
    /// Everything up to the end. The descriptor is closed then.
    fn read(&mut self, number: u32) -> Result<Vec<u8>, Errno>;
}

/// Descriptors of this process.
pub(crate) struct Inherited;

impl Descriptors for Inherited {
    fn read(&mut self, number: u32) -> Result<Vec<u8>, Errno> {
        let fd = super::inherit::duplicate(number)?;
        let bytes = read_all(&fd)?;
        drop(fd);
        super::inherit::close(number);
        Ok(bytes)
    }
}

/// Reads a descriptor to its end.
pub(crate) fn read_all(fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// What was typed, with what only the parser and the checks need to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) settings: Settings,
    /// `--unshare-user` itself.
    pub(crate) explicit_user: bool,
}

/// Modifiers that wait for their operation.
#[derive(Debug, Default)]
struct Modifiers {
    mode: Option<u32>,
    size: Option<u64>,
}

struct Parser<'a> {
    parsed: Parsed,
    modifiers: Modifiers,
    words: usize,
    descriptors: &'a mut dyn Descriptors,
}

/// Parses what stands behind the program's name, in an environment.
pub(crate) fn parse(
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    descriptors: &mut dyn Descriptors,
) -> Result<Parsed, Stop> {
    let mut parser = Parser {
        parsed: Parsed::default(),
        modifiers: Modifiers::default(),
        words: 0,
        descriptors,
    };
    parser.parsed.settings.environment = environment;
    parser.count(arguments.len())?;
    parser.parsed.settings.command = parser.options(arguments, false)?;
    Ok(parser.parsed)
}

type Operands<'a> = &'a mut dyn Iterator<Item = OsString>;

impl Parser<'_> {
    fn fault(&self, text: impl Into<String>) -> Stop {
        Stop::Fault(Fault::new(text), self.parsed.settings.voice)
    }

    fn errno(&self, text: &str, errno: Errno) -> Stop {
        Stop::Fault(Fault::errno(text, errno), self.parsed.settings.voice)
    }

    fn count(&mut self, words: usize) -> Result<(), Stop> {
        self.words = self.words.saturating_add(words);
        if self.words > WORDS {
            return Err(self.fault(format!("Exceeded maximum number of arguments {WORDS}")));
        }
        Ok(())
    }

    /// Parses options up to the first word that is none; gives that and the rest.
    fn options(&mut self, words: Vec<OsString>, in_file: bool) -> Result<Vec<OsString>, Stop> {
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--" {
                return Ok(words.collect());
            }
            if !word.as_bytes().starts_with(b"-") {
                return Ok(std::iter::once(word).chain(words).collect());
            }
            let Some(spelling) = option::find(&word) else {
                return Err(self.fault(format!("Unknown option {}", shown(&word))));
            };
            if in_file && spelling.meaning == Meaning::Arguments {
                return Err(self.fault("--args is not supported in the content of --args"));
            }
            let operands: Vec<OsString> = words.by_ref().take(spelling.operands.len()).collect();
            if operands.len() < spelling.operands.len() {
                let number = match spelling.operands.len() {
                    1 => "an argument",
                    2 => "two arguments",
                    _ => "three arguments",
                };
                return Err(self.fault(format!("{} takes {number}", spelling.name)));
            }
            self.check_modifiers(spelling)?;
            self.apply(spelling, &mut operands.into_iter())?;
        }
        Ok(Vec::new())
    }

    /// A modifier has to be followed by something it modifies.
    fn check_modifiers(&self, spelling: &Spelling) -> Result<(), Stop> {
        use Meaning as M;
        let meaning = spelling.meaning;
        if matches!(meaning, M::Arguments | M::Help | M::Version) {
            return Ok(());
        }
        let creates = matches!(
            meaning,
            M::Tmpfs | M::Directory | M::File | M::BindData | M::ReadOnlyBindData
        );
        if self.modifiers.mode.is_some() && !creates {
            if meaning == M::Permissions {
                return Err(self.fault("--perms given twice for the same action"));
            }
            if meaning != M::Size {
                let text = "--perms must be followed by an option that creates a file";
                return Err(self.fault(text));
            }
        }
        if self.modifiers.size.is_some() && meaning != M::Tmpfs {
            if meaning == M::Size {
                return Err(self.fault("--size given twice for the same action"));
            }
            if meaning != M::Permissions {
                return Err(self.fault("--size must be followed by --tmpfs"));
            }
        }
        Ok(())
    }

    fn apply(&mut self, spelling: &Spelling, operands: Operands<'_>) -> Result<(), Stop> {
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
            M::SyncFd | M::BlockFd | M::InfoFd | M::StatusFd => {
                let fd = self.fd(operands)?;
                let settings = &mut self.parsed.settings;
                let slot = if spelling.meaning == M::SyncFd {
                    &mut settings.sync_fd
                } else if spelling.meaning == M::BlockFd {
                    &mut settings.block_fd
                } else if spelling.meaning == M::InfoFd {
                    &mut settings.info_fd
                } else {
                    &mut settings.status_fd
                };
                let repeated = slot.replace(fd).is_some();
                self.warn(name, repeated);
            }
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
            M::UserNamespace | M::SecondUserNamespace | M::PidNamespace => {
                self.fd(operands)?;
                return Err(self.fault(format!(
                    "{name} is not supported yet: a sandbox cannot enter namespaces of another one"
                )));
            }
            M::UserNamespaceBlockFd => {
                self.fd(operands)?;
                return Err(self.fault(format!(
                    "{name} is not supported yet: id maps cannot be written from outside"
                )));
            }
            M::OverlaySource | M::Overlay | M::TemporaryOverlay | M::ReadOnlyOverlay => {
                return Err(self.fault(format!(
                    "{name} is not supported yet: bind one of the layers instead"
                )));
            }
            M::Bind
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
        let Modifiers { mode, size } = self.modifiers;
        Ok(match spelling.meaning {
            M::Bind => bind(Source::Path(word(operands)), read_write),
            M::BindTry => bind(Source::Optional(word(operands)), read_write),
            M::DeviceBind => bind(Source::Path(word(operands)), Access::Device),
            M::DeviceBindTry => bind(Source::Optional(word(operands)), Access::Device),
            M::ReadOnlyBind => bind(Source::Path(word(operands)), read_only),
            M::ReadOnlyBindTry => bind(Source::Optional(word(operands)), read_only),
            M::BindFd => bind(Source::Descriptor(self.fd(operands)?), read_write),
            M::ReadOnlyBindFd => bind(Source::Descriptor(self.fd(operands)?), read_only),
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

    /// Parses what a descriptor holds, at this place.
    fn splice(&mut self, operands: Operands<'_>) -> Result<(), Stop> {
        let fd = self.fd(operands)?;
        let content =
            self.descriptors.read(fd).map_err(|e| self.errno("Can't read --args data", e))?;
        self.parsed.settings.closed.push(fd);
        let content = content.strip_suffix(b"\0").unwrap_or(&content);
        if content.is_empty() {
            return Ok(());
        }
        let words: Vec<OsString> = content
            .split(|byte| *byte == 0)
            .map(|word| OsString::from_vec(word.to_vec()))
            .collect();
        self.count(words.len())?;
        // What follows the options in there is nobody's.
        self.options(words, true).map(drop)
    }

    fn fd(&self, operands: Operands<'_>) -> Result<u32, Stop> {
        let text = word(operands);
        number::integer(&text).ok_or_else(|| self.fault(format!("Invalid fd: {}", shown(&text))))
    }

    fn id(&self, what: &str, operands: Operands<'_>) -> Result<u32, Stop> {
        let text = word(operands);
        number::integer(&text)
            .ok_or_else(|| self.fault(format!("Invalid {what}: {}", shown(&text))))
    }

    fn mode(&self, name: &str, operands: Operands<'_>) -> Result<u32, Stop> {
        number::mode(&word(operands))
            .ok_or_else(|| self.fault(format!("{name} takes an octal argument <= 07777")))
    }

    fn warn(&self, name: &str, repeated: bool) {
        if repeated {
            let text = format!("Only the last {name} option will take effect");
            self.parsed.settings.voice.warning(&text);
        }
    }
}

/// The next operand; there are as many as the option takes.
fn word(operands: Operands<'_>) -> OsString {
    operands.next().unwrap_or_default()
}

fn is_variable(name: &OsStr) -> bool {
    !name.is_empty() && !name.as_bytes().contains(&b'=')
}

/// Whether SELinux is at work.
fn labels_are_on() -> bool {
    std::path::Path::new("/sys/fs/selinux/enforce").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Fake(BTreeMap<u32, Vec<u8>>);

    impl Descriptors for Fake {
        fn read(&mut self, number: u32) -> Result<Vec<u8>, Errno> {
            self.0.remove(&number).ok_or(Errno::BADF)
        }
    }

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn parsed_with(files: &[(u32, &[u8])], arguments: &[&str]) -> Result<Parsed, Stop> {
        let mut fake = Fake(files.iter().map(|(fd, bytes)| (*fd, bytes.to_vec())).collect());
        let environment = vec![("A".into(), "a".into()), ("B".into(), "b".into())];
        parse(words(arguments), environment, &mut fake)
    }

    fn parsed(arguments: &[&str]) -> Settings {
        parsed_with(&[], arguments).unwrap().settings
    }

    fn refused(arguments: &[&str]) -> String {
        match parsed_with(&[(9, b"--args\x0010\0")], arguments).unwrap_err() {
            Stop::Fault(fault, _) => fault.text().to_owned(),
            other @ (Stop::Help | Stop::Version) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_begins_with_the_first_word_that_is_no_option() {
        for (arguments, command) in [
            (&["ls", "--bind"][..], &["ls", "--bind"][..]),
            (&["--unshare-pid", "ls", "-l"], &["ls", "-l"]),
            (&["--", "--weird"], &["--weird"]),
            (&["--", "--", "x"], &["--", "x"]),
            (&["", "x"], &["", "x"]),
            (&["--unshare-pid"], &[]),
        ] {
            assert_eq!(parsed(arguments).command, words(command), "{arguments:?}");
        }
    }

    #[test]
    fn wrong_words_are_answered_as_bubblewrap_does() {
        for (arguments, text) in [
            (&["-"][..], "Unknown option -"),
            (&["--bin", "/", "/"], "Unknown option --bin"),
            (&["--bind=/", "/"], "Unknown option --bind=/"),
            (&["--bind", "/"], "--bind takes two arguments"),
            (&["--overlay", "/", "/"], "--overlay takes three arguments"),
            (&["--tmpfs"], "--tmpfs takes an argument"),
            (&["--info-fd", "x"], "Invalid fd: x"),
            (&["--uid", "-1"], "Invalid uid: -1"),
            (&["--gid", ""], "Invalid gid: "),
            (&["--setenv", "A=", "x"], "setenv failed"),
            (&["--cap-add", "nope"], "unknown cap: nope"),
            (&["--perms", "9"], "--perms takes an octal argument <= 07777"),
            (&["--chmod", "10000", "/"], "--chmod takes an octal argument <= 07777"),
            (&["--size", "0"], "--size takes a non-zero number of bytes"),
            (
                &["--perms", "0700", "--unshare-pid"],
                "--perms must be followed by an option that creates a file",
            ),
            (&["--perms", "0700", "--perms", "1"], "--perms given twice for the same action"),
            (&["--size", "1", "--dir", "/a"], "--size must be followed by --tmpfs"),
            (&["--argv0", "a", "--argv0", "b"], "--argv0 used multiple times"),
            (
                &["--seccomp", "3", "--add-seccomp-fd", "4"],
                "--add-seccomp-fd cannot be combined with --seccomp",
            ),
            (&["--args", "9"], "--args is not supported in the content of --args"),
            (&["--args", "8"], "Can't read --args data: Bad file descriptor"),
        ] {
            assert_eq!(refused(arguments), text, "{arguments:?}");
        }
    }

    #[test]
    fn help_and_version_act_where_they_stand() {
        assert_eq!(parsed_with(&[], &["--unshare-pid", "--help", "--nope"]), Err(Stop::Help));
        assert_eq!(parsed_with(&[], &["--perms", "1", "--version"]), Err(Stop::Version));
        assert_eq!(parsed(&["ls", "--help"]).command, words(&["ls", "--help"]));
    }

    #[test]
    fn modifiers_count_for_the_next_operation_only() {
        let settings =
            parsed(&["--size", "4096", "--perms", "0700", "--tmpfs", "/a", "--tmpfs", "/b", "x"]);
        let steps: Vec<_> = settings.actions.into_iter().map(|action| action.step).collect();
        assert_eq!(
            steps,
            [
                Step::Tmpfs { mode: Some(0o700), size: Some(4096) },
                Step::Tmpfs { mode: None, size: None }
            ]
        );
        // Dangling ones are nobody's error.
        assert_eq!(parsed(&["--perms", "0700", "x"]).command, words(&["x"]));
    }

    #[test]
    fn arguments_are_spliced_in_at_their_place() {
        let files: &[(u32, &[u8])] =
            &[(7, b"--dir\0/b\0--setenv\0C\0c\0--\0ignored\0--nonsense"), (8, b"--tmpfs\0/t\0")];
        let arguments = ["--dir", "/a", "--args", "7", "--perms", "1", "--args", "8", "--", "x"];
        let settings = parsed_with(files, &arguments).unwrap().settings;
        let places: Vec<_> = settings.actions.iter().map(|a| a.destination.clone()).collect();
        assert_eq!(places, words(&["/a", "/b", "/t"]));
        assert_eq!(settings.actions[2].step, Step::Tmpfs { mode: Some(1), size: None });
        assert_eq!(settings.variable("C"), Some(OsStr::new("c")));
        assert_eq!(settings.closed, [7, 8]);
        assert_eq!(settings.command, words(&["x"]));
        assert!(parsed_with(&[(7, b"")], &["--args", "7", "x"]).is_ok());
        let cut = parsed_with(&[(7, b"--dir")], &["--args", "7", "/x"]);
        assert!(matches!(cut, Err(Stop::Fault(..))), "an option and its operands stay together");
    }

    #[test]
    fn the_environment_is_edited_in_order() {
        let settings = parsed(&["--setenv", "C", "c", "--clearenv", "--setenv", "D", "d", "x"]);
        assert_eq!(settings.environment, [("D".into(), "d".into())]);
        let settings = parsed(&["--unsetenv", "A", "--setenv", "B", "x=y", "x"]);
        assert_eq!(settings.environment, [("B".into(), "x=y".into())]);
    }

    #[test]
    fn namespaces_accumulate_and_only_net_is_taken_back() {
        let all = parsed(&["--unshare-all", "x"]);
        assert!(all.ipc && all.pid && all.net && all.uts);
        assert_eq!((all.user, all.cgroup), (Wish::Try, Wish::Try));
        assert!(!parsed(&["--unshare-all", "--share-net", "x"]).net);
        assert!(parsed(&["--share-net", "--unshare-all", "x"]).net);
        assert_eq!(parsed(&["--unshare-user", "--unshare-user-try", "x"]).user, Wish::Yes);
    }

    #[test]
    fn the_last_of_repeated_options_counts() {
        let settings = parsed(&["--chdir", "/a", "--chdir", "/b", "--uid", "1", "--uid", "2", "x"]);
        assert_eq!(settings.directory, Some("/b".into()));
        assert_eq!(settings.uid, Some(2));
        let twice = parsed(&["--cap-add", "CAP_CHOWN", "--cap-drop", "all", "x"]).capabilities;
        assert_eq!(twice, [CapabilityChange::Add(1), CapabilityChange::Drop(capability::ALL)]);
    }

    #[test]
    fn a_level_is_put_in_front_of_what_follows() {
        let Err(Stop::Fault(_, voice)) = parsed_with(&[], &["--level-prefix", "--nope"]) else {
            panic!("an unknown option is refused");
        };
        assert!(voice.level);
    }

    mod random {
        use super::*;
        use proptest::prelude::*;

        fn some_word() -> impl Strategy<Value = OsString> {
            let known: Vec<&str> = option::OPTIONS.iter().map(|option| option.name).collect();
            prop_oneof![
                4 => proptest::sample::select(known).prop_map(OsString::from),
                2 => proptest::sample::select(vec!["/", "a/../b", "7", "0755", "--", "x=y", ""])
                    .prop_map(OsString::from),
                1 => proptest::collection::vec(1_u8.., 0..9).prop_map(OsString::from_vec),
            ]
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(2000))]

            #[test]
            fn no_command_line_is_too_odd(
                words in proptest::collection::vec(some_word(), 0..12),
                file in proptest::collection::vec(some_word(), 0..6),
            ) {
                let file: Vec<u8> = file
                    .iter()
                    .flat_map(|word| [word.as_bytes(), b"\0"].concat())
                    .collect();
                let mut fake = Fake([(7, file)].into());
                if let Ok(parsed) = parse(words, Vec::new(), &mut fake) {
                    let ids = super::super::super::check::Ids { uid: 5, gid: 5 };
                    super::super::super::check::check(parsed, ids).ok();
                }
            }
        }
    }

    /// A word of a command line: an option, what looks like an operand, or anything.
    fn any_word() -> impl proptest::strategy::Strategy<Value = OsString> {
        use proptest::prelude::*;
        let option = (0..option::OPTIONS.len())
            .prop_map(|at| option::OPTIONS.get(at).map_or("--", |option| option.name).into());
        let operand = proptest::sample::select(vec!["--", "9", "10", "/a", "0755", "ALL", "", "x"]);
        prop_oneof![
            4 => option,
            4 => operand.prop_map(OsString::from),
            1 => proptest::collection::vec(1_u8.., 0..6).prop_map(OsString::from_vec),
        ]
    }

    proptest::proptest! {
        /// Whatever is typed, and whatever is in `--args`, there is an answer; and a command is what
        /// stands at the end of what was typed.
        #[test]
        fn everything_is_answered(
            typed in proptest::collection::vec(any_word(), 0..12),
            read in proptest::collection::vec(any_word(), 0..12),
            garbage: Vec<u8>,
        ) {
            let read: Vec<_> = read.iter().map(|word| word.as_bytes()).collect();
            let files = BTreeMap::from([(9, read.join(&0)), (10, garbage)]);
            if let Ok(parsed) = parse(typed.clone(), Vec::new(), &mut Fake(files)) {
                proptest::prop_assert!(typed.ends_with(&parsed.settings.command));
                let ids = super::super::check::Ids { uid: 7, gid: 7 };
                super::super::check::check(parsed, ids).ok();
            }
        }
    }
}
