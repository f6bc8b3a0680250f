// SPDX-License-Identifier: MIT OR Apache-2.0
//! `LD_LIBRARY_PATH` of the application (R226).

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Where libraries of applications are.
const APP: &str = "/app/lib";

/// The value in a sandbox with a cache, given that of the context: always one, so that none of the
/// caller's counts.
#[must_use]
pub fn with_cache(context: Option<&OsStr>) -> OsString {
    context.unwrap_or_default().to_owned()
}

/// The value without a cache, given that of the context and the directories that extensions of the
/// application and of the runtime add, in order of priority. An empty part would be the working
/// directory, `ld.so(8)`; there is none.
#[must_use]
pub fn without_cache(context: Option<&OsStr>, app: &[PathBuf], runtime: &[PathBuf]) -> OsString {
    let base = context.unwrap_or(OsStr::new(APP));
    let app = app.iter().map(|path| path.as_os_str());
    let runtime = runtime.iter().map(|path| path.as_os_str());
    let parts: Vec<_> = app.chain([base]).chain(runtime).filter(|part| !part.is_empty()).collect();
    parts.join(OsStr::new(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r226_the_context_decides_with_a_cache() {
        assert_eq!(with_cache(None), "");
        assert_eq!(with_cache(Some(OsStr::new("/app/x"))), "/app/x");
    }

    #[test]
    fn r226_without_one_extensions_stand_around_the_base() {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        let (app, runtime) = (paths(&["/app/a", "/app/b"]), paths(&["/usr/c"]));
        let value = |context: Option<&str>, app: &[PathBuf], runtime: &[PathBuf]| {
            without_cache(context.map(OsStr::new), app, runtime).into_string().unwrap()
        };
        assert_eq!(value(None, &[], &[]), "/app/lib");
        assert_eq!(value(None, &app, &runtime), "/app/a:/app/b:/app/lib:/usr/c");
        assert_eq!(value(Some("/x:/y"), &[], &runtime), "/x:/y:/usr/c");
        assert_eq!(value(Some(""), &app, &runtime), "/app/a:/app/b:/usr/c");
        assert_eq!(value(Some(""), &[], &[]), "");
    }
}
