//! Patterns for the lines of a modem, and the numbers in them.

/// Whether `line` begins with one of the alternatives that `|` separates; `#` stands for a digit. Nothing matches an empty pattern.
pub(super) fn matches(line: &[u8], pattern: &str) -> bool {
    !pattern.is_empty()
        && pattern
            .as_bytes()
            .split(|&byte| byte == b'|')
            .any(|prefix| begins(line, prefix))
}

fn begins(line: &[u8], prefix: &[u8]) -> bool {
    let mut rest = line.iter();
    prefix.iter().all(|&wanted| {
        rest.next()
            .is_some_and(|&byte| byte == wanted || (wanted == b'#' && byte.is_ascii_digit()))
    })
}

/// What follows the alternative of `pattern` with which `line` begins.
pub(super) fn after<'l>(line: &'l [u8], pattern: &str) -> Option<&'l [u8]> {
    let prefix = pattern
        .as_bytes()
        .split(|&byte| byte == b'|')
        .find(|prefix| begins(line, prefix))?;
    if prefix.is_empty() {
        None
    } else {
        line.get(prefix.len()..)
    }
}

/// The decimal number at the front of `text`, and what follows it. What no modem sends (more than 65,535) is no number.
pub(super) fn number(text: &[u8]) -> Option<(u16, &[u8])> {
    let mut value = None;
    let mut rest = text;
    while let Some((&digit, tail)) = rest.split_first()
        && digit.is_ascii_digit()
    {
        let digit = u16::from(digit.wrapping_sub(b'0'));
        value = Some(value.unwrap_or(0_u16).checked_mul(10)?.checked_add(digit)?);
        rest = tail;
    }
    Some((value?, rest))
}

/// Field number `index` of a list with commas; commas in quotes do not count.
pub(super) fn field(text: &[u8], index: u8) -> Option<&[u8]> {
    let mut left = index;
    let mut quoted = false;
    let mut rest = text;
    while left > 0 {
        let (&byte, tail) = rest.split_first()?;
        quoted ^= byte == b'"';
        if byte == b',' && !quoted {
            left -= 1;
        }
        rest = tail;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::{after, field, matches, number};

    #[test]
    fn a_line_matches_any_alternative_and_only_from_its_start() {
        assert!(matches(b"SEND OK", "SEND OK|DATA ACCEPT"));
        assert!(matches(b"DATA ACCEPT:12", "SEND OK|DATA ACCEPT"));
        assert!(matches(b"+CREG: 0,5", "+CREG: #,1|+CREG: #,5"));
        assert!(!matches(b"+CREG: 0,2", "+CREG: #,1|+CREG: #,5"));
        assert!(!matches(b"+CREG: 1", "+CREG: #,1|+CREG: #,5"));
        assert!(!matches(b" OK", "OK"));
        assert!(!matches(b"O", "OK"));
        assert!(!matches(b"OK", ""));
    }

    #[test]
    fn numbers_and_fields_are_found() {
        assert_eq!(after(b"+IPD,12", "+IPD,"), Some(&b"12"[..]));
        assert_eq!(after(b"+IPD,12", ""), None);
        assert_eq!(number(b"12,3"), Some((12, &b",3"[..])));
        assert_eq!(number(b"65535"), Some((65_535, &b""[..])));
        assert_eq!(number(b"65536"), None);
        assert_eq!(number(b"x"), None);
        let list = b"\"home, sweet\",\"aa:bb\",6,-54,0";
        assert_eq!(field(list, 3), Some(&b"-54,0"[..]));
        assert_eq!(field(list, 9), None);
    }
}
