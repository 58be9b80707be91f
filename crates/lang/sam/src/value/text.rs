//! Text that remembers whether it came from the template.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A text. Equality and hash look at the characters only.
#[derive(Clone)]
pub struct Text {
    characters: Arc<str>,
    /// Python 2 would have printed it as `u'...'`.
    unicode: bool,
}

impl Text {
    /// A text the transform itself wrote.
    pub fn plain(text: &str) -> Text {
        Text { characters: text.into(), unicode: false }
    }

    /// A text as those of the template.
    pub fn unicode(text: &str) -> Text {
        Text { characters: text.into(), unicode: true }
    }

    pub fn to_unicode(&self) -> Text {
        Text { characters: self.characters.clone(), unicode: true }
    }

    /// Other characters of the same kind, as Python's methods on `unicode` answer `unicode`.
    pub fn same_kind(&self, text: &str) -> Text {
        Text { characters: text.into(), unicode: self.unicode }
    }

    /// `self + tail`: the left operand decides the kind.
    pub fn plus(&self, tail: &str) -> Text {
        self.same_kind(&format!("{self}{tail}"))
    }

    pub fn is_unicode(&self) -> bool {
        self.unicode
    }

    pub fn as_str(&self) -> &str {
        &self.characters
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.characters == other.characters
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// Lets maps keyed by [`Text`] be asked with a `&str`; holds because equality and hash agree.
impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text::plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::plain(&text)
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Text {
        text.clone()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
