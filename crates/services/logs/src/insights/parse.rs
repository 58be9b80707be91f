//! The grammar: commands between bars.

use regex::Regex;

use super::aggregate::Aggregate;
use super::expression::{Comparison, Expression, Operator};
use super::function::Function;
use super::scan::{Malformed, Result, Scanner};
use super::value::Value;

#[derive(Clone, Debug)]
pub struct Query {
    pub commands: Vec<Command>,
}

#[derive(Clone, Debug)]
pub enum Command {
    Fields(Vec<Column>),
    Display(Vec<Column>),
    Filter(Expression),
    Parse {
        from: Expression,
        expression: Regex,
        names: Vec<String>,
    },
    Stats {
        aggregates: Vec<Aggregate>,
        columns: Vec<Column>,
        by: Vec<Column>,
    },
    /// Each with whether it descends.
    Sort(Vec<(Expression, bool)>),
    Limit(usize),
    Dedup(Vec<Expression>),
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub expression: Expression,
}

/// How deep expressions may lie in each other.
const DEPTH_MAX: usize = 64;

struct Parser<'a> {
    scanner: Scanner<'a>,
    /// The aggregates met so far, in a command that may have them.
    aggregates: Option<Vec<Aggregate>>,
    depth: usize,
}

/// The name by which an expression over aggregates refers to one of them.
pub fn aggregate_name(index: usize) -> String {
    format!("\0{index}")
}

pub fn parse(text: &str) -> Result<Query> {
    let mut parser = Parser { scanner: Scanner::new(text), aggregates: None, depth: 0 };
    let mut commands = Vec::new();
    // A bar may come before the first command.
    parser.scanner.take("|");
    while !parser.scanner.is_at_end() {
        commands.push(parser.command()?);
        if !parser.scanner.is_at_end() {
            parser.scanner.expect("|")?;
        }
    }
    Ok(Query { commands })
}

impl Parser<'_> {
    fn command(&mut self) -> Result<Command> {
        let at = self.scanner.position();
        let name = self.scanner.expect_name()?.to_ascii_lowercase();
        match name.as_str() {
            "fields" => Ok(Command::Fields(self.columns()?)),
            "display" => Ok(Command::Display(self.columns()?)),
            "filter" | "where" => Ok(Command::Filter(self.expression()?)),
            "parse" => self.parse_command(),
            "stats" => self.stats(),
            "sort" | "order" => self.sort(),
            "limit" | "head" => {
                let number = self.scanner.number().filter(|(n, unit)| *n >= 1.0 && unit.is_empty());
                let number = number.and_then(|(number, _)| super::value::whole(number));
                let limit = number.and_then(|number| usize::try_from(number).ok());
                limit.map(Command::Limit).ok_or_else(|| self.scanner.unexpected())
            }
            "dedup" => {
                let mut fields = vec![self.expression()?];
                while self.scanner.take(",") {
                    fields.push(self.expression()?);
                }
                Ok(Command::Dedup(fields))
            }
            "pattern" | "diff" | "anomaly" | "unmask" | "unnest" | "lookup" | "source"
            | "filterindex" | "join" | "addtotals" | "eval" => {
                let message = format!("The command {name} is not supported by Sereno.");
                Err(self.scanner.malformed(at, message))
            }
            _ => {
                let message = format!("unexpected symbol found {name} at position {}", at + 1);
                Err(self.scanner.malformed(at, message))
            }
        }
    }

    fn columns(&mut self) -> Result<Vec<Column>> {
        let mut columns = vec![self.column()?];
        loop {
            // AWS takes columns without commas between them too.
            let comma = self.scanner.take(",");
            if !comma && matches!(self.scanner.peek(), None | Some('|')) {
                return Ok(columns);
            }
            if !comma && !self.names_follow() {
                return Err(self.scanner.unexpected());
            }
            columns.push(self.column()?);
        }
    }

    fn names_follow(&mut self) -> bool {
        self.scanner.peek().is_some_and(|c| c.is_alphabetic() || matches!(c, '@' | '`' | '_'))
    }

    fn column(&mut self) -> Result<Column> {
        let from = self.scanner.position();
        let expression = self.expression()?;
        let written = self.scanner.since(from).to_owned();
        let name = match &expression {
            _ if self.scanner.take_word("as") => self.scanner.expect_name()?,
            Expression::Field(name) if !name.starts_with('\0') => name.clone(),
            _ => written,
        };
        Ok(Column { name, expression })
    }

    fn stats(&mut self) -> Result<Command> {
        self.aggregates = Some(Vec::new());
        let mut columns = vec![self.column()?];
        while self.scanner.take(",") {
            columns.push(self.column()?);
        }
        let aggregates = self.aggregates.take().unwrap_or_default();
        let mut by = Vec::new();
        if self.scanner.take_word("by") {
            by.push(self.column()?);
            while self.scanner.take(",") {
                by.push(self.column()?);
            }
        }
        if aggregates.is_empty() {
            return Err(self.scanner.unexpected());
        }
        Ok(Command::Stats { aggregates, columns, by })
    }

    fn sort(&mut self) -> Result<Command> {
        self.scanner.take_word("by");
        let mut keys = Vec::new();
        loop {
            let key = self.expression()?;
            let descends = self.scanner.take_word("desc");
            if !descends {
                self.scanner.take_word("asc");
            }
            keys.push((key, descends));
            if !self.scanner.take(",") {
                return Ok(Command::Sort(keys));
            }
        }
    }

    /// `parse [field] "glob * with *" as a, b` or `parse [field] /expression with (?<names>...)/`
    fn parse_command(&mut self) -> Result<Command> {
        let from = match self.scanner.peek() {
            Some('"' | '\'' | '/') => Expression::Field("@message".to_owned()),
            _ => Expression::Field(self.scanner.expect_name()?),
        };
        let at = self.scanner.position();
        if let Some(expression) = self.scanner.expression()? {
            let names: Vec<String> =
                expression.capture_names().flatten().map(str::to_owned).collect();
            if names.is_empty() {
                return Err(self.scanner.malformed(at, "parse needs named capturing groups"));
            }
            return Ok(Command::Parse { from, expression, names });
        }
        let glob = self.scanner.text()?.ok_or_else(|| self.scanner.unexpected())?;
        let mut names = Vec::new();
        if !self.scanner.take_word("as") {
            return Err(self.scanner.unexpected());
        }
        loop {
            names.push(self.scanner.expect_name()?);
            if !self.scanner.take(",") {
                break;
            }
        }
        if names.len() != glob.matches('*').count() {
            let message = "The number of fields does not match the number of wildcards in parse";
            return Err(self.scanner.malformed(at, message));
        }
        let expression = of_glob(&glob).map_err(|message| self.scanner.malformed(at, message))?;
        Ok(Command::Parse { from, expression, names })
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEPTH_MAX {
            let at = self.scanner.position();
            return Err(self.scanner.malformed(at, "The query is nested too deeply."));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expression(&mut self) -> Result<Expression> {
        self.nested(|parser| {
            let mut several = vec![parser.conjunction()?];
            while parser.scanner.take_word("or") || parser.scanner.take("||") {
                several.push(parser.conjunction()?);
            }
            Ok(one_or(several, Expression::Any))
        })
    }

    fn conjunction(&mut self) -> Result<Expression> {
        let mut several = vec![self.negation()?];
        while self.scanner.take_word("and") || self.scanner.take("&&") {
            several.push(self.negation()?);
        }
        Ok(one_or(several, Expression::All))
    }

    fn negation(&mut self) -> Result<Expression> {
        if self.scanner.take_word("not") {
            let inner = self.nested(Parser::negation)?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expression> {
        let left = Box::new(self.sum()?);
        let negated = self.scanner.take_word("not");
        let found = if self.scanner.take_word("like") || self.scanner.take("=~") {
            self.likeness(left)?
        } else if self.scanner.take_word("in") {
            Expression::In(left, self.list()?)
        } else if negated {
            return Err(self.scanner.unexpected());
        } else {
            let Some(comparison) = self.comparison_sign() else { return Ok(*left) };
            return Ok(Expression::Compare(left, comparison, Box::new(self.sum()?)));
        };
        Ok(if negated { Expression::Not(Box::new(found)) } else { found })
    }

    fn comparison_sign(&mut self) -> Option<Comparison> {
        let signs = [
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("==", Comparison::Equal),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        signs.into_iter().find_map(|(sign, found)| self.scanner.take(sign).then_some(found))
    }

    fn likeness(&mut self, left: Box<Expression>) -> Result<Expression> {
        if let Some(expression) = self.scanner.expression()? {
            return Ok(Expression::Matches(left, expression));
        }
        let text = self.scanner.text()?.ok_or_else(|| self.scanner.unexpected())?;
        Ok(Expression::Contains(left, text))
    }

    fn list(&mut self) -> Result<Vec<Expression>> {
        self.scanner.expect("[")?;
        let mut several = Vec::new();
        while !self.scanner.take("]") {
            several.push(self.sum()?);
            if !self.scanner.take(",") && self.scanner.peek() != Some(']') {
                return Err(self.scanner.unexpected());
            }
        }
        Ok(several)
    }

    fn sum(&mut self) -> Result<Expression> {
        let mut left = self.product()?;
        loop {
            let operator = match self.scanner.peek() {
                Some('+') => Operator::Add,
                Some('-') => Operator::Subtract,
                _ => return Ok(left),
            };
            self.scanner.take("+");
            self.scanner.take("-");
            let right = self.product()?;
            left = Expression::Arithmetic(Box::new(left), operator, Box::new(right));
        }
    }

    fn product(&mut self) -> Result<Expression> {
        let mut left = self.power()?;
        loop {
            let operator = if self.scanner.take("*") {
                Operator::Multiply
            } else if self.scanner.take("/") {
                Operator::Divide
            } else if self.scanner.take("%") {
                Operator::Remainder
            } else {
                return Ok(left);
            };
            let right = self.power()?;
            left = Expression::Arithmetic(Box::new(left), operator, Box::new(right));
        }
    }

    fn power(&mut self) -> Result<Expression> {
        let left = self.primary()?;
        if !self.scanner.take("^") {
            return Ok(left);
        }
        let right = self.nested(Parser::power)?;
        Ok(Expression::Arithmetic(Box::new(left), Operator::Power, Box::new(right)))
    }

    fn primary(&mut self) -> Result<Expression> {
        if self.scanner.take("(") {
            let inner = self.expression()?;
            self.scanner.expect(")")?;
            return Ok(inner);
        }
        if self.scanner.take("-") {
            return Ok(Expression::Negative(Box::new(self.nested(Parser::primary)?)));
        }
        if let Some(text) = self.scanner.text()? {
            return Ok(Expression::Constant(Value::Text(text)));
        }
        let at = self.scanner.position();
        if let Some((number, unit)) = self.scanner.number() {
            return self.quantity(at, number, unit);
        }
        let quoted = self.scanner.peek() == Some('`');
        let name = self.scanner.expect_name()?;
        if quoted {
            return Ok(Expression::Field(name));
        }
        match name.as_str() {
            "true" => Ok(Expression::Constant(Value::Truth(true))),
            "false" => Ok(Expression::Constant(Value::Truth(false))),
            _ if self.scanner.take("(") => self.call(at, &name),
            _ => Ok(Expression::Field(name)),
        }
    }

    fn quantity(&mut self, at: usize, number: f64, unit: &str) -> Result<Expression> {
        let ms = match unit {
            "" => return Ok(Expression::Constant(Value::Number(number))),
            "ms" | "msec" => 1.0,
            "s" | "sec" | "second" | "seconds" => 1e3,
            "m" | "min" | "minute" | "minutes" => 60e3,
            "h" | "hr" | "hour" | "hours" => 3_600e3,
            "d" | "day" | "days" => 86_400e3,
            "w" | "week" | "weeks" => 604_800e3,
            _ => return Err(self.scanner.malformed(at, format!("unknown period {number}{unit}"))),
        };
        let whole = super::value::whole(number * ms).filter(|ms| *ms > 0);
        whole.map(Expression::Period).ok_or_else(|| self.scanner.malformed(at, "invalid period"))
    }

    /// A function, behind its opening parenthesis.
    fn call(&mut self, at: usize, name: &str) -> Result<Expression> {
        if let Some(mut aggregates) = self.aggregates.take()
            && is_aggregate(name)
        {
            // No aggregates in an aggregate.
            let aggregate = self.aggregate(at, name)?;
            aggregates.push(aggregate);
            let index = aggregates.len() - 1;
            self.aggregates = Some(aggregates);
            return Ok(Expression::Field(aggregate_name(index)));
        } else if is_aggregate(name) {
            let message = format!("The function {name} can only be used in stats.");
            return Err(self.scanner.malformed(at, message));
        }
        let Some((function, least, most)) = Function::named(name) else {
            return Err(self.scanner.malformed(at, format!("Unknown function {name}")));
        };
        let arguments = self.arguments()?;
        if arguments.len() < least || arguments.len() > most {
            let message = format!("Invalid number of arguments for the function {name}");
            return Err(self.scanner.malformed(at, message));
        }
        Ok(Expression::Call(function, arguments))
    }

    fn arguments(&mut self) -> Result<Vec<Expression>> {
        let mut arguments = Vec::new();
        while !self.scanner.take(")") {
            arguments.push(self.expression()?);
            if !self.scanner.take(",") && self.scanner.peek() != Some(')') {
                return Err(self.scanner.unexpected());
            }
        }
        Ok(arguments)
    }

    fn aggregate(&mut self, at: usize, name: &str) -> Result<Aggregate> {
        if name.eq_ignore_ascii_case("count") {
            if self.scanner.take("*") {
                self.scanner.expect(")")?;
                return Ok(Aggregate::CountAll);
            }
            if self.scanner.take(")") {
                return Ok(Aggregate::CountAll);
            }
        }
        let mut arguments = self.arguments()?.into_iter();
        let wrong = |scanner: &Scanner<'_>| -> Malformed {
            scanner.malformed(at, format!("Invalid number of arguments for the function {name}"))
        };
        let first = arguments.next().ok_or_else(|| wrong(&self.scanner))?;
        let second = arguments.next();
        let aggregate = match (name.to_ascii_lowercase().as_str(), second) {
            ("pct" | "percentile", Some(Expression::Constant(Value::Number(percent)))) => {
                Aggregate::Percentile(first, percent)
            }
            ("count", None) => Aggregate::Count(first),
            ("count_distinct", None) => Aggregate::CountDistinct(first),
            ("sum", None) => Aggregate::Sum(first),
            ("avg", None) => Aggregate::Average(first),
            ("median", None) => Aggregate::Percentile(first, 50.0),
            ("min", None) => Aggregate::Least(first),
            ("max", None) => Aggregate::Greatest(first),
            ("stddev", None) => Aggregate::Deviation(first),
            ("earliest", None) => Aggregate::Earliest(first),
            ("latest", None) => Aggregate::Latest(first),
            ("sortsfirst", None) => Aggregate::SortsFirst(first),
            ("sortslast", None) => Aggregate::SortsLast(first),
            _ => return Err(wrong(&self.scanner)),
        };
        if arguments.next().is_some() { Err(wrong(&self.scanner)) } else { Ok(aggregate) }
    }
}

fn is_aggregate(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "count",
        "count_distinct",
        "sum",
        "avg",
        "median",
        "min",
        "max",
        "stddev",
        "pct",
        "percentile",
        "earliest",
        "latest",
        "sortsFirst",
        "sortsLast",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn one_or(mut several: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match several.pop() {
        Some(only) if several.is_empty() => only,
        Some(last) => {
            several.push(last);
            join(several)
        }
        None => join(several),
    }
}

/// Each `*` stands for as little as possible, the last one at the end for all the rest.
fn of_glob(glob: &str) -> std::result::Result<Regex, String> {
    let pieces: Vec<String> = glob.split('*').map(regex::escape).collect();
    let mut expression = format!("(?s){}", pieces.join("(.*?)"));
    if glob.ends_with('*') {
        expression.truncate(expression.len() - "(.*?)".len());
        expression.push_str("(.*)");
    }
    Regex::new(&expression).map_err(|error| error.to_string())
}
