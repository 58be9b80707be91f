//! The methods and properties that Java's strings, numbers, lists and maps have in a template.
//!
//! A method that does not exist has no value, as in Velocity; one that exists and fails (an index
//! out of bounds, a bad pattern) fails the template.

use std::rc::Rc;

use regex::Regex;

use crate::strings;
use crate::value::{List, Map, Value};

/// Longest text that a method may make.
const TEXT_BYTES_MAX: usize = 20 << 20;
/// Most items that a list may get.
const ITEMS_MAX: usize = 1_000_000;

type Outcome = Result<Value, String>;

/// What methods need from the rendering.
pub(crate) struct Context<'a> {
    pub regex: &'a dyn Fn(&str) -> Result<Rc<Regex>, String>,
}

/// `$value.name`.
pub(crate) fn property(value: &Value, name: &str) -> Value {
    match value {
        Value::Map(map) => match map.get(name) {
            Some(found) => found,
            None if name == "empty" => map.entries.borrow().is_empty().into(),
            None => Value::Null,
        },
        Value::Object(object) => object.property(name).unwrap_or_default(),
        Value::List(list) if name == "empty" => list.items.borrow().is_empty().into(),
        Value::Text(text) if name == "empty" => text.is_empty().into(),
        _ => Value::Null,
    }
}

/// `$value[index]`.
pub(crate) fn index(value: &Value, index: &Value) -> Outcome {
    match (value, index) {
        (Value::List(list), Value::Int(at)) => {
            let items = list.items.borrow();
            let from_end = if *at < 0 { at + items.len() as i128 } else { *at };
            at_index(&items, from_end)
        }
        (Value::Map(map), key) => Ok(map.get(&key.key()).unwrap_or_default()),
        (Value::Object(object), key) => Ok(match object.property(&key.key()) {
            Some(found) => found,
            None => object.call("get", std::slice::from_ref(key))?.unwrap_or_default(),
        }),
        _ => Ok(Value::Null),
    }
}

fn at_index(items: &[Value], at: i128) -> Outcome {
    usize::try_from(at)
        .ok()
        .and_then(|at| items.get(at).cloned())
        .ok_or_else(|| format!("Index: {at}, Size: {}", items.len()))
}

/// `#set($holder.key = value)`.
pub(crate) fn put(holder: &Value, key: &Value, value: Value) -> Result<(), String> {
    match (holder, key) {
        (Value::Map(map), key) => {
            grown(map.entries.borrow().len())?;
            map.put(&key.key(), value);
        }
        (Value::List(list), Value::Int(at)) => {
            let mut items = list.items.borrow_mut();
            let at = if *at < 0 { at + items.len() as i128 } else { *at };
            let size = items.len();
            let slot = usize::try_from(at).ok().and_then(|at| items.get_mut(at));
            *slot.ok_or_else(|| format!("Index: {at}, Size: {size}"))? = value;
        }
        _ => {}
    }
    Ok(())
}

/// What `#foreach` walks; `None` for what cannot be walked.
pub(crate) fn iterate(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::List(list) => Some(list.items.borrow().clone()),
        Value::Map(map) => Some(map.walk().into_iter().map(|(_, value)| value).collect()),
        _ => None,
    }
}

pub(crate) fn call(context: &Context, on: &Value, name: &str, given: &[Value]) -> Outcome {
    if let Some(common) = object_method(on, name, given) {
        return Ok(common);
    }
    match on {
        Value::Text(text) => string_method(context, text, name, given),
        Value::List(list) => list_method(list, name, given),
        Value::Map(map) => map_method(map, name, given),
        Value::Object(object) => Ok(object.call(name, given)?.unwrap_or_default()),
        Value::Int(_) | Value::Double(_) | Value::Decimal(_) | Value::Bool(_) => {
            number_method(on, name, given)
        }
        Value::Null | Value::Defined(_) => Ok(Value::Null),
    }
}

fn object_method(on: &Value, name: &str, given: &[Value]) -> Option<Value> {
    match (name, given) {
        ("equals", [other]) => {
            let same = std::mem::discriminant(on) == std::mem::discriminant(other);
            Some(Value::Bool(same && on.equals(other)))
        }
        ("toString", []) if !matches!(on, Value::Object(_)) => Some(on.to_string().into()),
        ("hashCode", []) => match on {
            Value::Text(text) => Some(Value::Int(strings::hash(text).into())),
            Value::Int(int) => Some(Value::Int(*int)),
            _ => None,
        },
        _ => None,
    }
}

fn bounded(text: String) -> Outcome {
    if text.len() > TEXT_BYTES_MAX {
        return Err("a text is too long".to_owned());
    }
    Ok(text.into())
}

fn grown(items: usize) -> Result<(), String> {
    if items >= ITEMS_MAX { Err("a collection is too large".to_owned()) } else { Ok(()) }
}

fn found_at(text: &str, byte: Option<usize>) -> Value {
    byte.map_or(Value::Int(-1), |byte| strings::position(text, byte).into())
}

fn string_method(context: &Context, text: &str, name: &str, given: &[Value]) -> Outcome {
    if let Some(value) = string_question(text, name, given) {
        return Ok(value);
    }
    match (name, given) {
        ("substring" | "subSequence", [Value::Int(from)]) => {
            cut(text, *from, strings::length(text) as i128)
        }
        ("substring" | "subSequence", [Value::Int(from), Value::Int(to)]) => cut(text, *from, *to),
        ("charAt", [Value::Int(at)]) => cut(text, *at, at + 1),
        ("toLowerCase", []) => Ok(text.to_lowercase().into()),
        ("toUpperCase", []) => Ok(text.to_uppercase().into()),
        // Java's trim takes off everything up to the blank, strip what is white space.
        ("trim", []) => Ok(text.trim_matches(|c| c <= ' ').into()),
        ("strip", []) => Ok(text.trim().into()),
        ("intern", []) => Ok(text.into()),
        ("concat", [Value::Text(other)]) => bounded(format!("{text}{other}")),
        ("repeat", [Value::Int(times)]) => {
            let times =
                usize::try_from(*times).map_err(|_| format!("count is negative: {times}"))?;
            if text.len().saturating_mul(times) > TEXT_BYTES_MAX {
                return Err("a text is too long".to_owned());
            }
            Ok(text.repeat(times).into())
        }
        ("replace", [Value::Text(from), Value::Text(to)]) => {
            let found = text.matches(&**from).count();
            if found.saturating_mul(to.len()) > TEXT_BYTES_MAX {
                return Err("a text is too long".to_owned());
            }
            Ok(text.replace(&**from, to).into())
        }
        ("matches", [Value::Text(pattern)]) => {
            let whole = (context.regex)(&format!("^(?:{pattern})$"))?;
            Ok(whole.is_match(text).into())
        }
        ("replaceAll" | "replaceFirst", [Value::Text(pattern), Value::Text(to)]) => {
            replace_pattern(&*(context.regex)(pattern)?, text, to, name == "replaceFirst")
        }
        ("split", [Value::Text(pattern)]) => split(&*(context.regex)(pattern)?, text, 0),
        ("split", [Value::Text(pattern), Value::Int(limit)]) => {
            split(&*(context.regex)(pattern)?, text, *limit)
        }
        ("toCharArray", []) => {
            Ok(Value::List(List::new(text.chars().map(|c| c.to_string().into()).collect())))
        }
        ("valueOf", [value]) => Ok(value.to_string().into()),
        ("join", [Value::Text(between), Value::List(items)]) => {
            let parts: Vec<String> = items.items.borrow().iter().map(Value::to_string).collect();
            bounded(parts.join(between))
        }
        _ => Ok(Value::Null),
    }
}

fn string_question(text: &str, name: &str, given: &[Value]) -> Option<Value> {
    Some(match (name, given) {
        ("length", []) => strings::length(text).into(),
        ("isEmpty", []) => text.is_empty().into(),
        ("isBlank", []) => text.trim().is_empty().into(),
        ("contains", [Value::Text(part)]) => text.contains(&**part).into(),
        ("startsWith", [Value::Text(part)]) => text.starts_with(&**part).into(),
        ("endsWith", [Value::Text(part)]) => text.ends_with(&**part).into(),
        ("equalsIgnoreCase", [Value::Text(other)]) => {
            (text.to_lowercase() == other.to_lowercase()).into()
        }
        ("compareTo", [Value::Text(other)]) => Value::Int(compare_utf16(text, other)),
        ("compareToIgnoreCase", [Value::Text(other)]) => {
            Value::Int(compare_utf16(&text.to_lowercase(), &other.to_lowercase()))
        }
        ("indexOf", [Value::Text(part)]) => found_at(text, text.find(&**part)),
        ("indexOf", [Value::Text(part), Value::Int(from)]) => {
            let from = strings::byte_at(text, *from);
            found_at(text, text[from..].find(&**part).map(|at| at + from))
        }
        ("lastIndexOf", [Value::Text(part)]) => found_at(text, text.rfind(&**part)),
        ("codePointAt", [Value::Int(at)]) => {
            let from = strings::byte_at(text, *at);
            text[from..].chars().next().map_or(Value::Null, |c| Value::Int(u32::from(c).into()))
        }
        _ => return None,
    })
}

/// The first difference of two texts, or of their lengths.
fn compare_utf16(a: &str, b: &str) -> i128 {
    let differs = a.encode_utf16().zip(b.encode_utf16()).find(|(a, b)| a != b);
    differs.map_or_else(
        || strings::length(a) as i128 - strings::length(b) as i128,
        |(a, b)| i128::from(a) - i128::from(b),
    )
}

fn cut(text: &str, from: i128, to: i128) -> Outcome {
    strings::substring(text, from, to)
        .map(Value::from)
        .ok_or_else(|| format!("String index out of range: {from}, {to}"))
}

fn split(pattern: &Regex, text: &str, limit: i128) -> Outcome {
    let parts = strings::split(text, pattern, limit);
    Ok(Value::List(List::new(parts.into_iter().map(Value::from).collect())))
}

fn replace_pattern(pattern: &Regex, text: &str, to: &str, first_only: bool) -> Outcome {
    let mut out = String::new();
    let mut from = 0;
    for captures in pattern.captures_iter(text) {
        let Some(whole) = captures.get(0) else { break };
        out.push_str(&text[from..whole.start()]);
        strings::replacement(&captures, to, &mut out);
        from = whole.end();
        if out.len() > TEXT_BYTES_MAX {
            return Err("a text is too long".to_owned());
        }
        if first_only {
            break;
        }
    }
    out.push_str(&text[from..]);
    bounded(out)
}

fn list_method(list: &Rc<List>, name: &str, given: &[Value]) -> Outcome {
    match (name, given) {
        ("size" | "length", []) => Ok(list.items.borrow().len().into()),
        ("isEmpty", []) => Ok(list.items.borrow().is_empty().into()),
        ("get", [Value::Int(at)]) => at_index(&list.items.borrow(), *at),
        ("contains", [item]) => Ok(list.items.borrow().iter().any(|i| i.equals(item)).into()),
        ("containsAll", [Value::List(other)]) => {
            let items = list.items.borrow();
            let all = other.items.borrow().iter().all(|o| items.iter().any(|i| i.equals(o)));
            Ok(all.into())
        }
        ("indexOf", [item]) => {
            let at = list.items.borrow().iter().position(|i| i.equals(item));
            Ok(at.map_or(Value::Int(-1), Value::from))
        }
        ("lastIndexOf", [item]) => {
            let at = list.items.borrow().iter().rposition(|i| i.equals(item));
            Ok(at.map_or(Value::Int(-1), Value::from))
        }
        ("subList", [Value::Int(from), Value::Int(to)]) => {
            let items = list.items.borrow();
            let (from, to) = (usize::try_from(*from), usize::try_from(*to));
            let part = from.ok().zip(to.ok()).and_then(|(from, to)| items.get(from..to));
            let part = part.ok_or("subList is out of bounds")?.to_vec();
            Ok(Value::List(Rc::new(List { items: part.into(), json: false })))
        }
        ("toArray" | "iterator", []) => Ok(Value::List(list.clone())),
        _ => list_change(list, name, given),
    }
}

fn list_change(list: &Rc<List>, name: &str, given: &[Value]) -> Outcome {
    let mut items = list.items.try_borrow_mut().map_err(|_| "the list is in use".to_owned())?;
    let size = items.len();
    match (name, given) {
        ("add", [item]) => {
            grown(size)?;
            items.push(item.clone());
            Ok(true.into())
        }
        ("add", [Value::Int(at), item]) => {
            grown(size)?;
            let at = usize::try_from(*at).ok().filter(|at| *at <= size);
            items.insert(at.ok_or("Index is out of bounds")?, item.clone());
            // A method without a result prints as nothing.
            Ok("".into())
        }
        ("addAll", [Value::List(other)]) => {
            let more =
                if Rc::ptr_eq(list, other) { items.clone() } else { other.items.borrow().clone() };
            grown(size + more.len())?;
            items.extend(more);
            Ok(true.into())
        }
        ("set", [Value::Int(at), item]) => {
            let slot = usize::try_from(*at).ok().and_then(|at| items.get_mut(at));
            let slot = slot.ok_or_else(|| format!("Index: {at}, Size: {size}"))?;
            Ok(std::mem::replace(slot, item.clone()))
        }
        ("remove", [Value::Int(at)]) => {
            let at = usize::try_from(*at).ok().filter(|at| *at < size);
            Ok(items.remove(at.ok_or("Index is out of bounds")?))
        }
        ("remove", [item]) => {
            let at = items.iter().position(|i| i.equals(item));
            if let Some(at) = at {
                items.remove(at);
            }
            Ok(at.is_some().into())
        }
        ("removeAll", [Value::List(other)]) if !Rc::ptr_eq(list, other) => {
            let other = other.items.borrow();
            items.retain(|i| !other.iter().any(|o| o.equals(i)));
            Ok((items.len() < size).into())
        }
        ("clear", []) => {
            items.clear();
            Ok("".into())
        }
        _ => Ok(Value::Null),
    }
}

fn map_method(map: &Rc<Map>, name: &str, given: &[Value]) -> Outcome {
    Ok(match (name, given) {
        ("get", [key]) => map.get(&key.key()).unwrap_or_default(),
        ("getOrDefault", [key, other]) => map.get(&key.key()).unwrap_or_else(|| other.clone()),
        ("containsKey", [key]) => map.entries.borrow().contains_key(&*key.key()).into(),
        ("containsValue", [value]) => map.entries.borrow().values().any(|v| v.equals(value)).into(),
        ("size", []) => map.entries.borrow().len().into(),
        ("isEmpty", []) => map.entries.borrow().is_empty().into(),
        ("keySet", []) => {
            let keys = map.walk().into_iter().map(|(key, _)| Value::Text(key)).collect();
            Value::List(List::new(keys))
        }
        ("values", []) => {
            let values = map.walk().into_iter().map(|(_, value)| value).collect();
            Value::List(List::new(values))
        }
        ("entrySet", []) => {
            let entry = |(key, value)| Value::Object(Rc::new(Entry { key, value }));
            Value::List(List::new(map.walk().into_iter().map(entry).collect()))
        }
        ("put", [key, value]) => {
            grown(map.entries.borrow().len())?;
            map.put(&key.key(), value.clone()).unwrap_or_default()
        }
        ("putIfAbsent", [key, value]) => {
            grown(map.entries.borrow().len())?;
            let before = map.get(&key.key());
            if before.is_none() {
                map.put(&key.key(), value.clone());
            }
            before.unwrap_or_default()
        }
        ("putAll", [Value::Map(other)]) => {
            if !Rc::ptr_eq(map, other) {
                grown(map.entries.borrow().len() + other.entries.borrow().len())?;
                for (key, value) in other.walk() {
                    map.put(&key, value);
                }
            }
            "".into()
        }
        ("remove", [key]) => map.entries.borrow_mut().shift_remove(&*key.key()).unwrap_or_default(),
        ("clear", []) => {
            map.entries.borrow_mut().clear();
            "".into()
        }
        _ => Value::Null,
    })
}

/// An entry of `$map.entrySet()`.
#[derive(Debug)]
struct Entry {
    key: Rc<str>,
    value: Value,
}

impl crate::value::Host for Entry {
    fn property(&self, name: &str) -> Option<Value> {
        match name {
            "key" => Some(Value::Text(self.key.clone())),
            "value" => Some(self.value.clone()),
            _ => None,
        }
    }

    fn call(&self, method: &str, _: &[Value]) -> Result<Option<Value>, String> {
        Ok(match method {
            "getKey" => self.property("key"),
            "getValue" => self.property("value"),
            "toString" => Some(self.text().into()),
            _ => None,
        })
    }

    fn text(&self) -> String {
        format!("{}={}", self.key, self.value)
    }
}

/// Methods of numbers and booleans, with the static ones that templates reach through a value
/// (`#set($Integer = 0) $Integer.parseInt("7")`).
#[allow(clippy::cast_possible_truncation)] // what Java's intValue does
fn number_method(on: &Value, name: &str, given: &[Value]) -> Outcome {
    let number = on.number();
    Ok(match (name, given, number) {
        ("intValue" | "longValue", [], Some(number)) => match on {
            Value::Int(_) => on.clone(),
            _ => Value::Int(number as i128),
        },
        ("doubleValue" | "floatValue", [], Some(number)) => Value::Double(number),
        ("booleanValue", [], None) => on.clone(),
        ("compareTo", [other], Some(number)) => match other.number() {
            Some(other) => Value::Int(number.total_cmp(&other) as i128),
            None => Value::Null,
        },
        ("parseInt" | "parseLong" | "valueOf", [Value::Text(text)], Some(_))
            if matches!(on, Value::Int(_)) =>
        {
            Value::Int(text.parse().map_err(|_| format!("For input string: \"{text}\""))?)
        }
        ("parseDouble" | "valueOf", [Value::Text(text)], Some(_)) => {
            let parsed = text.trim().parse();
            Value::Double(parsed.map_err(|_| format!("For input string: \"{text}\""))?)
        }
        ("parseBoolean" | "valueOf", [Value::Text(text)], None) => {
            text.eq_ignore_ascii_case("true").into()
        }
        ("toString", [other], _) => other.to_string().into(),
        ("isNaN", [], Some(number)) => number.is_nan().into(),
        _ => Value::Null,
    })
}
