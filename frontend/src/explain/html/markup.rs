// SPDX-License-Identifier: MIT OR Apache-2.0
//! Markup in which text from outside cannot become markup: what is written as it is has to be part of
//! this program.

use crate::message::shown;
use std::ffi::OsStr;

/// A page while it is written.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Writes markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Writes text, which may be anything. It is safe between tags and in quoted attributes.
    pub(super) fn text(&mut self, text: impl AsRef<OsStr>) -> &mut Self {
        for c in shown(&text).to_string().chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// The whole.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut markup = Markup::default();
        markup.text(text);
        markup.finish()
    }

    #[test]
    fn markup_becomes_text() {
        let hostile = "<script>alert('1')</script>\"&\u{1b}\u{202e}";
        let expected = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\\u{1b}\\u{202e}";
        assert_eq!(written(hostile), expected);
    }

    proptest! {
        #[test]
        fn nothing_written_as_text_can_begin_or_end_markup(text in any::<String>()) {
            let written = written(&text);
            prop_assert!(!written.contains(['<', '>', '"', '\'']));
            prop_assert!(written.chars().all(|c| !crate::message::is_hidden(c)));
        }
    }
}
