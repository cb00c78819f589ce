//! SQL expressions as text: a dialect that reserves only the words used, and errors with a caret
//! under the place.

use std::fmt;

use sqlparser::ast::{Expr as Ast, SelectItem, Spanned};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// An expression as it was written, parsed but not compiled.
#[derive(Clone, Debug)]
pub struct Item {
    /// What was written, without the name given by `AS`.
    pub ast: Ast,
    /// The name given by `AS`.
    pub name: Option<String>,
    /// The whole text that the expression stands in, for carets.
    pub text: String,
}

/// An expression that is refused: the reason, with a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    text: String,
    /// The place in characters from 0, when it is known.
    column: Option<usize>,
    reason: String,
}

impl Refused {
    /// Refuses a part of `text` for `reason`, pointing at where `ast` starts.
    #[must_use]
    pub fn at(text: &str, ast: &impl Spanned, reason: impl Into<String>) -> Refused {
        let start = ast.span().start;
        let column = usize::try_from(start.column).ok().and_then(|column| column.checked_sub(1));
        Refused { text: text.to_owned(), column, reason: hint(text, reason.into()) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    {}", self.reason, self.text)?;
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
        _ => Err(Refused {
            text: text.to_owned(),
            column: None,
            reason: "one expression is expected here, give each its own quotes".to_owned(),
        }),
    }
}

/// Parses expressions that are separated by commas.
///
/// # Errors
/// When the text is none, or goes on after them.
pub fn items(text: &str) -> Result<Vec<Item>, Refused> {
    let mut parser =
        Parser::new(&RowDialect).try_with_sql(text).map_err(|error| refused(text, &error, None))?;
    let parsed = parser.parse_comma_separated(Parser::parse_select_item);
    let next = parser.peek_token();
    let column = usize::try_from(next.span.start.column).ok();
    let column = column.filter(|&column| column > 0).map(|column| column - 1);
    let parsed = parsed.map_err(|error| refused(text, &error, column))?;
    if next.token != Token::EOF {
        let reason = format!("{} is not expected here", next.token);
        return Err(Refused { text: text.to_owned(), column, reason });
    }
    parsed.into_iter().map(|item| named(item, text)).collect()
}

fn named(item: SelectItem, text: &str) -> Result<Item, Refused> {
    match item {
        SelectItem::UnnamedExpr(ast) => Ok(Item { ast, name: None, text: text.to_owned() }),
        SelectItem::ExprWithAlias { expr: ast, alias } => {
            Ok(Item { ast, name: Some(alias.value), text: text.to_owned() })
        }
        other => Err(Refused::at(text, &other, "an expression is expected here")),
    }
}

/// Takes the place out of the parser's message, which ends in ` at Line: 1, Column: 5`.
fn refused(text: &str, error: &ParserError, column: Option<usize>) -> Refused {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            message.as_str()
        }
        ParserError::RecursionLimitExceeded => "nested too deeply",
    };
    let (reason, place) = message.split_once(" at Line: ").unwrap_or((message, ""));
    let place = place.rsplit("Column: ").next().and_then(|column| column.parse().ok());
    let place = place.and_then(|column: usize| column.checked_sub(1)).or(column);
    // The parser gives the end of the text no place.
    let place = if reason.contains("found: EOF") { Some(text.chars().count()) } else { place };
    let reason = reason.replace("found: EOF", "found the end");
    let reason = reason.replace("Expected: ", "expected ").replace("found: ", "found ");
    Refused { text: text.to_owned(), column: place, reason: hint(text, reason) }
}

/// The shell eats `$1` inside double quotes, and leaves texts that are easy to recognise.
fn hint(text: &str, reason: String) -> String {
    let eaten = ["()", "(,", ",)", "(*", "* )"].iter().any(|scrap| text.contains(scrap))
        || text.trim_start().starts_with(['=', '<', '>', '*', '/'])
        || text.trim_end().ends_with(['=', '<', '>', '*', '/', '+', '-']);
    if eaten && !text.contains('$') && !text.contains("count(*)") {
        format!("{reason}; did the shell eat a $1? use single quotes")
    } else {
        reason
    }
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
        assert!(item("sum()+").expect_err("refused").to_string().contains("single quotes"));
    }
}
