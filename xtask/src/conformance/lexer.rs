//! Rust source as a row of tokens: enough to find the tests in it, with comments and strings kept apart.

/// What stands in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A comment of any kind but `//!`, with its slashes.
    Comment(&'t str),
    /// A string literal of any kind, with its quotes.
    Text(&'t str),
    /// An identifier, keyword or number.
    Word(&'t str),
    /// Any other character.
    Sign(char),
}

/// A token and where it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'t> {
    /// The token.
    pub(super) token: Token<'t>,
    /// Its line, from 1.
    pub(super) line: usize,
    /// Whether no other token stands before it on its line.
    pub(super) leads: bool,
}

/// Splits a source file. What is no Rust comes out as some tokens or other; nothing fails.
pub(super) fn lex(text: &str) -> Vec<Placed<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line, mut leads) = (0, 1, true);
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            if first == '\n' {
                line += 1;
                leads = true;
            }
            at += first.len_utf8();
            continue;
        }
        let rest = &text[at..];
        let (len, token) = one(rest, first);
        let whole = &rest[..len];
        if let Some(token) = token {
            tokens.push(Placed { token, line, leads });
            leads = false;
        }
        line += whole.matches('\n').count();
        at += len;
    }
    tokens
}

/// The length of the first token, and the token unless it is a module's own documentation.
fn one(rest: &str, first: char) -> (usize, Option<Token<'_>>) {
    if rest.starts_with("//") {
        let len = rest.find('\n').unwrap_or(rest.len());
        let comment = (!rest.starts_with("//!")).then_some(Token::Comment(&rest[..len]));
        return (len, comment);
    }
    if rest.starts_with("/*") {
        let len = block_comment(rest);
        return (len, Some(Token::Comment(&rest[..len])));
    }
    if let Some(len) = string(rest) {
        return (len, Some(Token::Text(&rest[..len])));
    }
    if first == '\'' {
        return (character(rest), Some(Token::Sign('\'')));
    }
    if first.is_alphanumeric() || first == '_' {
        let len = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        return (len, Some(Token::Word(&rest[..len])));
    }
    (first.len_utf8(), Some(Token::Sign(first)))
}

/// The length of `/* … */`, which may hold others.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a string literal, if one begins here.
fn string(rest: &str) -> Option<usize> {
    let body = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - body.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inner = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let start = rest.len() - inner.len();
        return Some(
            inner
                .find(&end)
                .map_or(rest.len(), |len| start + len + end.len()),
        );
    }
    let inner = body.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(prefix + 1 + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// The length of a character literal, or of the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((after, _))) => rest[after + 1..]
            .find('\'')
            .map_or(1, |len| after + 1 + len + 1),
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        let tokens = lex(source).into_iter();
        tokens
            .filter_map(|placed| match placed.token {
                Token::Comment(text) | Token::Text(text) | Token::Word(text) => Some(text),
                Token::Sign(_) => None,
            })
            .collect()
    }

    #[test]
    fn comments_and_strings_are_told_apart() {
        let source = r##"//! module
/// doc " quote
a /* b /* c */ d */ "x \" // y" r#"raw " "# br"z" b'{' '"' '\'' 'life '\u{7f}' end"##;
        let expected = [
            "/// doc \" quote",
            "a",
            "/* b /* c */ d */",
            r#""x \" // y""#,
            r##"r#"raw " "#"##,
            r#"br"z""#,
            "b",
            "life",
            "end",
        ];
        assert_eq!(texts(source), expected);
    }

    #[test]
    fn lines_are_counted_and_known_to_begin() {
        let tokens = lex("a \"1\n2\" b\n  c");
        let places: Vec<_> = tokens.iter().map(|p| (p.line, p.leads)).collect();
        assert_eq!(places, [(1, true), (1, false), (2, false), (3, true)]);
    }

    #[test]
    fn what_does_not_end_is_no_panic() {
        for source in ["\"", "r#\"", "/*", "'", "'\\", "'\\'", "b", "r", "'é'", "é"] {
            lex(source);
        }
    }
}
