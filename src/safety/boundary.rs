//! The boundary table: each tool's verdict when nothing else speaks. A tool that is not in it is denied.
//!
//! | operation | verdict | why |
//! |---|---|---|
//! | restart a single service | allow | low risk, easily undone |
//! | clean logs older than 7 days | allow | recoverable |
//! | scale up by 2 at most | allow | bounded |
//! | restart a connection pool | allow | no data touched |
//! | change a proxy's configuration | confirm | all traffic |
//! | roll back a deployment | confirm | may change behaviour |
//! | delete any data | deny | cannot be undone |
//! | database failover | deny | high risk |
//! | change security policies | deny | security |

use crate::domain::{Action, Layer, Opinion, Verdict};

pub fn default_verdict(tool: &str) -> Verdict {
    match tool {
        "get_service_logs" | "get_metrics" | "check_system_resources" | "check_service_status" | "get_alerts" => Verdict::Allow,
        "send_notification" => Verdict::Allow,
        "restart_service" | "clean_disk_space" | "scale_service" | "restart_connection_pool" | "restart_consumers" => Verdict::Allow,
        // The question is put to a human by its very nature.
        "request_human_confirmation" => Verdict::Confirm,
        "update_config" | "rollback_deployment" | "apply_network_block" => Verdict::Confirm,
        _ => Verdict::Deny,
    }
}

/// Tools that read, tell or ask. None of them can carry an effect.
fn changes_nothing(tool: &str) -> bool {
    tool.starts_with("get_") || tool.starts_with("check_") || matches!(tool, "send_notification" | "request_human_confirmation")
}

pub fn judge(action: &Action) -> Opinion {
    if action.effect.changes_something() && changes_nothing(&action.tool) {
        return Opinion::new(Layer::Boundary, Verdict::Deny, format!("{} changes nothing, and this would", action.tool));
    }
    let verdict = default_verdict(&action.tool);
    let reason = match verdict {
        Verdict::Allow => format!("{} is bounded", action.tool),
        Verdict::Confirm => format!("{} is a human's to confirm", action.tool),
        Verdict::Deny => format!("{} is not in the boundary table", action.tool),
    };
    Opinion::new(Layer::Boundary, verdict, reason)
}
