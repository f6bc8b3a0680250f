// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processes that were started for callers, each of which may send signals to its own and is told
//! how they end (R248, R256).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

use super::child::{Order, StartError};

/// The processes that run.
#[derive(Clone, Debug, Default)]
pub struct Children {
    running: Arc<Mutex<HashMap<Pid, Running>>>,
}

/// A process.
#[derive(Debug)]
struct Running {
    /// The unique name of whoever asked for it. The bus never gives it to another.
    owner: String,
    /// Whether it is to end when its owner leaves the bus.
    ends_with_owner: bool,
}

/// Whom a process is started for.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The unique name on the bus.
    pub name: &'a str,
    /// Whether the process is told to end when the owner leaves the bus.
    pub is_watched: bool,
}

/// Why a signal was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// It is not the caller's, or ended.
    #[error(
        "cannot send a signal to process {0}\nit is none that you started and that still runs\n\
         use the number that the start returned"
    )]
    Process(u32),
    /// No such signal.
    #[error("cannot send signal {0}\nthere is no signal of that number\nsee signal(7)")]
    Signal(u32),
    /// The kernel refuses.
    #[error("cannot send a signal to process {process}\n{errno}\nit runs with other rights")]
    Refused {
        /// The process.
        process: u32,
        /// Why.
        errno: Errno,
    },
}

impl From<SignalError> for zbus::fdo::Error {
    fn from(error: SignalError) -> Self {
        let text = error.to_string();
        match error {
            SignalError::Process(_) => Self::UnixProcessIdUnknown(text),
            SignalError::Signal(_) => Self::InvalidArgs(text),
            SignalError::Refused { .. } => Self::AccessDenied(text),
        }
    }
}

impl Children {
    /// Starts a process. When it has ended, a thread calls `ended` with its number and its status as
    /// `wait(2)` has it. Both may happen before this returns.
    ///
    /// # Errors
    /// [`StartError`]. Then `ended` is not called.
    pub fn start(
        &self,
        order: Order,
        owner: Owner<'_>,
        ended: impl FnOnce(u32, u32) + Send + 'static,
    ) -> Result<u32, StartError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let all = self.clone();
        // Until it is noted here, it cannot be taken off.
        let mut running = self.running();
        // The caller waits for it too: no message is received meanwhile.
        thread::Builder::new()
            .name("child".to_owned())
            .spawn(move || match order.start() {
                Ok(pid) => {
                    sender.send(Ok(pid)).ok();
                    let status = all.wait(pid);
                    ended(pid.as_raw_nonzero().get().unsigned_abs(), status);
                }
                Err(error) => {
                    sender.send(Err(error)).ok();
                }
            })
            .map_err(StartError::Thread)?;
        let gone = |_| StartError::Thread(std::io::ErrorKind::BrokenPipe.into());
        let pid = receiver.recv().map_err(gone)??;
        let (owner, ends_with_owner) = (owner.name.to_owned(), owner.is_watched);
        running.insert(pid, Running { owner, ends_with_owner });
        Ok(pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Waits for the end of a process and forgets it. Its status as `wait(2)` has it.
    fn wait(&self, pid: Pid) -> u32 {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), options)).ok();
        // Its number is free for another only after it is off the list.
        let mut running = self.running();
        running.remove(&pid);
        let ended = retry_on_intr(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()));
        let status = ended.ok().flatten().map(|(_, status)| status.as_raw());
        status.unwrap_or_default().cast_unsigned()
    }

    /// Sends a signal to a process of `owner`, or to all of its process group.
    ///
    /// # Errors
    /// [`SignalError`].
    pub fn signal(
        &self,
        owner: &str,
        process: u32,
        signal: u32,
        to_group: bool,
    ) -> Result<(), SignalError> {
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(SignalError::Process(process))?;
        let number = i32::try_from(signal).ok().and_then(Signal::from_named_raw);
        let running = self.running();
        if running.get(&pid).is_none_or(|running| running.owner != owner) {
            return Err(SignalError::Process(process));
        }
        let number = number.ok_or(SignalError::Signal(signal))?;
        // Not waited for yet, or it would not be on the list: the number is still its own.
        let sent = if to_group {
            rustix::process::kill_process_group(pid, number)
        } else {
            rustix::process::kill_process(pid, number)
        };
        sent.map_err(|errno| SignalError::Refused { process, errno })
    }

    /// Tells the processes to end, with all of their groups, whose owner has left the bus and that were
    /// to end with it.
    pub fn owner_left(&self, owner: &str) {
        let running = self.running();
        for (pid, _) in
            running.iter().filter(|(_, running)| running.ends_with_owner && running.owner == owner)
        {
            // They can still tidy up. Failing only means that there is nobody to tell.
            rustix::process::kill_process_group(*pid, Signal::INT).ok();
        }
    }

    /// The list. No thread ends halfway through changing it.
    fn running(&self) -> MutexGuard<'_, HashMap<Pid, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;

    const OWNER: Owner<'_> = Owner { name: ":1.1", is_watched: true };

    fn order(words: &[&str]) -> Order {
        let words = words.iter().map(|word| CString::new(*word).unwrap()).collect();
        Order { words, environment: vec![c"A=b c".to_owned()], ..Order::default() }
    }

    fn shell(text: &str) -> Order {
        order(&["/bin/sh", "-c", text])
    }

    /// Starts a process. Its number, and its status when it has ended.
    fn start(children: &Children, order: Order, owner: Owner<'_>) -> (u32, mpsc::Receiver<u32>) {
        let (sender, receiver) = mpsc::channel();
        let ended = move |pid, status| sender.send((pid, status)).unwrap();
        let pid = children.start(order, owner, ended).unwrap();
        let (again, statuses) = mpsc::channel();
        thread::spawn(move || {
            let (number, status) = receiver.recv().unwrap();
            assert_eq!(number, pid);
            again.send(status).ok();
        });
        (pid, statuses)
    }

    /// The status of a process that does nothing else.
    fn status(order: Order) -> u32 {
        start(&Children::default(), order, OWNER).1.recv().unwrap()
    }

    /// What a process writes to its standard output.
    fn output(mut order: Order) -> String {
        let (reader, writer) = std::io::pipe().unwrap();
        order.descriptors.push((1, OwnedFd::from(writer)));
        assert_eq!(status(order), 0);
        std::io::read_to_string(reader).unwrap()
    }

    #[test]
    fn r256_the_status_is_that_of_wait() {
        assert_eq!(status(order(&["true"])), 0);
        assert_eq!(status(shell("exit 3")), 3 << 8);
        assert_eq!(status(shell("kill -KILL $$")), 9);
        assert_eq!(status(shell("kill -34 $$")), 34);
    }

    #[test]
    fn r256_descriptors_have_their_numbers_and_ours_stay_here() {
        // As zbus receives them.
        let (ours, _writer) = rustix::pipe::pipe().unwrap();
        let (first, mut write_first) = std::io::pipe().unwrap();
        let (second, mut write_second) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut write_first, b"first").unwrap();
        std::io::Write::write_all(&mut write_second, b"second").unwrap();
        drop((write_first, write_second));
        // Each has the other's number, or one that this process uses for something else.
        use std::os::fd::AsRawFd as _;
        let number = |fd: &std::io::PipeReader| u32::try_from(fd.as_raw_fd()).unwrap();
        let (a, b) = (number(&second), number(&first));
        let mut order = order(&[
            "/bin/sh",
            "-c",
            "cat /dev/fd/$1; echo; cat /dev/fd/$2; echo; cat; \
             for fd in /proc/$$/fd/*; do readlink $fd; done",
            "sh",
            &a.to_string(),
            &b.to_string(),
        ]);
        order.descriptors = vec![(a, first.into()), (b, second.into())];
        let text = output(order);
        let mut lines = text.lines();
        assert_eq!((lines.next(), lines.next()), (Some("first"), Some("second")));
        let open: Vec<_> = lines.collect();
        let inode = rustix::fs::fstat(&ours).unwrap().st_ino;
        assert!(open.len() > 4 && !open.contains(&&*format!("pipe:[{inode}]")), "{open:?}");
    }

    #[test]
    fn r256_a_number_that_cannot_be_had_is_an_error() {
        for number in [u32::MAX, i32::MAX.unsigned_abs(), 1 << 30] {
            let (reader, _) = std::io::pipe().unwrap();
            let mut order = order(&["true"]);
            order.descriptors = vec![(number, reader.into())];
            let error = Children::default().start(order, OWNER, |_, _| {}).unwrap_err();
            let named =
                matches!(error, StartError::Descriptor { number: found, .. } if found == number);
            assert!(named, "{error}");
        }
    }

    #[test]
    fn r256_environment_and_directory_are_as_ordered_and_nothing_else_moves() {
        let before = std::env::current_dir().unwrap();
        let mut order = order(&["/bin/sh", "-c", "pwd; env"]);
        order.directory = Some(PathBuf::from("/usr/bin"));
        let text = output(order);
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("_=")).collect();
        assert_eq!(lines, ["/usr/bin", "A=b c", "PWD=/usr/bin"]);
        assert_eq!(std::env::current_dir().unwrap(), before);
    }

    #[test]
    fn r256_the_process_leads_a_session_and_minds_no_inherited_signals() {
        let text = output(shell("cat /proc/$$/stat; grep -E '^Sig(Blk|Ign)' /proc/self/status"));
        let mut lines = text.lines();
        let stat: Vec<_> = lines.next().unwrap().rsplit(')').next().unwrap().split(' ').collect();
        let pid = text.split(' ').next().unwrap();
        // Its group and its session, proc_pid_stat(5).
        assert_eq!((stat[3], stat[4]), (pid, pid));
        for line in lines {
            let mask = u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap();
            // Signals 32 and 33 are the C library's own.
            assert_eq!(mask & !(0b11 << 31), 0, "{line}");
        }
    }

    #[test]
    fn r256_what_cannot_be_started_is_named() {
        let children = Children::default();
        let failed = |order: Order| children.start(order, OWNER, |_, _| {}).unwrap_err();
        assert!(matches!(failed(order(&[])), StartError::NoCommand));
        let error = failed(order(&["/no/such\u{1b}program"]));
        let expected =
            "cannot start /no/such\\u{1b}program\nNo such file or directory (os error 2)";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(
            matches!(failed(order(&["/etc/passwd"])), StartError::Program { errno, .. } if errno == Errno::ACCESS)
        );
        let mut elsewhere = order(&["true"]);
        elsewhere.directory = Some("/no/such/directory".into());
        assert!(
            matches!(failed(elsewhere), StartError::Directory { errno, .. } if errno == Errno::NOENT)
        );
    }

    #[test]
    fn r256_only_the_owner_sends_signals() {
        let children = Children::default();
        let (pid, statuses) = start(&children, order(&["sleep", "100"]), OWNER);
        let no_process = Err(SignalError::Process(pid));
        assert_eq!(children.signal(":1.2", pid, 15, false), no_process);
        assert_eq!(children.signal(OWNER.name, pid, 0, false), Err(SignalError::Signal(0)));
        assert_eq!(children.signal(OWNER.name, pid, 1000, false), Err(SignalError::Signal(1000)));
        for other in [0, 1, u32::MAX] {
            let error = children.signal(OWNER.name, other, 15, true);
            assert_eq!(error, Err(SignalError::Process(other)));
        }
        children.signal(OWNER.name, pid, 15, false).unwrap();
        assert_eq!(statuses.recv().unwrap(), 15);
        assert_eq!(children.signal(OWNER.name, pid, 15, false), no_process);
    }

    #[test]
    fn r256_signals_reach_the_group_if_they_are_for_it() {
        let children = Children::default();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut order = shell("sleep 100 & echo; wait");
        order.descriptors = vec![(1, writer.into())];
        let (pid, statuses) = start(&children, order, OWNER);
        // The process in the background is there.
        reader.read_exact(&mut [0]).unwrap();
        children.signal(OWNER.name, pid, 9, true).unwrap();
        assert_eq!(statuses.recv().unwrap(), 9);
        // It has the pipe as well.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn r256_who_is_watched_takes_processes_along() {
        let children = Children::default();
        let sleep = || order(&["sleep", "100"]);
        let (_, watched) = start(&children, sleep(), OWNER);
        let (unwatched, still) = start(&children, sleep(), Owner { is_watched: false, ..OWNER });
        let (other, others) = start(&children, sleep(), Owner { name: ":1.11", ..OWNER });
        children.owner_left(OWNER.name);
        assert_eq!(watched.recv().unwrap(), 2);
        assert!(still.try_recv().is_err() && others.try_recv().is_err());
        children.signal(OWNER.name, unwatched, 9, false).unwrap();
        children.signal(":1.11", other, 9, false).unwrap();
        assert_eq!((still.recv().unwrap(), others.recv().unwrap()), (9, 9));
    }
}
