//! Changes of the rule table by people: the files as they are, an edit of them, what it would change, and
//! the versions before it. The command line and the console share it.
//!
//! A change is made in this order: [`RuleFiles::read`], a [`ChangePlan`] of the files to write, [`check`] of the
//! table that would result, [`replay_calls`] with it, and [`carry_out`], which stores the files before the
//! change and then replaces them.

mod check;
mod diff;
mod files;
mod grid;
mod plan;
mod replay;
mod versions;
mod write;

pub use check::{CheckedPlan, Mistake, TableNames, TextRange, check};
pub use diff::{DiffLine, FileDiff, Hunk, diff};
pub(crate) use files::is_below;
pub use files::{RuleFile, RuleFileKind, RuleFiles};
pub use grid::{Grid, GridRow, NotAGrid};
pub use plan::{ChangePlan, Edit, EditError, EditProblem};
pub use replay::{ReplayLimits, ReplayedCalls, Stopped, replay_calls};
pub use versions::{Author, CarryOutError, NotKept, Versions, carry_out, store_of};
pub use write::{WriteError, check_writable};
