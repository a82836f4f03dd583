//! An action, judged as it would be now: every layer's opinion, the policy that decides with its file and line, risk and impact.

use crate::app::own_ground;
use crate::cli::{EX_USAGE, Files, say, table};
use crate::config::Config;
use crate::domain::{
    Action, Clock as _, Facts, HostName, InForce, IncidentId, Layer, Level, Opinion, Proposal, Proposer, ServiceName, SystemClock, Target,
    Time, Trust, Verdict,
};
use crate::engine::{facts, halt_file};
use crate::safety::{Consent, SafetyChecker, Situation, Usage, needed};
use crate::store::{Store, shown};
use crate::tools::{self, About, Tool};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ActionArgs {
    /// The tool, such as restart_service.
    #[arg(long, required_unless_present = "command")]
    tool: Option<String>,
    /// The service that the incident is about.
    #[arg(long)]
    service: Option<String>,
    /// The host that the incident is about.
    #[arg(long)]
    host: Option<String>,
    /// The tool's arguments as a JSON object; service, host and reason are filled in where it has such.
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// One argument: `--arg add=1`. A value that is no JSON is a text.
    #[arg(long = "arg", value_name = "KEY=VALUE")]
    arg: Vec<String>,
    /// The incident's level: 1, 2 or 3.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    level: u8,
    /// When: 2026-07-01T03:00:00Z; now without it.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Who proposes it, model or runbook:NAME: its trust counts.
    #[arg(long, default_value = "model")]
    agent: Proposer,
    /// The planner's reason.
    #[arg(long, default_value = "asked with paramedic explain")]
    reason: String,
}

/// The policy that decided, as it was written.
#[derive(Debug, Serialize)]
struct Decider {
    policy: String,
    file: String,
    line: usize,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Explanation {
    action: String,
    verdict: Verdict,
    opinions: Vec<Opinion>,
    decided_by: Vec<Decider>,
    /// How many have to approve it, where a human is asked; or why nobody could.
    approvers: Option<Result<Needed, String>>,
    facts: Option<Facts>,
    budgets: String,
    policies: String,
}

#[derive(Debug, Serialize)]
struct Needed {
    quorum: u32,
    signature: bool,
}

pub async fn run(args: &ActionArgs, files: &Files, as_json: bool) -> anyhow::Result<ExitCode> {
    let config = match files.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let asked = match Asked::read(args) {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("paramedic: {why}");
            return Ok(ExitCode::from(EX_USAGE));
        }
    };
    match explain(&config, &asked).await {
        Ok(explanation) if as_json => say(&serde_json::to_string_pretty(&explanation)?)?,
        Ok(explanation) => say(&explanation.text())?,
        Err(why) => {
            eprintln!("paramedic: {why}");
            return Ok(ExitCode::from(EX_USAGE));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command line, understood.
struct Asked {
    tool: String,
    target: Target,
    arguments: Map<String, Value>,
    level: Level,
    at: Time,
    agent: Proposer,
    reason: String,
}

impl Asked {
    fn read(args: &ActionArgs) -> Result<Self, String> {
        let service = args.service.as_deref().map(ServiceName::parse).transpose().map_err(|e| format!("--service: {e}"))?;
        let host = args.host.as_deref().map(HostName::parse).transpose().map_err(|e| format!("--host: {e}"))?;
        let at = match args.at.as_deref() {
            None => SystemClock.now(),
            Some(text) => text.parse().map_err(|_| format!("--at {text}: expected a time such as 2026-07-01T03:00:00Z"))?,
        };
        let mut arguments = match args.args.as_deref().map(serde_json::from_str) {
            None => Map::new(),
            Some(Ok(Value::Object(fields))) => fields,
            Some(_) => return Err("--args: expected a JSON object, such as '{\"add\": 1}'".into()),
        };
        for pair in &args.arg {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("--arg {pair}: expected KEY=VALUE"))?;
            arguments.insert(key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
        }
        let level = Level::try_from(args.level)?;
        Ok(Self {
            tool: args.tool.clone().unwrap_or_default(),
            target: Target { service, host },
            arguments,
            level,
            at,
            agent: args.agent.clone(),
            reason: args.reason.clone(),
        })
    }

    /// What the tool knows and the command line says anyway, where it is not among the arguments.
    fn proposal(&self, tool: &dyn Tool) -> Proposal {
        let mut arguments = self.arguments.clone();
        let known = |name: &str| tool.schema().pointer(&format!("/properties/{name}")).is_some();
        let given = [
            ("service", self.target.service.as_ref().map(|name| json!(name))),
            ("host", self.target.host.as_ref().map(|name| json!(name))),
            ("reason", Some(json!(self.reason))),
        ];
        for (name, value) in given {
            if let Some(value) = value.filter(|_| known(name) && !arguments.contains_key(name)) {
                arguments.insert(name.to_owned(), value);
            }
        }
        let mut arguments = Value::Object(arguments);
        arguments.sort_all_objects();
        Proposal { tool: self.tool.clone(), arguments, reason: self.reason.clone(), step: None, call: None }
    }
}

async fn explain(config: &Config, asked: &Asked) -> Result<Explanation, String> {
    let checker = config.checker();
    if let Some(opinion) = checker.screen(&asked.tool) {
        return Ok(Explanation::of(&checker, asked.tool.clone(), vec![opinion], "none was looked at".into()));
    }
    let Some(tool) = tools::find(&asked.tool) else {
        let why = format!("{} is not available here: a human would have to do it", asked.tool);
        let opinion = Opinion::new(Layer::Boundary, Verdict::Deny, why);
        return Ok(Explanation::of(&checker, asked.tool.clone(), vec![opinion], "none was looked at".into()));
    };
    let proposal = asked.proposal(tool);
    let about = About { inventory: &config.inventory, target: &asked.target };
    let action = tools::understand(tool, &proposal, about).map_err(|why| format!("{}: {why}", asked.tool))?;
    let Told { usage, in_force, trust, budgets } = told(config, &action, asked).await;
    let own = own_ground(&config.store_dir.join("store"), config);
    let situation = Situation {
        now: asked.at,
        incident: IncidentId(0),
        level: asked.level,
        mode: facts::mode(config.settings.mode, None, &config.inventory, &action, &asked.target),
        escalated: false,
        target: &asked.target,
        inventory: &config.inventory,
        usage,
        own: &own,
        approval: None,
        proposer: &asked.agent,
        trust: trust.as_ref(),
        in_force: in_force.as_ref(),
    };
    let opinions = with_the_silent(checker.judge(&action, &situation), &action);
    let consent = needed(&action, &opinions, &config.consent, checker.policies());
    Ok(Explanation::of(&checker, format!("{} on {}", action.summary(), action.target), opinions, budgets).asking(consent))
}

/// What the store says that an action is judged by.
struct Told {
    usage: Usage,
    in_force: Option<InForce>,
    trust: Option<Trust>,
    budgets: String,
}

/// As the store tells, or as if nothing had been used or ordered yet.
async fn told(config: &Config, action: &Action, asked: &Asked) -> Told {
    match Store::open_beside(&config.store_url).await {
        Ok(store) => {
            let store = store.redacting(config.redactor.clone());
            let usage = facts::usage(&store, config.settings.storm_services, IncidentId(0), action, asked.at).await;
            let (in_force, trust) = facts::authority(&store, &config.halt_file, &asked.agent, action, asked.at).await;
            store.close().await;
            Told { usage, in_force, trust, budgets: format!("as {} tells", shown(&config.store_url)) }
        }
        Err(e) => {
            let fresh = || config.inventory.services().map(|service| (service.name.clone(), 0)).collect();
            let usage = Usage { restarts: fresh(), scaled: fresh(), actions: Some(0), hosts: Some(Vec::new()), degraded: Some(0) };
            let in_force = InForce {
                halts: halt_file(&config.halt_file).iter().map(|why| config.redactor.text(why).into_owned()).collect(),
                ..InForce::default()
            };
            let budgets = format!("assumed to be untouched ({e})");
            Told { usage, in_force: Some(in_force), trust: Some(Trust::default()), budgets }
        }
    }
}

/// A layer that has nothing against an action says nothing; whoever asks why is told that it was asked.
fn with_the_silent(mut opinions: Vec<Opinion>, action: &Action) -> Vec<Opinion> {
    let looks = !action.effect.changes_something();
    let silent = [
        (Layer::Floor, "nothing that is never done"),
        (Layer::Scope, "within what the incident may touch"),
        (Layer::Budget, "costs nothing"),
        (Layer::Command, "no shell command"),
        (Layer::Trust, "looking needs none"),
        (Layer::Freeze, if looks { "looking waits for no window" } else { "no window holds for it then" }),
        (Layer::Orders, if looks { "looking goes on" } else { "nothing is halted, and nobody has it in hand" }),
    ];
    for (layer, why) in silent {
        if !opinions.iter().any(|opinion| opinion.layer == layer) {
            opinions.push(Opinion::new(layer, Verdict::Allow, why));
        }
    }
    opinions.sort_by_key(|opinion| opinion.layer);
    opinions
}

impl Explanation {
    fn of(checker: &SafetyChecker, action: String, opinions: Vec<Opinion>, budgets: String) -> Self {
        let verdict = opinions.iter().map(|opinion| opinion.verdict).max().unwrap_or(Verdict::Deny);
        let grounds = opinions.iter().find_map(|opinion| opinion.grounds.as_deref());
        let policies = checker.policies();
        let decided_by = grounds.map_or(&[][..], |grounds| &grounds.decided_by).iter().filter_map(|id| {
            let written = policies.written(id)?;
            Some(Decider { policy: id.clone(), file: written.file.clone(), line: written.line, reason: written.reason.clone() })
        });
        let facts = grounds.map(|grounds| grounds.facts.clone());
        let (decided_by, policies) = (decided_by.collect(), policies.version().0.clone());
        Self { action, verdict, decided_by, approvers: None, facts, opinions, budgets, policies }
    }

    /// What no number of people could release nobody is asked for.
    fn asking(self, consent: Result<Consent, String>) -> Self {
        if self.verdict != Verdict::Confirm {
            return self;
        }
        let verdict = if consent.is_ok() { Verdict::Confirm } else { Verdict::Deny };
        Self { verdict, approvers: Some(consent.map(|Consent { quorum, signature }| Needed { quorum, signature })), ..self }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("{}: {}", table::whole(&self.action), self.verdict), String::new()];
        let width = self.opinions.iter().map(|opinion| opinion.layer.to_string().len()).max().unwrap_or(0);
        for Opinion { layer, verdict, reason, .. } in &self.opinions {
            lines.push(format!("  {:<width$}  {:<7}  {}", layer.to_string(), verdict.to_string(), table::whole(reason)));
        }
        lines.push(String::new());
        for Decider { policy, file, line, .. } in &self.decided_by {
            lines.push(format!("  policy   {policy}, policies/{file}:{line}"));
        }
        match &self.approvers {
            Some(Ok(Needed { quorum, signature })) => {
                let keys = if *signature { ", each with a key of their own" } else { "" };
                lines.push(format!("  approve  {quorum} {}{keys}", if *quorum == 1 { "human" } else { "humans" }));
            }
            Some(Err(why)) => lines.push(format!("  approve  {}", table::whole(why))),
            None => {}
        }
        lines.extend(self.facts.iter().flat_map(facts_lines));
        lines.push(format!("  budgets  {}", table::whole(&self.budgets)));
        lines.push(format!("  version  {}", self.policies.get(..16).unwrap_or(&self.policies)));
        lines.join("\n")
    }
}

fn facts_lines(facts: &Facts) -> Vec<String> {
    let Facts { agent, level, mode, moment, storm, .. } = facts;
    let hours = if moment.off_hours { "off-hours" } else { "working hours" };
    let storm = if *storm { ", storm" } else { "" };
    let on: Vec<String> = facts.resources.iter().map(|resource| resource.place.to_string()).collect();
    vec![
        format!("  risk     {}", facts.risk),
        format!("  impact   {}", table::whole(&facts.impact.to_string())),
        format!("  facts    {agent} on {}, level {level}, mode {mode}, {:02} h, {hours}{storm}", on.join(", "), moment.hour),
        format!("  left     {} restarts, +{} instances, {} actions", facts.restarts_left, facts.instances_left, facts.actions_left),
    ]
}
