// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong, as data. No words: the frontend makes them.

use rustix::io::Errno;
use stockade_protocol::event::{Call, Failure, Hint, Object, Stage};
use stockade_protocol::{Event, Refusal};

/// Why there will be no sandbox.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The request breaks a rule.
    Refused(Refusal),
    /// A call failed.
    Failed(Failure),
    /// The version of the request is not one we read.
    Unsupported,
    /// The caller has gone; there is nobody to tell.
    Gone,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Problem {
    /// The last event of this run, if there is anybody to hear it.
    pub(crate) fn event(&self) -> Option<Event> {
        let version = stockade_protocol::VERSION;
        match self {
            Self::Refused(refusal) => Some(Event::Refused(*refusal)),
            Self::Failed(failure) => Some(Event::Failed(*failure)),
            Self::Unsupported => Some(Event::Unsupported { oldest: version, newest: version }),
            Self::Gone => None,
        }
    }
}

/// Makes the failure of `call` on `object` during `stage` out of its errno.
pub(crate) fn failed(stage: Stage, call: Call, object: Object) -> impl Fn(Errno) -> Failure {
    move |errno| Failure { stage, call, errno: number(errno), object, hint: hint(call, errno) }
}

/// The same with a reason that only the place knows.
pub(crate) fn because(
    stage: Stage,
    call: Call,
    object: Object,
    hint: Hint,
) -> impl Fn(Errno) -> Failure {
    move |errno| Failure { stage, call, errno: number(errno), object, hint }
}

/// An errno as it travels.
pub(crate) fn number(errno: Errno) -> u32 {
    errno.raw_os_error().unsigned_abs()
}

/// What an errno of this call means where it does not depend on the place.
fn hint(call: Call, errno: Errno) -> Hint {
    match (call, errno) {
        (Call::OpenTree | Call::MountSetattr | Call::MoveMount | Call::Fsopen, Errno::NOSYS) => {
            Hint::OldKernel
        }
        (Call::OpenTree | Call::MoveMount, Errno::NOSPC) => Hint::MountLimit,
        (Call::Unshare | Call::Clone, Errno::NOSPC | Errno::USERS) => Hint::NamespaceLimit,
        // The kernel's word for a descriptor from elsewhere.
        (Call::OpenTree, Errno::INVAL) => Hint::SourceElsewhere,
        (Call::PivotRoot, Errno::INVAL) => Hint::Unpivotable,
        _ => Hint::None,
    }
}

/// For results that change nothing: if this failed, there is nobody left to tell.
pub(crate) fn unheard<T>(_: Result<T, Errno>) {}
