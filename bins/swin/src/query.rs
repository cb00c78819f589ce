//! What the caller asks for, parsed before the first row: keys, conditions, aggregates, and the
//! columns that come out.

use row::expr::{Expr, Scope, compile};
use row::field::Fields;
use row::sql::{self, Item, Refused};
use row::value::{Fault, Value};
use sqlparser::ast::{
    DuplicateTreatment, Expr as Ast, Function as Call, FunctionArg, FunctionArgExpr,
    FunctionArguments,
};

use crate::aggregate::{Aggregate, Function};

/// The texts of a query.
#[derive(Clone, Debug, Default)]
pub struct Texts<'a> {
    /// `--by`: keys, separated by commas.
    pub by: Option<&'a str>,
    /// `--where`: the condition that rows pass to count.
    pub filter: Option<&'a str>,
    /// `--having`: the condition that results pass to be written.
    pub having: Option<&'a str>,
    /// The aggregates; none is `count(*)`.
    pub aggregates: Vec<&'a str>,
}

/// A query over rows whose schema is not known yet.
#[derive(Clone, Debug)]
pub struct Query {
    /// The key columns.
    pub keys: Vec<Item>,
    /// The condition that rows pass to count.
    pub filter: Option<Item>,
    /// The distinct arguments of the aggregates.
    pub arguments: Vec<Argument>,
    /// The distinct aggregates.
    pub aggregates: Vec<AggregateCall>,
    /// The columns that come out, keys first.
    pub names: Vec<String>,
    finish: Finish,
}

/// An argument of aggregates.
#[derive(Clone, Debug)]
pub struct Argument {
    /// The argument.
    pub item: Item,
    /// Whether an aggregate takes it as a number.
    pub numeric: bool,
}

/// An aggregate function and what it is applied to.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateCall {
    /// The function.
    pub function: Function,
    /// The place of its argument; none for `count(*)`.
    pub argument: Option<usize>,
}

/// Makes the columns that come out from keys and aggregates.
#[derive(Clone, Debug)]
struct Finish {
    keys: usize,
    outputs: Vec<Expr>,
    having: Option<Expr>,
}

impl Query {
    /// Parses a query.
    ///
    /// # Errors
    /// When an expression is refused, or two columns have the same name; names the option.
    pub fn parse(texts: &Texts<'_>) -> Result<Query, (String, String)> {
        let blame = |option: &str| {
            let option = option.to_owned();
            move |refused: Refused| (option, refused.to_string())
        };
        let keys = texts.by.map(sql::items).transpose().map_err(blame("--by"))?.unwrap_or_default();
        let filter = texts.filter.map(sql::item).transpose().map_err(blame("--where"))?;
        let mut scope = ResultScope::new(&keys);
        let count_rows = ["count(*)"];
        let all: &[&str] =
            if texts.aggregates.is_empty() { &count_rows } else { &texts.aggregates };
        for text in all {
            let item = sql::item(text).map_err(blame(text))?;
            scope.output(&item).map_err(blame(text))?;
        }
        let having = texts.having.map(|text| {
            let item = sql::item(text)?;
            compile(&item.ast, &item.text, &mut scope)
        });
        let having = having.transpose().map_err(blame("--having"))?;
        let finish = Finish { keys: keys.len(), outputs: scope.outputs, having };
        let names = scope.names;
        if let Some(name) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name))
        {
            let reason = "two columns have this name; give one another with AS";
            return Err((name.1.clone(), reason.to_owned()));
        }
        let (arguments, aggregates) = (scope.arguments, scope.aggregates);
        Ok(Query { keys, filter, arguments, aggregates, names, finish })
    }

    /// The aggregates of nothing, one after the other.
    #[must_use]
    pub fn empty(&self) -> Vec<Aggregate> {
        self.aggregates.iter().map(|call| call.function.empty()).collect()
    }

    /// Appends the columns that come out to `row`, which holds the keys and whatever the window
    /// put before them; false when `--having` lets them not pass.
    ///
    /// # Errors
    /// When an expression has no value.
    pub fn finish<'r>(
        &'r self,
        aggregates: &'r [Aggregate],
        row: &mut Vec<Value<'r>>,
    ) -> Result<bool, Fault> {
        let first_key = row.len() - self.finish.keys;
        let keys: Vec<Value<'r>> = row[first_key..].to_vec();
        let first_output = row.len();
        for output in &self.finish.outputs {
            let slot = output.as_slot().map(usize::from);
            let bare = slot.and_then(|slot| aggregates.get(slot.checked_sub(keys.len())?));
            let value = if let Some(aggregate) = bare {
                aggregate.value()
            } else {
                let outputs = &row[first_output..];
                output.value(Results { keys: &keys, aggregates, outputs })?.into_owned()
            };
            row.push(value);
        }
        let Some(having) = &self.finish.having else { return Ok(true) };
        let outputs = &row[first_output..];
        let results = Results { keys: &keys, aggregates, outputs };
        Ok(having.truth(results)? == Some(true))
    }
}

/// Slots of a result: keys, then aggregates, then from the top down the columns that come out.
#[derive(Clone, Copy)]
struct Results<'r> {
    keys: &'r [Value<'r>],
    aggregates: &'r [Aggregate],
    outputs: &'r [Value<'r>],
}

impl<'r> Fields<'r> for Results<'r> {
    fn field(self, slot: u16) -> Value<'r> {
        let slot = usize::from(slot);
        let from_top = usize::from(u16::MAX) - slot;
        if let Some(key) = self.keys.get(slot) {
            key.clone()
        } else if let Some(aggregate) = self.aggregates.get(slot - self.keys.len()) {
            aggregate.value()
        } else {
            self.outputs.get(from_top).cloned().unwrap_or(Value::Null)
        }
    }
}

/// The names that expressions over results may use.
struct ResultScope {
    keys: Vec<(Ast, String)>,
    arguments: Vec<Argument>,
    aggregates: Vec<AggregateCall>,
    outputs: Vec<Expr>,
    /// Names of the keys, then of the outputs.
    names: Vec<String>,
}

impl ResultScope {
    fn new(keys: &[Item]) -> ResultScope {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| (key.ast.clone(), key.name.clone().unwrap_or_else(|| name_of(&key.ast))))
            .collect();
        let names = keys.iter().map(|(_, name)| name.clone()).collect();
        let (arguments, aggregates, outputs) = (Vec::new(), Vec::new(), Vec::new());
        ResultScope { keys, arguments, aggregates, outputs, names }
    }

    fn output(&mut self, item: &Item) -> Result<(), Refused> {
        let expr = compile(&item.ast, &item.text, self)?;
        self.outputs.push(expr);
        self.names.push(item.name.clone().unwrap_or_else(|| name_of(&item.ast)));
        Ok(())
    }

    fn argument(&mut self, ast: &Ast, text: &str, numeric: bool) -> usize {
        let at = self.arguments.iter().position(|argument| argument.item.ast == *ast);
        let at = at.unwrap_or_else(|| {
            let item = Item { ast: ast.clone(), name: None, text: text.to_owned() };
            self.arguments.push(Argument { item, numeric: false });
            self.arguments.len() - 1
        });
        self.arguments[at].numeric |= numeric;
        at
    }
}

impl Scope for ResultScope {
    fn column(&mut self, name: &str) -> Result<u16, String> {
        let keys = self.keys.len();
        let key = self.keys.iter().position(|(ast, alias)| alias == name || written(ast) == name);
        if let Some(slot) = key {
            return slot_of(slot);
        }
        if let Some(output) = self.names[keys..].iter().position(|known| known == name) {
            return slot_of(output).map(|slot| u16::MAX - slot);
        }
        let known = if self.names.is_empty() { "none".to_owned() } else { self.names.join(", ") };
        Err(format!(
            "{name} is neither a key nor inside an aggregate; results have the columns {known}"
        ))
    }

    fn call(&mut self, call: &Call, text: &str) -> Result<Option<u16>, Refused> {
        let name = call.name.to_string().to_lowercase();
        let Some(function) = Function::named(&name) else { return Ok(None) };
        let refuse = |reason: &str| Refused::at(text, &call.name, reason);
        if call.filter.is_some() || call.over.is_some() || !call.within_group.is_empty() {
            return Err(refuse("no clause may follow an aggregate"));
        }
        let FunctionArguments::List(list) = &call.args else {
            return Err(refuse("an aggregate takes one argument"));
        };
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            return Err(refuse("DISTINCT is not known here"));
        }
        let aggregate = match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if function == Function::Count => {
                AggregateCall { function: Function::CountRows, argument: None }
            }
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(ast))] => {
                let argument = Some(self.argument(ast, text, function.is_numeric()));
                AggregateCall { function, argument }
            }
            _ => return Err(refuse("an aggregate takes one argument")),
        };
        let at = self.aggregates.iter().position(|known| *known == aggregate);
        let at = at.unwrap_or_else(|| {
            self.aggregates.push(aggregate);
            self.aggregates.len() - 1
        });
        slot_of(self.keys.len() + at).map(Some).map_err(|reason| refuse(&reason))
    }
}

fn slot_of(at: usize) -> Result<u16, String> {
    u16::try_from(at).map_err(|_| "too many columns".to_owned())
}

/// An expression as text.
fn written(ast: &Ast) -> String {
    match ast {
        Ast::Identifier(name) => name.value.clone(),
        Ast::CompoundIdentifier(names) => {
            names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")
        }
        other => other.to_string(),
    }
}

/// The name of a column that was given none: `page`, `f2` for `$2`, `line` for `$0`, `count`,
/// `sum_x`, and of anything longer its text.
fn name_of(ast: &Ast) -> String {
    match ast {
        Ast::Identifier(_) | Ast::CompoundIdentifier(_) => {
            let name = written(ast);
            match name.strip_prefix('$') {
                Some("0") => "line".to_owned(),
                Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    format!("f{digits}")
                }
                _ => name,
            }
        }
        Ast::Function(call) => match &call.args {
            FunctionArguments::List(list) if list.args.len() == 1 => {
                let function = call.name.to_string().to_lowercase();
                match &list.args[0] {
                    FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => function,
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(
                        ast @ (Ast::Identifier(_) | Ast::CompoundIdentifier(_)),
                    )) => format!("{function}_{}", name_of(ast)),
                    _ => ast.to_string(),
                }
            }
            _ => ast.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query<'a>(by: &'a str, having: Option<&'a str>, aggregates: &[&'a str]) -> Texts<'a> {
        let aggregates = aggregates.to_vec();
        Texts { by: Some(by), filter: None, having, aggregates }
    }

    #[test]
    fn columns_are_named_after_what_they_are() {
        let texts = query(
            "page, $2, lower(x) as l",
            None,
            &["count(*)", "sum(a)", "avg($3)", "sum(0.8*a)", "max(a.b) as top"],
        );
        let names = Query::parse(&texts).expect("a query").names;
        assert_eq!(names, ["page", "f2", "l", "count", "sum_a", "avg_f3", "sum(0.8 * a)", "top"]);
    }

    #[test]
    fn equal_aggregates_and_arguments_are_kept_once() {
        let texts =
            query("k", Some("count(*) > 1"), &["sum(a)/count(*) as mean", "sum(a)", "avg(a)"]);
        let query = Query::parse(&texts).expect("a query");
        assert_eq!(query.arguments.len(), 1);
        assert_eq!(query.aggregates.len(), 3);
    }

    #[test]
    fn having_sees_keys_aggregates_and_aliases() {
        let texts =
            query("k", Some("mean > 2 and k = 'x' and count(*) = 2"), &["sum(a)/count(*) as mean"]);
        let query = Query::parse(&texts).expect("a query");
        let mut aggregates = query.empty();
        for number in [2, 4] {
            aggregates[0].add_number(row::value::Number::Int(number)).expect("it fits");
            aggregates[1].count();
        }
        let mut row = vec![Value::Int(0), Value::Text(b"x"[..].into())];
        assert_eq!(query.finish(&aggregates, &mut row), Ok(true));
        assert_eq!(row[2..], [Value::Float(3.0)]);
        let mut row = vec![Value::Text(b"y"[..].into())];
        assert_eq!(query.finish(&aggregates, &mut row), Ok(false));
    }

    #[test]
    fn a_column_may_use_those_before_it() {
        let texts = query("k", None, &["sum(a) as s", "s", "2 * s as d", "k"]);
        assert!(Query::parse(&texts).is_err(), "s stands twice");
        let texts = query("k", None, &["sum(a) as s", "s as t", "2 * s as d", "k as l"]);
        let query = Query::parse(&texts).expect("a query");
        let mut aggregates = query.empty();
        aggregates[0].add_number(row::value::Number::Int(3)).expect("it fits");
        let mut row = vec![Value::Int(0), Value::Text(b"x"[..].into())];
        assert_eq!(query.finish(&aggregates, &mut row), Ok(true));
        let told = [Value::Int(3), Value::Int(3), Value::Int(6), Value::Text(b"x"[..].into())];
        assert_eq!(row[2..], told);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (by, aggregates) in [
            ("k", ["a"]),
            ("k", ["sum(a, b)"]),
            ("k", ["sum(*)"]),
            ("count", ["count(*)"]),
            ("k", ["frob(a)"]),
        ] {
            assert!(Query::parse(&query(by, None, &aggregates)).is_err(), "{aggregates:?}");
        }
    }
}
