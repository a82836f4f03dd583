//! How many instances may be added, and which numbers they get; one rule for every transport, counted on what really runs.

use super::ReachError;
use std::collections::BTreeSet;

/// Above the normal number, at most.
pub const MOST_EXTRA: u32 = 2;

/// The numbers to start so that `add` more run: extras first, then fallen ones of the normal set. `others` run elsewhere
/// (on the service's other hosts) and count too; `base` is the normal number of all hosts, `own` of this one.
pub fn plan(service: &str, base: u32, own: u32, running: &BTreeSet<u32>, others: u32, add: u32) -> Result<Vec<u32>, ReachError> {
    let most = base.saturating_add(MOST_EXTRA);
    let now = running.len() as u32 + others;
    let refuse = |why: String| ReachError::Refused { by: format!("the scale limit of {service}"), why };
    if add == 0 || add > MOST_EXTRA {
        return Err(refuse(format!("{add} instances asked for: expected 1 to {MOST_EXTRA}")));
    }
    if now + add > most {
        return Err(refuse(format!("{now} run and {add} more would be {}: expected at most {most} ({base} + {MOST_EXTRA})", now + add)));
    }
    let free = (own + 1..=own + MOST_EXTRA).chain(1..=own).filter(|n| !running.contains(n));
    Ok(free.take(add as usize).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_two_above_the_normal_number() {
        let run = |running: &[u32], add| plan("api", 1, 1, &running.iter().copied().collect(), 0, add);
        assert_eq!(run(&[1], 1).unwrap(), [2]);
        assert_eq!(run(&[1], 2).unwrap(), [2, 3]);
        assert_eq!(run(&[1, 3], 1).unwrap(), [2]);
        assert_eq!(run(&[], 2).unwrap(), [2, 3]);
        assert_eq!(run(&[2, 3], 1).unwrap(), [1]);
        assert_eq!(
            run(&[1, 2], 2).unwrap_err().to_string(),
            "the scale limit of api refused: 2 run and 2 more would be 4: expected at most 3 (1 + 2)"
        );
        for add in [0, 3, u32::MAX] {
            assert!(run(&[1], add).is_err(), "{add}");
        }
        assert!(plan("api", 2, 1, &[1].into(), 3, 1).is_err(), "instances on other hosts count too");
    }
}
