//! `ProjectionExpression` and `AttributesToGet`: which parts of an item are returned.

use crate::lex::Lexer;
use crate::parse::Parser;
use crate::path::{Path, Step, clash_of};
use crate::placeholders::Placeholders;
use crate::tree::RawPath;
use crate::value::{Item, Value};
use crate::{Invalid, Parameter};

/// Paths of which none is part of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection(Vec<Path>);

impl Projection {
    pub fn parse(text: &str, placeholders: &Placeholders) -> Result<Projection, Invalid> {
        let parameter = Parameter::Projection;
        let mut parser = Parser::new(Lexer::new(parameter, text)?, &[]);
        let mut raw = vec![parser.path()?];
        while parser.lexer.take_symbol(",") {
            raw.push(parser.path()?);
        }
        parser.lexer.expect_end()?;
        let invalid = |error| parameter.invalid(error);
        raw.iter().try_for_each(RawPath::check).map_err(invalid)?;
        let paths = raw
            .iter()
            .map(|path| path.resolve(placeholders))
            .collect::<Result<Vec<_>, _>>()
            .map_err(invalid)?;
        match clash_of(paths.iter()) {
            Some(clash) => Err(parameter.invalid(clash)),
            None => Ok(Projection(paths)),
        }
    }

    /// Names as they are, not parsed: dots are part of the name.
    pub fn of_names(names: impl IntoIterator<Item = String>) -> Projection {
        Projection(names.into_iter().map(Path::top).collect())
    }

    /// Paths that do not overlap, e.g. those an update touched.
    pub fn of_paths(paths: Vec<Path>) -> Projection {
        Projection(paths)
    }

    pub fn paths(&self) -> &[Path] {
        &self.0
    }

    /// The parts of `item`, in the structure they have there; list members close up.
    pub fn apply(&self, item: &Item) -> Item {
        let mut tree = Tree::default();
        for path in &self.0 {
            if path.find(item).is_some() {
                tree.add(path);
            }
        }
        let mut out = Item::new();
        for (head, branch) in tree.0 {
            if let (Step::Name(name), Some(value)) = (&head, find_step(item, &head)) {
                out.insert(name.clone(), branch.cut(value));
            }
        }
        out
    }
}

fn find_step<'a>(item: &'a Item, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Name(name) => item.get(name),
        Step::Index(_) => None,
    }
}

/// Wanted steps, sorted; an empty tree wants everything below.
#[derive(Default)]
struct Tree(std::collections::BTreeMap<Step, Tree>);

impl Tree {
    fn add(&mut self, path: &Path) {
        let head = Step::Name(path.head.clone());
        let mut at = self.0.entry(head).or_default();
        for step in &path.tail {
            at = at.0.entry(step.clone()).or_default();
        }
    }

    fn cut(&self, value: &Value) -> Value {
        if self.0.is_empty() {
            return value.clone();
        }
        match value {
            Value::M(map) => Value::M(
                self.0
                    .iter()
                    .filter_map(|(step, tree)| match step {
                        Step::Name(name) => Some((name.clone(), tree.cut(map.get(name)?))),
                        Step::Index(_) => None,
                    })
                    .collect(),
            ),
            Value::L(list) => Value::L(
                self.0
                    .iter()
                    .filter_map(|(step, tree)| match step {
                        Step::Index(index) => Some(tree.cut(list.get(*index)?)),
                        Step::Name(_) => None,
                    })
                    .collect(),
            ),
            other => other.clone(),
        }
    }
}
