//! A message as one line of JSON, with the names that mosquitto_sub uses.

use core::fmt::Write as _;

use mqtt_client::{PayloadFormat, Publication};

/// The message; its payload is text, with U+FFFD where it is not UTF-8.
pub(crate) fn message(publication: &Publication, (seconds, micros): (u64, u32)) -> String {
    let (date, time) = civil(seconds);
    let mut out = format!("{{\"tst\":\"{date}T{time}.{micros:06}Z+0000\",\"topic\":");
    string(&mut out, publication.topic());
    let payload = publication.payload();
    let (qos, retain) = (publication.qos() as u8, u8::from(publication.is_retained()));
    // Writing into a string does not fail.
    let _ = write!(
        out,
        ",\"qos\":{qos},\"retain\":{retain},\"payloadlen\":{}",
        payload.len()
    );
    properties(&mut out, publication);
    out.push_str(",\"payload\":");
    if payload.is_empty() {
        out.push_str("null");
    } else {
        string(&mut out, &String::from_utf8_lossy(payload));
    }
    out.push('}');
    out
}

fn properties(out: &mut String, publication: &Publication) {
    let all = publication.properties();
    if all.is_empty() {
        return;
    }
    let mut fields = Vec::new();
    let pairs: Vec<_> = all
        .user_properties()
        .map(|(name, value)| {
            let mut pair = String::new();
            string(&mut pair, name);
            pair.push(':');
            string(&mut pair, value);
            pair
        })
        .collect();
    if !pairs.is_empty() {
        fields.push(format!("\"user-properties\":{{{}}}", pairs.join(",")));
    }
    let correlation = all.correlation_data().map(String::from_utf8_lossy);
    for (name, text) in [
        ("content-type", all.content_type()),
        ("response-topic", all.response_topic()),
        ("correlation-data", correlation.as_deref()),
    ] {
        if let Some(text) = text {
            let mut field = format!("\"{name}\":");
            string(&mut field, text);
            fields.push(field);
        }
    }
    if let Some(format) = all.payload_format_indicator() {
        let number = u8::from(format == PayloadFormat::Utf8);
        fields.push(format!("\"payload-format-indicator\":{number}"));
    }
    if let Some(seconds) = all.message_expiry_interval() {
        fields.push(format!("\"message-expiry-interval\":{seconds}"));
    }
    if !fields.is_empty() {
        let _ = write!(out, ",\"properties\":{{{}}}", fields.join(","));
    }
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Seconds since 1970 as a date and time in UTC, ISO 8601.
pub(crate) fn seconds_iso(seconds: u64) -> String {
    let (date, time) = civil(seconds);
    format!("{date}T{time}+0000")
}

/// Date and time of day in UTC, by the days of 400-year cycles that begin on the first of March.
fn civil(seconds: u64) -> (String, String) {
    let day = seconds / 86_400 + 719_468;
    let (cycle, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = cycle * 400 + year + next;
    let second = seconds % 86_400;
    (
        format!("{year:04}-{month:02}-{date:02}"),
        format!(
            "{:02}:{:02}:{:02}",
            second / 3_600,
            second / 60 % 60,
            second % 60
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_leap_years_and_centuries() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00+0000"),
            (951_782_399, "2000-02-28T23:59:59+0000"),
            (951_782_400, "2000-02-29T00:00:00+0000"),
            (1_795_521_186, "2026-11-24T11:53:06+0000"),
            (4_107_542_399, "2100-02-28T23:59:59+0000"),
            (4_107_542_400, "2100-03-01T00:00:00+0000"),
        ] {
            assert_eq!(seconds_iso(seconds), text);
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        string(&mut out, "a\"\\\n\u{1}é");
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001é\"");
    }
}
