// SPDX-License-Identifier: MIT OR Apache-2.0
//! The call that starts the command: as typed, then as it travels (R245, R246, R256).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use zbus::{Fd, Variant};

use super::{SpawnError, duplicate};
use crate::bus::message::Message;
use crate::bus::{Bus, BusError, MessageError, Target};
use crate::caller::Caller;
use crate::spawn::bits::{Bit as _, Bits, Flag, Part};
use crate::spawn::{NAME, OBJECT};

/// Who runs commands on the host (R256).
const HOST: Target<'_> = Target {
    destination: "org.freedesktop.Flatpak",
    path: "/org/freedesktop/Flatpak/Development",
    interface: "org.freedesktop.Flatpak.Development",
};

/// Who runs them in sandboxes (R244).
const PORTAL: Target<'_> = Target { destination: NAME, path: OBJECT, interface: NAME };

/// Most bytes of variables: what a command and its environment may have together.
const MOST_BYTES: u64 = 2 * 1024 * 1024;

/// Options that the host knows nothing of.
const NOT_ON_HOST: [&str; 15] = [
    "expose-pids",
    "share-pids",
    "latest-version",
    "sandbox",
    "no-network",
    "sandbox-expose",
    "sandbox-expose-ro",
    "sandbox-expose-path",
    "sandbox-expose-path-ro",
    "sandbox-expose-path-try",
    "sandbox-expose-path-ro-try",
    "sandbox-flag",
    "sandbox-a11y-own-name",
    "app-path",
    "usr-path",
];

/// The version of the portal's interface that an option needs: an older one would not notice it.
const VERSIONS: [(&str, u32); 11] = [
    ("expose-pids", 3),
    ("sandbox-expose-path", 3),
    ("sandbox-expose-path-ro", 3),
    ("sandbox-expose-path-try", 3),
    ("sandbox-expose-path-ro-try", 3),
    ("sandbox-flag", 3),
    ("unset-env", 5),
    ("share-pids", 5),
    ("app-path", 6),
    ("usr-path", 6),
    ("sandbox-a11y-own-name", 7),
];

/// A descriptor with the option of the call that it belongs to, and that option's type.
type Object = (&'static str, OwnedFd);

/// What is asked for.
pub(super) struct Call {
    host: bool,
    directory: Vec<u8>,
    words: Vec<Vec<u8>>,
    flags: Bits<Flag>,
    parts: u32,
    variables: BTreeMap<String, String>,
    /// Lists of texts, by the options of the call.
    texts: BTreeMap<&'static str, Vec<String>>,
    /// Numbers that the command has descriptors under.
    forwarded: Vec<u32>,
    /// Descriptors of what is shown, in the order of the options of the call.
    objects: Vec<Object>,
    /// Options that were typed and that not every portal knows.
    new: Vec<(&'static str, u32)>,
}

impl Call {
    pub(super) fn read(matches: &ArgMatches, caller: &Caller) -> Result<Self, SpawnError> {
        let is_typed = |option: &str| {
            matches.value_source(option) == Some(clap::parser::ValueSource::CommandLine)
        };
        let host = matches.get_flag("host");
        if host && let Some(option) = NOT_ON_HOST.into_iter().find(|option| is_typed(option)) {
            return Err(SpawnError::NotOnHost { option });
        }
        let flags = [
            ("clear-env", Flag::ClearEnvironment),
            ("latest-version", Flag::LatestVersion),
            ("sandbox", Flag::Sandbox),
            ("no-network", Flag::NoNetwork),
            ("watch-bus", Flag::WatchBus),
            ("expose-pids", Flag::ExposePids),
            ("share-pids", Flag::SharePids),
        ];
        let mut flags: Bits<Flag> =
            flags.iter().filter(|(option, _)| matches.get_flag(option)).map(|it| it.1).collect();
        if text(matches, "app-path").is_some_and(|path| path.is_empty()) {
            flags.add(Flag::EmptyApp);
        }
        let directory = text(matches, "directory").map(Path::new).or(caller.directory.as_deref());
        let lists = [
            ("sandbox-expose", "sandbox-expose"),
            ("sandbox-expose-ro", "sandbox-expose-ro"),
            ("unset-env", "unset-env"),
        ];
        let mut texts = BTreeMap::new();
        for (option, name) in lists {
            texts.insert(name, many(matches, option).map(utf8).collect::<Result<Vec<_>, _>>()?);
        }
        let names = matches.get_many::<String>("sandbox-a11y-own-name").into_iter().flatten();
        texts.insert("sandbox-a11y-own-names", names.cloned().collect());
        texts.retain(|_, list| !list.is_empty());
        Ok(Self {
            host,
            directory: bytes(directory.unwrap_or(Path::new("")).as_os_str()),
            words: many(matches, "command").map(|word| bytes(word)).collect(),
            flags,
            parts: parts(matches)?,
            variables: variables(matches)?,
            texts,
            forwarded: matches.get_many("forward-fd").into_iter().flatten().copied().collect(),
            objects: objects(matches)?,
            new: VERSIONS.into_iter().filter(|(option, _)| is_typed(option)).collect(),
        })
    }

    /// Who is called.
    pub(super) fn service(&self) -> Target<'static> {
        if self.host { HOST } else { PORTAL }
    }

    /// The signal that tells of the end.
    pub(super) fn end(&self) -> &'static str {
        if self.host { "HostCommandExited" } else { "SpawnExited" }
    }

    /// Makes sure that nothing is asked for that the portal would not notice.
    pub(super) fn check(&self, bus: &mut Bus) -> Result<(), SpawnError> {
        let Some((_, needed)) = self.new.iter().max_by_key(|(_, needed)| needed) else {
            return Ok(());
        };
        let has = property(bus, "version")?;
        if has < *needed {
            let mut newer = self.new.iter().filter(|(_, needed)| has < *needed);
            if let Some((option, needed)) = newer.next().copied() {
                return Err(SpawnError::Version { option, service: NAME, has, needed });
            }
        }
        for (flag, option) in [(Flag::ExposePids, "expose-pids"), (Flag::SharePids, "share-pids")] {
            if self.flags.has(flag) && property(bus, "supports")? & 1 == 0 {
                return Err(SpawnError::Unsupported(option));
            }
        }
        Ok(())
    }

    /// All descriptors, in the order in which the call has them.
    pub(super) fn descriptors(&self) -> Result<Vec<OwnedFd>, SpawnError> {
        let numbers = self.numbers().into_iter().map(duplicate);
        let objects = self.objects.iter().map(|(_, object)| {
            let copy = rustix::io::fcntl_dupfd_cloexec(object, 0);
            copy.map_err(|errno| SpawnError::Path { path: PathBuf::new(), errno })
        });
        numbers.chain(objects).collect()
    }

    /// The numbers that the command has, in order.
    fn numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = [0, 1, 2].into_iter().chain(self.forwarded.clone()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Starts the command with these descriptors of [`Call::descriptors`].
    pub(super) fn send(
        &self,
        bus: &mut Bus,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Message, BusError> {
        let numbers = self.numbers();
        let fds: BTreeMap<u32, Fd<'_>> =
            numbers.iter().copied().zip(descriptors.iter().map(borrowed)).collect();
        let body = (&self.directory, &self.words, fds, &self.variables);
        if self.host {
            let kept = [(Flag::ClearEnvironment, 1_u32), (Flag::WatchBus, 2)];
            let flags = kept.iter().filter(|(flag, _)| self.flags.has(*flag));
            let flags = flags.fold(0, |flags, (_, bit)| flags | bit);
            let (directory, words, fds, variables) = body;
            let body = (directory, words, fds, variables, flags);
            return bus.call(HOST, "HostCommand", &body, descriptors);
        }
        let mut options: BTreeMap<&str, Variant<'_>> = BTreeMap::new();
        if self.parts != 0 {
            options.insert("sandbox-flags", Variant::from(self.parts));
        }
        for (name, list) in &self.texts {
            options.insert(name, Variant::from(list.clone()));
        }
        let shown = descriptors.get(numbers.len()..).unwrap_or_default();
        let mut lists: BTreeMap<&str, Vec<Fd<'_>>> = BTreeMap::new();
        for ((name, _), descriptor) in self.objects.iter().zip(shown) {
            lists.entry(name).or_default().push(borrowed(descriptor));
        }
        for (name, mut list) in lists {
            let value = match name {
                "app-fd" | "usr-fd" => list.pop().map(Variant::from),
                _ => Some(Variant::new(list)),
            };
            options.extend(value.map(|value| (name, value)));
        }
        let (directory, words, fds, variables) = body;
        let body = (directory, words, fds, variables, self.flags.number(), options);
        bus.call(PORTAL, "Spawn", &body, descriptors)
    }

    /// Passes a signal on. The terminal's interruption is for all that belongs to a command.
    pub(super) fn signal(&self, bus: &mut Bus, pid: u32, signal: u32) -> Result<(), BusError> {
        let member = if self.host { "HostCommandSignal" } else { "SpawnSignal" };
        let to_group = signal == nix::sys::signal::Signal::SIGINT as u32;
        bus.call(self.service(), member, &(pid, signal, to_group), &[]).map(|_| ())
    }
}

fn borrowed<'a>(descriptor: &BorrowedFd<'a>) -> Fd<'a> {
    Fd::from(*descriptor)
}

/// A number that the portal says of itself.
fn property(bus: &mut Bus, name: &str) -> Result<u32, SpawnError> {
    let refused = |error| SpawnError::Refused { service: NAME, error };
    let target = Target { interface: "org.freedesktop.DBus.Properties", ..PORTAL };
    let answer = bus.call(target, "Get", &(NAME, name), &[]).map_err(refused)?;
    let (value,): (Variant<'_>,) = answer.body().map_err(|error| refused(error.into()))?;
    u32::try_from(value).map_err(|error| refused(MessageError::from(error).into()))
}

fn text<'a>(matches: &'a ArgMatches, option: &str) -> Option<&'a OsString> {
    matches.get_one(option)
}

fn many<'a>(matches: &'a ArgMatches, option: &str) -> impl Iterator<Item = &'a OsString> {
    matches.get_many(option).into_iter().flatten()
}

fn utf8(text: &OsString) -> Result<String, SpawnError> {
    text.to_str().map(str::to_owned).ok_or_else(|| SpawnError::Encoding(text.clone()))
}

/// A byte string of D-Bus, which ends in a zero byte.
fn bytes(text: &OsStr) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// The bits of `--sandbox-flag`, by name or number.
fn parts(matches: &ArgMatches) -> Result<u32, SpawnError> {
    let words = matches.get_many::<String>("sandbox-flag").into_iter().flatten();
    words.into_iter().try_fold(0, |bits, word| {
        let named = Part::ALL.iter().find(|part| part.word() == word).map(|part| part.bit());
        let bit = named.or_else(|| word.parse().ok()).ok_or_else(|| SpawnError::Flag {
            word: word.clone(),
            words: Part::ALL.iter().map(|part| part.word()).collect::<Vec<_>>().join(", "),
        });
        Ok(bits | bit?)
    })
}

/// The variables of `--env-fd`, then those of `--env`.
fn variables(matches: &ArgMatches) -> Result<BTreeMap<String, String>, SpawnError> {
    let mut variables = BTreeMap::new();
    let mut set = |text: &OsStr| {
        let pair = text.to_str().and_then(|text| text.split_once('='));
        let pair = pair.filter(|(name, _)| !name.is_empty());
        let (name, value) = pair.ok_or_else(|| SpawnError::Assignment(text.to_owned()))?;
        variables.insert(name.to_owned(), value.to_owned());
        Ok::<_, SpawnError>(())
    };
    for number in matches.get_many::<u32>("env-fd").into_iter().flatten().copied() {
        let mut block = Vec::new();
        let read = std::fs::File::from(duplicate(number)?).take(MOST_BYTES).read_to_end(&mut block);
        read.map_err(|error| SpawnError::Variables { number, error })?;
        let block = block.strip_suffix(b"\0").unwrap_or(&block);
        let entries = block.split(|byte| *byte == 0).filter(|_| !block.is_empty());
        entries.map(OsStr::from_bytes).try_for_each(&mut set)?;
    }
    many(matches, "env").try_for_each(|text| set(text))?;
    Ok(variables)
}

/// What is shown, opened, in the order of the options of the call.
fn objects(matches: &ArgMatches) -> Result<Vec<Object>, SpawnError> {
    let shown = [
        ("app-path", "app-fd", false),
        ("sandbox-expose-path", "sandbox-expose-fd", false),
        ("sandbox-expose-path-try", "sandbox-expose-fd", true),
        ("sandbox-expose-path-ro", "sandbox-expose-fd-ro", false),
        ("sandbox-expose-path-ro-try", "sandbox-expose-fd-ro", true),
        ("usr-path", "usr-fd", false),
    ];
    let mut objects = Vec::new();
    for (option, name, may_be_missing) in shown {
        // Nothing in the place of /app is no object.
        for path in many(matches, option).filter(|path| option != "app-path" || !path.is_empty()) {
            let opened =
                rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            match opened {
                Err(Errno::NOENT) if may_be_missing => {}
                Err(errno) => return Err(SpawnError::Path { path: path.into(), errno }),
                Ok(object) => objects.push((name, object)),
            }
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests;
