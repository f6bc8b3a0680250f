// SPDX-License-Identifier: MIT OR Apache-2.0
//! The allocator: the C library's, except that running out of memory ends the process silently.
//!
//! The standard library would write to stderr, which may be anything (I16), and dump core. Every
//! allocation whose size a caller decides is bounded before it is made; what is left is a caller
//! who gave us a tiny `RLIMIT_AS`.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::Status;
use crate::sys::start::exit;

struct Memory;

// SAFETY: every call is passed on to `System` with the same arguments, and what it returns is
// returned unless it is null, in which case the process ends.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the conditions of this very function.
        present(unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the conditions of this very function.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the conditions of this very function.
        present(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the conditions of this very function.
        present(unsafe { System.realloc(memory, layout, size) })
    }
}

fn present(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        exit(Status::Memory)
    }
    memory
}

#[global_allocator]
static MEMORY: Memory = Memory;
