//! What `make fuzz` runs for minutes, for a moment: every parser keeps its promises on every seed, on every input that ever broke one, and
//! on a fixed handful of mutations.

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

use targets::{ALL, Target};

/// Mutations of each target; the same ones each time.
const MUTATIONS: usize = 200;

fn target(name: &str) -> &'static Target {
    ALL.iter().find(|target| target.name == name).unwrap()
}

fn holds(name: &str) {
    let target = target(name);
    let seeds = target.seeds();
    assert!(seeds.len() > 2, "{name} has nothing to begin with");
    let mut chance = Chance(0x5eed);
    for seed in &seeds {
        println!("{:?}", String::from_utf8_lossy(&seed[..seed.len().min(200)]));
        (target.check)(seed);
    }
    for _ in 0..MUTATIONS {
        let mut bytes = chance.one_of(&seeds).clone();
        for _ in 0..=chance.below(4) {
            chance.mutate(&mut bytes, target, &seeds);
        }
        bytes.truncate(target.longest);
        println!("{:?}", String::from_utf8_lossy(&bytes));
        (target.check)(&bytes);
    }
}

/// A small generator (xorshift) that gives the same numbers on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn one_of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, target: &Target, seeds: &[Vec<u8>]) {
        let (from, to) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        match self.below(5) {
            0 => drop(bytes.drain(from..to)),
            1 => drop(bytes.splice(from..from, bytes[from..to].to_vec())),
            2 => drop(bytes.splice(from..from, self.one_of(target.words).bytes())),
            3 => drop(bytes.splice(from.., self.one_of(seeds).iter().rev().take(to).rev().copied().collect::<Vec<_>>())),
            _ if from < bytes.len() => bytes[from] = self.below(256) as u8,
            _ => bytes.push(self.below(256) as u8),
        }
    }
}

macro_rules! each {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })*

        #[test]
        fn no_target_is_left_out() {
            let tested = [$(stringify!($name)),*];
            let all: Vec<&str> = ALL.iter().map(|target| target.name).collect();
            assert_eq!(tested[..], all[..]);
        }
    };
}

each!(webhook, command, matcher, slack, runbook, policy, ledger, classifier, services);

#[test]
fn every_kept_crash_belongs_to_a_target() {
    let Ok(folders) = std::fs::read_dir(targets::root().join("tests/corpus/crashes")) else { return };
    for folder in folders {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(ALL.iter().any(|target| target.name == name), "tests/corpus/crashes/{name} is of no target");
    }
}
