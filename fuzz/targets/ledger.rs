//! The ledger's formats: checkpoints, keys, tiles, bundles, proofs, exported lines, requests to a witness. There is one spelling of each
//! thing, nothing unsigned is believed, and no proof holds by chance.

use super::Target;
use paramedic::domain::IncidentId;
use paramedic::ledger::{
    AddCheckpoint, Checkpoint, CosignerKey, Hash, InclusionProof, Leaf, LogKey, PublicLogKey, PublicWitnessKey, Published, Question,
    Signed, TileId, add_cosignatures, check_consistency, check_inclusion, export_line, find, hash_of, is_origin, judge, leaf_hash,
    new_private_key, one_line, read_bundle, read_export_line, write_bundle,
};
use std::collections::HashMap;
use std::sync::LazyLock;

pub const TARGET: Target = Target {
    name: "ledger",
    check,
    seeds,
    words: &[
        "c2sp.org/tlog-proof@v1\n",
        "extra ",
        "index ",
        "\n\n",
        "old ",
        "tile/0/",
        "tile/entries/",
        "x001/",
        "000",
        ".p/",
        "256",
        "— ",
        "— paramedic/fuzz ",
        "paramedic/fuzz\n",
        "{\"index\":",
        ",\"incident\":\"INC-",
        "\",\"seq\":",
        ",\"at\":",
        ",\"entry\":{",
        "}}",
        "PRIVATE+KEY+",
        "9223372036854775807",
        "18446744073709551615",
        "1152921504606846976",
        "=",
        "AAAA",
    ],
    longest: 2048,
};

const ORIGIN: &str = "paramedic/fuzz";
const WITNESS: &str = "witness.example/w1";

struct Keys {
    log: LogKey,
    public: PublicLogKey,
    witness: CosignerKey,
    known: PublicWitnessKey,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let log = LogKey::parse(&new_private_key(ORIGIN, &[1; 32])).unwrap();
    let public = PublicLogKey::parse(log.public()).unwrap();
    let witness = CosignerKey::parse(&new_private_key(WITNESS, &[2; 32])).unwrap();
    let known = PublicWitnessKey::parse(&witness.public()).unwrap();
    Keys { log, public, witness, known }
});

fn check(bytes: &[u8]) {
    note(bytes);
    bundle(bytes);
    arithmetic(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        paths_and_lines(text);
        keys(text);
        found_again(text);
        proof(text);
        signed(text);
    }
}

/// Nobody without the key made this: it opens only if it is a note that was signed with it.
fn note(bytes: &[u8]) {
    if let Ok(opened) = Signed::open(bytes, &KEYS.public, std::slice::from_ref(&KEYS.known)) {
        let genuine = genuine();
        assert_eq!(opened.checkpoint, genuine.checkpoint, "a forged checkpoint was opened");
        assert_eq!(opened.note.as_bytes(), bytes);
        assert!(opened.text().starts_with(&opened.checkpoint.text()));
    }
    let cosigned = add_cosignatures(&genuine(), bytes, &KEYS.public, &KEYS.known);
    if let Ok(cosigned) = cosigned {
        assert_eq!(cosigned.checkpoint, genuine().checkpoint);
        assert_eq!(cosigned.witnesses, [WITNESS]);
    }
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        assert_eq!(request.render().as_bytes(), bytes, "a request has two spellings");
        if let Ok(signed) = judge(&request, &KEYS.public, None) {
            assert_eq!(signed.checkpoint, genuine().checkpoint, "a forged checkpoint was co-signed");
        }
    }
}

fn genuine() -> Signed {
    static SIGNED: LazyLock<Signed> = LazyLock::new(|| checkpoint(ORIGIN, 42).sign(&KEYS.log).unwrap());
    SIGNED.clone()
}

fn checkpoint(origin: &str, size: u64) -> Checkpoint {
    Checkpoint { origin: origin.into(), size, root: Hash([9; 32]) }
}

/// Whatever can be said of a log can be signed and opens as the same.
fn signed(text: &str) {
    let (size, root) = number_and_hash(text.as_bytes());
    let said = Checkpoint { origin: ORIGIN.into(), size, root };
    match said.clone().sign(&KEYS.log) {
        Ok(signed) => {
            let opened = Signed::open(signed.note.as_bytes(), &KEYS.public, &[]).expect("what was just signed opens");
            assert_eq!((opened.checkpoint, opened.note.clone()), (said, signed.note));
            assert_eq!(find(&one_line(&opened.note), ORIGIN), [opened.note]);
        }
        Err(e) => panic!("{said:?} cannot be signed: {e}"),
    }
}

fn number_and_hash(bytes: &[u8]) -> (u64, Hash) {
    let mut number = [0; 8];
    let length = bytes.len().min(8);
    number[..length].copy_from_slice(&bytes[..length]);
    (u64::from_le_bytes(number) >> 1, leaf_hash(bytes))
}

fn bundle(bytes: &[u8]) {
    if let Some(leaves) = read_bundle(bytes) {
        assert_eq!(write_bundle(leaves.iter().copied()).as_deref(), Some(bytes), "a bundle has two spellings");
    }
    let (size, root) = number_and_hash(bytes);
    let size = size % 600;
    let mut published = Published::new(Checkpoint { origin: ORIGIN.into(), size, root });
    for _ in 0..4 {
        let wanted = published.wants().len();
        let middle = bytes.len() / 2;
        let halves = [bytes[..middle].to_vec(), bytes[middle..].to_vec()];
        let files: Vec<Vec<u8>> = halves.into_iter().cycle().take(wanted).collect();
        if wanted == 0 || published.give(&files).is_err() {
            break;
        }
    }
    assert!(published.finish().is_err(), "bytes by chance are the log of a root");
}

/// Places in trees, as large as numbers go.
fn arithmetic(bytes: &[u8]) {
    let numbers: Vec<u64> = bytes.chunks_exact(8).take(3).map(|eight| u64::from_be_bytes(eight.try_into().unwrap())).collect();
    let [a, b, c] = numbers[..] else { return };
    let hashes: Vec<Hash> = bytes[24..].chunks_exact(32).take(70).filter_map(hash_of).collect();
    let root = leaf_hash(bytes);
    assert!(check_inclusion(&hashes, b, root, a, leaf_hash(b"x")).is_err(), "a proof holds by chance");
    let consistent = check_consistency(&hashes, (a, leaf_hash(b"old")), (b, root)).is_ok();
    assert!(!consistent || (a == 0 && hashes.is_empty()), "a proof of growth holds by chance");
    for question in [Question::Inclusion { index: a, size: b }, Question::Consistency { old: a, size: b }] {
        if let Ok(tiles) = question.tiles() {
            tiles.iter().for_each(spelled_once);
            let filled = tiles.iter().map(|tile| ((tile.level, tile.index), vec![7; usize::from(tile.width) * 32])).collect();
            let answer = question.answer(&filled).expect("every tile that was asked for is there");
            assert!(answer.len() <= 63, "{question:?}");
            assert!(tiles.is_empty() || question.answer(&HashMap::new()).is_err(), "{question:?} is answered without its tiles");
        }
    }
    let tile = TileId { level: (c % 64) as u8, index: a, width: 1 + (c >> 8) as u16 % 256 };
    spelled_once(&tile);
    let _ = tile.end();
}

fn spelled_once(tile: &TileId) {
    assert_eq!(TileId::parse(&tile.to_string()).as_ref(), Ok(&(*tile, false)));
    let entries = TileId { level: 0, ..*tile };
    assert_eq!(TileId::parse(&entries.entries_path()), Ok((entries, true)));
}

fn paths_and_lines(text: &str) {
    if let Ok((tile, entries)) = TileId::parse(text) {
        assert_eq!(if entries { tile.entries_path() } else { tile.to_string() }, text, "a tile has two paths");
    }
    if let Some(leaf) = read_export_line(text) {
        assert_eq!(export_line(&leaf), text, "an entry has two lines");
        let canonical: serde_json::Value = serde_json::from_slice(&leaf.bytes()).expect("a leaf is JSON");
        assert_eq!(canonical["index"], leaf.index);
    }
    let (index, _) = number_and_hash(text.as_bytes());
    let entry = format!("{{{}}}", text.replace('\n', " "));
    let leaf = Leaf { index, incident: IncidentId(3), seq: 4, at: 5, entry: &entry };
    assert_eq!(read_export_line(&export_line(&leaf)), Some(leaf), "an exported line does not read back");
}

fn keys(text: &str) {
    if let Ok(key) = LogKey::parse(text) {
        let public = PublicLogKey::parse(key.public()).expect("the public half of a key");
        assert_eq!(public.name(), key.name());
        let signed = checkpoint(key.name(), 1).sign(&key).expect("a key signs");
        Signed::open(signed.note.as_bytes(), &public, &[]).expect("what a key signed opens");
    }
    if let Ok(key) = CosignerKey::parse(text) {
        PublicWitnessKey::parse(&key.public()).expect("the public half of a witness's key");
    }
    let _ = PublicWitnessKey::parse(text);
    if let Ok(key) = PublicLogKey::parse(text) {
        assert!(PublicLogKey::parse(key.vkey()).is_ok());
    }
    if is_origin(text) {
        let key = LogKey::parse(&new_private_key(text, &[3; 32])).expect("a name that is allowed makes a key");
        assert_eq!(key.name(), text);
    }
}

/// What is found in a text is found in itself, and is a note of this log.
fn found_again(text: &str) {
    for note in find(text, ORIGIN) {
        assert!(note.starts_with(&format!("{ORIGIN}\n")) && note.contains("\n\n— "), "{note:?}");
        assert!(find(&note, ORIGIN).contains(&note), "{note:?}");
        assert!(find(&one_line(&note), ORIGIN).contains(&note), "{note:?}");
    }
}

fn proof(text: &str) {
    if let Ok(proof) = InclusionProof::parse(text) {
        assert_eq!(proof.render(), text, "a proof file has two spellings");
        let holds = check_inclusion(&proof.hashes, 42, Hash([9; 32]), proof.index, leaf_hash(&proof.extra));
        assert!(holds.is_err(), "a proof holds by chance");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let genuine = genuine();
    let cosignature = KEYS.witness.cosign(genuine.checkpoint.text().as_bytes(), 1_780_000_000);
    let proof = |extra: &[u8], hashes: usize| {
        let note = genuine.note.clone();
        InclusionProof { extra: extra.to_vec(), index: 7, hashes: vec![Hash([3; 32]); hashes], note }.render()
    };
    let leaf = Leaf { index: 17, incident: IncidentId(3), seq: 4, at: 1_780_000_000_000, entry: r#"{"kind":"escalated","why":"a } b"}"# };
    let texts = [
        genuine.note.clone(),
        format!("{}{cosignature}", genuine.note),
        format!("Nov 20 09:41:00 host paramedic[7]: {}\n> {}", one_line(&genuine.note), genuine.note.replace('\n', "\n> ")),
        cosignature,
        proof(b"leaf", 2),
        proof(b"", 0),
        AddCheckpoint { old: 3, proof: vec![Hash([3; 32]); 2], note: genuine.note.clone() }.render(),
        export_line(&leaf),
        "tile/4/x001/x234/067.p/8".to_owned(),
        "tile/entries/000".to_owned(),
        new_private_key("other/log", &[4; 32]),
        KEYS.log.public().to_owned(),
        KEYS.witness.public(),
    ];
    let numbers = [[7_u64, 600, 259], [600, 1 << 60, u64::MAX], [0, 1, 0], [u64::MAX, u64::MAX, 63]];
    let numbers = numbers.map(|three| three.iter().flat_map(|n| n.to_be_bytes()).chain([5; 64]).collect());
    let bundle = write_bundle([&b"one"[..], &leaf.bytes(), b""]).unwrap();
    texts.into_iter().map(String::into_bytes).chain(numbers).chain([bundle]).collect()
}
