//! Certificates for one request each, against a real sshd and a real ssh-agent: what they let through, and all that they do not, in the
//! hands of somebody who stole one.

use super::sshd::{ALLOWED, PARAMEDIC, Sshd};
use super::{host, until};
use paramedic::clients::fleet::grant::{Authority, Grant, Wanted};
use paramedic::clients::fleet::hand::{HandReply, HandRequest, HandResult, Op};
use paramedic::clients::fleet::{LogLevel, ReachError, ResourceCheck};
use paramedic::config::{Config, Overrides, unpack};
use paramedic::domain::{SshCa, Time};
use serde_json::json;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

fn request(op: Op) -> Vec<u8> {
    serde_json::to_vec(&HandRequest { version: 1, request: "INC-7/5 clean_disk_space".into(), op }).unwrap()
}

fn clean(sshd: &Sshd) -> Vec<u8> {
    request(Op::Clean { paths: vec![sshd.path("logs")], min_age_days: 7 })
}

fn old_file(path: &Path) {
    fs::write(path, "12345").unwrap();
    let time = SystemTime::now() - Duration::from_secs(8 * 86_400);
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

impl Sshd {
    /// A certificate as Paramedic makes it, kept by somebody who should not have it; the path of its key.
    fn stolen(&self, host: &str, request: &[u8], now: Time) -> PathBuf {
        let settings: SshCa = serde_json::from_value(self.ca()).unwrap();
        let asked: HandRequest = serde_json::from_slice(request).unwrap();
        let about = format!("{} ({})", asked.request, asked.op.summary());
        let wanted = Wanted { host: host.into(), about, request: request.to_vec(), now };
        self.keep(&Authority::open(&settings).unwrap().grant(&wanted, &self.grants()).unwrap())
    }

    fn keep(&self, grant: &Grant) -> PathBuf {
        let unpacked = grant.unpack(self.dir()).unwrap();
        let kept = self.path(&format!("stolen-{}", grant.terms.serial));
        fs::copy(&unpacked.key, &kept).unwrap();
        let beside = unpacked.key.with_file_name("key-cert.pub");
        fs::copy(beside, kept.with_file_name(format!("{}-cert.pub", kept.file_name().unwrap().display()))).unwrap();
        kept
    }

    /// The system's ssh with this key, any options and any command.
    fn ssh(&self, key: &Path, options: &[&str], command: &str, input: &[u8]) -> Output {
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", &known, "-p", &self.port.to_string(), "-i"])
            .arg(key);
        ssh.args(options).args(["127.0.0.1", command]).env_remove("SSH_AUTH_SOCK");
        fs::write(self.path("input"), input).unwrap();
        ssh.stdin(File::open(self.path("input")).unwrap()).output().unwrap()
    }
}

fn reply(output: &Output) -> HandReply {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn refused(output: &Output) -> String {
    match reply(output).result {
        HandResult::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}

fn denied(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && said.contains("Permission denied"), "{output:?}");
}

#[tokio::test]
async fn a_request_runs_under_a_certificate_that_names_it_and_is_gone_afterwards() {
    let sshd = Sshd::with_grants(ALLOWED);
    let known = sshd.known(Default::default());
    let fleet = known.fleet.on_behalf("INC-7/3 check_system_resources");
    let seen = fleet.resources(&host("web-1"), &ResourceCheck::ALL).await.unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()));
    assert!(seen.cpu.unwrap().cores >= 1);
    old_file(&sshd.path("logs/old.log"));
    let fleet = known.fleet.on_behalf("INC-7/5 clean_disk_space");
    let cleaned = fleet.clean(&host("web-1"), &[sshd.path("logs")], 7, chrono::Utc::now()).await.unwrap();
    assert!(cleaned.removed.len() == 1 && !sshd.path("logs/old.log").exists());
    // The host's own list still counts.
    let error = known.fleet.logs(known.service("api"), None, 10, LogLevel::All).await.unwrap_err();
    assert!(matches!(error, ReachError::Refused { .. }), "{error}");

    let issued = sshd.issued();
    let ids: Vec<&str> = issued.iter().map(|record| record.key_id.as_str()).collect();
    let cleaning = format!("INC-7/5 clean_disk_space (clean {})", sshd.path("logs").display());
    assert_eq!(ids, ["INC-7/3 check_system_resources (resources)", &cleaning, "unnamed (logs api-gateway.service)"]);
    let log = sshd.log();
    assert!(
        log.contains("ID \"INC-7/3 check_system_resources (resources)\"") && log.contains(&format!("serial {}", issued[0].serial)),
        "{log}"
    );
    let left = fs::read_dir(sshd.path("ssh")).unwrap().flatten().filter(|e| e.file_name().to_string_lossy().starts_with("grant-")).count();
    assert_eq!((left, sshd.open_connections()), (0, 0), "nothing of a grant is left");

    let shown = sshd.shown(&issued[0]);
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    let behind = |title: &str| lines[lines.iter().position(|line| line.starts_with(title)).unwrap() + 1..].to_vec();
    assert!(lines.contains(&"Type: ssh-ed25519-cert-v01@openssh.com user certificate") && lines.contains(&"Extensions: (none)"), "{shown}");
    assert_eq!(behind("Principals:")[..2], ["paramedic-web-1", "Critical Options:"], "{shown}");
    let options = behind("Critical Options:");
    assert!(
        options[0].starts_with(&format!("force-command {PARAMEDIC} hand --config ")) && options[0].contains(&issued[0].request),
        "{shown}"
    );
    assert_eq!(options[1], "source-address 127.0.0.1/32,10.0.0.0/8", "{shown}");
}

#[tokio::test]
async fn whoever_steals_a_certificate_can_do_the_same_thing_once_at_most() {
    let sshd = Sshd::with_grants(ALLOWED);
    let (now, wanted) = (chrono::Utc::now(), clean(&sshd));
    let key = sshd.stolen("web-1", &wanted, now);
    let marker = sshd.path("marker");
    let touch = format!("touch {}", marker.display());
    let other = request(Op::Resources { checks: ResourceCheck::ALL.into_iter().collect() });
    assert_eq!(refused(&sshd.ssh(&key, &[], &touch, &other)), "the certificate was made for another request");
    assert_eq!(refused(&sshd.ssh(&key, &[], &touch, b"")), "the certificate was made for another request");
    old_file(&sshd.path("logs/one.log"));
    let done = reply(&sshd.ssh(&key, &[], &touch, &wanted));
    assert!(matches!(done.result, HandResult::Done(_)) && !sshd.path("logs/one.log").exists(), "{done:?}");
    old_file(&sshd.path("logs/two.log"));
    assert_eq!(refused(&sshd.ssh(&key, &[], &touch, &wanted)), "this grant was used before: a change is made once");
    assert!(sshd.path("logs/two.log").exists() && !marker.exists(), "the forced command is all that ran");

    // No terminal, no forwarding, no other subsystem.
    let terminal = sshd.ssh(&key, &["-tt"], "", &wanted);
    assert!(String::from_utf8_lossy(&terminal.stderr).contains("PTY allocation request failed"), "{terminal:?}");
    let forward = sshd.ssh(&key, &["-W", &format!("127.0.0.1:{}", sshd.port)], "", b"");
    assert!(String::from_utf8_lossy(&forward.stderr).contains("administratively prohibited"), "{forward:?}");
    let remote = sshd.ssh(&key, &["-N", "-R", "127.0.0.1:0:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes"], "", b"");
    assert!(String::from_utf8_lossy(&remote.stderr).contains("remote port forwarding failed"), "{remote:?}");
    let subsystem = sshd.ssh(&key, &["-s"], "sftp", &other);
    assert!(!subsystem.status.success() || !subsystem.stdout.starts_with(&[0, 0]), "{subsystem:?}");
}

#[tokio::test]
async fn a_certificate_opens_one_host_from_one_place_for_minutes() {
    let sshd = Sshd::with_grants(ALLOWED);
    let (now, wanted) = (chrono::Utc::now(), request(Op::Resources { checks: ResourceCheck::ALL.into_iter().collect() }));
    let good = sshd.stolen("web-1", &wanted, now);
    assert!(matches!(reply(&sshd.ssh(&good, &[], "", &wanted)).result, HandResult::Done(_)), "{}", sshd.log());
    denied(&sshd.ssh(&good, &["-b", "127.0.0.2"], "", &wanted));
    denied(&sshd.ssh(&sshd.stolen("web-2", &wanted, now), &[], "", &wanted));
    denied(&sshd.ssh(&sshd.stolen("web-1", &wanted, now - chrono::Duration::minutes(6)), &[], "", &wanted));
    denied(&sshd.ssh(&sshd.stolen("web-1", &wanted, now + chrono::Duration::minutes(6)), &[], "", &wanted));
    let mut strange: SshCa = serde_json::from_value(sshd.ca()).unwrap();
    strange.key_file = Some(sshd.path("user"));
    let of_another =
        Wanted { host: "web-1".into(), about: "INC-7/3 check_system_resources (resources)".into(), request: wanted.clone(), now };
    let by_another = Authority::open(&strange).unwrap().grant(&of_another, &sshd.grants()).unwrap();
    denied(&sshd.ssh(&sshd.keep(&by_another), &[], "", &wanted));
    denied(&sshd.ssh(&sshd.path("user"), &[], "", &wanted));
    let log = sshd.log();
    for reason in ["expired", "not yet valid", "authorized principal", "not from a permitted source address (127.0.0.2)"] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
}

#[tokio::test]
async fn a_host_can_insist_on_grants() {
    let sshd = Sshd::with_hand(&format!("{ALLOWED}require_grant: true\n"));
    let error = sshd.known(Default::default()).fleet.resources(&host("web-1"), &ResourceCheck::ALL).await.unwrap_err();
    assert!(matches!(error, ReachError::Refused { .. }) && error.to_string().contains("expected a certificate"), "{error}");
}

/// A real ssh-agent, ended with the test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_authoritys_key_may_stay_in_an_agent() {
    let sshd = Sshd::with_grants(ALLOWED);
    let socket = sshd.path("agent");
    let _agent = Agent(Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap());
    until("the agent listens", async || socket.exists()).await;
    let add = |args: &[&str]| {
        let mut add = Command::new("ssh-add");
        assert!(add.args(args).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null()).status().unwrap().success(), "ssh-add {args:?}");
    };
    add(&[sshd.path("ca").to_str().unwrap()]);
    fs::rename(sshd.path("ca"), sshd.path("taken-away")).unwrap();
    let mut ca = sshd.ca();
    ca.as_object_mut().unwrap().remove("key_file");
    ca["agent_socket"] = json!(socket);
    ca["public_key_file"] = json!(sshd.path("ca.pub"));
    let known = sshd.known_by(ca);
    let fleet = known.fleet.on_behalf("INC-8/3 check_system_resources");
    fleet.resources(&host("web-1"), &ResourceCheck::ALL).await.unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()));
    assert_eq!(sshd.issued().len(), 1);

    add(&["-D"]);
    let error = fleet.resources(&host("web-1"), &ResourceCheck::ALL).await.unwrap_err();
    assert!(matches!(error, ReachError::Unreachable { .. }) && error.to_string().contains("it does not sign with SHA256:"), "{error}");
    drop(_agent);
    let error = fleet.resources(&host("web-1"), &ResourceCheck::ALL).await.unwrap_err();
    assert!(error.to_string().contains("no certificate: the agent at ") && !error.maybe_done(), "{error}");
    assert_eq!(sshd.issued().len(), 1, "what was not signed was not issued");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_written_down_is_not_used() {
    let sshd = Sshd::with_grants(ALLOWED);
    let known = sshd.known(Default::default());
    fs::create_dir_all(sshd.path("run/grants.log")).unwrap();
    let error = known.fleet.resources(&host("web-1"), &ResourceCheck::ALL).await.unwrap_err();
    assert!(error.to_string().contains("grants.log") && !sshd.log().contains("Accepted"), "{error}");
    fs::remove_dir(sshd.path("run/grants.log")).unwrap();
}

#[test]
fn an_authority_that_is_not_fit_to_sign_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path()).unwrap();
    fs::write(folder.path().join("paramedic.yaml"), "mode: auto\n").unwrap();
    let key = |name: &str, args: &[&str]| {
        let path = folder.path().join(name);
        assert!(Command::new("ssh-keygen").args(["-q", "-f"]).arg(&path).args(args).status().unwrap().success());
        path
    };
    let (good, open) = (key("good", &["-t", "ed25519", "-N", ""]), key("open", &["-t", "ed25519", "-N", ""]));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o640)).unwrap();
    let (locked, ecdsa) = (key("locked", &["-t", "ed25519", "-N", "a word"]), key("ecdsa", &["-t", "ecdsa", "-N", ""]));
    let complaints = |ca: &str| {
        let ssh = "{ address: 10.0.0.1, user: paramedic, known_hosts_file: /k }";
        let text = format!("ssh_ca: {ca}\nhosts: [{{ name: web-1, reach: {{ ssh: {ssh} }} }}]\n");
        fs::write(folder.path().join("services.yaml"), text).unwrap();
        match Config::load(&folder.path().join("paramedic.yaml"), &Overrides::default(), &|_| None) {
            Ok(_) => "none".to_owned(),
            Err(complaints) => complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    };
    let with = |more: &str| complaints(&format!("{{ key_file: {}, source_address: [10.0.0.5] {more} }}", good.display()));
    assert_eq!(with(""), "none");
    let file = |path: &Path| complaints(&format!("{{ key_file: {}, source_address: [10.0.0.5] }}", path.display()));
    let cases = [
        (complaints("null"), "expected key_file here, or ssh_ca for certificates"),
        (complaints("{ source_address: [10.0.0.5] }"), "expected either key_file, or agent_socket and public_key_file"),
        (complaints(&format!("{{ key_file: {}, source_address: [] }}", good.display())), "expected at least one address"),
        (complaints(&format!("{{ key_file: {} }}", good.display())), "missing field `source_address`"),
        (
            complaints(&format!("{{ key_file: {}, source_address: [office] }}", good.display())),
            "`office`: expected an address or a network",
        ),
        (complaints(&format!("{{ key_file: {}, source_address: ['10.0.0.0/0'] }}", good.display())), "expected an address or a network"),
        (with(", principal: ''"), "an empty one would open everything"),
        (with(", principal: 'a,b'"), "expected a name without blanks, commas"),
        (with(", minutes: 61"), "expected 1 to 60"),
        (with(", hand: 'paramedic hand'"), "expected the command's absolute path"),
        (file(&open), "others may read it (mode 640"),
        (file(&locked), "it has a passphrase"),
        (file(&ecdsa), "expected an"),
        (file(&folder.path().join("nowhere")), "nowhere"),
    ];
    for (told, wanted) in cases {
        assert!(told.contains(wanted) && told.contains("services.yaml:"), "expected `{wanted}`, got `{told}`");
    }
}

/// Certificates come from an authority that a test configures, and each test that does has an `Sshd` that reads what was issued.
#[test]
fn no_test_issues_a_certificate_that_is_not_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let naming = |word: &str| {
        let (mut folders, mut found) = (vec![root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if fs::read_to_string(&path).is_ok_and(|text| text.contains(word)) {
                    found.push(path.file_name().unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    };
    assert_eq!(naming(concat!("/usr/sbin/", "sshd")), ["sshd.rs"], "SSH is spoken in one place");
    assert_eq!(naming(concat!("ssh", "_ca")), ["grants.rs", "sshd.rs"], "an authority is configured there, and here where none is used");
    assert_eq!(naming(concat!("Authority::", "open")), ["grants.rs"]);
}
