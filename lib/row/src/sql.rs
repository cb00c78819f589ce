//! SQL expressions as text: a dialect that reserves only the words used, and errors with a caret
//! under the place.

use std::fmt;

use sqlparser::ast::{Expr as Ast, SelectItem, Spanned};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

mod operands;

/// Names, operators and parentheses of a text at most. `1 + 1 + …` is as deep a tree as it is
/// long, and whoever walks it does so on the stack.
const STEPS_MAX: usize = 2_000;

/// Letters that are shown on either side of the place that is refused.
const SHOWN: usize = 60;

/// An expression as it was written, parsed but not compiled.
#[derive(Clone, Debug)]
pub struct Item {
    /// What was written, without the name given by `AS`.
    pub ast: Ast,
    /// The name given by `AS`.
    pub name: Option<String>,
    /// The expression as it was typed; with its name, where it has one.
    pub typed: String,
    /// The whole text that the expression stands in, for carets.
    pub text: String,
}

/// An expression that is refused: the reason, with a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is shown of the text.
    shown: String,
    /// The place in it, in characters from 0, when it is known.
    column: Option<usize>,
    reason: String,
}

impl Refused {
    /// Refuses a part of `text` for `reason`, pointing at where `ast` starts.
    #[must_use]
    pub fn at(text: &str, ast: &impl Spanned, reason: impl Into<String>) -> Refused {
        Refused::new(text, ast.span().start, hint(text, reason.into()))
    }

    /// Shows the line of `place`, which counts both from 1, and no more of it than can be read.
    fn new(text: &str, place: Location, reason: String) -> Refused {
        let line = place.line.max(1) - 1;
        let line = usize::try_from(line).ok().and_then(|line| text.lines().nth(line));
        let line: Vec<char> = line.unwrap_or_default().chars().collect();
        let column = usize::try_from(place.column).ok().and_then(|column| column.checked_sub(1));
        let from = column.unwrap_or(0).saturating_sub(SHOWN).min(line.len());
        let to = line.len().min(column.unwrap_or(0) + SHOWN);
        let mut shown = String::new();
        if from > 0 {
            shown.push('…');
        }
        let margin = shown.chars().count();
        shown.extend(&line[from..to]);
        if to < line.len() {
            shown.push('…');
        }
        Refused { shown, column: column.map(|column| column - from + margin), reason }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if self.shown.trim().is_empty() {
            return Ok(());
        }
        write!(f, "\n    {}", self.shown)?;
        if let Some(column) = self.column {
            write!(f, "\n    {}^", " ".repeat(column))?;
        }
        Ok(())
    }
}

/// SQL in which `$1` is a name and in which columns may be called `like`, `user` or `end`.
#[derive(Debug)]
struct RowDialect;

impl Dialect for RowDialect {
    fn is_identifier_start(&self, letter: char) -> bool {
        letter.is_alphabetic() || letter == '_' || letter == '$'
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        letter.is_alphanumeric() || letter == '_' || letter == '$'
    }

    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        letter == '"'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn is_reserved_for_identifier(&self, _: Keyword) -> bool {
        false
    }
}

/// Parses one expression with an optional name: `sum(a)/count(*) as mean`.
///
/// # Errors
/// When the text is none, or goes on after it.
pub fn item(text: &str) -> Result<Item, Refused> {
    let mut items = items(text)?;
    match items.pop() {
        Some(item) if items.is_empty() => Ok(item),
        _ => {
            let reason = "one expression is expected here, give each its own quotes";
            Err(Refused::new(text, Location::empty(), reason.to_owned()))
        }
    }
}

/// Parses expressions that are separated by commas.
///
/// # Errors
/// When the text is none, or goes on after them.
pub fn items(text: &str) -> Result<Vec<Item>, Refused> {
    let tokens = tokens(text)?;
    let typed = cut(text, &tokens);
    let mut parser = Parser::new(&RowDialect).with_tokens_with_locations(tokens);
    let parsed = parser.parse_comma_separated(Parser::parse_select_item);
    let next = parser.peek_token();
    let parsed = parsed.map_err(|error| refused(text, &error, next.span.start))?;
    if next.token != Token::EOF {
        let reason = match advice(&next.token.to_string()) {
            Some(advice) => format!("no operator {}; {advice}", next.token),
            None => format!("{} is not expected here", next.token),
        };
        return Err(Refused::new(text, next.span.start, hint(text, reason)));
    }
    parsed.into_iter().zip(typed).map(|(item, typed)| named(item, typed, text)).collect()
}

/// The parts of a text between the commas that stand in no parentheses.
fn cut<'t>(text: &'t str, tokens: &[TokenWithSpan]) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                parts.push(text[start..offset(text, span.start)].trim());
                start = offset(text, span.end);
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// Where a place stands in a text, in bytes. It counts lines and their letters from 1.
fn offset(text: &str, place: Location) -> usize {
    let mut lines = text.split_inclusive('\n');
    let before = lines.by_ref().take(usize::try_from(place.line).unwrap_or(1).saturating_sub(1));
    let start: usize = before.map(str::len).sum();
    let letters = usize::try_from(place.column).unwrap_or(1).saturating_sub(1);
    let letter = text[start..].char_indices().nth(letters);
    letter.map_or(text.len(), |(at, _)| start + at)
}

/// Cuts a text into words, and refuses one that is longer than anybody writes.
fn tokens(text: &str) -> Result<Vec<TokenWithSpan>, Refused> {
    let tokens = Tokenizer::new(&RowDialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| refused(text, &error.into(), Location::empty()))?;
    let flat = |token: &Token| {
        // What stands between commas side by side makes no tree deeper.
        matches!(
            token,
            Token::Whitespace(_) | Token::Comma | Token::Number(..) | Token::SingleQuotedString(_)
        )
    };
    let mut steps = tokens.iter().filter(|token| !flat(&token.token));
    if let Some(beyond) = steps.nth(STEPS_MAX) {
        let reason = format!("too long: it has more than {STEPS_MAX} names and operators");
        return Err(Refused::new(text, beyond.span.start, reason));
    }
    Ok(tokens)
}

fn named(item: SelectItem, typed: &str, text: &str) -> Result<Item, Refused> {
    let (ast, name) = match item {
        SelectItem::UnnamedExpr(ast) => (ast, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.value)),
        other => return Err(Refused::at(text, &other, "an expression is expected here")),
    };
    // The parser takes what stands before a missing operand, as in ` as name`, for a column.
    if let (Ast::Identifier(column), Some(_)) = (&ast, &name)
        && column.quote_style.is_none()
        && is_one_missing(typed, false)
    {
        let reason = format!("an expression is expected before {column}");
        return Err(Refused::at(text, &ast, reason));
    }
    Ok(Item { ast, name, typed: typed.to_owned(), text: text.to_owned() })
}

/// Takes the place out of the parser's message, which ends in ` at Line: 1, Column: 5`; `next` is
/// where the parser stands.
fn refused(text: &str, error: &ParserError, next: Location) -> Refused {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            message.as_str()
        }
        ParserError::RecursionLimitExceeded => "nested too deeply",
    };
    let (reason, place) = message.split_once(" at Line: ").unwrap_or((message, ""));
    let place = place.split_once(", Column: ").and_then(|(line, column)| {
        Some(Location { line: line.parse().ok()?, column: column.parse().ok()? })
    });
    // The parser gives the end of the text no place.
    let place = if reason.contains("found: EOF") { end_of(text) } else { place.unwrap_or(next) };
    let reason = match reason {
        "No infix parser for token Overlap" => no_operator("&&"),
        "Expected: an expression, found: !" | "No infix parser for token ExclamationMark" => {
            no_operator("!")
        }
        "Unterminated string literal" => "a text in quotes does not end".to_owned(),
        "Expected close delimiter '\"' before EOF." => "a name in quotes does not end".to_owned(),
        _ => reason.replace("Expected: ", "expected ").replace("found: ", "found "),
    };
    let reason = reason.replace("No infix parser for token ", "no operator ");
    let reason = reason.replace("found EOF", "found the end");
    Refused::new(text, place, hint(text, reason))
}

fn end_of(text: &str) -> Location {
    let line = text.lines().count().max(1);
    let column = text.lines().last().unwrap_or_default().chars().count() + 1;
    Location { line: line as u64, column: column as u64 }
}

/// Refuses an operator that other languages have, and says what it is called here.
pub(crate) fn no_operator(operator: &str) -> String {
    match advice(operator) {
        Some(advice) => format!("no operator {operator}; {advice}"),
        None => format!("no operator {operator}"),
    }
}

fn advice(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "&&" => "write and",
        "||" => "write or (texts cannot be joined)",
        "!" => "write not",
        "~" => "write x ~ 'pattern'",
        _ => return None,
    })
}

/// An expression as the thing of a message, which says more of it below.
#[must_use]
pub fn brief(text: &str) -> String {
    const LETTERS: usize = 40;
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The shell eats `$1` inside double quotes, and leaves texts in which an operand is missing.
fn hint(text: &str, reason: String) -> String {
    let is_known = !reason.starts_with("no function ");
    if !text.contains('$') && is_one_missing(text, is_known) {
        format!("{reason}; did the shell eat a $1? use single quotes")
    } else {
        reason
    }
}

fn is_one_missing(text: &str, filled: bool) -> bool {
    // A text in quotes that does not end is refused for that.
    let tokens = Tokenizer::new(&RowDialect, text).tokenize_with_location();
    tokens.is_ok_and(|tokens| operands::is_one_missing(&tokens, filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_sql_are_names_of_columns() {
        for text in [
            "sum(0.8*clicks + 0.8*stay + like) as heat",
            "user",
            "time",
            "end",
            "order",
            "date",
            "left",
            "$1",
            "$0 = 'x'",
            "count(distinct user)",
            "a.b.c",
            "interval",
            "key",
            "sum(a) filter (where b > 1)",
            "a ~ '^x'",
            "value",
            "\"a b\" + 1",
            "window_end",
        ] {
            let parsed = item(text);
            assert!(parsed.is_ok(), "{text}: {}", parsed.expect_err("refused"));
        }
    }

    #[test]
    fn lists_split_at_commas() {
        assert_eq!(items("a, lower(b) as b, $3").expect("a list").len(), 3);
        assert!(item("a, b").is_err());
    }

    #[test]
    fn a_caret_stands_under_the_place() {
        let refused = item("sum(a").expect_err("refused").to_string();
        assert_eq!(refused.lines().nth(1), Some("    sum(a"));
        assert_eq!(refused.lines().nth(2), Some("         ^"), "{refused}");
        let refused = item("a b c").expect_err("refused").to_string();
        assert_eq!(refused.lines().nth(2), Some("        ^"), "{refused}");
    }

    #[test]
    fn what_the_shell_ate_is_recognised() {
        for text in ["sum()+", "> 5", "", " = 'x'", "a, ,b", "= ''"] {
            let refused = items(text).expect_err("refused").to_string();
            assert!(refused.contains("single quotes"), "{text}: {refused}");
        }
        for text in ["a b c", "count(*) +* $1", "like as likes", "a ! b"] {
            let refused = item(text).map_or_else(|refused| refused.to_string(), |_| String::new());
            assert!(!refused.contains("single quotes"), "{text}: {refused}");
        }
    }

    #[test]
    fn an_item_knows_how_it_was_typed() {
        let text = "a*2, ß( b,c )+1 ,\n 'ö,' as d";
        let typed = |item: Item| item.typed;
        let typed: Vec<_> = items(text).expect("items").into_iter().map(typed).collect();
        assert_eq!(typed, ["a*2", "ß( b,c )+1", "'ö,' as d"]);
    }

    #[test]
    fn operators_of_other_languages_are_told_what_they_are_here() {
        for (text, reason) in [
            ("a && b", "no operator &&; write and\n    a && b\n      ^"),
            ("!a", "no operator !; write not\n    !a\n    ^"),
            ("a ! b", "no operator !; write not\n    a ! b\n      ^"),
            ("a = 'x", "a text in quotes does not end\n    a = 'x\n        ^"),
            ("\"x", "a name in quotes does not end\n    \"x\n    ^"),
        ] {
            assert_eq!(item(text).expect_err(text).to_string(), reason);
        }
    }

    #[test]
    fn no_more_is_shown_than_can_be_read() {
        let refused = item("a = 1\nand b c d").expect_err("refused").to_string();
        assert_eq!(refused.split_once('\n').expect("lines").1, "    and b c d\n            ^");
        let long = format!("{}ß ß ß{}", "ä+".repeat(300), "+ö".repeat(300));
        let refused = item(&long).expect_err("refused").to_string();
        let lines: Vec<_> = refused.lines().collect();
        assert_eq!(lines[1].chars().count(), 4 + 1 + 2 * SHOWN + 1, "{refused}");
        let place = lines[2].chars().count() - 1;
        let caret = lines[1].chars().skip(place - 2).take(4).collect::<String>();
        assert_eq!(caret, "ß ß+", "{refused}");
        assert_eq!(brief(&long).chars().count(), 41);
        assert_eq!(brief(" a\nb "), "a");
    }

    #[test]
    fn an_expression_has_so_many_steps_at_most() {
        let sum = |terms: usize| vec!["1"; terms].join("+");
        assert!(item(&sum(STEPS_MAX + 1)).is_ok());
        let refused = item(&sum(STEPS_MAX + 2)).expect_err("too long").to_string();
        assert!(refused.starts_with("too long: "), "{refused}");
        let list = format!("$1 in ({})", vec!["1"; 20_000].join(","));
        assert!(item(&list).is_ok());
        let nested = format!("{}1", "(".repeat(1_000));
        let refused = item(&nested).expect_err("too deep").to_string();
        assert!(refused.starts_with("nested too deeply"), "{refused}");
    }
}
