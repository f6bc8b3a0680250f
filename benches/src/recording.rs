// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request as it was sent, and what its descriptors were.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use stockade_protocol::codec::decode_request;
use stockade_protocol::request::{FdIndex, Request};

/// What procfs says of the descriptor of a Landlock ruleset.
pub const LANDLOCK: &str = "anon_inode:[landlock-ruleset]";

/// One request and the names of its descriptors, in index order.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The encoded request.
    pub bytes: Vec<u8>,
    /// What `/proc/self/fd` said of each descriptor.
    pub names: Vec<PathBuf>,
}

impl Recording {
    /// The file form: the length of the request, the request, every name with a NUL behind it.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let length = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        let mut file = length.to_le_bytes().to_vec();
        file.extend_from_slice(&self.bytes);
        for name in &self.names {
            file.extend_from_slice(name.as_os_str().as_bytes());
            file.push(0);
        }
        file
    }

    /// Reads the file form.
    ///
    /// # Errors
    /// If it is cut short.
    pub fn from_file(file: &[u8]) -> io::Result<Self> {
        let short = || io::Error::new(io::ErrorKind::UnexpectedEof, "not a whole recording");
        let (length, rest) = file.split_first_chunk::<8>().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        let (bytes, names) = rest.split_at_checked(length).ok_or_else(short)?;
        let names = names
            .split_inclusive(|byte| *byte == 0)
            .map(|name| name.strip_suffix(&[0]).ok_or_else(short))
            .map(|name| name.map(|name| PathBuf::from(OsString::from_vec(name.to_vec()))))
            .collect::<io::Result<_>>()?;
        Ok(Self { bytes: bytes.to_vec(), names })
    }

    /// The request.
    ///
    /// # Errors
    /// If the bytes are none.
    pub fn request(&self) -> io::Result<Request> {
        decode_request(&self.bytes).map_err(|fault| io::Error::other(format!("{fault:?}")))
    }

    /// The host path behind a descriptor.
    ///
    /// # Errors
    /// If it had none: such a sandbox cannot be made again from outside.
    pub fn source(&self, index: FdIndex) -> io::Result<&Path> {
        usize::try_from(index.0)
            .ok()
            .and_then(|index| self.names.get(index))
            .map(PathBuf::as_path)
            .filter(|name| {
                name.is_absolute() && !name.as_os_str().as_bytes().ends_with(b" (deleted)")
            })
            .ok_or_else(|| io::Error::other(format!("descriptor {} has no host path", index.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recording_survives_its_file() {
        let names = vec![PathBuf::from("/usr"), PathBuf::from("/a b")];
        let recording = Recording { bytes: vec![1, 2, 0, 3], names: names.clone() };
        let again = Recording::from_file(&recording.to_file()).unwrap();
        assert_eq!((again.bytes, again.names), (recording.bytes, names));
    }

    #[test]
    fn cut_recording_is_refused() {
        let file = Recording { bytes: vec![1, 2], names: vec![PathBuf::from("/usr")] }.to_file();
        assert!(Recording::from_file(&file[..9]).is_err());
        assert!(Recording::from_file(&file[..file.len() - 1]).is_err());
    }
}
