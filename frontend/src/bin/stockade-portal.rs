// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service that starts sub-sandboxes for applications.
#![no_main]

use std::ffi::{c_char, c_int};

#[expect(unsafe_code, reason = "the name by which the C library finds it, used once")]
// SAFETY: nothing else in this program is called `main`, and this has the type of that of C.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _words: *const *const c_char) -> c_int {
    stockade::entry::start(stockade::spawn::serve::run)
}
