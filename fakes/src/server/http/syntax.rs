//! What Go's JSON reader says of a text that is no JSON.

/// What is wrong with a text; none where it is JSON.
pub(in crate::server) fn fault(json: &[u8]) -> Option<String> {
    let mut reader = Reader { json, at: 0 };
    let read = reader.value(0).and_then(|()| {
        reader.blanks();
        if reader.at < json.len() { reader.invalid("after top-level value") } else { Ok(()) }
    });
    read.err()
}

/// Go gives up at 10,000. This reader recurses, and what is deeper than this has been refused before it is asked why.
const MAX_DEPTH: usize = 200;

type Read = Result<(), String>;

struct Reader<'a> {
    json: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The character here does not belong here; or the text ends too early.
    fn invalid<T>(&self, place: &str) -> Result<T, String> {
        let Some(found) = self.peek() else { return Err("unexpected end of JSON input".to_owned()) };
        let shown = match found {
            b'\'' => "'\\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            b'\\' => "'\\\\'".to_owned(),
            b'\n' => "'\\n'".to_owned(),
            b'\t' => "'\\t'".to_owned(),
            b'\r' => "'\\r'".to_owned(),
            0x20..=0x7e => format!("'{}'", char::from(found)),
            // Bytes are shown as the characters of Latin-1 that they would be.
            0xa1..=0xac | 0xae..=0xff => format!("'{}'", char::from(found)),
            0x80..=0xa0 | 0xad => format!("'\\u{found:04x}'"),
            _ => format!("'\\x{found:02x}'"),
        };
        Err(format!("invalid character {shown} {place}"))
    }

    fn value(&mut self, depth: usize) -> Read {
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.invalid("looking for beginning of value"),
        }
    }

    fn object(&mut self, depth: usize) -> Read {
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return self.invalid("looking for beginning of object key string");
            }
            self.string()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return self.invalid("after object key");
            }
            self.at += 1;
            self.value(depth + 1)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.invalid("after object key:value pair"),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Read {
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.invalid("after array element"),
            }
        }
    }

    fn string(&mut self) -> Read {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return self.invalid("in string literal"),
            }
        }
    }

    fn escape(&mut self) -> Read {
        match self.peek() {
            Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                        return self.invalid("in \\u hexadecimal character escape");
                    }
                    self.at += 1;
                }
            }
            _ => return self.invalid("in string escape code"),
        }
        Ok(())
    }

    fn number(&mut self) -> Read {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.invalid("in numeric literal"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
                return self.invalid("after decimal point in numeric literal");
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
                return self.invalid("in exponent of numeric literal");
            }
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str) -> Read {
        for (index, expected) in word.bytes().enumerate() {
            if self.peek() != Some(expected) {
                let (known, expected) = (word, char::from(expected));
                return if index == 0 {
                    self.invalid("looking for beginning of value")
                } else {
                    self.invalid(&format!("in literal {known} (expecting '{expected}')"))
                };
            }
            self.at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_as_go_names_them() {
        for (json, expected) in [
            ("", "unexpected end of JSON input"),
            ("{\"a\": 1", "unexpected end of JSON input"),
            ("{\"a\": 1}}", "invalid character '}' after top-level value"),
            ("{\"a\": 1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\": 1 2}", "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("hello", "invalid character 'h' looking for beginning of value"),
            ("nul", "unexpected end of JSON input"),
            ("nuts", "invalid character 't' in literal null (expecting 'l')"),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
            ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("-a", "invalid character 'a' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1ex", "invalid character 'x' in exponent of numeric literal"),
            ("01", "invalid character '1' after top-level value"),
        ] {
            assert_eq!(fault(json.as_bytes()).as_deref(), Some(expected), "{json}");
        }
        for json in ["null", " {\"a\": [1.5e+3, \"\\u00e9\\n\", {}, [], true, false]} "] {
            assert_eq!(fault(json.as_bytes()), None, "{json}");
        }
        assert_eq!(fault(&b"[".repeat(20_000)).as_deref(), Some("exceeded max depth"));
    }
}
