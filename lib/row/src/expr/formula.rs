//! Formulas: arithmetic that is done in floats whatever the fields hold, as steps on a stack.
//!
//! Whether arithmetic is in whole numbers or in floats hangs on each value, unless a part of it is
//! a float for sure: a constant with decimals, or a division. Such expressions need no type for
//! what is between, and a row of plain numbers goes through them in a few nanoseconds.

use crate::field::Fields;
use crate::value::{Number, Value};

use super::{Id, Node, Operator};

/// Numbers that wait for their operator at most; deeper expressions are no formulas.
const DEPTH: usize = 8;

/// The steps of a formula.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    steps: Box<[Step]>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Slot(u16),
    Constant(f64),
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Formula {
    /// The formula of the node `root`; `None` when it is none.
    pub(super) fn new(nodes: &[Node], root: Id) -> Option<Formula> {
        let mut steps = Vec::new();
        let is_float = push(nodes, root, 1, &mut steps)?;
        let is_arithmetic = matches!(nodes[root as usize], Node::Arithmetic(..));
        (is_float && is_arithmetic).then(|| Formula { steps: steps.into() })
    }

    /// The value over a row; `None` when a field is no short number, or a divisor is zero, which
    /// is for [`super::Expr::value`] to judge.
    #[inline]
    pub(super) fn compute<'r>(&self, row: impl Fields<'r>) -> Option<f64> {
        let mut stack = [0.0; DEPTH];
        let mut depth = 0;
        for step in &self.steps {
            let value = match *step {
                Step::Slot(slot) => row.short_float(slot)?,
                Step::Constant(constant) => constant,
                operator => {
                    depth -= 2;
                    let (left, right) = (stack[depth % DEPTH], stack[(depth + 1) % DEPTH]);
                    match operator {
                        Step::Add => left + right,
                        Step::Subtract => left - right,
                        Step::Multiply => left * right,
                        _ if right == 0.0 => return None,
                        _ => left / right,
                    }
                }
            };
            stack[depth % DEPTH] = value;
            depth += 1;
        }
        Some(stack[0])
    }
}

/// Appends the steps of a node that finds `depth` - 1 numbers waiting. Whether it is a float for
/// sure; `None` when it cannot be a part of a formula.
fn push(nodes: &[Node], id: Id, depth: usize, steps: &mut Vec<Step>) -> Option<bool> {
    if depth > DEPTH {
        return None;
    }
    match &nodes[id as usize] {
        Node::Slot(slot) => {
            steps.push(Step::Slot(*slot));
            Some(false)
        }
        Node::Constant(value @ (Value::Int(_) | Value::Float(_))) => {
            let number = value.number().ok()?;
            steps.push(Step::Constant(number.as_f64()?));
            Some(matches!(number, Number::Float(_)))
        }
        Node::Arithmetic(operator, left, right) => {
            let left = push(nodes, *left, depth, steps)?;
            let right = push(nodes, *right, depth + 1, steps)?;
            steps.push(match operator {
                Operator::Add => Step::Add,
                Operator::Subtract => Step::Subtract,
                Operator::Multiply => Step::Multiply,
                Operator::Divide => Step::Divide,
                Operator::Remainder => return None,
            });
            // Two whole numbers are computed as such, and may overflow.
            let is_float = left || right || *operator == Operator::Divide;
            is_float.then_some(true)
        }
        _ => None,
    }
}
