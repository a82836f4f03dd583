//! Which tools there are, compiled in: one that nobody knows is denied, one that only reads changes nothing, a question is put to a
//! human. The boundary table itself (what is done, asked, never done) ships as policies, `config/policies/boundary.cedar`; without
//! those nothing is permitted, so no file that is missing or wiped widens anything.

use crate::domain::{Action, Effect, Layer, Opinion, Verdict};

/// Every tool there is or may be; what is forbidden to everybody is the floor's list.
pub const KNOWN: [&str; 16] = [
    "get_service_logs",
    "get_metrics",
    "check_system_resources",
    "check_service_status",
    "get_alerts",
    "run_diagnosis_command",
    "send_notification",
    "restart_service",
    "clean_disk_space",
    "scale_service",
    "restart_connection_pool",
    "restart_consumers",
    "request_human_confirmation",
    "update_config",
    "rollback_deployment",
    "apply_network_block",
];

/// The one tool that runs commands.
const COMMANDS: &str = "run_diagnosis_command";

pub fn is_known(tool: &str) -> bool {
    KNOWN.contains(&tool)
}

/// Tools that read, tell or ask. None of them can carry an effect.
pub fn changes_nothing(tool: &str) -> bool {
    tool.starts_with("get_") || tool.starts_with("check_") || matches!(tool, "send_notification" | "request_human_confirmation")
}

pub fn judge(action: &Action) -> Opinion {
    let tool = &action.tool;
    let of = |verdict, reason: String| Opinion::new(Layer::Boundary, verdict, reason);
    if !is_known(tool) {
        return of(Verdict::Deny, format!("{tool} is not a tool that anybody knows"));
    }
    if action.effect.changes_something() && changes_nothing(tool) {
        return of(Verdict::Deny, format!("{tool} changes nothing, and this would"));
    }
    if matches!(action.effect, Effect::Command { .. }) != (tool == COMMANDS) {
        return of(Verdict::Deny, format!("commands are run by {COMMANDS}, and nothing else is"));
    }
    // The question is put to a human by its very nature.
    if action.effect == Effect::Question || tool == "request_human_confirmation" {
        return of(Verdict::Confirm, format!("{tool} is a human's to confirm"));
    }
    of(Verdict::Allow, format!("{tool} is known"))
}
