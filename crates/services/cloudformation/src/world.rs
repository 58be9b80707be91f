//! What templates see of the world outside: created resources, exports, zones.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sereno_kernel::{Ctx, Result};
use sereno_store::Read;
use sereno_template::{KNOWN_AFTER_APPLY, TemplateError, World};

use crate::state::{EXPORTS, ResourceRecord};

/// Exports of the account and region, by name.
pub type Exports = BTreeMap<String, String>;

pub async fn exports<R: Read + ?Sized>(ctx: &Ctx, read: &R) -> Result<Exports> {
    let all = EXPORTS.list(ctx.scope(), ()).read(read).await?;
    Ok(all.into_iter().map(|(name, export)| (name, export.value)).collect())
}

/// Resources that exist, as far as templates may ask.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub type_name: String,
    pub physical_id: String,
    pub attributes: Map<String, Value>,
}

impl Known {
    pub fn of(record: &ResourceRecord) -> Self {
        Self {
            type_name: record.type_name.clone(),
            physical_id: record.live.physical_id.clone(),
            attributes: serde_json::from_str(&record.live.attributes).unwrap_or_default(),
        }
    }

    /// `Endpoint.Address` is a key of its own or a way into an object.
    fn attribute(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.attributes.get(name) {
            return Some(value.clone());
        }
        let mut parts = name.split('.');
        let first = self.attributes.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part)).cloned()
    }
}

/// The world of a stack.
pub struct StackWorld<'a> {
    pub known: &'a BTreeMap<String, Known>,
    pub exports: Option<&'a Exports>,
    pub region: &'a str,
    /// Before anything is done: what is not known or will be another is known after apply.
    pub preview: bool,
    /// Resources whose physical id will be another one.
    pub replaced: BTreeSet<String>,
    /// Names of exports that were asked for.
    pub imported: RefCell<BTreeSet<String>>,
}

impl<'a> StackWorld<'a> {
    pub fn new(known: &'a BTreeMap<String, Known>, exports: &'a Exports, region: &'a str) -> Self {
        Self {
            known,
            exports: Some(exports),
            region,
            preview: false,
            replaced: BTreeSet::new(),
            imported: RefCell::default(),
        }
    }

    fn known(&self, logical_id: &str) -> Option<&Known> {
        let later = self.preview && self.replaced.contains(logical_id);
        self.known.get(logical_id).filter(|known| !later && !known.physical_id.is_empty())
    }

    fn unknown(&self, logical_id: &str) -> sereno_template::Result<Value> {
        if self.preview {
            return Ok(KNOWN_AFTER_APPLY.into());
        }
        Err(TemplateError::format(format_args!(
            "Unresolved resource dependencies [{logical_id}] in the Resources block of the template"
        )))
    }
}

impl World for StackWorld<'_> {
    fn reference(&self, logical_id: &str) -> sereno_template::Result<Value> {
        match self.known(logical_id) {
            Some(known) => Ok(known.physical_id.clone().into()),
            None => self.unknown(logical_id),
        }
    }

    fn attribute(&self, logical_id: &str, name: &str) -> sereno_template::Result<Value> {
        let Some(known) = self.known(logical_id) else { return self.unknown(logical_id) };
        match known.attribute(name) {
            Some(value) => Ok(value),
            None if self.preview => Ok(KNOWN_AFTER_APPLY.into()),
            // recorded: test_invalid_getatt_fails
            None => Err(TemplateError::new(format!(
                "Resource type {} does not support attribute {{{name}}}",
                known.type_name
            ))),
        }
    }

    fn export(&self, name: &str) -> sereno_template::Result<Value> {
        self.imported.borrow_mut().insert(name.to_owned());
        match self.exports.and_then(|exports| exports.get(name)) {
            Some(value) => Ok(value.clone().into()),
            None if self.preview => Ok(KNOWN_AFTER_APPLY.into()),
            None => Err(TemplateError::new(format!("No export named {name} found"))),
        }
    }

    /// recorded: test_get_azs_function; another region's list is empty.
    fn zones(&self, region: &str) -> Vec<String> {
        if region != self.region {
            return Vec::new();
        }
        let letters = match region {
            "us-east-1" => "abcdef",
            "us-west-2" | "ap-northeast-2" => "abcd",
            "ap-northeast-1" => "acd",
            "ca-central-1" => "abd",
            "us-west-1" => "ac",
            _ => "abc",
        };
        letters.chars().map(|letter| format!("{region}{letter}")).collect()
    }
}
