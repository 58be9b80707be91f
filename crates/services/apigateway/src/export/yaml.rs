//! JSON as YAML: blocks for what has members, JSON's own texts for the rest (YAML reads them).

use serde_json::Value;

pub fn write(value: &Value) -> String {
    let mut out = String::from("---\n");
    block(value, 0, &mut out);
    out
}

/// The members of `value`, each on lines of its own.
fn block(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                indent(depth, out);
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                rest(value, depth, out);
            }
        }
        Value::Array(items) => {
            for value in items {
                indent(depth, out);
                out.push('-');
                rest(value, depth, out);
            }
        }
        scalar => {
            indent(depth, out);
            out.push_str(&scalar.to_string());
            out.push('\n');
        }
    }
}

/// What follows a name or a dash.
fn rest(value: &Value, depth: usize, out: &mut String) {
    let empty = match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if empty {
        out.push(' ');
        out.push_str(&value.to_string());
        out.push('\n');
    } else {
        out.push('\n');
        block(value, depth + 1, out);
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn reads_back_as_what_it_was() {
        let value = json!({
            "swagger": "2.0", "empty": {}, "none": [], "n": 1, "t": "a: \"b\"\n- c",
            "list": [{"a": [1, "2"]}, "x"], "deep": {"/pets/{id}": {"get": true}},
        });
        let text = super::write(&value);
        assert_eq!(sereno_template::text::parse(&text).unwrap(), value, "{text}");
    }
}
