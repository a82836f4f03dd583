//! `paramedic check`: the whole configuration, without starting anything.

use super::Files;
use std::process::ExitCode;

pub fn run(files: &Files) -> anyhow::Result<ExitCode> {
    let config = match files.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    for warning in &config.warnings {
        println!("warning: {warning}");
    }
    let (services, hosts) = (config.inventory.services().count(), config.inventory.hosts().count());
    let planners = match (&config.llm, config.settings.first) {
        (None, _) => "runbooks alone".to_owned(),
        (Some(llm), first) => format!("{first} first, model {}", llm.model),
    };
    println!("{}: ok", files.config.display());
    println!("  listens on {}, mode {}, {planners}", config.listen, config.settings.mode);
    println!("  {} rules, {} runbooks, {services} services on {hosts} hosts", config.rules.count(), config.runbooks.len());
    let policies = &config.policies;
    println!("  {} policies, version {}", policies.count(), policies.version().short());
    let rules: String = crate::app::policy_version(&config)?.chars().take(16).collect();
    println!("  approvals are bound to these policies, bounds, thresholds, hours and rules of consent together: version {rules}");
    Ok(ExitCode::SUCCESS)
}
