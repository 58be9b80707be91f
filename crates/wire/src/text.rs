//! Scalars as text, where a protocol has only text: headers, labels, queries, XML.

use sereno_base::Timestamp;

use crate::schema::TimestampFormat;

/// Any of the forms a timestamp is sent in.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    Timestamp::parse_iso8601(text)
        .or_else(|_| Timestamp::parse_http_date(text))
        .ok()
        .or_else(|| text.parse().ok().and_then(Timestamp::from_secs_f64))
}

pub(crate) fn write_timestamp(
    value: Timestamp,
    format: TimestampFormat,
    default: TimestampFormat,
) -> String {
    let format = if format == TimestampFormat::Protocol { default } else { format };
    match format {
        TimestampFormat::Http => value.http_date(),
        TimestampFormat::Epoch => {
            let mut out = Vec::new();
            crate::json::epoch(&mut out, value);
            String::from_utf8_lossy(&out).into_owned()
        }
        TimestampFormat::Iso8601 | TimestampFormat::Protocol => {
            match value.millis().rem_euclid(1000) {
                0 => value.iso8601(),
                _ => value.iso8601_millis(),
            }
        }
    }
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

pub(crate) fn special_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

pub(crate) fn parse_double(text: &str) -> Option<f64> {
    special_double(text).or_else(|| text.parse().ok().filter(|value: &f64| value.is_finite()))
}

pub(crate) fn double(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        format!("{value:?}")
    }
}
