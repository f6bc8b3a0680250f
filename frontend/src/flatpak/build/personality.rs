// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a 32-bit system says of itself (R76): programs that are built go by the name of the machine.

use rustix::io::Errno;

use crate::flatpak::reference::Arch;

/// `PER_LINUX32`, `personality(2)`: `uname` gives the name of the 32-bit machine.
const LINUX_32: i32 = 8;

/// Architectures that a machine of another name runs with their own word size.
const NARROW: [(&str, &str); 2] = [("x86_64", "i386"), ("aarch64", "arm")];

/// Has this process, and what it starts, run for the architecture `arch`.
///
/// # Errors
/// The errno of `personality(2)`.
pub(super) fn adopt(arch: &Arch) -> Result<(), Errno> {
    if !is_narrow(Arch::native().as_str(), arch.as_str()) {
        return Ok(());
    }
    let persona = nix::sys::personality::Persona::from_bits_retain(LINUX_32);
    nix::sys::personality::set(persona)
        .map(|_| ())
        .map_err(|errno| Errno::from_raw_os_error(errno as i32))
}

/// Whether programs for `arch` think less of the machine `native` than it is.
fn is_narrow(native: &str, arch: &str) -> bool {
    NARROW.contains(&(native, arch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r76_only_a_32_bit_build_on_a_64_bit_machine_is_told_otherwise() {
        for (native, arch, expected) in [
            ("x86_64", "i386", true),
            ("aarch64", "arm", true),
            ("x86_64", "x86_64", false),
            ("x86_64", "aarch64", false),
            ("i386", "i386", false),
            ("i386", "x86_64", false),
        ] {
            assert_eq!(is_narrow(native, arch), expected, "{native} {arch}");
        }
    }
}
