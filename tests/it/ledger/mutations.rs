//! A thousand random logs and a hundred thousand mutations of them, of their exports, proofs, tiles and checkpoints. What was not
//! changed is accepted, what was changed is not, and both implementations always agree.

use super::python::{Batch, Case};
use paramedic::domain::IncidentId;
use paramedic::ledger::{
    AddCheckpoint, Audit, Checkpoint, FullTile, InclusionProof, Leaf, LogKey, PublicLogKey, Published, Question, Row, Signed, TileBytes,
    Tree, check_inclusion, export_line, judge, leaf_hash, new_private_key, read_export_line, write_bundle,
};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};

const LOGS: usize = 1_000;
const MUTATIONS: usize = 104;
const ORIGIN: &str = "paramedic.example.com/mutations";

/// SplitMix64: small, and the same everywhere for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }
}

/// A log with everything that is ever shown of it.
struct Log {
    lines: Vec<String>,
    old: Signed,
    new: Signed,
    tiles: Vec<FullTile>,
    key: PublicLogKey,
}

impl Log {
    fn random(dice: &mut Dice) -> Self {
        let size = match dice.below(100) {
            0 => 250 + dice.below(300),
            1..10 => 20 + dice.below(40),
            _ => 1 + dice.below(20),
        };
        let key = LogKey::parse(&new_private_key(ORIGIN, &std::array::from_fn(|_| dice.next() as u8))).unwrap();
        let before = 1 + dice.below(size);
        let (mut tree, mut tiles, mut lines, mut old) = (Tree::default(), Vec::new(), Vec::new(), None);
        for index in 0..size {
            let entry = entry(dice);
            let (incident, seq) = (IncidentId(1 + dice.below(9) as i64), 1 + dice.below(40) as i64);
            let leaf = Leaf { index: index as u64, incident, seq, at: 1_780_000_000_000 + dice.below(1 << 30) as i64, entry: &entry };
            lines.push(export_line(&leaf));
            tree.push(leaf.hash(), &mut |tile| tiles.push(tile));
            if index + 1 == before {
                old = Some(head(&tree).sign(&key).unwrap());
            }
        }
        tiles.extend(tree.partial());
        let public = PublicLogKey::parse(key.public()).unwrap();
        Self { lines, old: old.unwrap(), new: head(&tree).sign(&key).unwrap(), tiles, key: public }
    }

    fn leaf(&self, index: usize) -> Leaf<'_> {
        read_export_line(&self.lines[index]).unwrap()
    }

    fn answer(&self, question: Question) -> Vec<paramedic::ledger::Hash> {
        let tiles: TileBytes = self.tiles.iter().map(|tile| ((tile.id.level, tile.id.index), tile.bytes.clone())).collect();
        question.answer(&tiles).unwrap()
    }

    fn export(&self) -> Case {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        Case { kind: b'E', parts: vec![text.into_bytes(), self.new.note.clone().into_bytes()] }
    }

    fn proof(&self, index: usize, extra: bool) -> Case {
        let (leaf, size) = (self.leaf(index), self.lines.len() as u64);
        let hashes = self.answer(Question::Inclusion { index: index as u64, size });
        let extra = if extra { leaf.bytes() } else { Vec::new() };
        let proof = InclusionProof { extra, index: index as u64, hashes, note: self.new.note.clone() };
        Case { kind: b'P', parts: vec![proof.render().into_bytes(), self.lines[index].clone().into_bytes()] }
    }

    fn growth(&self) -> Case {
        let (old, size) = (self.old.checkpoint.size, self.new.checkpoint.size);
        let proof = self.answer(Question::Consistency { old, size });
        let request = AddCheckpoint { old, proof, note: self.new.note.clone() };
        Case { kind: b'C', parts: vec![self.old.note.clone().into_bytes(), request.render().into_bytes()] }
    }

    fn published(&self) -> Case {
        let mut parts = vec![b"checkpoint".to_vec(), self.new.note.clone().into_bytes()];
        for tile in &self.tiles {
            parts.extend([tile.id.to_string().into_bytes(), tile.bytes.clone()]);
            if tile.id.level == 0 {
                let first = usize::try_from(tile.id.index).unwrap() * 256;
                let leaves: Vec<_> = (first..first + usize::from(tile.id.width)).map(|index| self.leaf(index).bytes()).collect();
                let bundle = write_bundle(leaves.iter().map(Vec::as_slice)).unwrap();
                parts.extend([tile.id.entries_path().into_bytes(), bundle]);
            }
        }
        Case { kind: b'T', parts }
    }

    fn note(&self) -> Case {
        Case { kind: b'N', parts: vec![self.new.note.clone().into_bytes()] }
    }
}

fn head(tree: &Tree) -> Checkpoint {
    Checkpoint { origin: ORIGIN.into(), size: tree.size(), root: tree.root() }
}

fn entry(dice: &mut Dice) -> String {
    let words = ["escalated", "ψ \"quoted\"", "a } and {", "\u{1f691}", "\\", "", "restart_service", "\t"];
    let words: Vec<&str> = (0..dice.below(6)).map(|_| words[dice.below(words.len())]).collect();
    serde_json::json!({ "kind": "thought", "text": words.join(" "), "tokens": dice.below(5_000) }).to_string()
}

/// What this implementation says, with the functions that the commands and the witness use.
fn accepts(case: &Case, key: &PublicLogKey) -> bool {
    let parts: Vec<&[u8]> = case.parts.iter().map(Vec::as_slice).collect();
    match (case.kind, parts.as_slice()) {
        (b'N', [note]) => Signed::open(note, key, &[]).is_ok(),
        (b'E', [export, note]) => export_holds(export, note, key).is_some(),
        (b'P', [proof, line]) => proof_holds(proof, line, key).is_some(),
        (b'C', [old, request]) => growth_holds(old, request, key).is_some(),
        (b'T', files) => tiles_hold(files, key).is_some(),
        _ => panic!("no such case"),
    }
}

fn export_holds(export: &[u8], note: &[u8], key: &PublicLogKey) -> Option<()> {
    let signed = Signed::open(note, key, &[]).ok()?;
    let size = signed.checkpoint.size;
    let mut audit = Audit::against([(signed.checkpoint, String::new())]);
    let text = std::str::from_utf8(export).ok()?;
    for line in text.split_inclusive('\n') {
        let leaf = read_export_line(line.strip_suffix('\n')?)?;
        let row = Row { index: leaf.index, incident: leaf.incident, seq: leaf.seq, hash: leaf.hash(), logged: None };
        audit.take(&row, &mut |_| {}).ok()?;
    }
    let tree = audit.finish(None).ok()?;
    (tree.size() == size).then_some(())
}

fn proof_holds(proof: &[u8], line: &[u8], key: &PublicLogKey) -> Option<()> {
    let proof = InclusionProof::parse(std::str::from_utf8(proof).ok()?).ok()?;
    let signed = Signed::open(proof.note.as_bytes(), key, &[]).ok()?;
    let leaf = read_export_line(std::str::from_utf8(line).ok()?)?.bytes();
    if !proof.extra.is_empty() && proof.extra != leaf {
        return None;
    }
    let (size, root) = (signed.checkpoint.size, signed.checkpoint.root);
    check_inclusion(&proof.hashes, size, root, proof.index, leaf_hash(&leaf)).ok()
}

fn growth_holds(old: &[u8], request: &[u8], key: &PublicLogKey) -> Option<()> {
    let request = AddCheckpoint::parse(request).ok()?;
    let old = Signed::open(old, key, &[]).ok()?;
    judge(&request, key, Some(&old.checkpoint)).ok().map(drop)
}

fn tiles_hold(files: &[&[u8]], key: &PublicLogKey) -> Option<()> {
    let files: HashMap<&[u8], &[u8]> = files.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    let signed = Signed::open(files.get(&b"checkpoint"[..])?, key, &[]).ok()?;
    let mut published = Published::new(signed.checkpoint);
    loop {
        let wanted = published.wants();
        if wanted.is_empty() {
            return published.finish().ok().map(drop);
        }
        let given: Option<Vec<Vec<u8>>> = wanted.iter().map(|path| Some(files.get(path.as_bytes())?.to_vec())).collect();
        published.give(&given?).ok()?;
    }
}

/// A case that is not the one it came from.
fn mutated(case: &Case, dice: &mut Dice, spare: &Log) -> Case {
    loop {
        let mut other = case.clone();
        match case.kind {
            b'E' => change_lines(&mut other.parts[0], dice, spare),
            b'P' if dice.below(4) == 0 => change_bytes(&mut other.parts[1], dice, usize::MAX),
            b'P' | b'C' => change_request(other.parts.iter_mut().rfind(|part| holds_note(part)).unwrap(), dice),
            b'T' => change_files(&mut other.parts, dice),
            _ => change_bytes(&mut other.parts[0], dice, usize::MAX),
        }
        if other != *case {
            return other;
        }
    }
}

/// A proof or a request, which have a head and a note.
fn holds_note(part: &[u8]) -> bool {
    part.starts_with(b"c2sp.org/") || part.starts_with(b"old ")
}

/// Edits, drops, swaps, inserts and doubles lines; cuts the end off, or adds to it.
fn change_lines(text: &mut Vec<u8>, dice: &mut Dice, spare: &Log) {
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let (at, to) = (dice.below(lines.len()), dice.below(lines.len()));
    let foreign = || format!("{}\n", spare.lines[0]).into_bytes();
    match dice.below(9) {
        0 => drop(lines.remove(at)),
        1 => lines.swap(at, to),
        2 => lines.insert(at, lines[to].clone()),
        3 => lines.insert(at, foreign()),
        4 => lines.push(foreign()),
        5 => lines.truncate(at),
        6 => lines[at] = foreign(),
        _ => return change_bytes(text, dice, usize::MAX),
    }
    *text = lines.concat();
}

/// Flips a bit, removes, doubles or inserts a byte, or cuts, before `end`.
fn change_bytes(bytes: &mut Vec<u8>, dice: &mut Dice, end: usize) {
    let at = dice.below(bytes.len().min(end));
    match dice.below(8) {
        0 => drop(bytes.remove(at)),
        1 => bytes.insert(at, bytes[at]),
        2 => bytes.insert(at, dice.next() as u8),
        3 => bytes.truncate(at),
        4 => bytes[at] = b"0123456789 \n"[dice.below(12)],
        _ => bytes[at] ^= 1 << dice.below(8),
    }
}

/// The hashes and numbers of a proof; seldom its checkpoint, which costs a call of openssl.
fn change_request(text: &mut Vec<u8>, dice: &mut Dice) {
    let head = text.windows(2).position(|pair| pair == b"\n\n").unwrap();
    if dice.below(25) == 0 {
        return change_bytes(text, dice, usize::MAX);
    }
    let mut lines: Vec<Vec<u8>> = text[..head].split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let hashes: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].len() == 44 && lines[*n].ends_with(b"=")).collect();
    let (Some(at), Some(to)) = (hashes.get(dice.below(hashes.len())), hashes.get(dice.below(hashes.len()))) else {
        return change_bytes(text, dice, head);
    };
    match dice.below(6) {
        0 => drop(lines.remove(*at)),
        1 => lines.swap(*at, *to),
        2 => lines.insert(*at, lines[*to].clone()),
        _ => return change_bytes(text, dice, head),
    }
    let changed = [lines.join(&b'\n'), text[head..].to_vec()].concat();
    *text = changed;
}

/// One file other than the checkpoint: changed, lost, or with another one's content.
fn change_files(parts: &mut Vec<Vec<u8>>, dice: &mut Dice) {
    let files = parts.len() / 2 - 1;
    let (at, to) = (2 * (1 + dice.below(files)) + 1, 2 * (1 + dice.below(files)) + 1);
    match dice.below(6) {
        0 => drop(parts.drain(at - 1..=at)),
        1 => parts.swap(at, to),
        2 => parts[at].clear(),
        _ => change_bytes(&mut parts[at], dice, usize::MAX),
    }
}

/// Both implementations at work: this one at once, the other as fast as it comes.
struct Telling {
    python: Batch,
    seed: u64,
    /// Which log, which case of it, and what this implementation said.
    ours: Vec<(usize, usize, bool)>,
    told: BTreeMap<char, usize>,
}

impl Telling {
    fn case(&mut self, log: usize, n: usize, case: &Case, key: &PublicLogKey, whole: bool) {
        let accepted = accepts(case, key);
        assert_eq!(accepted, whole, "seed {}, log {log}, case {n}: {}", self.seed, shown(case));
        self.python.give(case);
        self.ours.push((log, n, accepted));
    }

    /// A log as it is, and changed in many ways.
    fn log(&mut self, number: usize) {
        let mut dice = Dice(self.seed ^ (number as u64).wrapping_mul(0x5851_f42d_4c95_7f2d));
        let (log, spare) = (Log::random(&mut dice), Log::random(&mut dice));
        self.python.give(&Case { kind: b'K', parts: vec![log.key.vkey().as_bytes().to_vec()] });
        self.ours.push((number, 0, true));
        let proofs = [true, false].map(|extra| log.proof(dice.below(log.lines.len()), extra));
        let whole: Vec<Case> = [log.export(), log.growth(), log.published(), log.note()].into_iter().chain(proofs).collect();
        for case in &whole {
            self.case(number, 0, case, &log.key, true);
        }
        for n in 0..MUTATIONS {
            let from = match n {
                0..40 => &whole[0],
                40..60 => &whole[1],
                60..72 => &whole[2],
                72..74 => &whole[3],
                _ => &whole[4 + n % 2],
            };
            *self.told.entry(char::from(from.kind)).or_default() += 1;
            self.case(number, n, &mutated(from, &mut dice, &spare), &log.key, false);
        }
    }

    /// What the other implementation said to all of it.
    fn end(self) -> (BTreeMap<char, usize>, usize) {
        let (verdicts, calls) = self.python.end();
        assert_eq!(verdicts.len(), self.ours.len());
        for ((log, n, ours), python) in self.ours.into_iter().zip(verdicts) {
            assert_eq!(ours, python, "seed {}, log {log}, case {n}: Rust says {ours}, Python {python}", self.seed);
        }
        (self.told, calls)
    }
}

fn shown(case: &Case) -> String {
    let parts = case.parts.iter().map(|part| String::from_utf8_lossy(part).chars().take(2_000).collect());
    format!("{}\n{}", char::from(case.kind), parts.collect::<Vec<String>>().join("\n----\n"))
}

#[test]
fn no_mutation_of_any_log_is_accepted_and_two_implementations_always_agree() {
    // A seed of its own each time; LEDGER_SEED tells one again.
    let seed = std::env::var("LEDGER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
    println!("LEDGER_SEED={seed}");
    let tell = |numbers: std::ops::Range<usize>| {
        let mut telling = Telling { python: Batch::start(), seed, ours: Vec::new(), told: BTreeMap::new() };
        numbers.for_each(|number| telling.log(number));
        telling.end()
    };
    let (one, two) = std::thread::scope(|scope| {
        let halves = [0..LOGS / 2, LOGS / 2..LOGS].map(|half| scope.spawn(|| tell(half)));
        let [one, two] = halves.map(|half| half.join().unwrap());
        (one, two)
    });
    let all: usize = [&one.0, &two.0].iter().flat_map(|told| told.values()).sum();
    println!("{LOGS} logs, {all} mutations ({:?} and {:?}), {} calls of openssl", one.0, two.0, one.1 + two.1);
    assert!(all >= 100_000, "{all}");
}
