//! Expressions, compiled once into nodes that stand one after the other and are evaluated over
//! the slots of a row.
//!
//! NULL is SQL's: what is computed from it is NULL, comparisons with it are neither true nor
//! false. `/` divides floats, and anything divided by zero is NULL. Whole numbers never wrap.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::field::Fields;
use crate::value::{Fault, Number, Value, compare_numbers};

mod call;
mod compile;
mod formula;

pub use call::Function;
pub use compile::{Scope, compile};

use formula::Formula;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expr {
    nodes: Vec<Node>,
    root: Id,
    /// The short way to the number, where there is one.
    formula: Option<Formula>,
}

/// The place of a node.
type Id = u32;

#[derive(Clone, Debug)]
enum Node {
    Slot(u16),
    Constant(Value<'static>),
    Negate(Id),
    Arithmetic(Operator, Id, Id),
    Compare(Comparison, Id, Id),
    And(Id, Id),
    Or(Id, Id),
    Not(Id),
    IsNull(Id),
    IsTruth(Id, bool),
    In(Id, Box<[Id]>),
    Matches(Id, regex::bytes::Regex),
    /// The operand of `CASE x WHEN …`, the branches, and the `ELSE`.
    Case(Option<Id>, Box<[(Id, Id)]>, Option<Id>),
    Cast(Type, Id),
    Call(Function, Box<[Id]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// The types that CAST knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Int,
    Float,
    Text,
    Bool,
}

impl Expr {
    /// The slot, when the expression is nothing but one.
    #[must_use]
    pub fn as_slot(&self) -> Option<u16> {
        match self.nodes[self.root as usize] {
            Node::Slot(slot) => Some(slot),
            _ => None,
        }
    }

    /// The expression's value over a row.
    ///
    /// # Errors
    /// When a number is asked of what is none, or a whole number leaves 64 bits.
    #[inline]
    pub fn value<'r>(&'r self, row: impl Fields<'r>) -> Result<Value<'r>, Fault> {
        self.value_of(self.root, row)
    }

    /// The expression's value over a row, as a number.
    ///
    /// # Errors
    /// As [`Expr::value`], and when it is no number.
    #[inline]
    pub fn number<'r>(&'r self, row: impl Fields<'r>) -> Result<Number, Fault> {
        if let Some(float) = self.formula.as_ref().and_then(|formula| formula.compute(row)) {
            return Ok(Number::Float(float));
        }
        self.number_of(self.root, row)
    }

    /// Whether the expression is true over a row; `None` for NULL.
    ///
    /// # Errors
    /// As [`Expr::value`].
    #[inline]
    pub fn truth<'r>(&'r self, row: impl Fields<'r>) -> Result<Option<bool>, Fault> {
        self.truth_of(self.root, row)
    }

    fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    fn number_of<'r>(&'r self, id: Id, row: impl Fields<'r>) -> Result<Number, Fault> {
        match self.node(id) {
            Node::Slot(slot) => row.number(*slot),
            Node::Constant(value) => value.number(),
            Node::Negate(of) => match self.number_of(*of, row)? {
                Number::Null => Ok(Number::Null),
                Number::Int(int) => int.checked_neg().map(Number::Int).ok_or(Fault::Overflow),
                Number::Float(float) => Ok(Number::Float(-float)),
            },
            Node::Arithmetic(operator, left, right) => {
                let (left, right) = (self.number_of(*left, row)?, self.number_of(*right, row)?);
                compute(*operator, left, right)
            }
            _ => self.value_of(id, row)?.number(),
        }
    }

    fn truth_of<'r>(&'r self, id: Id, row: impl Fields<'r>) -> Result<Option<bool>, Fault> {
        Ok(match self.node(id) {
            Node::Compare(comparison, left, right) => {
                let ordering = self.ordering(*left, *right, row)?;
                ordering.map(|ordering| comparison.holds(ordering))
            }
            Node::And(left, right) => match self.truth_of(*left, row)? {
                Some(false) => Some(false),
                left => match (left, self.truth_of(*right, row)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Node::Or(left, right) => match self.truth_of(*left, row)? {
                Some(true) => Some(true),
                left => match (left, self.truth_of(*right, row)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Node::Not(of) => self.truth_of(*of, row)?.map(|truth| !truth),
            Node::IsNull(of) => Some(self.value_of(*of, row)?.is_null()),
            Node::IsTruth(of, truth) => Some(self.truth_of(*of, row)? == Some(*truth)),
            Node::In(of, list) => self.is_in(*of, list, row)?,
            Node::Matches(of, pattern) => {
                self.value_of(*of, row)?.bytes().map(|bytes| pattern.is_match(&bytes))
            }
            _ => self.value_of(id, row)?.truth(),
        })
    }

    fn ordering<'r>(
        &'r self,
        left: Id,
        right: Id,
        row: impl Fields<'r>,
    ) -> Result<Option<Ordering>, Fault> {
        // A constant number on one side and a number on the other are the usual case.
        if let Node::Constant(Value::Int(_) | Value::Float(_)) = self.node(right)
            && let Node::Slot(slot) = self.node(left)
            && let Ok(left) = row.number(*slot)
        {
            return Ok(compare_numbers(left, self.number_of(right, row)?));
        }
        let (left, right) = (self.value_of(left, row)?, self.value_of(right, row)?);
        Ok(left.compare(&right))
    }

    fn is_in<'r>(
        &'r self,
        of: Id,
        list: &[Id],
        row: impl Fields<'r>,
    ) -> Result<Option<bool>, Fault> {
        let value = self.value_of(of, row)?;
        let mut unknown = value.is_null();
        for &id in list {
            match value.compare(&self.value_of(id, row)?) {
                Some(Ordering::Equal) => return Ok(Some(true)),
                Some(_) => {}
                None => unknown = true,
            }
        }
        Ok(if unknown { None } else { Some(false) })
    }

    fn value_of<'r>(&'r self, id: Id, row: impl Fields<'r>) -> Result<Value<'r>, Fault> {
        Ok(match self.node(id) {
            Node::Slot(slot) => row.field(*slot),
            Node::Constant(value) => value.as_borrowed(),
            Node::Negate(_) | Node::Arithmetic(..) => from_number(self.number_of(id, row)?),
            Node::Case(operand, branches, otherwise) => {
                let chosen = self.branch(*operand, branches, *otherwise, row)?;
                return chosen.map_or(Ok(Value::Null), |id| self.value_of(id, row));
            }
            Node::Cast(to, of) => self.cast(*to, *of, row)?,
            Node::Call(function, arguments) => {
                let value = |at: usize| self.value_of(arguments[at], row);
                let number = |at: usize| self.number_of(arguments[at], row);
                return function.call(arguments.len(), value, number);
            }
            _ => match self.truth_of(id, row)? {
                Some(truth) => Value::Bool(truth),
                None => Value::Null,
            },
        })
    }

    fn cast<'r>(&'r self, to: Type, of: Id, row: impl Fields<'r>) -> Result<Value<'r>, Fault> {
        Ok(match to {
            Type::Int => match self.number_of(of, row)? {
                Number::Float(float) => from_number(whole(float.trunc())?),
                number => from_number(number),
            },
            Type::Float => self.number_of(of, row)?.as_f64().map_or(Value::Null, Value::Float),
            Type::Text => {
                let value = self.value_of(of, row)?;
                let bytes = value.bytes().map(|bytes| Cow::Owned(bytes.into_owned()));
                bytes.map_or(Value::Null, Value::Str)
            }
            Type::Bool => self.value_of(of, row)?.truth().map_or(Value::Null, Value::Bool),
        })
    }

    fn branch<'r>(
        &'r self,
        operand: Option<Id>,
        branches: &[(Id, Id)],
        otherwise: Option<Id>,
        row: impl Fields<'r>,
    ) -> Result<Option<Id>, Fault> {
        for &(condition, result) in branches {
            let taken = match operand {
                Some(operand) => self.ordering(operand, condition, row)? == Some(Ordering::Equal),
                None => self.truth_of(condition, row)? == Some(true),
            };
            if taken {
                return Ok(Some(result));
            }
        }
        Ok(otherwise)
    }
}

/// The value that is a number.
#[must_use]
pub fn from_number(number: Number) -> Value<'static> {
    match number {
        Number::Null => Value::Null,
        Number::Int(int) => Value::Int(int),
        Number::Float(float) => Value::Float(float),
    }
}

fn compute(operator: Operator, left: Number, right: Number) -> Result<Number, Fault> {
    if let (Number::Int(left), Number::Int(right)) = (left, right)
        && operator != Operator::Divide
    {
        let result = match operator {
            Operator::Add => left.checked_add(right),
            Operator::Subtract => left.checked_sub(right),
            Operator::Multiply => left.checked_mul(right),
            _ if right == 0 => return Ok(Number::Null),
            // The one remainder that overflows, of the least number by -1, is 0.
            _ => Some(left.wrapping_rem(right)),
        };
        return result.map(Number::Int).ok_or(Fault::Overflow);
    }
    let (Some(left), Some(right)) = (left.as_f64(), right.as_f64()) else {
        return Ok(Number::Null);
    };
    Ok(match operator {
        Operator::Add => Number::Float(left + right),
        Operator::Subtract => Number::Float(left - right),
        Operator::Multiply => Number::Float(left * right),
        Operator::Divide | Operator::Remainder if right == 0.0 => Number::Null,
        Operator::Divide => Number::Float(left / right),
        Operator::Remainder => Number::Float(left % right),
    })
}

/// A float without fraction as a whole number.
fn whole(float: f64) -> Result<Number, Fault> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
    if (-LIMIT..LIMIT).contains(&float) {
        #[expect(clippy::cast_possible_truncation, reason = "between -2^63 and 2^63")]
        return Ok(Number::Int(float as i64));
    }
    Err(Fault::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Reader;
    use crate::schema::{Options, Schema};
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What `text` gives over the JSON row, as text; `NULL`, or the fault.
    fn eval(text: &str, row: &str) -> String {
        let mut reader = Reader::new(Schema::json());
        let item = crate::sql::item(text).expect("it parses");
        let expr = compile(&item.ast, text, &mut |name: &str| reader.slot(name));
        let expr = match expr {
            Ok(expr) => expr,
            Err(refused) => return refused.to_string().lines().next().unwrap_or("").to_owned(),
        };
        let row = reader.read(row.as_bytes()).expect("a row");
        match expr.value(row) {
            Ok(value) => value
                .bytes()
                .map_or("NULL".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned()),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn arithmetic_is_sql_s() {
        let row = r#"{"a":7,"b":2,"s":"x","z":0,"n":null,"big":9223372036854775807}"#;
        for (text, expected) in [
            ("a + b * 2", "11"),
            ("-(a - 10)", "3"),
            ("a / b", "3.5"),
            ("a / z", "NULL"),
            ("a % z", "NULL"),
            ("a % 4", "3"),
            ("0.8 * a", "5.6000000000000005"),
            ("a + n", "NULL"),
            ("s + 1", "not a number"),
            ("big + 1", "a whole number left 64 bits"),
        ] {
            assert_eq!(eval(text, row), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_formula_computes_what_its_nodes_do(
            fields in vec("-?[0-9]{0,3}[.]?[0-9]{0,3}|[0-9]{19}|x", 3),
            text in prop::sample::select(vec![
                "0.8*$1 + 0.8*$2 + $3",
                "$1 / $2 - $3",
                "1.5 - ($1 - 2.5 * $3) / ($2 - 1.0)",
                "($1 + $2) * 0.5",
                "0.5 * ($1 % $2)",
                "1e300 * 1e10 * $1",
            ])
        ) {
            let (schema, _) = Options::default().schema(b"").expect("a schema");
            let mut reader = Reader::new(schema);
            let item = crate::sql::item(text).expect("it parses");
            let expr = compile(&item.ast, text, &mut |name: &str| reader.slot(name));
            let expr = expr.expect("it compiles");
            let line = fields.join(",");
            let row = reader.read(line.as_bytes()).expect("a row");
            let nodes = expr.number_of(expr.root, row);
            prop_assert_eq!(format!("{:?}", expr.number(row)), format!("{nodes:?}"));
        }
    }

    #[test]
    fn only_arithmetic_that_is_float_for_sure_is_a_formula() {
        let formula = |text: &str| {
            let item = crate::sql::item(text).expect("it parses");
            let slot = &mut |name: &str| name[1..].parse().map_err(|_| "no slot".to_owned());
            compile(&item.ast, text, slot).expect("it compiles").formula.is_some()
        };
        assert!(formula("0.8*f1 + f2") && formula("f1 / f2"));
        let deep = format!("{}f1{}", "0.5*(f1+".repeat(9), ")".repeat(9));
        for text in ["f1 + f2", "0.5", "f1", "0.5 * (f1 + f2)", "0.5 * abs(f1)", &deep] {
            assert!(!formula(text), "{text}");
        }
    }

    #[test]
    fn conditions_have_three_values() {
        let row = r#"{"a":7,"s":"abc","n":null,"t":true}"#;
        for (text, expected) in [
            ("a > 5 and s = 'abc'", "true"),
            ("n = 1 or a = 7", "true"),
            ("n = 1 and a = 8", "false"),
            ("n = 1 and a = 7", "NULL"),
            ("not n = 1", "NULL"),
            ("n is null", "true"),
            ("a is not null", "true"),
            ("a in (1, 7)", "true"),
            ("a in (1, n)", "NULL"),
            ("a not in (1, 2)", "true"),
            ("a between 7 and 8", "true"),
            ("a not between 1 and 6", "true"),
            ("s like 'a%'", "true"),
            ("s like '_b_'", "true"),
            ("s not like 'A%'", "true"),
            ("s ilike 'A%'", "true"),
            ("s ~ '^a.c$'", "true"),
            ("s !~ 'd'", "true"),
            ("t", "true"),
            ("t is true", "true"),
            ("n is true", "false"),
            ("'9' < '10'", "true"),
            ("'9x' < '10'", "false"),
        ] {
            assert_eq!(eval(text, row), expected, "{text}");
        }
    }

    #[test]
    fn functions_do_what_their_names_say() {
        let row = r#"{"a":-7.5,"i":-7,"s":"Grün","n":null}"#;
        for (text, expected) in [
            ("abs(a)", "7.5"),
            ("abs(i)", "7"),
            ("floor(a)", "-8"),
            ("ceil(a)", "-7"),
            ("round(a)", "-8.0"),
            ("round(2.345, 2)", "2.35"),
            ("lower(s)", "grün"),
            ("upper(s)", "GRÜN"),
            ("length(s)", "4"),
            ("substr(s, 2, 2)", "rü"),
            ("substring(s, 3)", "ün"),
            ("coalesce(n, i, 1)", "-7"),
            ("nullif(i, -7)", "NULL"),
            ("case when i < 0 then 'neg' else 'pos' end", "neg"),
            ("case i when 1 then 'one' when -7 then 'it' end", "it"),
            ("case i when 1 then 'one' end", "NULL"),
            ("cast(a as int)", "-7"),
            ("cast(i as double)", "-7.0"),
            ("cast('12' as bigint) + 1", "13"),
        ] {
            assert_eq!(eval(text, row), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let refused = eval("frobnicate(1)", "{}");
        assert!(refused.starts_with("no function frobnicate; there are abs, round"), "{refused}");
        assert_eq!(eval("abs(1, 2)", "{}"), "abs takes 1 argument");
        assert_eq!(eval("a ~ '('", "{}").split(':').next(), Some("no regular expression"));
    }
}
