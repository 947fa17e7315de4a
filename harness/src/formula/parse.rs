//! From tokens to a tree: the grammar, by precedence climbing.

use stepmark_workflow::yaml::{quoted, suggest};

use super::path::{Key, Part, Path};
use super::token::{Kind, Token};
use super::tree::{Binary, COMPARISON, Expression, FUNCTIONS, Node, OPERATORS};
use super::{DEPTH_MAX, FormulaError};

/// Reads tokens, of which the last is [`Kind::End`].
pub(super) fn formula(tokens: &[Token]) -> Result<Node, FormulaError> {
    let mut reader = Reader { tokens, place: 0, open: 0 };
    let root = reader.choice()?;
    match reader.peek() {
        Kind::End => Ok(root),
        other => {
            Err(reader.error(format!("the formula could end here, but {} follows", other.shown())))
        }
    }
}

struct Reader<'t> {
    tokens: &'t [Token],
    place: usize,
    /// How deep it is inside of parentheses, signs, exponents and choices.
    open: usize,
}

impl Reader<'_> {
    fn choice(&mut self) -> Result<Node, FormulaError> {
        self.deeper(|reader| {
            let condition = reader.binary(1)?;
            let at = reader.at();
            if !reader.take("?") {
                return Ok(condition);
            }
            let then = reader.choice()?;
            reader.expect(":")?;
            let otherwise = reader.choice()?;
            reader.node(at, Expression::Choice(Box::new([condition, then, otherwise])))
        })
    }

    fn binary(&mut self, tightness_min: u8) -> Result<Node, FormulaError> {
        let mut left = self.signed()?;
        while let Some((operator, tightness)) = self.operator()
            && tightness >= tightness_min
        {
            let at = self.at();
            self.place += 1;
            let right = self.binary(tightness + 1)?;
            let expression = Expression::Binary(operator, Box::new(left), Box::new(right));
            left = self.node(at, expression)?;
            if tightness == COMPARISON && self.operator().is_some_and(|(_, t)| t == COMPARISON) {
                return Err(self.error("comparisons do not follow each other").with_hint(Some(
                    "put one of them in parentheses, or join them with &&".to_owned(),
                )));
            }
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Node, FormulaError> {
        let at = self.at();
        let make = match self.peek() {
            Kind::Symbol("-") => Expression::Negative,
            Kind::Symbol("!") => Expression::Not,
            _ => return self.power(),
        };
        self.place += 1;
        let inner = self.deeper(Reader::signed)?;
        self.node(at, make(Box::new(inner)))
    }

    fn power(&mut self) -> Result<Node, FormulaError> {
        let base = self.atom()?;
        let at = self.at();
        if !self.take("^") {
            return Ok(base);
        }
        let exponent = self.deeper(Reader::signed)?;
        self.node(at, Expression::Binary(Binary::Power, Box::new(base), Box::new(exponent)))
    }

    fn atom(&mut self) -> Result<Node, FormulaError> {
        let at = self.at();
        let expression = match self.peek().clone() {
            Kind::Digits(digits) => {
                let number = digits.parse().map_err(|error| self.error(format!("{error}")))?;
                Expression::Integer(number)
            }
            Kind::Text(text) => Expression::Text(text),
            Kind::Name(name) if name == "true" => Expression::Truth(true),
            Kind::Name(name) if name == "false" => Expression::Truth(false),
            Kind::Name(name) => {
                self.place += 1;
                return match self.peek() {
                    Kind::Symbol("(") => self.call(at, &name),
                    _ => self.path(at, name),
                };
            }
            Kind::Symbol("(") => {
                self.place += 1;
                let inside = self.choice()?;
                self.expect(")")?;
                return Ok(inside);
            }
            other => {
                let message = format!("expected a value, not {}", other.shown());
                return Err(self.error(message));
            }
        };
        self.place += 1;
        self.node(at, expression)
    }

    fn call(&mut self, at: usize, name: &str) -> Result<Node, FormulaError> {
        let found = FUNCTIONS.iter().find(|(known, ..)| *known == name);
        let Some((_, function, least, most)) = found else {
            let names = FUNCTIONS.map(|(name, ..)| name);
            let all = || Some(format!("there are: {}", names.join(", ")));
            let error = FormulaError::new(at, format!("there is no function {}", quoted(name)));
            return Err(error.with_hint(suggest(name, names).or_else(all)));
        };
        self.expect("(")?;
        let mut values = Vec::new();
        while !self.take(")") {
            if !values.is_empty() {
                self.expect(",")?;
            }
            values.push(self.choice()?);
        }
        if !(*least..=*most).contains(&values.len()) {
            let takes = if most == least { "one value" } else { "at least one value" };
            let message = format!("{name} takes {takes}, not {}", values.len());
            return Err(FormulaError::new(at, message));
        }
        self.node(at, Expression::Call(*function, values))
    }

    fn path(&mut self, at: usize, first: String) -> Result<Node, FormulaError> {
        let mut parts = vec![Part { at, key: Key::Name(first) }];
        loop {
            let is_name = self.take(".");
            if !is_name && !self.take("[") {
                return self.node(at, Expression::Path(Path(parts)));
            }
            let part_at = self.at();
            let key = match self.peek() {
                Kind::Name(name) if is_name => Key::Name(name.clone()),
                Kind::Digits(digits) if !is_name => {
                    let index = digits.parse();
                    Key::Index(index.map_err(|_| self.error("no list has so many items"))?)
                }
                other => {
                    let what = if is_name { "a name" } else { "a whole number" };
                    let message = format!("expected {what}, not {}", other.shown());
                    return Err(self.error(message));
                }
            };
            self.place += 1;
            if !is_name {
                self.expect("]")?;
            }
            parts.push(Part { at: part_at, key });
        }
    }

    fn node(&self, at: usize, expression: Expression) -> Result<Node, FormulaError> {
        let mut depth = 0;
        expression.visit_children(&mut |child| depth = depth.max(child.depth));
        // Operators in a row nest as well, to the left.
        if depth >= DEPTH_MAX {
            return Err(too_deep(at));
        }
        Ok(Node { at, expression, depth: depth + 1 })
    }

    fn deeper(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Node, FormulaError>,
    ) -> Result<Node, FormulaError> {
        if self.open >= DEPTH_MAX {
            return Err(too_deep(self.at()));
        }
        self.open += 1;
        let node = read(self);
        self.open -= 1;
        node
    }

    fn operator(&self) -> Option<(Binary, u8)> {
        let Kind::Symbol(sign) = self.peek() else {
            return None;
        };
        let found = OPERATORS.iter().find(|(known, ..)| known == sign)?;
        Some((found.1, found.2))
    }

    fn token(&self) -> &Token {
        // The last token is the end, which nothing takes.
        &self.tokens[self.place.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &Kind {
        &self.token().kind
    }

    fn at(&self) -> usize {
        self.token().at
    }

    fn take(&mut self, symbol: &str) -> bool {
        let is_there = matches!(self.peek(), Kind::Symbol(found) if *found == symbol);
        self.place += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, symbol: &str) -> Result<(), FormulaError> {
        if self.take(symbol) {
            return Ok(());
        }
        Err(self.error(format!("expected `{symbol}`, not {}", self.peek().shown())))
    }

    fn error(&self, message: impl Into<String>) -> FormulaError {
        FormulaError::new(self.at(), message)
    }
}

fn too_deep(at: usize) -> FormulaError {
    FormulaError::new(at, format!("the formula is nested more than {DEPTH_MAX} deep"))
}
