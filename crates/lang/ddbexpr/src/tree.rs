//! What was written, before names are resolved and types checked. AWS reports the first error by
//! kind, not by place, so the whole text is parsed before anything is looked up.

use crate::path::{Path, Step};
use crate::placeholders::Placeholders;
use crate::reserved::is_reserved;
use crate::{Invalid, Parameter, limits};

#[derive(Clone, Debug)]
pub(crate) struct RawPath(pub(crate) Vec<RawStep>);

#[derive(Clone, Debug)]
pub(crate) enum RawStep {
    Name(String),
    Placeholder(String),
    Index(String),
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Path(RawPath),
    Value(String),
    Call(Call),
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Operand>,
}

impl RawPath {
    /// What is wrong with the text alone.
    pub(crate) fn check(&self) -> Result<(), String> {
        for step in &self.0 {
            match step {
                RawStep::Name(name) if is_reserved(name) => {
                    return Err(format!(
                        "Attribute name is a reserved keyword; reserved keyword: {name}"
                    ));
                }
                RawStep::Index(index) if index.len() > 10 || index_of(index).is_none() => {
                    return Err(format!(
                        "List index is not within the allowable range; index: [{index}]"
                    ));
                }
                _ => {}
            }
        }
        if self.0.len() > limits::PATH_DEPTH_MAX {
            return Err(format!(
                "The document path has too many nesting levels; nesting levels: {}",
                self.0.len()
            ));
        }
        Ok(())
    }

    pub(crate) fn resolve(&self, placeholders: &Placeholders) -> Result<Path, String> {
        let mut steps = self.0.iter().map(|step| match step {
            RawStep::Name(name) => Ok(Step::Name(name.clone())),
            RawStep::Index(index) => Ok(Step::Index(index_of(index).unwrap_or(usize::MAX))),
            RawStep::Placeholder(name) => placeholders
                .name(name)
                .map(|target| Step::Name(target.to_owned()))
                .ok_or_else(|| undefined_name(name)),
        });
        let head = match steps.next() {
            Some(Ok(Step::Name(name))) => name,
            Some(Err(error)) => return Err(error),
            // The grammar lets no path begin with an index.
            Some(Ok(Step::Index(_))) | None => String::new(),
        };
        let tail = steps.collect::<Result<_, _>>()?;
        Ok(Path { head, tail })
    }
}

fn index_of(index: &str) -> Option<usize> {
    index.parse::<i32>().ok().and_then(|index| usize::try_from(index).ok())
}

pub(crate) fn undefined_name(name: &str) -> String {
    format!(
        "An expression attribute name used in the document path is not defined; attribute name: \
         {name}"
    )
}

pub(crate) fn undefined_value(name: &str) -> String {
    format!(
        "An expression attribute value used in expression is not defined; attribute value: {name}"
    )
}

const UPDATE_FUNCTIONS: [&str; 2] = ["if_not_exists", "list_append"];
const CONDITION_FUNCTIONS: [&str; 6] = [
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
];

impl Operand {
    /// Itself and all operands inside, outer first.
    pub(crate) fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Operand)) {
        see(self);
        if let Operand::Call(call) = self {
            call.arguments.iter().for_each(|argument| argument.visit(see));
        }
    }
}

/// Calls of functions that are no functions, or not of this language, in the order written.
pub(crate) fn check_functions<'a>(
    parameter: Parameter,
    operands: impl Iterator<Item = &'a Operand>,
) -> Result<(), Invalid> {
    let (allowed, other, language): (&[&str], &[&str], _) = match parameter {
        Parameter::Update => (&UPDATE_FUNCTIONS, &CONDITION_FUNCTIONS, "an update expression"),
        _ => (&CONDITION_FUNCTIONS, &UPDATE_FUNCTIONS, "a condition expression"),
    };
    let mut error = None;
    for operand in operands {
        operand.visit(&mut |operand| {
            let Operand::Call(Call { name, .. }) = operand else { return };
            if error.is_some() || allowed.contains(&name.as_str()) {
                return;
            }
            error = Some(if other.contains(&name.as_str()) {
                format!("The function is not allowed in {language}; function: {name}")
            } else {
                format!("Invalid function name; function: {name}")
            });
        });
    }
    error.map_or(Ok(()), |error| Err(parameter.invalid(error)))
}

/// Reserved words and impossible paths, in the order written.
pub(crate) fn check_paths<'a>(
    parameter: Parameter,
    operands: impl Iterator<Item = &'a Operand>,
) -> Result<(), Invalid> {
    let mut error = None;
    for operand in operands {
        operand.visit(&mut |operand| {
            if let (Operand::Path(path), None) = (operand, &error) {
                error = path.check().err();
            }
        });
    }
    error.map_or(Ok(()), |error| Err(parameter.invalid(error)))
}

pub(crate) fn misused(function: &str) -> String {
    format!(
        "The function is not allowed to be used this way in an expression; function: {function}"
    )
}

pub(crate) fn wrong_count(function: &str, count: usize) -> String {
    format!(
        "Incorrect number of operands for operator or function; operator or function: {function}, \
         number of operands: {count}"
    )
}

pub(crate) fn wrong_type(operator: &str, kind: &str) -> String {
    format!(
        "Incorrect operand type for operator or function; operator or function: {operator}, \
         operand type: {kind}"
    )
}

pub(crate) fn needs_path(function: &str) -> String {
    format!("Operator or function requires a document path; operator or function: {function}")
}
