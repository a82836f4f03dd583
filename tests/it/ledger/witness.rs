//! The witness role over HTTP, as C2SP's tlog-witness has it: each refusal by its status, and never two heads that do not agree,
//! also after a restart.

use super::python::python;
use paramedic::domain::SystemClock;
use paramedic::http::serve_witness;
use paramedic::ledger::{
    AddCheckpoint, Checkpoint, CosignerKey, Hash, LogKey, PublicLogKey, PublicWitnessKey, Question, Signed, TileBytes, Tree, leaf_hash,
    new_private_key,
};
use paramedic::witness::Witness;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const ORIGIN: &str = "paramedic.example/watched";

/// A log that only this test writes.
struct Log {
    key: LogKey,
    leaves: Vec<Hash>,
}

impl Log {
    fn new(entries: &[&str]) -> Self {
        let key = LogKey::parse(&new_private_key(ORIGIN, &[5; 32])).unwrap();
        Self { key, leaves: entries.iter().map(|entry| leaf_hash(entry.as_bytes())).collect() }
    }

    fn signed(&self, size: usize) -> Signed {
        let mut tree = Tree::default();
        self.leaves[..size].iter().for_each(|leaf| tree.push(*leaf, &mut |_| {}));
        Checkpoint { origin: ORIGIN.into(), size: size as u64, root: tree.root() }.sign(&self.key).unwrap()
    }

    fn request(&self, old: usize, size: usize) -> AddCheckpoint {
        let mut tree = Tree::default();
        self.leaves[..size].iter().for_each(|leaf| tree.push(*leaf, &mut |_| {}));
        let tiles: TileBytes = tree.partial().into_iter().map(|tile| ((tile.id.level, tile.id.index), tile.bytes)).collect();
        let proof = Question::Consistency { old: old as u64, size: size as u64 }.answer(&tiles).unwrap();
        AddCheckpoint { old: old as u64, proof, note: self.signed(size).note }
    }
}

/// A witness on a port of its own.
struct Stand {
    url: String,
    key: String,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    http: reqwest::Client,
}

impl Stand {
    async fn start(state: &Path) -> Self {
        let cosigner = CosignerKey::parse(&new_private_key("witness.example/w1", &[6; 32])).unwrap();
        let key = cosigner.public();
        let log = PublicLogKey::parse(Log::new(&[]).key.public()).unwrap();
        let witness = Arc::new(Witness::open(state, cosigner, vec![log]).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve_witness(listener, witness, Arc::new(SystemClock), stop.clone()));
        Self { url, key, stop, serving, http: paramedic::clients::http::client(Duration::from_secs(20)).unwrap() }
    }

    async fn post(&self, body: String) -> (u16, String, String) {
        let answer = self.http.post(format!("{}/add-checkpoint", self.url)).header("connection", "close").body(body).send().await.unwrap();
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    }

    async fn ask(&self, request: &AddCheckpoint) -> (u16, String) {
        let (status, _, text) = self.post(request.render()).await;
        (status, text)
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_only_grows_is_cosigned_and_each_refusal_has_its_status() {
    let state = tempfile::tempdir().unwrap();
    let stand = Stand::start(state.path()).await;
    let log = Log::new(&["one", "two", "three", "four", "five"]);
    let (status, line) = stand.ask(&log.request(0, 2)).await;
    assert!(status == 200 && line.starts_with("— witness.example/w1 ") && line.ends_with('\n'), "{status} {line}");

    // Both implementations take it for a cosignature of this checkpoint.
    let note = format!("{}{line}", log.signed(2).note);
    let (public, witness) = (PublicLogKey::parse(log.key.public()).unwrap(), PublicWitnessKey::parse(&stand.key).unwrap());
    assert_eq!(Signed::open(note.as_bytes(), &public, &[witness]).unwrap().witnesses, ["witness.example/w1"]);
    let file = state.path().join("note");
    std::fs::write(&file, &note).unwrap();
    let (fine, said) = python(&["cosigned", file.to_str().unwrap(), log.key.public(), &stand.key]);
    assert!(fine && said.starts_with("ok: 2 entries, co-signed at 1"), "{said}");
    std::fs::write(&file, note.replacen("\n2\n", "\n3\n", 1)).unwrap();
    assert!(!python(&["cosigned", file.to_str().unwrap(), log.key.public(), &stand.key]).0);

    let refused = [
        (AddCheckpoint { old: 0, ..log.request(2, 4) }, 409, "2\n"),
        (log.request(3, 4), 409, "2\n"),
        (log.request(5, 5), 409, "2\n"),
        (AddCheckpoint { old: 2, ..log.request(0, 1) }, 400, "the old size is larger than the checkpoint's\n"),
        (AddCheckpoint { proof: Vec::new(), ..log.request(2, 5) }, 422, "the consistency proof does not hold\n"),
        (AddCheckpoint { proof: vec![Hash([0; 32])], ..log.request(2, 2) }, 422, "the consistency proof does not hold\n"),
    ];
    for (request, status, said) in refused {
        assert_eq!(stand.ask(&request).await, (status, said.to_owned()), "{request:?}");
    }
    let (status, kind, text) = stand.post(AddCheckpoint { old: 1, ..log.request(2, 4) }.render()).await;
    assert_eq!((status, kind.as_str(), text.as_str()), (409, "text/x.tlog.size", "2\n"));
    let good = log.request(2, 4).render();
    for (body, status) in [
        (String::new(), 400),
        ("old 2".into(), 400),
        (good.replace("old 2", "old 02"), 400),
        (good.replace("old 2", "old -2"), 400),
        (good.replacen("\n\n", "\n", 1), 400),
        (good.replace("— ", "- "), 400),
        (good.replace(ORIGIN, "another.example/log"), 404),
        (good.replacen("\n4\n", "\n5\n", 1), 403),
        ("x".repeat(70_000), 413),
    ] {
        assert_eq!(stand.post(body.clone()).await.0, status, "{body}");
    }
    assert_eq!(stand.ask(&log.request(2, 2)).await.0, 200, "the same again is no harm");
    assert_eq!(stand.ask(&log.request(2, 5)).await.0, 200);
    stand.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_refused_whatever_happens_in_between() {
    let state = tempfile::tempdir().unwrap();
    let stand = Stand::start(state.path()).await;
    let log = Log::new(&["one", "two", "three", "four", "five"]);
    let forked = Log::new(&["one", "two", "3", "four", "five", "six"]);
    assert_eq!(stand.ask(&log.request(0, 3)).await.0, 200);
    for round in 0..2 {
        assert_eq!(stand.ask(&forked.request(3, 3)).await, (409, "3\n".into()), "same size, another root; round {round}");
        assert_eq!(stand.ask(&forked.request(3, 6)).await.0, 422);
        assert_eq!(stand.ask(&forked.request(0, 6)).await, (409, "3\n".into()));
        assert_eq!(stand.ask(&log.request(1, 2)).await, (409, "3\n".into()), "set back");
        if round == 0 {
            let again = Witness::open(state.path(), CosignerKey::parse(&new_private_key("w", &[6; 32])).unwrap(), Vec::new());
            assert!(again.unwrap_err().to_string().contains("is used by another paramedic witness"));
        }
    }
    stand.end().await;
    let stand = Stand::start(state.path()).await;
    assert_eq!(stand.ask(&forked.request(3, 6)).await.0, 422, "a restart forgets nothing");
    assert_eq!(stand.ask(&log.request(3, 4)).await.0, 200);
    stand.end().await;

    // What it remembers is never taken for nothing.
    let kept = std::fs::read_dir(state.path()).unwrap().map(|file| file.unwrap().path());
    let kept = kept.into_iter().find(|path| path.extension().is_some_and(|end| end == "checkpoint")).unwrap();
    std::fs::write(&kept, "").unwrap();
    let log = PublicLogKey::parse(log.key.public()).unwrap();
    let opened = Witness::open(state.path(), CosignerKey::parse(&new_private_key("w", &[6; 32])).unwrap(), vec![log]);
    assert!(opened.unwrap_err().to_string().contains("is not readable"));
}

/// Many requests at once, of which at most one a size can be right: afterwards the newest is what it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_at_once_never_set_it_back() {
    let state = tempfile::tempdir().unwrap();
    let stand = Stand::start(state.path()).await;
    let entries: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let log = Log::new(&entries.iter().map(String::as_str).collect::<Vec<_>>());
    let mut seen = 0;
    while seen < 40 {
        let asked = (seen + 1..=40.min(seen + 8)).map(|size| log.request(seen, size));
        let requests: Vec<AddCheckpoint> = asked.collect();
        let answers = futures::future::join_all(requests.iter().map(|request| stand.ask(request))).await;
        let cosigned: Vec<u64> =
            answers.iter().zip(seen as u64 + 1..).filter(|((status, _), _)| *status == 200).map(|(_, size)| size).collect();
        assert_eq!(cosigned.len(), 1, "{answers:?}");
        seen = usize::try_from(cosigned[0]).unwrap();
        assert_eq!(stand.ask(&log.request(0, 40)).await.1, format!("{seen}\n"));
    }
    stand.end().await;
}
