//! The hand behind a real sshd on loopback, with a forced command, and everything that can be at the other end instead.

use super::sshd::{ALLOWED, PARAMEDIC, Sshd};
use super::{Known, host};
use paramedic::clients::fleet::hand::{HandReply, HandResult};
use paramedic::clients::fleet::{Limits, LogLevel, ReachError, ResourceCheck};
use serde_json::json;
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

#[tokio::test]
async fn a_hand_tells_its_hosts_resources() {
    let sshd = Sshd::with_hand(ALLOWED);
    let known = sshd.known(Limits::default());
    let fleet = known.fleet.on_behalf("INC-7/3 check_system_resources");
    let seen = fleet.resources(&host("web-1"), &ResourceCheck::ALL).await.unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()));
    assert!(seen.cpu.unwrap().cores >= 1);
    assert!(seen.memory.unwrap().total > 0);
    assert!(seen.disks.unwrap().iter().any(|disk| disk.mount == "/"));
    assert_eq!(sshd.open_connections(), 0);
}

#[tokio::test]
async fn a_hand_cleans_below_its_own_roots_only() {
    let sshd = Sshd::with_hand(ALLOWED);
    let (old, young) = (sshd.path("logs/old.log"), sshd.path("logs/young.log"));
    let other = sshd.path("other-logs/old.log");
    fs::create_dir(sshd.path("other-logs")).unwrap();
    for path in [&old, &young, &other] {
        fs::write(path, "12345").unwrap();
    }
    for path in [&old, &other] {
        let time = SystemTime::now() - Duration::from_secs(8 * 86_400);
        File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    }
    let known = sshd.known(Limits::default());
    // A year ahead by the asker's clock: the host's own decides, so the young file stays.
    let now = chrono::Utc::now() + chrono::Duration::days(365);
    let paths = [sshd.path("logs"), sshd.path("other-logs")];
    let cleaned = known.fleet.clean(&host("web-1"), &paths, 7, now).await.unwrap();
    assert_eq!(cleaned.removed.len(), 1);
    assert_eq!((cleaned.removed[0].path.as_str(), cleaned.bytes, cleaned.kept), (old.to_str().unwrap(), 5, 1));
    assert!(!old.exists() && young.exists() && other.exists());
    assert!(cleaned.refused[0].why.contains("not below a declared log root"), "the inventory allows it, the host does not: {cleaned:?}");
    let error = known.fleet.clean(&host("web-1"), &["/etc".into()], 7, now).await.unwrap_err();
    assert!(error.to_string().contains("/etc is not below"), "{error}");
}

#[tokio::test]
async fn a_unit_that_the_host_does_not_list_is_refused_and_surely_not_done() {
    let sshd = Sshd::with_hand(ALLOWED);
    let known = sshd.known_with(sshd.port, &sshd.path("known_hosts"), "sshd.service", Limits::default());
    let error = known.fleet.status(known.service("api"), None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the hand on web-1 refused: the allow-list does not allow `status` of sshd.service: expected `sshd.service: [status]` under units"
    );
    let known = sshd.known(Limits::default());
    let error = known.fleet.logs(known.service("api"), None, 10, LogLevel::Error).await.unwrap_err();
    assert!(error.to_string().contains("does not allow `logs`") && !error.maybe_done(), "{error}");
}

#[tokio::test]
async fn a_hostile_unit_name_is_refused_loudly_by_the_host() {
    let sshd = Sshd::with_hand(ALLOWED);
    let marker = sshd.path("marker");
    for unit in ["-H", "--help", "api gateway", "api;reboot", "api\nreboot", "../api", "*", &format!("$(touch {})", marker.display())] {
        let known = sshd.known_with(sshd.port, &sshd.path("known_hosts"), unit, Limits::default());
        let error = known.fleet.status(known.service("api"), None).await.unwrap_err();
        assert!(matches!(error, ReachError::Refused { .. }), "{unit:?}: {error}");
        assert!(error.to_string().contains("is not a unit's name"), "{unit:?}: {error}");
    }
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable_and_surely_not_done() {
    let sshd = Sshd::with_hand(ALLOWED);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let known = sshd.known_with(free, &sshd.path("known_hosts"), "api-gateway", Limits::default());
    let error = known.fleet.restart(known.service("api"), None).await.unwrap_err();
    assert!(matches!(error, ReachError::Unreachable { .. }) && !error.maybe_done(), "{error}");
    assert!(error.to_string().contains("web-1") && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_host_that_takes_the_connection_and_says_nothing_is_unreachable_in_time() {
    let sshd = Sshd::with_hand(ALLOWED);
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = Limits { connect: Duration::from_secs(1), ..Limits::default() };
    let known = sshd.known_with(mute.local_addr().unwrap().port(), &sshd.path("known_hosts"), "api-gateway", limits);
    let began = Instant::now();
    let error = known.fleet.status(known.service("api"), None).await.unwrap_err();
    assert!(matches!(error, ReachError::Unreachable { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_host_with_another_key_is_not_spoken_to() {
    let sshd = Sshd::with_hand(ALLOWED);
    let wrong = sshd.path("wrong_hosts");
    fs::write(&wrong, format!("[127.0.0.1]:{} {}", sshd.port, fs::read_to_string(sshd.path("user.pub")).unwrap())).unwrap();
    fs::write(sshd.path("no_hosts"), "").unwrap();
    for file in [wrong, sshd.path("no_hosts"), sshd.path("absent_hosts")] {
        let known = sshd.known_with(sshd.port, &file, "api-gateway", Limits::default());
        let error = known.fleet.status(known.service("api"), None).await.unwrap_err();
        assert!(matches!(error, ReachError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("Host key verification failed"), "{error}");
    }
}

#[tokio::test]
async fn a_hand_that_hangs_times_out_and_its_connection_is_closed() {
    let sshd = Sshd::start(|_| "exec sleep 20".to_owned());
    let limits = Limits { observe: Duration::from_secs(1), restart: Duration::from_secs(1), ..Limits::default() };
    let known = sshd.known(limits);
    let began = Instant::now();
    let error = known.fleet.status(known.service("api"), None).await.unwrap_err();
    assert!(matches!(error, ReachError::TimedOut { .. }) && !error.maybe_done(), "{error}");
    let error = known.fleet.clean(&host("web-1"), &[sshd.path("logs")], 7, chrono::Utc::now()).await.unwrap_err();
    assert!(matches!(error, ReachError::TimedOut { .. }) && error.maybe_done(), "an acting request is in doubt: {error}");
    assert!(error.to_string().contains("`clean` by the hand at web-1 did not end within 1 s, it may still take effect"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(sshd.open_connections(), 0);
}

#[tokio::test]
async fn an_answer_that_is_not_the_hands_is_shown_and_never_believed() {
    for (command, part) in [
        ("echo Welcome to Debian", "it began `Welcome to Debian`"),
        ("true", "no reply; it ended with exit status: 0"),
        ("echo oops >&2; exit 3", "stderr `oops`"),
        ("echo '{\"version\":9,\"request\":\"x\",\"result\":{\"done\":{\"lines\":[]}}}'", "version 9: expected 1"),
        ("echo '{\"version\":1,\"request\":\"x\",\"result\":{\"done\":{\"lines\":[]}}}'", "of the kind `lines`"),
        ("/no/such/paramedic hand", "no reply"),
        ("cat /dev/zero", "longer than 4194304 bytes"),
    ] {
        let sshd = Sshd::start(|_| command.to_owned());
        let known = sshd.known(Limits::default());
        let error = known.fleet.resources(&host("web-1"), &ResourceCheck::ALL).await.unwrap_err();
        assert!(matches!(error, ReachError::Protocol { .. }) && !error.maybe_done(), "{command}: {error}");
        assert!(error.to_string().contains(part), "{command}: {error}");
        let error = known.fleet.clean(&host("web-1"), &[sshd.path("logs")], 7, chrono::Utc::now()).await.unwrap_err();
        assert!(error.maybe_done(), "what acts and gets no proper answer is in doubt: {error}");
    }
}

/// A hand that keeps units as files, so that services of several units can be tried where there is no systemd.
const FILE_HAND: &str = r#"cd DIR/units; asked=$(cat); echo "$asked" >> ../asked
one() { if [ -e $1 ]; then up=true; state=active/running; else up=false; state=inactive/dead; fi
  printf '{"name":"%s","exists":true,"active":%s,"state":"%s","since":null,"pid":null,"detail":"a file"}' $1 $up $state; }
units=$(echo "$asked" | grep -o '[a-z0-9@]*[.]service')
case "$asked" in
*'"status"'*) all=; for unit in $units; do all="$all${all:+,}$(one $unit)"; done; answer="{\"instances\":[$all]}" ;;
*) before=$(one $units); touch $units; answer="{\"acted\":{\"before\":$before,\"after\":$(one $units)}}" ;;
esac
echo "{\"version\":1,\"request\":\"x\",\"result\":{\"done\":$answer}}"
"#;

#[tokio::test]
async fn a_service_of_several_units_on_two_hosts_is_seen_restarted_and_scaled() {
    let sshd = Sshd::start(|dir| {
        fs::create_dir(dir.join("units")).unwrap();
        fs::write(dir.join("hand.sh"), FILE_HAND.replace("DIR", &dir.display().to_string())).unwrap();
        format!("/bin/sh {}/hand.sh", dir.display())
    });
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let reach = json!({"ssh": {"address": "127.0.0.1", "port": sshd.port, "user": user.trim(),
        "key_file": sshd.path("user"), "known_hosts_file": sshd.path("known_hosts")}});
    let systemd = json!({"systemd": {"unit": "worker.service", "template": "worker@{n}.service"}});
    let inventory = json!({
        "hosts": [{"name": "web-1", "reach": reach}, {"name": "web-2", "reach": reach}],
        "services": [
            {"name": "worker", "hosts": ["web-1"], "reach": systemd, "scale": {"base": 2}},
            {"name": "wide", "hosts": ["web-1", "web-2"], "reach": {"systemd": {"unit": "wide.service"}}},
        ]
    });
    let known = Known::new(inventory, sshd.dir(), Limits::default());
    let (fleet, worker, wide) = (&known.fleet, known.service("worker"), known.service("wide"));

    let down = fleet.status(worker, None).await.unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()));
    assert_eq!((down.active, down.instances, down.instances_active, down.state.as_str()), (false, 2, 0, "inactive/dead"));
    fs::write(sshd.path("units/worker.service"), "").unwrap();
    let half = fleet.status(worker, None).await.unwrap();
    assert_eq!((half.active, half.instances_active), (false, 1), "both normal units must run");
    let restarted = fleet.restart(worker, Some(&host("web-1"))).await.unwrap();
    assert_eq!((restarted.before.instances_active, restarted.after.instances_active), (1, 2));

    let scaled = fleet.scale(worker, None, 2).await.unwrap();
    assert_eq!((scaled.from, scaled.to), (2, 4));
    assert!(sshd.path("units/worker@4.service").exists());
    let error = fleet.scale(worker, None, 1).await.unwrap_err();
    assert!(error.to_string().contains("expected at most 4 (2 + 2)"), "{error}");

    assert!(!fleet.status(wide, None).await.unwrap().active);
    assert!(fleet.restart(wide, None).await.unwrap().after.active);
    let both = fleet.status(wide, None).await.unwrap();
    assert_eq!((both.active, both.instances, both.detail.contains("web-2: wide.service")), (true, 2, true), "{both:?}");
    assert!(fleet.status(wide, Some(&host("web-2"))).await.unwrap().active);
    let error = fleet.scale(wide, None, 1).await.unwrap_err();
    assert!(matches!(error, ReachError::NotSupported { .. }), "{error}");
    let error = fleet.restart(worker, Some(&host("web-2"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the inventory refused: service `worker` does not run on host `web-2`");
    let asked = fs::read_to_string(sshd.path("asked")).unwrap();
    assert_eq!(asked.matches("\"start\"").count(), 2, "{asked}");
}

/// The binary itself, without SSH: what a stolen key could send.
fn ask_directly(config: &Path, request: &[u8]) -> HandReply {
    let mut hand = Command::new(PARAMEDIC)
        .args(["hand", "--config"])
        .arg(config)
        .env("SSH_ORIGINAL_COMMAND", "rm -rf /")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The hand may have stopped reading before the end of a giant request.
    let _ = hand.stdin.take().unwrap().write_all(request);
    let output = hand.wait_with_output().unwrap();
    assert!(output.status.success(), "a refusal is a reply");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(reply: HandReply) -> String {
    match reply.result {
        HandResult::Refused { why } => why,
        other => panic!("expected a refusal: {other:?}"),
    }
}

#[test]
fn a_request_that_is_none_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("hand.yaml");
    fs::write(&config, "resources: true\n").unwrap();
    let giant = [b"{\"version\":1,\"request\":\"".as_slice(), &[b'x'; 70_000], b"\"}"].concat();
    for (request, part) in [
        (b"".as_slice(), "not a request of version 1"),
        (b"{\"version\":1,\"requ", "not a request of version 1"),
        (b"\x00\xff\xfe", "not a request of version 1"),
        (b"{\"version\":1,\"request\":\"x\",\"op\":{\"shell\":{\"command\":\"id\"}}}", "unknown variant `shell`"),
        (b"{\"version\":1,\"request\":\"x\",\"op\":{\"restart\":{\"unit\":\"a\",\"force\":true}}}", "unknown field `force`"),
        (b"{\"version\":2,\"request\":\"x\",\"op\":{\"resources\":{\"checks\":[]}}}", "version 2: expected 1"),
        (&giant, "longer than 65536 bytes"),
    ] {
        let why = refusal(ask_directly(&config, request));
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn without_a_readable_allow_list_everything_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("hand.yaml");
    let request = b"{\"version\":1,\"request\":\"INC-1/2\",\"op\":{\"resources\":{\"checks\":[\"memory\"]}}}";
    let why = refusal(ask_directly(&config, request));
    assert!(why.contains("hand.yaml cannot be read"), "{why}");
    fs::write(&config, "resources: true\nunits: [api]\n").unwrap();
    let why = refusal(ask_directly(&config, request));
    assert!(why.contains("hand.yaml is broken"), "{why}");
    fs::write(&config, "resources: true\n").unwrap();
    let reply = ask_directly(&config, request);
    assert_eq!(reply.request, "INC-1/2");
    assert!(matches!(reply.result, HandResult::Done(_)), "{reply:?}");
}

#[tokio::test]
async fn a_hand_runs_commands_up_to_the_level_that_its_own_list_allows() {
    let sshd = Sshd::with_hand("commands: LOW\n");
    let known = sshd.known(Limits::default());
    let run = async |command: &str| known.fleet.on_behalf("INC-7/4 run_diagnosis_command").command(&host("web-1"), command).await;
    let told = run("printf 'b\\na\\n' | sort").await.unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()));
    assert_eq!((told.stdout.as_str(), told.exit), ("a\nb\n", Some(0)));
    // What sshd and the asker have in their environment is not there, and neither is what the hand has beside its list.
    let told = run("printenv").await.unwrap();
    assert!(!told.stdout.contains("SSH_") && told.stdout.contains("PATH=/usr/sbin:"), "{told:?}");
    let told = run(&format!("cat {}", sshd.path("hand.yaml").display())).await.unwrap();
    assert!(told.stdout.is_empty() && told.stderr.contains("Permission denied"), "{told:?}");
    let made = sshd.path("made");
    let error = run(&format!("mkdir {}", made.display())).await.unwrap_err();
    assert!(matches!(error, ReachError::Refused { .. }) && !error.maybe_done(), "{error}");
    assert!(error.to_string().contains("the command is MEDIUM, and the allow-list says `commands: LOW`"), "{error}");
    let error = run("rm -rf /").await.unwrap_err();
    assert!(error.to_string().contains("the command is CRITICAL"), "{error}");
    assert!(!made.exists());
    let silent = Sshd::with_hand(ALLOWED);
    let error = silent.known(Limits::default()).fleet.command(&host("web-1"), "df -h").await.unwrap_err();
    assert!(error.to_string().contains("the allow-list does not say `commands: LOW`"), "{error}");
}

#[tokio::test]
async fn a_confirmed_command_changes_what_the_host_allows() {
    let sshd = Sshd::with_hand("commands: MEDIUM\n");
    let known = sshd.known(Limits::default());
    let elsewhere = tempfile::tempdir().unwrap();
    let made = elsewhere.path().join("made");
    let told = known.fleet.command(&host("web-1"), &format!("mkdir {}", made.display())).await.unwrap();
    assert!(told.succeeded() && made.is_dir(), "{told:?}");
}
