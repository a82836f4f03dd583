//! A real sshd on loopback with the real hand behind it: the one place of the tests where SSH is spoken. When it goes, it reads every
//! certificate that was issued in it.

use super::{Known, need};
use chrono::DateTime;
use paramedic::clients::fleet::Limits;
use paramedic::clients::fleet::grant::Record;
use serde_json::{Value, json};
use ssh_key::certificate::CertType;
use ssh_key::{Certificate, HashAlg, PublicKey};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub const PARAMEDIC: &str = env!("CARGO_BIN_EXE_paramedic");

pub const ALLOWED: &str = "units:\n  api-gateway.service: [status]\nlog_roots: [DIR/logs]\nresources: true\n";

/// Certificates last this long, and a minute backwards.
const LASTS: u64 = 5 * 60;
const BEFORE: u64 = 60;

/// Whom sshd lets in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The one key in `authorized_keys`.
    Key,
    /// Certificates of the authority `ca`, for the host web-1.
    Grants,
}

/// A real sshd that runs `command` and nothing else, for one key or for certificates.
pub struct Sshd {
    dir: tempfile::TempDir,
    pub port: u16,
    server: Child,
    door: Door,
}

impl Sshd {
    /// For the key, with this forced command.
    pub fn start(command: impl FnOnce(&Path) -> String) -> Self {
        Self::open(Door::Key, command)
    }

    fn open(door: Door, command: impl FnOnce(&Path) -> String) -> Self {
        need("/usr/sbin/sshd", "openssh-server");
        need("/usr/bin/ssh", "openssh-client");
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        // sshd as root wants this folder; a package's service makes it.
        let _ = fs::create_dir_all("/run/sshd");
        for key in ["host", "user", "ca"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at.join(key)).status().unwrap();
            assert!(made.success());
        }
        let public = fs::read_to_string(at.join("user.pub")).unwrap();
        let forced = command(at).replace('"', "\\\"");
        let key = if door == Door::Key { format!("restrict,command=\"{forced}\" {public}") } else { String::new() };
        fs::write(at.join("authorized_keys"), key).unwrap();
        fs::write(at.join("principals"), "paramedic-web-1\n").unwrap();
        let trust = match door {
            Door::Key => String::new(),
            Door::Grants => {
                format!("TrustedUserCAKeys {0}/ca.pub\nAuthorizedPrincipalsFile {0}/principals\nLogLevel VERBOSE\n", at.display())
            }
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let known = fs::read_to_string(at.join("host.pub")).unwrap();
        fs::write(at.join("known_hosts"), format!("[127.0.0.1]:{port} {known}")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n{trust}",
            at.display()
        );
        fs::write(at.join("sshd_config"), config).unwrap();
        let log = File::create(at.join("sshd.log")).unwrap();
        let server = Command::new("/usr/sbin/sshd").args(["-D", "-e", "-f"]).arg(at.join("sshd_config")).stderr(log).spawn().unwrap();
        let sshd = Self { dir, port, server, door };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "sshd does not listen: {}", sshd.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        sshd
    }

    /// With the real hand and this allow-list; `DIR` in it is the test's folder.
    pub fn with_hand(allow_list: &str) -> Self {
        Self::open(Door::Key, |dir| hand(dir, allow_list))
    }

    /// The same for certificates, of which each one is a command of its own.
    pub fn with_grants(allow_list: &str) -> Self {
        Self::open(Door::Grants, |dir| hand(dir, &format!("{allow_list}require_grant: true\nused_grants: DIR/used\n")))
    }

    /// The authority and the terms, as `services.yaml` has them.
    pub fn ca(&self) -> Value {
        let hand = format!("{PARAMEDIC} hand --config {}", self.path("hand.yaml").display());
        json!({ "key_file": self.path("ca"), "source_address": ["127.0.0.1/32", "10.0.0.0/8"], "hand": hand })
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("sshd.log")).unwrap()
    }

    pub fn known(&self, limits: Limits) -> Known {
        self.known_with(self.port, &self.path("known_hosts"), "api-gateway.service", limits)
    }

    pub fn known_with(&self, port: u16, known_hosts: &Path, unit: &str, limits: Limits) -> Known {
        self.known_of(port, known_hosts, unit, limits, self.ca())
    }

    /// With another authority.
    pub fn known_by(&self, ca: Value) -> Known {
        self.known_of(self.port, &self.path("known_hosts"), "api-gateway.service", Limits::default(), ca)
    }

    fn known_of(&self, port: u16, known_hosts: &Path, unit: &str, limits: Limits, ca: Value) -> Known {
        Known::new(self.inventory(port, known_hosts, unit, ca), self.dir.path(), limits)
    }

    /// One host, one service on it.
    pub fn inventory(&self, port: u16, known_hosts: &Path, unit: &str, ca: Value) -> Value {
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        let mut reach = json!({"ssh": { "address": "127.0.0.1", "port": port, "user": user.trim(), "known_hosts_file": known_hosts }});
        if self.door == Door::Key {
            reach["ssh"]["key_file"] = json!(self.path("user"));
        }
        let mut inventory = json!({
            "hosts": [{"name": "web-1", "reach": reach, "log_roots": [self.path("logs"), self.path("other-logs")]}],
            "services": [{"name": "api", "hosts": ["web-1"], "reach": {"systemd": {"unit": unit}}}]
        });
        if self.door == Door::Grants {
            inventory["ssh_ca"] = ca;
        }
        inventory
    }

    /// Where every certificate is written down.
    pub fn grants(&self) -> PathBuf {
        self.path("run/grants.log")
    }

    pub fn issued(&self) -> Vec<Record> {
        let log = fs::read_to_string(self.grants()).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// One principal, minutes, one command for one request, a source, nothing more; signed by an authority of this place. Read twice: here
    /// and by OpenSSH.
    fn audit(&self, record: &Record) {
        let certificate = Certificate::from_openssh(&record.certificate).unwrap();
        let authorities = ["ca.pub", "user.pub"].map(|name| PublicKey::read_openssh_file(&self.path(name)).unwrap());
        let fingerprints = authorities.map(|key| key.fingerprint(HashAlg::Sha256));
        let at = u64::try_from(DateTime::parse_from_rfc3339(&record.at).unwrap().timestamp()).unwrap();
        certificate.validate_at(at, &fingerprints).unwrap();
        assert_eq!(certificate.cert_type(), CertType::User);
        assert_eq!(certificate.valid_principals(), [format!("paramedic-{}", record.host)]);
        assert!(certificate.extensions().is_empty(), "{:?}", certificate.extensions());
        assert_eq!(
            (certificate.valid_after(), certificate.valid_before()),
            (at - BEFORE, at + LASTS),
            "minutes, from when it was asked for"
        );
        let options: Vec<(&str, &str)> = certificate.critical_options().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let [("force-command", command), ("source-address", source)] = options[..] else { panic!("{options:?}") };
        let terms = format!("{}:{}:{}", record.request, certificate.serial(), certificate.valid_before());
        assert_eq!(command, format!("{} --only {terms}", self.ca()["hand"].as_str().unwrap()));
        assert_eq!(source, "127.0.0.1/32,10.0.0.0/8");
        // What changes something has an entry of its own; a reading may be part of another's.
        let key_id = regex::Regex::new(
            r"^(INC-\d+/\d+ [a-z_]+ \((restart|start|clean) .+\)|(INC-\d+(/\d+)? [a-z_]+|unnamed) \((status|logs|resources)( .+)?\))$",
        )
        .unwrap();
        assert!(key_id.is_match(certificate.key_id()), "{}", certificate.key_id());
        assert_eq!((record.key_id.as_str(), record.serial), (certificate.key_id(), certificate.serial()));
        assert_eq!(record.request.len(), 64);
        self.is_read_by_openssh(record, command, source);
    }

    /// `ssh-keygen -L`, line by line: nothing may stand there that is not known of.
    fn is_read_by_openssh(&self, record: &Record, command: &str, source: &str) {
        let shown = self.shown(record);
        let lines: Vec<&str> = shown.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).collect();
        let [kind, key, signer, key_id, serial, valid, rest @ ..] = &lines[..] else { panic!("{shown}") };
        assert_eq!(*kind, "Type: ssh-ed25519-cert-v01@openssh.com user certificate");
        assert!(key.starts_with("Public key: ED25519-CERT SHA256:") && signer.starts_with("Signing CA: ED25519 SHA256:"), "{shown}");
        assert_eq!((*key_id, *serial), (&*format!("Key ID: \"{}\"", record.key_id), &*format!("Serial: {}", record.serial)));
        assert!(valid.starts_with("Valid: from ") && !valid.contains("forever"), "{shown}");
        let principal = format!("paramedic-{}", record.host);
        let (command, source) = (format!("force-command {command}"), format!("source-address {source}"));
        assert_eq!(rest, ["Principals:", &principal, "Critical Options:", &command, &source, "Extensions: (none)"], "{shown}");
    }

    pub fn shown(&self, record: &Record) -> String {
        let path = self.path("shown-cert.pub");
        fs::write(&path, &record.certificate).unwrap();
        let shown = Command::new("ssh-keygen").arg("-L").arg("-f").arg(path).env("TZ", "UTC").output().unwrap();
        assert!(shown.status.success(), "{shown:?}");
        String::from_utf8(shown.stdout).unwrap()
    }

    /// The certificates that somebody else, such as a server, wrote down for this host.
    pub fn audit_all(&self, log: &Path) -> Vec<Record> {
        let text = fs::read_to_string(log).unwrap();
        let issued: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        issued.iter().for_each(|record| self.audit(record));
        issued
    }

    /// Connections that are still open would have their folder here.
    pub fn open_connections(&self) -> usize {
        let entries = fs::read_dir(self.path("ssh")).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".ssh-connection")).count()
    }
}

impl Drop for Sshd {
    /// Every certificate that was issued for this host is read and held against what certificates may be, whatever the test was about.
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        if !std::thread::panicking() {
            let issued = self.issued();
            assert!(self.door == Door::Grants || issued.is_empty(), "a certificate where a key was to be used: {issued:?}");
            issued.iter().for_each(|record| self.audit(record));
            let serials: BTreeSet<u64> = issued.iter().map(|record| record.serial).collect();
            assert_eq!(serials.len(), issued.len(), "a number was given twice");
        }
    }
}

fn hand(dir: &Path, allow_list: &str) -> String {
    fs::create_dir(dir.join("logs")).unwrap();
    fs::write(dir.join("hand.yaml"), allow_list.replace("DIR", &dir.display().to_string())).unwrap();
    format!("{PARAMEDIC} hand --config {}/hand.yaml", dir.display())
}
