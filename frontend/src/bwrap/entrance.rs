// SPDX-License-Identifier: MIT OR Apache-2.0
//! A helper in namespaces of the caller's choice.
//!
//! Whoever enters a user namespace has other ids and rights afterwards, so this process does not. It
//! starts its own program under another name ([`passage`]); that enters the namespaces, makes the
//! capabilities that this gives it ambient, `capabilities(7)`, and becomes the helper, which finds that
//! they are its caller's own.

pub(crate) mod passage;

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::check::Ids;
use super::inherit;
use super::message::Fault;
use super::plan::reopen;
use super::settings::Settings;
use crate::child::{Child, HELPER};

/// The name under which this program becomes another one in other namespaces.
pub(crate) const NAME: &str = "stockade-namespace-entrance";

/// What stands for a namespace of the caller's, and for one that is new.
const GIVEN: &str = "given";
const NEW: &str = "new";

/// Above all numbers that a started program finds something under.
const HIGHER: i32 = 16;

/// This program.
const SELF: &CStr = c"/proc/self/exe";

/// What can fail on the way in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    User,
    New,
    Unmapped,
    Ids,
    Pids,
    Keep,
    Execute,
    Try,
}

/// All of them, by the number that stands for each.
const STEPS: [Step; 8] = [
    Step::User,
    Step::New,
    Step::Unmapped,
    Step::Ids,
    Step::Pids,
    Step::Keep,
    Step::Execute,
    Step::Try,
];

/// How long the way in may take. It is as long as the helper takes at most.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The user namespace to be in.
enum User {
    /// That of this process.
    Same,
    /// One of the caller's, with the ids to have in it where they are not the same.
    Given { namespace: OwnedFd, uid: Option<u32>, gid: Option<u32> },
    /// A new one, whose id maps the caller writes.
    New,
}

impl User {
    /// The word for it.
    fn word(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Given { .. } => GIVEN,
            Self::New => NEW,
        }
    }

    /// Starts the process that enters this and a second namespace, and becomes this program under this name.
    fn send(
        &self,
        second: Option<&OwnedFd>,
        program: [&CStr; 2],
        mask: &SigSet,
    ) -> Result<Traveller, Fault> {
        let fault = |errno| Fault::errno("Can't start the helper", errno);
        let pair = || -> Result<(OwnedFd, OwnedFd), Errno> {
            let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
            let (ours, theirs) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
            Ok((ours, higher(theirs)?))
        };
        let (socket, theirs) = pair().map_err(fault)?;
        let (line, their_line) = pair().map_err(fault)?;
        let (namespace, uid, gid) = match self {
            Self::Given { namespace, uid, gid } => (Some(namespace), *uid, *gid),
            Self::Same | Self::New => (None, None, None),
        };
        let id = |id: Option<u32>| id.map_or(String::new(), |id| id.to_string());
        let word = if second.is_some() { GIVEN } else { "same" };
        let words = [NAME, self.word(), &id(uid), &id(gid), word].map(CString::new);
        let words: Vec<CString> = words.into_iter().collect::<Result<_, _>>().map_err(|_| nul())?;
        let words: Vec<&CStr> = words.iter().map(CString::as_c_str).chain(program).collect();
        let fds = [Some(&theirs), Some(&their_line), namespace, second];
        let fds: Vec<BorrowedFd<'_>> = fds.into_iter().flatten().map(OwnedFd::as_fd).collect();
        let this = Path::new(std::ffi::OsStr::from_bytes(SELF.to_bytes()));
        let process = Child::run(this, &words, &fds, mask).map_err(|error| Fault::other(&error))?;
        Ok(Traveller { process, socket, line })
    }
}

/// Namespaces to enter.
pub(crate) struct Entrance {
    user: User,
    pids: Option<OwnedFd>,
}

impl Entrance {
    /// Takes the namespaces that descriptors of the caller's are. None if there are none.
    pub(crate) fn new(settings: &Settings, ids: Ids) -> Result<Option<Self>, Fault> {
        let pids = settings.pid_namespace.map(|number| take(number, Step::Pids)).transpose()?;
        let user = if let Some(number) = settings.user_namespace {
            let changed = |id: Option<u32>, own| id.filter(|id| *id != own);
            let (uid, gid) = (changed(settings.uid, ids.uid), changed(settings.gid, ids.gid));
            User::Given { namespace: take(number, Step::User)?, uid, gid }
        } else if settings.map_gate.is_some() {
            User::New
        } else if pids.is_some() {
            User::Same
        } else {
            return Ok(None);
        };
        Ok(Some(Self { user, pids }))
    }

    /// Whether the helper will be in another user namespace than this process.
    pub(crate) fn changes_user_namespace(&self) -> bool {
        !matches!(self.user, User::Same)
    }

    /// Starts the helper at `path`; gives our end of its socket. If there is a new user namespace, `map`
    /// is told which process is in it, and gives back control when its ids are mapped.
    pub(crate) fn start(
        &self,
        path: &Path,
        mask: &SigSet,
        map: impl FnOnce(u32),
    ) -> Result<(Child, OwnedFd), Fault> {
        let path = CString::new(path.as_os_str().as_bytes());
        let path = path.map_err(|_| nul())?;
        let traveller = self.user.send(self.pids.as_ref(), [&path, HELPER], mask)?;
        let mut heard = traveller.hear()?;
        let Traveller { process, line, .. } = &traveller;
        if let (Heard::Waiting, User::New) = (&heard, &self.user) {
            map(process.pid());
            let sent = rustix::io::write(line, &[0]);
            sent.map_err(|errno| Fault::errno("Can't start the helper", errno))?;
            heard = traveller.hear()?;
        }
        match heard {
            // It says nothing more once the other program runs.
            Heard::End => Ok((traveller.process, traveller.socket)),
            Heard::Waiting | Heard::Tried(_) => Err(said(Step::Execute, Errno::PROTO)),
        }
    }
}

/// Whether a process there can make another user namespace: in the one that is entered with its ids, or in
/// this process's own if none is; then in the one that `last` is, if that is where it will be in the end.
pub(crate) fn can_make_another(
    entrance: Option<&Entrance>,
    last: Option<u32>,
) -> Result<bool, Fault> {
    let last = last.map(|number| take(number, Step::User)).transpose()?;
    // Of a new one it is the caller who has a say, and its parent is where that begins.
    let user = entrance.map(|entrance| &entrance.user);
    let user = user.filter(|user| matches!(user, User::Given { .. })).unwrap_or(&User::Same);
    // No signal of the caller's group is an answer; whatever ends it without one is none either.
    let traveller = user.send(last.as_ref(), [c"", c""], &SigSet::all())?;
    match traveller.hear()? {
        Heard::Tried(made) => Ok(made),
        Heard::Waiting | Heard::End => Err(said(Step::Try, Errno::PROTO)),
    }
}

/// A process on its way, with our ends of its connections.
struct Traveller {
    process: Child,
    /// To the program that it becomes.
    socket: OwnedFd,
    /// What it says itself comes here.
    line: OwnedFd,
}

/// What the process in the namespaces said.
enum Heard {
    /// It waits for its ids to be mapped.
    Waiting,
    /// Whether it could make another user namespace.
    Tried(bool),
    End,
}

impl Traveller {
    /// Waits for its next word. An error if it is that something failed.
    fn hear(&self) -> Result<Heard, Fault> {
        let failed = |errno| said(Step::Execute, errno);
        let mut fds = [PollFd::new(&self.line, PollFlags::IN)];
        if retry_on_intr(|| poll(&mut fds, Some(&PATIENCE))).map_err(failed)? == 0 {
            // Others can stop what they see there.
            self.process.kill();
            return Err(failed(Errno::TIMEDOUT));
        }
        let mut word = [0_u8; 5];
        let count = retry_on_intr(|| rustix::io::read(&self.line, &mut word));
        match (count.map_err(failed)?, word) {
            (0, _) => Ok(Heard::End),
            (1, _) => Ok(Heard::Waiting),
            (2, [made, ..]) => Ok(Heard::Tried(made != 0)),
            (_, [step, errno @ ..]) => {
                let step = STEPS.get(usize::from(step)).copied().unwrap_or(Step::Execute);
                Err(said(step, Errno::from_raw_os_error(i32::from_le_bytes(errno))))
            }
        }
    }
}

/// The namespace that a descriptor of the caller's is.
fn take(number: u32, step: Step) -> Result<OwnedFd, Fault> {
    inherit::duplicate(number).and_then(higher).map_err(|errno| said(step, errno))
}

/// A descriptor, with a number out of the way.
fn higher(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(&fd, HIGHER)
}

/// No path and no word of ours has a NUL in it.
fn nul() -> Fault {
    said(Step::Execute, Errno::INVAL)
}

fn said(step: Step, errno: Errno) -> Fault {
    match step {
        Step::User if errno == Errno::INVAL => Fault::new(
            "Joining the specified user namespace failed, it might not be a descendant of the \
             current user namespace.",
        ),
        Step::New => super::explain::no_new_namespace(errno),
        Step::User => Fault::errno("Joining specified user namespace failed", errno),
        Step::Unmapped => Fault::new(
            "The user namespace has no number for your user or group id; write its uid_map and gid_map \
             first, user_namespaces(7)",
        ),
        Step::Ids => Fault::errno("unable to switch to the ids of --uid and --gid", errno),
        Step::Pids => Fault::errno("Setting pidns failed", errno),
        Step::Keep => Fault::errno("Can't keep capabilities in the user namespace", errno),
        Step::Execute => Fault::errno("Can't start the helper in the namespaces", errno),
        Step::Try => Fault::errno("Can't try user namespaces", errno),
    }
}

fn raw(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}
