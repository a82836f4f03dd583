//! Floor 7, wiring: a configuration becomes a running server. The only place that knows all the parts.

use crate::classifier::Dependencies;
use crate::clients::alertmanager::Alertmanager;
use crate::clients::fleet::{self, Fleet};
use crate::clients::prometheus::Prometheus;
use crate::clients::sandbox::Sandbox;
use crate::clients::slack::{OnClick, OnCommand, SocketDoors};
use crate::config::Config;
use crate::domain::{Channel, Clock, HostReach};
use crate::engine::{Engine, Parts, begin_to_listen};
use crate::http::{self, Access, ApproverTokens, Doors};
use crate::notify::Notifier;
use crate::planner::ModelPlanner;
use crate::publish::Publisher;
use crate::safety::OwnGround;
use crate::store::{Freeze, Store};
use crate::tools::{self, Bench};
use anyhow::{Context as _, anyhow};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a stop waits for running effects. Longer than any tool may take.
const DRAIN: Duration = Duration::from_secs(150);
/// And then for the ledger's last checkpoint.
const LAST_CHECKPOINT: Duration = Duration::from_secs(20);

pub struct App {
    pub engine: Arc<Engine>,
    pub fleet: Arc<Fleet>,
    pub address: SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// One task, which signs what the others wrote, to their last entry: stops after them.
    publishing: JoinSet<()>,
    published: CancellationToken,
}

impl App {
    pub async fn start(config: Config, clock: Arc<dyn Clock>, freeze: Freeze) -> anyhow::Result<Self> {
        let store = Store::serve(&config.store_url, &config.store_dir, freeze).await?.redacting(config.redactor.clone());
        begin_to_listen(&store, clock.now()).await.context("write down since when nobody listened")?;
        let metrics = metrics_handle()?;
        begin_counters();
        let slack = config.slack.clone().map(Arc::new);
        let access = Arc::new(Access::new(config.webhook_token.clone()));
        let tokens = Arc::new(ApproverTokens::new(config.approver_tokens.clone()));
        let listener = TcpListener::bind(config.listen).await.with_context(|| format!("listen on {}", config.listen))?;
        let address = listener.local_addr()?;
        let notifier = Arc::new(notifier(&config)?);
        let publisher = Publisher::open(store.clone(), clock.clone(), config.ledger.clone()).await.context("open the ledger's log")?;
        let parts = parts(config, store, clock.clone(), notifier.clone())?;
        let fleet = parts.bench.fleet.clone();
        // A child that cannot be started is down, and its alert will say so; the others are served.
        if let Err(e) = fleet.start_missing().await {
            tracing::error!(error = %e, "a process service could not be started");
        }
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let engine = Engine::start(parts, &mut tasks, &stop);
        if let Some(settings) = slack.clone() {
            tasks.spawn(socket_mode(engine.clone(), notifier.clone(), settings, stop.clone()));
        }
        let doors = Doors { engine: engine.clone(), clock, access, tokens, slack, notifier, metrics };
        let closing = stop.clone();
        tasks.spawn(async move {
            let served = axum_serve(listener, http::router(doors), closing).await;
            if let Err(e) = served {
                tracing::error!(error = %e, "the listener failed");
            }
        });
        let published = CancellationToken::new();
        let mut publishing = JoinSet::new();
        publishing.spawn(publisher.run(published.clone()));
        Ok(Self { engine, fleet, address, stop, tasks, publishing, published })
    }

    /// No new steps; running effects finish. True if everything ended in time.
    pub async fn stop(mut self) -> bool {
        self.stop.cancel();
        let drained = tokio::time::timeout(DRAIN, async { while self.tasks.join_next().await.is_some() {} }).await.is_ok();
        self.published.cancel();
        if tokio::time::timeout(LAST_CHECKPOINT, self.publishing.join_next()).await.is_err() {
            tracing::warn!("the last entries of the ledger are signed at the next start");
        }
        self.engine.store().close().await;
        drained
    }

    /// As a crash would: everything ends where it stands.
    pub async fn kill(mut self) {
        self.publishing.shutdown().await;
        self.tasks.shutdown().await;
    }
}

async fn axum_serve(listener: TcpListener, router: axum::Router, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await
}

fn notifier(config: &Config) -> anyhow::Result<Notifier> {
    Notifier::build(config.slack.as_ref(), config.pagerduty.as_ref(), config.email.as_ref()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("\n"))
    })
}

fn parts(config: Config, store: Store, clock: Arc<dyn Clock>, notifier: Arc<Notifier>) -> anyhow::Result<Parts> {
    let own = own_ground(store.path(), &config);
    let (checker, policy_version) = (config.checker(), policy_version(&config)?);
    let inventory = Arc::new(config.inventory);
    let usual = Sandbox::default();
    let sandbox = Sandbox { hidden: own.paths.clone(), program: config.own_program.unwrap_or(usual.program), ..usual };
    let (run_dir, ssh_dir) = (config.run_dir.clone(), ssh_dir(&config.run_dir)?);
    let fleet = Arc::new(Fleet::confined(inventory.clone(), run_dir, ssh_dir, fleet::Limits::default(), sandbox));
    let bench = Bench {
        inventory: inventory.clone(),
        fleet,
        prometheus: config.prometheus_url.as_deref().map(Prometheus::new).transpose()?,
        alertmanager: config.alertmanager_url.as_deref().map(Alertmanager::new).transpose()?,
        channels: notifier.channels(),
        clock: clock.clone(),
    };
    Ok(Parts {
        own,
        store,
        clock,
        needs: Dependencies::of(&inventory),
        inventory,
        rules: config.rules,
        targets: config.targets,
        runbooks: config.runbooks,
        model: config.llm.as_ref().map(ModelPlanner::new).transpose()?.map(|model| model.redacting(config.redactor.clone())),
        policy_version,
        checker,
        approvers: config.approvers,
        consent: config.consent,
        bench,
        notifier,
        settings: config.settings,
        watchdog: config.watchdog,
        halt_file: config.halt_file,
    })
}

/// What an approval is bound to besides its action: SHA-256 over the policies, the bounds, the thresholds of risk, the working hours and
/// the rules of consent that are in force.
pub fn policy_version(config: &Config) -> anyhow::Result<String> {
    let Config { limits, consent, policies, risk, hours, .. } = config;
    let rules = (limits, consent, policies.version(), risk, hours);
    let rules = serde_json_canonicalizer::to_vec(&rules).context("spell out the bounds")?;
    Ok(hex::encode(Sha256::digest(rules)))
}

/// Control sockets have short names only: where the run folder's is too long, a folder of our own among the temporary ones.
fn ssh_dir(run_dir: &Path) -> anyhow::Result<PathBuf> {
    const LONGEST: usize = 59;
    let usual = run_dir.join("ssh");
    if usual.as_os_str().len() <= LONGEST {
        return Ok(usual);
    }
    Ok(tempfile::Builder::new().prefix("paramedic-ssh-").tempdir()?.keep())
}

/// The ledger's folder and files, the configuration's, those with secrets, the run folder and the binary: nothing below or above them is
/// ever cleaned, and no command reads them.
pub fn own_ground(store: &Path, config: &Config) -> OwnGround {
    let ledger = store.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let binary = std::env::current_exe().ok();
    let keys = config.inventory.hosts().filter_map(|host| match &host.reach {
        HostReach::Ssh { key_file, .. } => key_file.clone(),
        HostReach::Local {} => None,
    });
    let authority = config.inventory.ssh_ca().and_then(|ca| ca.key_file.clone().or_else(|| ca.agent_socket.clone()));
    let all = [Some(ledger), Some(config.folder.clone()), Some(config.run_dir.clone()), Some(config.halt_file.clone()), binary];
    let all =
        all.into_iter().flatten().chain(config.ledger.own_paths(store)).chain(config.secret_files.clone()).chain(keys).chain(authority);
    OwnGround { paths: all.map(|path| std::path::absolute(&path).unwrap_or(path)).collect() }
}

/// A counter that is not there yet has no increase: rules would miss its first step.
fn begin_counters() {
    for name in ["paramedic_alerts_received_total", "paramedic_unreadable_deliveries_total", "paramedic_model_limits_spent_total"] {
        metrics::counter!(name).increment(0);
    }
    for name in ["paramedic_flapping_total", "paramedic_held_total", "paramedic_deliveries_refused_total"] {
        metrics::counter!(name).increment(0);
    }
    metrics::counter!("paramedic_ledger_witness_refusals_total").increment(0);
    for tool in tools::all() {
        metrics::counter!("paramedic_actions_total", "tool" => tool.name(), "verdict" => "allow", "outcome" => "failed").increment(0);
    }
    for direction in ["input", "output"] {
        metrics::counter!("paramedic_model_tokens_total", "direction" => direction).increment(0);
    }
    for outcome in ["ok", "failed"] {
        metrics::counter!("paramedic_reconciliations_total", "outcome" => outcome).increment(0);
    }
    for channel in Channel::ALL {
        metrics::counter!("paramedic_notices_failed_total", "channel" => channel.as_str()).increment(0);
    }
    for state in ["asked", "granted", "denied", "expired", "void", "unavailable"] {
        metrics::counter!("paramedic_approvals_total", "state" => state).increment(0);
    }
}

/// One recorder a process, however many servers it runs.
fn metrics_handle() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    match metrics::set_global_recorder(recorder) {
        Ok(()) => Ok(HANDLE.get_or_init(|| handle).clone()),
        Err(e) => HANDLE.get().cloned().ok_or_else(|| anyhow!("install the metrics recorder: {e}")),
    }
}

/// Listens for clicks and commands over a WebSocket of our own until the server stops; without `slack.app_token` there is none.
async fn socket_mode(engine: Arc<Engine>, notifier: Arc<Notifier>, settings: Arc<crate::notify::SlackSettings>, stop: CancellationToken) {
    let parts = (engine.clone(), notifier.clone(), settings.clone());
    let on_click: OnClick = Arc::new(move |click| {
        let (engine, notifier, settings) = parts.clone();
        Box::pin(async move { http::take_click(&engine, &notifier, &settings, click).await })
    });
    let on_command: OnCommand = Arc::new(move |command| {
        let (engine, settings) = (engine.clone(), settings.clone());
        Box::pin(
            async move { http::take_command(&engine, &settings, command).await.map_err(|e| format!("the order could not be stored: {e}")) },
        )
    });
    let Some(socket) = notifier.listen(SocketDoors { on_click, on_command }) else { return };
    stop.cancelled().await;
    socket.shutdown().await;
}
