//! Operands that are missing: what a text looks like when the shell has eaten `$1` from it.

use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Words that stand between two operands, or between one and the end.
const INFIX: [&str; 12] =
    ["and", "or", "is", "in", "like", "ilike", "between", "as", "then", "else", "end", "escape"];

/// Whether an operand is missing somewhere in a text of these tokens. An empty list of arguments
/// misses one only where `filled` says so, as there are functions that take none.
pub(super) fn is_one_missing(tokens: &[TokenWithSpan], filled: bool) -> bool {
    let tokens = tokens.iter().map(|token| &token.token);
    let tokens: Vec<&Token> = tokens.filter(|token| !is_blank(token)).collect();
    let mut walk = Walk { filled, tokens: &tokens, awaited: true, cases: 0 };
    (0..=tokens.len()).any(|at| !walk.step(at))
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

/// A walk over the tokens of an expression that needs no more grammar than where operands stand.
struct Walk<'a> {
    filled: bool,
    tokens: &'a [&'a Token],
    /// Whether an operand comes next.
    awaited: bool,
    /// Open CASEs.
    cases: usize,
}

impl Walk<'_> {
    /// Takes the token at a place, or the end; false when an operand is missing before it.
    fn step(&mut self, at: usize) -> bool {
        let missing = match self.tokens.get(at) {
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                return self.word(at, &word.value.to_lowercase());
            }
            Some(Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_)) => {
                self.awaited = false;
                return true;
            }
            Some(Token::LParen) => {
                self.awaited = true;
                return true;
            }
            Some(Token::RParen) => self.awaited && !self.is_empty_call(at),
            Some(Token::Mul) if self.awaited && self.is_wildcard(at) => {
                self.awaited = false;
                return true;
            }
            Some(Token::Minus | Token::ExclamationMark) => false,
            // `=~` is an operator elsewhere.
            Some(Token::Tilde) => self.awaited && !self.is(at.checked_sub(1), &Token::Eq),
            None | Some(_) => self.awaited,
        };
        self.awaited = !matches!(self.tokens.get(at), Some(Token::RParen));
        !missing
    }

    fn word(&mut self, at: usize, word: &str) -> bool {
        let is_infix = INFIX.contains(&word);
        if !self.awaited {
            self.cases -= usize::from(word == "end" && self.cases > 0);
            self.awaited = is_infix && word != "end" || word == "when";
            return true;
        }
        if is_infix && !self.is_name(at, word) {
            return false;
        }
        let begins_case = word == "case" && !self.ends_operand(at + 1);
        self.cases += usize::from(begins_case);
        let asks_for_one = match word {
            "not" => true,
            "when" => self.cases > 0,
            "where" => self.callee(at).is_some_and(|name| name.eq_ignore_ascii_case("filter")),
            "distinct" => self.callee(at).is_some(),
            _ => false,
        };
        self.awaited = begins_case || asks_for_one;
        true
    }

    /// Whether a word that may stand between operands is the name of a column here.
    fn is_name(&self, at: usize, word: &str) -> bool {
        let ends_case = word == "end" && self.cases > 0;
        !ends_case && self.ends_operand(at + 1)
    }

    /// Whether what stands at a place ends the operand before it.
    fn ends_operand(&self, at: usize) -> bool {
        match self.tokens.get(at) {
            Some(Token::Word(word)) => INFIX.contains(&word.value.to_lowercase().as_str()),
            Some(Token::LParen | Token::Number(..) | Token::SingleQuotedString(_)) => false,
            _ => true,
        }
    }

    /// Whether `)` ends an empty list of arguments that need not be filled. That of `count` is
    /// more often meant as `count(*)`.
    fn is_empty_call(&self, at: usize) -> bool {
        self.callee(at).is_some_and(|name| name.eq_ignore_ascii_case("count") || !self.filled)
    }

    /// What is called, where a place is the first one in its parentheses.
    fn callee(&self, at: usize) -> Option<&str> {
        match self.tokens[..at] {
            [.., Token::Word(name), Token::LParen] => Some(&name.value),
            _ => None,
        }
    }

    fn is_wildcard(&self, at: usize) -> bool {
        self.is(at.checked_sub(1), &Token::LParen) && self.is(Some(at + 1), &Token::RParen)
    }

    fn is(&self, at: Option<usize>, token: &Token) -> bool {
        at.and_then(|at| self.tokens.get(at)).is_some_and(|&known| known == token)
    }
}

#[cfg(test)]
mod tests {
    use super::super::RowDialect;
    use super::*;
    use sqlparser::tokenizer::Tokenizer;

    fn is_missing(text: &str) -> bool {
        let tokens = Tokenizer::new(&RowDialect, text).tokenize_with_location();
        is_one_missing(&tokens.expect("tokens"), true)
    }

    #[test]
    fn operands_that_the_shell_ate_are_missing() {
        for text in [
            "",
            "sum()",
            "sum( + )",
            "sum(+1)",
            "0.8*+5",
            "sum(0.8* + 0.8*)",
            "count(distinct )",
            "sum(x) filter (where  = 3)",
            "a > 1 and  = 'E'",
            "avg(-)",
            "sum(case when  > 2 then 1 end)",
            "sum(case when a > 2 then  end)",
            "case when a then 1 else  end",
            "sum(cast( as double))",
            " as name",
            " is null",
            " in (1, 2)",
            " like 'x'",
            " between 1 and 2",
            "a between  and 2",
            "not ",
            "round(, 2)",
            "approx_percentile(, 0.5)",
            "a,,b",
            "a =",
            "(* 2)",
            "~ 'x'",
        ] {
            assert!(is_missing(text), "{text}");
        }
    }

    #[test]
    fn what_is_whole_misses_none() {
        for text in [
            "count(*)",
            "count(*) filter (where not a)",
            "count()",
            "sum(0.8*clicks + 0.8*stay + like) as heat",
            "like as likes",
            "end",
            "case",
            "sum(end) + -1",
            "sum(where) - sum(when)",
            "sum(case when a is not null then - 1 else case b when 1 then 2 end end) / 2",
            "case when (a) then \"and\" else end1 end as x, b",
            "cast(a as double precision) >= 0",
            "a not in (1, 2) and b not like 'x' or c is null",
            "a between 1 and 2 and b ~ '^x'",
            "a =~ b",
            "!a",
            "a ! b",
            "approx_percentile(x, 0.5)",
            "substr(a from 2 for 3)",
            "count(distinct a)",
        ] {
            assert!(!is_missing(text), "{text}");
        }
    }
}
