// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors of the caller's that the command inherits.

use std::os::fd::OwnedFd;

use super::ExecError;
use crate::descriptor;

/// A descriptor for the command, under its own number.
#[derive(Debug)]
pub struct Passed {
    /// Under which number it is inherited.
    pub number: u32,
    /// A duplicate of it.
    pub descriptor: OwnedFd,
}

/// Takes the descriptors that the command is to inherit. To be called before this process opens
/// any of its own, which would look like one of the caller's.
///
/// # Errors
/// If one is not open, or cannot be passed.
pub fn inherit(numbers: &[u32]) -> Result<Vec<Passed>, ExecError> {
    let mut passed: Vec<Passed> = Vec::with_capacity(numbers.len());
    for number in numbers.iter().copied() {
        if number <= 2 {
            return Err(ExecError::Standard { number });
        }
        if passed.iter().any(|earlier| earlier.number == number) {
            return Err(ExecError::Twice { number });
        }
        passed.push(Passed { number, descriptor: descriptor::inherited(number)? });
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_descriptors_are_open_and_not_standard() {
        for numbers in [&[1][..], &[1_000_000], &[1_000_000, 1_000_000]] {
            assert!(inherit(numbers).is_err(), "{numbers:?}");
        }
    }
}
