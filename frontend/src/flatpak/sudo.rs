// SPDX-License-Identifier: MIT OR Apache-2.0
//! Applications do not run through `sudo` (R16): they would leave files of root in the user's home.

use std::os::unix::ffi::OsStrExt as _;

use crate::caller::Caller;

/// That it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot run an application through sudo\n\
     applications run as the user whose files they work on\n\
     run it without sudo"
)]
pub struct SudoError;

/// Refuses a caller who is root because `sudo` was asked to run this very program.
///
/// # Errors
/// [`SudoError`].
pub fn refuse(caller: &Caller) -> Result<(), SudoError> {
    let command = caller.variable("SUDO_COMMAND").filter(|_| caller.uid == 0);
    let program = command.and_then(|command| command.as_bytes().split(|byte| *byte == b' ').next());
    let is_ours = |program: &[u8]| program.ends_with(b"stockade") || program.ends_with(b"flatpak");
    if program.is_some_and(is_ours) { Err(SudoError) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use std::path::Path;

    #[test]
    fn r16_only_what_sudo_was_asked_for_counts() {
        let refused = |uid, command| {
            let mut caller = caller(Path::new("/h"), &[("SUDO_COMMAND", command)]);
            caller.uid = uid;
            refuse(&caller).is_err()
        };
        assert!(refused(0, "/usr/bin/flatpak run org.example.App"));
        assert!(refused(0, "/usr/bin/stockade run org.example.App"));
        assert!(!refused(1000, "/usr/bin/stockade run org.example.App"));
        assert!(!refused(0, "/bin/sh -c stockade"));
        assert!(!refused(0, ""));
    }
}
