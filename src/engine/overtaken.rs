//! A server may stand still between two moments of its own: a stopped process, a suspended machine, a store whose answer took minutes.
//! Meanwhile others go on: a replica takes the incident over and looks at what was done, a human halts everything. So an action is looked
//! at once more where it begins, and no step of it is taken when its time is over. What is left is a pause exactly between that look and
//! the system call behind it (docs/limits.md).

use super::{Engine, facts};
use crate::store::Claim;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

impl Engine {
    /// Why what was judged a moment ago is not begun any more; none: it may begin. What cannot be looked at stands in the way.
    pub(super) async fn overtaken(&self, claim: &Claim, judged_by: Option<i64>) -> Option<String> {
        match self.parts.store.overtaken(claim, judged_by).await {
            Ok(Some(said)) => return Some(said.to_owned()),
            Ok(None) => {}
            Err(e) => return Some(format!("the store does not say whether it still may: {e}")),
        }
        if self.now() >= claim.until() {
            return Some(format!("it was to begin before {}", claim.until().format("%H:%M:%SZ")));
        }
        facts::halted_here(&self.parts.store, &self.parts.halt_file).into_iter().next()
    }

    /// Takes the steps of a tool for so long at the most, and none when somebody else may have taken the incident over. The time is read
    /// before each step: a timer alone would be noticed after the step that a pause was in front of.
    pub(super) async fn in_time<T>(&self, claim: Option<&Claim>, most: Duration, run: impl Future<Output = T>) -> Result<T, String> {
        let begun = Instant::now();
        let mut run = pin!(run);
        let mut timer = pin!(tokio::time::sleep(most));
        std::future::poll_fn(|context| {
            let over = timer.as_mut().poll(context).is_ready() || begun.elapsed() >= most;
            if over || claim.is_some_and(|claim| self.now() >= claim.until()) {
                return Poll::Ready(Err(format!("no answer within {} s", begun.elapsed().min(most).as_secs())));
            }
            run.as_mut().poll(context).map(Ok)
        })
        .await
    }
}
