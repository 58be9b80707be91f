//! YAML templates: parser events to values, short forms (`!Ref x`) to their long form.
//!
//! Invariants: an alias costs as many nodes of the budget as what it stands for; a merge (`<<`) never
//! replaces a key that the mapping itself has; keys are always text as written.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::{Budget, scalar};
use crate::error::{Result, TemplateError};

/// Functions that have a short form (`!Name`); `Ref` and `Condition` have no `Fn::` in the long one.
const SHORT_FORMS: [&str; 26] = [
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "ForEach",
    "GetAZs",
    "GetAtt",
    "GetStackOutput",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "ValueOf",
    "ValueOfAll",
];

/// Reads one YAML document.
pub fn parse(text: &str) -> Result<Value> {
    let mut loader = Loader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        budget: Budget::default(),
    };
    let mut document = None;
    while let Some((event, span)) = loader.next()? {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Nothing => {}
            Event::DocumentStart(_) if document.is_none() => {}
            Event::DocumentStart(_) => return Err(broken(&span)),
            other => document = Some(loader.node(other, &span, 0)?),
        }
    }
    Ok(document.unwrap_or(Value::Null))
}

struct Loader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Anchor>,
    budget: Budget,
}

/// What an anchor stands for, and what it costs to repeat it.
#[derive(Clone)]
struct Anchor {
    value: Value,
    nodes: usize,
    height: usize,
}

impl Anchor {
    fn new(value: Value, nodes: usize) -> Self {
        let height = height(&value);
        Self { value, nodes, height }
    }
}

fn height(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(height).max().unwrap_or_default(),
        Value::Object(map) => 1 + map.values().map(height).max().unwrap_or_default(),
        _ => 0,
    }
}

fn broken(span: &Span) -> TemplateError {
    at(span.start.line(), span.start.col())
}

fn at(line: usize, column_from_zero: usize) -> TemplateError {
    let column = column_from_zero + 1;
    TemplateError::format(format_args!("YAML not well-formed. (line {line}, column {column})"))
}

impl<'a> Loader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>> {
        self.parser
            .next_event()
            .transpose()
            .map_err(|error: ScanError| at(error.marker().line(), error.marker().col()))
    }

    fn require(&mut self, span: &Span) -> Result<(Event<'a>, Span)> {
        self.next()?.ok_or_else(|| broken(span))
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Value> {
        let before = self.budget.nodes;
        self.budget.spend(1, depth)?;
        let (anchor, value) = match event {
            Event::Alias(id) => {
                let anchor = self.anchors.get(&id).ok_or_else(|| broken(span))?;
                self.budget.spend(anchor.nodes, depth + anchor.height)?;
                return Ok(anchor.value.clone());
            }
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, scalar_value(&text, style, tag.as_deref(), span)?)
            }
            Event::SequenceStart(anchor, tag) => {
                let items = self.sequence(span, depth)?;
                (anchor, tagged(Value::Array(items), tag.as_deref(), "seq", span)?)
            }
            Event::MappingStart(anchor, tag) => {
                let map = self.mapping(span, depth)?;
                (anchor, tagged(Value::Object(map), tag.as_deref(), "map", span)?)
            }
            _ => return Err(broken(span)),
        };
        if anchor > 0 {
            let nodes = self.budget.nodes - before;
            self.anchors.insert(anchor, Anchor::new(value.clone(), nodes));
        }
        Ok(value)
    }

    fn sequence(&mut self, start: &Span, depth: usize) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.require(start)?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(items);
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    fn mapping(&mut self, start: &Span, depth: usize) -> Result<Map<String, Value>> {
        let mut map = Map::new();
        let mut merges = Vec::new();
        loop {
            let (event, span) = self.require(start)?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.key(event, &span)?;
            let (event, value_span) = self.require(&span)?;
            let value = self.node(event, &value_span, depth + 1)?;
            if merge {
                merges.push((value, value_span));
            } else if map.insert(key, value).is_some() {
                return Err(broken(&span));
            }
        }
        for (value, span) in merges {
            merge_into(&mut map, value, &span)?;
        }
        Ok(map)
    }

    fn key(&mut self, event: Event<'a>, span: &Span) -> Result<String> {
        self.budget.spend(1, 0)?;
        match event {
            Event::Scalar(text, _, anchor, None) => {
                let key = text.into_owned();
                if anchor > 0 {
                    self.anchors.insert(anchor, Anchor::new(Value::String(key.clone()), 1));
                }
                Ok(key)
            }
            Event::Alias(id) => match self.anchors.get(&id).map(|anchor| &anchor.value) {
                Some(Value::String(key)) => Ok(key.clone()),
                Some(Value::Number(key)) => Ok(key.to_string()),
                _ => Err(broken(span)),
            },
            _ => Err(broken(span)),
        }
    }
}

fn merge_into(map: &mut Map<String, Value>, value: Value, span: &Span) -> Result<()> {
    match value {
        Value::Object(source) => {
            for (key, value) in source {
                map.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(sources) => sources.into_iter().try_for_each(|source| match source {
            Value::Object(_) => merge_into(map, source, span),
            _ => Err(broken(span)),
        }),
        _ => Err(broken(span)),
    }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Result<Value> {
    let text_value = || Value::String(text.to_owned());
    match tag {
        None if style == ScalarStyle::Plain => Ok(scalar::plain(text)),
        None => Ok(text_value()),
        Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
            "str" => Ok(text_value()),
            "int" | "float" => Ok(scalar::number(text)),
            "bool" => match scalar::plain(text) {
                value @ Value::Bool(_) => Ok(value),
                _ => Err(broken(span)),
            },
            "null" => Ok(Value::Null),
            _ => Err(broken(span)),
        },
        // The "non-specific" tag: a string.
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(text_value()),
        Some(tag) if tag.suffix == "GetAtt" && tag.handle == "!" => {
            let (resource, attribute) = text.split_once('.').unwrap_or((text, ""));
            let mut parts = vec![Value::from(resource)];
            if !attribute.is_empty() {
                parts.push(Value::from(attribute));
            }
            long_form(tag, Value::Array(parts), span)
        }
        Some(tag) => long_form(tag, text_value(), span),
    }
}

fn tagged(value: Value, tag: Option<&Tag>, core: &str, span: &Span) -> Result<Value> {
    match tag {
        None => Ok(value),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == core => Ok(value),
        Some(tag) if tag.is_yaml_core_schema() => Err(broken(span)),
        Some(tag) => long_form(tag, value, span),
    }
}

fn long_form(tag: &Tag, argument: Value, span: &Span) -> Result<Value> {
    let name = match tag.suffix.as_str() {
        _ if tag.handle != "!" => return Err(broken(span)),
        name @ ("Ref" | "Condition") => name.to_owned(),
        name if SHORT_FORMS.contains(&name) => format!("Fn::{name}"),
        _ => return Err(broken(span)),
    };
    Ok(Value::Object(Map::from_iter([(name, argument)])))
}
