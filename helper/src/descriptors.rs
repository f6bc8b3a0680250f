// SPDX-License-Identifier: MIT OR Apache-2.0
//! The descriptors that came with the request, each taken out once.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use stockade_protocol::request::FdIndex;

/// Descriptors by index.
pub(crate) struct Descriptors(Vec<Option<OwnedFd>>);

impl Descriptors {
    pub(crate) fn new(received: Vec<OwnedFd>) -> Self {
        Self(received.into_iter().map(Some).collect())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes one. The request was checked: every index exists and occurs once, so `EBADF` cannot
    /// happen.
    pub(crate) fn take(&mut self, FdIndex(index): FdIndex) -> Result<OwnedFd, Errno> {
        let at = usize::try_from(index).map_err(|_| Errno::BADF)?;
        self.0.get_mut(at).and_then(Option::take).ok_or(Errno::BADF)
    }
}
