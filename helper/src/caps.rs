// SPDX-License-Identifier: MIT OR Apache-2.0
//! Capabilities: the effective set is empty except inside [`Caps::with`] (I3).

use rustix::io::Errno;
use rustix::process::DumpableBehavior;
pub(crate) use rustix::thread::CapabilitySet as Cap;
use rustix::thread::CapabilitySets;

use crate::Status;
use crate::sys::start::exit;

/// The capabilities this process may still raise. They only get fewer.
#[derive(Debug)]
pub(crate) struct Caps {
    permitted: Cap,
}

impl Caps {
    /// Takes stock of what the exec gave this process, keeping `wanted` of it.
    pub(crate) fn keep(wanted: Cap) -> Result<Self, Errno> {
        let permitted = rustix::thread::capabilities(None)?.permitted.intersection(wanted);
        set(Cap::empty(), permitted)?;
        Ok(Self { permitted })
    }

    /// Whether this can be raised.
    pub(crate) fn has(&self, capability: Cap) -> bool {
        self.permitted.contains(capability)
    }

    /// Raises one capability for one system call.
    ///
    /// A capability that is not there is not an error here: the call then fails by itself.
    pub(crate) fn with<T>(
        &self,
        capability: Cap,
        call: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        set(self.permitted.intersection(capability), self.permitted)?;
        let result = call();
        self.lower();
        result
    }

    /// The same for `CAP_SYS_ADMIN`, which most of the work takes.
    pub(crate) fn admin<T>(&self, call: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        self.with(Cap::SYS_ADMIN, call)
    }

    /// I3: effective set is empty again here, or this process does not go on.
    fn lower(&self) {
        if set(Cap::empty(), self.permitted).is_err() {
            exit(Status::Defect);
        }
    }

    /// Makes the call that moves this process into another user namespace and keeps `wanted` of the
    /// rights in it. `raised` is what the call may take.
    pub(crate) fn move_by(
        &self,
        raised: Cap,
        wanted: Cap,
        call: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<Self, Errno> {
        set(self.permitted.intersection(raised), self.permitted)?;
        match call() {
            // The kernel raised everything there is in the new namespace; that is lowered at once.
            Ok(()) => Self::keep(wanted),
            Err(errno) => {
                self.lower();
                Err(errno)
            }
        }
    }

    /// Gives up all but `wanted`.
    pub(crate) fn limit(&mut self, wanted: Cap) -> Result<(), Errno> {
        self.permitted = self.permitted.intersection(wanted);
        set(Cap::empty(), self.permitted)
    }

    /// Empties the bounding set but for `except`, where `CAP_SETPCAP` is there to do so.
    pub(crate) fn empty_bounding_set(&self, except: Cap) -> Result<(), Errno> {
        if !self.has(Cap::SETPCAP) {
            return Ok(());
        }
        self.with(Cap::SETPCAP, || {
            for capability in each().filter(|one| !except.contains(*one)) {
                match rustix::thread::remove_capability_from_bounding_set(capability) {
                    Ok(()) => {}
                    // Above the last capability of this kernel.
                    Err(Errno::INVAL) => break,
                    Err(errno) => return Err(errno),
                }
            }
            Ok(())
        })
    }

    /// Gives up everything and makes sure of it.
    pub(crate) fn give_up(self) -> Result<(), Errno> {
        set(Cap::empty(), Cap::empty())?;
        let left = rustix::thread::capabilities(None)?;
        if left.permitted.is_empty() && left.effective.is_empty() && left.inheritable.is_empty() {
            Ok(())
        } else {
            exit(Status::Defect)
        }
    }

    /// Puts exactly `wanted` into all sets, for a payload that may have them.
    pub(crate) fn hand_over(mut self, wanted: Cap) -> Result<(), Errno> {
        if wanted.is_empty() {
            return self.give_up();
        }
        self.limit(wanted)?;
        // Fails if one of them is not there: no payload runs with less than was asked for.
        rustix::thread::set_capabilities(
            None,
            CapabilitySets { effective: wanted, permitted: wanted, inheritable: wanted },
        )?;
        for one in each().filter(|one| wanted.contains(*one)) {
            rustix::thread::configure_capability_in_ambient_set(one, true)?;
        }
        Ok(())
    }
}

/// Every capability there could be.
fn each() -> impl Iterator<Item = Cap> {
    (0..u64::BITS).filter_map(|bit| 1_u64.checked_shl(bit)).map(Cap::from_bits_retain)
}

/// Keeps other processes of the caller's from tracing this one, and from its files in `/proc`. Every
/// change of credentials undoes it, prctl(2) (T28).
pub(crate) fn hide() -> Result<(), Errno> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// `capset(2)`. An empty inheritable set also empties the ambient one.
fn set(effective: Cap, permitted: Cap) -> Result<(), Errno> {
    let inheritable = Cap::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
}
