//! The tokens of filters and paths: a cursor that only moves forward, so reading is linear.

use crate::parser::Mistake;

/// A cursor over a text. Every method leaves it on a character boundary.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Moves past the byte that `peek` has shown to be ASCII.
    pub(crate) fn advance(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// What follows while `belongs`, which must hold for all or none of a character's bytes.
    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| !belongs(byte)).unwrap_or(rest.len());
        self.at = self.at.saturating_add(length);
        rest.get(..length).unwrap_or_default()
    }

    pub(crate) fn blanks(&mut self) {
        self.run(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    }

    /// The bytes of an attribute path or of what was meant as one.
    pub(crate) fn path_word(&mut self) -> &'a str {
        self.run(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-' | b'$' | b'.' | b':' | b'/' | b'%' | b'~' | b'+' | b'#')
        })
    }

    /// An operator, or what was meant as one.
    pub(crate) fn letters(&mut self) -> &'a str {
        self.run(|byte| byte.is_ascii_alphanumeric())
    }

    /// A value without quotes: up to a blank or a closing bracket.
    pub(crate) fn bare_word(&mut self) -> &'a str {
        self.run(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b')' | b']'))
    }

    /// Moves past blanks and `word` in any case, if that is what follows and no name goes on.
    pub(crate) fn keyword(&mut self, word: &str) -> bool {
        let before = self.at;
        self.blanks();
        if self.path_word().eq_ignore_ascii_case(word) {
            return true;
        }
        self.at = before;
        false
    }

    /// A JSON string (RFC 8259 §7), unescaped; the cursor is on its opening quote.
    pub(crate) fn string(&mut self) -> Result<String, Mistake> {
        let opened = self.at;
        self.advance();
        let mut text = self.plain().to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.advance();
                    return Ok(text);
                }
                Some(b'\\') => {
                    text.push(self.escape()?);
                    text.push_str(self.plain());
                }
                Some(_) => return Err(Mistake::new(self.at, "a control character must be escaped")),
                None => return Err(Mistake::new(opened, "the string that begins here does not end")),
            }
        }
    }

    fn plain(&mut self) -> &'a str {
        self.run(|byte| byte >= 0x20 && !matches!(byte, b'"' | b'\\'))
    }

    fn escape(&mut self) -> Result<char, Mistake> {
        let start = self.at;
        let bad = || Mistake::new(start, "this is not an escape JSON knows");
        self.advance();
        let kind = self.peek().filter(u8::is_ascii).ok_or_else(bad)?;
        self.advance();
        match kind {
            b'"' | b'\\' | b'/' => Ok(char::from(kind)),
            b'b' => Ok('\u{8}'),
            b'f' => Ok('\u{c}'),
            b'n' => Ok('\n'),
            b'r' => Ok('\r'),
            b't' => Ok('\t'),
            b'u' => {
                let first = self.unit().ok_or_else(bad)?;
                let second = match first {
                    0xd800..=0xdbff if self.rest().starts_with("\\u") => {
                        self.advance();
                        self.advance();
                        Some(self.unit().ok_or_else(bad)?)
                    }
                    _ => None,
                };
                let mut decoded = char::decode_utf16(std::iter::once(first).chain(second));
                match (decoded.next(), decoded.next()) {
                    (Some(Ok(c)), None) => Ok(c),
                    _ => Err(Mistake::new(start, "half of a surrogate pair stands alone")),
                }
            }
            _ => Err(bad()),
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.rest().get(..4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at = self.at.saturating_add(4);
        u16::from_str_radix(digits, 16).ok()
    }

    /// The mistake that something else than `wanted` stands here.
    pub(crate) fn unexpected(&self, wanted: &str) -> Mistake {
        Mistake::new(
            self.at,
            match self.rest().chars().next() {
                Some(found) => format!("expected {wanted}, found {found:?}"),
                None => format!("expected {wanted}, found the end"),
            },
        )
    }
}
