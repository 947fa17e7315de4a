//! A formula as a tree, and the tables of its operators and functions.

use num_bigint::BigInt;

use super::path::Path;

/// A part of a formula.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where errors about it point: an operator's sign, or its start.
    pub at: usize,
    pub expression: Expression,
    /// Parts inside of parts below it, itself included.
    pub depth: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Expression {
    Integer(BigInt),
    Text(String),
    Truth(bool),
    Path(Path),
    Negative(Box<Node>),
    Not(Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// Condition, then, else.
    Choice(Box<[Node; 3]>),
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
    Power,
}

/// Sign, operator, and how tight it binds. `^` binds tighter than all and has its own rule.
pub(super) const OPERATORS: [(&str, Binary, u8); 13] = [
    ("||", Binary::Or, 1),
    ("&&", Binary::And, 2),
    ("==", Binary::Equal, COMPARISON),
    ("!=", Binary::Unequal, COMPARISON),
    ("<", Binary::Less, COMPARISON),
    ("<=", Binary::LessOrEqual, COMPARISON),
    (">", Binary::Greater, COMPARISON),
    (">=", Binary::GreaterOrEqual, COMPARISON),
    ("+", Binary::Plus, 4),
    ("-", Binary::Minus, 4),
    ("*", Binary::Times, 5),
    ("/", Binary::Over, 5),
    ("%", Binary::Modulo, 5),
];
pub(super) const COMPARISON: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Text,
    Int,
    Len,
    Min,
    Max,
}

/// Name, function, and the fewest and the most values that it takes.
pub(super) const FUNCTIONS: [(&str, Function, usize, usize); 5] = [
    ("text", Function::Text, 1, 1),
    ("int", Function::Int, 1, 1),
    ("len", Function::Len, 1, 1),
    ("min", Function::Min, 1, usize::MAX),
    ("max", Function::Max, 1, usize::MAX),
];

impl Node {
    /// Shows every path of this part to `see`.
    pub(super) fn visit_paths(&self, see: &mut dyn FnMut(&Path)) {
        if let Expression::Path(path) = &self.expression {
            see(path);
        }
        self.expression.visit_children(&mut |child| child.visit_paths(see));
    }
}

impl Expression {
    /// Shows every part right below this one to `see`.
    pub(super) fn visit_children(&self, see: &mut dyn FnMut(&Node)) {
        match self {
            Expression::Integer(_)
            | Expression::Text(_)
            | Expression::Truth(_)
            | Expression::Path(_) => {}
            Expression::Negative(inner) | Expression::Not(inner) => see(inner),
            Expression::Binary(_, left, right) => [left, right].into_iter().for_each(|n| see(n)),
            Expression::Choice(parts) => parts.iter().for_each(see),
            Expression::Call(_, values) => values.iter().for_each(see),
        }
    }
}

impl Binary {
    /// The operator's sign.
    pub(super) fn sign(self) -> &'static str {
        let found = OPERATORS.iter().find(|(_, operator, _)| *operator == self);
        found.map_or("^", |(sign, ..)| sign)
    }
}

impl Function {
    /// The function's name.
    pub(super) fn name(self) -> &'static str {
        let found = FUNCTIONS.iter().find(|(_, function, ..)| *function == self);
        found.map_or("?", |(name, ..)| name)
    }
}
