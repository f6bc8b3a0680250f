// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is started for a caller: the launcher, with its command line, environment and descriptors (R247).

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::MemfdFlags;
use rustix::pipe::PipeFlags;

use super::bits::Flag;
use super::exposed::{ExposeError, View};
use super::parent::Parent;
use super::request::Request;
use super::words::{self, Numbers};
use crate::caller::Caller;
use crate::service::child::Order;

/// The lowest number that a descriptor of the launcher's own has.
const FIRST: u32 = 3;

/// What a caller gives besides words.
#[derive(Debug, Default)]
pub struct Objects {
    /// Descriptors of the command, by their numbers there.
    pub descriptors: BTreeMap<u32, OwnedFd>,
    /// Names of what it is shown, and whether to be written to.
    pub named: Vec<(String, bool)>,
    /// The same as descriptors.
    pub passed: Vec<(OwnedFd, bool)>,
    /// In the place of `/app`.
    pub app: Option<OwnedFd>,
    /// In the place of `/usr`.
    pub usr: Option<OwnedFd>,
}

/// A launcher that can be started.
#[derive(Debug)]
pub struct Launch {
    /// The process.
    pub order: Order,
    /// Where it tells that the sandbox is up, if the caller wants to know.
    pub started: Option<OwnedFd>,
    /// What is not shown, and why.
    pub left_out: Vec<ExposeError>,
}

/// Why it is not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// Something cannot be shown.
    #[error("{0}")]
    Expose(#[from] ExposeError),
    /// A descriptor has a number next to which there is none for the launcher's own.
    #[error("there is no number for more descriptors")]
    Numbers,
    /// There is no file or pipe for what is passed on.
    #[error("it cannot be passed on: {0}")]
    Io(#[from] std::io::Error),
    /// A text holds a zero byte.
    #[error("'{}' has a zero byte in it", crate::message::shown(.0))]
    Zero(OsString),
}

/// The next free numbers above all that the caller chose.
struct Free<'a> {
    next: u32,
    order: &'a mut Order,
}

impl Free<'_> {
    fn give(&mut self, descriptor: OwnedFd) -> Result<u32, LaunchError> {
        let number = self.next;
        self.next = number.checked_add(1).ok_or(LaunchError::Numbers)?;
        self.order.descriptors.push((number, descriptor));
        Ok(number)
    }
}

impl Launch {
    /// Describes the process that starts a command for an instance. `caller` has the environment that
    /// the instance's launcher had; nothing of what an application says gets there.
    ///
    /// # Errors
    /// [`LaunchError`]. Descriptors that cannot be shown are left out (R249).
    pub fn new(
        launcher: &Path,
        caller: &Caller,
        parent: &Parent,
        request: &Request,
        objects: Objects,
    ) -> Result<Self, LaunchError> {
        let view = View::new(parent, caller);
        let mut left_out = Vec::new();
        let mut order = Order { directory: Some(PathBuf::from("/")), ..Order::default() };
        let highest = objects.descriptors.keys().max().copied().unwrap_or_default();
        let next = highest.checked_add(1).ok_or(LaunchError::Numbers)?.max(FIRST);
        order.descriptors.extend(objects.descriptors);
        // Those that are missing would be this service's own.
        for number in 0..FIRST {
            if order.descriptors.iter().all(|(given, _)| *given != number) {
                let null = File::options().read(true).write(true).open("/dev/null")?;
                order.descriptors.push((number, null.into()));
            }
        }
        let mut free = Free { next, order: &mut order };
        let mut numbers = Numbers::default();

        let variables = words::variables(parent, request);
        if !variables.is_empty() {
            numbers.environment = Some(free.give(file(&variables)?)?);
        }
        let mut started = None;
        if request.flags.has(Flag::NotifyStart) {
            let (reader, writer) =
                rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from)?;
            started = Some(reader);
            numbers.started = Some(free.give(writer)?);
        }
        for (name, writable) in objects.named {
            numbers.shown.push((free.give(view.named(&name)?)?, writable));
        }
        for (descriptor, writable) in objects.passed {
            match view.passed(&descriptor) {
                Ok(shown) => {
                    let writable = writable && shown.writable;
                    numbers.shown.push((free.give(shown.object)?, writable));
                }
                Err(error) => left_out.push(error),
            }
        }
        for (object, number) in [(objects.app, &mut numbers.app), (objects.usr, &mut numbers.usr)] {
            if let Some(descriptor) = object {
                *number = Some(free.give(view.directory(&descriptor)?)?);
            }
        }

        let own = [launcher.as_os_str(), OsStr::new("run")].into_iter().map(OsStr::to_owned);
        let all = own.chain(words::words(parent, request, &numbers));
        order.words = all.map(text).collect::<Result<_, _>>()?;
        let environment = caller.environment.iter().map(|(name, value)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            text(entry)
        });
        order.environment = environment.collect::<Result<_, _>>()?;
        Ok(Self { order, started, left_out })
    }
}

/// A file that holds these bytes and has no name.
fn file(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let descriptor = rustix::fs::memfd_create(c"environment", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(descriptor);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

fn text(text: OsString) -> Result<CString, LaunchError> {
    CString::new(text.as_bytes()).map_err(|_| LaunchError::Zero(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::sandbox::open_path;
    use crate::spawn::parent::tests::parent;
    use std::io::Read as _;

    fn pipe() -> OwnedFd {
        rustix::pipe::pipe().unwrap().0
    }

    fn words(launch: &Launch) -> Vec<&str> {
        launch.order.words.iter().map(|word| word.to_str().unwrap()).collect()
    }

    #[test]
    fn r247_t72_the_callers_variables_are_not_the_launchers() {
        let scratch = Scratch::new();
        let caller = caller(&scratch.0, &[("A", "of the launcher")]);
        let mut request = Request::default();
        request.variables.insert("LD_PRELOAD".into(), "evil".into());
        request.unset.insert("PATH".into());
        let parent = parent("extra-args=--env=B=c;\n");
        let launch =
            Launch::new(Path::new("/x/stockade"), &caller, &parent, &request, Objects::default());
        let mut launch = launch.unwrap();
        assert_eq!(launch.order.environment, [c"A=of the launcher".to_owned()]);
        let said = words(&launch);
        assert_eq!(said[..2], ["/x/stockade", "run"]);
        assert!(said.contains(&"--env-fd=3") && !said.join(" ").contains("evil"), "{said:?}");
        let (3, environment) = launch.order.descriptors.pop().unwrap() else { panic!() };
        let mut text = String::new();
        std::fs::File::from(environment).read_to_string(&mut text).unwrap();
        assert_eq!(text, "B=c\0LD_PRELOAD=evil\0");
    }

    #[test]
    fn r248_the_callers_numbers_are_its_own() {
        let scratch = Scratch::new();
        let caller = caller(&scratch.0, &[]);
        let parent = parent("");
        let file = open_path(&scratch.file("file", "")).unwrap();
        let objects = Objects {
            descriptors: [(1, pipe()), (40, pipe())].into(),
            passed: vec![(file, true), (pipe(), true)],
            ..Objects::default()
        };
        let request =
            Request { flags: [Flag::NotifyStart].into_iter().collect(), ..Request::default() };
        let launch = Launch::new(Path::new("/x"), &caller, &parent, &request, objects).unwrap();
        let said = words(&launch);
        assert!(
            said.contains(&"--instance-id-fd=41") && said.contains(&"--bind-fd=42"),
            "{said:?}"
        );
        let mut numbers: Vec<_> = launch.order.descriptors.iter().map(|it| it.0).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 40, 41, 42]);
        assert_eq!(launch.left_out, [ExposeError::Kind]);
        assert!(launch.started.is_some());

        let objects = || Objects { descriptors: [(u32::MAX, pipe())].into(), ..Objects::default() };
        let none = Launch::new(Path::new("/x"), &caller, &parent, &request, objects());
        assert!(matches!(none, Err(LaunchError::Numbers)));
    }

    #[test]
    fn r246_what_is_no_directory_does_not_take_the_place_of_one() {
        let scratch = Scratch::new();
        let caller = caller(&scratch.0, &[]);
        let parent = parent("");
        let file = open_path(&scratch.file("file", "")).unwrap();
        for objects in [
            Objects { app: Some(file), ..Objects::default() },
            Objects { usr: Some(pipe()), ..Objects::default() },
            Objects { named: vec![("../x".into(), false)], ..Objects::default() },
        ] {
            let request = Request::default();
            let refused = Launch::new(Path::new("/x"), &caller, &parent, &request, objects);
            assert!(matches!(refused, Err(LaunchError::Expose(_))));
        }
    }
}
