//! `paramedic policy replay`: what a server really did, judged again by edited policies.

use super::{BY_TOKEN, Serving, configured, run};
use serde_json::Value;

const SERVICES: &str = r#"services:
  - { name: cart, environment: production, tags: [payments], reach: { process: { command: [/bin/sleep, "100000"] } } }
  - { name: shop, environment: production, reach: { process: { command: [/bin/sleep, "100000"] } } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_tried_on_what_was_done_before_it_is_real() {
    let folder = configured(BY_TOKEN, SERVICES);
    let server = Serving::start(folder.path(), &["--listen", "127.0.0.1:0"]).await;
    for (n, service) in [(1, "cart"), (2, "shop")] {
        server.fire("ServiceDown", service).await;
        let restarted = |incident: &Value| {
            incident["actions"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|action| action["tool"] == "restart_service" && action["outcome"] == "succeeded")
        };
        server.until_incident(&format!("INC-{n}"), "is restarted", restarted).await;
    }
    let replay = |more: &[&str]| run(folder.path(), &[&["policy", "replay"], more].concat());
    let same = replay(&[]);
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(same.out.lines().count() == 1 && same.out.contains(" judged since ") && same.out.contains(": 0 would differ"), "{}", same.out);

    let own = "@id(\"payments_by_hand\")\n@reason(\"payments are never restarted unasked\")\n\
               forbid (principal == Agent::\"remediator\", action == Action::\"execute\", resource) when { resource.tags.contains(\"payments\") };\n\
               @id(\"blind\")\n@reason(\"nobody reads logs\")\n\
               forbid (principal, action in [Action::\"execute\", Action::\"propose\"], resource == Service::\"shop\")\n\
               when { context.tool == Tool::\"get_service_logs\" };\n";
    std::fs::write(folder.path().join("config/policies/own.cedar"), own).unwrap();
    let text = replay(&["--since", "1h"]).out;
    let rows: Vec<Vec<&str>> =
        text.lines().skip(1).map(|line| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect()).collect();
    assert!(rows[0][0] == "INC-1" && rows[0][3..7] == ["restart_service", "cart", "allow", "confirm"], "{text}");
    assert_eq!(rows[0][7], "policy payments_by_hand: payments are never restarted unasked");
    assert!(rows[1][0] == "INC-2" && rows[1][3..7] == ["get_service_logs", "shop", "allow", "deny"], "{text}");
    assert!(text.lines().last().unwrap().ends_with(": 2 would differ"), "{text}");

    let json: Value = serde_json::from_str(&replay(&["--json"]).out).unwrap();
    let (judged, differences) = (json["judged"].as_u64().unwrap(), json["differences"].as_array().unwrap());
    assert!(judged >= 6 && differences.len() == 2 && json["skipped"] == 0, "{json:#}");
    assert_eq!(differences[0]["policy_was"], "policy restart_service: low risk, easily undone");
    let check = run(folder.path(), &["policy", "check"]).out;
    assert!(check.trim().ends_with(&json["version"].as_str().unwrap()[..16]), "{check}");

    // Whoever is asked, nobody may let it begin.
    let asked =
        "@id(\"by_hand\")\n@reason(\"by hand\")\nforbid (principal == Agent::\"remediator\", action == Action::\"execute\", resource);\n";
    let closed = "@id(\"closed\")\n@reason(\"closed\")\nforbid (principal, action == Action::\"release\", resource);\n";
    for (own, would_be) in [(asked.to_owned(), "confirm"), (format!("{asked}{closed}"), "deny")] {
        std::fs::write(folder.path().join("config/policies/own.cedar"), own).unwrap();
        let json: Value = serde_json::from_str(&replay(&["--json"]).out).unwrap();
        let restarts = json["differences"].as_array().unwrap().iter().filter(|row| row["tool"] == "restart_service");
        assert_eq!(restarts.map(|row| row["would_be"].as_str().unwrap()).collect::<Vec<_>>(), [would_be; 2], "{json:#}");
    }
    std::fs::remove_file(folder.path().join("config/policies/own.cedar")).unwrap();

    // The transcript tells how the restart was weighed.
    let told = run(folder.path(), &["incidents", "INC-1"]).out;
    let weighed =
        "risk 0.65 (disruptive 0.35, production +0.20, off-hours +0.10); by restart_service; estimated impact: users: those of cart;";
    assert!(told.contains(weighed), "{told}");

    for (since, expected) in [("soon", "expected a number and d, h or m"), ("0d", "expected a number and d, h or m"), ("5y", "such as 30d")]
    {
        let ran = replay(&["--since", since]);
        assert!(ran.code == Some(64) && ran.err.contains(expected), "{ran:?}");
    }
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_approved_and_how_many_it_took_is_judged_by_the_edit_too() {
    let folder = configured(BY_TOKEN, SERVICES);
    let server = Serving::start(folder.path(), &["--listen", "127.0.0.1:0"]).await;
    server.fire("HighRequestLatency", "cart").await;
    server.until_incident("INC-1", "asks", |incident| incident["state"] == "awaiting_approval").await;
    assert_eq!(run(folder.path(), &["approve", "APR-1"]).code, Some(0));
    let edited = |own: &str| {
        std::fs::write(folder.path().join("config/policies/own.cedar"), own).unwrap();
        let (text, json) = (run(folder.path(), &["policy", "replay"]), run(folder.path(), &["policy", "replay", "--json"]));
        assert_eq!((text.code, json.code), (Some(0), Some(0)), "{text:?}\n{json:?}");
        (text.out, serde_json::from_str::<Value>(&json.out).unwrap()["approvals"].clone())
    };
    let (text, json) = edited("@id(\"nothing\")\n@reason(\"r\")\nforbid (principal, action, resource == Service::\"shop\");\n");
    assert!(text.ends_with("\n1 approval judged: 0 would differ\n"), "{text}");
    assert_eq!((&json["judged"], &json["skipped"], json["differences"].as_array().unwrap().len()), (&1.into(), &0.into(), 0), "{json:#}");

    let (text, json) = edited(
        "@id(\"from_slack\")\n@reason(\"a terminal is nobody\")\n\
         forbid (principal, action == Action::\"approve\", resource) when { principal.via == Via::\"cli\" };\n\
         @id(\"two_for_cart\")\n@reason(\"two people for the cart\")\n\
         forbid (principal, action == Action::\"release\", resource == Service::\"cart\") when { context.approvers < 2 };\n",
    );
    let (quorum, refused) = (&json["differences"][0], &json["differences"][1]);
    assert_eq!((&quorum["was"], &quorum["would_be"]), (&"1 approver".into(), &"2 approvers".into()), "{json:#}");
    let was = refused["was"].as_str().unwrap();
    assert!(was.starts_with("approved by ") && was.ends_with(" via cli"), "{json:#}");
    assert_eq!((&refused["would_be"], &refused["why"]), (&"refused".into(), &"policy from_slack: a terminal is nobody".into()), "{json:#}");
    for named in [quorum, refused] {
        let named = [&named["approval"], &named["incident"], &named["tool"], &named["on"]].map(|name| name.as_str().unwrap());
        assert_eq!(named, ["APR-1", "INC-1", "scale_service", "cart"], "{json:#}");
    }
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("APR-1 ")).collect();
    assert!(rows.len() == 2 && rows[1].contains(was) && rows[1].ends_with("policy from_slack: a terminal is nobody"), "{text}");
    assert!(text.ends_with("\n1 approval judged: 2 would differ\n"), "{text}");

    // What would not even be asked is told with the actions.
    let never = "@id(\"never\")\n@reason(\"never\")\nforbid (principal, action in [Action::\"execute\", Action::\"propose\"], resource)\n\
                 when { context.tool == Tool::\"scale_service\" };\n";
    let (text, json) = edited(never);
    assert!(json["judged"] == 0 && text.contains("  confirm  deny  ") && !text.contains("approval judged"), "{text}\n{json:#}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_from_before_facts_were_kept_are_counted_and_skipped() {
    let folder = configured(BY_TOKEN, SERVICES);
    let server = Serving::start(folder.path(), &["--listen", "127.0.0.1:0"]).await;
    server.fire("ServiceDown", "cart").await;
    let ended = |incident: &Value| incident["transcript"].as_array().into_iter().flatten().any(|line| line["kind"] == "run_ended");
    server.until_incident("INC-1", "is handled", ended).await;
    let judged = |out: &str| serde_json::from_str::<Value>(out).unwrap()["judged"].as_u64().unwrap();
    let before = judged(&run(folder.path(), &["policy", "replay", "--json"]).out);
    drop(server);
    // As an older version wrote them: without grounds.
    forget_grounds(&folder.path().join("data/paramedic.db")).await;
    let ran = run(folder.path(), &["policy", "replay", "--json"]);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((json["judged"].as_u64(), json["skipped"].as_u64()), (Some(0), Some(before)), "{json:#}");
    assert!(run(folder.path(), &["policy", "replay"]).out.contains("without stored facts"));
    assert_eq!(run(folder.path(), &["incidents", "INC-1"]).code, Some(0));
}

async fn forget_grounds(database: &std::path::Path) {
    use sqlx::{Connection as _, Row as _};
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&format!("sqlite://{}", database.display())).await.unwrap();
    let rows = sqlx::query("SELECT seq, body FROM entries").fetch_all(&mut connection).await.unwrap();
    let mut changed = 0;
    for row in rows {
        let (seq, body): (i64, String) = (row.get("seq"), row.get("body"));
        let mut entry: Value = serde_json::from_str(&body).unwrap();
        let Some(opinions) = entry.get_mut("opinions").and_then(Value::as_array_mut) else { continue };
        changed += opinions.iter_mut().filter_map(|opinion| opinion.as_object_mut().unwrap().remove("grounds")).count();
        let query = sqlx::query("UPDATE entries SET body = $1 WHERE seq = $2").bind(entry.to_string()).bind(seq);
        query.execute(&mut connection).await.unwrap();
    }
    assert!(changed >= 3, "nothing was stored to forget");
    connection.close().await.unwrap();
}
