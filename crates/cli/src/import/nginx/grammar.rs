//! nginx's grammar: words, quotes, escapes, comments, directives and blocks. No file but the given text.
use std::{
    iter::Peekable,
    path::{Path, PathBuf},
    str::Chars,
};
use thiserror::Error;

/// Deeper blocks than any server needs; reading one more costs stack.
const DEEPEST: usize = 64;

/// A directive with its block, if it has one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) words: Vec<String>,
    pub(super) block: Option<Vec<Directive>>,
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

/// Where and why a text is not nginx's.
#[derive(PartialEq, Eq, Debug, Error)]
#[error("{}:{line}: {what}", file.display())]
pub(in crate::import) struct SyntaxError {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) what: &'static str,
}

/// Reads a text; `file` only names it.
pub(super) fn parse(text: &str, file: &Path) -> Result<Vec<Directive>, SyntaxError> {
    let mut reader = Reader {
        letters: text.chars().peekable(),
        line: 1,
        file,
    };
    reader.directives(0)
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
    Nothing,
}

struct Reader<'t> {
    letters: Peekable<Chars<'t>>,
    line: usize,
    file: &'t Path,
}

impl Reader<'_> {
    fn directives(&mut self, depth: usize) -> Result<Vec<Directive>, SyntaxError> {
        if depth > DEEPEST {
            return Err(self.error("blocks stand in one another too deep"));
        }
        let mut directives = Vec::new();
        loop {
            let token = self.token()?;
            let line = self.line;
            match token {
                Token::Word(name) => directives.push(self.directive(name, line, depth)?),
                Token::Close if depth > 0 => return Ok(directives),
                Token::Nothing if depth == 0 => return Ok(directives),
                Token::Nothing => return Err(self.error("a block has no end: \"}\" is missing")),
                Token::Close => return Err(self.error("unexpected \"}\"")),
                Token::End => return Err(self.error("unexpected \";\"")),
                Token::Open => return Err(self.error("unexpected \"{\"")),
            }
        }
    }

    fn directive(&mut self, name: String, line: usize, depth: usize) -> Result<Directive, SyntaxError> {
        let mut words = Vec::new();
        let block = loop {
            match self.token()? {
                Token::Word(word) => words.push(word),
                Token::End => break None,
                Token::Open if name.ends_with("_by_lua_block") => {
                    self.foreign_block()?;
                    break Some(Vec::new());
                }
                Token::Open => break Some(self.directives(depth + 1)?),
                Token::Close => return Err(self.error("unexpected \"}\": \";\" is missing before it")),
                Token::Nothing => return Err(self.error("the file ends within a directive: \";\" or \"}\" is missing")),
            }
        };
        Ok(Directive {
            name,
            words,
            block,
            file: self.file.to_owned(),
            line,
        })
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        loop {
            match self.letters.peek().copied() {
                None => return Ok(Token::Nothing),
                Some(space) if space.is_whitespace() => _ = self.next(),
                Some('#') => while self.next().is_some_and(|letter| letter != '\n') {},
                Some(_) => break,
            }
        }
        match self.next() {
            Some(';') => Ok(Token::End),
            Some('{') => Ok(Token::Open),
            Some('}') => Ok(Token::Close),
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            Some(first) => Ok(self.bare(first)),
            None => Ok(Token::Nothing),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, SyntaxError> {
        let mut word = String::new();
        loop {
            match self.next() {
                Some('\\') => self.escaped(&mut word),
                Some(end) if end == quote => break,
                Some(letter) => word.push(letter),
                None => return Err(self.error("a quote has no end")),
            }
        }
        match self.letters.peek() {
            Some(next) if next.is_whitespace() || matches!(next, ';' | '{' | ')') => Ok(Token::Word(word)),
            None => Ok(Token::Word(word)),
            Some(_) => Err(self.error("a word goes on after its closing quote")),
        }
    }

    fn bare(&mut self, first: char) -> Token {
        let mut word = String::new();
        let mut next = Some(first);
        while let Some(letter) = next {
            match letter {
                '\\' => self.escaped(&mut word),
                _ => word.push(letter),
            }
            // `${name}` is a variable, not the beginning of a block
            if letter == '$' && self.letters.peek() == Some(&'{') {
                word.extend(self.next());
            }
            let goes_on = |next: &char| !(next.is_whitespace() || matches!(next, ';' | '{'));
            next = match self.letters.peek() {
                Some(next) if goes_on(next) => self.next(),
                _ => None,
            };
        }
        Token::Word(word)
    }

    /// What a backslash and the next letter stand for; before other letters the backslash stays, for regular expressions.
    fn escaped(&mut self, word: &mut String) {
        match self.next() {
            Some(plain @ ('"' | '\'' | '\\')) => word.push(plain),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(other) => word.extend(['\\', other]),
            None => word.push('\\'),
        }
    }

    /// A block in another language: only its braces are counted.
    fn foreign_block(&mut self) -> Result<(), SyntaxError> {
        let mut open = 1;
        while open > 0 {
            match self.next() {
                Some('{') => open += 1,
                Some('}') => open -= 1,
                Some(_) => {}
                None => return Err(self.error("a block has no end: \"}\" is missing")),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.letters.next();
        if letter == Some('\n') {
            self.line += 1;
        }
        letter
    }

    fn error(&self, what: &'static str) -> SyntaxError {
        SyntaxError {
            file: self.file.to_owned(),
            line: self.line,
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as one line.
    fn shape(text: &str) -> String {
        fn one(directive: &Directive) -> String {
            let words: String = directive.words.iter().map(|word| format!(" <{word}>")).collect();
            let block = directive.block.as_ref().map_or_else(String::new, |block| {
                format!(" {{{}}}", block.iter().map(one).collect::<Vec<_>>().join("; "))
            });
            format!("{}@{}{words}{block}", directive.name, directive.line)
        }
        match parse(text, Path::new("f")) {
            Ok(directives) => directives.iter().map(one).collect::<Vec<_>>().join("; "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn words_quotes_escapes_comments_and_variables_are_read_as_nginx_reads_them() {
        let table = [
            ("a b;c;", "a@1 <b>; c@1"),
            ("# c { ;\na # d\n b;", "a@2 <b>"),
            ("a#b c#d;", "a#b@1 <c#d>"),
            (r#"a "b; {c}" 'd "e"' "";"#, r#"a@1 <b; {c}> <d "e"> <>"#),
            (r#"a "x\"y\\z\n\d" b\ c;"#, "a@1 <x\"y\\z\n\\d> <b\\ c>"),
            (
                r"location ~ \.(php|inc)$ { b; }",
                r"location@1 <~> <\.(php|inc)$> {b@1}",
            ),
            ("a ${b}c$d{ e; }", "a@1 <${b}c$d> {e@1}"),
            ("a{b{c;}}\n\nd;", "a@1 {b@1 {c@1}}; d@3"),
            ("a it's fine;", "a@1 <it's> <fine>"),
            (
                "content_by_lua_block { if a then { } end; ' } b;",
                "content_by_lua_block@1 {}; b@1",
            ),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_said_with_its_line() {
        let table = [
            ("a", "f:1: the file ends within a directive: \";\" or \"}\" is missing"),
            ("a;\n}", "f:2: unexpected \"}\""),
            ("a {\nb;", "f:2: a block has no end: \"}\" is missing"),
            ("a {\nb }", "f:2: unexpected \"}\": \";\" is missing before it"),
            ("a 'b", "f:1: a quote has no end"),
            ("a \"b\"c;", "f:1: a word goes on after its closing quote"),
            (";", "f:1: unexpected \";\""),
            ("{ }", "f:1: unexpected \"{\""),
            ("set_by_lua_block $x {", "f:1: a block has no end: \"}\" is missing"),
        ];
        for (text, expected) in table {
            assert_eq!(shape(text), expected, "{text}");
        }
        let deep = "a{".repeat(100_000);
        assert_eq!(shape(&deep), "f:1: blocks stand in one another too deep");
    }
}
