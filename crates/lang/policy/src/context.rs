//! What is known about a request: condition keys and their values. Names are compared without case, as in
//! AWS; a key may have several values. Borrowed text is kept borrowed: filling a context allocates little.

use std::borrow::Cow;

#[derive(Clone, Debug, Default)]
pub struct Context<'a> {
    entries: Vec<(Cow<'a, str>, Values<'a>)>,
}

#[derive(Clone, Debug)]
pub enum Values<'a> {
    One(Cow<'a, str>),
    Many(Vec<Cow<'a, str>>),
}

impl<'a> Values<'a> {
    pub fn as_slice(&self) -> &[Cow<'a, str>] {
        match self {
            Values::One(one) => std::slice::from_ref(one),
            Values::Many(many) => many,
        }
    }
}

impl<'a> Context<'a> {
    pub fn new() -> Self {
        Context::default()
    }

    /// A key with one value. Setting a key again replaces it.
    pub fn set(&mut self, key: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        self.insert(key.into(), Values::One(value.into()));
    }

    /// A key with any number of values; none at all is a key that is present and empty.
    pub fn set_many<V: Into<Cow<'a, str>>>(
        &mut self,
        key: impl Into<Cow<'a, str>>,
        values: impl IntoIterator<Item = V>,
    ) {
        let values = values.into_iter().map(Into::into).collect();
        self.insert(key.into(), Values::Many(values));
    }

    fn insert(&mut self, key: Cow<'a, str>, values: Values<'a>) {
        match self.entries.iter_mut().find(|(k, _)| k.eq_ignore_ascii_case(&key)) {
            Some((_, old)) => *old = values,
            None => self.entries.push((key, values)),
        }
    }

    pub fn get(&self, key: &str) -> Option<&[Cow<'a, str>]> {
        self.entries.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_slice())
    }

    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Cow<'a, str>])> {
        self.entries.iter().map(|(k, v)| (&**k, v.as_slice()))
    }
}
