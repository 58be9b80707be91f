//! How a value of each Rust type is read and written as a member.

use std::collections::BTreeMap;

use bytes::Bytes;
use sereno_base::Timestamp;

use crate::body::Body;
use crate::schema::Member;
use crate::shape::{Document, ReadError, Reader, Writer};
use crate::validate;

/// A type that a member, an element or a map's value can have.
pub trait Field: Sized {
    fn read(m: &'static Member, r: &mut dyn Reader) -> Result<Self, ReadError>;
    fn write(&self, m: &'static Member, w: &mut dyn Writer);

    /// What a null in a list or map is read as; `None` where the model wants a value.
    fn null() -> Option<Self> {
        None
    }

    fn is_null(&self) -> bool {
        false
    }
}

/// An element or a map's value; only here a null is written.
fn write_element<T: Field>(item: &T, m: &'static Member, w: &mut dyn Writer) {
    match item.is_null() {
        true => w.null(m),
        false => item.write(m, w),
    }
}

/// Reads a structure's member; violations found inside get its name in front of their path.
pub fn read_member<T: Field>(m: &'static Member, r: &mut dyn Reader) -> Result<T, ReadError> {
    read_member_with(m, r, &mut T::read)
}

pub(crate) fn read_member_with<T>(
    m: &'static Member,
    r: &mut dyn Reader,
    read: &mut impl FnMut(&'static Member, &mut dyn Reader) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let before = validate::count(r);
    let value = read(m, r)?;
    if validate::count(r) > before {
        validate::prefix(r, before, m.name);
    }
    Ok(value)
}

macro_rules! scalar {
    ($($type:ty, $read:ident, $write:ident, |$v:ident| $out:expr, $check:ident;)*) => {$(
        impl Field for $type {
            fn read(m: &'static Member, r: &mut dyn Reader) -> Result<Self, ReadError> {
                let value = r.$read(m)?;
                validate::$check(m, &value, r);
                Ok(value)
            }
            fn write(&self, m: &'static Member, w: &mut dyn Writer) {
                let $v = self;
                w.$write(m, $out);
            }
        }
    )*};
}

scalar! {
    String, string, string, |v| v, string;
    bool, boolean, boolean, |v| *v, nothing;
    i64, long, long, |v| *v, number;
    f64, double, double, |v| *v, double;
    Bytes, blob, blob, |v| v, blob;
    Timestamp, timestamp, timestamp, |v| *v, nothing;
    Document, document, document, |v| v, nothing;
    Body, stream, stream, |v| v, nothing;
}

impl Field for i32 {
    fn read(m: &'static Member, r: &mut dyn Reader) -> Result<Self, ReadError> {
        let value = r.long(m)?;
        validate::number(m, &value, r);
        i32::try_from(value).map_err(|_| ReadError::new(format!("{value} is not an Integer")))
    }

    fn write(&self, m: &'static Member, w: &mut dyn Writer) {
        w.long(m, i64::from(*self));
    }
}

impl<T: Field> Field for Option<T> {
    fn read(m: &'static Member, r: &mut dyn Reader) -> Result<Self, ReadError> {
        T::read(m, r).map(Some)
    }

    fn write(&self, m: &'static Member, w: &mut dyn Writer) {
        if let Some(value) = self {
            value.write(m, w);
        }
    }

    fn null() -> Option<Self> {
        Some(None)
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

impl<T: Field> Field for Box<T> {
    fn read(m: &'static Member, r: &mut dyn Reader) -> Result<Self, ReadError> {
        T::read(m, r).map(Box::new)
    }

    fn write(&self, m: &'static Member, w: &mut dyn Writer) {
        (**self).write(m, w);
    }
}

/// The element of a list, the value of a map. Every list and map of a schema has one.
pub fn element(m: &'static Member) -> &'static Member {
    m.target.element.as_ref().expect("lists and maps are built with an element")
}

pub fn key(m: &'static Member) -> &'static Member {
    m.target.key.as_ref().expect("maps are built with a key")
}

impl<T: Field> Field for Vec<T> {
    fn read(m: &'static Member, r: &mut dyn Reader) -> Result<Self, ReadError> {
        let each = element(m);
        let mut items = Vec::new();
        let start = validate::count(r);
        let mut index = 0usize;
        r.list(m, &mut |r| {
            index += 1;
            let before = validate::count(r);
            if r.null()? {
                match T::null() {
                    Some(null) => items.push(null),
                    None => validate::null_element(each, r),
                }
            } else {
                items.push(T::read(each, r)?);
            }
            if validate::count(r) > before {
                validate::prefix(r, before, &format!("{index}.member"));
            }
            Ok(())
        })?;
        validate::list(m, &items, start, r);
        Ok(items)
    }

    fn write(&self, m: &'static Member, w: &mut dyn Writer) {
        let each = element(m);
        w.begin_list(m, self.len());
        for item in self {
            write_element(item, each, w);
        }
        w.end_list(m);
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    fn read(m: &'static Member, r: &mut dyn Reader) -> Result<Self, ReadError> {
        let each = element(m);
        let mut items = BTreeMap::new();
        let start = validate::count(r);
        r.map(m, &mut |name, r| {
            let before = validate::count(r);
            if r.null()? {
                match T::null() {
                    Some(null) => drop(items.insert(name, null)),
                    None => validate::null_element(each, r),
                }
                return Ok(());
            }
            let value = T::read(each, r)?;
            if validate::count(r) > before {
                validate::prefix(r, before, &format!("{name}.member"));
            }
            items.insert(name, value);
            Ok(())
        })?;
        validate::map(m, &items, start, r);
        Ok(items)
    }

    fn write(&self, m: &'static Member, w: &mut dyn Writer) {
        let each = element(m);
        w.begin_map(m, self.len());
        for (name, item) in self {
            w.key(m, name);
            write_element(item, each, w);
            w.end_entry(m);
        }
        w.end_map(m);
    }
}
