//! What each intrinsic function gives.

use serde_json::Value;

use super::{KNOWN_AFTER_APPLY, Resolver, is_unknown, text_of};
use crate::call::{self, Attribute, Call};
use crate::cidr;
use crate::conditions;
use crate::error::{Result, TemplateError};
use crate::sub::{Piece, pieces};

impl Resolver<'_> {
    pub(super) fn call(&self, call: Call<'_>) -> Result<Option<Value>> {
        match call {
            Call::Ref("AWS::NoValue") => Ok(None),
            Call::Ref(name) => self.reference(name).map(Some),
            Call::GetAtt { resource, attribute: Attribute::Name(name) } => {
                self.world.attribute(resource, name).map(Some)
            }
            Call::GetAtt { resource, attribute: Attribute::Value(name) } => {
                let name = self.text(name)?.ok_or_else(|| {
                    TemplateError::function(
                        "every Fn::GetAtt object requires two non-empty parameters, the resource name and \
                         the resource attribute",
                    )
                })?;
                self.world.attribute(resource, &name).map(Some)
            }
            Call::If { condition, then, otherwise } => {
                let holds = self.environment.conditions.get(condition).ok_or_else(|| {
                    TemplateError::function(format_args!(
                        "unresolved condition dependency {condition} in Fn::If"
                    ))
                })?;
                self.value(if *holds { then } else { otherwise })
            }
            Call::Sub { .. } | Call::Join { .. } | Call::Base64(_) | Call::ToJsonString(_) => {
                self.text_call(call).map(|text| Some(Value::String(text)))
            }
            Call::Select { index, list } => self.select(index, list).map(Some),
            Call::Split { delimiter, source } => self.split(delimiter, source).map(Some),
            Call::FindInMap { map, top, second, default } => {
                self.find_in_map(map, top, second, default)
            }
            Call::Cidr { block, count, bits } => self.cidr(block, count, bits).map(Some),
            Call::GetAzs(region) => {
                let region = self.required_text(region, "Fn::GetAZs")?;
                let region =
                    if region.is_empty() { &self.environment.pseudo.region } else { &region };
                Ok(Some(self.world.zones(region).into()))
            }
            Call::ImportValue(name) => {
                let name = self.required_text(name, "Fn::ImportValue")?;
                self.world.export(&name).map(Some)
            }
            Call::Length(list) => self.length(list).map(Some),
            Call::Transform(_) => Err(TemplateError::function(
                "Fn::Transform is not processed; the template was not transformed",
            )),
            Call::Equals(..) | Call::And(_) | Call::Or(_) | Call::Not(_) => {
                conditions::evaluate_call(call, self).map(|truth| Some(Value::Bool(truth)))
            }
        }
    }

    fn reference(&self, name: &str) -> Result<Value> {
        if let Some(value) = self.environment.pseudo.get(name) {
            return Ok(value);
        }
        match self.environment.parameters.get(name) {
            Some(value) => Ok(value.clone()),
            None => self.world.reference(name),
        }
    }

    /// The text that a value resolves to; None for `AWS::NoValue`, lists and objects.
    pub(crate) fn text(&self, value: &Value) -> Result<Option<String>> {
        Ok(self.value(value)?.as_ref().and_then(text_of))
    }

    fn required_text(&self, value: &Value, function: &str) -> Result<String> {
        self.text(value)?.ok_or_else(|| {
            TemplateError::function(format_args!(
                "every {function} object must have a String-typed value."
            ))
        })
    }

    fn text_call(&self, call: Call<'_>) -> Result<String> {
        match call {
            Call::Sub { text, variables } => self.substitute(text, variables),
            Call::Join { delimiter, list } => self.join(delimiter, list),
            Call::Base64(value) => {
                let text = self.required_text(value, "Fn::Base64")?;
                if text.contains(KNOWN_AFTER_APPLY) {
                    return Ok(KNOWN_AFTER_APPLY.to_owned());
                }
                Ok(base64(text.as_bytes()))
            }
            Call::ToJsonString(value) => {
                let value =
                    self.value(value)?.filter(|value| value.is_array() || value.is_object());
                value.map(|value| value.to_string()).ok_or_else(|| {
                    TemplateError::function(
                        "every Fn::ToJsonString object must have an object or array value",
                    )
                })
            }
            _ => Ok(String::new()),
        }
    }

    fn substitute(
        &self,
        text: &str,
        variables: Option<&serde_json::Map<String, Value>>,
    ) -> Result<String> {
        let mut result = String::with_capacity(text.len());
        for piece in pieces(text)? {
            let (name, value) = match piece {
                Piece::Text(text) => {
                    result.push_str(text);
                    continue;
                }
                Piece::Literal(name) => {
                    result.push_str("${");
                    result.push_str(name);
                    result.push('}');
                    continue;
                }
                Piece::Name(name) => (
                    name,
                    match variables.and_then(|all| all.get(name)) {
                        Some(value) => self.value(value)?,
                        None => self.call(Call::Ref(name))?,
                    },
                ),
                Piece::Attribute(resource, attribute) => {
                    let whole = format!("{resource}.{attribute}");
                    (
                        resource,
                        match variables.and_then(|all| all.get(&whole)) {
                            Some(value) => self.value(value)?,
                            None => Some(self.world.attribute(resource, attribute)?),
                        },
                    )
                }
            };
            let value = value.as_ref().and_then(text_of).ok_or_else(|| {
                TemplateError::function(format_args!(
                    "variable {name} in Fn::Sub expression does not resolve to a string"
                ))
            })?;
            result.push_str(&value);
        }
        Ok(result)
    }

    fn join(&self, delimiter: &str, list: &Value) -> Result<String> {
        match self.value(list)? {
            Some(Value::Array(items)) => {
                let texts: Option<Vec<String>> = items.iter().map(text_of).collect();
                Ok(texts.ok_or_else(call::join_error)?.join(delimiter))
            }
            Some(value) if is_unknown(&value) => Ok(KNOWN_AFTER_APPLY.to_owned()),
            _ => Err(call::join_error()),
        }
    }

    fn select(&self, index: &Value, list: &Value) -> Result<Value> {
        let index = self.value(index)?.as_ref().and_then(call::select_index);
        let index = index.ok_or_else(call::select_error)?;
        match self.value(list)? {
            Some(Value::Array(items)) => items.get(index).cloned().ok_or_else(|| {
                TemplateError::function(format_args!(
                    "Fn::Select  cannot select nonexistent value at index {index}"
                ))
            }),
            Some(value) if is_unknown(&value) => Ok(KNOWN_AFTER_APPLY.into()),
            _ => Err(call::select_error()),
        }
    }

    fn split(&self, delimiter: &str, source: &Value) -> Result<Value> {
        let source = self.text(source)?.ok_or_else(call::split_error)?;
        if source.contains(KNOWN_AFTER_APPLY) {
            return Ok(KNOWN_AFTER_APPLY.into());
        }
        if delimiter.is_empty() {
            return Err(call::split_error());
        }
        Ok(source.split(delimiter).collect::<Vec<_>>().into())
    }

    fn find_in_map(
        &self,
        map: &Value,
        top: &Value,
        second: &Value,
        default: Option<&Value>,
    ) -> Result<Option<Value>> {
        let [map, top, second] =
            [map, top, second].map(|key| self.required_text(key, "Fn::FindInMap"));
        let (map, top, second) = (map?, top?, second?);
        let found = self.template.section("Mappings").and_then(|all| all.get(&map));
        match (found.and_then(|found| found.get(&top)?.get(&second)), default) {
            (Some(value), _) => Ok(Some(value.clone())),
            (None, Some(default)) => self.value(default),
            (None, None) if found.is_none() => Err(TemplateError::function(format_args!(
                "Mapping named '{map}' is not present in the 'Mappings' section of template."
            ))),
            (None, None) => Err(TemplateError::function(format_args!(
                "Unable to get mapping for {map}::{top}::{second}"
            ))),
        }
    }

    fn cidr(&self, block: &Value, count: &Value, bits: Option<&Value>) -> Result<Value> {
        let wrong =
            || TemplateError::function("every Fn::Cidr parameter must be a string or a number");
        let block = self.text(block)?.ok_or_else(wrong)?;
        if block.contains(KNOWN_AFTER_APPLY) {
            return Ok(KNOWN_AFTER_APPLY.into());
        }
        let number = |value: &Value| -> Result<u32> {
            self.text(value)?.and_then(|text| text.trim().parse().ok()).ok_or_else(wrong)
        };
        let bits = bits.map(number).transpose()?;
        Ok(cidr::blocks(&block, number(count)?, bits)?.into())
    }

    fn length(&self, list: &Value) -> Result<Value> {
        match self.value(list)? {
            Some(Value::Array(items)) => Ok(items.len().into()),
            Some(value) if is_unknown(&value) => Ok(KNOWN_AFTER_APPLY.into()),
            _ => Err(TemplateError::function(
                "Fn::Length is not supported for this value; it must be a list",
            )),
        }
    }
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = u32::from(chunk[0]) << 16
            | u32::from(chunk.get(1).copied().unwrap_or_default()) << 8
            | u32::from(chunk.get(2).copied().unwrap_or_default());
        for position in 0..4 {
            if position > chunk.len() {
                text.push('=');
            } else {
                text.push(char::from(ALPHABET[(word >> (18 - 6 * position)) as usize & 63]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_pads() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(super::base64(text.as_bytes()), expected);
        }
    }
}
