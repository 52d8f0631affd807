//! Policies in CEL (Common Expression Language, cel-spec): parsed by the `cel` crate, checked and evaluated here
//! (docs/decisions/0006-own-evaluation-of-policies.md says why).

mod compiler;
mod evaluation;
mod failure;
mod functions;
mod kind;
mod node;
mod value;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use failure::Failure;

use super::Facts;
use compiler::Compiler;
use evaluation::Evaluation;
use node::Node;

/// A policy that has been compiled. Bounded in depth, in steps and in what its patterns may cost.
#[derive(Debug)]
pub struct Expression {
    root: Node,
    source: Box<str>,
    claims: Vec<Box<str>>,
    headers: Vec<Named>,
    reads_path: bool,
}

/// What is wrong with an expression, and where: in characters from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionFault {
    pub message: String,
    pub hint: Option<String>,
    pub at: usize,
    pub length: usize,
}

/// A name that stands in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: Box<str>,
    pub at: usize,
    pub length: usize,
}

impl Expression {
    /// Finds unknown names, functions that do not exist, and kinds that do not go together, all at once.
    pub fn compile(source: &str) -> Result<Self, Vec<ExpressionFault>> {
        let fault = |message: &str| vec![ExpressionFault { message: message.to_owned(), hint: None, at: 0, length: 1 }];
        if source.chars().count() > MAX_CHARACTERS {
            return Err(fault(&format!("the expression has more than {MAX_CHARACTERS} characters")));
        }
        if source.trim().is_empty() {
            return Err(fault("the expression is empty"));
        }
        if source.chars().filter(|char| matches!(char, '(' | '[' | '{')).count() > MAX_BRACKETS {
            return Err(fault(&format!("the expression has more than {MAX_BRACKETS} brackets")));
        }
        // The parser takes up to 130 KiB of stack for each bracket, more than a thread of ours has: it gets one of its own. If it
        // panics, that is a fault of the expression.
        std::thread::scope(|scope| {
            let parser = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || parse(source));
            parser.ok().and_then(|parser| parser.join().ok()).unwrap_or_else(|| Err(fault("the expression cannot be read")))
        })
    }

    /// What it says of one request. An ambiguous path (docs/decisions/0004) is asked about in both of its readings, and both have to
    /// hold: the application may take either.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, Failure> {
        let target = facts.request.target;
        let holds = self.evaluate(Some(facts), target.path())?;
        match target.second_reading() {
            Some(other) if holds && self.reads_path => self.evaluate(Some(facts), other),
            _ => Ok(holds),
        }
    }

    /// The answer, if it is the same for every request.
    #[must_use]
    pub fn constant(&self) -> Option<bool> {
        self.evaluate(None, "").ok()
    }

    fn evaluate<'v>(&'v self, facts: Option<&'v Facts<'v>>, path: &'v str) -> Result<bool, Failure> {
        // A panic costs this request and is a refusal.
        let evaluated = catch_unwind(AssertUnwindSafe(|| Evaluation::new(facts, path, &self.claims).evaluate(&self.root)?.truth()));
        evaluated.unwrap_or(Err(Failure::Panic))
    }

    /// As it stands in the configuration.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Headers that it reads.
    #[must_use]
    pub fn headers(&self) -> &[Named] {
        &self.headers
    }
}

/// Without macros the tree is what stands in the file, so that every fault has its place.
fn parse(source: &str) -> Result<Expression, Vec<ExpressionFault>> {
    let parser = cel::Env::default().with_optional_support(false).parser();
    let (tree, info) = parser
        .parse_with_source_info(source)
        .map_err(|errors| errors.errors.iter().map(|error| syntax_fault(source, error)).collect::<Vec<_>>())?;
    let mut compiler = Compiler::new(&info);
    let root = compiler.root(&tree);
    let Compiler { faults, claims, headers, reads_path, .. } = compiler;
    match root {
        Some(root) if faults.is_empty() => Ok(Expression { root, source: source.into(), claims, headers, reads_path }),
        _ => Err(faults),
    }
}

fn syntax_fault(source: &str, error: &cel::ParseError) -> ExpressionFault {
    let line = usize::try_from(error.pos.0).unwrap_or(1).max(1);
    let column = usize::try_from(error.pos.1).unwrap_or(1).max(1);
    let before: usize = source.split_inclusive('\n').take(line - 1).map(|line| line.chars().count()).sum();
    let message = error.msg.trim_start_matches("Syntax error: ");
    let message = match message.split(" expecting ").next().unwrap_or(message) {
        "mismatched input '<EOF>'" => "it ends too early".to_owned(),
        message => message.replace("mismatched input", "unexpected").replace("token recognition error at:", "unexpected"),
    };
    ExpressionFault { message: format!("not CEL: {message}"), hint: None, at: before + column - 1, length: 1 }
}

const MAX_CHARACTERS: usize = 4096;
const MAX_BRACKETS: usize = 256;
/// Reserved, not used, unless an expression needs it.
const STACK_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
