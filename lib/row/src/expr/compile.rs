//! From the parser's tree to nodes over slots.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};
use sqlparser::ast::{
    self, BinaryOperator, DataType, Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments,
    Spanned, UnaryOperator,
};

use crate::sql::{Refused, no_operator};
use crate::value::{Number, Value, read_number};

use super::formula::Formula;
use super::{Comparison, Expr, Function, Id, Node, Operator, Type, from_number};

/// What the names in an expression mean.
pub trait Scope {
    /// The slot of the column called `name`.
    ///
    /// # Errors
    /// When there is none; the message says which there are.
    fn column(&mut self, name: &str) -> Result<u16, String>;

    /// The slot of a call that the scope computes itself, as aggregates are; `None` leaves it to
    /// the expression.
    ///
    /// # Errors
    /// When the scope knows the function and refuses the call.
    fn call(&mut self, call: &ast::Function, text: &str) -> Result<Option<u16>, Refused> {
        let _ = (call, text);
        Ok(None)
    }

    /// The names of the functions that [`Scope::call`] knows, for those who ask for another one.
    fn functions(&self) -> &'static str {
        ""
    }
}

impl<F: FnMut(&str) -> Result<u16, String>> Scope for F {
    fn column(&mut self, name: &str) -> Result<u16, String> {
        self(name)
    }
}

/// Compiles `ast`, which stands in `text`, with the names of `scope`.
///
/// # Errors
/// When a name or a function is not known, or SQL means something that rows cannot do.
pub fn compile(ast: &Ast, text: &str, scope: &mut dyn Scope) -> Result<Expr, Refused> {
    let mut compiler = Compiler { text, scope, nodes: Vec::new() };
    let root = compiler.expr(ast)?;
    let formula = Formula::new(&compiler.nodes, root);
    Ok(Expr { nodes: compiler.nodes, root, formula })
}

struct Compiler<'a> {
    text: &'a str,
    scope: &'a mut dyn Scope,
    nodes: Vec<Node>,
}

impl Compiler<'_> {
    fn push(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        // An expression comes from a command line, which is far below 4 G nodes.
        Id::try_from(self.nodes.len() - 1).unwrap_or(Id::MAX)
    }

    fn refuse(&self, ast: &impl Spanned, reason: impl Into<String>) -> Refused {
        Refused::at(self.text, ast, reason)
    }

    fn expr(&mut self, ast: &Ast) -> Result<Id, Refused> {
        let node = match ast {
            Ast::Identifier(name) => self.column(ast, &name.value)?,
            Ast::CompoundIdentifier(names) => {
                let names: Vec<_> = names.iter().map(|name| name.value.as_str()).collect();
                self.column(ast, &names.join("."))?
            }
            Ast::Nested(inner) => return self.expr(inner),
            Ast::Value(value) => self.constant(ast, &value.value)?,
            Ast::UnaryOp { op, expr } => return self.unary(ast, *op, expr),
            Ast::BinaryOp { left, op, right } => return self.binary(ast, left, op, right),
            Ast::IsNull(of) => Node::IsNull(self.expr(of)?),
            Ast::IsNotNull(of) => {
                let is_null = Node::IsNull(self.expr(of)?);
                Node::Not(self.push(is_null))
            }
            Ast::IsTrue(of) => Node::IsTruth(self.expr(of)?, true),
            Ast::IsFalse(of) => Node::IsTruth(self.expr(of)?, false),
            Ast::InList { expr, list, negated } => {
                let of = self.expr(expr)?;
                let list = list.iter().map(|ast| self.expr(ast)).collect::<Result<_, _>>()?;
                return Ok(self.negated(*negated, Node::In(of, list)));
            }
            Ast::Between { expr, negated, low, high } => {
                let (of, low, high) = (self.expr(expr)?, self.expr(low)?, self.expr(high)?);
                let low = self.push(Node::Compare(Comparison::GreaterOrEqual, of, low));
                let high = self.push(Node::Compare(Comparison::LessOrEqual, of, high));
                return Ok(self.negated(*negated, Node::And(low, high)));
            }
            Ast::Like { negated, any: false, expr, pattern, escape_char: None } => {
                return self.like(expr, pattern, *negated, false);
            }
            Ast::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                return self.like(expr, pattern, *negated, true);
            }
            Ast::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())?
            }
            Ast::Cast { expr, data_type, .. } => {
                let to = self.data_type(ast, data_type)?;
                Node::Cast(to, self.expr(expr)?)
            }
            Ast::Ceil { expr, .. } => Node::Call(Function::Ceil, [self.expr(expr)?].into()),
            Ast::Floor { expr, .. } => Node::Call(Function::Floor, [self.expr(expr)?].into()),
            Ast::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                let mut arguments = vec![self.expr(expr)?, self.expr(from)?];
                if let Some(most) = substring_for {
                    arguments.push(self.expr(most)?);
                }
                Node::Call(Function::Substr, arguments.into())
            }
            Ast::Function(call) => self.call(ast, call)?,
            _ => return Err(self.refuse(ast, format!("{ast} is SQL that rows do not know"))),
        };
        Ok(self.push(node))
    }

    fn negated(&mut self, negated: bool, node: Node) -> Id {
        let id = self.push(node);
        if negated { self.push(Node::Not(id)) } else { id }
    }

    fn column(&mut self, ast: &Ast, name: &str) -> Result<Node, Refused> {
        self.scope.column(name).map(Node::Slot).map_err(|reason| self.refuse(ast, reason))
    }

    fn constant(&mut self, ast: &Ast, value: &ast::Value) -> Result<Node, Refused> {
        Ok(Node::Constant(match value {
            ast::Value::Number(digits, _) => match read_number(digits.as_bytes()) {
                Ok(Some(number)) => from_number(number),
                Ok(None) => return Err(self.refuse(ast, format!("{digits} is no number"))),
                Err(fault) => return Err(self.refuse(ast, format!("{digits}: {fault}"))),
            },
            ast::Value::SingleQuotedString(text) => {
                Value::Str(Cow::Owned(text.clone().into_bytes()))
            }
            ast::Value::Boolean(truth) => Value::Bool(*truth),
            ast::Value::Null => Value::Null,
            other => return Err(self.refuse(ast, format!("{other} is no constant here"))),
        }))
    }

    fn unary(&mut self, ast: &Ast, op: UnaryOperator, of: &Ast) -> Result<Id, Refused> {
        if op == UnaryOperator::Plus {
            // It would change nothing: whoever wrote it meant something on its left.
            return Err(self.refuse(ast, format!("nothing stands before {ast} to add to")));
        }
        let of = self.expr(of)?;
        match op {
            UnaryOperator::Minus => {
                let negated = match &self.nodes[of as usize] {
                    Node::Constant(Value::Int(int)) => int.checked_neg().map(Number::Int),
                    Node::Constant(Value::Float(float)) => Some(Number::Float(-float)),
                    _ => None,
                };
                Ok(self.push(match negated {
                    Some(number) => Node::Constant(from_number(number)),
                    None => Node::Negate(of),
                }))
            }
            UnaryOperator::Not => Ok(self.push(Node::Not(of))),
            other => Err(self.refuse(ast, no_operator(&other.to_string()))),
        }
    }

    fn binary(
        &mut self,
        ast: &Ast,
        left: &Ast,
        op: &BinaryOperator,
        right: &Ast,
    ) -> Result<Id, Refused> {
        let arithmetic = |op| move |left, right| Node::Arithmetic(op, left, right);
        let compare = |op| move |left, right| Node::Compare(op, left, right);
        let node: Box<dyn Fn(Id, Id) -> Node> = match op {
            BinaryOperator::Plus => Box::new(arithmetic(Operator::Add)),
            BinaryOperator::Minus => Box::new(arithmetic(Operator::Subtract)),
            BinaryOperator::Multiply => Box::new(arithmetic(Operator::Multiply)),
            BinaryOperator::Divide => Box::new(arithmetic(Operator::Divide)),
            BinaryOperator::Modulo => Box::new(arithmetic(Operator::Remainder)),
            BinaryOperator::Eq => Box::new(compare(Comparison::Equal)),
            BinaryOperator::NotEq => Box::new(compare(Comparison::NotEqual)),
            BinaryOperator::Lt => Box::new(compare(Comparison::Less)),
            BinaryOperator::LtEq => Box::new(compare(Comparison::LessOrEqual)),
            BinaryOperator::Gt => Box::new(compare(Comparison::Greater)),
            BinaryOperator::GtEq => Box::new(compare(Comparison::GreaterOrEqual)),
            BinaryOperator::And => Box::new(Node::And),
            BinaryOperator::Or => Box::new(Node::Or),
            BinaryOperator::PGRegexMatch => return self.matches(left, right, false, false),
            BinaryOperator::PGRegexIMatch => return self.matches(left, right, false, true),
            BinaryOperator::PGRegexNotMatch => return self.matches(left, right, true, false),
            BinaryOperator::PGRegexNotIMatch => return self.matches(left, right, true, true),
            other => return Err(self.refuse(ast, no_operator(&other.to_string()))),
        };
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        Ok(self.push(node(left, right)))
    }

    fn matches(
        &mut self,
        of: &Ast,
        pattern: &Ast,
        negated: bool,
        any_case: bool,
    ) -> Result<Id, Refused> {
        let pattern = self.pattern(pattern, any_case, str::to_owned)?;
        let of = self.expr(of)?;
        Ok(self.negated(negated, Node::Matches(of, pattern)))
    }

    fn like(
        &mut self,
        of: &Ast,
        pattern: &Ast,
        negated: bool,
        any_case: bool,
    ) -> Result<Id, Refused> {
        let pattern = self.pattern(pattern, any_case, like_to_regex)?;
        let of = self.expr(of)?;
        Ok(self.negated(negated, Node::Matches(of, pattern)))
    }

    /// The regular expression that `make` makes of a pattern, which has to be a constant.
    fn pattern(
        &self,
        ast: &Ast,
        any_case: bool,
        make: fn(&str) -> String,
    ) -> Result<Regex, Refused> {
        let Ast::Value(value) = ast else {
            return Err(self.refuse(ast, "a pattern is a text in quotes"));
        };
        let ast::Value::SingleQuotedString(text) = &value.value else {
            return Err(self.refuse(ast, "a pattern is a text in quotes"));
        };
        let built = RegexBuilder::new(&make(text)).case_insensitive(any_case).build();
        built.map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            self.refuse(ast, format!("no regular expression: {reason}"))
        })
    }

    fn case(
        &mut self,
        operand: Option<&Ast>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&Ast>,
    ) -> Result<Node, Refused> {
        let operand = operand.map(|ast| self.expr(ast)).transpose()?;
        let mut branches = Vec::with_capacity(conditions.len());
        for branch in conditions {
            branches.push((self.expr(&branch.condition)?, self.expr(&branch.result)?));
        }
        let otherwise = otherwise.map(|ast| self.expr(ast)).transpose()?;
        Ok(Node::Case(operand, branches.into(), otherwise))
    }

    fn data_type(&self, ast: &Ast, data_type: &DataType) -> Result<Type, Refused> {
        let name = data_type.to_string().to_lowercase();
        match name.split('(').next().unwrap_or_default().trim() {
            "int" | "integer" | "bigint" | "smallint" | "long" => Ok(Type::Int),
            "double" | "double precision" | "float" | "real" | "decimal" | "numeric" => {
                Ok(Type::Float)
            }
            "text" | "varchar" | "char" | "string" => Ok(Type::Text),
            "boolean" | "bool" => Ok(Type::Bool),
            _ => {
                let known = "bigint, double, text and boolean";
                Err(self.refuse(ast, format!("no type {name}; there are {known}")))
            }
        }
    }

    fn call(&mut self, ast: &Ast, call: &ast::Function) -> Result<Node, Refused> {
        if let Some(slot) = self.scope.call(call, self.text)? {
            return Ok(Node::Slot(slot));
        }
        let name = call.name.to_string().to_lowercase();
        let Some((function, least, most)) = Function::named(&name) else {
            let more = self.scope.functions();
            let known = if more.is_empty() { "" } else { ", " };
            let known = format!("{more}{known}{}", Function::NAMES);
            return Err(self.refuse(ast, format!("no function {name}; there are {known}")));
        };
        let arguments = arguments(call).ok_or_else(|| {
            self.refuse(ast, format!("{name} takes expressions as its arguments"))
        })?;
        if !(least..=most).contains(&arguments.len()) {
            let count = if least == most { least.to_string() } else { format!("{least} or more") };
            let s = if count == "1" { "" } else { "s" };
            return Err(self.refuse(ast, format!("{name} takes {count} argument{s}")));
        }
        let ids = arguments.into_iter().map(|ast| self.expr(ast)).collect::<Result<_, _>>()?;
        Ok(Node::Call(function, ids))
    }
}

/// The arguments of a plain call, one without `*`, DISTINCT or other clauses.
fn arguments(call: &ast::Function) -> Option<Vec<&Ast>> {
    let FunctionArguments::List(list) = &call.args else { return None };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() || call.filter.is_some() {
        return None;
    }
    let expr = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref ast)) => Some(ast),
        _ => None,
    };
    list.args.iter().map(expr).collect()
}

/// `a%_` becomes `^a(?s:.)*(?s:.)$`, where `.` takes a byte when the text is not UTF-8.
fn like_to_regex(pattern: &str) -> String {
    let mut regex = String::from("(?s)^");
    for letter in pattern.chars() {
        match letter {
            '%' => regex.push_str("(?:.|(?-u:.))*"),
            '_' => regex.push_str("(?:.|(?-u:.))"),
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push('$');
    regex
}
