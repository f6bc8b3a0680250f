// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upper bounds of everything that comes over the socket, each with its reason.
//!
//! Both sides use the same numbers: the frontend to give a good message early, the helper because
//! nothing that arrives is trusted (I10).

/// Longest encoded request, in bytes. Holds the largest argument vector, every filter and 16,384
/// operations with ordinary paths.
pub const REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// Most memory one decoded request may claim, in bytes. bincode counts what a list will need in
/// memory before it reserves it, and the largest operation is bigger in memory than on the wire.
pub const DECODED_BYTES: usize = 32 * 1024 * 1024;

/// Longest encoded event, in bytes. Events hold numbers only.
pub const EVENT_BYTES: usize = 4096;

/// Most operations in a request. Nix environments bind several thousand store paths.
pub const OPERATIONS: usize = 16_384;

/// Most descriptors that travel with a request: one for each operation.
pub const DESCRIPTORS: usize = 16_384;

/// Most lower layers of one overlay. With the number of a descriptor for each, their list stays below
/// the 256 bytes that fsconfig(2) takes.
pub const LAYERS: usize = 40;

/// Most descriptors in one `SCM_RIGHTS` message. `SCM_MAX_FD` of the kernel is 253.
pub const DESCRIPTORS_PER_MESSAGE: usize = 250;

/// Most seccomp programs. Filters stack and every system call runs through all of them.
pub const FILTERS: usize = 16;

/// Most instructions in a seccomp program, `BPF_MAXINSNS` of the kernel.
pub const FILTER_INSTRUCTIONS: usize = 4096;

/// Size of one `struct sock_filter`, in bytes.
pub const FILTER_INSTRUCTION_BYTES: usize = 8;

/// Most bytes of the argument vector and of the environment, each counted with its terminators.
/// The kernel's own limit for both together is a quarter of the stack limit, 2 MiB by default.
pub const ARGUMENT_BYTES: usize = 2 * 1024 * 1024;

/// Most file systems that are made. Each takes one of the kernel's 2^20 numbers for devices without
/// hardware, which all users share and no quota counts.
pub const FILESYSTEMS: usize = 256;

/// Most strings in the argument vector or in the environment.
pub const ARGUMENTS: usize = 65_536;

/// Most places a program is looked for: one for each directory of a long `PATH`.
pub const PROGRAMS: usize = 256;

/// Most working directories that are tried in turn.
pub const DIRECTORIES: usize = 8;

/// Most files that init holds a lock on. Flatpak locks one for each extension of a runtime.
pub const LOCKS: usize = 1024;

/// Most descriptors that the start of the payload waits on.
pub const GATES: usize = 4;

/// Longest path in the sandbox, in bytes, without its terminator. Far below `PATH_MAX`, because
/// the kernel repeats it in every reader's mount table.
pub const PATH_BYTES: usize = 1024;

/// Most components of a path in the sandbox.
pub const PATH_COMPONENTS: usize = 64;

/// Longest single component, `NAME_MAX` of the kernel.
pub const COMPONENT_BYTES: usize = 255;

/// Longest target of a symlink, `PATH_MAX` less the terminator.
pub const SYMLINK_BYTES: usize = 4095;

/// Longest host name; below `__NEW_UTS_LEN` (64), as long as a DNS label.
pub const HOSTNAME_BYTES: usize = 63;

/// Most bytes copied from a descriptor into a file of the sandbox. Contents are configuration
/// files; larger things are bound.
pub const CONTENT_BYTES: u64 = 256 * 1024 * 1024;

/// Highest descriptor number the payload may be given, exclusive.
pub const TARGET_DESCRIPTOR: u32 = 1 << 20;

/// Number of resource limits the kernel knows (`RLIM_NLIMITS`).
pub const RESOURCES: u32 = 16;
