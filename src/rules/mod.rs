//! Listener rules: conditions over the normalised request, by priority, with a default (ALB: Listener rules).

mod condition;
mod expression;
mod index;
mod table;
mod wildcard;

pub use condition::{Condition, QueryPair};
pub use expression::{ExpressionError, expression};
pub use table::{AmbiguousPath, Rule, RuleTable, Tried};
pub use wildcard::{Case, Wildcard, WildcardError};
