//! The state machine, exhaustively: every sequence of six events, for one approver and for two.

use super::*;
use crate::domain::request::tests::request;

fn time(seconds: i64) -> Time {
    Time::UNIX_EPOCH + chrono::Duration::seconds(seconds)
}

fn approval(quorum: u32) -> Approval {
    Approval::asked(Sealed::seal(&crate::domain::Request { quorum, ..request() }).unwrap())
}

fn vote(name: &str, decision: Decision, at: Time) -> Vote {
    Vote { by: Principal { name: name.into(), via: Via::Cli }, decision, at, signature: None }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    GrantByA,
    GrantByB,
    DenyByA,
    ExpireDecide,
    ExpireExecute,
    Void,
    Spend,
    CrashReload,
}

const EVENTS: [Event; 8] = [
    Event::GrantByA,
    Event::GrantByB,
    Event::DenyByA,
    Event::ExpireDecide,
    Event::ExpireExecute,
    Event::Void,
    Event::Spend,
    Event::CrashReload,
];

/// The machine, and what an outsider saw happen to it.
#[derive(Clone, PartialEq)]
struct Watched {
    approval: Approval,
    now: Time,
    granted_by: BTreeSet<String>,
    spent: u32,
    final_word: Option<&'static str>,
}

impl Watched {
    fn on(mut self, event: Event) -> Self {
        let before = self.approval.clone();
        let now = self.now;
        let next = match event {
            Event::GrantByA => before.clone().vote(vote("a", Decision::Grant, now)),
            Event::GrantByB => before.clone().vote(vote("b", Decision::Grant, now)),
            Event::DenyByA => before.clone().vote(vote("a", Decision::Deny, now)),
            Event::ExpireDecide => {
                self.now = now.max(before.request.decide_by);
                before.clone().expire(self.now)
            }
            Event::ExpireExecute => {
                self.now = now.max(before.request.execute_by);
                before.clone().expire(self.now)
            }
            Event::Void => before.clone().void("a test", now),
            Event::Spend => before.clone().spend(now),
            Event::CrashReload => Ok(reload(&before)),
        };
        let Ok(next) = next else { return self };
        match event {
            Event::GrantByA => drop(self.granted_by.insert("a".into())),
            Event::GrantByB => drop(self.granted_by.insert("b".into())),
            Event::Spend => self.spent += 1,
            _ => {}
        }
        self.approval = next;
        self
    }

    fn check(&mut self, path: &[Event]) {
        let (state, word) = (&self.approval.state, self.approval.state.word());
        if let Some(first) = self.final_word {
            assert_eq!(word, first, "a final state was left: {path:?}");
        }
        if !state.is_open() {
            self.final_word = Some(word);
        }
        assert!(self.spent <= 1, "spent twice: {path:?}");
        assert_eq!(self.spent == 1, word == "used", "{path:?}");
        if matches!(word, "used" | "granted") {
            let quorum = self.approval.request.quorum as usize;
            assert!(self.granted_by.len() >= quorum, "{word} by {} of {quorum}: {path:?}", self.granted_by.len());
            assert_eq!(self.approval.votes.iter().filter(|vote| vote.decision == Decision::Deny).count(), 0, "{path:?}");
        }
        let covers = self.approval.covers(&request().action(), self.now);
        assert!(!covers || (word == "granted" && self.now < self.approval.request.execute_by), "{path:?}");
    }
}

/// What a store keeps of it: the text, the digest, the votes and the state, as JSON.
fn reload(approval: &Approval) -> Approval {
    let request = Sealed::open(approval.request.text().to_owned(), &approval.digest().0).unwrap();
    let state = serde_json::from_str(&serde_json::to_string(&approval.state).unwrap()).unwrap();
    let votes = serde_json::from_str(&serde_json::to_string(&approval.votes).unwrap()).unwrap();
    let reloaded = Approval { request, votes, state };
    assert_eq!(&reloaded, approval);
    reloaded
}

/// Every continuation of this path up to `left` events more.
fn explore(watched: &Watched, path: &mut Vec<Event>, left: usize, seen: &mut (usize, BTreeSet<&'static str>)) {
    seen.0 += 1;
    seen.1.insert(watched.approval.state.word());
    if left == 0 {
        return;
    }
    for event in EVENTS {
        path.push(event);
        let mut next = watched.clone().on(event);
        next.check(path);
        // What changed nothing leads nowhere that the path without it does not.
        if next != *watched {
            explore(&next, path, left - 1, seen);
        }
        path.pop();
    }
}

#[test]
fn no_sequence_of_six_events_spends_twice_or_without_a_quorum_or_leaves_a_final_state() {
    for quorum in [1, 2] {
        let start = Watched { approval: approval(quorum), now: time(0), granted_by: BTreeSet::new(), spent: 0, final_word: None };
        let mut seen = (0, BTreeSet::new());
        explore(&start, &mut Vec::new(), 6, &mut seen);
        assert!(seen.0 > 20, "{} different paths", seen.0);
        assert_eq!(seen.1.into_iter().collect::<Vec<_>>(), ["asked", "denied", "expired", "granted", "used", "void"]);
    }
}

#[test]
fn the_first_decision_stands_and_says_who_made_it() {
    let granted = approval(1).vote(vote("ana", Decision::Grant, time(1))).unwrap();
    let late = granted.vote(vote("ben", Decision::Deny, time(2))).unwrap_err();
    assert_eq!(late.to_string(), "APR-3 is already granted by ana via cli at 1970-01-01 00:00:01Z: the first decision stands");
    let too_late = approval(1).vote(vote("ana", Decision::Grant, time(300))).unwrap_err();
    assert!(too_late.to_string().starts_with("APR-3 expired at 1970-01-01 00:05:00Z"), "{too_late}");
}

#[test]
fn two_people_are_two_people_whatever_doors_they_use() {
    let ana_clicked = Vote { by: Principal { name: "ana".into(), via: Via::Slack }, ..vote("ana", Decision::Grant, time(1)) };
    let once = approval(2).vote(ana_clicked).unwrap();
    assert_eq!((once.state.clone(), once.missing()), (ApprovalState::Asked, 1));
    let again = once.clone().vote(vote("ana", Decision::Grant, time(2))).unwrap_err();
    assert_eq!(again.to_string(), "APR-3: ana has approved it already; 1 more must, and each must be somebody else");
    let second_thoughts = once.clone().vote(vote("ana", Decision::Deny, time(2))).unwrap();
    assert_eq!(second_thoughts.state.word(), "denied");
    assert_eq!(once.vote(vote("ben", Decision::Grant, time(2))).unwrap().state.word(), "granted");
    let own = approval(1).vote(vote("agent", Decision::Grant, time(1))).unwrap_err();
    assert_eq!(own.to_string(), "APR-3 was asked for by agent, who cannot approve it too");
}

#[test]
fn where_signatures_are_wanted_a_bare_word_is_none_and_a_denial_needs_none() {
    let asked = Approval::asked(Sealed::seal(&crate::domain::Request { signature: true, ..request() }).unwrap());
    let bare = asked.clone().vote(vote("ana", Decision::Grant, time(1))).unwrap_err();
    assert_eq!(bare.to_string(), "APR-3 takes signed approvals only: paramedic approve APR-3 --sign-with KEY");
    let signed = |decision| Vote { signature: Some("sig".into()), ..vote("ana", decision, time(1)) };
    assert!(matches!(asked.clone().vote(signed(Decision::Deny)), Err(IllegalTransition::SignedDenial(_))));
    assert_eq!(asked.clone().vote(vote("ana", Decision::Deny, time(1))).unwrap().state.word(), "denied");
    assert_eq!(asked.vote(signed(Decision::Grant)).unwrap().state.word(), "granted");
}

#[test]
fn each_clock_ends_what_it_is_for() {
    assert!(approval(1).expire(time(299)).is_err());
    assert_eq!(approval(1).expire(time(300)).unwrap().state, ApprovalState::Expired { at: time(300), granted: false });
    let granted = approval(1).vote(vote("ana", Decision::Grant, time(299))).unwrap();
    assert!(granted.clone().expire(time(899)).is_err(), "it may still be begun");
    assert_eq!(granted.clone().spend(time(899)).unwrap().state.word(), "used");
    assert!(matches!(granted.clone().spend(time(900)), Err(IllegalTransition::TooLateToBegin(..))));
    assert!(!granted.covers(&request().action(), time(900)));
    assert_eq!(granted.expire(time(900)).unwrap().state, ApprovalState::Expired { at: time(900), granted: true });
    assert_eq!(approval(1).unavailable("no answer", time(1)).unwrap().state.word(), "unavailable");
}
