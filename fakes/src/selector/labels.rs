//! The grammar of label selectors in URLs, with the words the real server has for what does not follow it.

use std::collections::BTreeSet;

use super::{Operator, Requirement};
use crate::names::{wrong_key, wrong_label_value};

const BINARY_OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";
const SYMBOLS: [&str; 8] = [")", ",", "!", "==", "=", ">", "<", "!="];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A key, a value, or one of the words `in` and `notin`, which may be either.
    Word(&'a str),
    Symbol(&'a str),
    /// Symbols that make no sense together.
    Error(&'a str),
    End,
}

impl Token<'_> {
    fn text(self) -> String {
        match self {
            Self::Word(text) | Self::Symbol(text) => text.to_owned(),
            Self::Error(text) => format!("error expected: keyword found '{text}'"),
            Self::End => String::new(),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { rest: text };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            Token::Word(_) | Token::Symbol("!") => {
                let requirement = parser.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?;
                requirements.push(requirement);
                match parser.next() {
                    Token::End => return Ok(requirements),
                    Token::Symbol(",") => match parser.peek() {
                        Token::Word(_) | Token::Symbol("!") => {}
                        other => return Err(format!("found '{}', expected: identifier after ','", other.text())),
                    },
                    other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
                }
            }
            Token::End => return Ok(requirements),
            other => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text())),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

fn is_symbol(c: char) -> bool {
    "=!(),><".contains(c)
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        Parser { rest: self.rest }.next()
    }

    fn next(&mut self) -> Token<'a> {
        let text = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(first) = text.chars().next().filter(|c| *c != '\0') else {
            self.rest = "";
            return Token::End;
        };
        if is_symbol(first) {
            return self.symbol(text);
        }
        let end = text.find(|c: char| is_symbol(c) || " \t\r\n\0".contains(c)).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        Token::Word(word)
    }

    /// The longest symbol there is; symbols that are none run on until they are one.
    fn symbol(&mut self, text: &'a str) -> Token<'a> {
        let run = text.find(|c| !is_symbol(c)).unwrap_or(text.len());
        let mut found = None;
        for end in 1..=run {
            let Some(candidate) = text.get(..end) else { break };
            if candidate == "(" || SYMBOLS.contains(&candidate) {
                found = Some(end);
            } else if found.is_some() {
                break;
            }
        }
        let (symbol, rest) = text.split_at(found.unwrap_or(run));
        self.rest = rest;
        if found.is_some() { Token::Symbol(symbol) } else { Token::Error(symbol) }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.next();
        let negated = token == Token::Symbol("!");
        if negated {
            token = self.next();
        }
        let Token::Word(key) = token else { return Err(format!("found '{}', expected: identifier", token.text())) };
        if let Some(why) = wrong_key(key) {
            return Err(format!("<nil>: Invalid value: {key:?}: {why}"));
        }
        if negated {
            return Ok(Requirement { key: key.to_owned(), operator: Operator::DoesNotExist });
        }
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Ok(Requirement { key: key.to_owned(), operator: Operator::Exists });
        }
        let token = self.next();
        let values = match token {
            Token::Word("in" | "notin") => self.values()?,
            Token::Symbol("=" | "==" | "!=" | ">" | "<") => BTreeSet::from([self.exact_value()?]),
            other => return Err(format!("found '{}', expected: {BINARY_OPERATORS}", other.text())),
        };
        check_values(key, token, &values)?;
        let number = || values.first().and_then(|value| value.parse().ok()).unwrap_or_default();
        let operator = match token {
            Token::Symbol(">") => Operator::GreaterThan(number()),
            Token::Symbol("<") => Operator::LessThan(number()),
            Token::Symbol("!=") | Token::Word("notin") => Operator::NotIn(values),
            _ => Operator::In(values),
        };
        Ok(Requirement { key: key.to_owned(), operator })
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.next();
        if open != Token::Symbol("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        match self.peek() {
            Token::Word(_) | Token::Symbol(",") => {
                let values = self.identifiers()?;
                self.next();
                Ok(values)
            }
            Token::Symbol(")") => {
                self.next();
                Ok(BTreeSet::from([String::new()]))
            }
            other => Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        }
    }

    /// Values up to the closing parenthesis, which is left. Where a value is missing it is empty.
    fn identifiers(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.next() {
                Token::Word(value) => {
                    values.insert(value.to_owned());
                    match self.peek() {
                        Token::Symbol(",") => {}
                        Token::Symbol(")") => return Ok(values),
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Symbol(",") => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    match self.peek() {
                        Token::Symbol(")") => {
                            values.insert(String::new());
                            return Ok(values);
                        }
                        Token::Symbol(",") => {
                            values.insert(String::new());
                        }
                        _ => {}
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Ok(String::new());
        }
        match self.next() {
            Token::Word(value) => Ok(value.to_owned()),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }
}

fn check_values(key: &str, operator: Token<'_>, values: &BTreeSet<String>) -> Result<(), String> {
    let mut wrong = Vec::new();
    for (index, value) in values.iter().enumerate() {
        if matches!(operator, Token::Symbol("<" | ">")) && value.parse::<i64>().is_err() {
            let why = "for 'Gt', 'Lt' operators, the value must be an integer";
            wrong.push(format!("values[{index}]: Invalid value: {value:?}: {why}"));
        }
    }
    for (index, value) in values.iter().enumerate() {
        if let Some(why) = wrong_label_value(value) {
            wrong.push(format!("values[{index}][{key}]: Invalid value: {value:?}: {why}"));
        }
    }
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
}
