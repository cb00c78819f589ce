//! What the caller asks for, parsed before the first row: keys, conditions, aggregates, and the
//! columns that come out.

use row::expr::{Expr, Scope, compile};
use row::field::Fields;
use row::schema::label;
use row::sql::{self, Item, Refused};
use row::value::{Fault, Number, Value};
use serde_json::{Value as Json, json};
use sqlparser::ast::{
    DuplicateTreatment, Expr as Ast, Function as Call, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Value as Constant,
};

use crate::aggregate::{Aggregate, Function, Measure, Part, packed};

/// The texts of a query.
#[derive(Clone, Debug, Default)]
pub struct Texts<'a> {
    /// `--by`: keys, separated by commas.
    pub by: Option<&'a str>,
    /// `--where`: the condition that rows pass to count.
    pub filter: Option<&'a str>,
    /// `--having`: the condition that results pass to be written.
    pub having: Option<&'a str>,
    /// The aggregates, none is `count(*)`; with `each`, expressions over rows, none is `$0`.
    pub aggregates: Vec<&'a str>,
    /// `--each`: rows come out, and no aggregates.
    pub each: bool,
    /// The columns that say which window a result is of.
    pub bounds: &'a [&'a str],
}

/// A query over rows whose schema is not known yet.
#[derive(Clone, Debug)]
pub struct Query {
    /// The key columns.
    pub keys: Vec<Item>,
    /// The condition that rows pass to count.
    pub filter: Option<Item>,
    /// The different conditions of FILTER clauses.
    pub conditions: Vec<Item>,
    /// The different arguments of the aggregates.
    pub arguments: Vec<Argument>,
    /// The different aggregates.
    pub aggregates: Vec<AggregateCall>,
    /// The columns that come out, keys first.
    pub names: Vec<String>,
    each: Option<Vec<Item>>,
    finish: Finish,
}

/// An argument of aggregates.
#[derive(Clone, Debug)]
pub struct Argument {
    /// The argument.
    pub item: Item,
    /// The place of the condition of rows that it is asked of; none for all.
    pub condition: Option<usize>,
    /// Whether an aggregate takes it as a number.
    pub numeric: bool,
    /// Whether an aggregate tells its values apart.
    pub keyed: bool,
}

/// An aggregate function and what it is applied to.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateCall {
    /// The function.
    pub function: Function,
    /// The place of its argument; none for `count(*)`.
    pub argument: Option<usize>,
    /// The place of the condition of its FILTER clause; none for all rows.
    pub condition: Option<usize>,
}

impl AggregateCall {
    fn bare(function: Function) -> AggregateCall {
        AggregateCall { function, argument: None, condition: None }
    }
}

/// A value that is read from an aggregate: the place of the aggregate, and what is read.
type Reading = (usize, Measure);

/// Makes the columns that come out from keys and aggregates.
#[derive(Clone, Debug)]
struct Finish {
    bounds: usize,
    keys: usize,
    readings: Vec<Reading>,
    outputs: Vec<Expr>,
    /// Of each output what it reads, when it is nothing but that.
    bare: Vec<Option<Reading>>,
    having: Option<Expr>,
}

impl Finish {
    fn new(
        bounds: usize,
        keys: usize,
        readings: Vec<Reading>,
        outputs: Vec<Expr>,
        having: Option<Expr>,
    ) -> Finish {
        let bare = |output: &Expr| {
            let slot = usize::from(output.as_slot()?);
            readings.get(slot.checked_sub(keys)?).copied()
        };
        let bare = outputs.iter().map(bare).collect();
        Finish { bounds, keys, readings, outputs, bare, having }
    }
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
        keys.iter().try_for_each(check_over_rows).map_err(blame("--by"))?;
        let filter = texts.filter.map(sql::item).transpose().map_err(blame("--where"))?;
        filter.iter().try_for_each(check_over_rows).map_err(blame("--where"))?;
        let mut scope = ResultScope::new(&keys, texts.bounds);
        let each = texts.each.then(|| scope.each(&texts.aggregates)).transpose()?;
        let default: &[&str] = if texts.each { &[] } else { &["count(*)"] };
        let given = !texts.each && !texts.aggregates.is_empty();
        for text in if given { &texts.aggregates } else { default } {
            let item = sql::item(text).map_err(blame(&sql::brief(text)))?;
            scope.output(&item).map_err(blame(&sql::brief(text)))?;
        }
        if texts.each && texts.having.is_some() {
            let reason = "looks at aggregates, and --each has none; --where looks at rows";
            return Err(("--having".to_owned(), reason.to_owned()));
        }
        let having = texts.having.map(|text| {
            let item = sql::item(text)?;
            compile(&item.ast, &item.text, &mut scope)
        });
        let having = having.transpose().map_err(blame("--having"))?;
        if scope.aggregates.is_empty() {
            // A key has to have something that says that it is there.
            scope.aggregates.push(AggregateCall::bare(Function::CountRows));
        }
        let ResultScope { names, conditions, arguments, aggregates, readings, outputs, .. } = scope;
        let bounds = texts.bounds.len();
        let finish = Finish::new(bounds, keys.len(), readings, outputs, having);
        if let Some(name) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name))
        {
            let reason = "two columns have this name; give one another with AS";
            return Err((name.1.clone(), reason.to_owned()));
        }
        Ok(Query { keys, filter, conditions, arguments, aggregates, names, each, finish })
    }

    /// The expressions of `--each`, over rows; `None` when the query has aggregates.
    #[must_use]
    pub fn each(&self) -> Option<&[Item]> {
        self.each.as_deref()
    }

    /// The same query with the [`Function::Extent`] of its rows as the last aggregate, which no
    /// column shows.
    #[must_use]
    pub fn with_extent(mut self) -> Query {
        self.aggregates.push(AggregateCall::bare(Function::Extent));
        self
    }

    /// Keys and aggregates as texts: what two queries have in common when the one can go on with
    /// the state of the other.
    #[must_use]
    pub fn layout(&self) -> Json {
        let keys: Vec<String> = self.keys.iter().map(|key| key.ast.to_string()).collect();
        let call = |call: &AggregateCall| {
            let argument = match call.argument {
                Some(at) => self.arguments[at].item.ast.to_string(),
                None if call.function == Function::CountRows => "*".to_owned(),
                None => list_of(self.each().unwrap_or_default()),
            };
            let name = call.function.name();
            match call.condition {
                Some(at) => format!("{name}({argument}) where {}", self.conditions[at].ast),
                None => format!("{name}({argument})"),
            }
        };
        let aggregates: Vec<String> = self.aggregates.iter().map(call).collect();
        json!({ "keys": keys, "aggregates": aggregates })
    }

    /// The aggregates of nothing, one after the other.
    #[must_use]
    pub fn empty(&self) -> Vec<Aggregate> {
        self.aggregates.iter().map(|call| call.function.empty()).collect()
    }

    /// Gives the columns of every row that `aggregates` hold to `take`, by time, then by arrival:
    /// with `--each` those that come out behind the keys.
    pub fn each_row(&self, aggregates: &[Aggregate], take: &mut dyn FnMut(&[Value<'_>])) {
        let Some(Aggregate::Rows(rows)) = aggregates.first() else { return };
        rows.for_each(|_, row| {
            let mut values = Vec::with_capacity(self.names.len());
            packed::read(row, &mut values);
            take(&values);
        });
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
        let first_bound = first_key - self.finish.bounds;
        let readings = self.finish.readings.as_slice();
        for (output, bare) in self.finish.outputs.iter().zip(&self.finish.bare) {
            let value = if let &Some((at, measure)) = bare {
                aggregates[at].measure(measure)
            } else {
                let (bounds, columns) = row[first_bound..].split_at(self.finish.bounds);
                let (keys, outputs) = columns.split_at(self.finish.keys);
                let results = Results { bounds, keys, aggregates, readings, outputs };
                output.value(results)?.into_owned()
            };
            row.push(value);
        }
        let Some(having) = &self.finish.having else { return Ok(true) };
        let (bounds, columns) = row[first_bound..].split_at(self.finish.bounds);
        let (keys, outputs) = columns.split_at(self.finish.keys);
        let results = Results { bounds, keys, aggregates, readings, outputs };
        Ok(having.truth(results)? == Some(true))
    }
}

/// Items as they are written in SQL.
fn list_of(items: &[Item]) -> String {
    items.iter().map(|item| item.ast.to_string()).collect::<Vec<_>>().join(", ")
}

/// Slots of a result: keys, then what is read from aggregates, then from the top down the columns
/// of the window and those that come out.
#[derive(Clone, Copy)]
struct Results<'r> {
    bounds: &'r [Value<'r>],
    keys: &'r [Value<'r>],
    aggregates: &'r [Aggregate],
    readings: &'r [Reading],
    outputs: &'r [Value<'r>],
}

impl<'r> Fields<'r> for Results<'r> {
    fn field(self, slot: u16) -> Value<'r> {
        let slot = usize::from(slot);
        let from_top = usize::from(u16::MAX) - slot;
        if let Some(key) = self.keys.get(slot) {
            key.as_borrowed()
        } else if let Some(&(at, measure)) = self.readings.get(slot - self.keys.len()) {
            self.aggregates[at].measure(measure)
        } else {
            let column = match from_top.checked_sub(self.bounds.len()) {
                Some(output) => self.outputs.get(output),
                None => self.bounds.get(from_top),
            };
            column.map_or(Value::Null, Value::as_borrowed)
        }
    }

    /// A sum beyond 64 bits is exact where it is written; arithmetic goes on with it as a float.
    fn number(self, slot: u16) -> Result<Number, Fault> {
        self.field(slot).wide_number()
    }
}

/// The names that expressions over rows may use, with the slots of columns.
pub struct RowScope<F>(pub F);

impl<F: FnMut(&str) -> Result<u16, String>> Scope for RowScope<F> {
    fn column(&mut self, name: &str) -> Result<u16, String> {
        (self.0)(name)
    }

    fn call(&mut self, call: &Call, text: &str) -> Result<Option<u16>, Refused> {
        let name = call.name.to_string().to_lowercase();
        if Function::named(&name).is_some() {
            let reason = format!("{name} is an aggregate, and one row has none");
            return Err(Refused::at(text, &call.name, reason));
        }
        Ok(None)
    }
}

/// Refuses what no row can have, before there is one: all columns may exist.
fn check_over_rows(item: &Item) -> Result<(), Refused> {
    compile(&item.ast, &item.text, &mut RowScope(|_: &str| Ok(0))).map(|_| ())
}

/// The names that expressions over results may use.
struct ResultScope {
    bounds: Vec<String>,
    keys: Vec<(Ast, String)>,
    conditions: Vec<Item>,
    arguments: Vec<Argument>,
    aggregates: Vec<AggregateCall>,
    readings: Vec<Reading>,
    outputs: Vec<Expr>,
    /// Names of the keys, then of the outputs.
    names: Vec<String>,
}

impl ResultScope {
    fn new(keys: &[Item], bounds: &[&str]) -> ResultScope {
        let keys: Vec<_> = keys.iter().map(|key| (key.ast.clone(), name_of(key))).collect();
        ResultScope {
            bounds: bounds.iter().map(|name| (*name).to_owned()).collect(),
            names: keys.iter().map(|(_, name)| name.clone()).collect(),
            keys,
            conditions: Vec::new(),
            arguments: Vec::new(),
            aggregates: Vec::new(),
            readings: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// The expressions of `--each`, and the aggregate that holds their values under a window.
    fn each(&mut self, texts: &[&str]) -> Result<Vec<Item>, (String, String)> {
        let mut items = Vec::with_capacity(texts.len().max(1));
        for text in if texts.is_empty() { &["$0"] } else { texts } {
            let item = sql::item(text).and_then(|item| check_over_rows(&item).map(|()| item));
            let item = item.map_err(|refused| (sql::brief(text), refused.to_string()))?;
            self.names.push(name_of(&item));
            items.push(item);
        }
        self.aggregates.push(AggregateCall::bare(Function::Rows));
        Ok(items)
    }

    fn output(&mut self, item: &Item) -> Result<(), Refused> {
        let expr = compile(&item.ast, &item.text, self)?;
        self.outputs.push(expr);
        self.names.push(name_of(item));
        Ok(())
    }

    /// The place of a condition of rows.
    fn condition(&mut self, ast: &Ast, text: &str) -> Result<usize, Refused> {
        if let Some(at) = self.conditions.iter().position(|known| known.ast == *ast) {
            return Ok(at);
        }
        let item = part(ast, text);
        check_over_rows(&item)?;
        self.conditions.push(item);
        Ok(self.conditions.len() - 1)
    }

    /// The place of an argument of `function`, which it takes of the rows of a condition.
    fn argument(
        &mut self,
        ast: &Ast,
        text: &str,
        condition: Option<usize>,
        function: Function,
    ) -> Result<usize, Refused> {
        let known = |known: &Argument| known.item.ast == *ast && known.condition == condition;
        let at = if let Some(at) = self.arguments.iter().position(known) {
            at
        } else {
            let item = part(ast, text);
            check_over_rows(&item)?;
            self.arguments.push(Argument { item, condition, numeric: false, keyed: false });
            self.arguments.len() - 1
        };
        self.arguments[at].numeric |= function.is_numeric();
        self.arguments[at].keyed |= function == Function::Distinct;
        Ok(at)
    }

    /// The slot of what is read from an aggregate. Equal aggregates are kept once.
    fn reading(&mut self, call: AggregateCall, measure: Measure) -> Result<u16, String> {
        let at = place(&mut self.aggregates, call);
        let at = place(&mut self.readings, (at, measure));
        slot_of(self.keys.len() + at)
    }
}

/// A part of the expression in `text`, which has no name of its own.
fn part(ast: &Ast, text: &str) -> Item {
    Item { ast: ast.clone(), name: None, typed: ast.to_string(), text: text.to_owned() }
}

/// The place of an item in a list without equal ones.
fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

impl Scope for ResultScope {
    fn column(&mut self, name: &str) -> Result<u16, String> {
        let keys = self.keys.len();
        let key = self.keys.iter().position(|(ast, alias)| alias == name || written(ast) == name);
        if let Some(slot) = key {
            return slot_of(slot);
        }
        if let Some(output) = self.names[keys..].iter().position(|known| known == name) {
            return slot_of(self.bounds.len() + output).map(|slot| u16::MAX - slot);
        }
        if let Some(bound) = self.bounds.iter().position(|known| known == name) {
            return slot_of(bound).map(|slot| u16::MAX - slot);
        }
        let reason = format!("{name} is neither a key nor inside an aggregate");
        let known = [self.bounds.as_slice(), &self.names].concat();
        if known.is_empty() {
            return Err(reason);
        }
        Err(format!("{reason}; results have the columns {}", known.join(", ")))
    }

    fn functions(&self) -> &'static str {
        Function::NAMES
    }

    fn call(&mut self, call: &Call, text: &str) -> Result<Option<u16>, Refused> {
        let name = call.name.to_string().to_lowercase();
        let Some((function, measure)) = Function::named(&name) else { return Ok(None) };
        let refuse = |reason: &str| Refused::at(text, &call.name, reason);
        if call.over.is_some() || call.null_treatment.is_some() || !call.within_group.is_empty() {
            return Err(refuse("no clause but FILTER may follow an aggregate"));
        }
        let FunctionArguments::List(list) = &call.args else {
            return Err(refuse("an aggregate takes its arguments in parentheses"));
        };
        if !list.clauses.is_empty() {
            return Err(refuse("no clause may stand behind the argument of an aggregate"));
        }
        let condition = call.filter.as_deref().map(|ast| self.condition(ast, text)).transpose()?;
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let (function, argument, measure) = match (function, list.args.as_slice()) {
            (Function::Count, [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]) if !distinct => {
                (Function::CountRows, None, measure)
            }
            (Function::Count, [argument]) if distinct => {
                (Function::Distinct, Some(argument), measure)
            }
            _ if distinct => return Err(refuse("DISTINCT is for count(distinct x) alone")),
            (Function::Sketch, [argument, part]) => {
                (function, Some(argument), Measure::Percentile(part_of(part, call, text)?))
            }
            (Function::Sketch, _) => {
                return Err(refuse("approx_percentile takes a number and a part: (x, 0.95)"));
            }
            (_, [argument]) => (function, Some(argument), measure),
            _ => return Err(refuse(&format!("{name} takes one argument"))),
        };
        let argument = match argument {
            None => None,
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(ast))) => {
                Some(self.argument(ast, text, condition, function)?)
            }
            Some(_) => return Err(refuse(&format!("{name} takes an expression"))),
        };
        let call = AggregateCall { function, argument, condition };
        self.reading(call, measure).map(Some).map_err(|reason| refuse(&reason))
    }
}

/// The part of numbers that a percentile is asked of: a constant from 0 to 1.
fn part_of(argument: &FunctionArg, call: &Call, text: &str) -> Result<Part, Refused> {
    let reason = "the part of a percentile is a number from 0 to 1, as 0.95";
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(ast)) = argument else {
        return Err(Refused::at(text, &call.name, reason));
    };
    let part = match ast {
        Ast::Value(value) => match &value.value {
            Constant::Number(digits, _) => Part::of(digits),
            _ => None,
        },
        _ => None,
    };
    part.ok_or_else(|| Refused::at(text, ast, reason))
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

/// The name of a column, or when it was given none: `page`, `f2` for `$2`, `line` for `$0`,
/// `count`, `sum_x`, and of anything longer its text.
fn name_of(item: &Item) -> String {
    let short = || match &item.ast {
        Ast::Identifier(_) | Ast::CompoundIdentifier(_) => Some(label(&written(&item.ast))),
        Ast::Function(call) => match &call.args {
            FunctionArguments::List(list) if call.filter.is_none() => name_of_call(call, list),
            _ => None,
        },
        _ => None,
    };
    item.name.clone().or_else(short).unwrap_or_else(|| item.typed.clone())
}

/// The name of a call over a column: `count`, `sum_x`, `count_distinct_x`, `approx_percentile_x`.
fn name_of_call(call: &Call, list: &FunctionArgumentList) -> Option<String> {
    let function = call.name.to_string().to_lowercase();
    let argument = match list.args.as_slice() {
        [argument] => argument,
        [argument, _] if function == "approx_percentile" => argument,
        _ => return None,
    };
    let distinct = if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        "distinct_"
    } else {
        ""
    };
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Some(function),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(
            ast @ (Ast::Identifier(_) | Ast::CompoundIdentifier(_)),
        )) => Some(format!("{function}_{distinct}{}", label(&written(ast)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Stamp;

    fn query<'a>(by: &'a str, having: Option<&'a str>, aggregates: &[&'a str]) -> Texts<'a> {
        let aggregates = aggregates.to_vec();
        Texts { by: Some(by), having, aggregates, ..Texts::default() }
    }

    fn query_of<'a>(aggregates: &[&'a str]) -> Texts<'a> {
        Texts { aggregates: aggregates.to_vec(), ..Texts::default() }
    }

    #[test]
    fn columns_are_named_after_what_they_are() {
        let texts = query(
            "page, $2, lower(x) as l",
            None,
            &["count(*)", "sum(a)", "avg($3)", "sum(0.8*a)", "max(a.b) as top"],
        );
        let names = Query::parse(&texts).expect("a query").names;
        assert_eq!(names, ["page", "f2", "l", "count", "sum_a", "avg_f3", "sum(0.8*a)", "top"]);
        let texts = query_of(&[
            "count(x)",
            "count(distinct x)",
            "approx_percentile(x, 0.95)",
            "array_agg($2)",
            "sum(a) filter (where ok)",
        ]);
        let names = Query::parse(&texts).expect("a query").names;
        let told = ["count_x", "count_distinct_x", "approx_percentile_x", "array_agg_f2"];
        assert_eq!(names, [&told[..], &["sum(a) filter (where ok)"]].concat());
    }

    #[test]
    fn equal_aggregates_and_arguments_are_kept_once() {
        let texts =
            query("k", Some("count(*) > 1"), &["sum(a)/count(*) as mean", "sum(a)", "avg(a)"]);
        let query = Query::parse(&texts).expect("a query");
        assert_eq!(query.arguments.len(), 1);
        let functions: Vec<Function> = query.aggregates.iter().map(|call| call.function).collect();
        assert_eq!(functions, [Function::Sum, Function::CountRows], "a mean is read from a sum");
        let texts = query_of(&[
            "approx_percentile(a, 0.5) as p50",
            "approx_percentile(a, 0.95) as p95",
            "stddev(a)",
            "var_pop(a)",
            "sum(a) filter (where b)",
            "count(*) filter (where b)",
            "sum(a) filter (where b) / count(*) filter (where c) as part",
        ]);
        let query = Query::parse(&texts).expect("a query");
        let kept = (query.aggregates.len(), query.arguments.len(), query.conditions.len());
        assert_eq!(kept, (5, 2, 2), "an argument is one of all rows or of those that pass");
    }

    #[test]
    fn with_each_rows_come_out() {
        let each = |aggregates: &[&'static str]| {
            let texts = query("k", None, aggregates);
            Query::parse(&Texts { each: true, ..texts })
        };
        let bare = each(&[]).expect("a query");
        assert_eq!(bare.names, ["k", "line"]);
        let query = each(&["page", "0.8*clicks as heat"]).expect("a query");
        assert_eq!(query.names, ["k", "page", "heat"]);
        assert_eq!(query.each().map(<[Item]>::len), Some(2));
        let mut aggregates = query.empty();
        let later = Stamp { time: 2, arrival: 0 };
        for (page, stamp) in [(b"b", later), (b"a", Stamp::default())] {
            let mut row = Vec::new();
            packed::push(&Value::Text(page[..].into()), &mut row);
            packed::push(&Value::Float(0.5), &mut row);
            aggregates[0].add_row(&row, stamp);
        }
        let mut told = Vec::new();
        query.each_row(&aggregates, &mut |row| told.push(format!("{row:?}")));
        assert!(told.len() == 2 && told[0].contains("[97]") && told[1].contains("Float(0.5)"));
        for (texts, reason) in [(["sum(x)"], "aggregate"), (["a, b"], "one expression")] {
            let (option, refused) = each(&texts).expect_err("refused");
            assert!(option == texts[0] && refused.contains(reason), "{refused}");
        }
        let having = Texts { each: true, having: Some("k = 1"), ..Texts::default() };
        assert_eq!(Query::parse(&having).expect_err("refused").0, "--having");
    }

    #[test]
    fn the_extent_is_kept_and_not_shown() {
        let query = Query::parse(&query("k", None, &["count(*)"])).expect("a query").with_extent();
        let mut aggregates = query.empty();
        aggregates[0].count();
        aggregates[1].extend(7);
        let mut row = vec![Value::Null];
        assert_eq!(query.finish(&aggregates, &mut row), Ok(true));
        assert_eq!((row.len(), aggregates[1].extent()), (2, Some((7, 7, 1))));
    }

    #[test]
    fn the_layout_says_what_is_kept() {
        let layout = |texts: &Texts<'_>| {
            Query::parse(texts).expect("a query").with_extent().layout().to_string()
        };
        let texts = query("lower(k) as l", None, &["avg( x )", "count(*) filter (where y>1) as n"]);
        let told = r#"["sum(x)","count(*) where y > 1","extent()"],"keys":["lower(k)"]}"#;
        assert_eq!(layout(&texts), format!(r#"{{"aggregates":{told}"#));
        let each = Texts { each: true, aggregates: vec!["a", "b + 1"], ..Texts::default() };
        assert!(layout(&each).contains(r#""rows(a, b + 1)""#), "{}", layout(&each));
    }

    #[test]
    fn sums_beyond_64_bits_are_exact_alone_and_floats_in_arithmetic() {
        let texts =
            query("k", Some("s > 1e19"), &["sum(a) as s", "s / 2 as half", "round(s) as r"]);
        let query = Query::parse(&texts).expect("a query");
        let mut aggregates = query.empty();
        for _ in 0..2 {
            aggregates[0].add_number(Number::Int(i64::MAX)).expect("it fits");
        }
        let mut row = vec![Value::Null];
        assert_eq!(query.finish(&aggregates, &mut row), Ok(true));
        let digits = Value::Text(b"18446744073709551614"[..].into());
        let told = [digits, Value::Float(2_f64.powi(63)), Value::Float(2_f64.powi(64))];
        assert_eq!(row[1..], told);
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
    fn the_columns_of_the_window_are_columns_of_results() {
        let texts = Texts {
            bounds: &["window_start", "window_end"],
            ..query(
                "k",
                Some("n > 1 and window_end < 100"),
                &["count(*) as n", "window_end - 1 as last"],
            )
        };
        let query = Query::parse(&texts).expect("a query");
        let mut aggregates = query.empty();
        (0..2).for_each(|_| aggregates[0].count());
        for (end, passes) in [(99, true), (100, false)] {
            let mut row = vec![Value::Int(90), Value::Int(end), Value::Text(b"x"[..].into())];
            assert_eq!(query.finish(&aggregates, &mut row), Ok(passes));
            assert_eq!(row[3..], [Value::Int(2), Value::Int(end - 1)]);
        }
        let refused = Query::parse(&Texts { having: Some("nobody > 1"), ..texts }).expect_err("no");
        assert!(refused.1.contains("columns window_start, window_end, k, n, last"), "{refused:?}");
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
        for (by, aggregates, reason) in [
            ("k", ["a"], "neither a key nor inside an aggregate"),
            ("k", ["sum(a, b)"], "sum takes one argument"),
            ("k", ["sum(*)"], "sum takes an expression"),
            ("count", ["count(*)"], "two columns"),
            ("k", ["frob(a)"], "no function frob"),
            ("k", ["sum(frob(a))"], "no function frob"),
            ("k", ["sum(avg(a))"], "avg is an aggregate"),
            ("k", ["count(*) filter (where sum(a) > 1)"], "sum is an aggregate"),
            ("sum(a)", ["count(*)"], "sum is an aggregate"),
            ("k", ["sum(distinct a)"], "count(distinct x) alone"),
            ("k", ["count(distinct *)"], "takes an expression"),
            ("k", ["array_agg(a order by b)"], "no clause"),
            ("k", ["sum(a) over ()"], "no clause but FILTER"),
            ("k", ["approx_percentile(a)"], "(x, 0.95)"),
            ("k", ["approx_percentile(a, 1.5)"], "from 0 to 1"),
            ("k", ["approx_percentile(a, -0.5)"], "from 0 to 1"),
            ("k", ["approx_percentile(a, b)"], "from 0 to 1"),
        ] {
            let refused = Query::parse(&query(by, None, &aggregates)).expect_err(aggregates[0]).1;
            assert!(refused.contains(reason), "{aggregates:?}: {refused}");
        }
    }
}
