//! A shape without a type: read and written by a schema alone. For the protocols' test vectors,
//! audit, and templates, where nothing is known at compile time.

use std::any::Any;
use std::collections::BTreeMap;

use bytes::Bytes;
use sereno_base::Timestamp;

use crate::body::Body;
use crate::field::{element, key};
use crate::schema::{Kind, Member, Schema};
use crate::shape::{Document, DynShape, ReadError, Reader, Seen, Writer};

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Members by the model's names.
    Structure(BTreeMap<&'static str, Value>),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    String(String),
    Boolean(bool),
    Long(i64),
    Double(f64),
    Blob(Bytes),
    Timestamp(Timestamp),
    Document(Document),
    Stream(Body),
}

/// Reads a structure's members where the reader stands.
pub fn read_value(schema: &'static Schema, r: &mut dyn Reader) -> Result<Value, ReadError> {
    let mut members = BTreeMap::new();
    let mut seen = Seen::default();
    r.structure(schema, &mut |index, r| {
        seen.set(index);
        let member = &schema.members[index];
        members.insert(member.name, crate::field::read_member_with(member, r, &mut read)?);
        Ok(())
    })?;
    if schema.kind == Kind::Structure {
        seen.finish(schema, r);
    }
    Ok(Value::Structure(members))
}

fn read(m: &'static Member, r: &mut dyn Reader) -> Result<Value, ReadError> {
    Ok(match m.target.kind {
        Kind::Structure | Kind::Union => read_value(m.target, r)?,
        Kind::List => {
            let mut items = Vec::new();
            r.list(m, &mut |r| {
                if !r.null()? {
                    items.push(read(element(m), r)?);
                }
                Ok(())
            })?;
            Value::List(items)
        }
        Kind::Map => {
            let mut items = BTreeMap::new();
            r.map(m, &mut |name, r| {
                if !r.null()? {
                    items.insert(name, read(element(m), r)?);
                }
                Ok(())
            })?;
            Value::Map(items)
        }
        Kind::String | Kind::Enum => {
            let text = r.string(m)?;
            crate::validate::string(m, &text, r);
            Value::String(text)
        }
        Kind::Boolean => Value::Boolean(r.boolean(m)?),
        Kind::Integer | Kind::Long => {
            let value = r.long(m)?;
            crate::validate::number(m, &value, r);
            Value::Long(value)
        }
        Kind::Double => Value::Double(r.double(m)?),
        Kind::Blob => Value::Blob(r.blob(m)?),
        Kind::Stream => Value::Stream(r.stream(m)?),
        Kind::Timestamp => Value::Timestamp(r.timestamp(m)?),
        Kind::Document => Value::Document(r.document(m)?),
    })
}

/// Writes a structure's members, without a frame around them.
pub fn write_value(schema: &'static Schema, value: &Value, w: &mut dyn Writer) {
    let Value::Structure(members) = value else { return };
    for member in schema.members {
        if let Some(value) = members.get(member.name) {
            write(member, value, w);
        }
    }
}

fn write(m: &'static Member, value: &Value, w: &mut dyn Writer) {
    match value {
        Value::Structure(_) => {
            w.begin_structure(m);
            write_value(m.target, value, w);
            w.end_structure(m);
        }
        Value::List(items) => {
            w.begin_list(m, items.len());
            items.iter().for_each(|item| write(element(m), item, w));
            w.end_list(m);
        }
        Value::Map(items) => {
            debug_assert!(key(m).target.kind != Kind::Structure);
            w.begin_map(m, items.len());
            for (name, item) in items {
                w.key(m, name);
                write(element(m), item, w);
                w.end_entry(m);
            }
            w.end_map(m);
        }
        Value::String(text) => w.string(m, text),
        Value::Boolean(value) => w.boolean(m, *value),
        Value::Long(value) => w.long(m, *value),
        Value::Double(value) => w.double(m, *value),
        Value::Blob(value) => w.blob(m, value),
        Value::Timestamp(value) => w.timestamp(m, *value),
        Value::Document(value) => w.document(m, value),
        Value::Stream(value) => w.stream(m, value),
    }
}

/// A value with its schema, wherever a shape is wanted.
#[derive(Clone, Debug)]
pub struct Dynamic {
    pub schema: &'static Schema,
    pub value: Value,
}

impl DynShape for Dynamic {
    fn schema(&self) -> &'static Schema {
        self.schema
    }

    fn write_members(&self, w: &mut dyn Writer) {
        write_value(self.schema, &self.value, w);
    }

    fn boxed(&self) -> Box<dyn DynShape> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
