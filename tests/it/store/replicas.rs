//! Several servers on one PostgreSQL: what SQLite has from its one writer holds between them too.

use super::{On, Story, alert, api, begun, later, now, skipped, started};
use crate::postgres::{COMMITTED, LOCK, Postgres, Proxy, Way};
use crate::server::until;
use paramedic::domain::{AlertStatus, Channel, Entry, IncidentId};
use paramedic::engine::begin_to_listen;
use paramedic::store::{Claim, Commit, Duty, Freeze, Lane, Store, StoreError, Wake};
use std::collections::BTreeSet;
use std::time::Duration;
use tempfile::TempDir;

/// Another replica at a story's database, in a folder of its own.
async fn another(story: &Story) -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::serve(&story.url(), folder.path(), Freeze::default()).await.unwrap(), folder)
}

/// Another, with a network of its own to the database.
async fn behind_a_proxy(story: &Story) -> (Proxy, Store, TempDir) {
    let (proxy, url) = postgres(story).proxied().await;
    let folder = tempfile::tempdir().unwrap();
    (proxy, Store::serve(&url, folder.path(), Freeze::default()).await.unwrap(), folder)
}

fn postgres(story: &Story) -> &Postgres {
    story.postgres.as_ref().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_claim_each_incident_once_and_the_log_has_no_gap() {
    let story = Story::new(On::Postgres).await;
    for n in 0..30 {
        story.incident(&format!("Alert{n}")).await;
    }
    let (second, _folder) = another(&story).await;
    let third = another(&story).await;
    let work = async |store: Store| {
        let mut done = Vec::new();
        while let Some(claim) = store.claim(Lane::Any, now(), later(300)).await.unwrap() {
            let mut incident = store.incident(claim.incident).await.unwrap().unwrap();
            for _ in 0..3 {
                store.commit(&claim, &mut incident, skipped(), now()).await.unwrap();
            }
            store.release(&claim, Wake::Never, now()).await.unwrap();
            done.push(claim.incident);
        }
        done
    };
    let work: Vec<_> = [story.store.clone(), second, third.0.clone()].into_iter().map(|store| tokio::spawn(work(store))).collect();
    let mut done = Vec::new();
    for worker in work {
        done.extend(worker.await.unwrap());
    }
    assert_eq!(done.len(), 30, "each once: {done:?}");
    assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), 30);
    assert_eq!(story.store.log_size().await.unwrap(), 30 * 6);
    let rows = story.store.audited(0, 180).await.unwrap();
    assert!((0..180).eq(rows.iter().map(|row| row.index)), "places without a gap");
    assert!(rows.iter().all(|row| row.logged == Some(row.hash)), "each leaf is its entry's");
    assert!(story.store.skipped().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_and_a_hold_that_replicas_race_for_are_had_by_one() {
    let story = Story::new(On::Postgres).await;
    let (second, _folder) = another(&story).await;
    let mut racers = Vec::new();
    for (n, store) in (0..8).zip([&story.store, &second].into_iter().cycle()) {
        let incident = story.incident(&format!("Alert{n}")).await;
        racers.push((store.clone(), incident));
    }
    let mut claims: Vec<Claim> = Vec::new();
    while let Some(claim) = story.store.claim(Lane::Any, now(), later(300)).await.unwrap() {
        claims.push(claim);
    }
    let begin = |hold: bool| {
        let things: &[&str] = if hold { &["service:api"] } else { &[] };
        let mut commit = started(things);
        commit.budget[0].most = (!hold).then_some((1, chrono::Duration::hours(1)));
        commit
    };
    let race = racers.iter_mut().zip(&claims).enumerate().map(|(n, ((store, incident), claim))| {
        assert_eq!(incident.id, claim.incident);
        store.commit(claim, incident, begin(n % 2 == 0), now())
    });
    let results = futures::future::join_all(race).await;
    // The even ones race for the service, the odd ones for the one restart that is left beside it.
    let held = results.iter().step_by(2).filter(|result| result.is_ok()).count();
    assert_eq!(held, 1, "{results:?}");
    assert!(results.iter().step_by(2).all(|r| matches!(r, Ok(()) | Err(StoreError::Busy { .. }))), "{results:?}");
    let spent = results.iter().skip(1).step_by(2).filter(|result| result.is_ok()).count();
    assert!(
        spent <= 1 && story.store.used(&api(), "restart", later(-60)).await.unwrap() == 1 + u32::try_from(spent).unwrap(),
        "{results:?}"
    );
    assert!(results.iter().skip(1).step_by(2).all(|r| matches!(r, Ok(()) | Err(StoreError::Spent(_)))), "{results:?}");
}

#[tokio::test]
async fn a_replica_that_was_replaced_raises_and_signs_nothing_more() {
    let story = Story::new(On::Postgres).await;
    let (second, _folder) = another(&story).await;
    let tell = Duty::Tell(Channel::Slack);
    assert!(story.store.on_duty(tell).await.unwrap() && story.store.on_duty(Duty::Publish).await.unwrap());
    for duty in [Duty::Raise, tell, Duty::Publish] {
        assert!(!second.on_duty(duty).await.unwrap(), "{duty:?} is the first one's");
    }
    // The first one stands still for longer than it may; the second one notices.
    assert_eq!(postgres(&story).sql("UPDATE duties SET until_at = 0").await, 3);
    until("the second one takes over", async || second.on_duty(Duty::Raise).await.unwrap()).await;
    // It wakes up in the middle of its work, and does not know yet.
    let late = story.store.open(vec![], "late", &[], &|_| Vec::new(), now()).await.unwrap_err();
    assert!(matches!(&late, StoreError::OffDuty(duty) if duty == "raise"), "{late}");
    assert!(matches!(story.store.assign(IncidentId(1), &[], &[], now()).await, Err(StoreError::OffDuty(_))));
    assert!(matches!(story.store.settle(1, "late", None).await, Err(StoreError::OffDuty(_))));
    assert!(story.store.list(None, 10).await.unwrap().is_empty());
    // One that stops in good order is replaced at once.
    second.leave_duties().await.unwrap();
    until("the first one has it again", async || story.store.on_duty(Duty::Raise).await.unwrap()).await;
    story.incident("ServiceDown").await;
}

#[tokio::test]
async fn a_replica_forgets_its_own_leases_at_a_start_and_nobody_elses() {
    let story = Story::new(On::Postgres).await;
    let (second, folder) = another(&story).await;
    let mut mine = story.incident("Mine").await;
    let claim = story.claim(now()).await;
    story.incident("Theirs").await;
    let theirs = second.claim(Lane::Any, now(), later(300)).await.unwrap().unwrap();
    assert_ne!(theirs.incident, claim.incident);
    // The second one is killed and started again in its folder.
    drop(second);
    let again = Store::serve(&story.url(), folder.path(), Freeze::default()).await.unwrap();
    let taken = again.claim(Lane::Any, later(1), later(301)).await.unwrap().unwrap();
    assert_eq!(taken.incident, theirs.incident);
    assert!(again.claim(Lane::Any, later(1), later(301)).await.unwrap().is_none(), "the first one is at work");
    story.store.commit(&claim, &mut mine, skipped(), later(2)).await.unwrap();
    // Two servers in one folder would be one replica.
    let refused = Store::serve(&story.url(), folder.path(), Freeze::default()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::InUse(path) if path.ends_with("replica")), "{refused}");
}

/// What a replica had begun when its lease ran out is in the ledger as begun; the replica itself can write no end to it.
#[tokio::test]
async fn a_replica_paused_past_its_lease_is_fenced() {
    let story = Story::new(On::Postgres).await;
    let mut incident = story.incident("ServiceDown").await;
    let paused = story.claim(now()).await;
    let entry = begun();
    story.store.commit(&paused, &mut incident, Commit::of(vec![entry]), now()).await.unwrap();
    let (second, _folder) = another(&story).await;
    assert!(second.claim(Lane::Any, later(299), later(600)).await.unwrap().is_none(), "leased");
    let claim = second.claim(Lane::Any, later(300), later(600)).await.unwrap().unwrap();
    let seen = second.incident(incident.id).await.unwrap().unwrap();
    assert!(seen.in_flight.is_some(), "in doubt, and not to be repeated blindly");
    assert!(matches!(story.store.commit(&paused, &mut incident, skipped(), later(301)).await, Err(StoreError::Fenced(_))));
    story.store.release(&paused, Wake::Now, later(301)).await.unwrap();
    assert!(story.store.claim(Lane::Any, later(302), later(600)).await.unwrap().is_none(), "nor give it to anybody");
    second.release(&claim, Wake::Never, later(303)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stands_still_in_a_transaction_holds_the_others_up_for_seconds_only() {
    let story = Story::new(On::Postgres).await;
    let (proxy, still, _folder) = behind_a_proxy(&story).await;
    // It has the writers' lock and does not hear so.
    proxy.turn(Way::DeafFrom(LOCK));
    let telling = tokio::spawn(async move { still.tell(IncidentId(1), &[(Channel::Slack, super::message("lost"))], now()).await });
    let locked = async || {
        let sql = "SELECT 1 AS one FROM pg_locks WHERE locktype = 'advisory' AND granted";
        postgres(&story).sql(sql).await > 0
    };
    until("the lock is taken", locked).await;
    // The database ends that transaction; nothing of it was written.
    story.store.tell(IncidentId(1), &[(Channel::Slack, super::message("told"))], now()).await.unwrap();
    proxy.turn(Way::Cut);
    assert!(telling.await.unwrap().is_err());
    assert_eq!(story.store.waiting_letters().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_bad_network_a_commit_is_there_as_a_whole_or_not_at_all() {
    let story = Story::new(On::Postgres).await;
    let (proxy, store, _folder) = behind_a_proxy(&story).await;
    let mut incident = story.incident("ServiceDown").await;
    let claim = store.claim(Lane::Any, now(), later(300)).await.unwrap().unwrap();
    // Slow ones are waited for; of one that was cut off nothing is there; one whose answer was lost is there, as a look tells.
    let ways = [(Way::Slow, true, 1), (Way::Cut, false, 0), (Way::DeafFrom(LOCK), false, 0), (Way::LosesFrom(COMMITTED), false, 1)];
    for (way, heard, grown) in ways.into_iter().cycle().take(8) {
        proxy.turn(way);
        let seq = incident.seq;
        let committing = store.commit(&claim, &mut incident, skipped(), now());
        let patience = Duration::from_secs(if heard { 20 } else { 1 });
        let result = tokio::time::timeout(patience, committing).await;
        proxy.cut().await;
        until("the database is there again", async || store.incident(claim.incident).await.is_ok()).await;
        incident = store.incident(claim.incident).await.unwrap().unwrap();
        assert_eq!((matches!(result, Ok(Ok(()))), incident.seq - seq), (heard, grown), "{way:?}: {result:?}");
    }
    store.commit(&claim, &mut incident, skipped(), now()).await.unwrap();
}

/// One that is started again and again beside others that listen does not keep a silence from being noticed.
#[tokio::test]
async fn starts_of_a_replica_beside_others_excuse_no_silence() {
    let story = Story::new(On::Postgres).await;
    let excused = async || story.store.heartbeat("Watchdog").await.unwrap().unwrap().excused.num_seconds();
    story.store.heard("Watchdog", None, now()).await.unwrap();
    begin_to_listen(&story.store, now()).await.unwrap();
    for n in 1..=20 {
        begin_to_listen(&story.store, later(25 * n)).await.unwrap();
    }
    assert_eq!(excused().await, 0);
    begin_to_listen(&story.store, later(1_000)).await.unwrap();
    assert_eq!(excused().await, 500, "nobody listened");
}

/// Whoever hears nothing of a commit tries again, and finds that it was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_again_because_the_answer_was_lost_is_there_once() {
    let story = Story::new(On::Postgres).await;
    let (proxy, store, _folder) = behind_a_proxy(&story).await;
    let mut incident = story.incident("ServiceDown").await;
    let claim = store.claim(Lane::Any, now(), later(300)).await.unwrap().unwrap();
    let lost = proxy.deafened();
    proxy.turn(Way::LosesFrom(COMMITTED));
    let mut begin = started(&["service:api"]);
    begin.notices = vec![(Channel::Slack, super::message("begun"))];
    let attempt = {
        let (store, mut incident, begin) = (store.clone(), incident.clone(), begin.clone());
        tokio::spawn(async move { store.commit(&claim, &mut incident, begin, now()).await })
    };
    until("the answer was lost", async || proxy.deafened() > lost).await;
    proxy.cut().await;
    assert!(matches!(attempt.await.unwrap(), Err(StoreError::Sql(_))));
    // The same step again is refused: the ledger has moved on.
    let again = store.commit(&claim, &mut incident, begin, now()).await;
    assert!(matches!(again, Err(StoreError::Fenced(_))), "{again:?}");
    let seen = store.incident(claim.incident).await.unwrap().unwrap();
    assert!(seen.in_flight.is_some() && seen.seq > incident.seq, "it was begun: now it is probed, not begun again");
    let (used, waiting) = (store.used(&api(), "restart", later(-60)).await.unwrap(), store.waiting_letters().await.unwrap());
    assert_eq!((used, waiting), (1, 1), "spent once, told once");
}

#[tokio::test]
async fn texts_that_postgres_cannot_hold_as_they_are_stop_nothing() {
    let story = Story::new(On::Postgres).await;
    let mut strange = alert("with\0nul", AlertStatus::Firing);
    strange.labels.insert("long".into(), "x".repeat(100_000));
    let (inbox, storing) = paramedic::store::Inbox::open(story.store.clone(), || {});
    let storing = tokio::spawn(storing);
    inbox.accept(vec![strange.clone()], now()).await.unwrap();
    drop(inbox);
    storing.await.unwrap();
    let waiting = story.store.waiting_alerts(10).await.unwrap();
    assert_eq!((waiting.len(), &waiting[0].alert), (1, &strange));
    let key = format!("key\0{}", "k".repeat(100_000));
    let entries = vec![Entry::Raised { alert: strange.clone(), target: paramedic::domain::Target::default() }];
    let opened = story.store.open(entries, &key, &[waiting[0].id], &|_| Vec::new(), now()).await.unwrap();
    assert_eq!(story.store.open_incident(&key).await.unwrap(), Some(opened.id));
    assert_eq!(story.store.open_incident_with(&strange).await.unwrap(), Some(opened.id));
    assert_eq!(story.store.list(None, 10).await.unwrap()[0].alertname, "with\u{fffd}nul");
    story.store.keep_unreadable(b"\0\xff", "a \0 in it", now()).await.unwrap();
    assert_eq!(story.store.unreadable(10).await.unwrap()[0].reason, "a \u{fffd} in it");
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named_without_its_password() {
    let story = Story::new(On::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    let refused = async |url: String| Store::serve(&url, folder.path(), Freeze::default()).await.unwrap_err().to_string();
    let url = story.url();
    let said = refused(url.replace("s3cret-of-the-tests", "wrong-s3cret")).await;
    assert!(said.contains("password authentication failed") && said.contains("/postgres:") && !said.contains("s3cret"), "{said}");
    let said = refused(url.replace("/postgres", "/nowhere").replace("//nowhere", "//postgres")).await;
    assert!(said.contains("\"nowhere\" does not exist") && !said.contains("s3cret"), "{said}");
    postgres(&story).sql("CREATE DATABASE latin ENCODING 'SQL_ASCII' TEMPLATE template0").await;
    let said = refused(format!("{}/latin", url.rsplit_once('/').unwrap().0)).await;
    assert!(said.ends_with("expected a database in UTF8, it is in SQL_ASCII"), "{said}");
    let beside = Store::open_beside(&url).await.unwrap();
    assert!(!beside.on_duty(Duty::Raise).await.unwrap(), "a command line is no replica");
    beside.close().await;
    assert!(story.store.on_duty(Duty::Raise).await.unwrap());
}
