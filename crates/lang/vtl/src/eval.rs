//! Renders a template: Velocity's evaluation with a bound on everything.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use regex::Regex;

use crate::ast::{
    Argument, Block, Defined, Escape, Expr, Macro, Macros, Node, Operator, Reference, Step,
};
use crate::scope::{Limits, RenderError, Scope};
use crate::value::{DefinedValue, List, Map, Value};
use crate::{Template, math, methods, parse, strings};

/// How deep blocks may render inside each other (macros, defines, strings).
const RENDER_DEPTH_MAX: usize = 100;
/// A `#define` may render itself this often (directive.define.maxdepth).
const DEFINE_DEPTH_MAX: usize = 2;
/// Longest list that `[a..b]` makes.
const RANGE_MAX: i128 = 100_000;
/// How many regular expressions one rendering keeps compiled.
const REGEX_CACHE_MAX: usize = 64;

/// What ends a block early.
enum Exit {
    Stop,
    Break,
    Failed(RenderError),
}

type Flow = Result<(), Exit>;
type Eval = Result<Value, Exit>;

fn failed<T>(message: impl Into<String>) -> Result<T, Exit> {
    Err(Exit::Failed(RenderError(message.into())))
}

pub(crate) fn render(
    template: &Template,
    scope: &mut Scope,
    limits: &Limits,
) -> Result<String, RenderError> {
    let mut run = Run {
        macros: template.macros.clone(),
        scope,
        limits,
        steps: 0,
        text_bytes: 0,
        depth: 0,
        frames: Vec::new(),
        top: None,
        regexes: RefCell::default(),
    };
    let mut out = String::new();
    match run.block(&template.root, &mut out) {
        Ok(()) | Err(Exit::Stop | Exit::Break) => Ok(out),
        Err(Exit::Failed(error)) => Err(error),
    }
}

/// A macro being rendered: its arguments are evaluated by name, where it was called.
struct Frame {
    arguments: HashMap<String, Bound>,
    /// The frame in which the arguments are evaluated.
    caller: Option<usize>,
}

#[derive(Clone)]
enum Bound {
    Expr(Arc<Expr>),
    Body(Arc<Block>),
    Value(Value),
}

struct Run<'a> {
    macros: Macros,
    scope: &'a mut Scope,
    limits: &'a Limits,
    steps: u64,
    text_bytes: usize,
    depth: usize,
    frames: Vec<Frame>,
    /// The frame that names are looked up in.
    top: Option<usize>,
    regexes: RefCell<HashMap<Rc<str>, Rc<Regex>>>,
}

impl Run<'_> {
    fn step(&mut self, out_bytes: usize) -> Flow {
        self.steps += 1;
        if self.steps > self.limits.steps_max {
            return failed("the template takes too many steps");
        }
        if out_bytes > self.limits.output_bytes_max {
            return failed("the template's output is too large");
        }
        Ok(())
    }

    /// Counts the text that a value made.
    fn made(&mut self, value: Value) -> Eval {
        if let Value::Text(text) = &value {
            self.text_bytes += text.len();
            if self.text_bytes > self.limits.text_bytes_max {
                return failed("the template makes too much text");
            }
        }
        Ok(value)
    }

    fn block(&mut self, block: &Block, out: &mut String) -> Flow {
        self.depth += 1;
        if self.depth > RENDER_DEPTH_MAX {
            return failed("the template's blocks are nested too deep");
        }
        for node in block {
            self.step(out.len())?;
            self.node(node, out)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn node(&mut self, node: &Node, out: &mut String) -> Flow {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Reference { reference, escape } => self.print(reference, escape, out)?,
            Node::Set { target, value } => {
                let value = self.value(value)?;
                if !value.is_null() {
                    self.assign(target, value)?;
                }
            }
            Node::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.truth(condition)? {
                        return self.nested(body, out);
                    }
                }
                return self.nested(otherwise, out);
            }
            Node::Foreach { variable, items, body } => {
                return self.foreach(variable, items, body, out);
            }
            Node::Define { name, body } => {
                let defined = Defined { body: body.clone(), depth: Rc::new(Cell::new(0)) };
                self.scope.set(name, Value::Defined(DefinedValue(defined)));
            }
            Node::Call { name, arguments, body, source } => {
                return self.call(name, arguments, body.as_ref(), source, out);
            }
            Node::Evaluate(source) => {
                let source = self.value(source)?;
                let depth = self.depth;
                match Template::parse(&source.to_string()) {
                    Ok(template) => self.block(&template.root, out)?,
                    Err(error) => return failed(error.to_string()),
                }
                self.depth = depth;
            }
            Node::Stop => return Err(Exit::Stop),
            Node::Break(None) => return Err(Exit::Break),
            Node::Break(Some(scope)) => {
                return match self.value(scope)? {
                    Value::Map(_) => Err(Exit::Break),
                    _ => failed("#break takes a scope"),
                };
            }
        }
        Ok(())
    }

    /// A block whose early end leaves the depth as it was.
    fn nested(&mut self, block: &Block, out: &mut String) -> Flow {
        let depth = self.depth;
        let result = self.block(block, out);
        self.depth = depth;
        result
    }

    fn print(&mut self, reference: &Reference, escape: &Escape, out: &mut String) -> Flow {
        let value = self.reference(reference)?;
        out.push_str(&"\\".repeat(escape.slashes));
        match (&escape.source, value) {
            (Some(source), _) => out.push_str(source),
            (None, Value::Defined(DefinedValue(defined))) => self.defined(&defined, out)?,
            (None, Value::Text(text)) => out.push_str(&text),
            (None, value) => out.push_str(&value.to_string()),
        }
        Ok(())
    }

    fn defined(&mut self, defined: &Defined, out: &mut String) -> Flow {
        if defined.depth.get() >= DEFINE_DEPTH_MAX {
            return Ok(());
        }
        defined.depth.set(defined.depth.get() + 1);
        let result = self.nested(&defined.body, out);
        defined.depth.set(defined.depth.get() - 1);
        match result {
            Err(Exit::Break) => Ok(()),
            other => other,
        }
    }

    fn foreach(&mut self, variable: &str, items: &Expr, body: &Block, out: &mut String) -> Flow {
        let Some(items) = methods::iterate(&self.value(items)?) else { return Ok(()) };
        let names = [variable, "foreach", "velocityCount", "velocityHasNext"];
        let saved = names.map(|name| self.scope.get(name).cloned());
        let control = Map::new(indexmap::IndexMap::new());
        if let Some(Value::Map(parent)) = &saved[1] {
            control.put("parent", Value::Map(parent.clone()));
            control.put("topmost", parent.get("topmost").unwrap_or_default());
        } else {
            control.put("topmost", Value::Map(control.clone()));
        }
        self.scope.set("foreach", Value::Map(control.clone()));
        let count = items.len();
        let mut result = Ok(());
        for (index, item) in items.into_iter().take(self.limits.loop_turns_max).enumerate() {
            let has_next = Value::Bool(index + 1 < count);
            control.put("index", index.into());
            control.put("count", (index + 1).into());
            control.put("hasNext", has_next.clone());
            control.put("first", Value::Bool(index == 0));
            control.put("last", Value::Bool(index + 1 == count));
            self.scope.set("velocityCount", (index + 1).into());
            self.scope.set("velocityHasNext", has_next);
            self.scope.set(variable, item);
            match self.nested(body, out) {
                Ok(()) => {}
                Err(Exit::Break) => break,
                Err(other) => {
                    result = Err(other);
                    break;
                }
            }
        }
        // The topmost scope names itself: let go of it.
        control.entries.borrow_mut().clear();
        for (name, value) in names.into_iter().zip(saved) {
            match value {
                Some(value) => self.scope.set(name, value),
                None => {
                    self.scope.variables.remove(name);
                }
            }
        }
        result
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[Argument],
        body: Option<&Arc<Block>>,
        source: &str,
        out: &mut String,
    ) -> Flow {
        let Some(called) = self.macros.get(name).cloned() else {
            out.push_str(source);
            if let Some(body) = body {
                self.nested(body, out)?;
                out.push_str("#end");
            }
            return Ok(());
        };
        if self.frames.len() >= self.limits.macro_depth_max {
            return failed(format!("macro #{name} is called too deep"));
        }
        let mut bound = self.bind(&called, arguments)?;
        if let Some(body) = body {
            bound.insert("bodyContent".to_owned(), Bound::Body(body.clone()));
        }
        self.frames.push(Frame { arguments: bound, caller: self.top });
        let caller = self.top.replace(self.frames.len() - 1);
        let result = self.nested(&called.body, out);
        self.top = caller;
        self.frames.pop();
        match result {
            Err(Exit::Break) => Ok(()),
            other => other,
        }
    }

    fn bind(&self, called: &Macro, arguments: &[Argument]) -> Result<HashMap<String, Bound>, Exit> {
        let mut bound = HashMap::new();
        for (parameter, argument) in called.parameters.iter().zip(arguments) {
            let Argument::Expr(expr) = argument else {
                return failed("a word is no argument of a macro");
            };
            bound.insert(parameter.clone(), Bound::Expr(expr.clone()));
        }
        Ok(bound)
    }

    /// Does something as seen from the caller of frame `at`.
    fn in_caller<T>(&mut self, at: usize, act: impl FnOnce(&mut Self) -> T) -> T {
        let caller = self.frames[at].caller;
        let top = std::mem::replace(&mut self.top, caller);
        let result = act(self);
        self.top = top;
        result
    }

    /// The frame that binds `name`, seen from here.
    fn bound(&self, name: &str) -> Option<(usize, Bound)> {
        let mut at = self.top;
        while let Some(index) = at {
            if let Some(bound) = self.frames[index].arguments.get(name) {
                return Some((index, bound.clone()));
            }
            at = self.frames[index].caller;
        }
        None
    }

    fn variable(&mut self, name: &str) -> Eval {
        match self.bound(name) {
            Some((at, Bound::Expr(expr))) => self.in_caller(at, |run| run.value(&expr)),
            Some((_, Bound::Body(body))) => {
                let depth = Rc::new(Cell::new(0));
                Ok(Value::Defined(DefinedValue(Defined { body, depth })))
            }
            Some((_, Bound::Value(value))) => Ok(value),
            None => Ok(self.scope.get(name).cloned().unwrap_or_default()),
        }
    }

    /// A reference's value; the empty string if it has none.
    fn reference(&mut self, reference: &Reference) -> Eval {
        let value = self.follow(&reference.root, &reference.steps)?;
        Ok(if value.is_null() { Value::text("") } else { value })
    }

    fn follow(&mut self, root: &str, steps: &[Step]) -> Eval {
        let mut value = self.variable(root)?;
        for step in steps {
            if value.is_null() {
                return Ok(value);
            }
            self.step(0)?;
            value = match step {
                Step::Property(name) => methods::property(&value, name),
                Step::Method(name, arguments) => {
                    let arguments = self.values(arguments)?;
                    let context = methods::Context { regex: &|pattern| self.regex(pattern) };
                    match methods::call(&context, &value, name, &arguments) {
                        Ok(value) => self.made(value)?,
                        Err(message) => return failed(message),
                    }
                }
                Step::Index(index) => {
                    let index = self.value(index)?;
                    match methods::index(&value, &index) {
                        Ok(value) => value,
                        Err(message) => return failed(message),
                    }
                }
            };
        }
        Ok(value)
    }

    fn regex(&self, pattern: &str) -> Result<Rc<Regex>, String> {
        if let Some(known) = self.regexes.borrow().get(pattern) {
            return Ok(known.clone());
        }
        let compiled = strings::regex(pattern)?;
        let mut known = self.regexes.borrow_mut();
        if known.len() >= REGEX_CACHE_MAX {
            known.clear();
        }
        known.insert(pattern.into(), compiled.clone());
        Ok(compiled)
    }

    fn assign(&mut self, target: &Reference, value: Value) -> Flow {
        let Some((before, last)) = parse::split_last(target) else {
            return self.assign_variable(&target.root, value);
        };
        let holder = self.follow(&target.root, before)?;
        let key = match last {
            Step::Property(name) => Value::Text((&**name).into()),
            Step::Index(index) => self.value(index)?,
            Step::Method(..) => return failed("#set cannot assign to a method call"),
        };
        methods::put(&holder, &key, value).map_err(|message| Exit::Failed(RenderError(message)))
    }

    /// A macro's parameter that is set is the macro's own from then on.
    fn assign_variable(&mut self, name: &str, value: Value) -> Flow {
        if let Some((at, _)) = self.bound(name) {
            self.frames[at].arguments.insert(name.to_owned(), Bound::Value(value));
        } else {
            self.scope.set(name, value);
        }
        Ok(())
    }

    fn values(&mut self, exprs: &[Expr]) -> Result<Vec<Value>, Exit> {
        exprs.iter().map(|expr| self.value(expr)).collect()
    }

    fn value(&mut self, expr: &Expr) -> Eval {
        self.step(0)?;
        Ok(match expr {
            Expr::Int(int) => Value::Int(*int),
            Expr::Double(double) => Value::Double(*double),
            Expr::Bool(bool) => Value::Bool(*bool),
            Expr::Text(text) => Value::Text((&**text).into()),
            Expr::Interpolated(block) => {
                let mut text = String::new();
                self.nested(block, &mut text)?;
                self.made(text.into())?
            }
            Expr::Reference(reference) => self.reference(reference)?,
            Expr::List(items) => Value::List(List::new(self.values(items)?)),
            Expr::Range(from, to) => self.range(from, to)?,
            Expr::Map(entries) => {
                let mut map = indexmap::IndexMap::new();
                for (key, value) in entries {
                    let key = self.value(key)?.key();
                    map.insert(key, self.value(value)?);
                }
                Value::Map(Map::new(map))
            }
            Expr::Binary(operator, left, right) if is_math(*operator) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.made(math::calculate(*operator, &left, &right).unwrap_or_default())?
            }
            Expr::Not(_) | Expr::Binary(..) => Value::Bool(self.truth(expr)?),
        })
    }

    fn range(&mut self, from: &Expr, to: &Expr) -> Eval {
        let (Value::Int(from), Value::Int(to)) = (self.value(from)?, self.value(to)?) else {
            return Ok(Value::Null);
        };
        if from.abs_diff(to) >= RANGE_MAX.unsigned_abs() {
            return failed("a range is too long");
        }
        let items: Vec<Value> = if from <= to {
            (from..=to).map(Value::Int).collect()
        } else {
            (to..=from).rev().map(Value::Int).collect()
        };
        self.steps += items.len() as u64;
        Ok(Value::List(List::new(items)))
    }

    /// A condition. Of the values only true is true, of the references all that are not false
    /// (nothing is null here), and literals are false.
    fn truth(&mut self, expr: &Expr) -> Result<bool, Exit> {
        self.step(0)?;
        Ok(match expr {
            Expr::Bool(value) => *value,
            Expr::Reference(reference) => !matches!(self.reference(reference)?, Value::Bool(false)),
            Expr::Not(inner) => !self.truth(inner)?,
            Expr::Binary(Operator::Or, left, right) => self.truth(left)? || self.truth(right)?,
            Expr::Binary(Operator::And, left, right) => self.truth(left)? && self.truth(right)?,
            Expr::Binary(operator, left, right) if !is_math(*operator) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                match operator {
                    Operator::Equal => math::equal(&left, &right),
                    Operator::NotEqual => !math::equal(&left, &right),
                    other => math::compare(*other, &left, &right),
                }
            }
            _ => false,
        })
    }
}

fn is_math(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Modulo
    )
}
